"""dE/dx of segments from their charge, with what a plain inversion of recombination does not know: the dark gap at the
cathode, and that the charge of a segment may be the sum of several tracks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..tables import Bools, Floats, Ints
from .charge import loss_of_density

#: dE/dx [MeV/cm] at which electrons escape recombination as from the electrons that muons of 1 GeV knock out, in the
#: mean over their energy: 0.600 at the nominal parameters (Geant4, production cut 0.7 mm, 500 muons).
KNOCKED_OUT = 4.75
#: Above this dE/dx [MeV/cm] a particle knocks out little that travels, and its own loss changes fast.
HEAVY = 3.5
#: Segments on either side whose median is the loss of the particle itself.
_BESIDE = 4
#: Before an end inside the detector, where it may have stopped, the loss of a particle rises over this length [cm].
_STOPPING = 5.0


def seen_length(start: Floats, end: Floats, geometry: DetectorGeometry) -> Floats:
    """`(n,)` length [cm] of the straight pieces from `start` to `end` `(n, 3)` [cm] that lies in drift volumes."""
    length = np.linalg.norm(end - start, axis=1)
    low, high = np.minimum(start[:, 2], end[:, 2]), np.maximum(start[:, 2], end[:, 2])
    inside = np.zeros(len(length))
    flat = high - low < 1e-9
    for tpc in geometry.tpcs:
        below, above = sorted((tpc.z_anode, tpc.z_cathode))
        part = (np.minimum(high, above) - np.maximum(low, below)) / np.where(flat, 1.0, high - low)
        inside += np.where(flat, (low >= below) & (low <= above), np.clip(part, 0.0, 1.0))
    return np.asarray(length * np.minimum(inside, 1.0))


def density_of(freed: Floats, length: Floats, seen: Floats, track: Ints) -> Floats:
    """`(n,)` electrons freed per cm of segments in order along their `track` `(n,)`, `length` and `seen` `(n,)` [cm].

    Segments that reach into the gap between the drift volumes, where nothing is seen, have that of what is seen of them
    and of their neighbours; `freed` may have been spread over the border between those.
    """
    density = np.asarray(freed / length)
    for k in np.flatnonzero(seen < 0.999 * length):
        for reach in range(1, len(freed)):
            near = slice(max(k - reach, 0), k + reach + 1)
            own = track[near] == track[k]
            light = float((seen[near] * own).sum())
            if light > length[k] or reach > 20:
                break
        density[k] = float((freed[near] * own).sum()) / max(light, 1e-3 * length[k])
    return density


def may_stop(contained: Bools, residual: Floats) -> Bools:
    """`(n,)` whether a particle may be stopping in segments of tracks that are `contained` `(n,)`, `residual` `(n,)`
    [cm] before their end."""
    return np.asarray(contained & (residual < _STOPPING))


def loss_with_knock_ons(
    density: Floats, track: Ints, stopping: Bools, values: Mapping[str, float], recombination: str
) -> Floats:
    """dE/dx `(n,)` [MeV/cm] of segments in order along their `track` `(n,)`, from `density` `(n,)` freed electrons/cm.

    The electrons that a fast particle knocks out recombine along their own tracks, not as a particle would that loses
    all at once. So the inversion is that of the median of the segments beside, which few of them reach; what a
    segment has more is at the recombination of `KNOCKED_OUT`. Inverting the sum instead makes the mean of 1 cm
    segments of muons 3 to 4 % too large. Where a particle may be `stopping` `(n,)`, and for heavily ionising ones, the
    density is inverted as a whole.
    """
    base = np.minimum(density, _median_beside(density, track))
    own = loss_of_density(base, values, recombination)
    plain = (own > HEAVY) | stopping
    at_once = loss_of_density(density[plain], values, recombination)
    loss = own + (density - base) / escape_of_knock_ons(values, recombination)
    loss[plain] = at_once
    return np.asarray(loss)


def escape_of_knock_ons(values: Mapping[str, float], recombination: str) -> float:
    """Electrons per MeV that escape recombination along electrons that fast particles knock out."""
    return _density_at(KNOCKED_OUT, values, recombination) / KNOCKED_OUT


def _median_beside(density: Floats, track: Ints) -> Floats:
    """`(n,)` median of each segment and up to `_BESIDE` on either side on the same track."""
    count = len(density)
    row = np.arange(count)[:, None] + np.arange(-_BESIDE, _BESIDE + 1)
    there = (row >= 0) & (row < count)
    row = np.clip(row, 0, max(count - 1, 0))
    there &= track[row] == track[:, None]
    return np.asarray(np.nanmedian(np.where(there, density[row], np.nan), axis=1)) if count else density


def _density_at(loss: float, values: Mapping[str, float], recombination: str) -> float:
    """Electrons per cm that escape at a dE/dx [MeV/cm]: the inverse of `loss_of_density`, where that is monotonous."""
    low, high = 0.0, 1e7
    for _ in range(60):
        middle = 0.5 * (low + high)
        found = float(loss_of_density(np.array([middle]), values, recombination)[0])
        low, high = (middle, high) if found < loss else (low, middle)
    return 0.5 * (low + high)
