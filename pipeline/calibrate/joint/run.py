"""A fit with unknown segments: put together from segments as they were found and a configured method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...config.methods import Method
from ...config.unknown import Hypothesis, Unknown
from ...matter.energy_prior import EnergyPrior
from ...matter.particles import mass
from ...matter.ranges import loss_table
from ...matter.scattering import highland
from ...matter.stopping import beta_squared
from ...parameters import Parameter, calibrated, lookup, nominal_values
from ...reconstruct.distance import distance_to_truth
from ...simulate.linked import StrayClasses
from ...simulate.model import ForwardModel
from ...simulate.observe import PixelObservables
from ...tables import SPECIES, Bools, FitResult, FittedParameter, Floats, Ints, Observables, Segments, Tracks
from ..fit import fit
from ..information import Spectrum
from ..methods import matched_residuals
from ..priors import Measurements, prior_caveats
from ..progress import Progress, State
from ..uncertainty import from_information
from .begin import with_recorded_charge
from .beliefs import Beliefs, EnergyBelief, EnergyDensity, gaussian, stopping, straggling
from .cutting import cut_at_pixels, usable
from .marginal import WIDENED, WIDENED_SLOW, Maximum, Point, Problem, maximise
from .part import Part
from .structure import structure_of, with_structure
from .tracks import Chains

#: Covariances of other assumptions beside that of the fit: see `FitResult.uncertainty.others`.
SEGMENTS_KNOWN, GEOMETRY_KNOWN = "segments known", "geometry known"
KIND = "marginal information"

#: What the history holds besides the free parameters.
_DIAGNOSTICS = ("objective", "damping", "matched", "unmatched_model", "unmatched_data")
#: Parameters of the drift that hits know best.
_DRIFT = ("electric_field", "drift_velocity_scale")
#: Belief in u of electrons of any energy, and of segments of uncertain length.
_ANYTHING = 1.3, 1.0
#: Belief in u where it is given: as good as known.
_KNOWN = 1e-3


def fit_unknown(
    model: ForwardModel,
    data: Observables,
    method: Method,
    name: str,
    *,
    target: Mapping[str, float],
    extra: Mapping[str, float],
    tracks: Tracks | None = None,
    truth: Segments | None = None,
    on_iteration: Callable[[Progress], None] = lambda _: None,
    resume: Progress | None = None,
) -> FitResult:
    """Fit the free parameters of a method with the segments of `model` as the place to start from.

    `tracks`, if their segments were reconstructed, say what each may be; `truth`, true segments where they are known,
    how far the fitted tracks are from them. Raises `FitError` where nothing can be fitted.
    """
    free = [lookup(n, f"methods.{name}.free") for n in method.free]
    fixed = {**nominal_values(), **method.fixed}
    parts = parts_of(model, data, method.unknown, tracks)
    initial = {p.name: method.initial.get(p.name, p.nominal) for p in free}
    if not method.unknown.geometry and resume is None:
        initial |= _approached(parts[0], method, name)
    prior = _priors(method, free)
    structure = structure_of(model, [part.found for part in parts], method.unknown, {**fixed, **initial})
    parts = [with_structure(part, structure, {**fixed, **initial}) for part in parts]
    problem = Problem(
        parts,
        free,
        fixed,
        threads=model.settings.threads,
        determinant=method.unknown.determinant,
        max_iterations=method.max_iterations,
        stray=structure.stray,
        widened=WIDENED_SLOW if _stops(method.unknown) else WIDENED,
        prior=prior,
    )
    states = tuple(part.found for part in parts)
    if method.unknown.energy == "fitted" and not _stops(method.unknown):
        # The loss at a residual range is known better than the charge of a piece is.
        begun = {**fixed, **initial}
        states = tuple(problem.map(lambda part: with_recorded_charge(part, part.found, begun), parts))
    start = Point(np.array([p.to_internal(initial[p.name]) for p in free]), states)
    history: dict[str, list[float]] = {k: [] for k in (*method.free, *_DIAGNOSTICS)}
    if resume is not None:
        history = {k: list(v)[: resume.state.iteration + 1] for k, v in resume.history.items()}
        start = unpacked(resume.state, start, problem)

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

    end = maximise(problem, start, record)
    if truth is not None:
        extra = {**extra, **_distances(end.point, truth)}
    return _result(end, problem, method, name, initial, target, history, extra)


def _distances(point: Point, truth: Segments) -> dict[str, float]:
    """Diagnostics of the places of tracks; the rms only where any track is near the truth."""
    found = distance_to_truth(Segments.concatenate([state.segments for state in point.states]), truth)
    rms = {"position_rms_um": 1e4 * found.rms} if np.isfinite(found.rms) else {}
    return {**rms, "position_missed_fraction": found.missed}


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


def parts_of(model: ForwardModel, data: Observables, unknown: Unknown, tracks: Tracks | None = None) -> list[Part]:
    """The sample in parts of whole events, with what is believed of each."""
    segments = usable(model.segments, loose=unknown.geometry, shortest=unknown.min_track_cm)
    # Such a width is that of the segments as they are; and of particles that stop, neighbours are known to lose alike.
    if unknown.geometry and unknown.relative_width is None and not _stops(unknown):
        segments = cut_at_pixels(segments, model.geometry)
    events, row = np.unique(segments.event_id, return_inverse=True)
    length = np.bincount(row, segments.length)
    number = np.floor((np.cumsum(length) - length) / unknown.part_length_cm).astype(np.int64)
    number = np.unique(number, return_inverse=True)[1]
    # Where a particle stopped tells its energy; where another one left is known from the border, or tells nothing.
    sliding = any(h.kinetic_mev is None for h in unknown.hypotheses)
    parts = []
    for k in range(int(number.max()) + 1):
        chains = Chains.of(segments.take(number[row] == k), loose=unknown.geometry, sliding=sliding)
        if unknown.energy == "fitted" and _stops(unknown):
            chains = chains.stopping(EnergyPrior(SPECIES[unknown.hypotheses[0].species]).all_losses)
        beliefs = beliefs_of(chains, unknown, tracks)
        mine = data.take(np.isin(data.event, events[number == k]))
        begun = chains if unknown.energy == "given" else most_probable(chains, beliefs)
        parts.append(Part(mine, begun, beliefs, model.geometry, replace(model.settings, threads=1), model.pixels))
    return parts


def _stops(unknown: Unknown) -> bool:
    """Whether tracks are taken for those of particles that stop at their ends."""
    return unknown.hypotheses[0].kinetic_mev is None


def beliefs_of(chains: Chains, unknown: Unknown, tracks: Tracks | None) -> Beliefs:
    """What is believed of chains: see `Unknown`."""
    kink = np.zeros(0)
    if chains.loose:
        kink = unknown.scattering * scattering_angle(chains, unknown.hypotheses[0])
    more = {"ends": unknown.ends_cm, "offsets": unknown.offsets_cm}
    if unknown.energy == "given":
        return Beliefs((_given(chains.log_dedx),), np.ones((chains.tracks, 1)), kink, **more)
    anything = np.isin(np.abs(chains.segments.pdg_id), (11, 22)) & (tracks is None)
    if chains.loose and not chains.sliding:
        # Ends that stay where they were found make lengths of the last segments, and so their u, uncertain.
        anything[chains.first] = anything[chains.last] = True
    energy = tuple(_where(anything, belief(h, chains, unknown)) for h in unknown.hypotheses)
    weights = np.tile([h.probability for h in unknown.hypotheses], (chains.tracks, 1))
    if tracks is not None:
        weights = weights * _identified(chains, tracks, unknown.hypotheses)
    weights = np.maximum(weights, 1e-12)
    return Beliefs(energy, weights / weights.sum(axis=1, keepdims=True), kink, **more)


def belief(hypothesis: Hypothesis, chains: Chains, unknown: Unknown) -> EnergyBelief:
    """The density of u that a hypothesis means."""
    cut = np.inf if unknown.production_cut_mev is None else unknown.production_cut_mev
    prior = EnergyPrior(SPECIES[hypothesis.species], cut)
    if hypothesis.kinetic_mev is None:
        return stopping(prior)
    kinetic = _in_the_middle(chains, prior, hypothesis.kinetic_mev)
    if unknown.relative_width is not None:
        mode = prior.layers(np.ones(1), kinetic[:1]).mode_and_width()[0][0]
        return gaussian(float(mode), unknown.relative_width)
    return straggling(prior, kinetic)


def _in_the_middle(chains: Chains, prior: EnergyPrior, kinetic: float) -> Floats:
    """`(tracks,)` kinetic energy [MeV] half way along each track."""
    half = 0.5 * np.bincount(chains.track, chains.segments.length, chains.tracks)
    residual = prior.all_losses.range(np.array([kinetic])) - half
    return np.asarray(prior.all_losses.energy(np.maximum(residual, 0.5)))


def scattering_angle(chains: Chains, hypothesis: Hypothesis) -> Floats:
    """`(v,)` width [rad] of the change of direction at vertices, on one plane: Highland's (`matter.scattering`), for
    the mean length of the segments on both sides.
    """
    pdg = SPECIES[hypothesis.species]
    m = mass(pdg) if pdg != 11 else 0.511
    length = chains.segments.length
    at_vertex = np.zeros(len(chains.at_end))
    np.add.at(at_vertex, chains.start_vertex, 0.5 * length)
    np.add.at(at_vertex, chains.start_vertex + 1, 0.5 * length)
    if hypothesis.kinetic_mev is None:
        residual = np.zeros(len(at_vertex))
        residual[chains.start_vertex] = chains.residual_range + 0.5 * length
        kinetic = loss_table(m, np.inf, 0.02).energy(np.maximum(residual, 0.2))
    else:
        kinetic = np.full(len(at_vertex), hypothesis.kinetic_mev)
    beta2 = beta_squared(kinetic, m)
    return highland(beta2 * (kinetic + m), at_vertex, beta2)


def _identified(chains: Chains, tracks: Tracks, hypotheses: Sequence[Hypothesis]) -> Floats:
    """`(tracks, hypotheses)` probabilities of the identified particles."""
    row = {key: i for i, key in enumerate(zip(tracks.event_id.tolist(), tracks.track_id.tolist(), strict=True))}
    segments, first = chains.segments, chains.first
    keys = zip(segments.event_id[first].tolist(), segments.traj_id[first].tolist(), strict=True)
    column: Ints = np.array([list(SPECIES).index(h.species) for h in hypotheses])
    return tracks.probability[[row[key] for key in keys]][:, column]


def _where(anything: Bools, usual: EnergyBelief) -> EnergyBelief:
    """The usual belief, but for segments `(n,)` that may have lost `anything`."""
    if not anything.any():
        return usual
    other = gaussian(*_ANYTHING)

    def density(now: Chains) -> EnergyDensity:
        a, b = usual(now), other(now)
        return EnergyDensity(*(np.where(anything, getattr(b, n), getattr(a, n)) for n in ("value", "first", "second")))

    return density


def _given(log_dedx: Floats) -> EnergyBelief:
    def density(now: Chains) -> EnergyDensity:
        z = (now.log_dedx - log_dedx) / _KNOWN
        return EnergyDensity(-0.5 * z**2, -z / _KNOWN, np.full(len(z), -1 / _KNOWN**2))

    return density


def most_probable(chains: Chains, beliefs: Beliefs) -> Chains:
    """The chains with the u that is most probable beforehand, whatever the input holds."""
    likely = beliefs.weights.argmax(axis=1)[chains.track]
    now = chains
    for _ in range(30):
        found = [density(now) for density in beliefs.energy]
        first, second = (np.choose(likely, [getattr(f, n) for f in found]) for n in ("first", "second"))
        # Where the density is convex, as in tails, its curvature still tells how far its slope reaches.
        move = np.clip(first / np.maximum(np.abs(second), 4.0), -0.5, 0.5)
        step = np.zeros(chains.size)
        step[chains.energy_columns] = move
        now = now.moved(step)
        if np.abs(move).max() < 1e-6:
            break
    return now


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
    classes = [np.concatenate([c.early.ravel(), c.held.ravel()]) for c in point.classes]
    memory = [np.array([float(point.rounds)]), point.determinant, point.planned_x, point.dampings, *places, *classes]
    return State(point.x, point.damping, iteration=point.iteration, stage=point.stage, memory=np.concatenate(memory))


def unpacked(state: State, start: Point, problem: Problem) -> Point:
    """The point that was packed, of the same fit as `start`."""
    assert state.memory is not None
    left = [state.memory]

    def taken(*shape: int) -> Floats:
        count = int(np.prod(shape))
        values, left[0] = left[0][:count], left[0][count:]
        return np.asarray(values.reshape(shape))

    p, parts = len(start.x), len(start.states)
    rounds, determinant, planned_x, dampings = int(taken(1)[0]), taken(p), taken(p), taken(parts)
    states = []
    for chains in (*start.states, *start.states):
        n = len(chains.track)
        ends = taken(2, n, 3)
        states.append(chains.placed(ends[0], ends[1], taken(n)))
    early, held = 1 + len(problem.stray.early_means), 1 + len(problem.stray.held_means)
    classes = []
    if len(left[0]):
        hits = [len(part.data) for part in problem.parts]
        classes = [StrayClasses(taken(h, early), taken(h, held)) for h in hits]
    return Point(
        x=state.x,
        states=tuple(states[:parts]),
        planned=tuple(states[parts:]),
        planned_x=planned_x,
        dampings=dampings,
        damping=state.control,
        stage=state.stage,
        classes=tuple(classes),
        determinant=determinant,
        rounds=rounds,
        iteration=state.iteration,
    )


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
    found = from_information(end.information, free, values, kind=KIND)
    others = {
        kind: from_information(information, free, values).covariance
        for kind, information in ((GEOMETRY_KNOWN, end.energies), (SEGMENTS_KNOWN, end.known))
    }
    found = replace(found, others=others)
    if method.priors:
        slopes = np.array([p.derivative(values[p.name]) for p in free])
        alone = Measurements.of(method.priors).information(problem.names) * np.outer(slopes, slopes)
        found = replace(found, caveats=(*found.caveats, *prior_caveats(problem.names, end.information - alone, alone)))
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
            "condition_number": found.condition_number,
        },
        warnings=undetermined,
        uncertainty=found,
    )
