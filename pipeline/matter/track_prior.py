"""What is known of dE/dx along whole tracks whose particle, direction or energy is not certain: mixtures of hypotheses.

Under one hypothesis the pieces of a track lose energy independently, about what the particle has left at each; the
density of a track is the sum over hypotheses, weighted by their probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from ..tables import Floats, Ints
from .energy_prior import EnergyPrior, Layers


@dataclass(frozen=True)
class ParticleHypothesis:
    """What made a track: `pdg` code; `kinetic` energy [MeV] where it began, None for a particle that stops at its end.

    `backward`: it began at the track's end, and went (or stopped) towards the start. `probability` relative to others.
    """

    pdg: int = 13
    kinetic: float | None = None
    backward: bool = False
    probability: float = 1.0


def both_ways(hypothesis: ParticleHypothesis) -> tuple[ParticleHypothesis, ParticleHypothesis]:
    """The same particle in either direction, with half of its probability each."""
    half = replace(hypothesis, probability=0.5 * hypothesis.probability)
    return half, replace(half, backward=not half.backward)


@dataclass(frozen=True)
class TrackDensity:
    """Logarithm `value` `(t,)` of the density of all u of each track, and `posterior` `(t, h)` of the hypotheses.

    `first` `(n,)`: its derivatives to u. `second` `(n,)`: the second ones with the posterior fixed, which is what steps
    need; pieces of a track are correlated besides, by not knowing the hypothesis.
    """

    value: Floats
    first: Floats
    second: Floats
    posterior: Floats


@dataclass(frozen=True)
class TrackPrior:
    """Density of `u = ln(dE/dx / (MeV/cm))` of the pieces of tracks: `track` `(n,)` 0 ... t - 1 says whose they are.

    `log_probability` `(t, h)` of hypotheses, `layers` of the pieces under each.
    """

    hypotheses: tuple[ParticleHypothesis, ...]
    track: Ints
    log_probability: Floats
    layers: tuple[Layers, ...]

    @staticmethod
    def of(
        hypotheses: Sequence[ParticleHypothesis],
        track: Ints,
        length: Floats,
        to_end: Floats,
        track_length: Floats,
        *,
        probability: Floats | None = None,
        cut: float = np.inf,
    ) -> TrackPrior:
        """The prior of pieces of `length` [cm] whose centres are `to_end` [cm] of path from the end of their `track`.

        `track`, `length`, `to_end` `(n,)`; `track_length` `(t,)` [cm] of path from start to end. `probability`
        `(t, h)`: of the hypotheses for each track, relative and not negative, instead of their own. `cut` as for
        `EnergyPrior`.
        Raises `ValueError` without hypotheses, or where a track has none of any probability.
        """
        own = np.array([h.probability for h in hypotheses], dtype=np.float64)
        weight = np.broadcast_to(own, (len(track_length), len(own))) if probability is None else probability
        total = weight.sum(axis=1, keepdims=True)
        if not len(own) or (weight < 0).any() or not (total > 0).all():
            raise ValueError("every track needs a hypothesis of some probability, and none may be negative")
        # A share so small tells nothing, and keeps the logarithm finite.
        share = np.maximum(weight / total, 1e-300)
        found = []
        for hypothesis in hypotheses:
            prior = EnergyPrior(hypothesis.pdg, cut)
            left = track_length[track] - to_end if hypothesis.backward else to_end
            if hypothesis.kinetic is not None:
                whole = float(prior.all_losses.range(np.array(hypothesis.kinetic)))
                left = whole - (track_length[track] - left)
            # Where the energy does not reach, the layer holds itself at the end of the particle's range.
            found.append(prior.layers_at(length, np.maximum(left, 1e-3)))
        return TrackPrior(tuple(hypotheses), track, np.log(share), tuple(found))

    def log_density(self, u: Floats) -> TrackDensity:
        """The density at `u` `(n,)`; see `TrackDensity`."""
        parts = [layers.log_density(u) for layers in self.layers]
        value, posterior = self._posterior([part[0] for part in parts])
        weight = posterior[self.track]
        first = sum(weight[:, i] * part[1] for i, part in enumerate(parts))
        second = sum(weight[:, i] * part[2] for i, part in enumerate(parts))
        return TrackDensity(value, np.asarray(first), np.asarray(second), posterior)

    def by_end(self, u: Floats) -> Floats:
        """`(t,)` derivative [1/cm] of the value to the range that particles have left, all along their tracks.

        For particles that stop it is the derivative to how far their track goes on, beyond the end where they stop.
        """
        _, posterior = self._posterior([layers.log_density(u)[0] for layers in self.layers])
        weight, found = posterior[self.track], np.zeros(len(self.log_probability))
        for i, layers in enumerate(self.layers):
            found += np.bincount(self.track, weight[:, i] * layers.by_range(u), minlength=len(found))
        return found

    def start(self) -> Floats:
        """`(n,)` u to start from: the most probable one under each piece's likeliest hypothesis."""
        modes = np.stack([layers.mode_and_width()[0] for layers in self.layers])
        return np.asarray(modes[self.log_probability.argmax(axis=1)[self.track], np.arange(len(self.track))])

    def _posterior(self, values: list[Floats]) -> tuple[Floats, Floats]:
        tracks = len(self.log_probability)
        summed = np.stack([np.bincount(self.track, value, minlength=tracks) for value in values], axis=1)
        joint = self.log_probability + summed
        whole = np.asarray(logsumexp(joint, axis=1))
        return whole, np.exp(joint - whole[:, None])
