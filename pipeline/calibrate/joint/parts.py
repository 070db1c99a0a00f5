"""A sample in parts of whole events, with what is believed of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...config.unknown import Hypothesis, Unknown
from ...matter.energy_prior import EnergyPrior
from ...matter.particles import mass
from ...matter.ranges import loss_table
from ...matter.scattering import highland
from ...matter.stopping import beta_squared
from ...simulate.model import ForwardModel
from ...tables import SPECIES, Floats, Ints, Observables, Segments, Tracks
from .beliefs import Beliefs, EnergyBelief, Except, Gaussian, Stopping, Straggling
from .cutting import cut_at_pixels, located, usable
from .part import Part
from .tracks import Chains

#: Belief in u of electrons of any energy, and of segments of uncertain length.
_ANYTHING = 1.3, 1.0
#: Electrons and photons.
_LIGHT = (11, 22)
#: Belief in u where it is given: as good as known.
_KNOWN = 1e-3


def parts_of(
    model: ForwardModel,
    data: Observables,
    unknown: Unknown,
    tracks: Tracks | None = None,
) -> list[Part]:
    """The sample in parts of whole events of some `part_length_cm`, with what is believed of each.

    Raises `FitError` as `usable` and `located` do.
    """
    tracks_alone = unknown.stray_above_mev is not None
    segments = usable(model.segments, loose=unknown.geometry)
    if unknown.geometry:
        segments = located(segments, model.geometry, unknown.min_track_cm, fast=not stops(unknown))
    # Such a width is that of the segments as they are; and of particles that stop, neighbours are known to lose alike.
    if (unknown.geometry or tracks_alone) and unknown.relative_width is None and not stops(unknown):
        segments = cut_at_pixels(segments, model.geometry)
    events, row = np.unique(segments.event_id, return_inverse=True)
    length = np.bincount(row, segments.length)
    number = np.floor((np.cumsum(length) - length) / unknown.part_length_cm).astype(np.int64)
    number = np.unique(number, return_inverse=True)[1]
    # Where a particle stopped tells its energy; where another one left is known from the border, or tells nothing.
    sliding = any(h.kinetic_mev is None for h in unknown.hypotheses)
    parts = []
    for k in range(int(number.max()) + 1):
        chains = Chains.of(segments.take(number[row] == k), loose=unknown.geometry, sliding=sliding)
        if unknown.energy == "fitted" and stops(unknown):
            chains = chains.stopping(EnergyPrior(SPECIES[unknown.hypotheses[0].species]).all_losses)
        beliefs = beliefs_of(chains, unknown, tracks)
        mine = data.take(np.isin(data.event, events[number == k]))
        begun = chains if unknown.energy == "given" else most_probable(chains, beliefs)
        parts.append(Part(mine, begun, beliefs, model.geometry, replace(model.settings, threads=1), model.pixels))
    return parts


def of_tracks(segments: Segments, unknown: Unknown) -> Segments:
    """Those of the segments that are fitted: without electrons where their charge is that of others."""
    if unknown.stray_above_mev is None:
        return segments
    return segments.take(~np.isin(np.abs(segments.pdg_id), _LIGHT))


def stops(unknown: Unknown) -> bool:
    """Whether tracks are taken for those of particles that stop at their ends."""
    return unknown.hypotheses[0].kinetic_mev is None


def simulates(unknown: Unknown) -> bool:
    """Whether tracks like the fitted ones can be simulated, and should be."""
    tracks_alone = unknown.stray_above_mev is not None or (unknown.geometry and stops(unknown))
    fitted = unknown.energy == "fitted" and unknown.relative_width is None and unknown.determinant
    return unknown.simulated > 0 and tracks_alone and fitted


def late_of(unknown: Unknown) -> tuple[str, ...]:
    """Parameters that move only with what simulated tracks tell (see `marginal`): particles that do not stop tell them
    by the shape of their losses alone."""
    return () if stops(unknown) or not simulates(unknown) else ("birks_kb", "box_beta")


def beliefs_of(chains: Chains, unknown: Unknown, tracks: Tracks | None) -> Beliefs:
    """What is believed of chains: see `Unknown`."""
    kink = np.zeros(0)
    if chains.loose:
        kink = unknown.scattering * scattering_angle(chains, unknown.hypotheses[0])
    more = {"ends": unknown.ends_cm, "offsets": unknown.offsets_cm}
    if unknown.energy == "given":
        return Beliefs((Gaussian(chains.log_dedx, _KNOWN),), np.ones((chains.tracks, 1)), kink, **more)
    anything = np.isin(np.abs(chains.segments.pdg_id), _LIGHT) & (tracks is None)
    if chains.loose and not chains.sliding:
        # Ends that stay where they were found make lengths of the last segments, and so their u, uncertain.
        anything[chains.first] = anything[chains.last] = True
    energy = tuple(belief(h, chains, unknown) for h in unknown.hypotheses)
    if anything.any():
        energy = tuple(Except(usual, anything, Gaussian(*_ANYTHING)) for usual in energy)
    weights = np.tile([h.probability for h in unknown.hypotheses], (chains.tracks, 1))
    if tracks is not None:
        weights = weights * _identified(chains, tracks, unknown.hypotheses)
    weights = np.maximum(weights, 1e-12)
    return Beliefs(energy, weights / weights.sum(axis=1, keepdims=True), kink, **more)


def belief(hypothesis: Hypothesis, chains: Chains, unknown: Unknown) -> EnergyBelief:
    """The density of u that a hypothesis means."""
    cut = np.inf if unknown.production_cut_mev is None else unknown.production_cut_mev
    prior = EnergyPrior(SPECIES[hypothesis.species], cut)
    if hypothesis.kinetic_mev is None:
        return Stopping(prior)
    kinetic = _in_the_middle(chains, prior, hypothesis.kinetic_mev)
    if unknown.relative_width is not None:
        mode = prior.layers(np.ones(1), kinetic[:1]).mode_and_width()[0][0]
        return Gaussian(float(mode), unknown.relative_width)
    return Straggling(prior, kinetic)


def _in_the_middle(chains: Chains, prior: EnergyPrior, kinetic: float) -> Floats:
    """`(tracks,)` kinetic energy [MeV] half way along each track."""
    half = 0.5 * np.bincount(chains.track, chains.segments.length, chains.tracks)
    residual = prior.all_losses.range(np.array([kinetic])) - half
    return np.asarray(prior.all_losses.energy(np.maximum(residual, 0.5)))


def scattering_angle(chains: Chains, hypothesis: Hypothesis) -> Floats:
    """`(v,)` width [rad] of the change of direction at vertices, on one plane: Highland's (`matter.scattering`), for
    the mean length of the segments on both sides.
    """
    pdg = SPECIES[hypothesis.species]
    m = mass(pdg) if pdg != 11 else 0.511
    length = chains.segments.length
    at_vertex = np.zeros(len(chains.at_end))
    np.add.at(at_vertex, chains.start_vertex, 0.5 * length)
    np.add.at(at_vertex, chains.start_vertex + 1, 0.5 * length)
    if hypothesis.kinetic_mev is None:
        residual = np.zeros(len(at_vertex))
        residual[chains.start_vertex] = chains.residual_range + 0.5 * length
        kinetic = loss_table(m, np.inf, 0.02).energy(np.maximum(residual, 0.2))
    else:
        kinetic = np.full(len(at_vertex), hypothesis.kinetic_mev)
    beta2 = beta_squared(kinetic, m)
    return highland(beta2 * (kinetic + m), at_vertex, beta2)


def _identified(chains: Chains, tracks: Tracks, hypotheses: Sequence[Hypothesis]) -> Floats:
    """`(tracks, hypotheses)` probabilities of the identified particles."""
    row = {key: i for i, key in enumerate(zip(tracks.event_id.tolist(), tracks.track_id.tolist(), strict=True))}
    segments, first = chains.segments, chains.first
    keys = zip(segments.event_id[first].tolist(), segments.traj_id[first].tolist(), strict=True)
    column: Ints = np.array([list(SPECIES).index(h.species) for h in hypotheses])
    return tracks.probability[[row[key] for key in keys]][:, column]


def most_probable(chains: Chains, beliefs: Beliefs) -> Chains:
    """The chains with the u that is most probable beforehand, whatever the input holds."""
    likely = beliefs.weights.argmax(axis=1)[chains.track]
    now = chains
    for _ in range(30):
        found = [density(now) for density in beliefs.energy]
        first, second = (np.choose(likely, [getattr(f, n) for f in found]) for n in ("first", "second"))
        # Where the density is convex, as in tails, its curvature still tells how far its slope reaches.
        move = np.clip(first / np.maximum(np.abs(second), 4.0), -0.5, 0.5)
        step = np.zeros(chains.size)
        step[chains.energy_columns] = move
        now = now.moved(step)
        if np.abs(move).max() < 1e-6:
            break
    return now
