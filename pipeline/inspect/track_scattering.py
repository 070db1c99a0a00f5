"""Multiple scattering as tracks of deposits show it, and as Highland's formula expects it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..matter.particles import mass
from ..matter.scattering import highland
from ..matter.stopping import beta_squared
from ..tables import Bools, Floats, Ints
from .track_quantities import IONISING, Tracks, of_species

#: Path [cm] over which the deflection of a track is taken, and by how much a pair of deposits may miss it.
PATH_CM, TOLERANCE = 10.0, 0.2
#: Shorter deposits [cm] give no direction (files hold positions to 1e-5 cm), longer ones not that of one place.
DEPOSIT_CM = (0.02, 5.0)
#: A pair with a longer gap [cm] on the way is not of one path.
_GAP_CM = 0.1
#: Tracks that are looked at, evenly chosen of more.
_MOST_TRACKS = 20_000


@dataclass(frozen=True)
class Deflections:
    """Changes of direction along tracks; `(m,)` each but `angle`.

    `angle` `(m, 2)` [rad]: projected on two perpendicular planes through the first direction; `path` [cm] between the
    middles of the two deposits `earlier` and `later`, rows of the tracks' segments.
    """

    angle: Floats
    path: Floats
    earlier: Ints
    later: Ints

    def __len__(self) -> int:
        return len(self.path)


def highland_width(kinetic_energy: Floats, path: Floats, mass: float) -> Floats:
    """Width [rad] of the projected angle after `path` [cm] by Highland's formula (`matter.scattering.highland`).

    `kinetic_energy` [MeV], `path`: arrays of one shape, above 0; `mass` [MeV].
    """
    beta2 = beta_squared(kinetic_energy, mass)
    # p beta c = beta^2 times the total energy.
    return highland(beta2 * (kinetic_energy + mass), path, beta2)


def deflections(tracks: Tracks, which: Bools, path: float = PATH_CM) -> Deflections:
    """Changes of direction over `path` [cm] on the tracks `which` `(k,)`, one pair of deposits after the other.

    A deposit has the direction from its start to its end. Between two of them the particle has scattered along the
    path from middle to middle, exactly so where steps are straight and turn at their ends. No stretch is used twice.
    """
    chosen = np.flatnonzero(which & (tracks.path > path))
    if len(chosen) > _MOST_TRACKS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _MOST_TRACKS).astype(np.int64)]
    length, middle = tracks.segments.length, tracks.middle
    gaps = np.cumsum(tracks.gap)
    usable = (length >= DEPOSIT_CM[0]) & (length <= DEPOSIT_CM[1])
    pairs: list[tuple[int, int]] = []
    for track in chosen:
        rows = tracks.first[track] + np.flatnonzero(usable[tracks.first[track] : tracks.last[track] + 1])
        pairs += _pairs(rows, middle[rows], gaps[rows], path)
    earlier, later = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    direction = (tracks.segments.end - tracks.segments.start) / np.maximum(length, 1e-300)[:, None]
    angle = projected_angles(direction[earlier], direction[later])
    return Deflections(angle, middle[later] - middle[earlier], earlier, later)


def _pairs(rows: Ints, middle: Floats, gaps: Floats, path: float) -> list[tuple[int, int]]:
    """Pairs of deposits of one track about `path` apart, each beginning where the one before ends."""
    found: list[tuple[int, int]] = []
    here = 0
    while here < len(rows):
        after = int(np.searchsorted(middle, middle[here] + path))
        near = [n for n in (after - 1, after) if here < n < len(rows)]
        best = min(near, key=lambda n: abs(middle[n] - middle[here] - path), default=None)
        if best is None:
            break
        if abs(middle[best] - middle[here] - path) > TOLERANCE * path or gaps[best] - gaps[here] > _GAP_CM:
            here += 1
            continue
        found.append((int(rows[here]), int(rows[best])))
        here = best
    return found


def projected_angles(before: Floats, after: Floats) -> Floats:
    """`(m, 2)` angles [rad] from `before` to `after`, unit vectors `(m, 3)`, on two planes through `before`.

    The planes are perpendicular to each other; the first holds the axis that `before` is farthest from.
    """
    axis = np.eye(3)[np.argmin(np.abs(before), axis=1)]
    one = axis - np.sum(axis * before, axis=1, keepdims=True) * before
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(before, one)
    along = np.sum(before * after, axis=1)
    return np.stack([np.arctan2(np.sum(side * after, axis=1), along) for side in (one, two)], axis=1)


def expected_width(tracks: Tracks, found: Deflections, kinetic_energy: Floats) -> Floats:
    """`(m,)` Highland's width [rad] of each deflection; NaN where the energy is not known or nearly used up on the way.

    `kinetic_energy` `(n,)` [MeV] in the middle of each deposit. As p v falls on the way, the mean square of the widths
    at both ends and (four times) halfway is taken, by Simpson's rule.
    """
    track, width = tracks.number[found.earlier], np.full(len(found), np.nan)
    start, end = kinetic_energy[found.earlier], kinetic_energy[found.later]
    for code in IONISING:
        mine = of_species(tracks, code)[track]
        known = mine & np.isfinite(start) & np.isfinite(end) & (end > 0.3 * start) & (start > 0)
        if not known.any():
            continue
        path, heavy = found.path[known], mass(code)
        ends = [highland_width(energy[known], path, heavy) ** 2 for energy in (start, end)]
        halfway = highland_width(0.5 * (start + end)[known], path, heavy) ** 2
        width[known] = np.sqrt((ends[0] + 4 * halfway + ends[1]) / 6)
    return width


def half_width(values: Floats) -> float:
    """Half the distance between the 16 % and 84 % quantiles: the standard deviation of a Gaussian, blind to tails."""
    low, high = np.quantile(values, (0.158655, 0.841345))
    return float(high - low) / 2
