"""Brute force: one pixel read out over and over, with its noise drawn, by stepping through time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .likelihood import Pixel
from .physics import Floats, adc

_STEP = 0.002  # us


@dataclass(frozen=True)
class Drawn:
    """One draw of the readout: `time` [us], `charge` [electrons] and real-valued `adc` of its hits."""

    time: Floats
    charge: Floats
    adc: Floats


def draws(pixel: Pixel, count: int, seed: int) -> list[Drawn]:
    """Hits of `count` independent readouts of the pixel; a comparator with noise is looked at once per clock tick."""
    rng = np.random.default_rng([seed, 3])
    step = pixel.electronics.clock if pixel.electronics.comparator else _STEP
    first = int(np.ceil(pixel.begin / step - 1e-6))
    time: Floats = step * np.arange(first, int(np.floor(pixel.end / step + 1e-6)) + 1, dtype=np.float64)
    charge = pixel.charge(time)
    return [_one(pixel, time, charge, rng) for _ in range(count)]


def _one(pixel: Pixel, time: Floats, charge: Floats, rng: np.random.Generator) -> Drawn:
    d, e = pixel.detector, pixel.electronics
    rows: list[tuple[float, float, float]] = []
    armed, reset = pixel.begin, 0.0
    while len(rows) < d.max_hits:
        r, u = rng.normal(0.0, [e.reset, e.sampling])
        over = charge - reset + r - d.threshold
        if e.comparator:
            over = over + rng.normal(0.0, e.comparator, len(time))
        fires = np.flatnonzero((over >= 0.0) & (time >= armed - 1e-6))
        if not len(fires):
            break
        k = fires[0]
        crossing = float(time[k])
        if not e.comparator:
            # Between two steps Q is a straight line; a pixel over the threshold when it is armed fires at once.
            sure = k == 0 or over[k - 1] >= 0.0
            crossing = armed if sure else max(crossing - _STEP * over[k] / (over[k] - over[k - 1]), armed)
        held = float(pixel.charge(np.asarray(crossing + d.hold)))
        recorded = held - reset + r + u
        rows.append((crossing, recorded, adc(recorded, d)))
        armed, reset = crossing + d.hold, held
    return Drawn(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)
