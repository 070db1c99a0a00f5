"""What is made large: data of parts, and where a fit of them stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import numpy as np

from ...parameters import Parameter
from ...simulate.first_passage import NO_STRAY, Stray
from ...tables import Bools, Floats
from .part import Eliminated, Evaluated, Part, Planned
from .tracks import Chains

_T = TypeVar("_T")
_R = TypeVar("_R")

#: Noise is taken so many times as wide while tracks, and then parameters, too, find their places, then as it is.
WIDENED = (4.0, 2.0, 1.0)
#: The same of slow particles, which leave a hundred times the noise in a pixel: where that is wrong by a tenth, steps
#: at noise that is not much wider lead into side minima.
WIDENED_SLOW = (16.0, 4.0, 1.0)
#: See `Expected.covariance`.
_ALIKE = 30
#: The smallest coordinates, nominal ones being 1: of parameters that are fitted by their inverse, and of others.
_INFINITE, _NOTHING = 1e-6, 0.01
#: Of the first steps.
DAMPING = 1e-3


@dataclass(frozen=True)
class Expected:
    """The `gradient` `(P,)` to the coordinates that minus the log-likelihood of such data has on average at the truth,
    and the `scatter` `(P, P)` of that of data about it, as far as it is known; the latter comes of so many `pairs`."""

    gradient: Floats
    scatter: Floats
    pairs: int

    def covariance(self, information: Floats, measured: Floats) -> Floats:
        """`(P, P)` of the coordinates, where `information` `(P, P)` is the derivative of the gradient, `measured`
        `(P, P)` the part of it that external measurements of parameters have: these scatter as it says.

        A scatter of few pairs is uncertain, that of rare tracks above all. So it is taken together with `_ALIKE` pairs
        that would scatter as the information says, but for one factor for all parameters.
        """
        own = information - measured
        found, alike = (float(np.trace(np.linalg.solve(information, m))) for m in (self.scatter, own))
        scatter = (self.pairs * self.scatter + _ALIKE * found / alike * own) / (self.pairs + _ALIKE) + measured
        return np.asarray(np.linalg.solve(information, np.linalg.solve(information, scatter).T))


@dataclass(frozen=True)
class Point:
    """Where a fit stands: coordinates `x` `(P,)` of the parameters, the states of all parts, `damping`, the `stage` of
    `WIDENED`, the gradient of the determinant `(P,)` and how often (`rounds`) that was taken, what is `expected` of the
    gradient and how often (`simulations`) that was, and steps so far.

    `led` `(P,)`: where what is expected led the coordinates last, and how often (`turns` `(P,)`) that was back.
    `dampings` `(tracks,)` of each part are those of the states of tracks: one that has lost its way holds up no other.
    Pixels and nodes are those of tracks in the states `planned`, at `planned_x`, from which they have moved little.
    """

    x: Floats
    states: tuple[Chains, ...]
    planned: tuple[Chains, ...] = ()
    planned_x: Floats = field(default_factory=lambda: np.zeros(0))
    dampings: tuple[Floats, ...] = ()
    damping: float = DAMPING
    stage: int = 0
    determinant: Floats = field(default_factory=lambda: np.zeros(0))
    rounds: int = 0
    expected: Expected | None = None
    simulations: int = 0
    led: Floats = field(default_factory=lambda: np.zeros(0))
    turns: Floats = field(default_factory=lambda: np.zeros(0))
    iteration: int = 0

    @property
    def tilt(self) -> Floats:
        """`(P,)` what is added to the gradient of the cost of parts."""
        return self.determinant if self.expected is None else self.determinant - self.expected.gradient


@dataclass(frozen=True)
class Problem:
    """Parts of data, the `free` parameters and the values of all others.

    `determinant`: whether Laplace's determinant is in the cost; without it the result is biased. `prior` gives
    the cost, gradient `(P,)` and curvature `(P, P)` of external measurements of the parameters at values.
    `expected` gives what is expected of the gradient of a problem like this at coordinates `(P,)`, with steps `(P,)` of
    the determinant's differences, roughly if that is enough; None: nothing is.
    `late`: parameters that move, if they are free, only when that is taken.
    `processes`: others that work on parts; None: threads of this one do. Python lets hardly more than one of these run.
    """

    parts: Sequence[Part]
    free: Sequence[Parameter]
    fixed: Mapping[str, float]
    threads: int = 1
    determinant: bool = True
    max_iterations: int = 60
    stray: Stray = NO_STRAY
    widened: tuple[float, ...] = WIDENED
    prior: Callable[[Mapping[str, float]], tuple[float, Floats, Floats]] | None = None
    expected: Callable[[Problem, Floats, Floats, bool], Expected] | None = None
    late: tuple[str, ...] = ()
    processes: Executor | None = None

    @property
    def alone(self) -> Problem:
        """What a part of it needs to know of the problem, when others do not wait for it."""
        return replace(self, parts=(), prior=None, expected=None, processes=None, threads=1)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free parameters."""
        return tuple(p.name for p in self.free)

    def values(self, x: Floats) -> dict[str, float]:
        """All values at coordinates `x`."""
        return {**self.fixed, **{p.name: p.from_internal(float(v)) for p, v in zip(self.free, x, strict=True)}}

    @property
    def is_late(self) -> Bools:
        """`(P,)` which coordinates are late."""
        return np.array([name in self.late for name in self.names], dtype=bool)

    def slopes(self, x: Floats) -> Floats:
        """`(P,)` d value / d x."""
        values = self.values(x)
        return np.array([p.derivative(values[p.name]) for p in self.free])

    def measured(self, x: Floats) -> Floats:
        """`(P, P)` information of external measurements in the coordinates."""
        if self.prior is None:
            return np.zeros((len(x), len(x)))
        slopes = self.slopes(x)
        return np.asarray(self.prior(self.values(x))[2] * np.outer(slopes, slopes))

    def of_parts(self, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
        """What `work` makes of each, in their order. Where it takes long: processes get copies of `work` and items."""
        if self.processes is None:
            return self.map(work, items)
        return list(self.processes.map(work, items))

    def map(self, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
        """What `work` makes of each, in their order, in threads."""
        if self.threads < 2 or len(items) < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, items))

    def plans(self, point: Point) -> list[Planned]:
        """The plans of all parts."""
        values = self.values(point.planned_x)
        return self.of_parts(partial(_planned, values), list(zip(self.parts, point.planned, strict=True)))

    def evaluate(self, point: Point, plans: Sequence[Planned], some: Sequence[int] | None = None) -> list[Evaluated]:
        """All parts at a point; or those of the numbers `some`, whose states alone are in the point."""
        values, widened = self.values(point.x), self.widened[point.stage]
        numbers = range(len(self.parts)) if some is None else some
        jobs = [(self.parts[i], s, plans[i]) for i, s in zip(numbers, point.states, strict=True)]
        return self.of_parts(partial(_evaluated, values, self.names, widened, self.stray), jobs)

    def room(self, x: Floats) -> Floats:
        """`(2, P)` the lowest and the highest step of the coordinates: 0.9 of the way to the ends of their ranges."""
        low, high = np.array([_range(p) for p in self.free]).T
        return 0.9 * np.stack([np.minimum(low - x, 0.0), np.maximum(high - x, 0.0)])

    def total(
        self, point: Point, eliminated: Sequence[Eliminated], found: Sequence[Evaluated] = ()
    ) -> tuple[Floats, Floats, float]:
        """Gradient and curvature of the parameters in the coordinates of the fit, and the cost."""
        chain = self.slopes(point.x)
        gradient = sum(e.gradient for e in eliminated)
        curvature = sum(e.curvature for e in eliminated)
        if self.prior is not None:
            _, slope, more = self.prior(self.values(point.x))
            gradient, curvature = gradient + slope, curvature + more
        cost = self.cost(point, found) if found else 0.0
        return gradient * chain + point.tilt, curvature * np.outer(chain, chain), cost

    def cost(self, point: Point, found: Sequence[Evaluated]) -> float:
        """Minus the log-density at a point, of which the tilt is held; infinite where it is no number."""
        cost = sum(e.cost for e in found) + float(point.tilt @ point.x)
        if self.prior is not None:
            cost += self.prior(self.values(point.x))[0]
        return cost if np.isfinite(cost) else np.inf


def _planned(values: Mapping[str, float], job: tuple[Part, Chains]) -> Planned:
    part, state = job
    return part.planned(state, values)


def _evaluated(
    values: Mapping[str, float],
    names: tuple[str, ...],
    widened: float,
    stray: Stray,
    job: tuple[Part, Chains, Planned],
) -> Evaluated:
    part, state, planned = job
    return part.at(state, values, names, widened=widened, planned=planned, stray=stray)


def _range(p: Parameter) -> tuple[float, float]:
    """The coordinates that a parameter may have: at 0 itself the model does not change with all of them."""
    if p.fit_inverse:
        return _INFINITE, np.inf
    low = p.to_internal(p.minimum)
    return low if low < 0 else max(low, _NOTHING), p.to_internal(p.maximum)
