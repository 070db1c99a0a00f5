"""Which hits of noisy data a model without noise can be compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import FitError
from ..tables import Ints
from .objective import ObservableModel
from .residuals import keys


def well_above_threshold(model: ObservableModel, values: Mapping[str, float], lowest: float) -> Ints:
    """`(m, 3)` event, channel and order of the hits whose charge at `values` is at least `lowest` [electrons], as is
    that of all earlier hits of their pixel.

    Noise decides whether hits near the threshold are there at all, so those that are there are a biased choice. This
    one depends neither on the noise of the data nor on parameters that move. Raises `FitError` for a readout that does
    not give the charge of its hits, and where no hit is left.
    """
    seen = model.observe(values)
    if "charge" not in seen.columns:
        raise FitError(
            "min_charge_electrons needs the charge of every hit, which this readout does not give; set it 0."
        )
    weak = np.cumsum(~(seen.valid & (seen.columns["charge"] >= lowest)))
    # Rows are sorted, so that a pixel begins where its event or channel is another than before.
    begins = np.append(True, (np.diff(seen.event) != 0) | (np.diff(seen.channel) != 0))[: len(seen)]
    before_pixel = np.maximum.accumulate(np.where(begins, np.append(0, weak)[: len(seen)], 0))
    kept: Ints = keys(seen)[weak == before_pixel]
    if not len(kept):
        raise FitError(
            f"no simulated hit has {lowest:g} electrons at the start values; lower min_charge_electrons or use more "
            f"segments."
        )
    return kept
