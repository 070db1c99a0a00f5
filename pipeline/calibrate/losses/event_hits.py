"""The hits of one event as losses see them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EventHits:
    """Hits of one event, ordered by x, then y, then time: float64 tensors `(h,)`, on the side of the model with
    gradients in `adc` [counts] and `t` [us, after the event's earliest deposit].

    `x`, `y` [cm] are pixel centres, `volume` the number of the drift volume (whose depths have nothing to do with
    each other), as float64.
    """

    adc: Tensor
    t: Tensor
    x: Tensor
    y: Tensor
    volume: Tensor

    def __len__(self) -> int:
        return len(self.adc)

    def points(self, drift_cm_per_us: float) -> Tensor:
        """`(h, 3)` positions [cm]: x, y, and time times a nominal velocity; volumes are set far apart."""
        return torch.stack([self.x + _APART * self.volume, self.y, drift_cm_per_us * self.t], dim=1)


#: Distance between drift volumes in `points` [cm]: nothing is compared across.
_APART = 1e4
