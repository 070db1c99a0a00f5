"""Small fits with unknown segments: what they find, and what must not matter for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from pipeline.calibrate.joint import marginal
from pipeline.calibrate.joint.marginal import Held, begun_anew, maximise
from pipeline.calibrate.joint.part import Evaluated
from pipeline.calibrate.joint.parts import parts_of
from pipeline.calibrate.joint.problem import Expected, Point, Problem
from pipeline.calibrate.joint.run import fit_unknown
from pipeline.calibrate.joint.tracks import Chains
from pipeline.calibrate.progress import Progress
from pipeline.calibrate.uncertainty import MARGINAL
from pipeline.config.methods import STANDARD_METHODS, Method
from pipeline.config.unknown import Unknown
from pipeline.detector.argon import drift_velocity
from pipeline.errors import FitError
from pipeline.parameters import lookup, nominal_values
from pipeline.reconstruct.distance import distance_to_truth
from pipeline.simulate.model import ForwardModel
from pipeline.tables import FitResult, Floats, Observables, Segments

from ...simulate.deposits import MODULE0
from .toys import SETTINGS, TRUTH, WIDTH, data_of, tracks

#: Where A_B and k_B, which hits tell together, would go if nothing were taken off, and the information on them.
FAR, TOGETHER = np.array([4.0, 30.0]), np.array([[2.5e5, -2.8e4], [-2.8e4, 3.2e3]])
METHOD = STANDARD_METHODS["unknown_segments"].model_copy(
    update={
        "free": ("birks_ab", "electric_field", "transverse_diffusion"),
        "unknown": Unknown(part_length_cm=20, relative_width=WIDTH),
    }
)


def fitted(segments: Segments, data: Observables, method: Method, **more: object) -> FitResult:
    return fit_unknown(
        ForwardModel(segments, MODULE0, SETTINGS), data, method, "m", target=TRUTH, seed=1, extra={}, **more  # type: ignore[arg-type]
    )  # fmt: skip


def displaced(segments: Segments, width: float) -> Segments:
    chains = Chains.of(segments, loose=True, sliding=False)
    step = np.zeros(chains.size)
    columns = chains.vertex_columns()[0]
    step[columns] = width * np.random.default_rng(9).normal(size=len(columns))
    return chains.moved(step).segments


def test_a_fit_of_displaced_tracks_finds_the_truth_and_goes_on_where_it_was_broken_off() -> None:
    segments = tracks(3)
    kept: list[Progress] = []
    data, begun = data_of(segments, 1), displaced(segments, 0.02)
    found = fitted(begun, data, METHOD, on_iteration=kept.append, truth=segments)
    # It began 200 um off in the plane of pixels and along the drift: less than sqrt(2) times that across the tracks.
    assert 0.015 < distance_to_truth(begun, segments).rms < 0.028
    assert found.diagnostics["position_rms_um"] < 150 and found.diagnostics["position_missed_fraction"] == 0
    assert found.converged and found.uncertainty is not None and found.uncertainty.kind == MARGINAL
    by_name = {p.name: p for p in found.parameters if p.free}
    for name in ("electric_field", "transverse_diffusion"):
        p = by_name[name]
        assert p.uncertainty is not None
        assert abs(p.value - TRUTH[name]) < 4 * p.uncertainty
    # Not knowing the segments costs, and knowing less costs more.
    known, places = (np.diag(found.uncertainty.others[k]) for k in ("segments known", "geometry known"))
    assert (known < places).all() and (places < np.diag(found.uncertainty.covariance)).all()
    resumed = fitted(begun, data, METHOD, resume=kept[len(kept) // 2])
    assert [p.value for p in resumed.parameters] == [p.value for p in found.parameters]
    assert resumed.history["objective"].tolist() == found.history["objective"].tolist()


def test_where_tracks_are_found_tells_no_field() -> None:
    """All z in proportion to the drift velocity leave all hits where they are, so that tracks on one side of the
    cathode know the field by their lengths and losses alone: it is neither kept where the fit begins, nor known well.
    """
    segments = tracks(3)
    data, wrong = data_of(segments, 1), 0.47
    slower = drift_velocity(wrong, MODULE0.temperature) / drift_velocity(0.5, MODULE0.temperature)
    anode = MODULE0.tpcs[MODULE0.tpc_of(segments.start)[0]].z_anode
    stretched = [z * [1, 1, slower] + [0, 0, anode * (1 - slower)] for z in (segments.start, segments.end)]
    begun = segments.replace(start=stretched[0], end=stretched[1])
    found = fitted(begun, data, METHOD.model_copy(update={"initial": {"electric_field": wrong}}))
    field = next(p for p in found.parameters if p.name == "electric_field")
    assert found.converged and field.uncertainty is not None
    assert field.uncertainty > 0.01 and abs(field.value - 0.5) < 3 * field.uncertainty


def test_a_fit_with_known_places_goes_on_where_it_was_broken_off() -> None:
    """It begins at a field that it finds first, and so does the fit that goes on."""
    segments = tracks(2)
    data, kept = data_of(segments, 1), list[Progress]()
    unknown = METHOD.unknown.model_copy(update={"geometry": False})
    method = METHOD.model_copy(update={"unknown": unknown, "initial": {"electric_field": 0.49}})
    found = fitted(segments, data, method, on_iteration=kept.append)
    resumed = fitted(segments, data, method, resume=kept[len(kept) // 2])
    assert found.converged
    assert [(p.initial, p.value, p.uncertainty) for p in resumed.parameters] == [
        (p.initial, p.value, p.uncertainty) for p in found.parameters
    ]


def test_a_model_on_another_device_is_fitted_on_the_processor() -> None:
    segments = tracks(1)
    data, method = data_of(segments, 1), METHOD.model_copy(update={"free": ("birks_ab", "transverse_diffusion")})
    # A device that no number comes back from.
    elsewhere = ForwardModel(segments, MODULE0, replace(SETTINGS, device=torch.device("meta")))
    found = fit_unknown(elsewhere, data, method, "m", target=TRUTH, seed=1, extra={})
    assert [p.value for p in found.parameters] == [p.value for p in fitted(segments, data, method).parameters]


def test_the_energies_of_the_input_do_not_matter() -> None:
    segments = tracks(2)
    data = data_of(segments, 2)
    method = METHOD.model_copy(update={"unknown": replace_geometry(METHOD.unknown)})
    one = fitted(segments, data, method)
    rng = np.random.default_rng(4)
    scale = np.exp(0.5 * rng.normal(size=len(segments)))
    other = fitted(segments.replace(dE=segments.dE * scale, dEdx=segments.dEdx * scale), data, method)
    a, b = (np.array([p.value / p.uncertainty for p in r.parameters if p.free and p.uncertainty]) for r in (one, other))
    assert a == pytest.approx(b, abs=0.05)


def replace_geometry(unknown: Unknown) -> Unknown:
    return unknown.model_copy(update={"geometry": False})


def test_gradients_of_tracks_are_those_that_they_have_alone() -> None:
    segments = tracks(3)
    model, data = ForwardModel(segments, MODULE0, SETTINGS), data_of(segments, 1)
    free = [lookup(n, "test") for n in METHOD.free]
    x, steps = np.array([p.to_internal(TRUTH[p.name]) for p in free]), np.array([0.02, 0.01, 0.05])
    fixed = {k: v for k, v in TRUTH.items() if k not in METHOD.free}

    def gradients(length: float) -> Floats:
        parts = parts_of(model, data, METHOD.unknown.model_copy(update={"part_length_cm": length}))
        problem = Problem(parts, free, fixed)
        return np.concatenate([Held.of(problem, part, part.found, x).gradient(steps) for part in parts])

    together, alone = gradients(1e3), gradients(1.0)
    assert together.shape == (3, 3) and np.abs(together[0] - together[1]).max() > 1
    # Both end within 1e-3 per hit of their maxima.
    assert together == pytest.approx(alone, rel=1e-3, abs=0.02)


def test_where_losses_came_from_does_not_matter_for_states_that_begin_anew() -> None:
    """Else gradients of a fit, whose states have come a long way, and of simulated tracks would be of two functions."""
    segments = tracks(2)
    parts = parts_of(ForwardModel(segments, MODULE0, SETTINGS), data_of(segments, 1), METHOD.unknown)
    free = [lookup(n, "test") for n in METHOD.free]
    x, steps = np.array([p.to_internal(TRUTH[p.name]) for p in free]), np.array([0.02, 0.01, 0.05])
    problem = Problem(parts, free, {k: v for k, v in TRUTH.items() if k not in METHOD.free})
    rng = np.random.default_rng(8)
    shifted = []
    for part in parts:
        step = np.zeros(part.found.size)
        step[part.found.energy_columns] = 0.3 * rng.normal(size=len(part.found.energy_columns))
        shifted.append(part.found.moved(step))
    point, slopes = begun_anew(problem, Point(x, tuple(part.found for part in parts)), steps)
    other, same = begun_anew(problem, Point(x, tuple(shifted)), steps)
    for one, two in zip(point.states, other.states, strict=True):
        assert two.log_dedx == pytest.approx(one.log_dedx, abs=1e-4)
    assert np.concatenate(same) == pytest.approx(np.concatenate(slopes), rel=1e-3, abs=1e-3)
    # They have converged: where they are, and not where they began.
    assert all(
        np.abs(a.log_dedx - part.found.log_dedx).max() > 0.05 for a, part in zip(point.states, parts, strict=True)
    )


def test_hits_that_tell_nothing_of_the_parameters_are_refused() -> None:
    """No hit is explained, so that the curvature is that of beliefs alone."""
    chains = Chains.of(tracks(1), loose=True)
    n, free = chains.size, [lookup("birks_ab", "test"), lookup("electric_field", "test")]
    nothing = Evaluated(
        chains, 1.0, np.ones(1), np.zeros(2), np.zeros((1, 2)), np.zeros(n), np.zeros((2, 2)), np.zeros((n, 2)),
        sparse.csc_array(np.eye(n)), 0, 40, np.zeros((40, 2)),
    )  # fmt: skip
    part = SimpleNamespace(planned=lambda state, values: None, at=lambda *given, **more: nothing)
    start = Point(np.array([p.to_internal(p.nominal) for p in free]), (chains,))
    with pytest.raises(FitError, match="0 of 40 hits are explained"):
        maximise(Problem([part], free, nominal_values()), start)  # type: ignore[list-item]


def quadratic(names: tuple[str, str], best: Floats, information: Floats) -> tuple[Problem, Point]:
    """A problem whose cost is quadratic in two coordinates, whatever the state, and where to begin."""
    chains = Chains.of(tracks(1), loose=True)
    n, free = chains.size, [lookup(name, "test") for name in names]
    nominal = np.array([p.nominal for p in free])
    curvature = information / np.outer(nominal, nominal)

    def at(state: Chains, values: dict[str, float], *given: object, **more: object) -> Evaluated:
        off = np.array([values[p.name] for p in free]) - best * nominal
        return Evaluated(
            state, float(0.5 * off @ curvature @ off), np.zeros(1), curvature @ off, np.zeros((1, 2)), np.zeros(n),
            curvature, np.zeros((n, 2)), sparse.csc_array(np.eye(n)), 100, 0, np.zeros((100, 2)),
        )  # fmt: skip

    part = SimpleNamespace(planned=lambda state, values: None, at=at)
    start = Point(np.array([p.to_internal(p.nominal) for p in free]), (chains,))
    return Problem([part], free, nominal_values()), start  # type: ignore[list-item]


def test_a_parameter_at_the_end_of_its_range_holds_up_no_other() -> None:
    """The hits ask for a negative diffusion: it goes to next to nothing, and the field to its best value there."""
    best, information = np.array([-0.5, 1.04]), np.array([[400.0, 1200.0], [1200.0, 9e4]])
    problem, start = quadratic(("longitudinal_diffusion", "electric_field"), best, information)
    end = maximise(replace(problem, determinant=False), start)
    assert end.converged
    assert end.point.x[0] == pytest.approx(0.01, abs=0.002)
    beside = 1.04 - (end.point.x[0] + 0.5) * 1200 / 9e4
    assert end.point.x[1] == pytest.approx(beside, abs=1e-3)


def expecting(problem: Problem, slope: Callable[[Floats], Floats], rough: list[bool]) -> Problem:
    """The problem with k_B late, where its gradient less what is expected of it is `slope`; `rough` notes every ask."""

    def expected(_: Problem, x: Floats, steps: Floats, roughly: bool) -> Expected:
        rough.append(roughly)
        return Expected(TOGETHER @ (x - FAR) - slope(x), TOGETHER, 1000)

    return replace(problem, expected=expected, late=("birks_kb",))


@pytest.fixture
def _no_determinant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marginal, "begun_anew", lambda problem, point, steps: (point, [np.zeros((1, 2))]))


#: Standard deviations of the two, which a fit of `TOGETHER` states.
STATED = np.sqrt(np.diag(np.linalg.inv(TOGETHER)))


@pytest.mark.usefixtures("_no_determinant")
@pytest.mark.parametrize("true", [(1.02, 1.1), (0.97, 0.8), (1.05, 2.2)])
def test_late_parameters_are_found_where_the_likelihood_alone_leads_far_away(true: tuple[float, float]) -> None:
    """The cost alone has its minimum at 30 times the nominal k_B. What is expected of its gradient grows with k_B, so
    that it, less of that, is a steeper function than the cost says, and not of one slope."""
    problem, start = quadratic(("birks_ab", "birks_kb"), FAR, TOGETHER)
    steeper = np.array([[0.0, 80.0], [0.0, 10.0]])
    rough: list[bool] = []
    rows: list[Floats] = []

    def slope(x: Floats) -> Floats:
        off = x - true
        return TOGETHER @ off + steeper @ off * (1 + 0.2 * off[1])

    end = maximise(expecting(problem, slope, rough), start, lambda point, *_: rows.append(point.x))
    assert end.converged and rough[0] and not any(rough[1:]) and len(rough) == end.point.simulations >= 2
    assert (np.abs(end.point.x - true) < 0.3 * STATED).all()
    # Each of its steps is a row of the history: it moves nowhere else.
    assert sum(a[1] != b[1] for a, b in pairwise(rows)) == len(rough)


@pytest.mark.usefixtures("_no_determinant")
def test_late_parameters_that_are_led_half_of_the_way_arrive() -> None:
    """Steps that were made shorter the more there are would end on the way: it begins 10 standard deviations away."""
    problem, start = quadratic(("birks_ab", "birks_kb"), FAR, TOGETHER)
    true = start.x + np.array([0.0, 10 * STATED[1]])
    end = maximise(expecting(problem, lambda x: 0.5 * TOGETHER @ (x - true), []), start)
    assert end.converged
    assert (np.abs(end.point.x - true) < 0.7 * STATED).all()


@pytest.mark.usefixtures("_no_determinant")
def test_late_parameters_go_to_the_mean_of_where_they_are_led() -> None:
    """What is expected scatters by two standard deviations to both sides, in turn: steps that follow do not end."""
    problem, start = quadratic(("birks_ab", "birks_kb"), FAR, TOGETHER)
    true, rough = np.array([1.02, 1.1]), list[bool]()

    def slope(x: Floats) -> Floats:
        return TOGETHER @ (x - true) + [0.0, (-1) ** len(rough) * 2 / STATED[1]]

    end = maximise(expecting(problem, slope, rough), start)
    assert end.converged and end.point.turns[1] >= 2
    assert abs(end.point.x[1] - true[1]) < 0.7 * STATED[1]


def test_others_go_with_the_step_that_a_late_one_takes() -> None:
    """It would go 29 times its value and may go half of it; the other is not led to the end of its range by that."""
    problem, start = quadratic(("birks_ab", "birks_kb"), FAR, TOGETHER)
    late, nothing = replace(problem, late=("birks_kb",)), np.zeros(2)
    point = replace(start, expected=Expected(nothing, TOGETHER, 1000), simulations=2, stage=2)
    point = replace(point, determinant=nothing, led=nothing, turns=nothing)

    def once(point: Point) -> Point:
        return marginal._late_step(late, point, late.evaluate(point, [None]))  # type: ignore[list-item]

    assert once(point).x[1] == pytest.approx(1.5)
    assert once(point).x[0] == pytest.approx(4.0 - 28 / 250 * 28.5)
    # Led back, it goes half of the way, and a third where that was so once before.
    near = replace(point, x=np.array([4.0, 29.0]), led=np.array([0.0, -1.0]))
    assert once(near).x[1] == pytest.approx(29.5)
    assert once(replace(near, turns=np.ones(2))).x[1] == pytest.approx(29 + 1 / 3)


def test_late_parameters_do_not_move_where_nothing_is_simulated() -> None:
    problem, start = quadratic(("birks_ab", "birks_kb"), FAR, TOGETHER)
    end = maximise(replace(problem, determinant=False, late=("birks_kb",)), start)
    assert end.converged and end.point.x[1] == start.x[1]
    assert end.point.x[0] == pytest.approx(4.0 - 28 / 250 * 29, abs=1e-4)
