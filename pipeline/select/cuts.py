"""Selection cuts, those of arXiv:2309.04639 by default, and what each of them leaves.

A cut is one function and one line in `CUTS`, named as its entry of the config section `select`; they act in the order
of `CUTS`. Cuts on whole tracks come before the one that drops segments, so a track is judged by all of its deposits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..config.selection import Select
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..tables import Bools, CutStep, Floats, Ints, Segments


@dataclass(frozen=True)
class Context:
    """What a cut may need beside the segments."""

    geometry: DetectorGeometry
    seed: int


@dataclass(frozen=True)
class Selection:
    """What is left: rows `(n,)` of the input, the segments, and a step per cut (the first is `read`)."""

    rows: Ints
    segments: Segments
    cut_flow: tuple[CutStep, ...]


def species(segments: Segments, codes: tuple[int, ...], context: Context) -> Bools:
    """Tracks of the particles with these PDG codes."""
    return np.isin(segments.pdg_id, codes)


def max_delay_us(segments: Segments, maximum: float, context: Context) -> Bools:
    """Segments deposited at most `maximum` [us] after the earliest deposit of their event."""
    _, event = np.unique(segments.event_id, return_inverse=True)
    earliest = np.full(event.max(initial=-1) + 1, np.inf)
    np.minimum.at(earliest, event, segments.t0)
    return np.asarray(segments.t0 - earliest[event] <= maximum, dtype=np.bool_)


def max_abs_cos_drift(segments: Segments, limit: float, context: Context) -> Bools:
    """Tracks at an angle to the drift: |cos| of the line from their first start to their last end below `limit`.

    First and last in the order of the file, which is that of time.
    """
    track = segments.track_index()
    first = np.unique(track, return_index=True)[1]
    last = len(track) - 1 - np.unique(track[::-1], return_index=True)[1]
    direction = segments.end[last] - segments.start[first]
    length = np.linalg.norm(direction, axis=1)
    # A track that ends where it began has no direction to be cut on.
    cosine = np.divide(np.abs(direction[:, 2]), length, out=np.zeros_like(length), where=length > 0)
    return np.asarray((cosine < limit)[track], dtype=np.bool_)


def track_anode_margin_cm(segments: Segments, margin: float, context: Context) -> Bools:
    """Tracks none of whose segment centres is closer than `margin` [cm] to an anode."""
    track = segments.track_index()
    near = context.geometry.anode_distance(segments.centre[:, 2]) < margin
    return np.asarray(np.bincount(track, near)[track] == 0, dtype=np.bool_)


def min_track_length_cm(segments: Segments, minimum: float, context: Context) -> Bools:
    """Tracks whose segments add up to more than `minimum` [cm]."""
    track = segments.track_index()
    return (track_lengths(segments) > minimum)[track]


def max_anode_distance_cm(segments: Segments, maximum: float, context: Context) -> Bools:
    """Segments whose centre is closer than `maximum` [cm] to an anode."""
    return context.geometry.anode_distance(segments.centre[:, 2]) < maximum


def max_total_length_cm(segments: Segments, maximum: float, context: Context) -> Bools:
    """Whole tracks, each that still fits in an order fixed by the seed, up to a summed length of `maximum` [cm].

    What is left over is thus shorter than any track that was not taken.
    """
    length = track_lengths(segments)
    taken = np.zeros(len(length), dtype=np.bool_)
    total = 0.0
    for track in np.random.default_rng([context.seed, 1]).permutation(len(length)):
        if total + length[track] <= maximum:
            taken[track] = True
            total += length[track]
    return taken[segments.track_index()]


def track_lengths(segments: Segments) -> Floats:
    """`(tracks,)` summed segment length [cm] of each track, in the order of `Segments.track_index`."""
    return np.bincount(segments.track_index(), segments.length).astype(np.float64)


@dataclass(frozen=True)
class Cut:
    """A cut: `keep(segments, value, context)` is `(n,)`; `description` is filled with the value from the config."""

    keep: Callable[[Segments, Any, Context], Bools]
    description: str

    @property
    def name(self) -> str:
        """The entry of the config section `select` that holds its value."""
        return self.keep.__name__


CUTS = (
    Cut(species, "tracks of PDG code {}"),
    Cut(max_delay_us, "segments within {} us of the start of their event"),
    Cut(max_abs_cos_drift, "tracks with |cos(angle to the drift)| < {}"),
    Cut(track_anode_margin_cm, "tracks that keep {} cm from the anodes"),
    Cut(min_track_length_cm, "tracks longer than {} cm"),
    Cut(max_anode_distance_cm, "segments within {} cm of an anode"),
    Cut(max_total_length_cm, "whole tracks up to {} cm in all"),
)


def apply_cuts(segments: Segments, select: Select, geometry: DetectorGeometry, seed: int, where: str) -> Selection:
    """Apply the cuts that are switched on; `where` (the file) begins the sentence of an error.

    Raises `SelectionError`, naming the cut that removed the last segment.
    """
    context = Context(geometry, seed)
    rows: Ints = np.arange(len(segments), dtype=np.int64)
    flow = [_step("read", "segments that pass the checks", segments)]
    for cut in CUTS:
        value = getattr(select, cut.name)
        if value is None or value == ():
            continue
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"
        description = cut.description.format(text)
        keep = cut.keep(segments, value, context)
        if not keep.any():
            off = "[]" if isinstance(value, tuple) else "null"
            raise SelectionError(
                f"{where}: the cut select.{cut.name} ({description}) leaves nothing of {_extent(segments)}; "
                f"loosen it, or switch it off with {off}."
            )
        segments, rows = segments.take(keep), rows[keep]
        flow.append(_step(cut.name, description, segments))
    return Selection(rows, segments, tuple(flow))


def torn_by(cut_flow: Sequence[CutStep]) -> list[str]:
    """Names of the cuts that took single tracks or parts of them, such as electrons of particles that were kept.

    Not the one on delays: what comes late was struck by nobody.
    """
    steps = pairwise(cut_flow)
    return [now.name for before, now in steps if now.segments < before.segments and now.name != max_delay_us.__name__]


def _extent(segments: Segments) -> str:
    """How much track there is, and in what pieces: a cut on length can be set from this."""
    length = track_lengths(segments)
    if len(length) < 2:
        return f"{length.sum():.2f} cm of track"
    return f"{len(length)} tracks, the shortest {length.min():.2f} cm and the longest {length.max():.2f} cm long"


def _step(name: str, description: str, segments: Segments) -> CutStep:
    return CutStep(
        name,
        description,
        events=len(np.unique(segments.event_id)),
        tracks=int(segments.track_index().max(initial=-1)) + 1,
        segments=len(segments),
        length_cm=float(segments.length.sum()),
    )
