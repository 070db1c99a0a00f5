"""Fits of a chamber that is a few formulas: what moves, where it may go, and what is said of the outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from pipeline import parameters
from pipeline.calibrate.fit import fit
from pipeline.calibrate.methods import objective_of
from pipeline.calibrate.objective import Objective
from pipeline.calibrate.progress import Progress
from pipeline.config.methods import Method
from pipeline.errors import FitError, ModelRangeError
from pipeline.parameters import nominal_values
from pipeline.tables import FitResult, Linearised, Observables

from .stand_in import ToyChamber, noisy

FOUR = ("birks_ab", "birks_kb", "electric_field", "electron_lifetime")
TRUTH = {"birks_ab": 0.84, "birks_kb": 0.06, "electric_field": 0.47, "electron_lifetime": 800.0}


def run(method: Method, data: Observables | None = None, *, model: ToyChamber | None = None, **options) -> FitResult:
    model = model or ToyChamber()
    data = model.observe(TRUTH) if data is None else data
    settings = {"target": TRUTH, "seed": 1, "extra": {}, **options}
    return fit(objective_of(method, model, data), method, "toy", **settings)


def values(result: FitResult) -> dict[str, float]:
    return {p.name: p.value for p in result.parameters}


def assert_equal(one: FitResult, other: FitResult) -> None:
    """Equal to the last bit."""
    assert replace(one, history={}) == replace(other, history={})
    assert one.history.keys() == other.history.keys()
    for name in one.history:
        np.testing.assert_array_equal(one.history[name], other.history[name])


@pytest.mark.parametrize(
    "free", [FOUR, FOUR[:1], ("electron_lifetime",), ("electric_field", "birks_kb"), ("electron_lifetime", "birks_ab")]
)
def test_any_subset_is_found_and_the_rest_stays(free):
    fixed = {name: TRUTH[name] for name in FOUR if name not in free}
    result = run(Method(free=free, fixed=fixed))
    assert result.converged
    for p in result.parameters:
        assert p.free == (p.name in free)
        if p.name in TRUTH:
            assert p.value == pytest.approx(TRUTH[p.name], rel=1e-9)
            assert p.target == TRUTH[p.name]
    assert tuple(p.name for p in result.parameters if p.free) == free


def test_fixed_values_are_those_the_model_is_asked_for():
    model = ToyChamber()
    data = model.observe(TRUTH)
    model.asked.clear()
    result = run(Method(free=("birks_ab",), fixed={"electric_field": 0.46, "density": 1.4}), data, model=model)
    assert all((at["electric_field"], at["density"]) == (0.46, 1.4) for at in model.asked)
    assert values(result)["electric_field"] == 0.46
    assert values(result)["density"] == 1.4
    assert values(result)["birks_kb"] == nominal_values()["birks_kb"]


def test_first_start_is_the_configured_one_and_nominal_elsewhere():
    model = ToyChamber()
    result = run(Method(free=FOUR, initial={"birks_kb": 0.055}), model.observe(TRUTH), model=model)
    expected = {**{n: nominal_values()[n] for n in FOUR}, "birks_kb": 0.055}
    assert {p.name: p.initial for p in result.parameters if p.free} == expected
    assert {n: result.history[n][0] for n in FOUR} == pytest.approx(expected, rel=1e-15)


def test_start_value_of_a_parameter_that_is_not_fitted_is_refused():
    with pytest.raises(FitError, match=r"birks_kb.*not fitted.*fixed"):
        run(Method(free=("birks_ab",), initial={"birks_kb": 0.055}))


@pytest.mark.parametrize("lifetime", [50.0, 2e4, 1e7, 1e12])
def test_any_lifetime_is_reached_from_nominal(lifetime):
    """In 1 / lifetime the charge is nearly linear, also where the lifetime itself is hardly to be told from another."""
    model = ToyChamber()
    result = run(Method(free=FOUR), model.observe({**TRUTH, "electron_lifetime": lifetime}))
    assert result.converged
    assert 2200 / values(result)["electron_lifetime"] == pytest.approx(2200 / lifetime, rel=1e-9, abs=1e-9)
    assert values(result)["birks_ab"] == pytest.approx(TRUTH["birks_ab"], rel=1e-8)


def test_argon_without_capture_is_fitted_and_remarked_on():
    model = ToyChamber()
    result = run(Method(free=FOUR), model.observe({**TRUTH, "electron_lifetime": np.inf}))
    assert result.converged
    assert values(result)["electron_lifetime"] > 1e10
    assert np.isfinite(values(result)["electron_lifetime"])
    assert values(result)["birks_ab"] == pytest.approx(TRUTH["birks_ab"], rel=1e-6)
    assert any("electron_lifetime" in w for w in result.warnings)


def test_bound_that_is_active_leaves_the_others_at_their_best():
    """Charges that grow with the drift would need a negative lifetime: the fit is then one with none at all."""
    model = ToyChamber()
    data = model.observe({**TRUTH, "electron_lifetime": -5000.0})
    result = run(Method(free=FOUR), data)
    assert result.converged
    without = run(Method(free=FOUR[:3], fixed={"electron_lifetime": 1e15}), data)
    assert values(result)["electron_lifetime"] > 1e10
    for name in FOUR[:3]:
        assert values(result)[name] == pytest.approx(values(without)[name], rel=1e-7)


@pytest.mark.parametrize(
    "method",
    [
        Method(free=FOUR, initial={"electron_lifetime": np.inf}),
        Method(free=FOUR[:3], fixed={"electron_lifetime": np.inf}),
    ],
)
def test_infinite_lifetime_is_no_value_of_a_fit(method):
    with pytest.raises(FitError, match=r"electron_lifetime.*finite"):
        run(method)


def test_no_point_asked_for_is_beyond_a_physical_bound():
    """From far away the first steps would lead to negative values."""
    model = ToyChamber()
    data = model.observe({**TRUTH, "birks_kb": 1e-3, "birks_ab": 0.05})
    model.asked.clear()
    initial = {"birks_kb": 1e-5, "electric_field": 0.02, "electron_lifetime": 10.0}
    run(Method(free=FOUR, initial=initial, max_iterations=30), data, model=model)
    assert len(model.asked) > 5
    for at in model.asked:
        assert all(np.isfinite(at[n]) and at[n] > 0 for n in FOUR)


def test_shift_is_fitted_from_zero_and_kept_within_its_bounds():
    model = ToyChamber()
    found = run(Method(free=("shift_z", "birks_ab")), model.observe({"shift_z": -0.2}), target={})
    assert values(found)["shift_z"] == pytest.approx(-0.2, rel=1e-9)
    far = run(Method(free=("shift_z",)), model.observe({"shift_z": -15.0}), target={})
    assert values(far)["shift_z"] == pytest.approx(-10, abs=1e-6)


def test_value_outside_its_range_is_said():
    result = run(Method(free=FOUR), ToyChamber().observe({**TRUTH, "birks_ab": 0.9}))
    assert result.converged
    assert len(result.warnings) == 1
    assert result.warnings[0].startswith("birks_ab = 0.9 ") and "0.78 to 0.88" in result.warnings[0]


def test_no_remark_within_the_ranges():
    assert run(Method(free=FOUR)).warnings == ()


def test_parameter_without_effect_is_refused_by_name():
    with pytest.raises(FitError, match="box_alpha has no effect"):
        run(Method(free=("birks_ab", "box_alpha")))


def test_parameters_of_which_only_the_ratio_enters_are_said():
    """Only k_B / rho enters Birks' law."""
    result = run(Method(free=("birks_ab", "birks_kb", "density")), ToyChamber().observe({}), target={})
    assert any(
        w.startswith("birks_kb and density cannot be determined from these data separately") for w in result.warnings
    )
    assert result.diagnostics["condition_number"] > 1e12


def test_nothing_matched_is_refused():
    model = ToyChamber()
    foreign = replace(model.observe(TRUTH), event=model.event + 1000)
    with pytest.raises(FitError, match="no simulated hit has a partner"):
        run(Method(free=FOUR), foreign)


def test_no_data_are_refused():
    everything = ToyChamber().observe(TRUTH)
    none = Observables(
        **{n: getattr(everything, n)[:0] for n in ("event", "channel", "order", "values", "valid")},
        value_names=everything.value_names,
    )
    with pytest.raises(FitError, match="no simulated hit has a partner"):
        run(Method(free=FOUR), none)


def test_start_where_the_model_cannot_go_is_the_models_sentence():
    model = ToyChamber(largest_field=0.4)
    with pytest.raises(ModelRangeError, match="electric_field"):
        run(Method(free=FOUR), ToyChamber().observe(TRUTH), model=model)


@pytest.mark.parametrize(("limit", "good"), [(0.05, False), (0.2, True)])
def test_too_many_hits_without_partner_are_not_called_good(limit, good):
    """10 of 60 hits of the data are lost: 10 of 110 have no partner."""
    data = ToyChamber().observe(TRUTH)
    result = run(Method(free=FOUR, max_unmatched_fraction=limit), replace(data, valid=np.arange(60) % 6 != 0))
    assert result.converged == good
    assert result.diagnostics["unmatched_fraction"] == pytest.approx(10 / 110)
    assert ("9.1%" in result.status and "Not to be trusted" in result.status) == (not good)
    assert "50 hits matched, 10 without partner" in result.status


@pytest.mark.parametrize("method", [Method(free=FOUR), Method(free=FOUR, max_iterations=2)])
def test_status_is_one_full_sentence(method):
    result = run(method)
    assert result.status[0].isupper() and result.status.endswith(".")
    assert f"; {result.iterations} iterations" in result.status
    assert result.converged == result.status.startswith("Converged")


def test_history_has_the_start_and_every_iteration():
    result = run(Method(free=FOUR[:2], fixed=dict(list(TRUTH.items())[2:])))
    expected = {
        *FOUR[:2], "objective", "damping", "gradient", "matched", "unmatched_model", "unmatched_data"
    }  # fmt: skip
    assert set(result.history) == expected
    assert {len(h) for h in result.history.values()} == {result.iterations + 1}
    assert all(result.history[n][-1] == values(result)[n] for n in FOUR[:2])
    assert (np.diff(result.history["objective"]) <= 0).all()
    assert result.history["objective"][-1] == result.diagnostics["objective"]


@pytest.mark.parametrize("target", [{}, {"birks_ab": 0.84}])
def test_unknown_targets_are_none(target):
    result = run(Method(free=FOUR), target=target)
    assert {p.name: p.target for p in result.parameters if p.target is not None} == target
    assert all(p.uncertainty is None for p in result.parameters)


def test_the_target_does_not_enter_the_fit():
    assert values(run(Method(free=FOUR))) == values(run(Method(free=FOUR), target={"birks_ab": 0.1}))


def test_extra_numbers_are_carried_into_the_diagnostics():
    assert run(Method(free=FOUR), extra={"length_cm": 12.0}).diagnostics["length_cm"] == 12.0


class Valleys(ToyChamber):
    """The time of a hit goes up and down with the field, so that there are wrong minima between which fits choose."""

    def formula(self, p):
        seen = super().formula(p)
        return np.stack([seen[:, 0], np.sin(60 * p["electric_field"]) + 0 * seen[:, 1]], axis=1)


def test_of_several_starts_the_best_is_kept_and_the_others_are_told():
    model = Valleys()
    free = ("electric_field", "birks_ab")
    data = model.observe({"electric_field": 0.545})
    alone = run(Method(free=free, starts=1), data, model=model, target={})
    assert abs(values(alone)["electric_field"] - 0.545) > 1e-3, "the first start must go astray for this test"
    several = run(Method(free=free, starts=8), data, model=model, target={})
    assert several.converged
    assert values(several)["electric_field"] == pytest.approx(0.545, rel=1e-8)
    assert several.diagnostics["starts"] == 8
    told = [w for w in several.warnings if "ended elsewhere" in w]
    assert told and told[0].startswith("Start 1 ended elsewhere")
    assert several.diagnostics["objective"] < alone.diagnostics["objective"]


def test_starts_that_agree_are_not_remarked_on():
    result = run(Method(free=FOUR, starts=4))
    assert result.converged and result.warnings == ()
    assert result.diagnostics["starts_converged"] == 4


def test_later_starts_are_drawn_from_the_ranges_and_by_the_seed():
    def starts(seed):
        seen: list[dict[str, float]] = []

        def note(progress: Progress) -> None:
            if progress.state.iteration == 0:
                seen.append({n: progress.history[n][0] for n in FOUR})

        run(Method(free=FOUR, starts=4), seed=seed, on_iteration=note)
        return seen

    first = starts(1)
    assert len(first) == 4
    assert first == starts(1)
    assert first[0] == starts(2)[0] and first[1:] != starts(2)[1:]
    for start in first[1:]:
        assert 0.78 <= start["birks_ab"] <= 0.88 and 500 <= start["electron_lifetime"] <= 5000


@pytest.mark.parametrize(
    "method", [Method(free=FOUR), Method(free=FOUR, starts=3), Method(free=FOUR, max_iterations=3)]
)
def test_going_on_from_any_iteration_ends_the_same_to_the_last_bit(method):
    data = noisy(ToyChamber().observe(TRUTH), 5)
    seen: list[Progress] = []

    def keep(progress: Progress) -> None:
        frozen = {k: list(v) for k, v in progress.history.items()}
        seen.append(replace(progress, history=frozen))

    whole = run(method, data, on_iteration=keep)
    assert len(seen) > method.starts * 3
    for at, progress in enumerate(seen):
        rest: list[Progress] = []
        assert_equal(run(method, data, resume=progress, on_iteration=rest.append), whole)
        assert len(rest) == len(seen) - at - 1


ADAM = Method(free=FOUR, optimiser="adam", max_iterations=300, adam={"decay_iterations": 10, "clip_norm": 1e9})


def halves(model: ToyChamber, data: Observables) -> list[Objective]:
    """The events of the chamber in two batches, each with its own data."""
    parts = []
    for events in ([0], [1, 2]):
        parts.append(objective_of(ADAM, Part(model, events), data.take(np.isin(data.event, events))))
    return parts


@dataclass
class Part:
    """The hits of some events of a chamber."""

    whole: ToyChamber
    events: list[int]

    def observe(self, values):
        seen = self.whole.observe(values)
        return seen.take(np.isin(seen.event, self.events))

    def linearise(self, values, names):
        at = self.whole.linearise(values, names)
        mine = np.isin(at.observables.event, self.events)
        return Linearised(at.observables.take(mine), at.jacobian[mine], at.softness[mine], at.reset[mine])


def test_adam_goes_through_batches_in_multiples_of_the_nominal_values():
    """Towards the truth by batches; the first step of every parameter is the learning rate, the lifetime's too."""
    model = ToyChamber()
    data = model.observe(TRUTH)
    result = run(ADAM, data, model=model, batches=halves(model, data))
    nominal = nominal_values()
    for name in FOUR:
        assert abs(result.history[name][1] / nominal[name] - 1) == pytest.approx(0.05, rel=1e-6)
        assert abs(result.history[name][-1] / TRUTH[name] - 1) < 0.01
    assert result.iterations == 300 and {len(h) for h in result.history.values()} == {301}
    assert result.history["learning_rate"][1] == 0.05
    assert "damping" not in result.history
    # A row of the history has the objective at its own values: that of the batch whose turn it is.
    for row in (0, 1, 2, 299):
        at = {n: result.history[n][row] for n in FOUR}
        assert result.history["objective"][row] == halves(model, data)[row % 2].evaluate(at, FOUR).cost
    assert result.diagnostics["objective"] == objective_of(ADAM, model, data).evaluate(values(result), FOUR).cost


def test_adam_going_on_from_an_iteration_ends_the_same_to_the_last_bit():
    model = ToyChamber()
    data = model.observe(TRUTH)
    method = ADAM.model_copy(update={"max_iterations": 12, "starts": 2})
    seen: list[Progress] = []

    def keep(progress: Progress) -> None:
        seen.append(replace(progress, history={k: list(v) for k, v in progress.history.items()}))

    whole = run(method, data, model=model, batches=halves(model, data), on_iteration=keep)
    for progress in seen[::4]:
        assert_equal(run(method, data, model=model, batches=halves(model, data), resume=progress), whole)


def test_residuals_only_for_the_optimiser_that_needs_them():
    with pytest.raises(ValueError, match="levenberg_marquardt needs residuals, which the objective soft_dtw has not"):
        Method(objective="soft_dtw")


def test_uncertain_data_move_the_result_by_as_much_as_their_noise_says():
    """Pulls against the inverse of the curvature, 25 draws of four parameters: mean square 1 +- 0.14."""
    model = ToyChamber(hits=300)
    method = Method(free=FOUR, fair_scale=1e6, charge_scale_adc=1.0, time_scale_us=0.1)
    truth = model.observe(TRUTH)
    chi2 = []
    at = model.linearise(TRUTH, FOUR)
    j = (at.jacobian / np.array([1.0, 0.1])[:, None]).reshape(-1, 4)
    for seed in range(25):
        found = values(run(method, noisy(truth, seed), model=model))
        difference = np.array([found[n] - TRUTH[n] for n in FOUR])
        chi2.append(difference @ (j.T @ j) @ difference / 4)
    assert np.mean(chi2) == pytest.approx(1.0, abs=3 * 0.141)


MASKED = Method(free=FOUR, min_charge_electrons=1000.0, charge_scale_adc=1.0)


def test_data_without_noise_give_no_uncertainty():
    result = run(MASKED)
    assert result.uncertainty is None and all(p.uncertainty is None for p in result.parameters)
    assert "chi2_per_degree_of_freedom" not in result.diagnostics


def test_a_fit_of_noisy_data_says_how_well_it_knows_its_values():
    model = ToyChamber(hits=600)
    model.event = np.arange(600) // 20
    result = run(MASKED, noisy(model.observe(TRUTH), 4), model=model, noisy=True)
    found = result.uncertainty
    assert (found.kind, found.names, found.caveats) == ("sandwich", FOUR, ())
    assert set(found.others) == {"sandwich of observed information"}
    told = {p.name: p.uncertainty for p in result.parameters}
    assert [told[n] for n in FOUR] == found.standard.tolist()
    assert told["longitudinal_diffusion"] is None
    assert result.diagnostics["condition_number"] == found.condition_number
    # 1200 residuals, 4 parameters: one within 3 standard deviations.
    assert result.diagnostics["chi2_per_degree_of_freedom"] == pytest.approx(1.0, abs=3 * np.sqrt(2 / 1196))
    table = parameters.table()
    pulls = [table[p.name].pull(p.value, p.uncertainty, p.target) for p in result.parameters if p.free]
    assert np.abs(pulls).max() < 4
    assert "k_B" in found.directions[0]


def test_hits_near_the_threshold_and_a_fit_that_did_not_converge_are_caveats():
    data = noisy(ToyChamber().observe(TRUTH), 4)
    result = run(Method(free=FOUR, max_iterations=2), data, noisy=True)
    assert result.uncertainty.caveats[0].startswith("The fit did not converge")
    assert result.uncertainty.caveats[-1].startswith("Hits near the threshold are fitted too")


def test_parameters_of_which_only_the_ratio_enters_have_no_uncertainty():
    method = Method(free=("birks_ab", "birks_kb", "density"), min_charge_electrons=1.0)
    result = run(method, noisy(ToyChamber().observe({}), 1), target={}, noisy=True)
    told = {p.name: p.uncertainty for p in result.parameters}
    assert told["birks_ab"] > 0 and told["birks_kb"] is None and told["density"] is None


def test_an_objective_that_knows_no_probability_gives_a_sentence_instead():
    class Bare:
        """Only what an optimiser asks for."""

        def __init__(self, objective):
            self.evaluate = objective.evaluate

    model, data = ToyChamber(), noisy(ToyChamber().observe(TRUTH), 4)
    result = fit(Bare(objective_of(MASKED, model, data)), MASKED, "toy", target={}, seed=1, extra={}, noisy=True)
    assert result.uncertainty is None
    assert result.warnings[-1] == "There is no uncertainty: matched_residuals does not say how probable data are."
