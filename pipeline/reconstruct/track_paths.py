"""Geometry of paths made of straight pieces: places along them, distances from them, straight lines through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats, Ints

#: Points whose distances to all pieces of a path are held at once.
_AT_ONCE = 4096


@dataclass(frozen=True)
class PathPlaces:
    """Where points are beside a path. `(n,)`: `along` [cm] from its begin, negative before it and more than its length
    after its end, where the first and last piece go on; `piece`, its number. `(n, 3)` `offset` [cm] from the point to
    its place on the path: perpendicular to the piece, except at kinks.
    """

    along: Floats
    piece: Ints
    offset: Floats


@dataclass(frozen=True)
class StraightPieces:
    """A path through `points` `(m + 1, 3)` [cm], with `begin` `(m + 1,)` [cm], the distance along it to each."""

    points: Floats
    begin: Floats

    @staticmethod
    def through(points: Floats) -> StraightPieces:
        """The path through these points; points that do not move on are left out."""
        step = np.linalg.norm(np.diff(points, axis=0), axis=1)
        kept = points[np.append(True, step > 0)]
        length = np.linalg.norm(np.diff(kept, axis=0), axis=1)
        return StraightPieces(kept, np.append(0.0, np.cumsum(length)))

    @property
    def length(self) -> float:
        """Length [cm] from begin to end."""
        return float(self.begin[-1])

    @property
    def directions(self) -> Floats:
        """`(m, 3)` unit vectors along the pieces."""
        step = np.diff(self.points, axis=0)
        return np.asarray(step / np.linalg.norm(step, axis=1)[:, None])

    def places(self, points: Floats) -> PathPlaces:
        """The nearest place on the path for each of `points` `(n, 3)` [cm]."""
        parts = [self._places(points[k : k + _AT_ONCE]) for k in range(0, max(len(points), 1), _AT_ONCE)]
        return PathPlaces(*(np.concatenate([getattr(p, n) for p in parts]) for n in ("along", "piece", "offset")))

    def _places(self, points: Floats) -> PathPlaces:
        unit, length = self.directions, np.diff(self.begin)
        along = np.einsum("nmi,mi->nm", points[:, None] - self.points[:-1], unit)
        low, high = np.zeros(len(length)), length.copy()
        low[0], high[-1] = -np.inf, np.inf
        along = np.clip(along, low, high)
        place = self.points[:-1] + along[..., None] * unit
        offset = place - points[:, None]
        # Going on beyond the ends must not win where the path itself bends back.
        piece = ((offset**2).sum(axis=2) + 1e-9 * np.abs(along)).argmin(axis=1)
        row = np.arange(len(points))
        return PathPlaces(self.begin[piece] + along[row, piece], piece.astype(np.int64), offset[row, piece])

    def at(self, along: Floats) -> Floats:
        """`(n, 3)` points [cm] at distances `along` `(n,)` [cm] from the begin, held within the path."""
        return np.stack([np.interp(along, self.begin, self.points[:, k]) for k in range(3)], axis=1)

    def between(self, low: float, high: float) -> Floats:
        """`(k, 3)` points of the part of the path from `low` to `high` [cm] along it."""
        inside = self.points[(self.begin > low) & (self.begin < high)]
        ends = self.at(np.array([low, high]))
        return np.concatenate([ends[:1], inside, ends[1:]])


def line_of(points: Floats) -> Floats:
    """`(3,)` direction of the straight line with the least mean square distance from the path through `points`.

    The mean is over the length of the path, from its first to its last point; the line points from first to last.
    """
    step = np.diff(points, axis=0)
    length = np.linalg.norm(step, axis=1)
    middle = 0.5 * (points[1:] + points[:-1])
    middle = middle - (length[:, None] * middle).sum(axis=0) / length.sum()
    # A piece spreads about its middle as a uniform rod.
    spread = np.einsum("n,ni,nj->ij", length, middle, middle) + np.einsum("n,ni,nj->ij", length, step, step) / 12
    direction = np.linalg.eigh(spread)[1][:, -1]
    return np.asarray(direction * np.sign(direction @ (points[-1] - points[0]) or 1.0))
