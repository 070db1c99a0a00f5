"""One fit: which parameters move, from where, and what the outcome means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .. import parameters
from ..config.methods import Method
from ..errors import FitError
from ..parameters import Parameter
from ..tables import FitResult, FittedParameter, Floats, condition_number
from .information import Spectrum
from .levenberg_marquardt import Outcome
from .methods import OPTIMISERS, Optimiser
from .objective import Evaluation, Objective
from .priors import remarks_on_priors
from .profile import cross_checked, profile
from .progress import Finished, Progress, State
from .uncertainty import of_fit

#: What the history holds besides the free parameters and the control of the optimiser.
DIAGNOSTICS = ("objective", "gradient", "matched", "unmatched_model", "unmatched_data")

_NO_MASK = (
    "Hits near the threshold are fitted too (min_charge_electrons is 0): noise decides which of them there are, and "
    "the uncertainty does not contain the bias that this gives."
)


@dataclass(frozen=True)
class _Run:
    """The outcome of one start."""

    outcome: Outcome
    initial: Mapping[str, float]
    values: Mapping[str, float]
    history: Mapping[str, list[float]]


def fit(
    objective: Objective,
    method: Method,
    name: str,
    *,
    target: Mapping[str, float],
    seed: int,
    extra: Mapping[str, float],
    noisy: bool = False,
    batches: Sequence[Objective] = (),
    approach: Objective | None = None,
    rounding: float = float(np.finfo(np.float64).eps),
    on_iteration: Callable[[Progress], None] = lambda _: None,
    resume: Progress | None = None,
) -> FitResult:
    """Fit the free parameters of `method` and say what came of it.

    `target` holds true values where they are known; they are only carried into the result. `extra` diagnostics are
    passed through. Where the data are `noisy`, the result says how well they determine its values. `batches` are the
    parts of the objective that an optimiser of small steps goes through in turn; without them it sees the whole each
    time. By the `approach` (default: the objective itself) an optimiser of two stages comes near. `rounding` is that of
    the arithmetic of the model: nothing finer is asked of the fit.
    `on_iteration` sees every iteration; a `resume` from it continues to the same result. Raises `FitError` where the
    data say nothing about a free parameter, or a start value cannot be used.
    """
    check_method(method, name)
    free = [parameters.lookup(n, f"methods.{name}.free") for n in method.free]
    runs: list[_Run] = []
    finished = list(resume.finished) if resume else []
    for number, initial in enumerate(_starts(free, method, seed)):
        parts = tuple(batches) or (objective,)
        problem = _Problem(objective, parts, approach or objective, method, free, initial, rounding)
        if number < len(finished):
            runs.append(problem.repeat(finished[number]))
            continue
        present = resume if resume is not None and number == len(resume.finished) else None
        before = tuple(finished)
        run = problem.solve(lambda state, history: on_iteration(Progress(before, state, history)), present)  # noqa: B023
        end = run.outcome
        finished.append(Finished(end.state, end.converged, end.status, run.history, end.averaged))
        runs.append(run)
    # A cost that is not a number compares with nothing.
    best = min(runs, key=lambda r: (not r.outcome.converged, np.nan_to_num(r.outcome.evaluation.cost, nan=np.inf)))
    result = _result(best, runs, free, method, name, target, extra)
    return _with_uncertainty(result, objective, method, free, best, rounding) if noisy else result


def check_method(method: Method, name: str) -> None:
    """Refuse start values that would be ignored, and infinite values, which have no derivative and no place in JSON.

    Raises `FitError`.
    """
    for parameter in method.initial:
        if parameter not in method.free:
            raise FitError(
                f"methods.{name}.initial: {parameter} is not fitted, so it has no start value; add it to free, or give "
                f"its value in fixed."
            )
    for key, values in (("initial", method.initial), ("fixed", method.fixed)):
        for parameter, value in values.items():
            if not math.isfinite(value):
                raise FitError(
                    f"methods.{name}.{key}: {parameter} = {value:g}, but a fit needs finite values; "
                    f"1e12 is as good as infinite."
                )


def _starts(free: Sequence[Parameter], method: Method, seed: int) -> list[dict[str, float]]:
    """Start values of every start: the first from the config, the others drawn from the ranges of the table."""
    rng = np.random.default_rng([seed, 2])
    starts = [{p.name: method.initial.get(p.name, p.nominal) for p in free}]
    starts += [{p.name: float(rng.uniform(p.low, p.high)) for p in free} for _ in range(method.starts - 1)]
    return starts


@dataclass(frozen=True)
class _Coordinate:
    """A free parameter in the coordinate that its fit moves in, 1 at the nominal point."""

    parameter: Parameter
    inverse: bool

    def of(self, value: float) -> float:
        return self._seen.to_internal(value)

    def value(self, coordinate: float) -> float:
        return self._seen.from_internal(coordinate)

    def derivative(self, value: float) -> float:
        """d value / d coordinate at `value`."""
        return self._seen.derivative(value)

    def bounds(self) -> tuple[float, float]:
        # The inverse of a positive value is bounded below by 0, whatever the bounds of the value.
        if self._seen.fit_inverse:
            return 0.0, math.inf
        return self.of(self.parameter.minimum), self.of(self.parameter.maximum)

    @property
    def _seen(self) -> Parameter:
        return replace(self.parameter, fit_inverse=self.parameter.fit_inverse and self.inverse)


@dataclass(frozen=True)
class _Problem:
    """An objective seen through the coordinates of its free parameters, from one start: a `Search`."""

    objective: Objective
    parts: tuple[Objective, ...]
    near: Objective
    method: Method
    free: Sequence[Parameter]
    initial: Mapping[str, float]
    rounding: float
    history: dict[str, list[float]] = field(default_factory=dict)

    @cached_property
    def coordinates(self) -> tuple[_Coordinate, ...]:
        """The free parameters in coordinates of the optimiser."""
        return tuple(_Coordinate(p, self._optimiser.inverse) for p in self.free)

    @property
    def _optimiser(self) -> Optimiser:
        return OPTIMISERS[self.method.optimiser]

    @property
    def batches(self) -> int:
        """See `Search`."""
        return len(self.parts)

    @property
    def start(self) -> Floats:
        """See `Search`."""
        return np.array([c.of(self.initial[c.parameter.name]) for c in self.coordinates])

    def values(self, x: Floats) -> dict[str, float]:
        """All parameter values at `x`, in physical units."""
        moved = {c.parameter.name: c.value(float(v)) for c, v in zip(self.coordinates, x, strict=True)}
        return {**self.method.fixed, **moved}

    def evaluate(self, x: Floats, batch: int | None = None) -> Evaluation:
        """See `Search`."""
        return self._seen(self.objective if batch is None else self.parts[batch], x)

    def approach(self, x: Floats) -> Evaluation:
        """See `Search`."""
        return self._seen(self.near, x)

    def _seen(self, objective: Objective, x: Floats) -> Evaluation:
        """An objective in the coordinates of the optimiser."""
        at = self.values(x)
        e = objective.evaluate(at, tuple(p.name for p in self.free))
        chain = np.array([c.derivative(at[c.parameter.name]) for c in self.coordinates])
        curvature = None if e.curvature is None else e.curvature * np.outer(chain, chain)
        return replace(e, gradient=e.gradient * chain, curvature=curvature)

    def room(self, x: Floats) -> tuple[Floats, Floats]:
        """0.9 of the way to the physical bounds: see `Search`."""
        low, high = np.array([c.bounds() for c in self.coordinates]).T
        return 0.9 * (low - x), 0.9 * (high - x)

    def path(self) -> Floats:
        """See `Search`."""
        return np.array([[c.of(v) for v in self.history[c.parameter.name]] for c in self.coordinates]).T

    def solve(self, on_iteration: Callable[[State, Mapping[str, list[float]]], None], resume: Progress | None) -> _Run:
        """Minimise from the start, or go on from `resume`."""
        control = self._optimiser.control
        self.history.update({k: [] for k in (*(p.name for p in self.free), *DIAGNOSTICS, control)})
        if resume is not None:
            self.history.update({k: list(v) for k, v in resume.history.items()})
        elif self.batches > 1:
            _check_informative(self.evaluate(self.start), self.free)

        def record(state: State, e: Evaluation) -> None:
            # One batch is the whole: what is evaluated first need not be evaluated twice.
            if state.iteration == 0 and self.batches == 1:
                _check_informative(e, self.free)
            row = {"objective": e.cost, control: state.control, "gradient": float(np.abs(e.gradient).max())}
            for key, value in {**self.values(state.x), **row, **e.counts}.items():
                if key in self.history:
                    self.history[key].append(float(value))
            on_iteration(state, self.history)

        outcome = self._optimiser.run(self, record, resume.state if resume else None)
        return _Run(outcome, self.initial, self.values(outcome.state.x), self.history)

    def repeat(self, done: Finished) -> _Run:
        """The outcome of a start that was finished before an interruption."""
        outcome = Outcome(done.state, self.evaluate(done.state.x), done.converged, done.status, done.averaged)
        return _Run(outcome, self.initial, self.values(done.state.x), done.history)


def _check_informative(e: Evaluation, free: Sequence[Parameter]) -> None:
    """Refuse a fit in which nothing is matched or a parameter has no effect."""
    if not e.counts["matched"]:
        raise FitError(
            "no simulated hit has a partner in the data (same event, pixel and hit number); do the segments and the "
            "hits belong together, and is the start near enough?"
        )
    effective = e.effective if e.curvature is None else np.diag(e.curvature) > 0
    assert effective is not None, "an objective without curvature says which parameters have an effect"
    for p, has_effect in zip(free, effective, strict=True):
        if not has_effect:
            raise FitError(
                f"{p.name} has no effect on these data at the start values with the configured models; take it out of "
                f"the free parameters."
            )


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
    final = {p.name: best.values[p.name] for p in free}
    fixed = {**{p.name: p.nominal for p in parameters.calibrated() if p.name not in final}, **method.fixed}
    table = parameters.table()
    rows = [
        FittedParameter(p.name, p.unit, best.initial[p.name], final[p.name], True, None, target.get(p.name))
        for p in free
    ] + [FittedParameter(n, table[n].unit, v, v, False, None, target.get(n)) for n, v in fixed.items()]
    fraction = _unmatched_fraction(e)
    converged, status = outcome.converged, outcome.status
    if converged and fraction > method.max_unmatched_fraction:
        converged = False
        status = (
            f"not to be trusted: {fraction:.1%} of the hits have no partner, more than max_unmatched_fraction = "
            f"{method.max_unmatched_fraction:.1%} ({status})"
        )
    curvature = None if e.curvature is None else Spectrum(e.curvature)
    undetermined = [] if curvature is None else curvature.undetermined([p.name for p in free])
    if converged and undetermined:
        converged = False
        status = f"not to be trusted: the data do not determine all free parameters ({status})"
    alone = e.counts["unmatched_model"] + e.counts["unmatched_data"]
    counts = f"{e.counts['matched']:.0f} hits matched, {alone:.0f} without partner"
    return FitResult(
        status=f"{status[0].upper()}{status[1:]}; {outcome.state.iteration} iterations, {counts}.",
        converged=converged,
        method=name,
        parameters=tuple(rows),
        iterations=outcome.state.iteration,
        history={k: np.array(v) for k, v in best.history.items()},
        diagnostics={
            **extra,
            "hits_used": float(e.counts["matched"]),
            "unmatched_model": float(e.counts["unmatched_model"]),
            "unmatched_data": float(e.counts["unmatched_data"]),
            "objective": e.cost,
            "unmatched_fraction": fraction,
            **({} if curvature is None else {"condition_number": condition_number(curvature.eigenvalues)}),
            "averaged_iterations": float(outcome.averaged),
            "starts": float(len(runs)),
            "starts_converged": float(sum(r.outcome.converged for r in runs)),
        },
        warnings=(*undetermined, *_remarks(final, runs, best)),
    )


def _with_uncertainty(
    result: FitResult, objective: Objective, method: Method, free: Sequence[Parameter], best: _Run, rounding: float
) -> FitResult:
    """The result with its uncertainty, or with a sentence on why it has none."""
    found = of_fit(objective, free, best.values, method.uncertainty, rounding=rounding)
    if found is None:
        text = f"There is no uncertainty: {method.objective} does not say how probable data are."
        return replace(result, warnings=(*result.warnings, text))
    if not best.outcome.converged:
        text = "The fit did not converge: its uncertainty is that of the point where it stopped."
        found = replace(found, caveats=(text, *found.caveats))
    if method.objective == "matched_residuals" and not method.min_charge_electrons:
        found = replace(found, caveats=(*found.caveats, _NO_MASK))
    told = remarks_on_priors(objective, best.values, found.names)
    found = replace(found, caveats=(*found.caveats, *told))
    if method.uncertainty.minuit and np.isfinite(found.covariance).all():
        found = cross_checked(found, profile(objective, best.values, found.names, found, rounding=rounding))
    diagnostics, e = {**result.diagnostics, "condition_number": found.condition_number}, best.outcome.evaluation
    if e.chi2 is not None:
        diagnostics["chi2_per_degree_of_freedom"] = e.chi2 / max(e.residuals - len(free), 1)
    known = {n: float(s) for n, s in zip(found.names, found.standard, strict=True) if np.isfinite(s)}
    rows = tuple(replace(p, uncertainty=known.get(p.name)) for p in result.parameters)
    return replace(result, parameters=rows, diagnostics=diagnostics, uncertainty=found)


def _unmatched_fraction(e: Evaluation) -> float:
    """Share of all hits, of model and data together, that have no partner."""
    alone = e.counts["unmatched_model"] + e.counts["unmatched_data"]
    return float(alone / max(alone + 2 * e.counts["matched"], 1))


def _remarks(final: Mapping[str, float], runs: Sequence[_Run], best: _Run) -> list[str]:
    """Sentences about values outside their range and about starts that ended elsewhere."""
    table = parameters.table()
    remarks = [
        f"{n} = {v:.6g} {table[n].unit} lies outside the range {table[n].low:g} to {table[n].high:g} "
        f"of the parameter table."
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
