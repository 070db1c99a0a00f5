"""Whose hits are: against the births that our own transport records, and on tracks that cross in one pixel."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.generator import Block, Generator, Species
from pipeline.detector.argon import drift_velocity
from pipeline.parameters import nominal_values
from pipeline.produce.flight import World
from pipeline.produce.generator import primaries
from pipeline.produce.joining import RAW
from pipeline.produce.rules import Rules
from pipeline.produce.transport import transport
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import hits_table
from pipeline.simulate.setup import forward_model
from pipeline.study.truth_hits import TRACK_MAKERS, energy_held, hit_owners, particles_of
from pipeline.tables import Hits, Segments, Trajectories
from tests.study.tracks import GEOMETRY, study_config
from tests.tracks import no_segments, straight_track

VALUES = nominal_values()


def born_of(segments: Segments, trajectories: Trajectories) -> dict[tuple[int, int], int]:
    """The track maker from which each particle of a sample descends, or 0, by (event, trajectory)."""
    rows = {key: k for k, key in enumerate(zip(trajectories.event_id, trajectories.traj_id, strict=True))}
    found = {}
    for event, traj in zip(segments.event_id, segments.traj_id, strict=True):
        row = rows[event, traj]
        while abs(trajectories.pdg_id[row]) not in TRACK_MAKERS and trajectories.parent_id[row] >= 0:
            row = rows[event, trajectories.parent_id[row]]
        found[event, traj] = int(trajectories.traj_id[row])
    return found


def test_knocked_out_electrons_go_to_the_track_that_they_came_from():
    block = Block(
        vertices=(4, 4),
        species=(Species(pdg=(13, -13), kinetic_energy_mev=(800.0, 5000.0)),),
        position="border",
        direction="isotropic_flux",
    )
    thrown = primaries(Generator(blocks={"muons": block}, events=3), GEOMETRY, 5, 0, 3)
    rules = Rules(step=1.0, cut=0.3, least_photon=1e6)
    sample = transport(thrown, World.of(GEOMETRY), rules, RAW, np.random.default_rng(5))
    segments = sample.segments.take(GEOMETRY.active(sample.segments))
    electrons = np.abs(segments.pdg_id) == 11
    assert electrons.sum() > 50
    particles, born = particles_of(segments), born_of(segments, sample.trajectories)
    right = [
        born[event, traj] == found
        for event, traj, found in zip(
            segments.event_id, segments.traj_id, particles.traj_id[particles.of_segment], strict=True
        )
    ]
    assert np.mean(right) > 0.995
    assert particles.length.sum() == pytest.approx(segments.length[particles.own].sum())


def test_what_begins_at_the_end_of_a_track_or_far_from_it_stands_for_itself():
    muon = straight_track(traj=0, start=(0, 0, 10), segments=10)
    decay = straight_track(traj=1, start=(10, 0, 10), direction=(0, 1, 0), segments=5, pdg=11)
    pair = straight_track(traj=2, start=(5, 6, 10), segments=2, pdg=-11)
    knocked = straight_track(traj=3, start=(5, 0, 10.001), direction=(0, 1, 0), segments=1, pdg=11)
    elsewhere = straight_track(event=1, traj=0, start=(5, 0, 10), segments=1, pdg=11)
    particles = particles_of(Segments.concatenate([muon, decay, pair, knocked, elsewhere]))
    assert particles.traj_id.tolist() == [0, 1, 2, 0] and particles.event_id.tolist() == [0, 0, 0, 1]
    assert particles.of_segment.tolist() == [0] * 10 + [1] * 5 + [2] * 2 + [0] + [3]
    assert particles.own.tolist() == [True] * 17 + [False, True]
    assert len(particles_of(no_segments())) == 0


def hits_of(segments: Segments, noise: Noise | None) -> tuple[Hits, object]:
    model = forward_model(segments, GEOMETRY, study_config())
    velocity = drift_velocity(VALUES["electric_field"], GEOMETRY.temperature)
    simulated = model.hits(VALUES, noise)
    table = hits_table(
        simulated, GEOMETRY, drift_velocity=velocity, event_t0=model.plan(VALUES).event_t0, integer_adc=False
    )
    return table, model


@pytest.mark.parametrize("noise", [None, Noise(NoiseLevels(900.0, 500.0, 0.0), 3)])
def test_two_tracks_over_the_same_pixels_are_told_apart_by_time(noise):
    """One 12 cm behind the other: the early hits are of the one, the late ones of the other, half of the charge each
    but for the lifetime and what diffuses away."""
    near = straight_track(traj=0, start=(0, 3.1, 25.0), segments=12)
    far = straight_track(traj=1, start=(0, 3.1, 13.0), segments=12)
    segments = Segments.concatenate([near, far])
    hits, model = hits_of(segments, noise)
    owners = hit_owners(model, VALUES, hits, particles_of(segments))
    assert len(hits) > 50
    assert np.array_equal(owners.owner, np.where(np.abs(hits.z - 25.0) < 2, 0, 1))
    assert owners.share.min() > 0.99
    assert owners.collected.sum() == pytest.approx(model.totals(VALUES).sum(), rel=1e-9)
    late = 12.0 / drift_velocity(VALUES["electric_field"], GEOMETRY.temperature)
    lost = np.exp(-late / VALUES["electron_lifetime"])
    assert owners.collected[1] / owners.collected[0] == pytest.approx(lost, rel=1e-6)


def test_hits_where_no_charge_comes_are_nobodys():
    segments = straight_track(traj=0, start=(0, 3.1, 20.0), segments=4)
    hits, model = hits_of(segments, None)
    elsewhere = Hits(**{**{f: getattr(hits, f) for f in hits.__dataclass_fields__}, "pixel_x": hits.pixel_x + 60})
    owners = hit_owners(model, VALUES, elsewhere, particles_of(segments))
    assert (owners.owner == -1).all() and (owners.share == 0).all()


def test_energy_is_held_by_the_track_that_has_the_pixels():
    """Of two separate muons one track has the first half of the one, and none has the other: what is held is half of
    the one, all but what no pixel recorded is lost of the other.
    """
    near = straight_track(traj=0, start=(-6, 3.1, 20.0), segments=12)
    other = straight_track(traj=1, start=(-6, 3.1 + 45 * GEOMETRY.pixel_pitch, 20.0), segments=12)
    segments = Segments.concatenate([near, other])
    hits, model = hits_of(segments, None)
    hit_track = np.where((hits.y < 10) & (hits.x < 0), 0, -1)
    share = energy_held(model, VALUES, hits, hit_track, np.array([0, -1]), particles_of(segments))
    np.testing.assert_allclose(share[:5], 1)
    np.testing.assert_allclose(share[7:12], share[19:24], atol=1e-6)
    assert share[12:].max() < 0.2 and share[12:].mean() == pytest.approx(share[7:12].mean(), abs=0.05)
