"""Tracks as the fit sees them: chains of straight segments whose vertices and energy losses may move.

The state of a track is a vector: of each vertex its shifts [cm] in the anode plane, across the track, and along the
drift; at ends that may move, along the track; of each segment u = ln(dE/dx [MeV/cm]). Segments whose places are known
have u alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ...matter.ranges import RangeTable
from ...simulate.linked import MOVES
from ...tables import Bools, Floats, Ints, Segments

#: Tracks run along the drift if the cosine of the angle between them is larger.
_STEEP = 0.95
#: No vertex moves by more [cm] in one step of its own; it follows parameters as far as it takes.
_FARTHEST = 0.1
#: No u by more, down and up.
_LOWEST, _HIGHEST = 1.0, 3.0
#: No segment becomes shorter than this [cm].
_SHORTEST = 0.02
#: Parts of segments of particles that stop are at most this part of the residual range where they begin, ...
_PART = 0.2
#: ... but for the last one, of this length [cm].
_LAST = 0.03


@dataclass(frozen=True)
class Profile:
    """How the loss changes within segments of particles that stop: what recombines is not the mean of a segment.

    Segments have parts `(m,)`, in order: `owner` is the segment, `low` and `high` are the ends as fractions of its
    length. `table`: range against energy of the particle, after which parts share the loss of their segment.
    """

    table: RangeTable
    owner: Ints
    low: Floats
    high: Floats

    @staticmethod
    def of(table: RangeTable, length: Floats, residual: Floats) -> Profile:
        """Parts of segments of `length` `(n,)` [cm] whose centres are `residual` `(n,)` [cm] from the end."""
        owner, low, high = [], [], []
        for i, (whole, to_start) in enumerate(zip(length, residual + 0.5 * length, strict=True)):
            to_end = max(to_start - whole, 0.0)
            last = max(to_end, min(_LAST, 0.5 * whole))
            count = int(np.ceil(np.log(to_start / last) / -np.log(1 - _PART) - 1e-9))
            ranges = to_start * (last / to_start) ** (np.arange(count + 1) / count)
            ranges = ranges if last == to_end else np.append(ranges, to_end)
            places = (to_start - ranges) / whole
            owner.append(np.full(len(places) - 1, i))
            low.append(places[:-1])
            high.append(np.append(places[1:-1], 1.0))
        return Profile(table, *(np.concatenate(v) for v in (owner, low, high)))

    def log_shares(self, length: Floats, residual: Floats) -> tuple[Floats, Floats, Floats]:
        """`(m,)` logarithm of the dE/dx of parts over that of their segment (arguments as for `of`), and its
        derivatives [1/cm] to the residual range at fixed length, and to the length at a fixed end of the segment."""
        whole, to_end = length[self.owner], (residual - 0.5 * length)[self.owner]
        energy, by_range, by_length = [], [], []
        for place in (self.low, self.high, np.zeros_like(self.low), np.ones_like(self.low)):
            left = np.maximum(to_end + (1 - place) * whole, 0.0)
            energy.append(self.table.energy(left))
            by_range.append(self.table.loss(left))
            by_length.append(by_range[-1] * (1 - place))
        own, all_ = energy[0] - energy[1], energy[2] - energy[3]
        shares = np.log(own / all_) - np.log(self.high - self.low)
        slopes = [(of[0] - of[1]) / own - (of[2] - of[3]) / all_ for of in (by_range, by_length)]
        return shares, slopes[0], slopes[1]


@dataclass(frozen=True)
class Chains:
    """Tracks of straight segments, end to end.

    `segments` are sorted by track, each track's in order from its start to its end; `track` `(n,)` counts tracks from
    0. `loose`: whether vertices may move; `sliding`: whether ends may move along their tracks, too. `axes` `(v, 3, 3)`:
    those of the moves of each vertex, and the direction of the track there (see `_axes`); a track of n segments has
    n + 1. `profile`: how the loss changes within segments; None: it does not.
    """

    segments: Segments
    track: Ints
    loose: bool
    axes: Floats
    sliding: bool = True
    profile: Profile | None = None

    @staticmethod
    def of(segments: Segments, *, loose: bool, sliding: bool = True) -> Chains:
        """Segments as they come from reconstruction, or (not `loose`) any others. Zero lengths must be gone."""
        track = segments.track_index()
        order = np.argsort(track, kind="stable")
        segments, track = segments.take(order), track[order]
        made = Chains(segments, track, loose, np.zeros((0, 3, 3)), sliding)
        return replace(made, axes=_axes(made.vertices, made.first_of_track, drifting=not sliding)) if loose else made

    def stopping(self, table: RangeTable) -> Chains:
        """The tracks of particles with this range table that stop at their ends."""
        return replace(self, profile=Profile.of(table, self.segments.length, self.residual_range))

    @cached_property
    def deposits(self) -> Segments:
        """The segments in parts of one dE/dx each."""
        if self.profile is None:
            return self.segments
        p = self.profile
        whole = self.segments.take(p.owner)
        step, part = whole.end - whole.start, p.high - p.low
        dedx = whole.dEdx * np.exp(p.log_shares(self.segments.length, self.residual_range)[0])
        return whole.replace(
            segment_id=np.arange(len(whole)),
            start=whole.start + p.low[:, None] * step,
            end=whole.start + p.high[:, None] * step,
            dx=whole.dx * part,
            dEdx=dedx,
            dE=dedx * whole.dx * part,
        )

    @property
    def tracks(self) -> int:
        """Number of tracks."""
        return int(self.track[-1]) + 1 if len(self.track) else 0

    @cached_property
    def track_of_deposits(self) -> Ints:
        """`(m,)` which track each of the `deposits` is of."""
        return self.track if self.profile is None else self.track[self.profile.owner]

    @cached_property
    def track_of_vertices(self) -> Ints:
        """`(v,)` which track each vertex is of."""
        return np.repeat(np.arange(self.tracks), np.diff(self.first_of_track))

    @cached_property
    def track_of_columns(self) -> Ints:
        """`(size,)` which track each element of the state is of."""
        of = np.zeros(self.size, dtype=np.int64)
        of[self.energy_columns] = self.track
        if self.loose:
            column, vertex, _ = self.vertex_columns()
            of[column] = self.track_of_vertices[vertex]
        return of

    @cached_property
    def start_vertex(self) -> Ints:
        """`(n,)` number of the vertex where each segment starts; it ends at the next."""
        return np.arange(len(self.track)) + self.track

    @cached_property
    def first_of_track(self) -> Ints:
        """`(tracks + 1,)` first vertex of each track, and the number of vertices."""
        counts = np.bincount(self.track, minlength=self.tracks) + 1
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def at_end(self) -> Bools:
        """`(v,)` whether a vertex is one of the two ends of its track."""
        ends = np.zeros(int(self.first_of_track[-1]), dtype=bool)
        ends[self.first_of_track[:-1]] = ends[self.first_of_track[1:] - 1] = True
        return ends

    @property
    def _shifts(self) -> Ints:
        """`(v,)` number of axes along which each vertex may move."""
        return np.where(self.at_end & self.sliding, 3, 2)

    @cached_property
    def vertices(self) -> Floats:
        """`(v, 3)` [cm]."""
        points = np.zeros((int(self.first_of_track[-1]), 3))
        points[self.start_vertex] = self.segments.start
        points[self.start_vertex + 1] = self.segments.end
        return points

    @property
    def across(self) -> Floats:
        """`(v, 2, 3)` two axes across the track at each vertex."""
        one = self.axes[:, 0]
        return np.stack([one, np.cross(self.axes[:, 2], one)], axis=1)

    @cached_property
    def _freedom(self) -> tuple[Ints, Ints]:
        """First column of each vertex `(v,)`, and the column of each segment's u `(n,)`."""
        if not self.loose:
            return np.zeros(0, dtype=np.int64), np.arange(len(self.track))
        wide = self._shifts
        # In the order along the track, so that what belongs together stands together.
        has_segment = np.ones(len(wide), dtype=np.int64)
        has_segment[self.first_of_track[1:] - 1] = 0
        start = np.concatenate([[0], np.cumsum(wide + has_segment)])
        return start[:-1], (start[:-1] + wide)[self.start_vertex]

    @property
    def size(self) -> int:
        """Length of the state."""
        first, energy = self._freedom
        return max(int(first[-1] + self._shifts[-1]) if len(first) else 0, int(energy[-1]) + 1 if len(energy) else 0)

    @property
    def energy_columns(self) -> Ints:
        """`(n,)` columns of the state that hold u."""
        return self._freedom[1]

    @property
    def end_columns(self) -> Ints:
        """`(tracks,)` columns of the shifts of the last vertices along their tracks; only where these are `sliding`."""
        return self._freedom[0][self.first_of_track[1:] - 1] + 2

    @property
    def start_columns(self) -> Ints:
        """`(tracks,)` the same of the first vertices."""
        return self._freedom[0][self.first_of_track[:-1]] + 2

    @property
    def first(self) -> Ints:
        """`(tracks,)` first segment of each track."""
        return np.searchsorted(self.track, np.arange(self.tracks))

    @property
    def last(self) -> Ints:
        """`(tracks,)` last segment of each track."""
        return np.searchsorted(self.track, np.arange(self.tracks), side="right") - 1

    @property
    def residual_range(self) -> Floats:
        """`(n,)` [cm] from the centre of each segment to the end of its track."""
        length = self.segments.length
        after = np.cumsum(length[::-1])[::-1]
        last = self.last[self.track]
        return np.asarray(after - after[last] + length[last] - 0.5 * length)

    def vertex_columns(self) -> tuple[Ints, Ints, Floats]:
        """All columns of vertices: their numbers, the vertex of each, and its axis `(k, 3)`."""
        first = self._freedom[0]
        if not self.loose:
            return first, first, np.zeros((0, 3))
        vertex = np.repeat(np.arange(len(first)), self._shifts)
        axis = np.arange(len(vertex)) - np.searchsorted(vertex, vertex)
        return first[vertex] + axis, vertex, self.axes[vertex, axis]

    @property
    def log_dedx(self) -> Floats:
        """`(n,)` u of the segments."""
        return np.asarray(np.log(self.segments.dEdx))

    def moves(self, steepness: Floats) -> sparse.csr_array:
        """`(7 m, size)`: what each element of the state does to each of the `deposits`, in `MOVES`.

        `steepness` `(m,)` is d ln(charge) / d u of a deposit of fixed length: a longer one of the same dE/dx holds
        charge in proportion.
        """
        moved = self._moves_of_segments()
        profile = self.profile
        if profile is None:
            owner = np.arange(len(self.track))
            low, part = np.zeros(len(owner)), np.ones(len(owner))
        else:
            owner, low, part = profile.owner, profile.low, profile.high - profile.low
        m, wide = len(owner), len(MOVES)
        row, from_ = wide * np.arange(m), wide * owner
        # u; ln(length), as energy; places of nodes, counted from the ends of the deposit.
        rows, columns, values = [row, row], [from_, len(MOVES) * len(self.track) + owner], [np.ones(m), 1 / steepness]
        for k in range(1, 4):
            rows += [row + k, row + k, row + k + 3]
            columns += [from_ + k, from_ + k + 3, from_ + k + 3]
            values += [np.ones(m), low, part]
        shape = (wide * m, moved.shape[0])
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        of_deposits = sparse.csr_array(sparse.coo_array(entries, shape=shape)) @ moved
        return of_deposits if profile is None or not self.loose else of_deposits + self._changes_of_profile(profile)

    @property
    def growth(self) -> sparse.csr_array:
        """`(n, size)` change of the logarithm of the length of each segment by each element of the state."""
        return self._moves_of_segments()[len(MOVES) * len(self.track) :]

    def _moves_of_segments(self) -> sparse.csr_array:
        """`(8 n, size)`: u and shifts of the nodes of each segment in `MOVES`, then changes of all ln(length)."""
        n, wide = len(self.track), len(MOVES)
        energy = wide * np.arange(n)
        rows, columns, values = [energy], [self.energy_columns], [np.ones(n)]
        if self.loose:
            column, vertex, axis = self.vertex_columns()
            segment_after = np.full(len(self.at_end), -1)
            segment_after[self.start_vertex] = np.arange(n)
            segment_before = np.full(len(self.at_end), -1)
            segment_before[self.start_vertex + 1] = np.arange(n)
            direction = (self.segments.end - self.segments.start) / self.segments.length[:, None]
            for segments, sign, of_all in ((segment_after, -1.0, 1.0), (segment_before, 1.0, 0.0)):
                there = segments[vertex] >= 0
                s, w, c = segments[vertex][there], axis[there], column[there]
                rows.append(wide * n + s)
                columns.append(c)
                values.append(sign * (w * direction[s]).sum(axis=1) / self.segments.length[s])
                for k in range(3):
                    rows += [wide * s + 1 + k, wide * s + 4 + k]
                    columns += [c, c]
                    values += [of_all * w[:, k], sign * w[:, k]]
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return sparse.csr_array(sparse.coo_array(entries, shape=((wide + 1) * n, self.size)))

    def _changes_of_profile(self, profile: Profile) -> sparse.csr_array:
        """`(7 m, size)`: how the loss of deposits changes as their tracks grow at either end."""
        _, by_range, by_length = profile.log_shares(self.segments.length, self.residual_range)
        first, last = self.first, self.last
        track = self.track[profile.owner]
        of_last, of_first = profile.owner == last[track], profile.owner == first[track]
        at_end = np.where(of_last, by_length, by_range)
        row = len(MOVES) * np.arange(len(track))
        entries = (
            np.concatenate([at_end, -by_length[of_first]]),
            (
                np.concatenate([row, row[of_first]]),
                np.concatenate([self.end_columns[track], self.start_columns[track[of_first]]]),
            ),
        )
        return sparse.csr_array(sparse.coo_array(entries, shape=(len(MOVES) * len(track), self.size)))

    def moved(self, step: Floats) -> Chains:
        """The tracks after a `step` `(size,)` of their state.

        Upwards, a step of u is taken for one of the charge, to which hits are linear: dE/dx grows by 1 + step.
        """
        by = np.clip(step[self.energy_columns], -_LOWEST, _HIGHEST)
        dedx = self.segments.dEdx * np.where(by > 0, 1 + by, np.exp(by))
        start, end = self.segments.start, self.segments.end
        if self.loose:
            column, vertex, axis = self.vertex_columns()
            points = self.vertices.copy()
            np.add.at(points, vertex, step[column][:, None] * axis)
            start, end = points[self.start_vertex], points[self.start_vertex + 1]
        return self.placed(start, end, dedx)

    def bounded(self, step: Floats) -> Floats:
        """A `step` `(size,)` in which no vertex moves too far."""
        bounded = np.clip(step, -_FARTHEST, _FARTHEST)
        bounded[self.energy_columns] = step[self.energy_columns]
        return bounded

    def placed(self, start: Floats, end: Floats, dedx: Floats) -> Chains:
        """The tracks with segments from `start` to `end` `(n, 3)` that lose `dedx` `(n,)`."""
        dx = np.linalg.norm(end - start, axis=1) if self.loose else self.segments.dx
        return replace(self, segments=self.segments.replace(start=start, end=end, dx=dx, dEdx=dedx, dE=dedx * dx))

    @cached_property
    def farthest(self) -> Floats:
        """`(size,)` the longest step of each element of the state that is taken whole."""
        far = np.full(self.size, _FARTHEST)
        far[self.energy_columns] = _LOWEST
        return far

    def room(self, step: Floats) -> Floats:
        """`(tracks,)` the part of a step, at most 1, that keeps every segment longer than `_SHORTEST`, and in its
        direction."""
        part = np.ones(self.tracks)
        if not self.loose:
            return part
        direction = self.segments.end - self.segments.start
        for _ in range(20):
            after = self.moved(part[self.track_of_columns] * step).segments
            ahead = ((after.end - after.start) * direction).sum(axis=1) / np.linalg.norm(direction, axis=1)
            short = ahead <= np.minimum(_SHORTEST, 0.5 * self.segments.length)
            if not short.any():
                break
            part[self.track[short]] *= 0.5
        return part


def _axes(vertices: Floats, first: Ints, *, drifting: bool) -> Floats:
    """`(v, 3, 3)` axes at each vertex: in the anode plane and across the track; along the drift, or (not `drifting`)
    across the track, too; along the track.

    Pixels know places in their plane, and times those along the drift: vertices that moved across their tracks alone
    would tie places in the plane to the drift velocity at which tracks were found, and so tell of it what nobody knows.
    Where tracks run along the drift, vertices move across them; and of particles that stop, whose ends move along their
    tracks: there a shift along the drift would change the residual range of all that is before it.
    """
    along = np.zeros_like(vertices)
    along[1:-1] = vertices[2:] - vertices[:-2]
    along[first[:-1]] = vertices[first[:-1] + 1] - vertices[first[:-1]]
    along[first[1:] - 1] = vertices[first[1:] - 1] - vertices[first[1:] - 2]
    along /= np.linalg.norm(along, axis=1)[:, None]
    aside = np.abs(along[:, 2:]) < _STEEP
    one = np.cross(along, np.where(aside, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]))
    one /= np.linalg.norm(one, axis=1)[:, None]
    other = np.where(aside & drifting, [[0.0, 0.0, 1.0]], np.cross(along, one))
    return np.stack([one, other, along], axis=1)
