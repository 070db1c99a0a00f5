"""dE/dx from charge: the inversion of recombination, the gap at the cathode, and electrons that travel on their own."""

import numpy as np
import pytest

from pipeline.detector import argon
from pipeline.parameters import nominal_values
from pipeline.reconstruct.losses import KNOCKED_OUT, density_of, loss_with_knock_ons, seen_length
from pipeline.storage.detector import load_geometry

GEOMETRY = load_geometry("module0")
VALUES = nominal_values()


def escaping(loss, recombination="birks"):
    """Electrons per cm that escape recombination at a dE/dx [MeV/cm], from the tested forward model."""
    import torch

    p = {name: torch.tensor(value) for name, value in VALUES.items()}
    fraction = argon.RECOMBINATION[recombination](torch.as_tensor(loss, dtype=torch.float64), p)
    return np.asarray(loss) * argon.ELECTRONS_PER_MEV * fraction.numpy()


@pytest.mark.parametrize("recombination", ["birks", "box"])
def test_even_losses_come_back(recombination):
    loss = np.concatenate([np.full(12, 1.8), np.full(12, 2.4), np.full(12, 12.0)])
    track = np.repeat([0, 1, 2], 12)
    found = loss_with_knock_ons(escaping(loss, recombination), track, np.zeros(36, bool), VALUES, recombination)
    np.testing.assert_allclose(found, loss, rtol=1e-5)


def test_electrons_on_a_segment_add_their_own_energy():
    """Charge of a muon of 1.8 MeV/cm and of electrons of 3 MeV that recombine at `KNOCKED_OUT`."""
    density = escaping(np.full(11, 1.8))
    density[5] += 3.0 / KNOCKED_OUT * escaping(KNOCKED_OUT)
    track = np.zeros(11, dtype=int)
    found = loss_with_knock_ons(density, track, np.zeros(11, bool), VALUES, "birks")
    assert found[5] == pytest.approx(4.8, rel=1e-5)
    np.testing.assert_allclose(np.delete(found, 5), 1.8, rtol=1e-5)
    # As if one particle had lost all of it at once, it would be more than a tenth more.
    at_once = loss_with_knock_ons(density, track, np.ones(11, bool), VALUES, "birks")
    assert at_once[5] > 4.8 * 1.05


def test_the_rise_at_a_stopping_end_is_inverted_as_a_whole():
    loss = np.concatenate([np.full(8, 1.9), [2.3, 3.0, 5.0, 11.0]])
    stopping = np.arange(12) >= 7
    found = loss_with_knock_ons(escaping(loss), np.zeros(12, dtype=int), stopping, VALUES, "birks")
    np.testing.assert_allclose(found, loss, rtol=1e-5)


def test_the_length_that_is_seen_leaves_out_the_gap():
    start = np.array([[0, 0, -1.0], [0, 0, 5.0], [0, 0, 0.0], [0, 0, -0.5]])
    end = np.array([[0, 0, 1.0], [3, 0, 9.0], [2, 0, 0.0], [0, 0, 0.0]])
    np.testing.assert_allclose(seen_length(start, end, GEOMETRY), [2 - 0.3175, 5, 0, 0.5 - 0.15875])


def test_a_gap_without_light_does_not_lower_the_density():
    """Charge of the segment that reaches into the gap, and of the one that lies in it, is right whatever of it was
    given to the segments beside.
    """
    length, track = np.ones(8), np.repeat([0, 1], 4)
    seen = np.array([1, 1, 0.6, 1, 1, 0, 1, 1.0])
    density = density_of(100 * np.array([1, 0.9, 0.7, 1, 3, 0, 3, 3]), length, seen, track)
    np.testing.assert_allclose(density, [100, 90, 100, 100, 300, 300, 300, 300])
