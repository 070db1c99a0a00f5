"""What is expected of the gradient of a fit at the truth: measured on simulation, as a fit takes it off.

The likelihood knows a track as straight segments, each of one dE/dx, and charge of others as the same on all pixels.
Real tracks lose energy in single collisions, and Laplace's integral over their segments is not exact. So the mean of
the gradient g(theta) of minus the log-likelihood is not zero at the true theta_0. It can be measured, on tracks like
the fitted ones that are simulated at theta_0, with the gradient of the same estimator at theta_0. The solution of
`g(theta) = mean g at theta` is consistent whatever the likelihood leaves out (indirect inference: Gourieroux, Monfort
and Renault, J. Appl. Econometrics 8 (1993) S85; Gallant and Tauchen, Econometric Theory 12 (1996) 657), and with I its
derivative and J the scatter of g it has the covariance

    I^-1 J I^-1 (1 + 1 / n)

where n is how many times more is simulated than measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...config.unknown import Unknown
from ...simulate.model import ForwardModel
from ...tables import Floats, Ints
from .cutting import NothingLocated
from .marginal import Held
from .part import Part
from .parts import parts_of
from .problem import Expected, Problem
from .simulated import Thrown, length_of, none_left
from .structure import Structure, with_structure

#: Number of the stream of random numbers of these simulations.
_STREAM = 25
#: Fewer tracks than this are simulated more often than asked for, until their scatter has so many degrees of freedom.
_PAIRS = 30


@dataclass(frozen=True)
class Likeness:
    """Tracks like those of a fit of `length` [cm], to be simulated (`thrown`), and what the fit takes for its own: the
    `structure` of segments at values `begun`, what is believed of what is `unknown`, and whether its data are whole
    numbers (`integer`)."""

    thrown: Thrown
    length: float
    structure: Structure
    begun: Mapping[str, float]
    unknown: Unknown
    integer: bool = False

    @staticmethod
    def of(
        model: ForwardModel,
        parts: Sequence[Part],
        unknown: Unknown,
        structure: Structure,
        begun: Mapping[str, float],
        seed: int,
    ) -> Likeness:
        """That of `parts` of a fit which begins with the segments of a `model`; `seed` is that of the fit."""
        found = [part.found for part in parts]
        times, tracks = unknown.simulated, sum(chains.tracks for chains in found)
        if tracks < _PAIRS:
            times = max(times, 1 + math.ceil(_PAIRS / tracks))
        thrown = Thrown.along(found, model, unknown, times, (seed, _STREAM))
        return Likeness(thrown, length_of(found), structure, begun, unknown, parts[0].data.integer)

    def prepared(self, part: Part) -> Part:
        """A part of data as the fit takes it, measured or simulated. Its likelihood is integrated coarsely: what that
        changes is measured with all else."""
        part = with_structure(part, self.structure, self.begun)
        return replace(part, settings=replace(part.settings, accuracy="coarse"))

    def expected(self, problem: Problem, x: Floats, steps: Floats, rough: bool = False) -> Expected:
        """What is expected of the gradient of a `problem` at coordinates `x` `(P,)`; `steps` `(P,)` of the
        determinant's differences are those of the data. A `rough` answer comes of every track once.

        Raises `FitError` where no simulated track could be fitted.
        """
        different = self.thrown.different
        groups = [k for k, g in enumerate(self.thrown.groups) if not rough or g.event_id[0] < different]
        found = problem.of_parts(partial(self.gradients, problem.alone, x, steps), groups)
        gradients = np.concatenate([of_tracks for of_tracks, _, _ in found])
        if not len(gradients):
            raise none_left()
        share = self.length / sum(length for _, _, length in found)
        # How gradients of equal tracks scatter is what a fit does.
        number = np.concatenate([events for _, events, _ in found]) % different
        scatter, pairs = _scatter(gradients, number)
        return Expected(gradients.sum(axis=0) * share, scatter * share * (1 + share), pairs)

    def gradients(self, problem: Problem, x: Floats, steps: Floats, group: int) -> tuple[Floats, Ints, float]:
        """`(n, P)` gradients of the tracks of a group, which are simulated for it, their events `(n,)`, length [cm].

        Tracks that hits would not tell the place of are not among them.
        """
        like = self.thrown.followed(group)
        parts = []
        if len(like.tracks):
            data = like.data(problem.values(x), integer=self.integer)
            with suppress(NothingLocated):
                parts = [self.prepared(part) for part in parts_of(like.model(like.tracks), data, self.unknown)]
        if not parts:
            return np.zeros((0, len(x))), np.zeros(0, dtype=np.int64), 0.0
        of_tracks = [Held.of(problem, part, part.found, x).gradient(steps) for part in parts]
        found = [part.found for part in parts]
        events = [chains.segments.event_id[chains.first] for chains in found]
        return np.concatenate(of_tracks), np.concatenate(events), length_of(found)


def _scatter(gradients: Floats, number: Ints) -> tuple[Floats, int]:
    """`(P, P)` sum of the scatter of `gradients` `(n, P)` about the mean of those of one `number` `(n,)`, and its
    degrees of freedom; if no number is there twice, about the mean of all."""
    _, row, count = np.unique(number, return_inverse=True, return_counts=True)
    if count.max() < 2:
        row, count = np.zeros_like(row), np.array([len(row)])
    mean = np.zeros((len(count), gradients.shape[1]))
    np.add.at(mean, row, gradients)
    about = (gradients - (mean / count[:, None])[row]) * np.sqrt(count / np.maximum(count - 1, 1))[row][:, None]
    freedom = int((count - 1).sum())
    return np.asarray(about.T @ about * len(row) / max(int((count > 1)[row].sum()), 1)), freedom
