"""Losses of hits as an objective: mean over events, derivatives to parameters, what is left out and what is counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.calibrate.loss_objective import MeanEventLoss
from pipeline.calibrate.losses import LOSSES
from pipeline.config.methods import Loss
from pipeline.errors import FitError
from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.simulate.observe import PixelObservables
from tests.simulate.deposits import model as forward_model
from tests.tracks import straight_track

from .stand_in import ToyChamber, noisy

NAMES = ("birks_ab", "birks_kb", "electric_field", "electron_lifetime", "longitudinal_diffusion")
POINT = {"birks_ab": 0.83, "birks_kb": 0.05, "electric_field": 0.51, "electron_lifetime": 1500.0}
EXACT = [name for name in LOSSES if name != "soft_dtw"]


class ToyPixels(ToyChamber):
    """The toy with a place for every hit, in two drift volumes."""

    def observe(self, values):
        seen = super().observe(values)
        places = {"x": 0.4434 * (seen.channel % 4), "y": 0.4434 * seen.channel, "volume": seen.channel % 2}
        return replace(seen, columns=places)


def squares(model, data, settings):
    """A loss whose mean is easily told: all differences of sums."""
    return (model.adc.sum() - data.adc.sum()) ** 2 + 3 * (model.t.sum() - data.t.sum()) ** 2


def objective(loss=squares, model=None, data=None, settings=None):
    model = model or ToyPixels()
    data = noisy(model.observe({}), 1) if data is None else data
    return MeanEventLoss(model, data, loss, settings or Loss())


def without_events(table, *events):
    return table.take(~np.isin(table.event, events))


def differences(o, point, names, step):
    """Central differences of the cost, per nominal value."""
    scale = nominal_values()
    costs = [
        [o.evaluate({**point, name: point[name] + s * step * scale[name]}, (name,)).cost for s in (1, -1)]
        for name in names
    ]
    return np.array([(up - down) / (2 * step) for up, down in costs])


def test_cost_is_the_mean_over_events_of_the_loss():
    o = objective()
    seen = o.model.observe(POINT)
    sums = [seen.values[seen.event == e].sum(axis=0) - o.data.values[o.data.event == e].sum(axis=0) for e in range(3)]
    expected = np.mean([a**2 + 3 * t**2 for a, t in sums])
    assert o.evaluate(POINT, NAMES).cost == pytest.approx(expected, rel=1e-12)


def test_the_loss_sees_one_event_at_a_time_ordered_by_x_then_y_then_time():
    seen = []

    def spy(model, data, settings):
        seen.extend([model, data])
        return model.adc.sum() - data.adc.sum()

    objective(spy).evaluate(POINT, NAMES)
    assert len(seen) == 2 * 3
    for hits in seen:
        assert len(hits) == 20
        rows = np.stack([hits.t.detach(), hits.y, hits.x])
        np.testing.assert_array_equal(np.lexsort(rows), np.arange(20))
        np.testing.assert_array_equal(hits.volume, np.round(hits.y.numpy() / 0.4434) % 2)


def test_gradient_contracts_the_loss_with_the_jacobian():
    """Against the definition: sum over hits and values of dL/dvalue times dvalue/dparameter, averaged over events."""
    o = objective()
    at, found = o.model.linearise(POINT, NAMES), o.evaluate(POINT, NAMES)
    expected = np.zeros(len(NAMES))
    for event in range(3):
        mine, theirs = at.observables.event == event, o.data.event == event
        adc, t = at.observables.values[mine].sum(axis=0) - o.data.values[theirs].sum(axis=0)
        expected += (2 * adc * at.jacobian[mine, 0] + 6 * t * at.jacobian[mine, 1]).sum(axis=0) / 3
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-10)
    assert found.curvature is None


def test_a_parameter_without_effect_is_told():
    found = objective().evaluate(POINT, NAMES)
    assert list(found.effective) == [True, True, True, True, False]
    assert found.gradient[-1] == 0 and found.gradient[:-1].all()


@pytest.mark.parametrize("name", EXACT)
def test_gradient_is_the_derivative_of_the_cost(name):
    o = objective(LOSSES[name])
    scaled = o.evaluate(POINT, NAMES[:4]).gradient * [nominal_values()[n] for n in NAMES[:4]]
    expected = differences(o, POINT, NAMES[:4], 1e-6)
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_events_that_one_side_does_not_have_are_left_out_of_the_mean_and_counted():
    model = ToyPixels()
    data = noisy(model.observe({}), 1)
    common = objective(data=without_events(data, 0, 2)).evaluate(POINT, NAMES)
    full = [
        objective(model=model, data=without_events(data, *others)).evaluate(POINT, NAMES).cost
        for others in ((0, 1), (0, 2), (1, 2))
    ]
    assert common.cost == full[1] == pytest.approx(3 * objective().evaluate(POINT, NAMES).cost - full[0] - full[2])
    assert common.counts == {"matched": 20, "unmatched_model": 40, "unmatched_data": 0}
    shifted = objective(data=replace(data, event=data.event + 2)).evaluate(POINT, NAMES)
    assert shifted.counts == {"matched": 20, "unmatched_model": 40, "unmatched_data": 40}


def test_without_a_common_event_nothing_costs_and_nothing_pulls():
    model = ToyPixels()
    data = model.observe({})
    found = objective(data=replace(data, event=data.event + 100)).evaluate(POINT, NAMES)
    assert found.cost == 0 and not found.gradient.any()
    assert found.counts == {"matched": 0, "unmatched_model": 60, "unmatched_data": 60}


def test_a_model_without_any_hit_has_nothing_to_compare():
    """As where a very short lifetime leaves no charge at all."""
    data = ToyPixels().observe({})
    found = objective(model=ToyPixels(threshold=1e9), data=data).evaluate(POINT, NAMES)
    assert found.cost == 0 and not found.gradient.any()
    assert found.counts == {"matched": 0, "unmatched_model": 0, "unmatched_data": 60}


def test_hits_that_a_fit_must_not_use_are_not_used():
    data = noisy(ToyPixels().observe({}), 1)
    valid = np.arange(len(data)) % 7 != 3
    spoiled = np.where(valid[:, None], data.values, 1e9)
    found = objective(data=replace(data, values=spoiled, valid=valid)).evaluate(POINT, NAMES)
    assert found.cost == pytest.approx(objective(data=data.take(valid)).evaluate(POINT, NAMES).cost, rel=1e-12)
    assert found.counts["unmatched_model"] == int((~valid).sum())


def test_sides_may_have_different_numbers_of_hits():
    """The jacobian of the hits that there are: checked where none is at the edge of vanishing."""
    model = ToyPixels(threshold=55.0)
    data = noisy(ToyPixels(threshold=50.0).observe({}), 1)
    o = objective(LOSSES["energy_distance"], model, data)
    found = o.evaluate(POINT, NAMES[:4])
    assert found.counts["unmatched_data"] > 0
    expected = differences(o, POINT, NAMES[:4], 1e-7)
    scaled = found.gradient * [nominal_values()[n] for n in NAMES[:4]]
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_observables_without_places_are_refused():
    model = ToyChamber()
    with pytest.raises(FitError, match="the x of every hit"):
        MeanEventLoss(model, model.observe({}), squares, Loss()).evaluate(POINT, NAMES)


@pytest.fixture(scope="module")
def pixels():
    """Two events of a track each through the pixels of module 0, and data of theirs at other parameters."""
    segments = [
        straight_track(event=0, start=(-5.1, 3.0, 24.0), direction=(1, 0.3, -0.5), segments=9, step=0.5),
        straight_track(event=1, start=(4.2, -7.0, -3.0), direction=(0.4, 1, -0.8), segments=9, step=0.5),
    ]
    model = PixelObservables(forward_model(type(segments[0]).concatenate(segments)))
    data = model.observe({"electric_field": 0.505, "birks_ab": 0.81, "electron_lifetime": 1800.0})
    assert len(data) > 20
    return model, data


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_in_physical_parameters_is_the_derivative_of_the_cost(name, pixels):
    """Through the forward model, loss by loss; Soft-DTW to what single precision can tell."""
    model, data = pixels
    o = MeanEventLoss(model, data, LOSSES[name], Loss())
    point, tolerance, step = nominal_values(), 1e-4, 1e-6
    if name == "soft_dtw":
        tolerance, step = 1e-2, 1e-4
    found = o.evaluate(point, CALIBRATED)
    scaled = found.gradient * [point[n] for n in CALIBRATED]
    expected = differences(o, point, CALIBRATED, step)
    assert found.cost > 0 or name == "soft_dtw"
    np.testing.assert_allclose(scaled, expected, rtol=tolerance, atol=0.1 * tolerance * np.abs(expected).max())
    assert torch.is_grad_enabled()
