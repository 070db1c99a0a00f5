"""Likelihoods of tracks that the transport has made: straggling, knock-on electrons, scattering and all."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.reconstruct.likelihood import evidence, posterior
from pipeline.storage.detector import load_geometry
from pipeline.tables import SPECIES
from tests.reconstruct.ideal import ideal, produced

GEOMETRY = load_geometry("module0")
HEAVY = dict.fromkeys(SPECIES, 1.0) | {"electron": 0.0}


@pytest.fixture(scope="module")
def tracks():
    """Stopping muons, protons and kaons: log-likelihoods, true codes, and whether they lie inside."""
    species = [
        {"pdg": [code], "number": [3, 3], "kinetic_energy_mev": energies}
        for code, energies in ((13, [60.0, 150.0]), (2212, [100.0, 200.0]), (-321, [60.0, 150.0]))
    ]
    blocks = {"inside": {"particles": [9, 9], "species": species, "margin_cm": 25.0, "z_cm": [3.0, 28.0]}}
    (part,) = produced(blocks, 8, GEOMETRY, 3)
    reconstruction, codes = ideal(part, GEOMETRY, 3, least_cm=5.0)
    low, high = GEOMETRY.bounds
    ends = np.stack([reconstruction.tracks.start, reconstruction.tracks.end])
    inside = ((ends > low + 2) & (ends < high - 2)).all(axis=(0, 2))
    return evidence(reconstruction, GEOMETRY, 0.04), codes, inside


def test_protons_kaons_and_muons_are_told_apart(tracks) -> None:
    found, codes, _ = tracks
    probability = posterior(0.5 * found.log_likelihood, HEAVY)
    for code, names in ((13, ("muon", "pion")), (2212, ("proton",)), (321, ("kaon",))):
        mine = codes == code
        assert mine.sum() > 15
        assert probability[mine][:, [list(SPECIES).index(n) for n in names]].sum(axis=1).mean() > 0.75


def test_muons_that_stop_are_seen_to_stop(tracks) -> None:
    found, codes, inside = tracks
    stopping = found.stopping[codes == 13, 0]
    assert inside[codes == 13].sum() > 3
    assert np.median(stopping[inside[codes == 13]]) > 0.8
    assert np.median(stopping[~inside[codes == 13]]) < 0.1
