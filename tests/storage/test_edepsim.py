"""edep-sim ROOT files: known contents, the same events in other forms, and files that are no such thing."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import uproot

from pipeline.errors import FileFormatError
from pipeline.storage import edepsim
from pipeline.storage.edepsim import match_species, read_edepsim

FLOAT32 = 2.0**-23


def assert_same_positions(segments, rows):
    """HDF5 files hold float32: half a unit in the last place, and half of the largest value in differences."""
    for axis, name in enumerate("xyz"):
        for point, values in (("start", segments.start), ("end", segments.end)):
            np.testing.assert_allclose(values[:, axis], rows[f"{name}_{point}"], rtol=FLOAT32, atol=1e-7)


def test_real_file_has_its_known_content(shared_data):
    segments, notes = read_edepsim(shared_data / "edepsim_real_objectwise_5ev.root")
    assert len(segments) == 4302
    assert segments.dE.sum() == pytest.approx(3167.872, abs=5e-4)
    # The extent of that detector, which is not module 0, in cm.
    assert np.floor(segments.start[:, 0].min()) == -188 and np.floor(segments.start[:, 0].max()) == 355
    assert np.floor(segments.start[:, 2].min()) == 440 and np.floor(segments.start[:, 2].max()) == 919
    # Real times: relativistic particles take as long as light does (2.998e4 cm/us) for the length of a segment;
    # scattering moves the end points of short steps sideways by more than that.
    duration = segments.t0_end - segments.t0_start
    assert np.all(duration > 0)
    speed = (segments.dx / duration / 2.998e4)[segments.dx > 0.3]
    assert 0.5 < np.median(speed) < 1.0 and speed.max() < 1.5
    assert any("ArgonCube" in note for note in notes)


def test_mixed_sample_is_the_same_as_its_published_conversion(shared_data):
    segments, _ = read_edepsim(shared_data / "edepsim_mixed_20ev.root")
    with h5py.File(shared_data / "edepsim_mixed_100ev.h5") as file:
        rows = file["segments"][:]
    rows = rows[rows["eventID"] < 20]
    np.testing.assert_array_equal(segments.event_id, rows["eventID"])
    np.testing.assert_array_equal(segments.traj_id, rows["trackID"])
    np.testing.assert_array_equal(segments.pdg_id, rows["pdgId"])
    assert_same_positions(segments, rows)
    np.testing.assert_allclose(segments.dE, rows["dE"], rtol=FLOAT32)


def test_geant4_events_are_the_same_in_root_and_hdf5_times_included(shared_data):
    segments, _ = read_edepsim(shared_data / "edepsim_g4_20ev.root")
    with h5py.File(shared_data / "edepsim_g4_20ev_new.h5") as file:
        rows = file["segments"][:]
    for name in ("event_id", "traj_id", "pdg_id", "segment_id"):
        np.testing.assert_array_equal(getattr(segments, name), rows[name], err_msg=name)
    assert_same_positions(segments, rows)
    np.testing.assert_allclose(segments.dE, rows["dE"], rtol=FLOAT32)
    np.testing.assert_allclose(segments.dx, rows["dx"], rtol=1e-5, atol=1e-5)
    for name in ("t0", "t0_start", "t0_end"):
        np.testing.assert_allclose(getattr(segments, name), rows[name], rtol=FLOAT32, err_msg=name)


def test_split_and_unsplit_synthetic_files_agree(shared_data):
    split, _ = read_edepsim(shared_data / "wtest.root")
    whole, _ = read_edepsim(shared_data / "wtest_split1.root")
    for name in split.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(split, name), getattr(whole, name), err_msg=name)
    first, _ = read_edepsim(shared_data / "wtest.root", ["volOther"])
    first = first.take(first.event_id == 0)
    # Numbers chosen when the file was made: mm and ns there, cm and us here; segments of one and of two contributors.
    assert first.traj_id.tolist() == [0, 1, 2, 3, 4]
    assert first.dE.tolist() == [100.5, 101.5, 102.5, 103.5, 104.5]
    np.testing.assert_allclose(first.start, [[x, 2.0, 3.0] for x in range(5)], rtol=1e-15)
    np.testing.assert_allclose(first.end, [[x + 0.1, 2.1, 3.1] for x in range(5)], rtol=1e-15)
    np.testing.assert_allclose(first.t0_start, 0.040, rtol=1e-15)
    np.testing.assert_allclose(first.t0_end, [0.041, 1.041, 2.041, 3.041, 4.041], rtol=1e-15)


def test_sensitive_detectors_are_chosen_by_name(shared_data):
    path = shared_data / "wtest.root"
    everything, notes = read_edepsim(path)
    assert any("volOther, volTPCActive, volThird" in n or "volOther, volTPCActive" in n for n in notes)
    parts = [read_edepsim(path, [name])[0] for name in ("volOther", "volTPCActive", "volThird")]
    assert sum(map(len, parts)) == len(everything)
    assert not any("all sensitive detectors" in note for note in read_edepsim(path, ["volThird"])[1])
    with pytest.raises(FileFormatError, match="did you mean 'volTPCActive'"):
        read_edepsim(path, ["volTpcActive"])


def test_entry_numbers_count_events_that_hold_nothing(shared_data):
    by_id, _ = read_edepsim(shared_data / "edepsim_real_objectwise_5ev.root")
    by_entry, _ = read_edepsim(shared_data / "edepsim_real_objectwise_5ev.root", event_number="entry")
    assert set(by_id.event_id) == {0, 3, 5}
    assert set(by_entry.event_id) == {0, 2, 3}  # entry 1 has no deposits


class MergedRuns:
    """A tree in which EventId starts again with every run."""

    num_entries = 4

    def __getitem__(self, name):
        return self

    def array(self, library):
        return np.array([0, 1, 0, 1], dtype=">i4")


def test_event_numbers_that_repeat_across_runs_are_refused_with_the_way_out():
    with pytest.raises(FileFormatError, match="event_number to entry"):
        edepsim.event_numbers(Path("merged.root"), MergedRuns(), "EventId")
    assert edepsim.event_numbers(Path("merged.root"), MergedRuns(), "entry").tolist() == [0, 1, 2, 3]


def test_species_are_matched_by_track_number_not_by_position():
    entry, track = np.array([0, 0, 1, 1, 1]), np.array([4, 2, 2, 4, 3])
    trajectories = (np.array([0, 0, 1, 1]), np.array([4, 2, 2, 3]), np.array([13, 211, 2212, 11]))
    pdg, unknown = match_species(entry, track, *trajectories)
    assert pdg.tolist() == [13, 211, 2212, 0, 11]
    assert unknown == 1


def foreign(path: Path) -> None:
    with uproot.recreate(path) as file:
        file["Ntuple"] = {"energy": np.arange(5.0)}


def empty_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file["EDepSimEvents"] = {"EventId": np.arange(3)}


@pytest.mark.parametrize(
    ("make", "said"), [(foreign, "there is: Ntuple"), (empty_tree, "no Trajectories, SegmentDetectors")]
)
def test_foreign_root_files_are_named_as_such(tmp_path, make, said):
    path = tmp_path / "foreign.root"
    make(path)
    with pytest.raises(FileFormatError, match=said) as caught:
        read_edepsim(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, shared_data):
    raw = (shared_data / "wtest.root").read_bytes()
    path = tmp_path / "short.root"
    for size in (10, 200, len(raw) // 3, len(raw) // 2, len(raw) - 500, len(raw) - 1):
        path.write_bytes(raw[:size])
        with pytest.raises(FileFormatError, match="truncated") as caught:
            read_edepsim(path)
        assert "\n" not in str(caught.value)
