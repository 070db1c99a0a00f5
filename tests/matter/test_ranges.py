"""Ranges against published tables."""

import numpy as np
import pytest

from pipeline.matter.particles import mass
from pipeline.matter.radiation import electron_radiation, muon_radiation
from pipeline.matter.ranges import electron_table, loss_table, range_table
from pipeline.matter.stopping import LIQUID_ARGON, stopping_power

#: Groom, Mokhov, Striganov (2001): kinetic energy [MeV], range [g/cm2] of muons in liquid argon. For 20 MeV two values
#: are in circulation, 3.321 and 3.329; the second is the integral of the published stopping powers.
MUON_RANGES = [(20.0, 3.329), (40.0, 10.58), (100.0, 42.50), (200.0, 106.3), (400.0, 238.5), (1000.0, 616.3)]


@pytest.mark.parametrize(("energy", "published"), MUON_RANGES)
def test_range_of_muons(energy: float, published: float) -> None:
    found = float(range_table(mass(13)).range(np.array(energy))) * LIQUID_ARGON.density
    assert found == pytest.approx(published, rel=3e-3)


def test_range_of_protons() -> None:
    """300 MeV protons of Geant4 11.4 stop after 50.9 to 51.7 cm."""
    assert 50.9 < float(range_table(mass(2212)).range(np.array(300.0))) < 51.7


@pytest.mark.parametrize("pdg_id", [13, 211, 2212])
def test_slope_is_the_inverse_stopping_power(pdg_id: int) -> None:
    m = mass(pdg_id)
    energy = np.geomspace(3e-3 * m, 500 * m, 50)
    step = 1e-4 * energy
    table = range_table(m)
    slope = (table.range(energy + step) - table.range(energy - step)) / (2 * step)
    loss = stopping_power(energy, m) + (muon_radiation(energy) if pdg_id == 13 else 0)
    np.testing.assert_allclose(slope, 1 / loss, rtol=1e-5)


@pytest.mark.parametrize("pdg_id", [13, 2212])
def test_energy_inverts_range_down_to_rest(pdg_id: int) -> None:
    table = range_table(mass(pdg_id))
    energy = np.concatenate([[0.0], np.geomspace(1e-6, 5e4, 200)])
    np.testing.assert_allclose(table.energy(table.range(energy)), energy, rtol=1e-9)


#: PSTAR (NIST), argon: kinetic energy [MeV], range [g/cm2] in the continuous slowing-down approximation.
PSTAR = [(10.0, 0.1887), (20.0, 0.6335), (50.0, 3.208), (100.0, 10.92), (200.0, 36.27), (300.0, 71.44), (1000.0, 445.4)]


@pytest.mark.parametrize(("energy", "published"), PSTAR)
def test_ranges_of_protons_in_pstar(energy: float, published: float) -> None:
    """To 0.3 %."""
    found = float(range_table(mass(2212)).range(np.array(energy))) * LIQUID_ARGON.density
    assert found == pytest.approx(published, rel=3e-3)


@pytest.mark.parametrize(("energy", "published"), [(1.0, 4.336e-3), (2.0, 1.276e-2), (5.0, 5.770e-2)])
def test_ranges_of_slow_protons(energy: float, published: float) -> None:
    """Within 10 um of PSTAR: the last of them are not Bethe's."""
    found = float(range_table(mass(2212)).range(np.array(energy)))
    assert found == pytest.approx(published / LIQUID_ARGON.density, abs=1e-3)


@pytest.mark.parametrize("pdg_id", [13, 211, 321, 2212])
def test_ranges_scale_with_the_mass(pdg_id: int) -> None:
    """At equal velocity R / M is one function, but for the largest transfer: 1 % below beta gamma = 2."""
    m, proton = mass(pdg_id), mass(2212)
    relative = np.geomspace(0.03, 1.2, 20)
    ratio = range_table(m).range(relative * m) / m / (range_table(proton).range(relative * proton) / proton)
    np.testing.assert_allclose(ratio, 1, atol=0.01)


#: ESTAR (NIST), argon gas, whose density changes nothing below 0.4 MeV: kinetic energy [MeV], range [g/cm2].
ESTAR = [(0.05, 6.283e-3), (0.1, 2.042e-2), (0.2, 6.309e-2), (0.3, 0.1175), (0.4, 0.1787)]


@pytest.mark.parametrize(("energy", "published"), ESTAR)
def test_ranges_of_electrons(energy: float, published: float) -> None:
    """From 10 keV on, whose own range is 3.9e-4 g/cm2 in ESTAR; below, 2 um of it are not Bethe's."""
    table = electron_table()
    found = float(table.range(np.array(energy)) - table.range(np.array(0.01))) * LIQUID_ARGON.density
    assert found == pytest.approx(published - 3.921e-4, rel=1e-3)
    assert float(table.range(np.array(0.01))) == pytest.approx(3.921e-4 / LIQUID_ARGON.density, abs=3e-4)


def test_electrons_of_high_energy_lose_by_radiation() -> None:
    """Half of the loss at 32 MeV, nearly all at 10 GeV: the range there grows with the logarithm."""
    table = electron_table()
    growth = float(table.range(np.array(2e4)) - table.range(np.array(1e4)))
    length = 1e4 / float(electron_radiation(np.array(1e4)))
    assert growth == pytest.approx(np.log(2) * length, rel=0.01)


@pytest.mark.parametrize("cut", [0.05, 0.273, np.inf])
def test_what_is_not_made_a_particle_is_lost_on_the_spot(cut: float) -> None:
    """The slope of the table of restricted losses: 1 / restricted loss; ranges grow as the cut falls."""
    m = mass(2212)
    table, energy = loss_table(m, cut, 0.02), np.geomspace(20, 5e4, 30)
    step = 1e-4 * energy
    slope = (table.range(energy + step) - table.range(energy - step)) / (2 * step)
    # The loss is not smooth where the largest transfer passes the cut.
    np.testing.assert_allclose(slope, 1 / stopping_power(energy, m, cut), rtol=2e-4)
    assert (table.range(energy) >= range_table(m).range(energy) * (1 - 1e-9)).all()


def test_range_and_energy_are_monotonous_and_begin_at_zero() -> None:
    for table in (range_table(mass(13)), electron_table(0.273, 0.02), electron_table(positron=True)):
        energy = np.concatenate([[0.0], np.geomspace(1e-6, 5e4, 3000)])
        assert table.range(energy)[0] == 0 and (np.diff(table.range(energy)) > 0).all()
        assert float(table.energy(np.array(0.0))) == 0


@pytest.mark.parametrize("pdg_id", [13, 2212])
def test_loss_with_a_range_to_go_is_that_at_its_energy(pdg_id: int) -> None:
    table = range_table(mass(pdg_id))
    energy = np.geomspace(2.0, 2000.0, 30)
    loss = stopping_power(energy, mass(pdg_id)) + (muon_radiation(energy) if pdg_id == 13 else 0.0)
    np.testing.assert_allclose(table.loss(table.range(energy)), loss, rtol=1e-4)
