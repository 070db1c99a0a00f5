"""Cutting the path of tracks into new straight pieces: what `resegment` and `merge_segments` share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..tables import Floats, Ints, Segments
from .base import consistent
from .tracks import occurrence, path_of

#: Edges `(pieces + 1,)` [cm] of the new pieces along a run, from those of its deposits `(deposits + 1,)`.
Edges = Callable[[Floats], Floats]


def recut(segments: Segments, edges: Edges) -> Segments:
    """Every run of a track cut anew at `edges`; runs are never joined across a gap.

    A piece is the straight line between two points of the path; its dE is what lies between them if each deposit
    spreads its own evenly, its times are read off the path in the same way. The pieces stand where the first deposit
    of their run stood. Runs that keep their edges keep their rows; those of others have the `segment_id` of the
    deposit in which they begin, or, where that would be given twice, a new one above all of the event.
    """
    path = path_of(segments)
    heads = np.flatnonzero(np.concatenate([[True], np.diff(path.run) > 0])) if len(path.rows) else np.zeros(0, int)
    parts, place = [], []
    for head, tail in zip(heads, np.append(heads[1:], len(path.rows))):
        rows = path.rows[head:tail]
        run = segments.take(rows)
        old = np.concatenate([[0.0], np.cumsum(run.length)])
        # Deposits of no length would make pieces of none.
        new = np.unique(edges(old))
        parts.append(run if old[-1] == 0 or np.array_equal(old, new) else _cut(run, old, new))
        # Rows that stay as they are keep their own places, even among those of other tracks.
        place.append(rows if len(parts[-1]) == len(rows) else np.full(len(parts[-1]), rows[0]))
    if not parts:
        return segments
    result = Segments.concatenate(parts).take(np.argsort(np.concatenate(place), kind="stable"))
    return consistent(result.replace(segment_id=_unique_numbers(result, segments)))


def _cut(run: Segments, old: Floats, new: Floats) -> Segments:
    """The deposits of one run, which end at `old`, as pieces that end at `new` (both from 0 to the whole length)."""
    starting = np.clip(np.searchsorted(old, new[:-1], side="right") - 1, 0, len(run) - 1)
    ending = np.clip(np.searchsorted(old, new[1:], side="left") - 1, 0, len(run) - 1)
    into, out = _share(new[:-1], old, starting), _share(new[1:], old, ending)
    point = (1 - into) * run.start[starting].T + into * run.end[starting].T
    stop = (1 - out) * run.start[ending].T + out * run.end[ending].T
    dE, t0 = _collected(run, old, new)
    return run.take(starting).replace(
        start=point.T.copy(),
        end=stop.T.copy(),
        t0=t0,
        t0_start=run.t0_start[starting] + into * (run.t0_end - run.t0_start)[starting],
        t0_end=run.t0_start[ending] + out * (run.t0_end - run.t0_start)[ending],
        dE=dE,
    )


def _share(where: Floats, old: Floats, deposit: Ints) -> Floats:
    """How far into their deposits points of the path lie, 0 to 1."""
    length = np.diff(old)[deposit]
    inside = where - old[deposit]
    return np.clip(np.divide(inside, length, out=np.ones_like(inside), where=length > 0), 0.0, 1.0)


def _collected(run: Segments, old: Floats, new: Floats) -> tuple[Floats, Floats]:
    """dE [MeV] and mean time of deposit [us] of each piece, from the overlaps of deposits and pieces."""
    cuts = np.union1d(old, new)
    middle = 0.5 * (cuts[1:] + cuts[:-1])
    deposit = np.clip(np.searchsorted(old, middle, side="right") - 1, 0, len(run) - 1)
    piece = np.clip(np.searchsorted(new, middle, side="right") - 1, 0, len(new) - 2)
    overlap = np.diff(cuts)
    dE = run.dE[deposit] * overlap / np.diff(old)[deposit]
    # Deposits of no length overlap with nothing; what they hold goes to the piece in which they lie.
    points = np.flatnonzero(np.diff(old) == 0)
    piece = np.append(piece, np.clip(np.searchsorted(new, old[points], side="right") - 1, 0, len(new) - 2))
    deposit, dE, overlap = np.append(deposit, points), np.append(dE, run.dE[points]), np.append(overlap, 0 * points)
    count = len(new) - 1
    # Differences to the first time: what is deposited at one time stays at that time to the last bit.
    late = np.bincount(piece, overlap * (run.t0 - run.t0[0])[deposit], count) / np.bincount(piece, overlap, count)
    return np.bincount(piece, dE, count).astype(np.float64), np.asarray(run.t0[0] + late)


def _unique_numbers(pieces: Segments, before: Segments) -> Ints:
    """`segment_id` of pieces: as it is where it comes first in its event, else counted on from the highest before."""
    repeated = occurrence(pieces.event_id, pieces.segment_id) > 0
    events, event = np.unique(pieces.event_id, return_inverse=True)
    highest = np.zeros(len(events), dtype=np.int64)
    np.maximum.at(highest, np.searchsorted(events, before.event_id), before.segment_id)
    number = pieces.segment_id.copy()
    index = event.reshape(-1)[repeated]
    number[repeated] = highest[index] + 1 + occurrence(index)
    return number
