"""Radiation of electrons and muons against ESTAR and the Review of Particle Physics."""

import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.matter.particles import MUON_MASS
from pipeline.matter.radiation import (
    electron_radiation,
    muon_bremsstrahlung,
    muon_radiation,
    photon_rate,
    photon_shape,
    sample_photons,
    soft_radiation,
)
from pipeline.matter.stopping import stopping_power

DENSITY = 1.396

#: ESTAR (NIST), argon: kinetic energy [MeV], radiative stopping power [MeV cm2/g]; also between the nodes of our table.
ESTAR = [
    (0.025, 9.107e-3),
    (0.15, 1.052e-2),
    (0.4, 1.427e-2),
    (1.0, 2.748e-2),
    (1.5, 4.094e-2),
    (3.0, 8.831e-2),
    (7.0, 0.2373),
    (15.0, 0.5733),
    (30.0, 1.251),
    (70.0, 3.152),
    (150.0, 7.083),
    (350.0, 17.11),
    (700.0, 34.83),
    (1000.0, 50.07),
]


@pytest.mark.parametrize(("energy", "published"), ESTAR)
def test_electrons_radiate_as_in_estar(energy: float, published: float) -> None:
    found = float(electron_radiation(np.array(energy))) / DENSITY
    assert found == pytest.approx(published, rel=0.01)


def test_radiation_length_is_that_of_the_review() -> None:
    """Above 10 GeV an electron radiates its energy over a radiation length, 19.55 g/cm2, times 1 - 1/(18 ln(183
    Z^-1/3)) for what complete screening adds to the mean loss."""
    energy = np.array(5e4)
    length = float(energy / electron_radiation(energy)) * DENSITY
    assert length == pytest.approx(19.55 * (1 - 1 / (18 * np.log(183 * 18 ** (-1 / 3)))), rel=0.02)


def test_shape_of_the_spectrum_holds_all_the_energy() -> None:
    """The integral over y of `4/3 - 4/3 y + y^2` is 1; the shape is that of the Review, eq. 34.30."""
    assert quad(photon_shape, 0, 1)[0] == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(photon_shape(np.array([0.0, 0.5, 1.0])), [4 / 3, 11 / 12, 1.0], rtol=1e-12)


@pytest.mark.parametrize("energy", [0.1, 5.0, 2000.0])
def test_soft_and_hard_radiation_are_all_radiation(energy: float) -> None:
    """The energy in photons below a limit, and the number above, are integrals of the spectrum."""
    least, radiated = 0.02, 3.0
    at, total = np.array(energy), np.array(radiated)
    soft = radiated * quad(photon_shape, 0, least / energy)[0]
    number = radiated / energy * quad(lambda y: photon_shape(y) / y, least / energy, 1, epsrel=1e-10)[0]
    assert float(soft_radiation(at, total, least)) == pytest.approx(soft, rel=1e-9)
    assert float(photon_rate(at, total, least)) == pytest.approx(number, rel=1e-9)
    hard = radiated * quad(photon_shape, least / energy, 1)[0]
    mean = hard / number
    photons = sample_photons(np.random.default_rng(3), np.full(200_000, energy), least)
    assert photons.min() >= least * (1 - 1e-12) and photons.max() <= energy
    assert photons.mean() == pytest.approx(mean, abs=5 * photons.std() / np.sqrt(len(photons)))


def test_no_photon_above_the_energy_there_is() -> None:
    """Below the limit all radiation is soft."""
    at, total = np.array([1e-4, 0.01, 0.02]), np.ones(3)
    assert (photon_rate(at, total, 0.02) == 0).all()
    np.testing.assert_allclose(soft_radiation(at, total, 0.02), total, rtol=1e-12)


def test_critical_energy_of_muons() -> None:
    """485 GeV in liquid argon, where radiation is as much as ionisation (Review of Particle Physics); 5 %."""
    energy = np.geomspace(2e5, 1e6, 2001)
    excess = muon_radiation(energy) - stopping_power(energy, MUON_MASS)
    assert (np.diff(np.sign(excess)) != 0).sum() == 1
    assert float(energy[np.argmin(np.abs(excess))]) == pytest.approx(485e3, rel=0.05)


@pytest.mark.parametrize("energy", [1e3, 1e4, 1e5, 9e5])
def test_muons_radiate_the_square_of_the_mass_ratio_less_than_electrons(energy: float) -> None:
    """Bremsstrahlung goes with 1/M^2 but for the logarithm of screening, which is between 0.2 and 2 times an
    electron's at these energies; part of it is pairs and nuclear collisions."""
    ratio = float(muon_bremsstrahlung(np.array(energy)) / electron_radiation(np.array(energy)))
    assert 0.2 < ratio * (MUON_MASS / 0.51099895) ** 2 < 2
    assert 0 < float(muon_bremsstrahlung(np.array(energy))) < float(muon_radiation(np.array(energy)))
