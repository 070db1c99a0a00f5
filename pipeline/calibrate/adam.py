"""Adam: steps along normalised gradients of one batch after the other, with a learning rate that anneals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..config.methods import Adam
from ..errors import ModelRangeError
from ..tables import Floats
from .levenberg_marquardt import Outcome
from .objective import Evaluation
from .progress import State

_FIRST_MOMENT, _SECOND_MOMENT, _SMALL = 0.9, 0.999, 1e-8


def minimise(
    evaluate: Callable[[Floats, int | None], Evaluation],
    batches: int,
    room: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    path: Callable[[], Floats],
    settings: Adam,
    *,
    iterations: int,
    record: Callable[[State, Evaluation], None],
    resume: State | None = None,
) -> Outcome:
    """Take `iterations` steps from `start` `(P,)` (or go on from `resume`), through the batches in turn.

    The rule is that of Kingma and Ba (arXiv:1412.6980), with gradients shortened to the norm `settings.clip_norm` and a
    learning rate that falls by `settings.decay` every `settings.decay_iterations` steps. `evaluate(x, batch)` gives
    the objective of one batch, or of everything for None; `room(x)` the lowest and highest step of every coordinate;
    `path()` `(iterations + 1, P)` the coordinates of all recorded iterations. `record` is called before every step
    and at the end; `resume` may be any recorded state. The result is the mean over the last `settings.average_passes`
    passes through the batches.
    """
    state = resume or State(x=start, control=settings.learning_rate, moments=np.zeros((2, len(start))))
    while True:
        try:
            current = evaluate(state.x, state.iteration % batches)
        except ModelRangeError as error:
            if not state.iteration:
                raise
            # The point before is where the model could last go.
            state = State(path()[-1], state.control, state.step, state.iteration - 1, moments=state.moments)
            return Outcome(
                state, evaluate(state.x, None), False, f"did not settle: it left the range of the model ({error})"
            )
        if resume is None or state.iteration > resume.iteration:
            record(state, current)
        if not (np.isfinite(current.cost) and np.isfinite(current.gradient).all()):
            status = f"did not settle: the loss is not a finite number in iteration {state.iteration}"
            return Outcome(state, evaluate(state.x, None), False, status)
        if state.iteration == iterations:
            points, last = path(), averaged(settings, batches, iterations)
            settled, status = settlement(points, settings)
            mean = replace(state, x=points[-last:].mean(axis=0))
            return Outcome(mean, evaluate(mean.x, None), settled, status, last)
        state = _step(state, current.gradient, room(state.x), settings)


def averaged(settings: Adam, batches: int, iterations: int) -> int:
    """Over how many of its last iterations a walk is averaged: gradients of different batches pull it about the
    minimum in a round, and the mean over a round is nearer (Polyak and Juditsky, SIAM J. Control Optim. 30 (1992) 838).
    """
    # No more than the part in which it must have settled: before, it was on its way.
    return max(min(round(settings.average_passes * batches), int(settings.settle_fraction * iterations)), 1)


def _step(state: State, gradient: Floats, room: tuple[Floats, Floats], settings: Adam) -> State:
    assert state.moments is not None
    number = state.iteration + 1
    gradient = _shortened(gradient, settings.clip_norm)
    first = _FIRST_MOMENT * state.moments[0] + (1 - _FIRST_MOMENT) * gradient
    second = _SECOND_MOMENT * state.moments[1] + (1 - _SECOND_MOMENT) * gradient**2
    rate = settings.learning_rate * settings.decay ** ((number - 1) // settings.decay_iterations)
    size = np.sqrt(second / (1 - _SECOND_MOMENT**number)) + _SMALL
    step = np.clip(-rate * first / (1 - _FIRST_MOMENT**number) / size, *room)
    return State(state.x + step, rate, float(np.abs(step).max()), number, moments=np.stack([first, second]))


def _shortened(gradient: Floats, longest: float) -> Floats:
    with np.errstate(over="ignore"):
        norm = float(np.linalg.norm(gradient))
    if np.isinf(norm):  # the squares of the components are beyond floating point
        gradient = gradient / np.abs(gradient).max()
        norm = float(np.linalg.norm(gradient))
        return np.asarray(gradient * (longest / norm))
    return np.asarray(gradient * min(1.0, longest / max(norm, 1e-300)))


def settlement(path: Floats, settings: Adam) -> tuple[bool, str]:
    """Whether the coordinates `(iterations + 1, P)` have come to rest, and a clause that says so.

    A walk has settled if its mean over the last quarter of the window `settle_fraction` differs from that over the
    first quarter by no more than `settle_tolerance` in any coordinate. A learning rate that fell too early also brings
    a walk to rest: where some coordinate went more than half of its way in one direction all through the window, and
    not by a negligible amount, it was stopped, not settled.
    """
    window = path[-max(int(settings.settle_fraction * len(path)), 4) :]
    quarter = max(len(window) // 4, 1)
    drift = np.abs(window[-quarter:].mean(axis=0) - window[:quarter].mean(axis=0))
    walked = np.abs(np.diff(window, axis=0)).sum(axis=0)
    onward = np.abs(window[-1] - window[0]) > 0.5 * walked
    steps, tolerance = len(window) - 1, settings.settle_tolerance
    moved = f"in the last {steps} iterations the values drifted by up to {drift.max():.1e} of nominal"
    if drift.max() > tolerance:
        return False, f"did not settle: {moved}, more than settle_tolerance = {tolerance:g}"
    if (onward & (drift > 0.1 * tolerance)).any():
        return False, f"did not settle: {moved}, still in one direction when the learning rate had fallen"
    return True, f"settled: {moved}"
