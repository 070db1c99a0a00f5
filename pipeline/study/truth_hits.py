"""Whose each hit is: the true particles of a sample, and the charge that each leaves in the hits of noisy data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr

from ..detector.argon import scaled_drift_velocity
from ..simulate.drift import Deposits, packets
from ..simulate.model import ForwardModel
from ..tables import Bools, Floats, Hits, Ints, Segments, common_numbers

#: Particles that make tracks of their own wherever they begin, by absolute PDG code.
TRACK_MAKERS = (13, 211, 321, 2212)
#: Another particle that begins this close [cm] to a track was knocked out of it, ...
KNOCKED_OUT = 1.0
#: ... or out of what was knocked out of it, if it begins this close to that, ...
KNOCKED_ON = 0.1
#: ... unless it begins where the track ends [cm]: what decays and reactions set free are particles of their own.
AT_THE_END = 0.02


@dataclass(frozen=True)
class Particles:
    """True particles with what they knocked out of atoms, sorted by event and trajectory.

    `(p,)`: `event_id`, `traj_id`, `pdg_id`, and `length` [cm] of the particle's own path. `(n,)` by rows of the
    segments: `of_segment`, the row of the particle that each belongs to; `own`, whether it is of the particle itself.
    """

    event_id: Ints
    traj_id: Ints
    pdg_id: Ints
    length: Floats
    of_segment: Ints
    own: Bools

    def __len__(self) -> int:
        return int(self.event_id.shape[0])


@dataclass(frozen=True)
class HitOwners:
    """True origin of hits. `(h,)`: `owner`, row of the particle that gave most of the hit's charge (-1: no deposit
    reaches the pixel), and `share` of the charge that is its. `(p,)` `collected`: charge [electrons] that pixels
    collect of each particle in the end, below threshold or not.
    """

    owner: Ints
    share: Floats
    collected: Floats


def particles_of(segments: Segments) -> Particles:
    """The particles of a sample, by geometry alone, as many files do not hold what was born of what.

    Muons and charged hadrons stand for themselves. Electrons, photons, neutrons and nuclei go to the track of the same
    event near which they begin; begin they elsewhere, such as electrons of photons, they are particles of their own.
    """
    track = segments.track_index()
    first = np.unique(track, return_index=True)[1]
    if not len(first):
        none = np.zeros(0, dtype=np.int64)
        return Particles(none, none, none, np.zeros(0), none, np.zeros(0, dtype=bool))
    makes = np.isin(np.abs(segments.pdg_id[first]), TRACK_MAKERS)
    host = np.arange(len(first))
    for event in np.unique(segments.event_id):
        rows = np.flatnonzero(segments.event_id == event)
        ours = rows[makes[track[rows]]]
        others = np.unique(track[rows[~makes[track[rows]]]])
        reach, end = KNOCKED_OUT, AT_THE_END
        # Electrons that knocked-out ones knock out follow them.
        while len(ours) and len(others):
            at, number = segments.take(ours), host[track[ours]]
            host[others] = _hosts(at, number, segments.start[first[others]], others, reach, end)
            ours = rows[np.isin(track[rows], others) & (host[track[rows]] != track[rows])]
            others, reach, end = others[host[others] == others], KNOCKED_ON, 0.0
    kept, of_track = np.unique(host, return_inverse=True)
    own = host[track] == track
    of_segment = of_track.reshape(-1)[track].astype(np.int64)
    return Particles(
        event_id=segments.event_id[first[kept]],
        traj_id=segments.traj_id[first[kept]],
        pdg_id=segments.pdg_id[first[kept]],
        length=np.asarray(np.bincount(of_segment[own], segments.length[own], len(kept)), dtype=np.float64),
        of_segment=of_segment,
        own=np.asarray(own),
    )


def _hosts(tracks: Segments, number: Ints, begin: Floats, others: Ints, reach: float, end: float) -> Ints:
    """`(m,)` number of the track that each of the particles `others`, which begin at `(m, 3)`, was knocked out of: of
    the nearest one within `reach` [cm], but not within `end` [cm] of where it ends; else their own.
    """
    step = tracks.end - tracks.start
    along = ((begin[:, None] - tracks.start) * step).sum(axis=2) / (step**2).sum(axis=1)
    place = tracks.start + np.clip(along, 0, 1)[..., None] * step
    distance = np.linalg.norm(begin[:, None] - place, axis=2)
    # Segments of a track stand in the order of its flight.
    last = np.append(number[1:] != number[:-1], True)
    from_end = np.linalg.norm(begin[:, None] - tracks.end[last], axis=2).min(axis=1)
    knocked = (distance.min(axis=1) < reach) & (from_end >= end)
    return np.asarray(np.where(knocked, number[distance.argmin(axis=1)], others))


def hit_owners(model: ForwardModel, values: Mapping[str, float], hits: Hits, particles: Particles) -> HitOwners:
    """Owners of `hits`, which are data of the deposits of `model`, with or without noise, at parameter `values`.

    A hit holds the charge that arrives from the end of its pixel's hit before to the end of its own integration; where
    none does (noise, charge on its way to a neighbour), the charge that arrives nearest to it decides.
    """
    plan = model.plan(values)
    charge, arrival = _arrivals(model, values)
    owner = particles.of_segment[plan.segment]
    hold = model.geometry.readout.hold
    channel = model.geometry.channel(hits.tpc, hits.pixel_x, hits.pixel_y)
    ours, theirs = common_numbers(np.stack([plan.event, plan.channel], 1), np.stack([hits.event_id, channel], 1))
    row = np.full(max(ours.max(initial=-1), theirs.max(initial=-1)) + 1, -1)
    row[ours] = np.arange(len(ours))
    of_hit = row[theirs]
    previous = _previous_end(of_hit, hits.t + hold)
    found, share = np.full(len(hits), -1), np.zeros(len(hits))
    for hit in np.flatnonzero(of_hit >= 0):
        pairs = slice(plan.first[of_hit[hit]], plan.first[of_hit[hit] + 1])
        who, q, when = owner[pairs], charge[pairs], arrival[pairs]
        inside = (when > previous[hit]) & (when <= hits.t[hit] + hold)
        if q[inside].sum() > 0:
            who, q = who[inside], q[inside]
        elif q.sum() > 0:
            # Charge far under the pixel's part of it counts as little as its distance in time makes it.
            q = q * np.exp(-np.abs(when - hits.t[hit]) / hold)
        if q.sum() > 0:
            names, number = np.unique(who, return_inverse=True)
            parts = np.bincount(number, q)
            found[hit], share[hit] = names[parts.argmax()], parts.max() / parts.sum()
    return HitOwners(found, share, np.asarray(np.bincount(owner, charge, len(particles)), dtype=np.float64))


def energy_held(
    model: ForwardModel, values: Mapping[str, float], hits: Hits, hit_track: Ints, best: Ints, particles: Particles
) -> Floats:
    """`(n,)` share of the charge of each segment that is held by the track `best` `(p,)` of its particle.

    That is all but what arrives in hits that are not in that track (`hit_track` `(h,)`), and in pixels all of whose
    hits are not. What no hit recorded of the others counts as held: a reconstruction adds what stays below threshold.
    """
    plan = model.plan(values)
    charge, arrival = _arrivals(model, values)
    channel = model.geometry.channel(hits.tpc, hits.pixel_x, hits.pixel_y)
    ours, theirs = common_numbers(np.stack([plan.event, plan.channel], 1), np.stack([hits.event_id, channel], 1))
    pixel = ours[plan.pixel]
    track = best[particles.of_segment[plan.segment]]
    # The hit during whose integration charge arrives is the first of its pixel that ends after it.
    end = hits.t + model.geometry.readout.hold
    order = np.lexsort((end, theirs))
    # Last of all stands a hit that is nobody's.
    of_pixel, of_track = np.append(theirs[order], -1), np.append(hit_track[order], -1)
    long = 2.0 * max(end.max(initial=1.0), arrival.max(initial=1.0))
    hit = np.searchsorted(theirs[order] * long + end[order], pixel * long + arrival)
    in_hit = of_pixel[hit] == pixel
    most = int(max(hit_track.max(initial=-1), best.max(initial=-1))) + 2
    in_pixel = np.isin(pixel * most + track, theirs * most + hit_track) & (track >= 0)
    elsewhere = np.where(in_hit, (of_track[hit] != track) | (track < 0), np.isin(pixel, theirs) & ~in_pixel)
    count = len(particles.of_segment)
    lost = np.bincount(plan.segment, charge * elsewhere, count)
    return np.asarray(1 - lost / np.maximum(np.bincount(plan.segment, charge, count), 1e-30))


def _previous_end(pixel: Ints, end: Floats) -> Floats:
    """`(h,)` end [us] of the integration of the hit before on the same pixel; minus infinity for the first ones."""
    order = np.lexsort((end, pixel))
    previous = np.full(len(end), -np.inf)
    same = pixel[order[1:]] == pixel[order[:-1]]
    previous[order[1:][same]] = end[order[:-1][same]]
    return previous


def _arrivals(model: ForwardModel, values: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Per pair of the model's plan: charge [electrons] that the pixel collects, and when [us after the event's earliest
    deposit].
    """
    plan, geometry = model.plan(values), model.geometry
    full = model.complete(values)
    segments = model.segments

    def tensor(array: npt.ArrayLike) -> torch.Tensor:
        return torch.from_numpy(np.asarray(array, dtype=np.float64))

    nodes = plan.nodes
    deposits = Deposits(
        energy=tensor(segments.dE[nodes.segment] * nodes.fraction),
        dedx=tensor(segments.dEdx[nodes.segment]),
        distance=tensor(nodes.distance),
    )
    charge, x, y, time, width, _ = (
        q.numpy()[plan.node]
        for q in packets(
            deposits,
            {name: tensor(value) for name, value in full.items()},
            recombination=model.settings.recombination,
            response_start=geometry.response_start,
            temperature=geometry.temperature,
        )
    )
    half = geometry.pixel_pitch / 2
    share = np.ones(len(charge))
    for offset in (plan.x + x, plan.y + y):
        share *= ndtr((half - offset) / width) - ndtr((-half - offset) / width)
    way = geometry.response_start / scaled_drift_velocity(full, geometry.temperature)
    return charge * share, plan.time[plan.pixel] + plan.delay + time + way
