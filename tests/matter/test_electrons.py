"""Collisions of electrons with electrons against ESTAR and against the integrals of their cross sections."""

import numpy as np
import pytest
from scipy.integrate import quad

from pipeline.matter.electrons import collision_loss, knock_on_rate, recoil_cosine, sample_knock_on
from pipeline.matter.particles import ELECTRON_MASS, mass
from pipeline.matter.stopping import largest_transfer

#: Half of 4 pi N_A r_e^2 m c^2 times Z/A of argon and the density of the liquid [MeV/cm].
SCALE = 0.5 * 0.307075 * 18 / 39.948 * 1.396
DENSITY = 1.396


def _beta2(energy: float) -> float:
    return 1 - (1 + energy / ELECTRON_MASS) ** -2


def moller(transfer: float, energy: float) -> float:
    """Collisions per length and transferred energy [1/(cm MeV)]; Moller, Ann. Phys. 406 (1932) 531."""
    g = 1 + energy / ELECTRON_MASS
    left = energy - transfer
    bracket = 1 / transfer**2 + 1 / left**2 + ((g - 1) / g) ** 2 / energy**2
    bracket -= (2 * g - 1) / g**2 / (transfer * left)
    return SCALE / _beta2(energy) * bracket


def bhabha(transfer: float, energy: float) -> float:
    """The same of positrons; Bhabha, Proc. R. Soc. A 154 (1936) 195, in the form of Rohrlich and Carlson (1954)."""
    g, e = 1 + energy / ELECTRON_MASS, transfer / energy
    y, beta2 = 1 / (g + 1), _beta2(energy)
    terms = (2 - y**2) * e - (1 - 2 * y) * (3 + y**2) * e**2
    terms += ((1 - 2 * y) ** 2 + (1 - 2 * y) ** 3) * e**3 - (1 - 2 * y) ** 3 * e**4
    return SCALE / beta2 / transfer**2 * (1 - beta2 * terms)


@pytest.mark.parametrize(
    ("energy", "published"),
    [(0.01, 14.97), (0.02, 8.974), (0.05, 4.613), (0.1, 2.917), (0.2, 2.004), (0.3, 1.701), (0.4, 1.558)],
)
def test_stopping_power_is_that_of_estar(energy: float, published: float) -> None:
    """Argon gas [MeV cm2/g]; up to 0.4 MeV (beta gamma = 1.5) the density changes nothing."""
    assert float(collision_loss(np.array(energy))) / DENSITY == pytest.approx(published, rel=6e-4)


@pytest.mark.parametrize("energy", [1.0, 10.0, 100.0])
def test_density_effect_of_the_liquid_lowers_estars_gas(energy: float) -> None:
    """ESTAR's gas with delta = 0 loses `K Z/A delta / (2 beta^2)` more than the liquid, delta of Sternheimer's form."""
    gas = {1.0: 1.376, 10.0: 1.678, 100.0: 2.105}[energy]
    x = 0.5 * np.log10((1 + energy / ELECTRON_MASS) ** 2 - 1)
    delta = 2 * np.log(10) * x - 5.2146 + 0.19559 * (3 - x) ** 3
    gas_delta = 0.6589 if energy == 100.0 else 0.0
    liquid = gas - 0.5 * 0.307075 * 18 / 39.948 * (delta - gas_delta) / _beta2(energy)
    assert float(collision_loss(np.array(energy))) / DENSITY == pytest.approx(liquid, rel=2e-3)


def test_critical_energy_is_that_of_the_review() -> None:
    """Rossi's: the energy that an electron loses by ionisation in a radiation length is its own; 32.84 MeV in liquid
    argon, Review of Particle Physics, tables of atomic and nuclear properties (total energy; 1 %)."""
    total = np.linspace(25, 40, 1501)
    lost = collision_loss(total - ELECTRON_MASS) / DENSITY * 19.55
    assert float(total[np.argmin(np.abs(lost - total))]) == pytest.approx(32.84, rel=0.01)


@pytest.mark.parametrize("positron", [False, True])
@pytest.mark.parametrize("energy", [0.5, 2.0, 50.0, 1000.0])
def test_raising_the_cut_adds_the_collisions_between(energy: float, positron: bool) -> None:
    """Restricted losses differ by the integral of W times Moller's or Bhabha's spectrum: exactly."""
    low, high = 0.02 * energy, 0.4 * energy
    spectrum = bhabha if positron else moller
    expected, _ = quad(lambda w: w * spectrum(w, energy), low, high, epsabs=0, epsrel=1e-10)
    at = np.array(energy)
    found = collision_loss(at, high, positron) - collision_loss(at, low, positron)
    # The formula of Berger and Seltzer drops nothing but terms of the order of the binding over the cut.
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("positron", [False, True])
def test_no_collision_transfers_more_than_kinematics_allows(positron: bool) -> None:
    """A cut above half (electron) or all (positron) of the energy changes nothing."""
    at = np.geomspace(0.02, 1e3, 20)
    most = at if positron else 0.5 * at
    whole = collision_loss(at, np.inf, positron)
    np.testing.assert_allclose([collision_loss(a, m, positron) for a, m in zip(at, most)], whole, rtol=1e-12)
    assert (collision_loss(at, 0.005, positron) < whole).all()


def test_positrons_lose_as_electrons_do_within_the_published_difference() -> None:
    """ICRU Report 37 (1984): positrons lose more than electrons below 0.3 MeV, at 10 keV some 10 %, and a little less
    above 0.5 MeV, some 2 to 3 %."""
    ratio = collision_loss(np.array([0.01, 0.1, 1.0, 10.0]), np.inf, True)
    ratio = ratio / collision_loss(np.array([0.01, 0.1, 1.0, 10.0]))
    assert 1.05 < ratio[0] < 1.15
    assert 1.0 < ratio[1] < 1.05
    assert (ratio[2:] > 0.96).all() and (ratio[2:] < 1.0).all()


@pytest.mark.parametrize("positron", [False, True])
@pytest.mark.parametrize(("energy", "cut"), [(0.7, 0.273), (3.0, 0.273), (100.0, 0.05)])
def test_struck_electrons_follow_the_cross_section(energy: float, cut: float, positron: bool) -> None:
    """Number per length, mean energy and its spread, against integrals of the spectrum: 5 standard errors."""
    n, most = 200_000, energy if positron else 0.5 * energy
    spectrum = bhabha if positron else moller
    moments = [quad(lambda w, k=k: w**k * spectrum(w, energy), cut, most, epsrel=1e-9, limit=200)[0] for k in (0, 1, 2)]
    at = np.full(n, energy)
    struck, real = sample_knock_on(np.random.default_rng(5), at, cut, np.full(n, positron))
    rate = float(knock_on_rate(np.array(energy), cut)) * real.mean()
    assert rate == pytest.approx(moments[0], rel=5 * np.sqrt((1 - real.mean()) / real.sum()))
    chosen = struck[real]
    mean, spread = moments[1] / moments[0], np.sqrt(moments[2] / moments[0] - (moments[1] / moments[0]) ** 2)
    assert chosen.min() >= cut and chosen.max() <= most
    assert chosen.mean() == pytest.approx(mean, abs=5 * spread / np.sqrt(len(chosen)))
    # Quantiles, for the shape: share below the middle (in 1/W) of the range.
    middle = 2 / (1 / cut + 1 / most)
    share = quad(lambda w: spectrum(w, energy), cut, middle)[0] / moments[0]
    assert (chosen < middle).mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / len(chosen)))


def test_no_electron_is_struck_above_the_energy_there_is() -> None:
    """Below the cut nothing; between the cut and twice the cut an electron strikes none, as it is the faster one."""
    assert float(knock_on_rate(np.array(0.2), 0.273)) == 0
    at = np.full(10_000, 0.5)
    _, real = sample_knock_on(np.random.default_rng(1), at, 0.273, np.zeros(10_000, dtype=bool))
    assert not real.any()


@pytest.mark.parametrize("m", [ELECTRON_MASS, mass(13), mass(2212)])
def test_recoil_conserves_four_momentum(m: float) -> None:
    """With the struck electron at its angle, the other keeps its mass; at the largest transfer it goes straight on."""
    kinetic = 50.0
    most = float(largest_transfer(np.array(kinetic), m)) if m > 1 else kinetic
    transfer = np.linspace(0.01, 0.999, 50) * most
    cosine = recoil_cosine(np.full(50, kinetic), np.asarray(m), transfer)
    p, p_struck = np.sqrt(kinetic * (kinetic + 2 * m)), np.sqrt(transfer * (transfer + 2 * ELECTRON_MASS))
    p_left2 = p**2 + p_struck**2 - 2 * p * p_struck * cosine
    invariant = (kinetic + m - transfer) ** 2 - p_left2
    np.testing.assert_allclose(invariant, m**2, rtol=0, atol=1e-9 * (kinetic + m) ** 2)
    assert float(recoil_cosine(np.array(kinetic), np.asarray(m), np.array(most))) == pytest.approx(1.0, abs=1e-9)
