"""From hits to tables of tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.reconstruction import Reconstruct
from pipeline.config.selection import Select
from pipeline.detector.argon import drift_velocity
from pipeline.errors import ReconstructionError, SelectionError
from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.matter.straggling import most_probable_loss
from pipeline.reconstruct.cuts import cut_tracks
from pipeline.reconstruct.drift_correction import corrected, delays
from pipeline.reconstruct.field import field_of_velocity, with_measured_field
from pipeline.reconstruct.modes import with_model_losses
from pipeline.reconstruct.polyline import foot
from pipeline.reconstruct.reconstruct import reconstruct
from pipeline.reconstruct.t0 import infer_t0, retimed
from pipeline.storage.provenance import Provenance
from pipeline.storage.reconstruction import (
    read_assumed,
    read_reconstruction,
    write_reconstruction,
)
from pipeline.storage.segments import write_segments
from pipeline.tables import Assumed, Segments, TimeOffset

from .hits_of import MODULE0, SETTINGS, electronics, hits_of, segments_of


def straight(start, end, event=0, traj=0, pieces=60):
    """Deposits of a straight track."""
    edge = np.linspace(0, 1, pieces + 1)[:, None]
    return segments_of(np.asarray(start) + edge * (np.asarray(end) - start), event=event, traj=traj)


#: Across the cathode from one anode to the other; and one that stops inside.
CROSSER = straight([-10.0, -20.0, -30.431], [8.0, 5.0, 30.431], traj=0, pieces=140)
STOPPER = straight([31.039, -60.0, 12.0], [12.0, -52.0, 18.0], traj=1)
EVENT = Segments.concatenate([CROSSER, STOPPER])


@pytest.fixture(scope="module")
def hits():
    return hits_of(EVENT, seed=5)


@pytest.fixture(scope="module")
def labels(hits):
    return (hits.y < -45).astype(np.int64)


@pytest.fixture(scope="module")
def delay(hits):
    return delays(MODULE0, electronics().values, SETTINGS)


@pytest.fixture(scope="module")
def found(hits, labels):
    settings = Reconstruct(curves={"refinements": 4})
    return reconstruct(hits, MODULE0, {}, settings, SETTINGS, labels=labels)


def test_tracks_lie_on_their_particles_and_end_where_these_do(found):
    assert len(found.tracks) == 2
    for track, true in ((0, CROSSER), (1, STOPPER)):
        own = found.segments.traj_id == track
        v = np.concatenate([found.segments.start[own][:1], found.segments.end[own]])
        assert np.sqrt(np.mean(foot(true.centre, v).distance ** 2)) < 0.03
        ends = {tuple(np.round(p, 6)) for p in (true.start[0], true.end[-1])}
        for point in (v[0], v[-1]):
            assert min(np.linalg.norm(np.array(e) - point) for e in ends) < 0.35
    assert found.tracks.cathode.tolist() == [True, False]
    assert found.tracks.anode.tolist() == [2, 0]
    assert found.tracks.contained.tolist() == [False, True]
    # It came from the side and stopped inside.
    assert found.tracks.start[1, 0] == pytest.approx(31.039, abs=0.05)
    assert found.tracks.end[1] == pytest.approx([12.0, -52.0, 18.0], abs=0.35)


def test_residual_range_counts_down_to_the_end(found):
    own = found.segments.traj_id == 1
    length = found.segments.length[own]
    assert found.residual_range[own][-1] == pytest.approx(length[-1] / 2)
    assert np.diff(found.residual_range[own]) == pytest.approx(-0.5 * (length[1:] + length[:-1]))
    assert found.tracks.length[1] == pytest.approx(length.sum())


def test_energy_loss_by_charge_is_that_of_the_deposits(found):
    inner = np.abs(found.residual_range - 10) < 8
    assert np.mean(found.segments.dEdx[inner]) == pytest.approx(2.1, rel=0.02)
    assert found.segments.dE == pytest.approx(found.segments.dEdx * found.segments.length)


def test_lines_are_known_as_well_as_they_say(found):
    for track, true in ((0, CROSSER), (1, STOPPER)):
        direction = (true.end[-1] - true.start[0]) / np.linalg.norm(true.end[-1] - true.start[0])
        angle = np.linalg.norm(np.cross(direction, found.tracks.direction[track]))
        covariance = found.tracks.covariance[track]
        assert np.linalg.eigvalsh(covariance).min() > 0
        assert angle < 5 * np.sqrt(covariance[2, 2] + covariance[3, 3])
        assert np.sqrt(covariance[2, 2]) < 0.01


def test_the_same_hits_give_the_same_numbers_alone_and_together(hits, labels, found):
    again = reconstruct(
        hits, MODULE0, {}, Reconstruct(curves={"refinements": 4}), replace(SETTINGS, threads=2), labels=labels
    )
    for name in ("start", "end", "dE"):
        assert np.array_equal(getattr(again.segments, name), getattr(found.segments, name))


def test_hits_without_tracks_are_refused(hits):
    with pytest.raises(ReconstructionError, match=r"make no track of 4 hits inside .*min_hits"):
        reconstruct(hits, MODULE0, {}, Reconstruct(), SETTINGS, labels=np.full(len(hits), -1))


def test_delays_are_taken_off_the_drift(hits, delay):
    z = corrected(hits, MODULE0, hits.drift_velocity, delay)
    near = foot(np.stack([hits.x, hits.y, z], axis=1), EVENT.start[[0, 139]])
    own = hits.y > -45
    shift = ((z - near.nearest[:, 2]) * np.where(hits.tpc == 0, 1, -1))[own]
    assert abs(np.median(shift)) < 0.05
    # Uncorrected they are half a centimetre further away from the anode.
    plain = ((hits.z - near.nearest[:, 2]) * np.where(hits.tpc == 0, 1, -1))[own]
    assert np.median(plain) > 0.3


def test_the_field_of_a_velocity():
    for field in (0.2, 0.5, 1.0):
        assert field_of_velocity(drift_velocity(field, 87.17), 87.17) == pytest.approx(field, rel=1e-9)
    assert field_of_velocity(1.0, 87.17) is None


def test_crossers_tell_the_field():
    tracks = [straight([-10.0 + 3 * k, -20.0, -25.0], [8.0 - 4 * k, 5.0, 22.0], event=k, pieces=100) for k in range(3)]
    hits = hits_of(Segments.concatenate(tracks), {"electric_field": 0.48}, seed=2)
    values, measured = with_measured_field(hits, MODULE0, {}, Reconstruct(), SETTINGS)
    assert measured is not None and measured.crossers == 3
    assert values["electric_field"] == pytest.approx(0.48, rel=0.01)
    none, missing = with_measured_field(hits_of(STOPPER), MODULE0, {}, Reconstruct(), SETTINGS)
    assert missing is None and none["electric_field"] == 0.5


@pytest.mark.parametrize("offset", [-20.0, 0.0, 35.0])
def test_the_time_of_an_event_is_found_from_its_ends(hits, labels, delay, offset):
    late = replace(hits, t=hits.t + offset)
    found = infer_t0(late, labels, MODULE0, hits.drift_velocity, delay.of(hits.charge, hits.hit))
    assert found[0].ends >= 2
    assert found[0].value == pytest.approx(offset, abs=1.0)


def test_a_time_that_puts_tracks_outside_the_drift_is_not_taken(delay):
    """Two tracks begin at an anode and stop at different depths: at the cathode both would lie beyond it."""
    ends = [straight([-10.0, -70.0 + 50 * k, 30.431], [8.0, -55.0 + 50 * k, z], traj=k) for k, z in enumerate((14, 6))]
    short = hits_of(Segments.concatenate(ends), seed=6)
    short = replace(short, t=short.t + 12.0)
    found = infer_t0(
        short, (short.y > -50).astype(int), MODULE0, short.drift_velocity, delay.of(short.charge, short.hit)
    )
    assert found[0].value == pytest.approx(12.0, abs=1.0)


def test_times_are_taken_off_and_drift_coordinates_belong_to_them(hits):
    back = retimed(replace(hits, t=hits.t + 7.0), {0: 7.0}, MODULE0)
    assert back.t == pytest.approx(hits.t, abs=1e-9) and back.z == pytest.approx(hits.z, abs=1e-9)
    assert back.event_t0[0] == hits.event_t0[0] + 7.0
    assert np.array_equal(retimed(hits, {}, MODULE0).z, hits.z)


def test_cuts_take_tracks_and_their_hits(found):
    off = dict.fromkeys(
        ("max_abs_cos_drift", "track_anode_margin_cm", "max_anode_distance_cm", "max_total_length_cm"), None
    )
    left, flow = cut_tracks(found, Select(**off, min_track_length_cm=40.0), MODULE0, 1, "hits.h5")
    assert left.tracks.track_id.tolist() == [0]
    assert set(left.segments.traj_id) == {0} and len(left.charge) == len(left.segments)
    assert ((left.hit_track == 0) == (found.hit_track == 0)).all() and (left.hit_track <= 0).all()
    assert [step.tracks for step in flow][-1] == 1
    with pytest.raises(SelectionError, match=r"hits\.h5: the cut"):
        cut_tracks(found, Select(**off, min_track_length_cm=400.0), MODULE0, 1, "hits.h5")


def test_mip_is_the_most_probable_loss_at_the_momentum(found):
    """Of Landau, Vavilov and Bichsel, in a segment of its length; dE belongs to it."""
    for momentum in (None, 1500.0):
        segments = with_model_losses(found, Reconstruct(dedx="mip", mip_momentum_mev=momentum)).segments
        kinetic = np.hypot(momentum or 3.5 * mass(13), mass(13)) - mass(13)
        expected = most_probable_loss(kinetic, segments.length, mass(13)) / segments.length
        np.testing.assert_allclose(segments.dEdx, expected, rtol=0.01)
        np.testing.assert_allclose(segments.dE, segments.dEdx * segments.length)


def test_range_is_the_loss_of_a_particle_that_stops(found):
    """The energies of a track that ends inside add up to that of its range; of others the range is not known."""
    by_range = with_model_losses(found, Reconstruct(dedx="range"))
    stops = by_range.segments.traj_id == 1
    mip = with_model_losses(found, Reconstruct(dedx="mip"))
    assert np.array_equal(by_range.segments.dEdx[~stops], mip.segments.dEdx[~stops])
    energy = float(range_table(mass(13)).energy(found.tracks.length[1:])[0])
    assert by_range.segments.dE[stops].sum() == pytest.approx(energy, rel=1e-3)
    # Groom, Mokhov, Striganov (2001): 2.340 MeV cm2/g where 10.58 g/cm2 are left.
    at = np.interp(-10.58 / 1.396, -by_range.residual_range[stops], by_range.segments.dEdx[stops])
    assert at == pytest.approx(2.340 * 1.396, rel=0.01)


def test_charge_is_the_loss_that_was_recorded_and_electrons_have_no_other(found):
    assert with_model_losses(found, Reconstruct(dedx="charge")) is found
    electrons = replace(found, segments=found.segments.replace(pdg_id=np.full(len(found.segments), 11)))
    for mode in ("mip", "range"):
        assert np.array_equal(with_model_losses(electrons, Reconstruct(dedx=mode)).segments.dEdx, found.segments.dEdx)


def test_files_hold_everything(found, tmp_path):
    path, plain = tmp_path / "reconstructed.h5", tmp_path / "plain.h5"
    provenance = Provenance("reconstruct", {}, {}, "0")
    assumed = Assumed({"birks_ab": 0.83, "electron_lifetime": np.inf}, {0: TimeOffset(-3.25, 4)})
    write_reconstruction(path, found, provenance, assumed)
    back = read_reconstruction(path)
    for table in ("tracks", "segments"):
        one, other = getattr(back, table), getattr(found, table)
        for name in one.__dataclass_fields__:
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("residual_range", "position_error", "charge", "knocked_out", "hit_track"):
        assert np.array_equal(getattr(back, name), getattr(found, name)), name
    assert read_assumed(path) == assumed
    write_segments(plain, found.segments, provenance)
    assert read_assumed(plain) is None
