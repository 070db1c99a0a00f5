"""Mean energy loss against published numbers and its own collision spectrum."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from pipeline.matter.particles import mass
from pipeline.matter.stopping import (
    LIQUID_ARGON,
    K,
    beta_squared,
    density_effect,
    largest_transfer,
    stopping_power,
)

MUON = mass(13)


def test_minimum_ionisation_of_muons() -> None:
    """Review of Particle Physics, liquid argon: 1.508 MeV cm2/g at 266.0 MeV."""
    found = minimize_scalar(
        lambda energy: float(stopping_power(np.array(energy), MUON)), bounds=(100, 1000), method="bounded"
    )
    assert found.fun / LIQUID_ARGON.density == pytest.approx(1.508, abs=0.002)
    assert found.x == pytest.approx(266.0, rel=0.01)


#: Groom, Mokhov, Striganov (2001), liquid argon, ionisation of muons: kinetic energy [MeV], loss [MeV cm2/g].
GROOM = [
    (10.0, 5.687),
    (14.0, 4.461),
    (20.0, 3.502),
    (30.0, 2.731),
    (40.0, 2.340),
    (100.0, 1.670),
    (1000.0, 1.641),
]


@pytest.mark.parametrize(("energy", "published"), GROOM)
def test_ionisation_of_muons_over_the_range(energy: float, published: float) -> None:
    """Shell correction included, to 0.1 %; at 1 GeV and above the published values hold bremsstrahlung by the struck
    electrons too, 0.3 %."""
    limit = 1e-3 if energy < 1000 else 3e-3
    found = float(stopping_power(np.array(energy), MUON)) / LIQUID_ARGON.density
    assert found == pytest.approx(published, rel=limit)


#: PSTAR (NIST), argon, electronic stopping power of protons: kinetic energy [MeV], loss [MeV cm2/g].
PSTAR = [
    (5.0, 51.38),
    (10.0, 30.60),
    (15.0, 22.41),
    (20.0, 17.92),
    (30.0, 13.06),
    (50.0, 8.780),
    (100.0, 5.212),
    (200.0, 3.246),
    (300.0, 2.556),
    (500.0, 2.004),
]


@pytest.mark.parametrize(("energy", "published"), PSTAR)
def test_ionisation_of_protons(energy: float, published: float) -> None:
    """To 0.3 % above 8 MeV, and 1 % below, where the shell correction is kept at its value at 8 MeV; PSTAR holds
    Bloch's and Barkas' corrections and the shell corrections of ICRU Report 49, which differ by so much."""
    found = float(stopping_power(np.array(energy), mass(2212))) / LIQUID_ARGON.density
    assert found == pytest.approx(published, rel=3e-3 if energy > 8 else 0.01)


@pytest.mark.parametrize("m", [MUON, mass(211), mass(2212)])
def test_stopping_power_is_positive_and_falls_to_its_minimum(m: float) -> None:
    """From the least energy of the tables to minimum ionisation, beta gamma = 3.5 or so."""
    energy = np.geomspace(5e-4, 2.2, 400) * m
    loss = stopping_power(energy, m)
    assert (loss > 0).all() and (np.diff(loss) < 0).all()
    restricted = stopping_power(energy, m, 0.05)
    assert (restricted > 0).all() and (restricted <= loss).all()


def test_losses_of_heavy_particles_depend_on_velocity_alone() -> None:
    """At equal beta gamma, but for the largest transfer: muons and protons at 0.5 agree to 0.3 %."""
    kinetic = np.sqrt(1 + 0.5**2) - 1
    losses = [float(stopping_power(np.array(kinetic * m), m)) for m in (MUON, mass(321), mass(2212))]
    assert max(losses) / min(losses) - 1 < 3e-3


@pytest.mark.parametrize("energy", [30.0, 1000.0, 20000.0])
def test_raising_the_cut_adds_the_collisions_between(energy: float) -> None:
    """Restricted losses differ by the integral of W times the spectrum xi/x / W^2 (1 - beta^2 W / Tmax)."""
    at = np.array(energy)
    beta2, most = float(beta_squared(at, MUON)), float(largest_transfer(at, MUON))
    width = 0.5 * K * LIQUID_ARGON.density * LIQUID_ARGON.z_over_a / beta2
    expected, _ = quad(lambda w: width / w * (1 - beta2 * w / most), 0.05, most)
    difference = float(stopping_power(at, MUON)) - float(stopping_power(at, MUON, cut=0.05))
    assert difference == pytest.approx(expected, rel=1e-9)
    assert float(stopping_power(at, MUON, cut=1.001 * most)) == float(stopping_power(at, MUON))


def test_largest_transfer_limits() -> None:
    """Slow and heavy: 2 m (beta gamma)^2 (two-body kinematics at rest); fast: all the kinetic energy."""
    slow = float(largest_transfer(np.array(1.0), mass(2212)))
    assert slow == pytest.approx(4 * 0.51099895 / mass(2212), rel=2e-3)
    assert float(largest_transfer(np.array(1e9), MUON)) == pytest.approx(1e9, rel=0.02)


def test_density_effect_starts_at_zero_and_ends_logarithmic() -> None:
    """Sternheimer's constants join at x0 = 0.2; above x1 = 3 delta follows 2 ln(h nu_p beta gamma / I) - 1."""
    below, above = density_effect(np.array([10**0.1999, 10**0.2001]))
    assert below == 0
    assert above == pytest.approx(0.0, abs=2e-3)
    plasma_energy = 28.816e-6 * np.sqrt(LIQUID_ARGON.density * LIQUID_ARGON.z_over_a)
    asymptote = 2 * np.log(plasma_energy * 1e4 / LIQUID_ARGON.excitation_energy) - 1
    assert float(density_effect(np.array(1e4))) == pytest.approx(asymptote, abs=2e-3)
