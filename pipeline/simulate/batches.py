"""Batches of whole tracks that share no pixel: each can be simulated, and compared with data, without the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..tables import Bools, Floats, Ints, Observables, Segments, common_numbers
from .model import ForwardModel
from .observe import PixelObservables
from .plan import Plan


@dataclass(frozen=True)
class Division:
    """A division of segments: `segments` `(n,)` is the batch of each segment, 0 ... count - 1; `pixels` `(p,)` that of
    the pixels `event`, `channel` `(p,)`, sorted, that its charge can reach.
    """

    count: int
    segments: Ints
    event: Ints
    channel: Ints
    pixels: Ints

    def of_observables(self, table: Observables) -> Ints:
        """`(h,)` batch of each observable. Those on pixels that no charge reaches go with the first batch of their
        event, or with batch 0 where the event has no segments.
        """
        mine, theirs = common_numbers(*(np.stack([t.event, t.channel], axis=1) for t in (self, table)))
        batch = np.full(max(mine.max(initial=-1), theirs.max(initial=-1)) + 1, -1, dtype=np.int64)
        batch[mine] = self.pixels
        found = batch[theirs]
        lost = found < 0
        if lost.any() and len(self.event):
            events, first = np.unique(self.event, return_index=True)
            row = np.minimum(np.searchsorted(events, table.event[lost]), len(events) - 1)
            found[lost] = np.where(events[row] == table.event[lost], self.pixels[first[row]], 0)
        return np.maximum(found, 0)


def observable_batches(
    model: ForwardModel, data: Observables, length: float, seed: int, values: Mapping[str, float] | None = None
) -> Iterator[tuple[PixelObservables, Observables]]:
    """Models of batches of up to `length` [cm] of track, each with the data that belong to it.

    Tracks are kept apart by the pixels that they reach at parameter `values` (others nominal), such as a shift.
    """
    division = divide(model.segments, model.plan(values or {}), length, seed)
    batch_of_data = division.of_observables(data)
    for batch in range(division.count):
        segments = model.segments.take(division.segments == batch)
        part = ForwardModel(segments, model.geometry, model.settings, model.pixels)
        yield PixelObservables(part), data.take(batch_of_data == batch)


def divide(segments: Segments, plan: Plan, length: float | None, seed: int) -> Division:
    """Divide a sample into batches of whole tracks of up to `length` [cm] (None: one batch).

    Tracks that reach a common pixel stay together, so that every recorded hit belongs to one batch. They are taken in
    an order fixed by the seed, which makes batches more alike than whole events are; a batch is closed when the next
    tracks would make it longer.
    """
    track = segments.track_index()
    tracks = int(track.max(initial=-1)) + 1
    track_of_pair = track[plan.segment]
    shape = (tracks + len(plan.event),) * 2
    ones = np.ones(len(plan.node), dtype=np.int8)
    links = coo_array((ones, (track_of_pair, tracks + plan.pixel)), shape=shape)
    group = connected_components(links, directed=False)[1].astype(np.int64)
    group_of_track, group_of_pixel = group[:tracks], group[tracks:]
    batch = _fill(
        group_of_track, np.bincount(track, segments.length, minlength=tracks).astype(np.float64), length, seed
    )
    # Numbers of groups are those of tracks or of pixels; every pixel of a plan is reached by some track.
    batch_of_group = np.zeros(group.max(initial=-1) + 1, dtype=np.int64)
    batch_of_group[group_of_track] = batch
    return Division(
        count=int(batch.max(initial=0)) + 1,
        segments=batch[track],
        event=plan.event,
        channel=plan.channel,
        pixels=batch_of_group[group_of_pixel],
    )


def _fill(group: Ints, lengths: Floats, length: float | None, seed: int) -> Ints:
    """`(tracks,)` batch of each track; groups of tracks go whole."""
    batch = np.zeros(len(group), dtype=np.int64)
    if length is None:
        return batch
    _, first = np.unique(group, return_index=True)
    number, filled = 0, 0.0
    for name in np.random.default_rng([seed, 4]).permutation(group[np.sort(first)]):
        together: Bools = group == name
        size = float(lengths[together].sum())
        if filled > 0 and filled + size > length:
            number, filled = number + 1, 0.0
        batch[together] = number
        filled += size
    return batch
