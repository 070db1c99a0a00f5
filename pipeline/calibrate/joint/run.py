"""A fit with unknown segments: put together from segments as they were found and a configured method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from ...config.methods import Method
from ...detector import argon
from ...parameters import Parameter, calibrated, lookup, nominal_values
from ...reconstruct.distance import distance_to_truth
from ...reconstruct.field import field_of_velocity
from ...simulate.model import ForwardModel
from ...simulate.observe import PixelObservables
from ...tables import FitResult, FittedParameter, Floats, Observables, Segments, Tracks
from ...workers import processes
from ..fit import fit
from ..information import Spectrum
from ..methods import matched_residuals
from ..priors import Measurements, prior_caveats
from ..progress import Progress, State
from ..uncertainty import GEOMETRY_KNOWN, MARGINAL, SEGMENTS_KNOWN, SIMULATED, from_information
from .aligning import aligned
from .expected import Likeness
from .marginal import Maximum, maximise
from .part import Part
from .parts import late_of, of_tracks, parts_of, simulates, stops
from .problem import WIDENED, WIDENED_SLOW, Expected, Point, Problem
from .structure import structure_of, with_structure

#: What the history holds besides the free parameters.
_DIAGNOSTICS = ("objective", "damping", "matched", "unmatched_model", "unmatched_data")
#: Fits of so many hits (some 500 cm) have processes of their own, which take some seconds to start.
_MANY_HITS = 1000
#: Parameters of the drift that hits know best.
_DRIFT = ("electric_field", "drift_velocity_scale")


def fit_unknown(
    model: ForwardModel,
    data: Observables,
    method: Method,
    name: str,
    *,
    target: Mapping[str, float],
    seed: int,
    extra: Mapping[str, float],
    tracks: Tracks | None = None,
    truth: Segments | None = None,
    on_iteration: Callable[[Progress], None] = lambda _: None,
    resume: Progress | None = None,
) -> FitResult:
    """Fit the free parameters of a method with the segments of `model` as the place to start from; `seed` is that of
    what is simulated for it.

    `tracks`, if their segments were reconstructed, say what each may be; `truth`, true segments where they are known,
    how far the fitted tracks are from them. Raises `FitError` where nothing can be fitted.

    Sparse factors are the processor's, and so is all else here, whatever the device of the model.
    """
    free = [lookup(n, f"methods.{name}.free") for n in method.free]
    fixed = {**nominal_values(), **method.fixed}
    initial = {p.name: method.initial.get(p.name, p.nominal) for p in free}
    model = model.on_processor().with_segments(of_tracks(model.segments, method.unknown))
    if method.unknown.geometry and tracks is None:
        model, initial = _aligned(model, data, fixed, initial)
    parts = parts_of(model, data, method.unknown, tracks)
    if not method.unknown.geometry:
        initial |= _approached(parts[0], method, name)
    prior = _priors(method, free)
    begun = {**fixed, **initial}
    structure = structure_of(model, [part.found for part in parts], method.unknown, begun, seed)
    likeness = None
    if simulates(method.unknown):
        likeness = Likeness.of(model, parts, method.unknown, structure, begun, seed)
        parts = [likeness.prepared(part) for part in parts]
    else:
        parts = [with_structure(part, structure, begun) for part in parts]
    problem = Problem(
        parts,
        free,
        fixed,
        threads=model.settings.threads,
        determinant=method.unknown.determinant,
        max_iterations=method.max_iterations,
        stray=structure.stray,
        widened=WIDENED_SLOW if stops(method.unknown) else WIDENED,
        prior=prior,
        expected=None if likeness is None else likeness.expected,
        late=late_of(method.unknown),
    )
    states = tuple(part.found for part in parts)
    start = Point(np.array([p.to_internal(initial[p.name]) for p in free]), states)
    history: dict[str, list[float]] = {k: [] for k in (*method.free, *_DIAGNOSTICS)}
    if resume is not None:
        history = {k: list(v)[: resume.state.iteration + 1] for k, v in resume.history.items()}
        start = unpacked(resume.state, start)

    def record(point: Point, cost: float, counts: Mapping[str, float]) -> None:
        if len(history["objective"]) > point.iteration:  # a fit that is resumed from its first row
            return
        values = problem.values(point.x)
        for key, value in {
            **values,
            "objective": cost,
            "damping": point.damping,
            "unmatched_model": 0.0,
            **counts,
        }.items():
            if key in history:
                history[key].append(float(value))
        on_iteration(Progress((), packed(point), history))

    with _side_by_side(problem) as ready:
        end = maximise(ready, start, record)
    if truth is not None:
        extra = {**extra, **_distances(end.point, truth)}
    return _result(end, problem, method, name, initial, target, history, extra)


@contextmanager
def _side_by_side(problem: Problem) -> Iterator[Problem]:
    """The problem with processes of its own, if it has so much to do that they are worth their start."""
    several = len(problem.parts) > 1 or problem.expected is not None
    if problem.threads < 2 or not several or sum(len(part.data) for part in problem.parts) < _MANY_HITS:
        yield problem
        return
    with processes(problem.threads) as others:
        yield replace(problem, processes=others)


def _distances(point: Point, truth: Segments) -> dict[str, float]:
    """Diagnostics of the places of tracks; the rms only where any track is near the truth."""
    found = distance_to_truth(Segments.concatenate([state.segments for state in point.states]), truth)
    rms = {"position_rms_um": 1e4 * found.rms} if np.isfinite(found.rms) else {}
    return {**rms, "position_missed_fraction": found.missed}


def _aligned(
    model: ForwardModel, data: Observables, fixed: Mapping[str, float], initial: Mapping[str, float]
) -> tuple[ForwardModel, dict[str, float]]:
    """The model with its tracks where the hits are along the drift, and where to begin: see `aligned`."""
    moving = next((n for n in _DRIFT if n in initial), None)
    segments, faster = aligned(model, data, {**fixed, **initial}, moving=moving is not None)
    begun = dict(initial)
    if moving == "drift_velocity_scale":
        begun[moving] *= faster
    elif moving is not None:
        temperature = model.geometry.temperature
        velocity = argon.drift_velocity(initial[moving], temperature)
        begun[moving] = field_of_velocity(faster * velocity, temperature) or initial[moving]
    return model.with_segments(segments), begun


def _approached(part: Part, method: Method, name: str) -> dict[str, float]:
    """Drift parameters that bring the times of hits near: where segments are fixed, nothing else can.

    Recorded times lie where the model has no current if the drift velocity is a few per mille off, and the likelihood
    is flat there; residuals of matched hits are not.
    """
    moving = tuple(n for n in method.free if n in _DRIFT)
    if not moving:
        return {}
    initial = {n: v for n, v in method.initial.items() if n in moving}
    near = Method(
        free=moving,
        initial=initial,
        fixed={n: v for n, v in {**method.fixed, **method.initial}.items() if n not in moving},
    )
    model = PixelObservables(ForwardModel(part.found.segments, part.geometry, part.settings, part.pixels))
    found = fit(matched_residuals(near, model, part.data), near, name, target={}, seed=0, extra={})
    return {p.name: p.value for p in found.parameters if p.free}


def _priors(method: Method, free: Sequence[Parameter]) -> Callable[..., tuple[float, Floats, Floats]] | None:
    if not method.priors:
        return None
    measured, names = Measurements.of(method.priors), tuple(p.name for p in free)
    information = measured.information(names)

    def at(values: Mapping[str, float]) -> tuple[float, Floats, Floats]:
        cost, gradient = measured.evaluate(values, names)
        return cost, gradient, information

    return at


def packed(point: Point) -> State:
    """A point as the state of an optimiser, which can be kept."""
    places = [
        np.concatenate([s.segments.start.ravel(), s.segments.end.ravel(), s.segments.dEdx])
        for s in (*point.states, *point.planned)
    ]
    counts = np.array([float(point.rounds), float(point.simulations)])
    e = point.expected
    expected = [] if e is None else [e.gradient, e.scatter.ravel(), np.array([float(e.pairs)])]
    memory = [counts, point.determinant, point.planned_x, point.led, point.turns, *point.dampings, *places, *expected]
    return State(point.x, point.damping, iteration=point.iteration, stage=point.stage, memory=np.concatenate(memory))


def unpacked(state: State, start: Point) -> Point:
    """The point that was packed, of the same fit as `start`."""
    assert state.memory is not None
    left = [state.memory]

    def taken(*shape: int) -> Floats:
        count = int(np.prod(shape))
        values, left[0] = left[0][:count], left[0][count:]
        return np.asarray(values.reshape(shape))

    p = len(start.x)
    rounds, simulations = (int(n) for n in taken(2))
    determinant, planned_x, led, turns = (taken(p) for _ in range(4))
    dampings = tuple(taken(chains.tracks) for chains in start.states)
    states = []
    for chains in (*start.states, *start.states):
        n = len(chains.track)
        ends = taken(2, n, 3)
        states.append(chains.placed(ends[0], ends[1], taken(n)))
    parts = len(start.states)
    return Point(
        x=state.x,
        states=tuple(states[:parts]),
        planned=tuple(states[parts:]),
        planned_x=planned_x,
        dampings=dampings,
        damping=state.control,
        stage=state.stage,
        determinant=determinant,
        rounds=rounds,
        expected=Expected(taken(p), taken(p, p), int(taken(1)[0])) if len(left[0]) else None,
        simulations=simulations,
        led=led,
        turns=turns,
        iteration=state.iteration,
    )


def _taken_off(end: Maximum, problem: Problem) -> dict[str, float]:
    """By how many percent parameters would be larger if what simulated tracks tell were not taken off."""
    expected, values = end.point.expected, problem.values(end.point.x)
    if expected is None:
        return {}
    bias = -np.linalg.solve(end.information, expected.gradient) * problem.slopes(end.point.x)
    return {f"taken_off_{n}_percent": 100 * float(b) / values[n] for n, b in zip(problem.names, bias, strict=True)}


def _told(end: Maximum, measured: Floats) -> Floats:
    """`(P, P)` inverse of the covariance of the coordinates: where gradients were simulated, that of their scatter, and
    of the external measurements (see `Expected.covariance`)."""
    expected = end.point.expected
    if expected is None:
        return end.information
    return np.asarray(np.linalg.inv(expected.covariance(end.information, measured)))


def _result(
    end: Maximum,
    problem: Problem,
    method: Method,
    name: str,
    initial: Mapping[str, float],
    target: Mapping[str, float],
    history: Mapping[str, list[float]],
    extra: Mapping[str, float],
) -> FitResult:
    free, values = problem.free, problem.values(end.point.x)
    expected = end.point.expected
    measured = problem.measured(end.point.x)
    found = from_information(_told(end, measured), free, values, kind=MARGINAL if expected is None else SIMULATED)
    assumed = {GEOMETRY_KNOWN: end.energies, SEGMENTS_KNOWN: end.known}
    if expected is not None:
        assumed = {MARGINAL: end.information, **assumed}
    others = {kind: from_information(told, free, values).covariance for kind, told in assumed.items()}
    found = replace(found, others=others)
    if method.priors:
        caveats = prior_caveats(problem.names, end.information - measured, measured)
        found = replace(found, caveats=(*found.caveats, *caveats))
    if not end.converged:
        text = "The fit did not converge: its uncertainty is that of the point where it stopped."
        found = replace(found, caveats=(text, *found.caveats))
    spectrum = Spectrum(end.information)
    undetermined = tuple(spectrum.undetermined([p.name for p in free]))
    sigma = dict(zip(problem.names, found.standard, strict=True))
    rows = [
        FittedParameter(p.name, p.unit, initial[p.name], values[p.name], True, float(sigma[p.name]), target.get(p.name))
        for p in free
    ]
    table = [p for p in calibrated() if p.name not in problem.names]
    rows += [
        FittedParameter(p.name, p.unit, values[p.name], values[p.name], False, None, target.get(p.name)) for p in table
    ]
    fraction = end.outliers / max(end.hits + end.outliers, 1)
    converged, status = end.converged and not undetermined, end.status
    if converged and fraction > method.max_unmatched_fraction:
        converged = False
        status = f"not to be trusted: {fraction:.1%} of the hits are explained by no track ({status})"
    text = f"{status[0].upper()}{status[1:]}; {end.point.iteration} iterations, {end.hits} hits, "
    text += f"{end.outliers} outliers."
    states = sum(s.size for s in end.point.states)
    return FitResult(
        status=text,
        converged=converged,
        method=name,
        parameters=tuple(rows),
        iterations=end.point.iteration,
        history={k: np.array(v) for k, v in history.items()},
        diagnostics={
            **extra,
            "hits_used": float(end.hits),
            "unmatched_model": 0.0,
            "unmatched_data": float(end.outliers),
            "objective": end.cost,
            "unmatched_fraction": fraction,
            "nuisances": float(states),
            "parts": float(len(problem.parts)),
            "rounds_of_determinant": float(end.point.rounds),
            **_taken_off(end, problem),
            "condition_number": found.condition_number,
        },
        warnings=undetermined,
        uncertainty=found,
    )
