"""Probabilities of species: priors, names of segments, and what the configuration refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.config.particles import Particles
from pipeline.reconstruct.particles import identified, with_prior
from pipeline.storage.detector import load_geometry
from pipeline.tables import SPECIES
from tests.reconstruct.lines import line, mean_losses

GEOMETRY = load_geometry("module0")
PROTON = line(mean_losses("proton", 12))
LIKELIHOOD = Particles(method="likelihood")


def test_a_proton_is_a_proton_and_its_segments_are_named_so() -> None:
    found = identified(PROTON, None, GEOMETRY, LIKELIHOOD, None)
    assert found.tracks.probability[0, list(SPECIES).index("proton")] > 0.9
    assert (found.segments.pdg_id == 2212).all()
    assert found.tracks.probability.sum() == pytest.approx(1)


def test_a_species_of_prior_zero_is_never_found() -> None:
    settings = Particles(method="likelihood", prior={"muon": 0.9, "pion": 0.1})
    found = identified(PROTON, None, GEOMETRY, settings, None).tracks.probability[0]
    assert found[2:].max() == 0 and found[:2].sum() == pytest.approx(1)


def test_the_prior_is_all_where_nothing_is_known() -> None:
    silent = replace(PROTON, segments=PROTON.segments.replace(dEdx=np.zeros(12)))
    settings = Particles(method="likelihood", prior={"muon": 9.0, "pion": 1.0})
    found = identified(silent, None, GEOMETRY, settings, None).tracks.probability[0]
    np.testing.assert_allclose(found, [0.9, 0.1, 0, 0, 0], atol=1e-6)


def test_another_prior_afterwards_is_as_good_as_before() -> None:
    new = Particles(method="likelihood", prior={"muon": 0.2, "proton": 0.7, "kaon": 0.1})
    first = identified(PROTON, None, GEOMETRY, LIKELIHOOD, None).tracks.probability
    straight = identified(PROTON, None, GEOMETRY, new, None).tracks.probability
    np.testing.assert_allclose(with_prior(first, LIKELIHOOD.prior, new.prior), straight, atol=1e-12)


def test_no_tracks_are_no_trouble() -> None:
    none = replace(
        PROTON,
        tracks=PROTON.tracks.take(np.zeros(0, dtype=np.int64)),
        segments=PROTON.segments.take(np.zeros(12, bool)),
    )
    assert len(identified(none, None, GEOMETRY, LIKELIHOOD, None).tracks) == 0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"prior": {"tau": 1.0}}, "no species 'tau'; choose from muon"),
        ({"prior": {"muon": 0.0}}, "no species is possible"),
        ({"method": "boosting"}, "boosting learns from examples"),
        ({"method": "boosting", "training": "some.json"}, "boosting learns from examples"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, why) -> None:
    with pytest.raises(ValidationError, match=why):
        Particles.model_validate(settings)
