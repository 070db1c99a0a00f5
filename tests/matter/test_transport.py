"""Particles led through argon step by step."""

import numpy as np
import pytest

from pipeline.matter.particles import mass
from pipeline.matter.ranges import RangeTable, range_table
from pipeline.matter.transport import advance
from pipeline.tables import Floats


def _lead(table: RangeTable, energy: Floats, step: float, steps: int) -> tuple[Floats, Floats]:
    """Energy left and path travelled after some steps."""
    rng = np.random.default_rng(7)
    energy, path = energy.copy(), np.zeros(len(energy))
    for _ in range(steps):
        alive = energy > 0
        lost, travelled = advance(rng, table, energy[alive], np.full(alive.sum(), step))
        assert (lost <= energy[alive]).all() and (travelled <= step).all() and (travelled > 0).all()
        energy[alive] -= lost
        path[alive] += travelled
    return energy, path


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_mean_loss_does_not_depend_on_the_steps(steps: int) -> None:
    """20 cm of a 150 MeV muon, where the stopping power changes by a sixth on the way."""
    table = range_table(mass(13))
    energy = np.full(20_000, 150.0)
    left, _ = _lead(table, energy, 20.0 / steps, steps)
    expected = float(table.energy(table.range(np.array(150.0)) - 20.0))
    assert left.mean() == pytest.approx(expected, abs=4 * left.std() / np.sqrt(len(left)))


@pytest.mark.parametrize(("pdg_id", "energy"), [(13, 60.0), (2212, 150.0)])
def test_stopping_particles_end_at_their_range(pdg_id: int, energy: float) -> None:
    """Mean path is the range to 1 %; its spread is that of range straggling, 3 % for muons, 1 % for protons."""
    table = range_table(mass(pdg_id))
    expected = float(table.range(np.array(energy)))
    left, path = _lead(table, np.full(2000, energy), 0.25, int(1.4 * expected / 0.25))
    assert (left == 0).all()
    assert path.mean() == pytest.approx(expected, rel=0.01)
    assert 0.005 < path.std() / expected < 0.05


def test_a_step_of_no_length_loses_nothing() -> None:
    """To the last digit, whatever the rounding of tables."""
    for pdg_id in (13, 2212):
        energy = np.geomspace(0.1, 1e4, 50)
        lost, travelled = advance(np.random.default_rng(1), range_table(mass(pdg_id)), energy, np.zeros(50), 0.273)
        np.testing.assert_array_equal(lost, 0)
        np.testing.assert_array_equal(travelled, 0)


def test_a_step_beyond_the_range_ends_in_it() -> None:
    """All the energy, and a path no longer than the range, never shorter than nothing."""
    table = range_table(mass(2212))
    energy = np.array([1e-3, 0.1, 5.0, 50.0])
    lost, travelled = advance(np.random.default_rng(2), table, energy, np.full(4, 100.0))
    np.testing.assert_array_equal(lost, energy)
    assert (travelled <= table.range(energy)).all() and (travelled > 0).all()


@pytest.mark.parametrize(("pdg_id", "energy"), [(13, 1000.0), (2212, 80.0)])
def test_energy_is_never_gained(pdg_id: int, energy: float) -> None:
    """In steps from a nanometre to a metre."""
    n = 20_000
    rng = np.random.default_rng(3)
    step = np.exp(rng.uniform(np.log(1e-7), np.log(100), n))
    lost, travelled = advance(rng, range_table(mass(pdg_id)), np.full(n, energy), step, 0.273)
    assert (lost >= 0).all() and (lost <= energy).all()
    assert (travelled <= step).all()
