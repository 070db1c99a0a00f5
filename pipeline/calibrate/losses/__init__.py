"""Losses between the simulated and the recorded hits of one event: one function and one line here for each."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from ...config.methods import Loss
from .charge_norms import energy_distance, mmd, multi_scale
from .event_hits import EventHits
from .neighbours import chamfer, space_match
from .soft_dtw import soft_dtw

#: Losses by the names that the config uses: `loss(model, data, settings)` is a scalar tensor that is small where the
#: hits agree, differentiable in the ADC counts and times of `model`. Neither side is empty.
LOSSES: dict[str, Callable[[EventHits, EventHits, Loss], Tensor]] = {
    "soft_dtw": soft_dtw,
    "chamfer": chamfer,
    "energy_distance": energy_distance,
    "mmd": mmd,
    "space_match": space_match,
    "multi_scale": multi_scale,
}
