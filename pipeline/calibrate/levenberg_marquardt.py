"""Levenberg-Marquardt: Gauss-Newton steps, shortened until they help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelRangeError
from ..tables import Floats
from .objective import Evaluation

_FIRST_DAMPING = 1e-3
_SMALLEST_DAMPING = 1e-12
_LARGEST_DAMPING = 1e8
_DOWN, _UP = 0.1, 8.0


@dataclass(frozen=True)
class State:
    """All that the next iteration depends on: point `x` `(P,)`, `damping`, and the step that led here."""

    x: Floats
    damping: float
    step: float = np.inf
    iteration: int = 0


@dataclass(frozen=True)
class Outcome:
    """Where and why the optimiser stopped."""

    state: State
    evaluation: Evaluation
    converged: bool
    status: str


def minimise(
    evaluate: Callable[[Floats], Evaluation],
    limit: Callable[[Floats, Floats], Floats],
    start: Floats,
    *,
    tolerance: float,
    max_iterations: int,
    record: Callable[[State, Evaluation], None],
    resume: State | None = None,
) -> Outcome:
    """Minimise from `start` `(P,)` (or go on from `resume`).

    Solves `(H + damping diag H) dx = -g` with Marquardt's scaling (SIAM J. 11 (1963) 431); a step that lowers the
    cost is taken and the damping lowered tenfold, otherwise the damping is raised. `limit(x, dx)` shortens a step to
    what is physical. Converged when a step changes no coordinate by more than `tolerance`. `record` is called for the
    start and after every iteration.
    """
    state = resume or State(x=start, damping=_FIRST_DAMPING)
    current = evaluate(state.x)
    if resume is None:
        record(state, current)
    while state.iteration < max_iterations:
        step = limit(state.x, _damped_step(current, state.damping))
        size = float(np.abs(step).max())
        trial = _try(evaluate, state.x + step)
        better = trial is not None and trial.cost < current.cost
        # At the minimum rounding decides whether a step helps; a negligible step is the end either way.
        small = size <= tolerance and state.damping <= 1.0
        if better:
            assert trial is not None
            current = trial
            state = State(state.x + step, max(state.damping * _DOWN, _SMALLEST_DAMPING), size, state.iteration + 1)
        else:
            state = replace(state, damping=state.damping * _UP, iteration=state.iteration + 1)
        record(state, current)
        if small:
            return Outcome(
                state,
                current,
                True,
                f"converged: the last step changed no parameter by more than {size:.1e} of its nominal value",
            )
        if state.damping > _LARGEST_DAMPING:
            return Outcome(state, current, *_stalled(current, tolerance))
    return Outcome(
        state, current, False, f"did not converge: {max_iterations} iterations were not enough (max_iterations)"
    )


def _stalled(current: Evaluation, tolerance: float) -> tuple[bool, str]:
    """Verdict where no shorter step lowers the cost: fine if the Gauss-Newton step is negligible, failed otherwise."""
    wanted = float(np.abs(_damped_step(current, 0.0)).max())
    if wanted <= 1e3 * tolerance:
        return True, f"converged: no step lowers the objective any more, and the wanted step is only {wanted:.1e}"
    return False, (
        f"did not converge: no step lowers the objective although a step of {wanted:.1e} of the nominal values "
        f"is wanted (hits that appear or vanish, or a start too far away)"
    )


def _try(evaluate: Callable[[Floats], Evaluation], x: Floats) -> Evaluation | None:
    """The objective at `x`, or None where the model cannot go."""
    try:
        return evaluate(x)
    except ModelRangeError:
        return None


def _damped_step(current: Evaluation, damping: float) -> Floats:
    """Solution of the damped normal equations, computed with unit diagonal in float64."""
    scale = np.sqrt(np.diag(current.curvature))
    scale = np.where(scale > 0, scale, 1.0)
    normal = current.curvature / np.outer(scale, scale) + damping * np.eye(len(scale))
    return np.asarray(-np.linalg.lstsq(normal, current.gradient / scale, rcond=1e-15)[0] / scale)
