"""dE/dx of segments: published values, the forward model's own formula, and losses that were drawn."""

import numpy as np
import pytest
import torch

from pipeline.detector.argon import ELECTRONS_PER_MEV, RECOMBINATION
from pipeline.matter.energy_prior import EnergyPrior
from pipeline.matter.particles import mass
from pipeline.matter.stopping import stopping_power
from pipeline.matter.straggling import most_probable_loss, sample_loss
from pipeline.parameters import nominal_values
from pipeline.reconstruct.energy import at_range, from_charge, mip


def test_most_probable_loss_of_muons() -> None:
    """Of 1 GeV in 1 cm within 1 % of Landau, Vavilov and Bichsel; species in any order, whatever their sign."""
    kinetic, length = np.array([1000.0, 200.0, 1000.0]), np.array([1.0, 1.0, 0.5])
    found = mip(np.array([13, 2212, -13]), length, kinetic)
    expected = [
        most_probable_loss(kinetic[i], length[i], mass(13)) / length[i] if i != 1 else found.dedx[1] for i in range(3)
    ]
    np.testing.assert_allclose(found.dedx, np.array(expected, dtype=float), rtol=0.01)
    assert found.dedx[1] > 2 * found.dedx[0]


def test_mean_loss_is_bethe() -> None:
    kinetic = np.array([150.0, 300.0, 600.0])
    found = mip(np.full(3, 2212), np.full(3, 0.5), kinetic, mean=True)
    np.testing.assert_allclose(found.dedx, stopping_power(kinetic, mass(2212)), rtol=2e-3)


def test_errors_are_the_spread_of_losses() -> None:
    """Of the mean: the standard deviation. Of the peak: it holds half where that is skewed, two thirds at most."""
    n, one = 100_000, np.ones(1)
    for code, kinetic in ((2212, 100.0), (13, 80.0)):
        layers = EnergyPrior(code).layers(np.ones(n), np.full(n, kinetic))
        drawn = sample_loss(np.random.default_rng([19, 8]), layers.mean, layers.xi, layers.shape.b, layers.most)
        mean = mip(np.array([code]), one, kinetic * one, mean=True)
        peak = mip(np.array([code]), one, kinetic * one)
        assert drawn.mean() == pytest.approx(mean.dedx[0], abs=5 * drawn.std() / np.sqrt(n))
        assert drawn.std() == pytest.approx(mean.error[0], rel=0.02)
        assert 0.5 < np.mean(np.abs(drawn - peak.dedx[0]) < peak.error[0]) < 0.69


def test_range_tells_dedx() -> None:
    """The pieces of a track, from its end on, add up to the energy of its range."""
    prior = EnergyPrior(2212)
    residual = np.arange(0.25, 20, 0.5)
    found = at_range(np.full(40, 2212), np.full(40, 0.5), residual)
    assert found.dedx.sum() * 0.5 == pytest.approx(float(prior.all_losses.energy(np.array(20.0))), rel=1e-6)
    assert (np.diff(found.dedx) < 0).all()
    # Narrow near the end, where many collisions share the loss.
    assert (np.diff(found.error / found.dedx) > 0).all()


@pytest.mark.parametrize("recombination", ["birks", "box"])
def test_charge_of_the_forward_model_is_inverted(recombination: str) -> None:
    values = nominal_values()
    dedx, length = np.array([1.5, 2.1, 5.0, 20.0]), np.array([0.4, 1.0, 1.2, 0.3])
    time = np.array([0.0, 50.0, 120.0, 180.0])
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}

    def charge(loss: np.ndarray) -> np.ndarray:
        escape = RECOMBINATION[recombination](torch.tensor(loss), tensors).numpy()
        return loss * length * ELECTRONS_PER_MEV * escape * np.exp(-time / values["electron_lifetime"])

    error = np.full(4, 500.0)
    found = from_charge(charge(dedx), length, time, values, recombination, error)
    np.testing.assert_allclose(found.dedx, dedx, rtol=1e-9)
    slope = (charge(dedx * 1.001) - charge(dedx * 0.999)) / (0.002 * dedx)
    np.testing.assert_allclose(found.error, error / slope, rtol=1e-3)
    np.testing.assert_array_equal(from_charge(charge(dedx), length, time, values, recombination).error, 0)


def test_more_charge_than_birks_can_make_tells_little() -> None:
    found = from_charge(np.array([1e9]), np.ones(1), np.zeros(1), nominal_values(), "birks", np.array([1e3]))
    assert np.isfinite(found.dedx[0])
    assert found.error[0] == np.inf
