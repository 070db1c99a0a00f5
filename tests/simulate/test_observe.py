"""Hits as a table and as observables: counts, times, places, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.detector.pixels import PixelConstants
from pipeline.simulate.model import SimulatedHits
from pipeline.simulate.noise import NoiseLevels
from pipeline.simulate.observe import PixelObservables, hits_table, observables_of_hits, observables_of_simulation
from pipeline.tables import Hits
from tests.simulate.deposits import MODULE0, PITCH, deposits, model, random_deposits

READOUT = MODULE0.readout


def made_up(charge: list[float], time: list[float]) -> SimulatedHits:
    n = len(charge)
    zero = np.zeros(n, dtype=np.int64)
    charges, channel = np.array(charge, dtype=float), np.arange(n)
    adc = PixelConstants.nominal(MODULE0).adc(charges, channel)
    return SimulatedHits(zero, channel, zero, np.array(time, dtype=float), charges, adc)


def table(hits: SimulatedHits, *, integer: bool) -> Hits:
    return hits_table(hits, MODULE0, drift_velocity=0.16, event_t0={}, integer_adc=integer)


def test_counts_of_a_charge() -> None:
    """min(max(4e-3 q + 580 - 288, 0) 256 / (1300 - 288), 256), typed from the description of the readout."""
    charges = [-1e6, -73_000.0, 0.0, 7000.0, 25_000.0, 180_000.0, 1e7]
    expected = [min(max(4e-3 * q + 580.0 - 288.0, 0.0) * 256 / (1300.0 - 288.0), 256.0) for q in charges]

    np.testing.assert_allclose(table(made_up(charges, [1.0] * 7), integer=False).adc, expected, rtol=1e-14)
    assert expected[0] == 0.0 and expected[-1] == 256.0


def test_whole_counts_and_clock_ticks() -> None:
    """floor(x + 0.5) within 0 ... 255, and the clock tick in which a time falls."""
    mv = (1300.0 - 288.0) / 256
    charge = [(counts * mv - 292.0) / 4e-3 for counts in (80.49, 80.51, 255.2, 256.0, 0.3)]
    hits = table(made_up([*charge, 1e9, -1e9], [0.04, 12.3, 12.39, 0.3, 0.7, 100.0, 150.0999]), integer=True)

    np.testing.assert_array_equal(hits.adc, [80, 81, 255, 255, 0, 255, 0])
    np.testing.assert_allclose(hits.t, [0.0, 12.3, 12.3, 0.3, 0.7, 100.0, 150.0], rtol=0, atol=1e-9)


def test_places_of_hits_are_those_of_the_deposit() -> None:
    """The pixel lies above the deposit; the drift coordinate is right to the time of the response, in both TPCs."""
    x, y = 4.5 * PITCH, MODULE0.y_range[0] + 50.5 * PITCH
    for z in (12.0, -12.0):
        segments = deposits([x, y, z], [x, y, z + 0.01], energy=1.0, dedx=2.0)
        hits = hits_table(model(segments).hits({}), MODULE0, drift_velocity=0.15965, event_t0={}, integer_adc=False)
        main = np.argmax(hits.charge)
        assert hits.x[main] == pytest.approx(x, abs=PITCH / 2) and hits.y[main] == pytest.approx(y, abs=1e-3)
        assert hits.tpc[main] == (1 if z > 0 else 0)
        assert abs(hits.z[main]) == pytest.approx(abs(z), abs=0.6) and np.sign(hits.z[main]) == np.sign(z)


def test_observables_of_a_table_are_those_of_the_simulation() -> None:
    """In whatever order the rows of the table are."""
    simulation = model(random_deposits(1, 20))
    expected = PixelObservables(simulation).observe({})
    hits = table(simulation.hits({}), integer=False)
    shuffle = np.random.default_rng(0).permutation(len(hits))
    columns = {name: getattr(hits, name)[shuffle] for name in Hits.COLUMNS}
    found = observables_of_hits(Hits(**columns, drift_velocity=0.16, event_t0={}), MODULE0)

    for name in ("event", "channel", "order", "values", "valid"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.valid.all() and found.value_names == ("adc", "t")


def test_a_hit_without_a_number_is_not_used() -> None:
    simulation = model(random_deposits(1, 5))
    hits = table(simulation.hits({}), integer=False)
    broken = observables_of_hits(
        Hits(
            **{n: getattr(hits, n) for n in Hits.COLUMNS if n != "adc"},
            adc=np.where(np.arange(len(hits)) == 1, np.nan, hits.adc),
            drift_velocity=0.16,
            event_t0={},
        ),
        MODULE0,
    )

    assert (~broken.valid).sum() == 1


def test_derivatives_of_counts_and_times() -> None:
    """Against central differences of the observables; the field in kV/cm."""
    observables = PixelObservables(model(random_deposits(2, 15)))
    point, step = {"electric_field": 0.49}, 1e-6
    exact = observables.linearise(point, ("electric_field",))
    low, high = (observables.observe({"electric_field": 0.49 + s}) for s in (-step, step))

    np.testing.assert_array_equal(low.channel, high.channel)
    np.testing.assert_allclose(exact.jacobian[:, :, 0], (high.values - low.values) / (2 * step), rtol=1e-4, atol=1e-2)
    assert exact.softness.shape == exact.observables.values.shape and exact.softness.min() >= 0


def test_a_saturated_count_does_not_move() -> None:
    observables = PixelObservables(model(deposits([0.0, 0.0, 25.0], [1.5, 0.0, 25.0], dedx=2.1, energy=40.0)))
    exact = observables.linearise({}, ("birks_ab",))
    full = exact.observables.values[:, 0] == READOUT.adc_counts

    assert full.any() and not full.all()
    assert not exact.jacobian[full, 0].any() and not exact.softness[full, 0].any()
    assert exact.jacobian[~full, 0].any() and exact.jacobian[full, 1].any()


def test_the_charge_that_a_pixel_has_for_its_hits() -> None:
    """Nothing is lost: what hits recorded and what is left add up to the pixel's total; a hit has the threshold."""
    forward = model(random_deposits(3, 30))
    hits = forward.hits({})
    observed, supply = PixelObservables(forward).observe_with_supply({})
    plan = forward.plan({})
    place = {pair: i for i, pair in enumerate(zip(supply.event.tolist(), supply.channel.tolist(), strict=True))}
    pixel = np.array([place[pair] for pair in zip(hits.event.tolist(), hits.channel.tolist(), strict=True)])
    recorded = np.bincount(pixel, weights=hits.charge, minlength=len(place))

    np.testing.assert_array_equal(observed.values, PixelObservables(forward).observe({}).values)
    total = forward.totals({})
    assert len(total) == len(plan.event) == len(place)
    np.testing.assert_allclose(supply.left[:, -1] * READOUT.threshold + recorded, total, rtol=1e-9, atol=1e-3)
    assert len(hits.order) > 50 and (hits.order > 0).any() and (recorded == 0).any()
    assert supply.left[pixel, hits.order].min() > 0.99
    quiet = np.setdiff1d(np.arange(len(place)), pixel)
    assert supply.left[quiet, 0].max() < 1.0


class EqualResets:
    """The same charge drawn at every reset of every pixel."""

    levels = NoiseLevels(1.0, 0.0)

    def __init__(self, charge: float) -> None:
        self.charge = charge

    def hits(self, event, channel, max_hits):
        return np.full((len(event), max_hits), self.charge), np.zeros((len(event), max_hits))


def test_what_charge_from_the_reset_does_to_hits() -> None:
    """Against central differences of simulations in which every reset leaves some electrons."""
    simulation = model(random_deposits(2, 15))
    exact = PixelObservables(simulation).linearise({}, ("birks_ab",))
    low, high = (observables_of_simulation(simulation.hits({}, EqualResets(r)), MODULE0) for r in (-0.05, 0.05))

    assert exact.observables.order.max() > 0
    np.testing.assert_array_equal(low.order, high.order)
    np.testing.assert_allclose(exact.reset, np.abs(high.values - low.values) / 0.1, rtol=1e-3, atol=1e-8)


def test_simulated_observables_hold_the_charge_in_electrons() -> None:
    simulation = model(random_deposits(2, 15))
    charge = PixelObservables(simulation).observe({}).columns["charge"]

    np.testing.assert_array_equal(charge, simulation.hits({}).charge)
