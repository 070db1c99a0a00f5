"""What segments of a track are not, from tracks that are simulated."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.calibrate.joint.structure import Structure, structure_of
from pipeline.calibrate.joint.tracks import Chains
from pipeline.config.unknown import Unknown
from pipeline.simulate.model import ForwardModel

from ...simulate.deposits import MODULE0
from .toys import SETTINGS, TRUTH, tracks


def test_what_knocked_on_electrons_leave_in_pixels_of_a_track() -> None:
    chains = Chains.of(tracks(2), loose=True, sliding=False)
    model = ForwardModel(chains.segments, MODULE0, SETTINGS)
    unknown = Unknown(stray_above_mev=0.273)
    found = structure_of(model, [chains], unknown, TRUTH, 1, 600.0)
    shares = np.array(found.stray.shares)
    assert shares.sum() == pytest.approx(1.0) and shares.min() >= 0
    # 0.4 electrons above 0.273 MeV per cm of muon (1 / W^2 spectrum): some 15 % of pixels get much of one.
    assert 0.1 < shares[:, 4:].sum() < 0.3 and 0.6 < shares[0, 0] < 0.9
    # Charge before the threshold and in the hold come from the same electrons.
    assert shares[4, 4:].sum() > 0.5 * shares[:, 4:].sum()
    # Birks' charge is concave in dE/dx: uneven losses leave less, by about k dE/dx / (1 + k dE/dx)^2 of the variance.
    assert -0.02 < found.left < -0.002
    # Electrons that nobody takes for others leave nothing beside their track.
    assert structure_of(model, [chains], Unknown(), TRUTH, 1) == Structure()
