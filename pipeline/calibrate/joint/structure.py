"""What segments of a fitted track are not: measured on simulation, for what pixels record of a track.

Electrons above the production cut are no part of a fitted track. Most of them stop within a few millimetres of it, so
that its pixels get their charge, too. And a particle loses its energy unevenly within a segment, which moves charge
to and fro and, as recombination takes more where much is lost, leaves a little less of it.

Both are measured on particles that are simulated along the tracks that were found (`simulated`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...config.unknown import Unknown
from ...simulate.first_passage import NO_STRAY, Stray
from ...simulate.model import ForwardModel
from ...simulate.pixel_likelihood import Recorded, check_noise
from ...tables import Bools, Floats, Observables
from .beliefs import Shifted
from .part import Part, steepness
from .simulated import length_ahead, simulated
from .tracks import Chains

#: Number of the stream of random numbers that simulations for this draw from.
_STREAM = 24
#: About so much track [cm] is simulated.
_LENGTH = 2000.0
#: Only steps of pixels to which the particle itself still has to bring more [electrons] are looked at.
_OWN = 1000.0
#: Means [electrons] of the exponentials, after that of what is as good as none.
_NONE, _MEANS = 10.0, (60.0, 250.0, 1000.0, 4000.0, 15000.0)
_EM_STEPS = 300
#: Smaller shares than this are none.
_LEAST = 1e-6


@dataclass(frozen=True)
class Structure:
    """What pixels record besides the charge of the segments of a track.

    `stray` charge of others; widths [electrons] by which charge within the track is moved before hits (`early`) and
    while they are held (`held`); `left`: the charge of a track over that of its segments, less 1.
    """

    stray: Stray = NO_STRAY
    early: float = 0.0
    held: float = 0.0
    left: float = 0.0


def structure_of(
    model: ForwardModel,
    found: Sequence[Chains],
    unknown: Unknown,
    values: Mapping[str, float],
    seed: int,
    length: float = _LENGTH,
) -> Structure:
    """What tracks that were `found` leave besides their segments, at parameter `values`; from `length` [cm] of track,
    with random numbers of a `seed`.

    Nothing where `stray_above_mev` is null, and for particles that stop, which knock out little that travels.
    """
    hypothesis = unknown.hypotheses[0]
    if unknown.stray_above_mev is None or hypothesis.kinetic_mev is None:
        return Structure()
    like = simulated(model, found, unknown, length / length_ahead(found, model.geometry), (seed, _STREAM))
    data = like.data(values)
    track = like.model(like.segments)
    of_own, of_others, silent = _seen(track, like.own, data, values)
    everything = np.ones(len(like.tracks), dtype=bool)
    of_segments = _seen(like.model(like.tracks), everything, data, values)[0]
    both = np.isfinite(of_own).all(axis=1) & np.isfinite(of_segments).all(axis=1)
    moved = (of_own - of_segments)[both]
    return Structure(
        _exponentials(of_others[np.isfinite(of_others).all(axis=1)], silent),
        _width(moved[:, 0]),
        _width(moved[:, 1]),
        float(of_own[both].sum() / of_segments[both].sum() - 1),
    )


def with_structure(part: Part, structure: Structure, values: Mapping[str, float]) -> Part:
    """A part whose noise holds the charge that is moved within tracks, and whose beliefs the charge that is lost."""
    noise = part.settings.noise
    if noise is None or structure == Structure():
        return part
    noise = replace(
        noise,
        reset=math.hypot(noise.reset, structure.early),
        sampling=math.hypot(noise.sampling, structure.held),
    )
    least = steepness(part.found.segments.dEdx, values, part.settings.recombination)
    change = math.log1p(structure.left) / float(np.median(least))
    energy = tuple(Shifted(belief, change) for belief in part.beliefs.energy)
    return replace(part, settings=replace(part.settings, noise=noise), beliefs=replace(part.beliefs, energy=energy))


def _seen(
    model: ForwardModel, own: Bools, data: Observables, values: Mapping[str, float]
) -> tuple[Floats, Floats, Floats]:
    """Charge [electrons] before hits and while they are held, of the segments that are `own` and of others `(h, 2)`
    (NaN where a pixel gets little of the former), and what silent pixels have of others `(m,)`."""
    recorded = Recorded(model, model.plan(values), data, check_noise(model, data))
    complete = model.complete(values)
    of_hits = np.full((2, len(data), 2), np.nan)
    of_silence = [np.zeros(0)]
    for block in recorded.plan.blocks:
        charges, c = model.charges(recorded.plan, block, complete, ()), recorded.chains(block)
        mine = model.tensor(own[recorded.plan.segments_of(block)].astype(np.float64))
        crossing, end = c.times()
        rows = recorded.rows[recorded.hits_of(block)]
        totals, ends = [], []
        for found, share in zip(of_hits, (mine, 1 - mine), strict=True):
            of = replace(charges, charge=charges.charge * share)
            at, ended = of.evaluate(c.pixel, crossing)[0], of.evaluate(c.pixel, end)[0]
            found[rows] = torch.stack([at - c.previous_of(ended), ended - at], dim=1).numpy()
            totals.append(of.total())
            ends.append(ended)
        of_hits[:, rows[(totals[0][c.pixel] - c.previous_of(ends[0]) <= _OWN).numpy()]] = np.nan
        silent = (totals[0] - c.last_of(ends[0], 0.0) > _OWN) & ~c.full
        of_silence.append((totals[1] - c.last_of(ends[1], 0.0))[silent].numpy())
    return of_hits[0], of_hits[1], np.concatenate(of_silence)


def _width(moved: Floats) -> float:
    """Standard deviation, but for the farthest tails."""
    low, high = np.quantile(moved, [0.005, 0.995])
    return float(np.clip(moved, low, high).std())


def _exponentials(of_hits: Floats, of_silence: Floats) -> Stray:
    """Shares of pairs of exponentials of `_MEANS` in charges [electrons], by the EM algorithm.

    Of silent pixels only what comes before a hit is known.
    """
    means = np.array([_NONE, *_MEANS])
    early, held, silent = (
        np.exp(-np.maximum(x, 0.0)[:, None] / means) / means for x in (of_hits[:, 0], of_hits[:, 1], of_silence)
    )
    share = np.full((len(means), len(means)), 1 / len(means) ** 2)
    for _ in range(_EM_STEPS):
        of_each = early @ share * held
        pairs = share * (early.T @ (held / of_each.sum(axis=1, keepdims=True)))
        alone = silent * share.sum(axis=1)
        alone /= alone.sum(axis=1, keepdims=True)
        share = pairs + alone.sum(axis=0)[:, None] * share / share.sum(axis=1, keepdims=True)
        share /= share.sum()
    share = np.where(share > _LEAST, share, 0.0)
    share /= share.sum()
    return Stray(tuple(tuple(row) for row in share.tolist()), _MEANS, _MEANS)
