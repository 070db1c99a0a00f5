"""dE/dx of particles: published values, theory, and losses that were drawn."""

import numpy as np
import pytest

from pipeline.matter.energy_prior import EnergyPrior
from pipeline.matter.particles import mass
from pipeline.matter.straggling import most_probable_loss, sample_loss
from pipeline.reconstruct.energy import mean_at_range, most_probable


def test_most_probable_loss_of_muons() -> None:
    """Of 1 GeV in 1 cm within 1 % of Landau, Vavilov and Bichsel; species in any order, whatever their sign."""
    kinetic, length = np.array([1000.0, 200.0, 1000.0]), np.array([1.0, 1.0, 0.5])
    found = most_probable(np.array([13, 2212, -13]), length, kinetic)
    expected = most_probable_loss(kinetic, length, mass(13)) / length
    np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], rtol=0.01)
    assert found[1] > 2 * found[0]


@pytest.mark.parametrize(("code", "kinetic"), [(13, 300.0), (2212, 300.0)])
def test_nothing_is_more_frequent_than_the_most_probable_loss(code: int, kinetic: float) -> None:
    """Of losses drawn from the theory, more lie about it than as near to any other value, but for chance."""
    n, one = 200_000, np.ones(1)
    layers = EnergyPrior(code).layers(np.ones(n), np.full(n, kinetic))
    drawn = sample_loss(np.random.default_rng([19, 8]), layers.mean, layers.xi, layers.shape.b, layers.most)
    peak = most_probable(np.array([code]), one, kinetic * one)[0]
    half = 0.5 * float(layers.xi[0])
    about = [np.count_nonzero(np.abs(drawn - at) < half) for at in peak + half * np.array([0.0, -3.0, -1.5, 1.5, 3.0])]
    assert about[0] > max(about[1:]) + 5 * np.sqrt(about[0])


#: Groom, Mokhov, Striganov (2001): range [g/cm2] and stopping power [MeV cm2/g] of muons of 30, 40, 80, 200 MeV.
MUONS = np.array([[6.598, 2.731], [10.58, 2.340], [30.84, 1.771], [106.3, 1.519]])


def test_loss_at_the_residual_range_is_the_published_one() -> None:
    density = 1.396
    found = mean_at_range(np.full(4, 13), np.full(4, 0.5), MUONS[:, 0] / density)
    np.testing.assert_allclose(found, MUONS[:, 1] * density, rtol=3e-3)


def test_pieces_of_a_track_add_up_to_the_energy_of_its_range() -> None:
    residual = np.arange(0.25, 20, 0.5)
    found = mean_at_range(np.full(40, 2212), np.full(40, 0.5), residual)
    assert found.sum() * 0.5 == pytest.approx(float(EnergyPrior(2212).all_losses.energy(np.array(20.0))), rel=1e-6)
    assert (np.diff(found) < 0).all()
