"""Charge per length of track, as an analysis of reconstructed tracks has it: pieces of track and their pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ..detector.argon import drift_velocity
from ..parameters import nominal_values
from ..perturb.tracks import path_of
from ..simulate.model import ForwardModel
from ..simulate.plan import MIN_DIFFUSION_DISTANCE, Plan
from ..tables import Floats, Ints, Segments, common_numbers

#: A pixel belongs to a track that leaves at least this much energy [MeV] over it: some tens of electrons.
_LEAST_ENERGY = 1e-3
#: Share of the length of a piece that must lie over pixels.
_LEAST_COVERED = 0.95


@dataclass(frozen=True)
class Pieces:
    """Pieces of tracks: `length` `(n,)` [cm], `time` `(n,)` [us] mean drift time; and whose each pixel is: `piece`
    `(p,)` (-1: none's) of the pixels `event`, `channel` `(p,)`.
    """

    length: Floats
    time: Floats
    event: Ints
    channel: Ints
    piece: Ints

    def charge_per_length(self, event: Ints, channel: Ints, charge: Floats) -> Floats:
        """`(n,)` dQ/dx [electrons/cm] of the pieces from charges [electrons] of hits, or of whole pixels, `(h,)`."""
        mine, theirs = common_numbers(np.stack([self.event, self.channel], 1), np.stack([event, channel], 1))
        piece = np.full(max(mine.max(initial=-1), theirs.max(initial=-1)) + 1, -1)
        piece[mine] = self.piece
        of_hit = piece[theirs]
        inside = of_hit >= 0
        return np.asarray(np.bincount(of_hit[inside], charge[inside], len(self.length)) / self.length)


def pieces_of(model: ForwardModel, values: Mapping[str, float], species: tuple[int, ...], length: float) -> Pieces:
    """Uninterrupted tracks of some PDG codes, cut into equal pieces of at least `length` [cm]; shorter ones are one.

    Geometry and drift times are the true ones at `values` (others nominal). A pixel goes whole to the piece at the mean
    place of what the track leaves over it, and where several tracks do, to the one that leaves most.
    """
    plan = model.plan(values)
    run, begin, whole = _runs(model.segments, species)
    count = np.maximum(np.floor(whole / length * (1 + 1e-9)), 1).astype(np.int64)
    first = np.cumsum(count) - count
    over = _over_pixels(model, plan, values)
    used = (run[plan.segment] >= 0) & (over.energy > 0)
    pixel, of_run = over.pixel[used], run[plan.segment[used]]
    energy = over.energy[used]
    place = begin[plan.segment[used]] + over.place[used]

    def piece_at(of_run: Ints, place: Floats) -> Ints:
        inside = np.floor(place / whole[of_run] * count[of_run]).astype(np.int64)
        return np.asarray(first[of_run] + np.clip(inside, 0, count[of_run] - 1))

    node, pieces = piece_at(of_run, place), int(count.sum())
    piece_length = np.repeat(whole / count, count)
    covered = np.bincount(node, over.length[used], pieces) / piece_length
    kept = np.flatnonzero(covered > _LEAST_COVERED)
    number = np.full(pieces, -1)
    number[kept] = np.arange(len(kept))
    weight = np.bincount(node, energy, pieces)[kept]
    # Every run over every pixel: what it leaves there, and where; the last of each pixel then has left most.
    pair, row = np.unique(np.stack([pixel, of_run], axis=1), axis=0, return_inverse=True)
    left = np.bincount(row.reshape(-1), energy)
    mean = np.bincount(row.reshape(-1), energy * place) / left
    order = np.lexsort((left, pair[:, 0]))
    order = order[np.append(np.diff(pair[order, 0]) > 0, True) & (left[order] > _LEAST_ENERGY)]
    return Pieces(
        length=piece_length[kept],
        time=np.bincount(node, energy * over.time[used], pieces)[kept] / weight,
        event=plan.event[pair[order, 0]],
        channel=plan.channel[pair[order, 0]],
        piece=number[piece_at(pair[order, 1], mean[order])],
    )


def _runs(segments: Segments, species: tuple[int, ...]) -> tuple[Ints, Floats, Floats]:
    """`(n,)` run of each segment (-1: another species), `(n,)` path [cm] from the begin of its run to its start, and
    `(runs,)` lengths of the runs."""
    rows = np.flatnonzero(np.isin(segments.pdg_id, species))
    path = path_of(segments.take(rows))
    head = np.unique(path.run, return_index=True)[1]
    tail = np.append(head[1:], len(path.run))[: len(head)] - 1
    run, begin = np.full(len(segments), -1), np.zeros(len(segments))
    run[rows[path.rows]] = path.run
    begin[rows[path.rows]] = path.begin - path.begin[head][path.run]
    return run, begin, np.asarray(path.end[tail] - path.begin[head])


@dataclass(frozen=True)
class _Over:
    """Pairs (node, pixel) of a plan, `(n,)`: `pixel` row, `energy` [MeV] and track `length` [cm] of the node over the
    pixel, `place` [cm] of the node along its segment, drift `time` [us]."""

    pixel: Ints
    energy: Floats
    length: Floats
    place: Floats
    time: Floats


def _over_pixels(model: ForwardModel, plan: Plan, values: Mapping[str, float]) -> _Over:
    """What every node of the plan leaves over every pixel near it, by the Gaussian of transverse diffusion."""
    geometry, segments = model.geometry, model.segments
    p = {**nominal_values(), **values}
    velocity = drift_velocity(p["electric_field"], geometry.temperature)
    pixel = plan.pixel
    distance = plan.nodes.distance[plan.node].astype(np.float64)
    width = np.sqrt(2 * p["transverse_diffusion"] * (distance + MIN_DIFFUSION_DISTANCE) / velocity)
    half = geometry.pixel_pitch / 2
    share = np.ones(len(pixel))
    for offset in (plan.x, plan.y):
        share *= ndtr((half - offset) / width) - ndtr((-half - offset) / width)
    tpc, x, y = geometry.pixel(plan.channel)
    centre_x, centre_y = geometry.pixel_centre(x, y)
    anode = np.array([t.z_anode for t in geometry.tpcs])[tpc]
    inward = np.sign(np.array([t.z_cathode for t in geometry.tpcs])[tpc] - anode)
    node = np.stack([centre_x[pixel] + plan.x, centre_y[pixel] + plan.y, anode[pixel] + inward[pixel] * distance], 1)
    start, step = segments.start[plan.segment], (segments.end - segments.start)[plan.segment]
    length, fraction = segments.length[plan.segment], plan.nodes.fraction[plan.node]
    return _Over(
        pixel=pixel,
        energy=segments.dE[plan.segment] * fraction * share,
        length=length * fraction * share,
        place=np.clip(((node - start) * step).sum(axis=1) / length, 0.0, length),
        time=(distance - geometry.response_start) / velocity,
    )
