"""One fit: which parameters move, from where, and what the outcome means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import parameters
from ..config.models import Method
from ..errors import FitError
from ..parameters import Parameter
from ..tables import FitResult, FittedParameter, Floats
from .levenberg_marquardt import Outcome, State, minimise
from .objective import Evaluation, Objective

DIAGNOSTICS = ("objective", "damping", "gradient", "matched", "unmatched_model", "unmatched_data")


@dataclass(frozen=True)
class Progress:
    """A fit under way: number of the start, the optimiser's state, and the history of this and of finished starts."""

    start: int
    state: State
    history: Mapping[str, list[float]]


@dataclass(frozen=True)
class _Run:
    """The outcome of one start."""

    outcome: Outcome
    initial: Mapping[str, float]
    history: Mapping[str, list[float]]


def fit(
    objective: Objective,
    method: Method,
    name: str,
    *,
    target: Mapping[str, float],
    seed: int,
    extra: Mapping[str, float],
    on_iteration: Callable[[Progress], None] = lambda _: None,
    resume: Progress | None = None,
) -> FitResult:
    """Fit the free parameters of `method` and say what came of it.

    `target` holds true values where they are known; they are only carried into the result. `extra` diagnostics are passed through.
    `on_iteration` sees every iteration; a `resume` from it continues to the same result.
    Raises `FitError` where the data say nothing about a free parameter.
    """
    free = [parameters.lookup(n, f"methods.{name}.free") for n in method.free]
    runs = []
    for number, initial in enumerate(_starts(free, method, seed)):
        if resume is not None and number < resume.start:
            continue  # an earlier start is repeated only if it was not finished: see below
        again = resume if resume is not None and number == resume.start else None
        runs.append(_run(objective, method, free, initial, number, on_iteration, again))
    best = min(runs, key=lambda r: (not r.outcome.converged, r.outcome.evaluation.cost))
    return _result(best, runs, free, method, name, target, extra)


def _starts(free: Sequence[Parameter], method: Method, seed: int) -> list[dict[str, float]]:
    """Start values of every start: the first from the config, the others drawn from the ranges of the table."""
    rng = np.random.default_rng([seed, 2])
    starts = [{p.name: method.initial.get(p.name, p.nominal) for p in free}]
    starts += [{p.name: float(rng.uniform(p.low, p.high)) for p in free} for _ in range(method.starts - 1)]
    return starts


def _run(
    objective: Objective,
    method: Method,
    free: Sequence[Parameter],
    initial: Mapping[str, float],
    number: int,
    on_iteration: Callable[[Progress], None],
    resume: Progress | None,
) -> _Run:
    names = tuple(p.name for p in free)
    history: dict[str, list[float]] = (
        {k: list(v) for k, v in resume.history.items()} if resume else {k: [] for k in (*names, *DIAGNOSTICS)}
    )

    def values(x: Floats) -> dict[str, float]:
        return {**method.fixed, **{p.name: p.from_internal(float(v)) for p, v in zip(free, x, strict=True)}}

    def evaluate(x: Floats) -> Evaluation:
        at = values(x)
        e = objective.evaluate(at, names)
        chain = np.array([p.derivative(at[p.name]) for p in free])
        return Evaluation(e.cost, e.gradient * chain, e.curvature * np.outer(chain, chain), e.counts)

    def record(state: State, e: Evaluation) -> None:
        if state.iteration == 0:
            _check_informative(e, free)
        for key, value in values(state.x).items():
            if key in history:
                history[key].append(value)
        row = {"objective": e.cost, "damping": state.damping, "gradient": float(np.abs(e.gradient).max()), **e.counts}
        for key in DIAGNOSTICS:
            history[key].append(float(row[key]))
        on_iteration(Progress(number, state, history))

    start = np.array([p.to_internal(initial[p.name]) for p in free])
    outcome = minimise(
        evaluate,
        lambda x, dx: _physical(free, x, dx),
        start,
        tolerance=method.tolerance,
        max_iterations=method.max_iterations,
        record=record,
        resume=resume.state if resume else None,
    )
    return _Run(outcome, initial, history)


def _check_informative(e: Evaluation, free: Sequence[Parameter]) -> None:
    """Refuse a fit in which nothing is matched or a parameter has no effect."""
    if not e.counts["matched"]:
        raise FitError(
            "no simulated hit has a partner in the data (same event, pixel and hit number); do the segments and the hits "
            "belong together, and is the start near enough?"
        )
    for p, curvature in zip(free, np.diag(e.curvature), strict=True):
        if not curvature > 0:
            raise FitError(
                f"{p.name} has no effect on these data with the configured models; take it out of the free parameters."
            )


def _physical(free: Sequence[Parameter], x: Floats, dx: Floats) -> Floats:
    """Shorten a step so that no parameter goes more than 0.9 of the way to its physical bound."""
    share = 1.0
    for p, at, step in zip(free, x, dx, strict=True):
        if p.fit_inverse:  # 1/value > 0
            low, high = 0.0, np.inf
        else:
            low, high = (p.to_internal(p.minimum), p.to_internal(p.maximum))
        if step < 0 and at + step <= low + 0.1 * (at - low):
            share = min(share, 0.9 * (at - low) / -step)
        if step > 0 and at + step >= high - 0.1 * (high - at):
            share = min(share, 0.9 * (high - at) / step)
    return np.asarray(share * dx)


def _result(
    best: _Run,
    runs: Sequence[_Run],
    free: Sequence[Parameter],
    method: Method,
    name: str,
    target: Mapping[str, float],
    extra: Mapping[str, float],
) -> FitResult:
    outcome, e = best.outcome, best.outcome.evaluation
    final = {p.name: p.from_internal(float(v)) for p, v in zip(free, outcome.state.x, strict=True)}
    fixed = {**{p.name: p.nominal for p in parameters.calibrated() if p.name not in final}, **method.fixed}
    table = parameters.table()
    rows = [
        FittedParameter(p.name, p.unit, best.initial[p.name], final[p.name], True, None, target.get(p.name)) for p in free
    ] + [FittedParameter(n, table[n].unit, v, v, False, None, target.get(n)) for n, v in fixed.items()]
    fraction = _unmatched_fraction(e)
    converged, status = outcome.converged, outcome.status
    if converged and fraction > method.max_unmatched_fraction:
        converged = False
        status = (
            f"not to be trusted: {fraction:.1%} of the hits have no partner, more than max_unmatched_fraction = "
            f"{method.max_unmatched_fraction:.1%} ({status})"
        )
    counts = f"{e.counts['matched']:.0f} hits matched, {e.counts['unmatched_model'] + e.counts['unmatched_data']:.0f} without partner"
    return FitResult(
        status=f"{status[0].upper()}{status[1:]}; {outcome.state.iteration} iterations, {counts}.",
        converged=converged,
        method=name,
        parameters=tuple(rows),
        iterations=outcome.state.iteration,
        history={k: np.array(v) for k, v in best.history.items()},
        diagnostics={
            **extra,
            **{k: float(v) for k, v in e.counts.items()},
            "objective": e.cost,
            "unmatched_fraction": fraction,
            "condition_number": _condition_number(e.curvature),
            "starts": float(len(runs)),
            "starts_converged": float(sum(r.outcome.converged for r in runs)),
        },
        warnings=tuple(_remarks(final, runs, best)),
    )


def _unmatched_fraction(e: Evaluation) -> float:
    """Share of all hits, of model and data together, that have no partner."""
    alone = e.counts["unmatched_model"] + e.counts["unmatched_data"]
    return float(alone / max(alone + 2 * e.counts["matched"], 1))


def _condition_number(curvature: Floats) -> float:
    """Ratio of the largest to the smallest eigenvalue of the curvature scaled to unit diagonal."""
    scale = np.sqrt(np.diag(curvature))
    eigenvalues = np.linalg.eigvalsh(curvature / np.outer(scale, scale))
    return float(eigenvalues[-1] / max(eigenvalues[0], np.finfo(float).tiny))


def _remarks(final: Mapping[str, float], runs: Sequence[_Run], best: _Run) -> list[str]:
    """Sentences about values outside their range and about starts that ended elsewhere."""
    table = parameters.table()
    remarks = [
        f"{n} = {v:.6g} {table[n].unit} lies outside the range {table[n].low:g} to {table[n].high:g} of the parameter table."
        for n, v in final.items()
        if not table[n].low <= v <= table[n].high
    ]
    for number, run in enumerate(runs):
        apart = float(np.abs(run.outcome.state.x - best.outcome.state.x).max())
        if run is not best and apart > 1e-6:
            remarks.append(
                f"Start {number + 1} ended elsewhere, up to {apart:.2g} of the nominal values away, with objective "
                f"{run.outcome.evaluation.cost:.4g} against {best.outcome.evaluation.cost:.4g}."
            )
    return remarks
