"""`gradcal convert`."""

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks
from pipeline.storage.provenance import file_hash, read_provenance
from pipeline.storage.segments import read_segments


def test_root_and_its_conversion_hold_the_same_segments(tmp_path, shared_data, capsys):
    source, target = shared_data / "edepsim_real_objectwise_5ev.root", tmp_path / "real.h5"
    assert run(["convert", str(source), str(target)]) == 0
    direct, converted = (read_segments(p, checks=Checks(), geometry=None).segments for p in (source, target))
    assert len(converted) == 4302
    for name in direct.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(converted, name), getattr(direct, name), err_msg=name)
    with h5py.File(target) as file:
        provenance = read_provenance(file)
    assert provenance["stage"] == "convert" and provenance["inputs"] == {"segments": file_hash(source)}
    assert "reading all sensitive detectors: ArgonCube" in capsys.readouterr().err


def test_detectors_and_event_numbers_are_options(tmp_path, shared_data, capsys):
    source, target = shared_data / "wtest.root", tmp_path / "w.h5"
    options = ["--sensitive-detector", "volOther", "--sensitive-detector", "volThird", "--event-number", "entry"]
    assert run(["convert", str(source), str(target), *options]) == 0
    assert "all sensitive detectors" not in capsys.readouterr().err
    with h5py.File(target) as file:
        assert read_provenance(file)["config"]["sample"] == {
            "event_number": "entry",
            "sensitive_detectors": ["volOther", "volThird"],
        }


def test_converting_twice_changes_nothing(tmp_path, shared_data):
    once, twice = tmp_path / "once.h5", tmp_path / "twice.h5"
    assert run(["convert", str(shared_data / "edepsim_g4_20ev_old.h5"), str(once)]) == 0
    assert run(["convert", str(once), str(twice)]) == 0
    with h5py.File(once) as a, h5py.File(twice) as b:
        np.testing.assert_array_equal(a["segments"][:], b["segments"][:])


@pytest.mark.parametrize("made", ["missing", "text", "folder"])
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, capsys, made):
    source = tmp_path / "in.root"
    if made == "text":
        source.write_text("not a file of segments")
    if made == "folder":
        source.mkdir()
    assert run(["convert", str(source), str(tmp_path / "out.h5")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"gradcal convert: {source}") and said.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"in.root"}
