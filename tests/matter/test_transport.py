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
