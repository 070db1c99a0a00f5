"""Contamination: tracks of another species under the label of the wanted one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from ..config.section import Name, Section, Seed
from ..errors import SegmentError
from ..tables import Floats, Ints, Segments
from .draws import uniforms
from .tracks import Tracks, occurrence, tracks_of


class Contamination(Section):
    """Tracks of another species in place of wanted ones, under their label."""

    sample: Name = Field(description="sample, of `samples`, that the other tracks are taken from: a file, or produced")
    fraction: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="part of the wanted tracks that is replaced")
    wanted: Annotated[int, Field(ge=1)] = Field(
        13, description="PDG code, either sign, of tracks that are replaced ..."
    )
    species: Annotated[int, Field(ge=1)] = Field(211, description="... and of those that take their places")
    seed: Seed = Field(1, description="seed of the choice of tracks")

    @model_validator(mode="after")
    def _another(self) -> Contamination:
        if self.wanted == self.species:
            raise ValueError(f"species and wanted are both {self.wanted}, so that no label would be wrong; change one")
        return self


@dataclass(frozen=True)
class Contaminated:
    """Segments with wrong labels, `true_pdg_id` `(n,)` without, and the numbers of tracks `replaced` and `wanted`."""

    segments: Segments
    true_pdg_id: Ints
    replaced: int
    wanted: int


def contaminate(
    segments: Segments,
    other: Segments,
    settings: Contamination,
    where: str,
    where_other: str,
    *,
    true_pdg_id: Ints | None = None,
) -> Contaminated:
    """Replace a fraction of the wanted tracks by tracks of `other`, so that the number of tracks stays.

    Which tracks go and which come is drawn for each track by itself: a larger fraction replaces the same tracks and
    more. A track that comes keeps its place in the detector, its energies and its lengths; it takes event, vertex,
    trajectory and PDG code of the one that goes, and its time: it begins as long after the start of its event as there.
    Only tracks are exchanged: secondaries, which are tracks of their own, stay with the sample that they are in.
    `true_pdg_id` `(n,)`: true labels of `segments` where theirs are wrong already.
    `where`, `where_other` (the files) begin the sentences. Raises `SegmentError` where there are too few tracks.
    """
    tracks, others = tracks_of(segments), tracks_of(other)
    wanted = np.flatnonzero(np.abs(segments.pdg_id[tracks.first]) == settings.wanted)
    donors = np.flatnonzero(np.abs(other.pdg_id[others.first]) == settings.species)
    count = round(settings.fraction * len(wanted))
    if not count:
        raise SegmentError(
            f"{where}: contaminate.fraction {settings.fraction:g} of {len(wanted)} tracks of PDG code "
            f"{settings.wanted} is none; raise it, or change contaminate.wanted."
        )
    if len(donors) < count:
        raise SegmentError(
            f"{where_other}: {count} tracks of PDG code {settings.species} are needed and {len(donors)} are there; "
            "give a larger sample, or lower contaminate.fraction."
        )
    going = _first(wanted, count, tracks, settings.seed, "contaminate wanted")
    coming = _first(donors, count, others, settings.seed, "contaminate other")
    new = _disguised(segments, tracks, going, other, others, coming)
    stays = ~np.isin(tracks.index, going)
    kept = segments.take(stays)
    # New deposits stand where the first one of the track stood whose place they take.
    place = np.concatenate([np.flatnonzero(stays), new.place])
    order = np.argsort(place, kind="stable")
    true = segments.pdg_id if true_pdg_id is None else true_pdg_id
    label = np.concatenate([true[stays], new.true_pdg_id])
    return Contaminated(Segments.concatenate([kept, new.segments]).take(order), label[order], count, len(wanted))


@dataclass(frozen=True)
class _New:
    segments: Segments
    true_pdg_id: Ints
    place: Ints


def _first(candidates: Ints, count: int, tracks: Tracks, seed: int, purpose: str) -> Ints:
    """`count` of the candidates, those with the smallest number drawn, in the order of these numbers."""
    drawn = uniforms(seed, purpose, tracks.event_id[candidates], tracks.traj_id[candidates])[:, 0]
    return candidates[np.argsort(drawn, kind="stable")[:count]]


def _disguised(segments: Segments, tracks: Tracks, going: Ints, other: Segments, others: Tracks, coming: Ints) -> _New:
    """The deposits of the tracks that come, with ids, label and time of those that go."""
    target = np.full(len(others), -1, dtype=np.int64)
    target[coming] = going
    rows = np.flatnonzero(target[others.index] >= 0)
    taken, place = other.take(rows), tracks.first[target[others.index[rows]]]
    later = _start_of_event(segments)[place] - _start_of_event(other)[rows]
    event = segments.event_id[place]
    events, index = np.unique(segments.event_id, return_inverse=True)
    highest = np.full(len(events), np.iinfo(np.int64).min)
    np.maximum.at(highest, index.reshape(-1), segments.segment_id)
    disguised = taken.replace(
        event_id=event,
        vertex_id=segments.vertex_id[place],
        traj_id=segments.traj_id[place],
        pdg_id=segments.pdg_id[place],
        segment_id=highest[np.searchsorted(events, event)] + 1 + occurrence(event),
        t0=taken.t0 + later,
        t0_start=taken.t0_start + later,
        t0_end=taken.t0_end + later,
    )
    return _New(disguised, taken.pdg_id, place)


def _start_of_event(segments: Segments) -> Floats:
    """`(n,)` earliest time [us] in the event of each deposit."""
    events, index = np.unique(segments.event_id, return_inverse=True)
    earliest = np.full(len(events), np.inf)
    np.minimum.at(earliest, index.reshape(-1), segments.t0)
    return np.asarray(earliest[index.reshape(-1)])
