"""Tracks within a table of segments: who belongs together, in which order, and where along the path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats, Ints, Segments, common_numbers

#: Deposits of a track that are further apart [cm] have a gap between them; rounding of single precision is far below.
GAP_CM = 0.01


@dataclass(frozen=True)
class Tracks:
    """The tracks of a sample, sorted by event and trajectory; deposits of a track are in the order of the file.

    `index` `(n,)` track of each row; `event_id`, `traj_id`, rows of the `first` and `last` deposit: `(tracks,)`.
    """

    index: Ints
    event_id: Ints
    traj_id: Ints
    first: Ints
    last: Ints

    def __len__(self) -> int:
        return len(self.event_id)


def tracks_of(segments: Segments) -> Tracks:
    """The tracks of a sample."""
    index = segments.track_index()
    first = np.unique(index, return_index=True)[1]
    last = len(index) - 1 - np.unique(index[::-1], return_index=True)[1]
    return Tracks(index, segments.event_id[first], segments.traj_id[first], first, last)


@dataclass(frozen=True)
class Path:
    """Deposits in the order of their tracks: `rows` `(n,)` of the table, and for each of these rows, in that order,

    `track` `(n,)`, the path [cm] `begin`, `end` `(n,)` along its track from the first start, and `run` `(n,)`: a track
    with a gap, where deposits were cut away or nothing was lost, has a run before and a run after it.
    """

    rows: Ints
    track: Ints
    begin: Floats
    end: Floats
    run: Ints


def path_of(segments: Segments) -> Path:
    """The path along every track; gaps count with the distance between the deposits on both sides."""
    index = segments.track_index()
    rows = np.argsort(index, kind="stable")
    track, start, end = index[rows], segments.start[rows], segments.end[rows]
    new = np.concatenate([[True], track[1:] != track[:-1]]) if len(rows) else np.zeros(0, dtype=np.bool_)
    gap = np.zeros(len(rows))
    gap[1:] = np.linalg.norm(start[1:] - end[:-1], axis=1)
    gap[new] = 0.0
    # Gap and deposit in turn, so that one deposit ends exactly where the next begins if there is none.
    walked = np.cumsum(np.stack([gap, segments.length[rows]], axis=1).ravel()).reshape(-1, 2)
    head = np.flatnonzero(new)
    origin = np.concatenate([[0.0], walked[head[1:] - 1, 1]])[np.cumsum(new) - 1] if len(rows) else np.zeros(0)
    run = np.cumsum(new | (gap > GAP_CM)) - 1
    return Path(rows, track, walked[:, 0] - origin, walked[:, 1] - origin, run.astype(np.int64))


def occurrence(*columns: Ints) -> Ints:
    """`(n,)` how many earlier rows have the same values: 0 everywhere where rows are unique."""
    if not len(columns[0]):
        return np.zeros(0, dtype=np.int64)
    number = common_numbers(np.stack(columns, axis=1))[0]
    order = np.argsort(number, kind="stable")
    position = np.arange(len(number))
    head = np.concatenate([[0], np.flatnonzero(np.diff(number[order])) + 1])
    size = np.diff(np.append(head, len(number)))
    found = np.empty(len(number), dtype=np.int64)
    found[order] = position - np.repeat(head, size)
    return found


def identity(segments: Segments) -> tuple[Ints, Ints, Ints, Ints]:
    """Columns `(n,)` that tell deposits apart: event, trajectory, number, and the how-many-th of that number."""
    numbers = (segments.event_id, segments.traj_id, segments.segment_id)
    return (*numbers, occurrence(*numbers))
