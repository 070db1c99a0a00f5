"""The likelihood of recorded hits against a slow one that is typed from the formulas alone (`tests.witness`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pipeline.detector.geometry import DetectorGeometry
from pipeline.detector.pixels import PixelConstants, draw_pixels
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import (
    VALUE_NAMES,
    PixelObservables,
    hits_table,
    observables_of_hits,
    observables_of_simulation,
)
from pipeline.tables import Floats, Observables, Segments
from tests.simulate.deposits import MODULE0, PITCH, deposits, model, random_deposits
from tests.witness import witness
from tests.witness.likelihood import Electronics, Pixel
from tests.witness.physics import Detector

USUAL = NoiseLevels(900.0, 500.0)
POINT = {"electric_field": 0.48, "electron_lifetime": 900.0, "longitudinal_diffusion": 6e-6}
OTHER = {**POINT, "electric_field": 0.4803, "birks_ab": 0.79, "transverse_diffusion": 8.5e-6}
#: Before the first and after the last packet of a pixel [us]: no charge, and all of it.
BEFORE, AFTER = 40.0, 40.0


def detector(of: ForwardModel, channel: int) -> Detector:
    """The witness's detector with the readout of one channel."""
    r, (threshold, gain, pedestal) = of.geometry.readout, of.pixels.of(np.array([channel]))
    return Detector(
        threshold=float(threshold[0]), hold=r.hold, max_hits=r.max_hits, gain=float(gain[0]),
        pedestal=float(pedestal[0]), common_mode=r.common_mode, reference=r.reference, counts=r.adc_counts,
    )  # fmt: skip


def pixels(of: ForwardModel, values: Mapping[str, float]) -> list[Pixel]:
    """The pixels of a plan for the witness, with the model's own charge as a function of time."""
    plan, electronics = of.plan(values), Electronics(USUAL.reset, USUAL.sampling, 0.0, of.geometry.readout.clock)
    charges = of.pixel_charges(values, (0, len(plan.event)))

    def one(k: int) -> Pixel:
        packets = charges.time[int(plan.first[k]) : int(plan.first[k + 1])].numpy() + plan.time[k]

        def charge(time: Floats) -> Floats:
            local = torch.as_tensor(np.asarray(time) - plan.time[k]).reshape(-1)
            found = charges.evaluate(torch.full(local.shape, k), local)[0]
            return np.asarray(found.numpy().reshape(np.shape(time)))

        window = float(packets.min()) - BEFORE, float(packets.max()) + AFTER
        return Pixel(charge, *window, electronics, detector(of, int(plan.channel[k])))

    return [one(k) for k in range(len(plan.event))]


def of_pixels(data: Observables, of: ForwardModel, values: Mapping[str, float]) -> list[tuple[Floats, Floats]]:
    """Times and ADC counts of the hits of each pixel of a plan."""
    plan = of.plan(values)
    adc, time = data.values[:, VALUE_NAMES.index("adc")], data.values[:, VALUE_NAMES.index("t")]
    mine = [(data.event == e) & (data.channel == c) for e, c in zip(plan.event, plan.channel)]
    assert sum(m.sum() for m in mine) == len(data)
    return [(time[m], adc[m]) for m in mine]


def density_per_electron(pixel: Pixel, times: Floats, adc: Floats) -> float:
    """The witness's log density per electron; hits at the ends of the ADC scale have a probability."""
    inside = int(((adc > 0) & (adc < pixel.detector.counts)).sum())
    per_count = float(pixel.electrons(1.0) - pixel.electrons(0.0))
    return float(pixel.log_density(list(times), list(adc)) - inside * np.log(per_count))


#: The likelihood keeps a chance of an outlier, 1e-6 of each next outcome; a probable one loses as much.
OUTLIERS = 2e-6


@dataclass(frozen=True)
class Case:
    """Deposits, changes of the readout, hits of the pixel that has most, and spread of threshold, gain and pedestal."""

    segments: Segments
    readout: Mapping[str, float]
    most: int
    spread: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def geometry(self) -> DetectorGeometry:
        return MODULE0.model_copy(update={"readout": MODULE0.readout.model_copy(update=dict(self.readout))})

    def model(self, accuracy: str = "default") -> ForwardModel:
        threshold, gain, pedestal = self.spread
        constants = (
            draw_pixels(self.geometry, threshold_spread=threshold, gain_spread=gain, pedestal_spread=pedestal, seed=1)
            if any(self.spread)
            else PixelConstants.nominal(self.geometry)
        )
        settings = ModelSettings(threads=1, noise=USUAL, accuracy=accuracy)
        return ForwardModel(self.segments, self.geometry, settings, constants)

    def data(self, seed: int) -> Observables:
        return observables_of_simulation(self.model().hits(POINT, Noise(USUAL, seed)), self.geometry)


#: The same place above a pixel's centre, once in each of 12 events.
ABOVE = np.tile([0.5 * PITCH, MODULE0.y_range[0] + 100.5 * PITCH, 28.0], (12, 1))

CASES = {
    "near the threshold": Case(
        deposits(ABOVE, np.add(ABOVE, [0.0, 0.0, 1e-4]), energy=np.linspace(0.2, 0.29, 12), event=np.arange(12)), {}, 1
    ),
    "tracks": Case(random_deposits(11, 12), {}, 4),
    "protons": Case(deposits([[3.1, -20.3, 8.2]], [[4.2, -19.5, 9.6]], dedx=9.0), {}, 3),
    "along the drift": Case(deposits([0.12, 0.10, 5.0], [0.14, 0.10, 6.5], dedx=5.0), {}, 5),
    "as many hits as there can be": Case(deposits([0.12, 0.1, 5.0], [0.14, 0.1, 12.0], dedx=8.0), {"max_hits": 5}, 5),
    "every pixel its own": Case(random_deposits(13, 6), {}, 5, (600.0, 0.05, 20.0)),
    "delayed": Case(deposits([[3.1, 1, 8], [3.2, 1.1, 7]], [[3.9, 1.2, 9], [3.6, 1.4, 8]], t0=[4, 9.53]), {}, 4),
    "across the cathode": Case(deposits([7.0, 7.0, -0.7], [7.4, 7.2, 0.9], dedx=2.5), {}, 2),
    "on the anode": Case(deposits([-5.0, -40.0, 30.0], [-4.3, -40.2, 30.431], dedx=2.1), {}, 1),
    "ADC full": Case(random_deposits(11, 12), {"gain": 0.05, "pedestal": 300.0}, 4),
    "ADC empty": Case(random_deposits(11, 12), {"gain": 0.02, "pedestal": 120.0}, 4),
    "fires when it is armed": Case(deposits([2.42, 0.1, 5.0], [2.44, 0.1, 9.0], dedx=5.0), {"threshold": 1000.0}, 10),
}


@pytest.mark.parametrize("case", CASES)
def test_real_valued_hits(case: str) -> None:
    """Of every pixel that collects charge, at the parameters of the hits and at others."""
    simulation, data = CASES[case].model(), CASES[case].data(seed=1)
    for values in (POINT, OTHER):
        recorded, witnesses = of_pixels(data, simulation, values), pixels(simulation, values)
        # A pixel without charge that fires when it is first armed stands at the start of a window; that is arbitrary.
        use = np.flatnonzero(simulation.totals(values) > 100.0)
        expected = [density_per_electron(witnesses[k], *recorded[k]) for k in use]

        found = PixelObservables(simulation).probability(data, values, ("birks_ab",)).log[use]

        hits = np.array([len(recorded[k][0]) for k in use])
        assert hits.max() == CASES[case].most
        np.testing.assert_array_less(np.abs(found - expected), OUTLIERS * (hits + 1))


def test_the_cases_hold_what_they_say() -> None:
    """Counts at both ends of the ADC scale, hits at the end of the hold before, pixels near the threshold."""
    assert (CASES["ADC full"].data(1).values[:, 0] == 256).sum() >= 5
    assert (CASES["ADC empty"].data(1).values[:, 0] == 0).sum() >= 2
    time = CASES["fires when it is armed"].data(1).values[:, 1]
    assert (np.abs(np.diff(time) - MODULE0.readout.hold) < 1e-9).sum() >= 1
    totals = CASES["near the threshold"].model().totals(POINT)
    assert (np.abs(totals - 7000.0) < 1500.0).sum() == 12 and 3 < len(CASES["near the threshold"].data(1)) < 12


SIX = (
    "birks_ab",
    "birks_kb",
    "electric_field",
    "electron_lifetime",
    "longitudinal_diffusion",
    "transverse_diffusion",
)


def test_scores() -> None:
    """Derivatives of the log-probability to all six parameters, against central differences of the witness."""
    simulation = model(random_deposits(12, 5), noise=USUAL)
    data = observables_of_simulation(simulation.hits(POINT, Noise(USUAL, 2)), MODULE0)
    at = simulation.complete(OTHER)
    recorded = of_pixels(data, simulation, at)
    use = np.flatnonzero(simulation.totals(at) > 1000.0)

    found = PixelObservables(simulation).probability(data, at, SIX).score[use]

    for column, name in enumerate(SIX):
        step = 3e-6 * at[name]
        both = [pixels(simulation, {**at, name: at[name] + sign * step}) for sign in (1, -1)]
        log = np.array([[density_per_electron(one[k], *recorded[k]) for k in use] for one in both])
        expected = (log[0] - log[1]) / (2 * step)
        np.testing.assert_allclose(found[:, column] * at[name], expected * at[name], rtol=5e-6, atol=1e-4)


@pytest.mark.parametrize("case", ["along the drift", "across the cathode"])
def test_real_valued_hits_on_charge_of_the_independent_simulation(case: str) -> None:
    """Nothing is shared with the witness but hits and parameters."""
    segments, simulation = CASES[case].segments, CASES[case].model(accuracy="precise")
    data = observables_of_simulation(simulation.hits(POINT, Noise(USUAL, 4)), MODULE0)
    recorded, plan = of_pixels(data, simulation, POINT), simulation.plan(POINT)
    line = witness.Deposits.of(segments.start, segments.end, segments.dE, segments.dEdx, segments.t0)
    values = {**witness.NOMINAL, **POINT}
    found = PixelObservables(simulation).probability(data, POINT, ("birks_ab",)).log
    use = np.flatnonzero(simulation.totals(POINT) > 3000.0)
    for k, number in zip(use, np.stack(MODULE0.pixel(plan.channel[use]), axis=1)):
        charge = witness.PixelCharge(line, tuple(number.tolist()), values)
        slow = Pixel(charge.cumulative, pixels(simulation, POINT)[k].begin, pixels(simulation, POINT)[k].end)

        assert found[k] == pytest.approx(density_per_electron(slow, *recorded[k]), abs=0.02)


@pytest.mark.parametrize("case", ["tracks", "protons", "along the drift", "ADC full", "every pixel its own"])
def test_whole_numbers(case: str) -> None:
    """Bins of a clock tick and of an ADC count, where the reset charge depends on where in its tick a hit was."""
    geometry = CASES[case].geometry
    simulation = CASES[case].model()
    table = hits_table(
        simulation.hits(POINT, Noise(USUAL, 3)), geometry, drift_velocity=0.16, event_t0={}, integer_adc=True
    )
    data = observables_of_hits(table, geometry)
    recorded, witnesses = of_pixels(data, simulation, POINT), pixels(simulation, POINT)
    use = np.flatnonzero(simulation.totals(POINT) > 100.0)

    found = PixelObservables(simulation).probability(data, POINT, ("birks_ab",)).log[use]

    difference = np.array(
        [
            log - witnesses[k].log_probability(np.rint(recorded[k][0] / 0.1).astype(int).tolist(), list(recorded[k][1]))
            for log, k in zip(found, use)
        ]
    )
    hits = np.array([len(recorded[k][0]) for k in use])
    np.testing.assert_array_less(np.abs(difference[hits == 0]), 3e-5)
    np.testing.assert_array_less(np.abs(difference), 3e-5 + 0.01 * hits)
