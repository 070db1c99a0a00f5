"""Fits of integer data: rounding biases nothing, as values are compared with the centres of their bins."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.calibrate.comparison import compare
from pipeline.calibrate.fit import fit
from pipeline.calibrate.loss_objective import MeanEventLoss
from pipeline.calibrate.methods import objective_of
from pipeline.calibrate.objective import MatchedResiduals
from pipeline.config.methods import Loss, Method
from pipeline.config.models import Config
from pipeline.parameters import calibrated
from pipeline.simulate.observe import PixelObservables, hits_table, observables_of_hits
from pipeline.simulate.setup import forward_model
from pipeline.storage.detector import load_geometry
from pipeline.tables import Observables, Recording
from tests.tracks import muons

GEOMETRY = load_geometry("module0")


@cache
def model() -> PixelObservables:
    """About 200 cm of muons in three events."""
    return PixelObservables(forward_model(muons(3, 1, GEOMETRY, 2), GEOMETRY, Config()))


def drawn(seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return {p.name: float(rng.uniform(p.low, p.high)) for p in calibrated()}


def integer_data(values: dict[str, float]) -> Observables:
    """Hits without noise, whole counts and ticks."""
    hits = model().model.hits(values)
    return observables_of_hits(hits_table(hits, GEOMETRY, drift_velocity=0.16, event_t0={}, integer_adc=True), GEOMETRY)


def error_of_field(data: Observables, target: dict[str, float]) -> float:
    """Relative error of the field in a fit of all six parameters."""
    method = Method()
    result = fit(objective_of(method, model(), data), method, "toy", target=target, seed=1, extra={})
    assert result.converged
    (value,) = (p.value for p in result.parameters if p.name == "electric_field")
    return value / target["electric_field"] - 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_field_is_not_biased_by_whole_ticks(seed: int) -> None:
    """Uniform errors of 0.029 us in 230 hits move the field by some 3e-5; half a tick in all of them by 8e-4."""
    assert abs(error_of_field(integer_data(drawn(seed)), drawn(seed))) < 1e-4


def test_times_taken_for_real_numbers_would_bias_the_field() -> None:
    assert error_of_field(replace(integer_data(drawn(2)), bins=None), drawn(2)) == pytest.approx(9e-4, rel=0.3)


def test_true_values_lie_in_the_bins_around_the_centres() -> None:
    """Where the ADC is not full: within half a count and half a tick, with the spread of a uniform distribution."""
    exact, data = model().observe({}), integer_data({})
    inside = exact.values[:, 0] < 255
    apart = (data.centre - exact.values)[inside]

    assert data.integer and len(apart) > 200
    assert (np.abs(apart) <= [0.5, 0.05 + 1e-4]).all()
    error = data.rounding / np.sqrt(len(apart))
    assert (np.abs(apart.mean(axis=0)) < 4 * error).all()
    np.testing.assert_allclose(apart.std(axis=0), data.rounding, rtol=0.15)
    np.testing.assert_allclose(data.rounding, [1 / np.sqrt(12), 0.1 / np.sqrt(12)], rtol=1e-12)


def test_a_discriminator_on_the_clock_gives_the_tick_after_the_crossing() -> None:
    clocked = Recording(noise=(0.0, 0.0, 1e-9))
    table = hits_table(model().model.hits({}), GEOMETRY, drift_velocity=0.16, event_t0={}, integer_adc=False)
    data = observables_of_hits(replace(table, recording=clocked), GEOMETRY)

    assert not data.integer
    np.testing.assert_allclose(data.centre - data.values, np.tile([0.0, -0.05], (len(data), 1)), atol=1e-12)


def test_rounding_widens_the_unit_of_a_residual() -> None:
    """Cost of the true point by hand, where the Fair function is a parabola."""
    data = integer_data({})
    at = model().observe({})
    objective = MatchedResiduals(model(), data, np.array([1.0, 0.1]), fair_scale=1e6, threshold_noise=0.0)
    units = np.sqrt([1.0 + 1 / 12, 0.01 + 0.01 / 12])
    expected = 0.5 * (((at.values - data.values - [0.0, 0.05]) / units) ** 2).sum()

    assert objective.evaluate({}, ("birks_ab",)).cost == pytest.approx(expected, rel=1e-5)


def test_losses_and_comparisons_take_the_centres() -> None:
    """Data as their centres, or as real numbers that stand there: the same loss, the same table."""
    data = integer_data({})
    moved = replace(data, values=data.centre, bins=None, integer=False)

    def total_time(model, data, settings):  # type: ignore[no-untyped-def]
        return (model.t.sum() - data.t.sum()) ** 2

    costs = [MeanEventLoss(model(), d, total_time, Loss()).evaluate({}, ("birks_ab",)).cost for d in (data, moved)]
    assert costs[0] == costs[1] > 0
    np.testing.assert_array_equal(compare(model().observe({}), data).data, compare(model().observe({}), moved).data)
