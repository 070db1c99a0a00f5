"""The marginal likelihood of the parameters made large: Newton steps in parameters and states, Laplace's determinant.

`cost(x) = min over states of minus log-density + ln det(H_ll) / 2`. The determinant is no small thing: thousands of
states that are each known to some ten per cent move the parameters by many standard deviations if it is left out
(Neyman and Scott, Econometrica 16 (1948) 1). Its gradient, along the states that follow the parameters, comes from
differences; as it hardly changes over the width of the likelihood, it is held while Newton steps converge, then
taken anew.

Where tracks like the fitted ones can be simulated, the gradient that the same estimator has there at the truth is taken
off (`expected`): it is zero only as far as the model of segments is right. The two have to be one function of the
parameters. Losses have two likely values where an electron may have been, and the one that a state ends at depends on
where it came from: states that followed the parameters of a fit from far away are not those of simulated tracks, which
are at the right ones at once. So both are taken of states that begin (`Held`), at parameters that are held, with the
most probable losses at places near those of the particles.

Muons tell the second parameter of recombination (k_B) by the shape of their losses alone. Without what is taken off the
likelihood has its maximum far away; and the determinant, which depends on k_B as the steepness of charge with dE/dx
does, changes its slope within a standard deviation by as much as all else, and so does what is expected. So such
parameters are `late`: they are held while Newton steps converge, and move when both are taken, which is each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...errors import FitError, ModelRangeError
from ...tables import Bools, Floats
from ..damped import damped_step
from .part import Eliminated, Evaluated, Part, Planned
from .parts import most_probable
from .problem import DAMPING, Point, Problem
from .tracks import Chains

#: The first stage in which parameters move: tracks were found at those that a fit begins with.
_MOVING = 1
#: A stage before the last ends when a step promises to lower the cost by less than this per hit, times the widening.
#: Losses have two likely values where an electron may have been. Stages that end ten times earlier leave them at those
#: that are near the start, and the gradient depends on where tracks were found: A_B by half a standard deviation.
_ROUGH = 2e-4
#: The last one when it promises less than this per hit, and would move no parameter by more standard deviations.
_FINE, _STILL = 1e-4, 0.05
#: The same where parameters do not move at all: their gradient, states eliminated, is right to first order before.
_FINE_HELD = 1e-3
#: Below so much per hit the cost is rough: nodes come and go as segments change their lengths.
_ROUGHNESS = 5e-4
#: The determinant's gradient is good when the parameters have moved by fewer standard deviations since it was taken;
#: where states begin anew for it, which changes the cost's, too, a tenth of such a step is what is still missing.
_SETTLED, _SETTLED_ANEW = 0.2, 0.5
#: It is taken at least so often, and at most.
_FEWEST, _ROUNDS = 2, 8
#: Steps of its differences, in standard deviations of what one part tells: a state that is about to be undetermined
#: makes the determinant wiggle, and narrow differences would take that for its slope.
_STEP = 1.5
#: Sides of the differences. One will do where the same is done to simulated tracks and taken off.
_BOTH, _ONE = (-1, 1), (0, 1)
#: They are not longer than this part of the coordinate.
_WIDEST = 0.3
#: The expected gradient is taken so often: near the result, and at it; where some are late, at least.
_SIMULATIONS = 2
#: Late coordinates go no further than this part of their value in a step.
_LATE_STEP = 0.5
#: A track whose cost grows by more than this, and the square of the step of the parameters in standard deviations, has
#: lost its way.
_LOST = 1.0
_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e4


@dataclass(frozen=True)
class Maximum:
    """The end of a fit: the `point`, whether it `converged` and why it ended, the information `(P, P)` on the
    parameters in the coordinates of the fit, external measurements included, with states eliminated (`information`),
    with energies alone eliminated (`energies`) and with all states known (`known`), `cost`, and the numbers of hits and
    outliers."""

    point: Point
    converged: bool
    status: str
    information: Floats
    energies: Floats
    known: Floats
    cost: float
    hits: int
    outliers: int


def maximise(
    problem: Problem,
    start: Point,
    record: Callable[[Point, float, Mapping[str, float]], None] = lambda point, cost, counts: None,
) -> Maximum:
    """Make the marginal likelihood large from `start`; `record` sees every accepted point, and a fit that starts from
    one of those goes on to the same end."""
    nothing = np.zeros(len(start.x))
    point = start if len(start.determinant) else replace(start, determinant=nothing, led=nothing, turns=nothing)
    point = point if point.planned else _planned_anew(_damped(point, DAMPING))
    step_late = False
    while True:
        point, plans, found, status = _descended(problem, point, record, _MOVING, step_late=step_late)
        eliminated = problem.map(lambda e: e.eliminated(), found)
        if status is not None or not problem.determinant:
            break
        information = problem.total(point, eliminated)[1]
        anew, late = problem.expected is not None, problem.is_late
        wanted = _SIMULATIONS if anew else 0
        settled = point.rounds >= _FEWEST and point.simulations >= wanted
        if settled:
            moved = np.abs(point.x - point.planned_x) / np.sqrt(np.diag(np.linalg.inv(information)))
            if moved.max() < (_SETTLED_ANEW if anew else _SETTLED):
                break
            if point.rounds >= _ROUNDS:
                status = "the determinant of the states did not settle"
                if late.any():
                    named = " and ".join(np.array(problem.names)[late])
                    status = f"what simulated tracks tell of {named} did not settle"
                break
        steps = determinant_steps(problem, point, information)
        if anew and point.rounds > 0:
            point, slopes = begun_anew(problem, point, steps)
        else:
            sides = _ONE if anew else _BOTH
            slopes = determinant_gradients(problem, point, found, eliminated, steps, plans, sides)
        gradient = np.sum([of_tracks.sum(axis=0) for of_tracks in slopes], axis=0)
        if settled and not late.any():
            # What is left are wiggles, between which the fit would go to and fro.
            gradient = 0.5 * (gradient + point.determinant)
        expected, simulations = point.expected, point.simulations
        if problem.expected is not None and point.rounds > 0 and (simulations < wanted or late.any()):
            simulations += 1
            expected = problem.expected(problem, point.x, steps, simulations < wanted)
        point = replace(point, determinant=gradient, expected=expected, simulations=simulations)
        point = replace(_planned_anew(_damped(point, _LEAST_DAMPING)), rounds=point.rounds + 1)
        step_late = expected is not None and bool(late.any())
    chain = problem.slopes(point.x)
    _, information, cost = problem.total(point, eliminated, found)
    scaled, measured = np.outer(chain, chain), problem.measured(point.x)
    return Maximum(
        point=point,
        converged=status is None,
        status=status or "converged",
        information=information,
        energies=sum(e.energies_eliminated() for e in found) * scaled + measured,
        known=sum(e.curvature for e in found) * scaled + measured,
        cost=cost + 0.5 * sum(float(e.log_dets.sum()) for e in eliminated),
        hits=sum(e.hits for e in found),
        outliers=sum(e.outliers for e in found),
    )


def _late_step(problem: Problem, point: Point, found: Sequence[Evaluated]) -> Point:
    """A point at which gradients were taken, and all parts `found`, after a Newton step of all coordinates, late ones,
    too.

    What is expected along these scatters anew wherever it is taken, by a standard deviation: where one is led back it
    has been passed, and goes half of the way, the next time a third, and so on, which ends at the mean; where it is not
    it goes all the way, as it may be far off (H. Kesten, Ann. Math. Statist. 29 (1958) 41). Rough answers do not count.
    """
    eliminated = problem.map(lambda e: e.eliminated(), found)
    gradient, information, _ = problem.total(point, eliminated)
    late, (low, high) = problem.is_late, problem.room(point.x)
    led = -np.linalg.solve(information, gradient)
    turns = point.turns + (led * point.led < 0)
    farthest = _LATE_STEP * np.abs(point.x)
    step = np.clip(led / (1 + turns), np.maximum(low, -farthest), np.minimum(high, farthest))
    # The others go to where they are best with the step that late ones take.
    pull, own = gradient[~late] + information[np.ix_(~late, late)] @ step[late], information[np.ix_(~late, ~late)]
    step[~late] = damped_step(pull, own, 0.0, low[~late], high[~late])
    in_values = step * problem.slopes(point.x)
    states = tuple(_moved(e.state, gone.follow @ in_values) for e, gone in zip(found, eliminated, strict=True))
    known = np.asarray(led * (point.simulations >= _SIMULATIONS), dtype=float)
    return replace(point, x=point.x + step, states=states, led=known, turns=turns, iteration=point.iteration + 1)


def _moved(state: Chains, move: Floats) -> Chains:
    """A state after a move as far as there is room, of each track."""
    return state.moved(state.room(move)[state.track_of_columns] * move)


@dataclass(frozen=True)
class Held:
    """A part whose state has converged from a start of its own at parameters that are held: the `point` and the
    `problem` of the part alone, its `plans`, and what was `found` and `eliminated` there (of one part)."""

    problem: Problem
    point: Point
    plans: list[Planned]
    found: list[Evaluated]
    eliminated: list[Eliminated]

    @staticmethod
    def of(problem: Problem, part: Part, start: Chains, x: Floats) -> Held:
        """A part of a problem at coordinates `x` `(P,)`; parts do not wait for each other."""
        alone = replace(problem.alone, parts=[part])
        begun = _planned_anew(_damped(Point(x, (start,), determinant=np.zeros(len(x))), DAMPING))
        point, plans, found, _ = _descended(alone, begun, lambda *_: None, len(problem.widened))
        return Held(alone, point, plans, found, [e.eliminated() for e in found])

    def of_determinant(self, steps: Floats) -> Floats:
        """`(tracks, P)` gradient of the determinant of each track, by differences over `steps` `(P,)`; their sum is
        that of the part."""
        sides = self.problem, self.point, self.found, self.eliminated, steps, self.plans, _ONE
        return determinant_gradients(*sides)[0]

    def gradient(self, steps: Floats) -> Floats:
        """`(tracks, P)` gradient of minus the log-likelihood of each track that shares no pixel with another, its state
        integrated over."""
        of_tracks = self.found[0].of_each_track(self.eliminated[0]) * self.problem.slopes(self.point.x)
        return np.asarray(of_tracks + self.of_determinant(steps))


def begun_anew(problem: Problem, point: Point, steps: Floats) -> tuple[Point, list[Floats]]:
    """A point with states that begin, at its parameters, with the most probable losses where its tracks are, and what
    `determinant_gradients` makes of it."""
    work = partial(_begun_anew, problem.alone, point.x, steps)
    done = problem.of_parts(work, list(zip(problem.parts, point.states, strict=True)))
    return replace(point, states=tuple(state for state, _ in done)), [slope for _, slope in done]


def _begun_anew(problem: Problem, x: Floats, steps: Floats, job: tuple[Part, Chains]) -> tuple[Chains, Floats]:
    part, state = job
    held = Held.of(problem, part, most_probable(state, part.beliefs), x)
    return held.point.states[0], held.of_determinant(steps)


def _descended(
    problem: Problem,
    point: Point,
    record: Callable[[Point, float, Mapping[str, float]], None],
    moving: int,
    *,
    step_late: bool = False,
) -> tuple[Point, list[Planned], list[Evaluated], str | None]:
    """A point after Newton steps at its width of the noise and all narrower ones, the plans and parts there, and why
    the last of them failed, if they did; parameters move from stage `moving` on, late ones once before, if
    `step_late`."""
    while True:
        plans = problem.plans(point)
        point, found, status = _newton(problem, point, plans, record, moving=point.stage >= moving, step_late=step_late)
        if point.stage + 1 == len(problem.widened):
            return point, plans, found, status
        point = replace(_planned_anew(_damped(point, DAMPING)), stage=point.stage + 1)


def _damped(point: Point, damping: float) -> Point:
    return replace(point, damping=damping, dampings=tuple(np.full(s.tracks, damping) for s in point.states))


def _planned_anew(point: Point) -> Point:
    return replace(point, planned=point.states, planned_x=point.x)


def _newton(
    problem: Problem,
    point: Point,
    plans: Sequence[Planned],
    record: Callable[[Point, float, Mapping[str, float]], None],
    *,
    moving: bool,
    step_late: bool,
) -> tuple[Point, list[Evaluated], str | None]:
    """Levenberg-Marquardt steps of states and (`moving`) parameters at one width of the noise, after one of late ones
    if `step_late`; why it failed, if it did."""
    widened, last = problem.widened[point.stage], point.stage + 1 == len(problem.widened)
    enough = (_FINE if moving else _FINE_HELD) if last else _ROUGH * widened
    found = problem.evaluate(point, plans)
    if step_late:
        point = _late_step(problem, point, found)
        found = problem.evaluate(point, plans)
    hits = sum(e.hits for e in found)
    if step_late or (point.iteration == 0 and point.stage == 0):
        record(point, problem.cost(point, found), _counts(found))
    while True:
        if point.iteration >= problem.max_iterations:
            return point, found, "no convergence within max_iterations"
        eliminated = problem.map(lambda job: job[0].eliminated(job[1]), list(zip(found, point.dampings, strict=True)))
        gradient, curvature, cost = problem.total(point, eliminated, found)
        step, moved = np.zeros(len(gradient)), 0.0
        if moving:
            if not (np.diag(curvature) > 0).all():
                raise FitError(
                    f"{hits} of {hits + sum(e.outliers for e in found)} hits are explained, and tell not all that is "
                    f"free: {', '.join(problem.names)}; are these segments near the particles that left the hits?"
                )
            free = ~problem.is_late
            room = problem.room(point.x)[:, free]
            step[free] = damped_step(gradient[free], curvature[np.ix_(free, free)], point.damping, *room)
            moved = float(np.abs(step * np.sqrt(np.diag(curvature))).max())
        # A step that bounds cut short may promise a loss: that is not the end.
        gain = abs(float(gradient @ step + 0.5 * step @ curvature @ step))
        promised = 0.5 * sum(e.promised for e in eliminated) + gain
        if promised < enough * hits and (moved < _STILL or not last):
            return point, found, None
        x, in_values = point.x + step, step * problem.slopes(point.x)
        after, lost = _tried(problem, replace(point, x=x), found, eliminated, in_values, _LOST + moved**2, plans)
        new = problem.cost(replace(point, x=x), after) if after else np.inf
        dampings = tuple(
            np.where(gone, np.maximum(d, DAMPING) * 30, np.maximum(d / 10, _LEAST_DAMPING))
            for d, gone in zip(point.dampings, lost, strict=True)
        )
        if new < cost:
            damping = max(point.damping / 10, _LEAST_DAMPING)
            states = tuple(a.state for a in after)
            point = replace(
                point, x=x, states=states, damping=damping, dampings=dampings, iteration=point.iteration + 1
            )
            found = after
            record(point, new, _counts(found))
        elif promised < _ROUGHNESS * hits and moved < 2 * _STILL:
            return point, found, None
        elif max(point.damping, *(d.min() for d in point.dampings)) >= _MOST_DAMPING:
            return point, found, "no step lowers the cost"
        else:
            raised = tuple(np.maximum(d, DAMPING) * 30 for d in point.dampings)
            point = replace(point, damping=max(point.damping, 1e-6) * 30, dampings=raised)


def _tried(
    problem: Problem,
    point: Point,
    before: Sequence[Evaluated],
    eliminated: Sequence[Eliminated],
    in_values: Floats,
    most: float,
    plans: Sequence[Planned],
) -> tuple[list[Evaluated], list[Bools]]:
    """All parts after a step `in_values` `(P,)` of the parameters to those of `point`, and which tracks have lost their
    way, as their cost grew by more than `most`: these follow the parameters, but make no step of their own. No parts
    where the model cannot be evaluated."""
    lost = [np.zeros(e.state.tracks, dtype=bool) for e in before]

    def states(numbers: Sequence[int]) -> tuple[Chains, ...]:
        moved = []
        for i in numbers:
            state, e = before[i].state, eliminated[i]
            of = state.track_of_columns
            moved.append(_moved(state, e.newton * ~lost[i][of] + e.follow @ in_values))
        return tuple(moved)

    try:
        after = problem.evaluate(replace(point, states=states(range(len(before)))), plans)
        lost = [a.of_tracks - e.of_tracks > most for a, e in zip(after, before, strict=True)]
        again = [i for i, gone in enumerate(lost) if gone.any()]
        for i, e in zip(again, problem.evaluate(replace(point, states=states(again)), plans, again), strict=True):
            after[i] = e
    except (ValueError, ModelRangeError):
        after = []
    return after, lost


def _counts(found: Sequence[Evaluated]) -> dict[str, float]:
    return {"matched": sum(e.hits for e in found), "unmatched_data": sum(e.outliers for e in found)}


def determinant_steps(problem: Problem, point: Point, information: Floats) -> Floats:
    """`(P,)` steps of the determinant's differences at a point, for an `information` `(P, P)` in the coordinates.

    One part may tell little of a parameter: steps are a part of its value at most, so that the model has it.
    """
    return np.minimum(_STEP * np.sqrt(len(problem.parts) / np.diag(information)), _WIDEST * np.abs(point.x))


def determinant_gradients(
    problem: Problem,
    point: Point,
    found: Sequence[Evaluated],
    eliminated: Sequence[Eliminated],
    steps: Floats,
    plans: Sequence[Planned],
    sides: tuple[int, int],
) -> list[Floats]:
    """Of each part, `(tracks, P)` derivatives of ln det(H_ll) / 2 to the coordinates, while its state follows, by
    differences over `steps` `(P,)`, from the first of the `sides` to the second."""
    work = partial(_determinant_gradient, problem.alone, point.x, steps, sides)
    return problem.of_parts(work, list(zip(problem.parts, found, eliminated, plans, strict=True)))


def _determinant_gradient(
    problem: Problem,
    at_x: Floats,
    steps: Floats,
    sides: tuple[int, int],
    job: tuple[Part, Evaluated, Eliminated, Planned],
) -> Floats:
    part, at, e, plan = job
    chain = problem.slopes(at_x)

    def log_dets(k: int, by: float) -> Floats:
        x = at_x.copy()
        x[k] += by
        moved = at.state.moved(e.follow[:, k] * chain[k] * by)
        # Hits stay as good as they were: where one is about to become an outlier, the determinant has a step.
        there = part.at(moved, problem.values(x), (), weights=at.weights, planned=plan, stray=problem.stray)
        return there.log_dets()

    here = e.log_dets
    gradient = np.zeros((len(here), len(steps)))
    for k, step in enumerate(steps):
        low, high = (log_dets(k, side * step) if side else here for side in sides)
        gradient[:, k] = 0.5 * (high - low) / ((sides[1] - sides[0]) * step)
    return gradient
