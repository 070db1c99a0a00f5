"""Scale, smearing and models of dE/dx."""

import numpy as np
import pytest
from scipy import stats

from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.perturb.dedx_model import DedxModel
from pipeline.perturb.scale_dedx import ScaleDedx
from pipeline.perturb.smear_dedx import SmearDedx

from ..tracks import straight_track
from .samples import apply, bent_tracks, keys, of_track

SAMPLE = bent_tracks(5, tracks=400, events=20)


def test_scales_multiply():
    once = apply(apply(SAMPLE, ScaleDedx(factor=1.25)).segments, ScaleDedx(factor=0.8)).segments
    np.testing.assert_allclose(once.dE, SAMPLE.dE, rtol=1e-14)
    np.testing.assert_array_equal(once.start, SAMPLE.start)
    np.testing.assert_allclose(apply(SAMPLE, ScaleDedx(factor=2)).segments.dEdx, 2 * SAMPLE.dEdx, rtol=1e-14)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [("lognormal", stats.lognorm(np.log(1.04) ** 0.5, scale=1.04**-0.5)), ("gaussian", stats.norm(1, 0.2))],
)
def test_smearing_has_its_distribution_of_mean_one(distribution, expected):
    factor = apply(SAMPLE, SmearDedx(sigma=0.2, distribution=distribution)).segments.dE / SAMPLE.dE
    assert stats.kstest(factor, expected.cdf).pvalue > 1e-3
    assert expected.mean() == pytest.approx(1) and expected.std() == pytest.approx(0.2)
    assert abs(factor.mean() - 1) < 4 * 0.2 * len(factor) ** -0.5


def test_a_track_has_one_factor_where_it_is_smeared_as_a_whole():
    found = apply(SAMPLE, SmearDedx(sigma=0.2, per="track"))
    factors = []
    for event, traj in sorted(keys(SAMPLE)):
        factor = of_track(found.segments, event, traj).dE / of_track(SAMPLE, event, traj).dE
        np.testing.assert_allclose(factor, factor[0], rtol=1e-12)
        factors.append(factor[0])
    np.testing.assert_allclose(found.drawn.values["factor"], factors, rtol=1e-12)


def test_deposits_that_share_a_number_have_numbers_of_their_own():
    """Some files number nothing: all `segment_id` are 0."""
    sample = SAMPLE.replace(segment_id=np.zeros(len(SAMPLE), dtype=np.int64))
    factor = apply(sample, SmearDedx(sigma=0.2)).segments.dE / sample.dE
    assert len(np.unique(np.round(factor, 9))) == len(sample)


def test_minimum_ionisation_is_the_published_one():
    """Particle Data Group, atomic and nuclear properties of liquid argon: 1.508 MeV cm2/g at 1.396 g/cm3."""
    found = apply(straight_track(), DedxModel(model="mip")).segments
    np.testing.assert_allclose(found.dEdx, 1.508 * 1.396, rtol=2e-3)


@pytest.mark.parametrize("pdg", [13, 211, 2212])
def test_a_track_that_stops_has_lost_the_energy_of_its_range(pdg):
    track = straight_track(start=(-20, 0, 20), segments=37, pdg=pdg)
    found = apply(track, DedxModel(model="mean")).segments
    energy = range_table(mass(pdg)).energy(np.array(37.0))
    assert found.dE.sum() == pytest.approx(float(energy), rel=1e-12)
    assert np.all(np.diff(found.dEdx) > 0)  # it ends in the Bragg peak
    # Shorter deposits: the same losses, cut at other places.
    fine = apply(straight_track(start=(-20, 0, 20), segments=74, step=0.5, pdg=pdg), DedxModel(model="mean")).segments
    np.testing.assert_allclose(fine.dE.reshape(-1, 2).sum(axis=1), found.dE, rtol=1e-10)


def test_a_fast_muon_loses_what_bethe_says_and_most_often_less():
    """Groom, Mokhov, Striganov (2001), liquid argon: muons of 1 GeV kinetic energy lose 1.641 MeV cm2/g by ionisation.

    Terms that are left out make 1 % here; a muon that is 2 MeV slower in the middle makes next to nothing.
    """
    track, momentum = straight_track(segments=20), float(np.sqrt(1000.0 * (1000.0 + 2 * mass(13))))
    mean, probable = (
        apply(track, DedxModel(model=model, at="momentum", momentum_mev=momentum)).segments.dEdx
        for model in ("mean", "most_probable")
    )
    np.testing.assert_allclose(mean[0] / 1.396, 1.641, rtol=0.01)
    assert np.all(probable < 0.85 * mean) and np.all(probable > 0.7 * mean)
    assert mean[0] > mean[-1]  # above minimum ionisation, and slower


def test_particles_end_at_their_range():
    track = straight_track(start=(-25, 0, 20), segments=50)
    found = apply(track, DedxModel(model="mean", at="momentum", momentum_mev=150.0))
    energy = np.hypot(150.0, mass(13)) - mass(13)
    reach = float(range_table(mass(13)).range(np.array(energy)))
    assert found.segments.dE.sum() == pytest.approx(energy, rel=1e-9)
    beyond = 50 - int(np.ceil(reach))
    assert f"{beyond} deposits lie beyond the range of particles of 150 MeV/c" in found.notes[1]
    assert np.count_nonzero(found.segments.dE == 0) == beyond


def test_particles_that_bethe_does_not_describe_keep_their_energies():
    sample = bent_tracks(7, species=(11, 22, 1000180400, 0, 99999999, 13))
    found = apply(sample, DedxModel(model="mean")).segments
    same = found.dE == sample.dE
    np.testing.assert_array_equal(same, sample.pdg_id != 13)


def test_only_the_species_asked_for_are_changed():
    sample = bent_tracks(8)
    found = apply(sample, DedxModel(model="constant", value_mev_per_cm=2.0, species=(13,))).segments
    muon = np.abs(sample.pdg_id) == 13
    np.testing.assert_allclose(found.dEdx[muon], 2.0, rtol=1e-12)
    np.testing.assert_array_equal(found.dE[~muon], sample.dE[~muon])


def test_very_thin_and_very_thick_layers_have_losses_that_make_sense():
    for step in (1e-6, 1e-3, 20.0):
        track = straight_track(start=(-20, 0, 20), segments=2, step=step, pdg=2212)
        mean, probable = (apply(track, DedxModel(model=m)).segments.dE for m in ("mean", "most_probable"))
        assert np.all(probable > 0) and np.all(probable <= mean)
