"""Our muons and protons against Geant4's, from the same starts: quick versions of `tests.validate_transport`.

Only the second half of Geant4's events is used: constants may be chosen with the first.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import SharedData
from tests.produce import geant4
from tests.produce.geant4 import MUON, PROTON, Steps

#: Lengths of steps [cm] within which dE/dx is compared: its fluctuations depend on them.
WINDOWS = [(0.1, 0.7), (0.7, 1.5), (1.5, 3.0), (3.0, 30.0)]


@pytest.fixture(scope="module")
def muons(shared_data: SharedData) -> tuple[Steps, Steps]:
    """Geant4's and ours, six times as many."""
    _, theirs = geant4.halves(geant4.geant4(shared_data / "g4_muon_1gev_100ev.h5"), 100)
    return theirs, geant4.ours(theirs, MUON, 1000.0, 6, 2)


@pytest.fixture(scope="module")
def protons(shared_data: SharedData) -> tuple[Steps, Steps]:
    _, theirs = geant4.halves(geant4.geant4(shared_data / "g4_stopping_proton_150ev.h5"), 150)
    return theirs, geant4.ours(theirs, PROTON, (100.0, 300.0), 4, 2)


def test_muons_cross_the_same_argon(muons: tuple[Steps, Steps]) -> None:
    """Starts, directions and faces are the same: path of muons to 1 %."""
    theirs, mine = (steps.species(MUON) for steps in muons)
    assert mine.length.sum() / 6 == pytest.approx(theirs.length.sum(), rel=0.01)


def test_mean_restricted_loss_of_muons(muons: tuple[Steps, Steps]) -> None:
    """dE/dx without electrons above 273 keV, to 0.5 %."""
    theirs, mine = (steps.species(MUON) for steps in muons)
    expected = theirs.energy.sum() / theirs.length.sum()
    assert mine.energy.sum() / mine.length.sum() == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(("shortest", "longest"), WINDOWS)
def test_fluctuations_of_the_loss_of_muons(muons: tuple[Steps, Steps], shortest: float, longest: float) -> None:
    """5, 50 and 95 % of dE/dx of steps of like length, to 2 %."""
    levels = []
    for steps in muons:
        s = steps.species(MUON)
        chosen = (s.length > shortest) & (s.length < longest)
        levels.append(np.quantile(s.energy[chosen] / s.length[chosen], [0.05, 0.5, 0.95]))
    np.testing.assert_allclose(levels[1], levels[0], rtol=0.02)


def test_electrons_struck_by_muons(muons: tuple[Steps, Steps]) -> None:
    """Electrons that leave more than 1 MeV, per metre of muon: number and energy to 10 %; the error of the
    number is 2 %."""
    (number, energy, error), (ours, ours_energy, _) = (geant4.struck_electrons(steps, 1.0) for steps in muons)
    assert error < 0.03
    assert ours == pytest.approx(number, rel=0.10)
    assert ours_energy == pytest.approx(energy, rel=0.10)


@pytest.mark.parametrize("length", [2.0, 5.0, 10.0])
def test_scattering_of_muons(muons: tuple[Steps, Steps], length: float) -> None:
    """Half of the width of 68.3 % of the angles over a length, to three standard errors and 2 % for Geant4's model."""
    theirs, mine = geant4.scattering_angles(muons[0].species(MUON), length, repeat=5)
    width = geant4.half_width(theirs)
    # The quantile's error is 1.05 sigma / sqrt(n); pairs overlap by the length over the mean step, 0.7 cm.
    independent = len(theirs) / max(1.0, length / 0.7)
    assert geant4.half_width(mine) == pytest.approx(width, rel=0.02 + 3 * 1.05 / np.sqrt(independent))


def test_loss_of_stopping_protons(protons: tuple[Steps, Steps]) -> None:
    """dE/dx against residual range: 2 % from 1 to 30 cm, 5 % from 0.05 to 1 cm."""
    edges = np.array([0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0])
    (theirs, error, _), (mine, _, _) = (geant4.stopping_loss(steps, edges) for steps in protons)
    limit = np.where(edges[1:] <= 1.0, 0.05, 0.02)
    assert (error < limit).all()
    np.testing.assert_array_less(np.abs(mine / theirs - 1), limit)


def test_as_many_protons_stop(protons: tuple[Steps, Steps]) -> None:
    """The share that neither interacts nor leaves; 5 % for cross sections and four standard errors."""
    edges = np.array([1.0, 2.0])
    theirs, mine = (geant4.stopping_loss(steps, edges)[2] for steps in protons)
    n = 75 * 6
    assert mine == pytest.approx(theirs, abs=0.05 * (1 - theirs) + 4 * np.sqrt(theirs * (1 - theirs) / n))
