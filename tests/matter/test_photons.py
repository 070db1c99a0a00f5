"""Photons in argon against XCOM and the formula of Klein and Nishina."""

import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.matter.particles import ELECTRON_MASS
from pipeline.matter.photons import compton, pair_production, photoelectric, sample_compton

DENSITY = 1.396
RADIUS = 2.8179403262e-13
ELECTRONS = 6.02214076e23 * 18 / 39.948  # per gram of argon

#: Hubbell and Seltzer, NISTIR 5632 (1995), argon: energy [MeV], attenuation with coherent scattering [cm2/g].
XCOM = [
    (0.01, 63.16),
    (0.015, 19.83),
    (0.02, 8.629),
    (0.03, 2.697),
    (0.05, 0.7012),
    (0.08, 0.2760),
    (0.1, 0.2043),
    (0.15, 0.1427),
    (0.3, 0.09953),
    (0.5, 0.07958),
    (0.8, 0.06419),
    (1.0, 0.05762),
    (1.25, 0.05150),
    (1.5, 0.04695),
    (2.0, 0.04074),
    (3.0, 0.03384),
    (4.0, 0.03019),
    (5.0, 0.02802),
    (6.0, 0.02667),
    (8.0, 0.02517),
    (10.0, 0.02451),
    (15.0, 0.02418),
    (20.0, 0.02453),
]


def klein_nishina(cosine: float, energy: float) -> float:
    """Cross section per electron and cosine [cm2]; Klein and Nishina (1929)."""
    left = 1 / (1 + energy / ELECTRON_MASS * (1 - cosine))
    return float(np.pi * RADIUS**2 * left**2 * (left + 1 / left - 1 + cosine**2))


@pytest.mark.parametrize(("energy", "published"), XCOM)
def test_attenuation_is_that_of_xcom(energy: float, published: float) -> None:
    at = np.array(energy)
    found = float(photoelectric(at) + compton(at) + pair_production(at)) / DENSITY
    assert found == pytest.approx(published, rel=0.025)


@pytest.mark.parametrize(("energy", "published"), [(e, mu) for e, mu in XCOM if e >= 2])
def test_pair_production_is_what_compton_scattering_leaves(energy: float, published: float) -> None:
    """XCOM's attenuation less Klein and Nishina's, to 3 %, and to 1.5 % of the whole where pairs are few."""
    scattered = ELECTRONS * quad(lambda c: klein_nishina(c, energy), -1, 1, epsabs=0, limit=200)[0]
    found = float(pair_production(np.array(energy))) / DENSITY
    assert found == pytest.approx(published - scattered, rel=0.03, abs=0.004 * published)


def test_pair_production_begins_at_twice_the_electron_mass_and_ends_at_seven_ninths() -> None:
    energies = np.array([0.5, 1.0, 2 * ELECTRON_MASS])
    np.testing.assert_array_equal(pair_production(energies), 0)
    assert float(pair_production(np.array(1e6))) == pytest.approx(7 / 9 * DENSITY / 19.55, rel=0.01)
    assert (np.diff(pair_production(np.geomspace(1.1, 1e5, 100))) > 0).all()


@pytest.mark.parametrize("energy", [1e-5, 4e-4, 6e-4, 0.01, 0.511, 5.0, 1000.0])
def test_compton_scattering_is_the_integral_of_klein_and_nishina(energy: float) -> None:
    expected = quad(lambda c: klein_nishina(c, energy), -1, 1, epsabs=0, epsrel=1e-10, limit=500)[0]
    assert float(compton(np.array(energy))) == pytest.approx(expected * ELECTRONS * DENSITY, rel=1e-5)


def test_slow_photons_scatter_as_thomson() -> None:
    """8 pi r_e^2 / 3 for each electron."""
    expected = 8 * np.pi / 3 * RADIUS**2 * ELECTRONS * DENSITY
    assert float(compton(np.array(1e-6))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("energy", [0.001, 0.511, 10.0])
def test_scattered_photons_follow_klein_and_nishina(energy: float) -> None:
    """Mean of cosine and of energy, and spread, within 5 standard errors; energy and angle as kinematics binds them."""
    n = 100_000
    left, cosine = sample_compton(np.random.default_rng(8), np.full(n, energy))
    np.testing.assert_allclose(left, energy / (1 + energy / ELECTRON_MASS * (1 - cosine)), rtol=1e-9)
    total = quad(lambda c: klein_nishina(c, energy), -1, 1, limit=200, epsabs=0)[0]

    def mean(power: int) -> float:
        return float(quad(lambda c: c**power * klein_nishina(c, energy), -1, 1, limit=200, epsabs=0)[0] / total)

    for power in (1, 2):
        assert (cosine**power).mean() == pytest.approx(mean(power), abs=5 * (cosine**power).std() / np.sqrt(n))


def test_no_photons_scatter_to_none() -> None:
    left, cosine = sample_compton(np.random.default_rng(0), np.zeros(0))
    assert left.shape == cosine.shape == (0,)
