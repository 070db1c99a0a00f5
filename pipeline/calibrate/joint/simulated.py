"""Tracks like those of a fit, simulated: what the estimator makes of data whose truth is known.

Particles of the hypotheses start where found tracks do, in their direction, and are followed in steps much finer
than segments, with all that they knock out (`pipeline.produce`); what they leave is read out with noise. Neither data
nor their truth are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...config.unknown import Hypothesis, Unknown
from ...detector.geometry import DetectorGeometry
from ...errors import FitError
from ...matter.energy_prior import EnergyPrior
from ...produce.flight import World
from ...produce.joining import RAW
from ...produce.rules import Rules
from ...produce.transport import transport
from ...seeds import seed_of
from ...simulate.model import ForwardModel
from ...simulate.noise import Noise
from ...tables import SPECIES, Bools, Floats, Ints, Observables, Primaries, Segments
from .cutting import cut_at_pixels
from .tracks import Chains

#: Longest step [cm] of the simulated particles: much finer than segments.
_STEP = 0.1
#: Length of found tracks [cm] along which particles are followed at once: 400 of them take five times as long as 10.
_TOGETHER_CM = 2000.0
#: Particles start at least so far [cm] inside the detector.
_INSIDE = 1e-3
#: Energy [MeV] above which struck electrons are followed, where nothing else is said.
_CUT = 0.273


@dataclass(frozen=True)
class Simulated:
    """Particles along tracks, each in an event of its own.

    `segments` of all that was deposited, those that are the particles' `own` `(n,)`, and these as the `tracks` of a
    fit. Models are as `like` that of the fit; `noise` is the seed of theirs.
    """

    segments: Segments
    own: Bools
    tracks: Segments
    like: ForwardModel
    noise: int

    def model(self, segments: Segments) -> ForwardModel:
        """The model of other segments."""
        return self.like.with_segments(segments)

    def data(self, values: Mapping[str, float], *, integer: bool = False) -> Observables:
        """What they leave at parameter `values`; `integer`: in whole ADC counts and clock ticks."""
        levels = self.like.settings.noise
        assert levels is not None
        hits = self.model(self.segments).hits(values, Noise(levels, self.noise))
        columns = np.stack(hits.recorded(self.like.geometry.readout, integer=integer), axis=1)
        valid = np.ones(len(columns), dtype=bool)
        return Observables(hits.event, hits.channel, hits.order, columns, ("adc", "t"), valid, integer=integer)


@dataclass(frozen=True)
class Thrown:
    """Particles of the hypotheses on what is `unknown`, thrown where the tracks of a fit start, in their direction.

    `groups` of them, of about `_TOGETHER_CM` each; they have one number each as `event_id`, in which those that
    are apart by the number of `different` tracks start alike. No group has both first and later ones of these.
    Segments of particles that stop are not longer than `longest` [cm]. Models are as `like` that of the fit. `seed`:
    that of the fit, and the number of a stream.
    """

    groups: tuple[Primaries, ...]
    different: int
    longest: float
    like: ForwardModel
    unknown: Unknown
    seed: tuple[int, int]

    @staticmethod
    def along(
        found: Sequence[Chains], model: ForwardModel, unknown: Unknown, times: float, seed: tuple[int, int]
    ) -> Thrown:
        """Along the tracks that were `found`, `times` over (below 1: along some of them)."""
        thrown, chosen, different = _along(found, model.geometry, unknown, times, np.random.default_rng([*seed, 0]))
        length = np.concatenate([np.bincount(c.track, c.segments.length, c.tracks) for c in found])[chosen]
        # The first of each are groups of their own, as they are all of a rough answer.
        again = thrown.event_id >= different
        ahead = np.cumsum(length) - length - again * length[:different].sum()
        group = np.floor(ahead / _TOGETHER_CM)
        border = np.flatnonzero((np.diff(group) != 0) | np.diff(again)) + 1
        groups = tuple(thrown.take(rows) for rows in np.split(np.arange(len(chosen)), border))
        longest = float(np.median(np.concatenate([c.segments.length for c in found])))
        nothing = model.segments.take(np.zeros(0, dtype=np.int64))
        like = ForwardModel(nothing, model.geometry, replace(model.settings, threads=1), model.pixels)
        return Thrown(groups, different, longest, like, unknown, seed)

    def followed(self, number: int) -> Simulated:
        """The particles of the group of this `number`; tracks that a fit would not take are not among them."""
        thrown, unknown = self.groups[number], self.unknown
        cut = unknown.stray_above_mev or unknown.production_cut_mev or _CUT
        # What comes out of a struck nucleus is no part of the track: a fit has tracks of it, or has not seen it.
        rules = Rules(_STEP, cut, hadronic=False)
        rng = np.random.default_rng([*self.seed, 2, int(thrown.event_id[0])])
        segments = transport(thrown, World.of(self.like.geometry), rules, RAW, rng).segments
        segments = segments.take((segments.dE > 0) & (segments.length > 0))
        pdg = thrown.pdg_id[segments.event_id - thrown.event_id[0]]
        own = (segments.pdg_id == pdg) & (segments.traj_id == 0)
        tracks = self._cut(segments.take(own))
        row = tracks.track_index()
        tracks = tracks.take(np.bincount(row, tracks.length)[row] >= unknown.min_track_cm)
        kept = np.isin(segments.event_id, tracks.event_id)
        return Simulated(segments.take(kept), own[kept], tracks, self.like, seed_of(*self.seed, 1))

    def _cut(self, own: Segments) -> Segments:
        """The deposits of the particles in segments like those that were found."""
        if self.unknown.hypotheses[0].kinetic_mev is not None:
            return cut_at_pixels(own, self.like.geometry)
        return cut_at_pixels(own, self.like.geometry, shortest=np.inf, longest=self.longest)


def simulated(
    model: ForwardModel,
    found: Sequence[Chains],
    unknown: Unknown,
    times: float,
    seed: tuple[int, int],
) -> Simulated:
    """Particles along the tracks that were `found`, `times` over (below 1: along some of them).

    Random numbers are those of this `seed` of a fit and stream. Raises `FitError` where nothing comes out that a fit
    would take.
    """
    thrown = Thrown.along(found, model, unknown, times, seed)
    groups = [thrown.followed(number) for number in range(len(thrown.groups))]
    if not sum(len(group.tracks) for group in groups):
        raise none_left()
    segments, tracks = (Segments.concatenate([getattr(g, of) for g in groups]) for of in ("segments", "tracks"))
    return Simulated(segments, np.concatenate([g.own for g in groups]), tracks, model, groups[0].noise)


def none_left() -> FitError:
    """What is said where no simulated track can be fitted."""
    return FitError(
        "none of the tracks like those found, simulated, can be fitted: all are too short (unknown.min_track_cm), "
        "along a side of the detector, end at a cathode or run along a row of pixels; select other tracks, or more."
    )


def length_ahead(found: Sequence[Chains], geometry: DetectorGeometry) -> float:
    """Length [cm] in the detector of straight lines from where tracks start, in their direction."""
    start, direction = _starts(found)
    low, high = geometry.bounds
    with np.errstate(divide="ignore", invalid="ignore"):
        ahead = (np.where(direction > 0, high, low) - start) / direction
    return float(np.nanmin(np.where(direction == 0, np.nan, ahead), axis=1).clip(0.0).sum())


def _starts(found: Sequence[Chains]) -> tuple[Floats, Floats]:
    """`(tracks, 3)` [cm] where tracks start, and `(tracks, 3)` their directions."""
    start, end = (np.concatenate([getattr(c.segments, side)[c.first] for c in found]) for side in ("start", "end"))
    direction = end - start
    return start, direction / np.linalg.norm(direction, axis=1)[:, None]


def length_of(found: Sequence[Chains]) -> float:
    """Length [cm] of all tracks."""
    return sum(float(chains.segments.length.sum()) for chains in found)


def _along(
    found: Sequence[Chains], geometry: DetectorGeometry, unknown: Unknown, times: float, rng: np.random.Generator
) -> tuple[Primaries, Ints, int]:
    """Particles that start where tracks do, and in their direction; along which tracks, and how many different ones.

    Which of the hypotheses they are is drawn with the probabilities of these.
    """
    start, direction = _starts(found)
    some = np.arange(0, len(start), max(1, int(1 / times)))
    chosen = np.tile(some, max(1, round(times)))
    probability = np.array([h.probability for h in unknown.hypotheses])
    which = rng.choice(len(probability), size=len(chosen), p=probability / probability.sum())
    pdg = np.array([SPECIES[h.species] for h in unknown.hypotheses])[which]
    kinetic = np.stack([np.concatenate([_energy(c, h) for c in found]) for h in unknown.hypotheses])[which, chosen]
    number, none = np.arange(len(chosen)), np.zeros(len(chosen), dtype=np.int64)
    # A start that was found a little outside is at the border.
    low, high = geometry.bounds
    at = np.clip(start, low + _INSIDE, high - _INSIDE)[chosen]
    return Primaries(number, none, pdg, at, direction[chosen], kinetic, np.zeros(len(chosen))), chosen, len(some)


def _energy(chains: Chains, hypothesis: Hypothesis) -> Floats:
    """`(tracks,)` kinetic energy [MeV] with which the particles of tracks begin."""
    if hypothesis.kinetic_mev is not None:
        return np.full(chains.tracks, hypothesis.kinetic_mev)
    length: Floats = np.bincount(chains.track, chains.segments.length, chains.tracks).astype(np.float64)
    return np.asarray(EnergyPrior(SPECIES[hypothesis.species]).all_losses.energy(length))
