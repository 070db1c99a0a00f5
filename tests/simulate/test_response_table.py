"""The table of the smoothed response against the response itself."""

import numpy as np
import pytest
import torch

from pipeline.detector.response import Parametrised
from pipeline.simulate.accuracy import ACCURACY
from pipeline.simulate.charge import PixelCharges, Places, pixel_charges
from pipeline.simulate.response_table import SIGMA_RANGE, ResponseTable, response_table
from pipeline.tables import Floats

PITCH = 0.4434
SPREAD = 0.03  # transverse width of the clouds below [cm]: about half that of 15 cm of drift


def table(accuracy: str) -> ResponseTable:
    return response_table("parametrised", PITCH, ACCURACY[accuracy], torch.float64, torch.device("cpu"))


def single_electrons(accuracy: str, x: Floats, y: Floats, sigma: Floats, spread: float = SPREAD) -> PixelCharges:
    """One electron on a pixel of its own, for each place and each spread of arrival times, arriving at 0."""
    n = len(x)
    columns = (np.ones(n), x, y, np.zeros(n), np.full(n, spread), sigma)
    nothing = torch.zeros(n, dtype=torch.float64)
    places = Places(torch.arange(n), nothing, nothing, nothing)
    return pixel_charges(table(accuracy), PITCH, torch.arange(n + 1), places, tuple(map(torch.tensor, columns)), None)


def evaluated(charges: PixelCharges, time: Floats) -> tuple[Floats, Floats]:
    charge, current = charges.evaluate(torch.arange(charges.pixels), torch.tensor(time))
    return charge.numpy(), current.numpy()


def averaged_response(x: float, y: float, time: float, sigma: float) -> float:
    """The response averaged over the part of the cloud that falls on the pixel, by Gauss-Legendre quadrature."""
    points, weights = np.polynomial.legendre.leggauss(60)
    half = PITCH / 4
    place = np.concatenate([half * points - half, half * points + half])
    weight = half * np.concatenate([weights, weights])

    def cloud(centre: float) -> Floats:
        density = np.exp(-0.5 * ((place - centre) / SPREAD) ** 2) / (SPREAD * np.sqrt(2 * np.pi))
        return np.asarray(density * weight)

    value = Parametrised().cumulative(place[:, None], place[None, :], np.array(time), sigma)
    return float(cloud(x) @ value @ cloud(y))


@pytest.mark.parametrize(("accuracy", "rms", "largest"), [("default", 1.5e-4, 8e-4), ("precise", 1e-5, 6e-5)])
def test_charge_of_a_cloud_is_the_response_averaged_over_it(accuracy: str, rms: float, largest: float) -> None:
    """At random places, times and spreads; a charge of 1e4 electrons is 10 ADC, and 1 ADC is the noise."""
    rng = np.random.default_rng(5)
    n = 120
    x, y = rng.uniform(-0.22, 0.22, (2, n))
    sigma = np.exp(rng.uniform(*np.log([0.03, 1.0]), n))
    time = rng.uniform(-4.0, 4.5, n)
    exact = np.array([averaged_response(*row) for row in zip(x, y, time, sigma, strict=True)])

    error = evaluated(single_electrons(accuracy, x, y, sigma), time)[0] - exact

    assert np.sqrt(np.mean(error**2)) < rms
    assert np.abs(error).max() < largest


@pytest.mark.parametrize("accuracy", ["default", "precise"])
def test_the_current_is_the_slope_of_the_charge(accuracy: str) -> None:
    rng = np.random.default_rng(6)
    n = 200
    x, y = rng.uniform(-0.22, 0.22, (2, n))
    charges = single_electrons(accuracy, x, y, np.exp(rng.uniform(*np.log([0.03, 1.9]), n)))
    time, step = rng.uniform(-30.0, 8.0, n), 1e-4

    difference = (evaluated(charges, time + step)[0] - evaluated(charges, time - step)[0]) / (2 * step)

    np.testing.assert_allclose(evaluated(charges, time)[1], difference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("accuracy", ["default", "precise"])
def test_all_charge_is_collected_in_the_end_and_none_before_the_start(accuracy: str) -> None:
    rng = np.random.default_rng(7)
    n = 200
    x, y = rng.uniform(-0.3, 0.3, (2, n))
    charges = single_electrons(accuracy, x, y, rng.uniform(0.02, 0.4, n))
    total = charges.total().numpy()

    for late in (Parametrised.late + 3.0, 1e3, 1e9):
        charge, current = evaluated(charges, np.full(n, late))
        np.testing.assert_allclose(charge, total, rtol=0, atol=2e-6)
        np.testing.assert_allclose(current, 0.0, rtol=0, atol=2e-5)
    charge, _ = evaluated(charges, np.full(n, -1e9))
    np.testing.assert_allclose(charge, 0.0, rtol=0, atol=2e-6)


@pytest.mark.parametrize("accuracy", ["default", "precise"])
def test_the_charge_hardly_ever_falls(accuracy: str) -> None:
    """The response is monotone; compression may undo at most a thousandth of an electron per electron."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(-0.22, 0.22, (2, 60))
    charges = single_electrons(accuracy, x, y, np.exp(rng.uniform(*np.log([0.03, 1.0]), 60)))
    time = np.arange(-30.0, 8.0, 0.02)
    charge, _ = charges.evaluate(torch.arange(60).repeat_interleave(len(time)), torch.tensor(np.tile(time, 60)))

    rise = np.diff(charge.numpy().reshape(60, -1), axis=1)

    assert -np.minimum(rise, 0.0).sum(axis=1).min() < 5e-3


def test_spreads_below_the_table_are_taken_at_its_lower_end() -> None:
    x, y, time = np.array([0.1, 0.1]), np.array([0.0, 0.0]), np.array([2.5, 2.5])
    charge, current = evaluated(single_electrons("default", x, y, np.array([1e-5, SIGMA_RANGE[0]])), time)

    assert charge[0] == pytest.approx(charge[1], abs=1e-12)
    assert current[0] == pytest.approx(current[1], abs=1e-9)


def test_single_precision_table() -> None:
    single = response_table("parametrised", PITCH, ACCURACY["default"], torch.float32, torch.device("cpu"))

    assert single.cells.dtype == single.shapes.dtype == torch.float32
    np.testing.assert_allclose(single.cells, table("default").cells, rtol=0, atol=1e-6)
