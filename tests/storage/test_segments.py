"""Files of segments: exact round trip, old and new names, and what is refused."""

import h5py
import numpy as np
import pytest
from numpy.lib import recfunctions

from pipeline.config.models import Checks
from pipeline.errors import FileFormatError, SegmentError
from pipeline.storage.detector import load_geometry
from pipeline.storage.provenance import Provenance, read_provenance
from pipeline.storage.segments import examine_segments, read_cut_flow, read_segments, write_segments
from pipeline.tables import CutStep

from ..tracks import random_tracks, straight_track

MODULE0 = load_geometry("module0")
MADE = Provenance("test", {"seed": 1}, {}, "0")


def read(path, geometry=None):
    return read_segments(path, checks=Checks(), geometry=geometry)


def write_rows(path, rows, **attributes):
    with h5py.File(path, "w") as file:
        file.create_dataset("segments", data=rows).attrs.update(attributes)


@pytest.fixture
def rows(tmp_path):
    """A table with the names since 2023 and float64."""
    write_segments(tmp_path / "made.h5", straight_track(direction=(1, 2, 0.5)), MADE)
    with h5py.File(tmp_path / "made.h5") as file:
        return file["segments"][:]


def test_round_trip_is_exact(tmp_path):
    rng = np.random.default_rng(1)
    made = random_tracks(1, 20)
    energy = rng.uniform(0, 1e-7, len(made))
    made = made.replace(
        t0=rng.normal(size=len(made)) * 1e3, t0_end=rng.normal(size=len(made)), dE=energy, dEdx=energy / made.dx
    )
    write_segments(tmp_path / "a.h5", made, MADE)
    found = read(tmp_path / "a.h5")
    assert found.warnings == ()
    for name in made.__dataclass_fields__:
        values = getattr(found.segments, name)
        np.testing.assert_array_equal(values, getattr(made, name), err_msg=name)
        assert values.flags.c_contiguous


def test_files_hold_the_edep_sim_frame_with_units_and_provenance(tmp_path):
    made = straight_track(start=(1.0, 2.0, 20.0))
    write_segments(tmp_path / "a.h5", made, MADE)
    with h5py.File(tmp_path / "a.h5") as file:
        dataset = file["segments"]
        np.testing.assert_array_equal(dataset["x_start"], made.start[:, 2])  # the drift coordinate
        np.testing.assert_array_equal(dataset["y_start"], made.start[:, 1])
        np.testing.assert_array_equal(dataset["z_end"], made.end[:, 0])
        assert dataset.attrs["frame"] == "edep-sim"
        assert dataset.attrs["unit_x_start"] == "cm" and dataset.attrs["unit_t0"] == "us"
        assert dataset.attrs["unit_dE"] == "MeV" and dataset.attrs["unit_dEdx"] == "MeV/cm"
        assert file.attrs["schema"] == 1
        assert read_provenance(file)["stage"] == "test"


def test_a_detector_that_drifts_along_z_needs_no_swap(tmp_path):
    along_z = MODULE0.model_copy(update={"drift_axis": "z"})
    made = straight_track(start=(1.0, 2.0, 20.0))
    write_segments(tmp_path / "a.h5", made, MADE, drift_axis="z")
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["segments"]["z_start"], made.start[:, 2])
    np.testing.assert_array_equal(read(tmp_path / "a.h5", along_z).segments.start, made.start)


def test_equal_content_gives_equal_bytes(tmp_path):
    flow = [CutStep("read", "all", 1, 2, 3, 4.5)]
    for name in ("a.h5", "b.h5"):
        write_segments(tmp_path / name, straight_track(), MADE, cut_flow=flow)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_cut_flow_comes_back(tmp_path):
    flow = [CutStep("read", "segments that pass the checks", 5, 7, 90, 0.1), CutStep("species", "tracks", 1, 2, 3, 1e4)]
    write_segments(tmp_path / "a.h5", straight_track(), MADE, cut_flow=flow)
    assert read_cut_flow(tmp_path / "a.h5") == flow
    write_segments(tmp_path / "b.h5", straight_track(), MADE)
    with pytest.raises(FileFormatError, match="no cut flow"):
        read_cut_flow(tmp_path / "b.h5")


def test_further_arrays_in_a_file_are_passed_over(tmp_path):
    """Selections once held a batch of every segment, of which nothing is read any more."""
    write_segments(tmp_path / "a.h5", straight_track(), MADE)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["batch"] = np.arange(7)
    found = read(tmp_path / "a.h5", MODULE0)
    assert found.warnings == () and len(found.segments) == 10
    assert examine_segments(tmp_path / "a.h5").faults == ()


def test_old_and_new_names_and_root_are_the_same_events(shared_data):
    old, new, root = (
        read(shared_data / f"edepsim_g4_20ev{end}", MODULE0).segments for end in ("_old.h5", "_new.h5", ".root")
    )
    assert len(new) == len(old) == len(root)
    for name in ("event_id", "traj_id", "pdg_id", "start", "end", "dE", "dEdx"):
        np.testing.assert_array_equal(getattr(old, name), getattr(new, name), err_msg=name)
        np.testing.assert_allclose(getattr(root, name), getattr(new, name), rtol=1e-6, err_msg=name)
    assert np.all(old.t0 == 0)
    # Since 2023 `t` is another time (here 0); that of the deposit is `t0`, some ns after the start of the event.
    assert np.all(new.t0 > 0) and np.median(new.t0) < 0.01
    # Drift along x in the file, along z here.
    assert np.abs(new.start[:, 2]).max() <= 30.5


def test_files_without_our_attributes_are_taken_as_edep_sim_frame(tmp_path, rows):
    write_rows(tmp_path / "foreign.h5", rows)
    np.testing.assert_array_equal(read(tmp_path / "foreign.h5").segments.start[:, 2], rows["x_start"])


def test_fields_are_found_by_name_in_any_order(tmp_path, rows):
    write_rows(tmp_path / "a.h5", rows)
    write_rows(tmp_path / "b.h5", rows[list(reversed(rows.dtype.names))])
    a, b = (read(tmp_path / name).segments for name in ("a.h5", "b.h5"))
    for name in a.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_numbering_that_old_files_lack_is_made_up(tmp_path, rows):
    write_rows(tmp_path / "a.h5", recfunctions.drop_fields(rows, ["vertex_id", "segment_id"]))
    found = read(tmp_path / "a.h5").segments
    assert found.vertex_id.tolist() == [0] * len(rows)
    assert found.segment_id.tolist() == list(range(len(rows)))


def test_missing_fields_are_listed(tmp_path, rows):
    write_rows(tmp_path / "a.h5", recfunctions.drop_fields(rows, ["z_end", "pdg_id", "t0"]))
    with pytest.raises(FileFormatError, match=r"a.h5: segments lack the fields pdg_id or pdgId, z_end, t0 or t\."):
        read(tmp_path / "a.h5")


def test_a_file_without_segments_says_what_is_there(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["trajectories"] = np.zeros(3)
        file["vertices"] = np.zeros(3)
    with pytest.raises(FileFormatError, match=r"no table `segments` in this file \(there is: trajectories, vertices\)"):
        read(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["segments"] = np.zeros((3, 4))
    with pytest.raises(FileFormatError, match="no table `segments`"):
        read(tmp_path / "b.h5")


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"frame": "simulation"}, "frame 'simulation'"),
        ({"unit_x_start": "mm"}, "x_start of segments is in mm, not in cm"),
    ],
)
def test_stated_frames_and_units_are_believed(tmp_path, rows, attributes, said):
    write_rows(tmp_path / "a.h5", rows, **attributes)
    with pytest.raises(FileFormatError, match=said):
        read(tmp_path / "a.h5")


def test_our_files_of_another_kind_or_version_are_refused(tmp_path):
    write_segments(tmp_path / "a.h5", straight_track(), MADE)
    for name, value, said in (("schema", 99, "layout version 99"), ("kind", "hits", "file of hits")):
        with h5py.File(tmp_path / "a.h5", "a") as file:
            before = file.attrs[name]
            file.attrs[name] = value
        with pytest.raises(FileFormatError, match=said):
            read(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file.attrs[name] = before
    assert len(read(tmp_path / "a.h5").segments) == 10


def test_real_numbers_are_not_taken_for_event_numbers(tmp_path, rows):
    types = [(n, "f4" if n == "event_id" else rows.dtype[n]) for n in rows.dtype.names]
    write_rows(tmp_path / "a.h5", rows.astype(types))
    with pytest.raises(FileFormatError, match="event_id of segments holds float32, not whole numbers"):
        read(tmp_path / "a.h5")


def test_bad_numbers_are_refused_with_file_and_row(tmp_path, rows):
    rows["dE"][6] = np.nan
    write_rows(tmp_path / "a.h5", rows)
    with pytest.raises(SegmentError, match=r"a.h5: dE is nan in row 6 "):
        read(tmp_path / "a.h5")
    write_rows(tmp_path / "b.h5", rows[:0])
    with pytest.raises(SegmentError, match=r"b.h5: there are no events"):
        read(tmp_path / "b.h5")


def test_what_is_no_file_of_segments_at_all(tmp_path):
    (tmp_path / "text.h5").write_text("event_id,x,y,z\n")
    (tmp_path / "empty.h5").touch()
    for name, said in (
        ("no.h5", "does not exist"),
        ("text.h5", "neither a ROOT nor an HDF5"),
        ("empty.h5", "is empty"),
    ):
        with pytest.raises(FileFormatError, match=said):
            read(tmp_path / name)
    with pytest.raises(FileFormatError, match="is a folder"):
        read(tmp_path)


def test_a_truncated_hdf5_file_is_refused(tmp_path):
    write_segments(tmp_path / "a.h5", random_tracks(2, 200), MADE)
    raw = (tmp_path / "a.h5").read_bytes()
    for size in (9, 100, len(raw) // 2, len(raw) - 1):
        (tmp_path / "a.h5").write_bytes(raw[:size])
        with pytest.raises(FileFormatError, match="truncated"):
            read(tmp_path / "a.h5")
