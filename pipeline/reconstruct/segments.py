"""From a fitted curve to a track with a beginning and an end, cut into segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..matter.scattering import across
from ..tables import Floats, Ints
from .curve import displacements, frames
from .polyline import arc, at, cut_evenly, inside, lengths

#: A piece at an end that has less than this fraction of the charge of those beside it holds the end of the track.
_FULL = 0.6
#: Pieces beside an end that tell the charge per length there.
_BESIDE = 8
#: Tracks that end this close [cm] to the border of the active volume go on to it.
_TO_BORDER = 0.8
#: An end this far [cm] from the border may be where the particle stopped.
_CONTAINED = 1.0
#: Length [cm] over which the charge at both ends is compared.
_BRAGG = 4.0


@dataclass(frozen=True)
class Cut:
    """A track of segments: `vertices` `(k + 1, 3)` [cm] from its start to its end, `charge` `(k,)` [electrons] of the
    segments before attenuation, `position_error` `(k, 2)` [cm]; `contained`: whether its end lies inside the detector,
    `cathode`, `anode`: whether it crosses the cathode and at how many ends an anode; `direction` `(3,)` and
    `covariance` `(4, 4)` of its straight line (see `tables.Tracks`).
    """

    vertices: Floats
    charge: Floats
    position_error: Floats
    contained: bool
    cathode: bool
    anode: int
    direction: Floats
    covariance: Floats

    @property
    def length(self) -> float:
        """Length [cm] along the track."""
        return float(lengths(self.vertices).sum())


def cut_track(
    vertices: Floats, charge: Floats, precision: Floats, geometry: DetectorGeometry, spacing: float
) -> Cut | None:
    """Cut a curve `(m + 1, 3)` with `charge` `(m,)` into segments of about `spacing` [cm].

    `precision` is that of the displacements across the curve and the charges (`refine.Refined`). None if nothing of the
    curve lies inside the detector.
    """
    low, high = geometry.bounds
    begin, end, collected = _extent(vertices, charge)
    if end <= begin or inside(vertices, low, high) is None:
        return None
    begin, end = _to_border(vertices, begin, end, low, high)
    covariance = _covariance(precision, len(vertices))
    cut = cut_evenly(vertices, spacing, begin, end)
    s = np.linspace(begin, end, len(cut))
    own = np.diff(np.interp(s, arc(vertices), collected))
    # What lies beyond the ends of the track, but inside the detector, is theirs.
    own[0] += np.interp(begin, arc(vertices), collected) if _within(vertices[0], low, high) else 0.0
    own[-1] += collected[-1] - np.interp(end, arc(vertices), collected) if _within(vertices[-1], low, high) else 0.0
    error = _position_errors(vertices, covariance, 0.5 * (s[1:] + s[:-1]))
    line, line_covariance = _line(vertices, covariance, begin, end)
    backwards = _backwards(cut, own, low, high)
    if backwards:
        cut, own, error, line = cut[::-1].copy(), own[::-1].copy(), error[::-1].copy(), -line
        line_covariance = _line(vertices[::-1], _reversed(covariance), 0.0, float(arc(vertices)[-1]))[1]
    anodes = np.array([t.z_anode for t in geometry.tpcs])
    return Cut(
        vertices=cut,
        charge=np.maximum(own, 0.0),
        position_error=error,
        contained=_depth(cut[-1], low, high) > _CONTAINED,
        cathode=len(np.unique(geometry.tpc_of(cut)[geometry.tpc_of(cut) >= 0])) > 1,
        anode=int(sum(np.abs(cut[i, 2] - anodes).min() < 0.1 for i in (0, -1))),
        direction=line,
        covariance=line_covariance,
    )


def _extent(vertices: Floats, charge: Floats) -> tuple[float, float, Floats]:
    """Lengths along a curve at which its track begins and ends, and `(m + 1,)` charge up to each vertex.

    A piece of the fraction f < `_FULL` of the charge per length beside it is taken to be filled over f of its length.
    """
    h = lengths(vertices)
    density = charge / h

    def missing(order: Ints) -> float:
        lost = 0.0
        for n, i in enumerate(order[: len(order) // 2]):
            beside = np.median(density[order[n + 1 : n + 1 + _BESIDE]])
            fraction = float(np.clip(density[i] / max(beside, 1e-30), 0.0, 1.0))
            if fraction >= _FULL:
                break
            lost += (1 - fraction) * h[i]
            if fraction > 0.2:
                break
        return lost

    rows = np.arange(len(h))
    total = float(h.sum())
    return missing(rows), total - missing(rows[::-1]), np.concatenate([[0.0], np.cumsum(charge)])


def _to_border(vertices: Floats, begin: float, end: float, low: Floats, high: Floats) -> tuple[float, float]:
    """The part of a curve inside the detector, continued to its border where that is near."""
    ends = at(vertices, np.array([begin - _TO_BORDER, end + _TO_BORDER]))
    inner = arc(vertices)
    inner = inner[(inner > begin) & (inner < end)]
    points = np.concatenate([ends[:1], at(vertices, np.concatenate([[begin], inner, [end]])), ends[1:]])
    along = np.concatenate([[begin - _TO_BORDER, begin], inner, [end, end + _TO_BORDER]])
    span = inside(points, low, high)
    assert span is not None
    first, last = along[0] + span[0], along[0] + span[1]
    # Only where the continuation meets the border: it must not go on inside.
    first = first if first > along[0] + 1e-9 else begin
    last = last if last < along[-1] - 1e-9 else end
    return float(first), float(last)


def _within(point: Floats, low: Floats, high: Floats) -> bool:
    return bool(((point >= low) & (point <= high)).all())


def _depth(point: Floats, low: Floats, high: Floats) -> float:
    """Distance [cm] of a point inside the box to its nearest face."""
    return float(np.minimum(point - low, high - point).min())


def _backwards(vertices: Floats, charge: Floats, low: Floats, high: Floats) -> bool:
    """Whether the last vertex is rather the start of the track.

    A particle that stops leaves more charge at its end; where only one end lies inside, that is where it stopped.
    Otherwise the start is the end nearer to the border.
    """
    depth = [_depth(vertices[i], low, high) for i in (0, -1)]
    inside_ = [d > _CONTAINED for d in depth]
    if all(inside_):
        density = charge / lengths(vertices)
        few = max(int(min(_BRAGG / lengths(vertices)[0], len(charge) // 2)), 1)
        return bool(density[:few].mean() > density[-few:].mean())
    return depth[0] > depth[1]


def _covariance(precision: Floats, vertices: int) -> Floats:
    """Covariance of the displacements of the vertices, charges unknown."""
    # In units in which the diagonal is one: centimetres and electrons differ by many powers of ten.
    scale = 1 / np.sqrt(np.maximum(np.diag(precision), 1e-30))
    inverse = np.linalg.inv(precision * np.outer(scale, scale) + 1e-10 * np.eye(len(scale)))
    return np.asarray((inverse * np.outer(scale, scale))[: 2 * vertices, : 2 * vertices])


def _reversed(covariance: Floats) -> Floats:
    """The covariance of the vertices in the opposite order."""
    order = np.arange(len(covariance)).reshape(-1, 2)[::-1].ravel()
    return np.asarray(covariance[np.ix_(order, order)])


def _position_errors(vertices: Floats, covariance: Floats, s: Floats) -> Floats:
    """`(k, 2)` standard deviations [cm] at lengths `s` along the curve, on the axes of the nearest vertex."""
    variance = np.diag(covariance).reshape(-1, 2)
    along = arc(vertices)
    return np.sqrt(np.stack([np.interp(s, along, variance[:, i]) for i in range(2)], axis=1))


def _line(vertices: Floats, covariance: Floats, begin: float, end: float) -> tuple[Floats, Floats]:
    """Direction of the straight line through the vertices between two lengths, and its covariance `(4, 4)`.

    The line is linear in the vertices, so their covariance goes straight through.
    """
    along = arc(vertices)
    use = (along >= begin) & (along <= end)
    if use.sum() < 2:
        use[:] = True
    points = vertices[use]
    centre = points.mean(axis=0)
    direction = np.linalg.svd(points - centre)[2][0]
    direction = direction if direction @ (vertices[-1] - vertices[0]) > 0 else -direction
    one, two = across(direction[None])
    axes = np.stack([one[0], two[0]])
    a = (points - centre) @ direction
    moments = np.stack([np.full(len(a), 1 / len(a)), a / max(float((a**2).sum()), 1e-30)])
    # (4, 3 per vertex): offsets along both axes, then slopes.
    matrix = np.einsum("ov,ak->oavk", moments, axes).reshape(4, -1)
    rows = np.repeat(use, 3)
    whole = np.zeros((4, len(rows)))
    whole[:, rows] = matrix
    to_space = whole @ displacements(frames(vertices)).toarray()
    found = to_space @ covariance @ to_space.T
    return direction, np.asarray(0.5 * (found + found.T))
