"""Energy-loss fluctuations against the theory's moments, limits and characteristic function."""

import time

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import sici
from scipy.stats import ks_2samp, kstest, landau

from pipeline.matter.particles import mass
from pipeline.matter.stopping import beta_squared, largest_transfer, stopping_power
from pipeline.matter.straggling import landau_width, most_probable_loss, sample_loss
from pipeline.tables import Floats

MUON, PROTON = mass(13), mass(2212)

#: kinetic energy [MeV], mass [MeV], length [cm]: kappa from 5e-4 (Landau) over 0.15 (Vavilov) to 12 (nearly Gauss).
LAYERS = [
    (1000.0, MUON, 0.5),
    (3000.0, MUON, 30.0),
    (100.0, MUON, 0.1),
    (300.0, PROTON, 0.5),
    (40.0, PROTON, 0.1),
    (30.0, PROTON, 0.5),
]


def _draw(energy: float, m: float, length: float, n: int, cut: float = np.inf) -> tuple[Floats, float, float, float]:
    """`n` losses [MeV]; xi, beta^2 and Tmax of the layer; loss of energy inside it is left out."""
    at, layer = np.full(n, energy), np.full(n, length)
    mean = stopping_power(at, m, cut) * layer
    xi, beta2, most = landau_width(at, layer, m), beta_squared(at, m), largest_transfer(at, m)
    losses = sample_loss(np.random.default_rng([4, 2]), mean, xi, beta2, most, cut)
    return losses, float(xi[0]), float(beta2[0]), float(most[0])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("cut", [np.inf, 0.02])
def test_mean_is_bethe_and_variance_is_vavilov(layer: tuple[float, float, float], cut: float) -> None:
    """Within five standard errors; the error of the variance from the fourth cumulant of the collision spectrum."""
    n = 200_000
    losses, xi, beta2, most = _draw(*layer, n, cut)
    w = min(cut, most)
    variance = xi * w * (1 - beta2 * w / (2 * most))
    fourth = xi * w**3 * (1 / 3 - beta2 * w / (4 * most))
    mean = float(stopping_power(np.array(layer[0]), layer[1], cut)) * layer[2]
    assert losses.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / n))
    assert losses.var() == pytest.approx(variance, abs=5 * np.sqrt((fourth + 2 * variance**2) / n))


@pytest.mark.parametrize(("energy", "length"), [(500.0, 0.3), (1000.0, 0.5), (5000.0, 1.0)])
def test_thin_layers_have_the_most_probable_loss_of_landau_vavilov_bichsel(energy: float, length: float) -> None:
    """The peak of the drawn distribution, from a parabola through its top, within 1 %."""
    losses, xi, _, _ = _draw(energy, MUON, length, 400_000)
    expected = float(most_probable_loss(np.array(energy), np.array(length), MUON))
    counts, edges = np.histogram(losses, bins=np.arange(expected - 2 * xi, expected + 2 * xi, 0.1 * xi))
    centres = 0.5 * (edges[1:] + edges[:-1])
    top = counts > 0.85 * np.sort(counts)[-5:].mean()
    curvature, slope, _ = np.polyfit(centres[top], counts[top], 2)
    assert -slope / (2 * curvature) == pytest.approx(expected, rel=0.01)


def test_thin_layers_follow_landau() -> None:
    """lambda = (loss - mean) / xi - (1 - gamma_Euler) - beta^2 - ln kappa, kappa = 4e-4."""
    losses, xi, beta2, most = _draw(3000.0, MUON, 2.0, 100_000)
    mean = float(stopping_power(np.array(3000.0), MUON)) * 2.0
    parameter = (losses - mean) / xi - (1 - np.euler_gamma) - beta2 - np.log(xi / most)
    # SciPy scales the distribution: its x is (lambda - ln(pi/2)) / (pi/2), mode -0.4293 for lambda = -0.2228.
    standard = landau(loc=np.log(np.pi / 2), scale=np.pi / 2)
    # 1.95 / sqrt(n) has a probability of 0.1 %; cutting the tail at Tmax moves the distribution by about kappa.
    assert kstest(parameter, standard.cdf).statistic < 1.95 / np.sqrt(len(losses)) + xi / most


@pytest.mark.parametrize("layer", LAYERS[2:])
def test_any_layer_follows_the_characteristic_function(layer: tuple[float, float, float]) -> None:
    """Against the distribution function inverted numerically from the spectrum (Gil-Pelaez)."""
    losses, xi, beta2, most = _draw(*layer, 100_000)
    mean = float(stopping_power(np.array(layer[0]), layer[1])) * layer[2]
    kappa = xi / most
    width = np.sqrt(kappa * (1 - beta2 / 2))
    frequencies = np.linspace(0, 1, 20001)[1:] * max(12 / kappa, 12 / width)
    exponent = _log_characteristic(frequencies, kappa, beta2)
    at = np.linspace(-4, 6, 60) * width
    wave = np.exp(exponent[None, :] - 1j * frequencies[None, :] * at[:, None]).imag / frequencies
    limit = -at[:, None]  # value of the integrand at frequency 0
    integral = np.trapezoid(np.hstack([limit, wave]), np.concatenate([[0], frequencies]), axis=1)
    expected = 0.5 - integral / np.pi
    drawn = np.searchsorted(np.sort((losses - mean) / most), at) / len(losses)
    assert np.abs(drawn - expected).max() < 1.95 / np.sqrt(len(losses))


def _log_characteristic(f: Floats, kappa: float, beta2: float) -> npt.NDArray[np.complex128]:
    """Logarithm of the mean of exp(i f u), u = (loss - mean) / Tmax.

    `kappa` times the integral of `(1 - beta^2 u) (exp(i f u) - 1 - i f u) / u^2` from 0 to 1, by parts.
    """
    sine, cosine = sici(f)
    entire = np.log(f) + np.euler_gamma - cosine
    real = 1 - np.cos(f) - f * sine + beta2 * entire
    imaginary = f - np.sin(f) - f * entire - beta2 * (sine - f)
    return np.asarray(kappa * (real + 1j * imaginary))


def test_thick_layers_approach_a_gaussian() -> None:
    """Skewness xi Tmax^2 (1/2 - beta^2/3) / variance^(3/2), 0.07 at kappa = 40."""
    losses, _, _, _ = _draw(12.0, PROTON, 0.1, 200_000)
    standard = (losses - losses.mean()) / losses.std()
    assert abs(np.mean(standard**3)) < 0.1
    assert kstest(standard, "norm").statistic < 0.02


def test_no_collision_gives_more_than_kinematics_allows() -> None:
    """In a very thin layer almost every large loss is one collision, so the spectrum ends at the mean plus Tmax."""
    losses, xi, _, most = _draw(100.0, MUON, 0.02, 400_000)
    many = losses[losses > 0.5 * most]
    assert len(many) > 100
    # Two hard collisions in one such layer are as rare as kappa.
    assert np.mean(many > most + 40 * xi) < 20 * xi / most


def test_a_hundred_thousand_layers_in_a_second() -> None:
    begin = time.process_time()
    _draw(1000.0, MUON, 0.5, 100_000)
    assert time.process_time() - begin < 1.0


#: kinetic energy [MeV], mass [MeV], length [cm]: layers in which there are some or no collisions above 188 eV.
THIN = [
    (1000.0, MUON, 0.005),
    (1000.0, MUON, 1e-4),
    (1000.0, MUON, 1e-6),
    (10.0, MUON, 1e-3),
    (20.0, PROTON, 1e-4),
    (2.0, PROTON, 1e-5),
]


@pytest.mark.parametrize("layer", THIN)
@pytest.mark.parametrize("cut", [np.inf, 0.273])
def test_very_thin_layers_keep_the_mean_and_never_give_energy(layer: tuple[float, float, float], cut: float) -> None:
    n = 400_000
    losses, xi, beta2, most = _draw(*layer, n, cut)
    assert (losses >= 0).all()
    w = min(cut, most)
    mean = float(stopping_power(np.array(layer[0]), layer[1], cut)) * layer[2]
    deviation = np.sqrt(xi * w * (1 - beta2 * w / (2 * most)))
    assert losses.mean() == pytest.approx(mean, abs=5 * deviation / np.sqrt(n))


def test_no_length_no_loss() -> None:
    n = 1000
    zero, ones = np.zeros(n), np.ones(n)
    losses = sample_loss(np.random.default_rng(1), zero, zero, 0.5 * ones, ones)
    np.testing.assert_array_equal(losses, 0)
    assert sample_loss(np.random.default_rng(1), *(np.zeros(0),) * 4).shape == (0,)


def test_layers_add_up() -> None:
    """The sum over ten thin layers has the distribution of a layer ten times as thick: independent collisions."""
    n, parts = 40_000, 10
    thick, *_ = _draw(500.0, MUON, 0.2, n, 0.273)
    thin, *_ = _draw(500.0, MUON, 0.02, n * parts, 0.273)
    assert ks_2samp(thick, thin.reshape(n, parts).sum(axis=1)).statistic < 1.95 * np.sqrt(2 / n)
