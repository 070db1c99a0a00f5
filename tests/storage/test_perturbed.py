"""Files of perturbed segments: the truth and the record beside what the fit gets."""

import h5py
import numpy as np
import pytest

from pipeline.config.models import Checks
from pipeline.errors import FileFormatError
from pipeline.perturb.apply import perturb
from pipeline.perturb.resegment import Resegment
from pipeline.perturb.shift_tracks import ShiftTracks
from pipeline.storage.detector import load_geometry
from pipeline.storage.perturbed import Truth, read_perturbations, read_truth, write_perturbed
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import read_segments, write_segments

from ..tracks import random_tracks, straight_track

MADE = Provenance("test", {}, {}, "0")
MODULE0 = load_geometry("module0")
STEPS = (ShiftTracks(low_cm=0.0, high_cm=0.3), Resegment(length_cm=0.3))


def written(path, true_pdg_id=None):
    truth = random_tracks(4, 20)
    result = perturb(truth, STEPS, MODULE0, where="a", key="b")
    write_perturbed(path, result.segments, Truth(truth, true_pdg_id), result.steps, MADE)
    return truth, result


def test_truth_and_record_come_back(tmp_path):
    true = np.arange(len(random_tracks(4, 20)))
    truth, result = written(tmp_path / "a.h5", true)
    back = read_truth(tmp_path / "a.h5")
    for name in truth.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(back.segments, name), getattr(truth, name), err_msg=name)
    np.testing.assert_array_equal(back.true_pdg_id, true)
    assert read_perturbations(tmp_path / "a.h5") == [step.model_dump(mode="json") for step in STEPS]
    found = read_segments(tmp_path / "a.h5", checks=Checks(), geometry=None)
    np.testing.assert_array_equal(found.segments.start, result.segments.start)
    assert found.true_pdg_id is None
    with h5py.File(tmp_path / "a.h5") as file:
        drawn = file["perturbations/000/drawn"]
        np.testing.assert_array_equal(drawn["shift"], result.steps[0].drawn.values["shift"])
        assert drawn.attrs["unit_shift"] == "cm" and set(drawn.dtype.names) == {"event_id", "traj_id", "shift"}
        assert "drawn" not in file["perturbations/001"]


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        written(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_other_files_have_no_truth_and_no_perturbations(tmp_path):
    write_segments(tmp_path / "a.h5", straight_track(), MADE)
    assert read_perturbations(tmp_path / "a.h5") == []
    with pytest.raises(FileFormatError, match="has no truth beside its segments"):
        read_truth(tmp_path / "a.h5")


@pytest.mark.parametrize("damage", ["{", "3", "{}"])
def test_a_damaged_record_is_refused(tmp_path, damage):
    written(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["perturbations/001"].attrs["settings"] = damage
    with pytest.raises(FileFormatError, match="record of its perturbations is damaged"):
        read_perturbations(tmp_path / "a.h5")


def test_true_species_are_cut_with_their_rows(tmp_path):
    made = straight_track(start=(24.0, 0, 20), segments=10)
    write_segments(tmp_path / "a.h5", made, MADE, true_pdg_id=np.arange(10))
    found = read_segments(tmp_path / "a.h5", checks=Checks(), geometry=MODULE0)
    np.testing.assert_array_equal(found.true_pdg_id, found.segments.segment_id)
    assert len(found.segments) == 7  # centres up to 30.5 cm, of an edge at 31.039
    write_segments(tmp_path / "b.h5", made, MADE)
    assert read_segments(tmp_path / "b.h5", checks=Checks(), geometry=MODULE0).true_pdg_id is None
