"""The marginal likelihood of the parameters made large: Newton steps in parameters and states, Laplace's determinant.

`cost(x) = min over states of minus log-density + ln det(H_ll) / 2`. The determinant is no small thing: thousands of
states that are each known to some ten per cent move the parameters by many standard deviations if it is left out
(Neyman and Scott, Econometrica 16 (1948) 1). Its gradient, along the states that follow the parameters, comes from
central differences; as it hardly changes over the width of the likelihood, it is held while Newton steps converge, then
taken anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from ...errors import FitError, ModelRangeError
from ...parameters import Parameter
from ...simulate.first_passage import NO_STRAY, Stray
from ...simulate.linked import StrayClasses
from ...tables import Bools, Floats
from .association import associated
from .part import Eliminated, Evaluated, Part, Planned
from .tracks import Chains

_T = TypeVar("_T")
_R = TypeVar("_R")

#: Noise is taken so many times as wide while tracks, and then parameters, too, find their places, then as it is.
WIDENED = (4.0, 2.0, 1.0)
#: The same of slow particles, which leave a hundred times the noise in a pixel: where that is wrong by a tenth, steps
#: at noise that is not much wider lead into side minima.
WIDENED_SLOW = (16.0, 4.0, 1.0)
#: The first stage in which parameters move: tracks were found at those that a fit begins with.
_MOVING = 1
#: A stage before the last ends when a step promises to lower the cost by less than this per hit, times the widening.
_ROUGH = 2e-3
#: The last one when it promises less than this per hit, and would move no parameter by more standard deviations.
_FINE, _STILL = 1e-4, 0.02
#: Below so much per hit the cost is rough: nodes come and go as segments change their lengths.
_ROUGHNESS = 5e-4
#: The determinant's gradient is good when a new one would move no parameter by more standard deviations than this.
_SETTLED = 0.1
#: The determinant and the classes of hits are taken anew at most so often.
_ROUNDS = 8
#: Steps of its differences, in standard deviations of what one part tells: a state that is about to be undetermined
#: makes the determinant wiggle, and narrow differences would take that for its slope.
_STEP = 1.5
#: A part whose cost grows by more has lost its way.
_LOST = 1.0
#: So often its step is made smaller before the others go on.
_SMALLER = 2
_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-3, 1e-9, 1e4


@dataclass(frozen=True)
class Point:
    """Where a fit stands: coordinates `x` `(P,)` of the parameters, the states of all parts, `damping`, the `stage` of
    `WIDENED`, the gradient of the determinant `(P,)`, how often that was taken, and steps so far.

    `classes` of the hits of all parts, where hits hold stray charge (`associated`).

    `dampings` `(parts,)` are those of the states of each part: a track that has lost its way holds up no other.
    Pixels and nodes are those of tracks in the states `planned`, at `planned_x`, from which they have moved little.
    """

    x: Floats
    states: tuple[Chains, ...]
    planned: tuple[Chains, ...] = ()
    planned_x: Floats = field(default_factory=lambda: np.zeros(0))
    dampings: Floats = field(default_factory=lambda: np.zeros(0))
    damping: float = _DAMPING
    stage: int = 0
    classes: tuple[StrayClasses, ...] = ()
    determinant: Floats = field(default_factory=lambda: np.zeros(0))
    rounds: int = 0
    iteration: int = 0


@dataclass(frozen=True)
class Maximum:
    """The end of a fit: the `point`, whether it `converged` and why it ended, the information `(P, P)` on the
    parameters in the coordinates of the fit with states eliminated (`information`), with energies alone eliminated
    (`energies`) and with all states known (`known`), `cost`, and the numbers of hits and outliers."""

    point: Point
    converged: bool
    status: str
    information: Floats
    energies: Floats
    known: Floats
    cost: float
    hits: int
    outliers: int


@dataclass(frozen=True)
class Problem:
    """Parts of data, the `free` parameters and the values of all others.

    `determinant`: whether Laplace's determinant is in the cost; without it the result is biased. `prior` gives
    the cost, gradient `(P,)` and curvature `(P, P)` of external measurements of the parameters at values.
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

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the free parameters."""
        return tuple(p.name for p in self.free)

    def values(self, x: Floats) -> dict[str, float]:
        """All values at coordinates `x`."""
        return {**self.fixed, **{p.name: p.from_internal(float(v)) for p, v in zip(self.free, x, strict=True)}}

    def slopes(self, x: Floats) -> Floats:
        """`(P,)` d value / d x."""
        values = self.values(x)
        return np.array([p.derivative(values[p.name]) for p in self.free])

    def map(self, work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
        """What `work` makes of each, in their order, in threads."""
        if self.threads < 2 or len(items) < 2:
            return [work(item) for item in items]
        with ThreadPoolExecutor(self.threads) as pool:
            return list(pool.map(work, items))

    def plans(self, point: Point) -> list[Planned]:
        """The plans of all parts."""
        values = self.values(point.planned_x)
        return self.map(lambda job: job[0].planned(job[1], values), list(zip(self.parts, point.planned, strict=True)))

    def evaluate(self, point: Point, plans: Sequence[Planned], some: Sequence[int] | None = None) -> list[Evaluated]:
        """All parts at a point; or those of the numbers `some`, whose states alone are in the point."""
        values, widened = self.values(point.x), self.widened[point.stage]
        classes = point.classes or [None] * len(self.parts)
        numbers = range(len(self.parts)) if some is None else some
        jobs = [(self.parts[i], s, plans[i], classes[i]) for i, s in zip(numbers, point.states, strict=True)]
        return self.map(
            lambda j: j[0].at(j[1], values, self.names, widened=widened, planned=j[2], stray=self.stray, classes=j[3]),
            jobs,
        )

    def associated(
        self, point: Point, found: Sequence[Evaluated], plans: Sequence[Planned]
    ) -> tuple[StrayClasses, ...]:
        """Which hits of all parts hold stray charge; nothing where there is none."""
        if self.stray.none:
            return ()
        values, widened = self.values(point.x), self.widened[point.stage]
        jobs = list(zip(self.parts, found, plans, point.classes or [None] * len(self.parts), strict=True))
        return tuple(
            self.map(lambda j: associated(j[0], j[1], values, self.names, j[2], self.stray, widened, j[3]), jobs)
        )


def maximise(
    problem: Problem,
    start: Point,
    record: Callable[[Point, float, Mapping[str, float]], None] = lambda point, cost, counts: None,
) -> Maximum:
    """Make the marginal likelihood large from `start`; `record` sees every accepted point, and a fit that starts from
    one of those goes on to the same end."""
    point = start if len(start.determinant) else replace(start, determinant=np.zeros(len(start.x)))
    point = point if point.planned else _planned_anew(_damped(point, _DAMPING))
    while True:
        plans = problem.plans(point)
        point, found, status = _newton(problem, point, plans, record)
        if point.stage + 1 < len(problem.widened):
            classes = problem.associated(point, found, plans) if point.stage >= _MOVING else ()
            point = replace(_planned_anew(_damped(point, _DAMPING)), stage=point.stage + 1, classes=classes)
            continue
        eliminated = problem.map(lambda e: e.eliminated(), found)
        if status is not None or not problem.determinant:
            break
        information = _total(problem, point, eliminated)[1]
        gradient = determinant_gradient(problem, point, found, eliminated, information, plans)
        if point.rounds > 1:
            # What is left are wiggles, between which the fit would go to and fro.
            gradient = 0.5 * (gradient + point.determinant)
        move = np.linalg.solve(information, gradient - point.determinant)
        settled = np.abs(move / np.sqrt(np.diag(np.linalg.inv(information)))).max() < _SETTLED
        point = _planned_anew(_damped(point, _LEAST_DAMPING))
        classes = problem.associated(point, found, plans)
        point = replace(point, determinant=gradient, rounds=point.rounds + 1, classes=classes)
        if (settled and point.rounds > 1) or point.rounds >= _ROUNDS:
            status = None if settled else "the determinant of the states did not settle"
            break
    chain = problem.slopes(point.x)
    _, information, cost = _total(problem, point, eliminated, found)
    scaled = np.outer(chain, chain)
    return Maximum(
        point=point,
        converged=status is None,
        status=status or "converged",
        information=information,
        energies=sum(e.energies_eliminated() for e in found) * scaled,
        known=sum(e.curvature for e in found) * scaled,
        cost=cost + 0.5 * sum(e.log_det for e in eliminated),
        hits=sum(e.hits for e in found),
        outliers=sum(e.outliers for e in found),
    )


def _damped(point: Point, damping: float) -> Point:
    return replace(point, damping=damping, dampings=np.full(len(point.states), damping))


def _planned_anew(point: Point) -> Point:
    return replace(point, planned=point.states, planned_x=point.x)


def _newton(
    problem: Problem,
    point: Point,
    plans: Sequence[Planned],
    record: Callable[[Point, float, Mapping[str, float]], None],
) -> tuple[Point, list[Evaluated], str | None]:
    """Levenberg-Marquardt steps of parameters and states at one width of the noise; why it failed, if it did."""
    widened, last = problem.widened[point.stage], point.stage + 1 == len(problem.widened)
    found = problem.evaluate(point, plans)
    hits = sum(e.hits for e in found)
    if point.iteration == 0 and point.stage == 0:
        record(point, _cost(problem, point, found), _counts(found))
    while True:
        if point.iteration >= problem.max_iterations:
            return point, found, "no convergence within max_iterations"
        eliminated = problem.map(lambda job: job[0].eliminated(job[1]), list(zip(found, point.dampings, strict=True)))
        gradient, curvature, cost = _total(problem, point, eliminated, found)
        step = np.zeros(len(gradient))
        if point.stage >= _MOVING:
            try:
                step = -np.asarray(np.linalg.solve(curvature + point.damping * np.diag(np.diag(curvature)), gradient))
            except np.linalg.LinAlgError:
                raise FitError(
                    f"{hits} of {hits + sum(e.outliers for e in found)} hits are explained, and tell not all that is "
                    f"free: {', '.join(problem.names)}; are these segments near the particles that left the hits?"
                ) from None
        promised = 0.5 * (sum(e.promised for e in eliminated) - float(gradient @ step))
        moved = np.abs(step * np.sqrt(np.diag(curvature))).max()
        if promised < (_FINE if last else _ROUGH * widened) * hits and (moved < _STILL or not last):
            return point, found, None
        x, states = _stepped(problem, point, eliminated, step)
        try:
            after = problem.evaluate(replace(point, x=x, states=states), plans)
        except (ValueError, ModelRangeError):
            after = []
        lost = np.ones(len(found), dtype=bool)
        if after:
            lost = np.array([a.cost - e.cost > _LOST for a, e in zip(after, found, strict=True)])
            after = _calmed(problem, replace(point, x=x), found, after, lost, x - point.x, plans)
            states = tuple(a.state for a in after)
        new = _cost(problem, replace(point, x=x), after) if after else np.inf
        dampings = np.where(
            lost, np.maximum(point.dampings, 1e-6) * 30, np.maximum(point.dampings / 10, _LEAST_DAMPING)
        )
        if new < cost:
            damping = max(point.damping / 10, _LEAST_DAMPING)
            point = replace(
                point, x=x, states=states, damping=damping, dampings=dampings, iteration=point.iteration + 1
            )
            found = after
            record(point, new, _counts(found))
        elif promised < _ROUGHNESS * hits and max(point.damping, point.dampings.max()) > 1e-3 and moved < 2 * _STILL:
            return point, found, None
        elif max(point.damping, point.dampings.min()) >= _MOST_DAMPING:
            return point, found, "no step lowers the cost"
        elif lost.any() and not lost.all() and point.dampings[lost].min() < _MOST_DAMPING:
            point = replace(point, dampings=np.where(lost, dampings, point.dampings))
        else:
            raised = np.maximum(point.dampings, 1e-6) * 30
            point = replace(point, damping=max(point.damping, 1e-6) * 30, dampings=raised)


def _calmed(
    problem: Problem,
    point: Point,
    before: Sequence[Evaluated],
    after: Sequence[Evaluated],
    lost: Bools,
    step: Floats,
    plans: Sequence[Planned],
) -> list[Evaluated]:
    """The parts `after` a `step` of the coordinates, those that have `lost` their way with smaller steps of their
    states alone, if these end lower; the others need not wait for them."""
    calmed, dampings = list(after), point.dampings.copy()
    for _ in range(_SMALLER):
        again = [i for i in np.flatnonzero(lost).tolist() if calmed[i].cost - before[i].cost > _LOST]
        if not again:
            break
        dampings[again] = np.maximum(dampings[again], 1e-6) * 30
        some = [before[i].eliminated(dampings[i]) for i in again]
        begun = replace(point, x=point.x - step, states=tuple(before[i].state for i in again))
        try:
            tried = problem.evaluate(replace(point, states=_stepped(problem, begun, some, step)[1]), plans, again)
        except (ValueError, ModelRangeError):
            break
        for i, e in zip(again, tried, strict=True):
            calmed[i] = e if e.cost < calmed[i].cost else calmed[i]
    return calmed


def _counts(found: Sequence[Evaluated]) -> dict[str, float]:
    return {"matched": sum(e.hits for e in found), "unmatched_data": sum(e.outliers for e in found)}


def _stepped(
    problem: Problem, point: Point, eliminated: Sequence[Eliminated], step: Floats
) -> tuple[Floats, tuple[Chains, ...]]:
    """The point after a step of the coordinates, with the states that follow it."""
    low = np.array([0.0 if p.fit_inverse else p.to_internal(p.minimum) for p in problem.free])
    high = np.array([np.inf if p.fit_inverse else p.to_internal(p.maximum) for p in problem.free])
    ratio = np.where(step < 0, (low - point.x) / np.minimum(step, -1e-300), (high - point.x) / np.maximum(step, 1e-300))
    step = step * min(1.0, 0.9 * float(ratio.min()))
    in_values = step * problem.slopes(point.x)
    states = []
    for state, e in zip(point.states, eliminated, strict=True):
        move = e.newton + e.follow @ in_values
        states.append(state.moved(state.room(move) * move))
    return point.x + step, tuple(states)


def _total(
    problem: Problem, point: Point, eliminated: Sequence[Eliminated], found: Sequence[Evaluated] = ()
) -> tuple[Floats, Floats, float]:
    """Gradient and curvature of the parameters in the coordinates of the fit, and the cost."""
    chain = problem.slopes(point.x)
    gradient = sum(e.gradient for e in eliminated)
    curvature = sum(e.curvature for e in eliminated)
    if problem.prior is not None:
        _, slope, more = problem.prior(problem.values(point.x))
        gradient, curvature = gradient + slope, curvature + more
    cost = _cost(problem, point, found) if found else 0.0
    return gradient * chain + point.determinant, curvature * np.outer(chain, chain), cost


def _cost(problem: Problem, point: Point, found: Sequence[Evaluated]) -> float:
    cost = sum(e.cost for e in found) + float(point.determinant @ point.x)
    if problem.prior is not None:
        cost += problem.prior(problem.values(point.x))[0]
    return cost if np.isfinite(cost) else np.inf


def determinant_gradient(
    problem: Problem,
    point: Point,
    found: Sequence[Evaluated],
    eliminated: Sequence[Eliminated],
    information: Floats,
    plans: Sequence[Planned],
) -> Floats:
    """`(P,)` derivative of ln det(H_ll) / 2 to the coordinates, while the states follow.

    `information` `(P, P)` in the coordinates sets the steps of the differences.
    """
    chain = problem.slopes(point.x)
    width = _STEP * np.sqrt(len(problem.parts) / np.diag(information))

    def log_det(job: tuple[Part, Evaluated, Eliminated, Planned, StrayClasses | None, int, float]) -> float:
        part, at, e, plan, classes, k, step = job
        x = point.x.copy()
        x[k] += step
        moved = at.state.moved(e.follow[:, k] * chain[k] * step)
        # Hits stay as good as they were: where one is about to become an outlier, the determinant has a step.
        there = part.at(
            moved,
            problem.values(x),
            problem.names,
            weights=at.weights,
            planned=plan,
            stray=problem.stray,
            classes=classes,
        )
        return there.eliminated().log_det

    gradient = np.zeros(len(point.x))
    for k, step in enumerate(width):
        jobs = [
            (*of_part, k, side * step)
            for side in (1.0, -1.0)
            for of_part in zip(
                problem.parts, found, eliminated, plans, point.classes or [None] * len(plans), strict=True
            )
        ]
        values = problem.map(log_det, jobs)
        half = len(values) // 2
        gradient[k] = 0.5 * (sum(values[:half]) - sum(values[half:])) / (2 * step)
    return gradient
