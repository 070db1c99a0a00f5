"""Maximum likelihood by Fisher scoring: Newton steps with the information in place of the second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..tables import Floats
from .levenberg_marquardt import FIRST_DAMPING, Outcome, minimise
from .objective import Evaluation
from .progress import State

#: The approach ends when a step moves no coordinate by more, or promises to lower the cost (half a chi2) by less: a few
#: standard deviations from the minimum, hits that come and go would only stop it.
_NEAR, _NEAR_GAIN = 1e-4, 5.0
#: The likelihood starts near its maximum, with hardly any damping.
_DAMPING = 1e-6
#: A step that promises less log-likelihood changes no parameter by more than 1e-5 of its uncertainty.
_NEGLIGIBLE = 0.5e-10


def maximise(
    approach: Callable[[Floats], Evaluation],
    evaluate: Callable[[Floats], Evaluation],
    room: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    *,
    rounding: float,
    max_iterations: int,
    record: Callable[[State, Evaluation], None],
    resume: State | None = None,
) -> Outcome:
    """Minimise `evaluate` (minus log-likelihood) from `start` `(P,)`, near to which `approach` must lead.

    Far from the truth a likelihood is flat: recorded times lie where the model has no current. So a first stage makes
    the approach small (residuals of matched hits find the way from anywhere), the second the likelihood, both by
    Levenberg-Marquardt; the curvature of the likelihood is its information, so undamped steps are those of Fisher
    scoring. Each stage may take `max_iterations`. `record` sees both stages; `resume` may be any recorded state.
    """
    state = resume or State(x=start, control=FIRST_DAMPING)
    if state.stage == 0:
        found = minimise(
            approach, room, start, tolerance=_NEAR, precision=30 * rounding, negligible=_NEAR_GAIN,
            max_iterations=max_iterations, record=record, resume=resume,
        ).state  # fmt: skip
        state = replace(found, control=_DAMPING, settled=False, stage=1)
    return minimise(
        evaluate, room, start, tolerance=100 * rounding, precision=30 * rounding, negligible=_NEGLIGIBLE,
        max_iterations=2 * max_iterations, record=record, resume=state,
    )  # fmt: skip
