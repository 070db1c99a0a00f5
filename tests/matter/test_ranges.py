"""Ranges against published tables."""

import numpy as np
import pytest

from pipeline.matter.particles import mass
from pipeline.matter.radiation import muon_radiation
from pipeline.matter.ranges import range_table
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
