"""Levenberg-Marquardt: Gauss-Newton steps, shortened until they help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelRangeError
from ..tables import Floats
from .damped import damped_step
from .objective import Evaluation
from .progress import State

FIRST_DAMPING = 1e-3
_SMALLEST_DAMPING = 1e-12
_LARGEST_DAMPING = 1e8
_DOWN, _UP = 0.1, 8.0


@dataclass(frozen=True)
class Outcome:
    """Where and why the optimiser stopped; the point is the mean of `averaged` last iterations."""

    state: State
    evaluation: Evaluation
    converged: bool
    status: str
    averaged: int = 1


def minimise(
    evaluate: Callable[[Floats], Evaluation],
    room: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    *,
    tolerance: float,
    precision: float,
    negligible: float = 0.0,
    max_iterations: int,
    record: Callable[[State, Evaluation], None],
    resume: State | None = None,
) -> Outcome:
    """Minimise from `start` `(P,)` (or go on from `resume`).

    Solves `(H + damping diag H) dx = -g` with Marquardt's scaling (SIAM J. 11 (1963) 431); a step that lowers the
    cost is taken and the damping lowered tenfold, otherwise the damping is raised. `room(x)` gives the lowest and
    highest step of every coordinate. Costs are compared in the units of the present point. Converged when a step
    changes no coordinate by more than `tolerance`, or when the cost that the undamped step promises to gain, the
    estimated distance to the minimum, is below the `precision` (relative) to which the cost is computed, or
    `negligible` as it is. `record` is called for the start and after every iteration; `resume` may be any recorded
    state.
    """
    state = resume or State(x=start, control=FIRST_DAMPING)
    current = evaluate(state.x)
    if resume is None:
        record(state, current)
    if not _finite(current):
        return Outcome(state, current, False, "did not converge: the objective is not a finite number at the start")
    while not state.settled and state.control <= _LARGEST_DAMPING and state.iteration < max_iterations:
        step = _damped_step(current, state.control, *room(state.x))
        size = float(np.abs(step).max())
        trial = _try(evaluate, state.x + step)
        # At the minimum rounding decides whether a step helps; a negligible step is the end either way.
        # A step that bounds cut short may promise a loss: that is not the minimum.
        gain = abs(_gain(current, room(state.x)))
        settled = (size <= tolerance and state.control <= 1.0) or gain <= max(precision * current.cost, negligible)
        if trial is not None and trial.cost_seen_from(current) < current.cost:
            current = trial
            x, damping = state.x + step, max(state.control * _DOWN, _SMALLEST_DAMPING)
        else:
            x, damping = state.x, state.control * _UP
        state = replace(state, x=x, control=damping, step=size, iteration=state.iteration + 1, settled=settled)
        record(state, current)
    return Outcome(state, current, *_verdict(state, current, room(state.x), tolerance))


def _verdict(state: State, current: Evaluation, room: tuple[Floats, Floats], tolerance: float) -> tuple[bool, str]:
    """Whether the search has converged, and a clause that says why it ended."""
    if state.settled:
        return True, f"converged: the last step changes no parameter by more than {state.step:.1e} of its nominal value"
    if state.control <= _LARGEST_DAMPING:
        return False, f"did not converge: {state.iteration} iterations were not enough (max_iterations)"
    # No shorter step lowers the cost: fine if the Gauss-Newton step is negligible, failed otherwise.
    wanted = float(np.abs(_damped_step(current, 0.0, *room)).max())
    if wanted <= 1e3 * tolerance:
        return True, f"converged: no step lowers the objective any more, and the wanted step is only {wanted:.1e}"
    return False, (
        f"did not converge: no step lowers the objective although a step of {wanted:.1e} of the nominal values "
        f"is wanted (hits that appear or vanish, or a start too far away)"
    )


def _gain(current: Evaluation, room: tuple[Floats, Floats]) -> float:
    """How much the undamped step would lower the cost if it were quadratic."""
    step = _damped_step(current, 0.0, *room)
    return float(-(current.gradient @ step + 0.5 * step @ _curvature(current) @ step))


def _try(evaluate: Callable[[Floats], Evaluation], x: Floats) -> Evaluation | None:
    """The objective at `x`, or None where the model cannot go."""
    try:
        found = evaluate(x)
    except ModelRangeError:
        return None
    return found if _finite(found) else None


def _finite(e: Evaluation) -> bool:
    return bool(np.isfinite(e.cost) and np.isfinite(e.gradient).all() and np.isfinite(_curvature(e)).all())


def _damped_step(current: Evaluation, damping: float, lowest: Floats, highest: Floats) -> Floats:
    return damped_step(current.gradient, _curvature(current), damping, lowest, highest)


def _curvature(e: Evaluation) -> Floats:
    assert e.curvature is not None, "the configuration pairs this optimiser with residuals only"
    return e.curvature
