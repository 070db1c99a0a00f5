"""`gradcal select`."""

import json

import h5py
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks
from pipeline.storage.detector import load_geometry
from pipeline.storage.provenance import Provenance, read_provenance
from pipeline.storage.segments import read_cut_flow, read_segments, write_segments

from ..tracks import random_tracks

MADE = Provenance("test", {}, {}, "0")


@pytest.fixture
def sample(tmp_path):
    path = tmp_path / "sample.h5"
    write_segments(path, random_tracks(11, 200), MADE)
    return path


def select(source, target, **settings):
    return run(["select", "--config-json", json.dumps(settings), str(source), str(target)])


def test_selection_is_written_with_its_cut_flow(tmp_path, sample, capsys):
    target = tmp_path / "selected.h5"
    assert select(sample, target, select={"max_total_length_cm": 150.0}) == 0
    found = read_segments(target, checks=Checks(), geometry=load_geometry("module0"))
    assert found.warnings == ()
    flow = read_cut_flow(target)
    assert flow[0].name == "read" and flow[-1].segments == len(found.segments)
    table = capsys.readouterr().out.splitlines()
    assert len(table) == len(flow) + 1
    for line, step in zip(table[1:], flow, strict=True):
        assert line.startswith(step.description)
        assert line.split()[-4:] == [str(step.events), str(step.tracks), str(step.segments), f"{step.length_cm:.1f}"]


def test_the_file_depends_only_on_what_the_stage_uses(tmp_path, sample):
    a, b, c = (tmp_path / f"{name}.h5" for name in "abc")
    assert select(sample, a) == 0
    # Where the sample lies and how it will be simulated are of no concern here.
    assert select(sample, b, sample={"file": "elsewhere.root"}, simulate={"threads": 1}, targets={"drawn": 5}) == 0
    assert a.read_bytes() == b.read_bytes()
    assert select(sample, c, seed=2) == 0
    assert a.read_bytes() != c.read_bytes()
    with h5py.File(a) as file:
        provenance = read_provenance(file)
    assert set(provenance["config"]) == {"seed", "sample", "checks", "select", "detector"}
    assert set(provenance["inputs"]) == {"segments", "detector"}


def test_drops_are_said_aloud(tmp_path, sample, capsys):
    assert select(sample, tmp_path / "out.h5") == 0
    outside = sum("outside the active volume" in line for line in capsys.readouterr().err.splitlines())
    read = read_segments(sample, checks=Checks(), geometry=load_geometry("module0"))
    assert outside == len(read.warnings)


def test_a_selection_of_nothing_is_one_sentence_and_leaves_nothing(tmp_path, sample, capsys):
    assert select(sample, tmp_path / "out.h5", select={"species": [11]}) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("gradcal select: ") and "select.species" in said
    assert {path.name for path in tmp_path.iterdir()} == {"sample.h5"}


def test_an_unknown_detector_in_the_file_or_the_settings_is_named(tmp_path, shared_data, capsys):
    source = shared_data / "edepsim_g4_20ev.root"
    assert select(source, tmp_path / "out.h5", sample={"sensitive_detectors": ["volTPCactive"]}) == 2
    assert "did you mean 'volTPCActive'" in capsys.readouterr().err
    assert select(source, tmp_path / "out.h5", detector={"file": "modul0"}) == 2
    assert "did you mean 'module0'" in capsys.readouterr().err
