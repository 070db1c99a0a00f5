"""`gradcal perturb`."""

import json

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks
from pipeline.storage.perturbed import read_perturbations, read_truth
from pipeline.storage.provenance import Provenance, read_provenance
from pipeline.storage.segments import read_cut_flow, read_segments, write_segments

from ..tracks import random_tracks

SMEAR = {"kind": "smear_dedx", "sigma": 0.1}


@pytest.fixture
def selected(tmp_path):
    write_segments(tmp_path / "sample.h5", random_tracks(11, 100), Provenance("test", {}, {}, "0"))
    assert run(["select", "--config-json", "{}", str(tmp_path / "sample.h5"), str(tmp_path / "selected.h5")]) == 0
    return tmp_path / "selected.h5"


def perturb(source, target, *steps, scenario="closure", **settings):
    content = {"scenario": scenario, "scenarios": {scenario: {"perturb": steps}}, **settings}
    return run(["perturb", "--config-json", json.dumps(content), str(source), str(target)])


def test_truth_record_and_cut_flow_stand_beside(tmp_path, selected, capsys):
    target = tmp_path / "input.h5"
    assert perturb(selected, target, SMEAR, {"kind": "merge_segments", "count": 2}) == 0
    said = capsys.readouterr().err
    assert "smear_dedx: done." in said and "merge_segments: " in said
    truth = read_segments(selected, checks=Checks(), geometry=None).segments
    np.testing.assert_array_equal(read_truth(target).segments.dE, truth.dE)
    assert [step["kind"] for step in read_perturbations(target)] == ["smear_dedx", "merge_segments"]
    assert read_cut_flow(target) == read_cut_flow(selected)
    with h5py.File(target) as file:
        provenance = read_provenance(file)
    assert provenance["stage"] == "perturb" and set(provenance["inputs"]) == {"segments", "detector"}
    assert set(provenance["config"]) == {"perturb", "sample", "checks", "detector"}


def test_the_file_depends_only_on_what_the_stage_uses(tmp_path, selected):
    a, b, c = (tmp_path / f"{name}.h5" for name in "abc")
    assert perturb(selected, a, SMEAR) == 0
    assert perturb(selected, b, SMEAR, scenario="a.name", seed=7, simulate={"threads": 1}) == 0
    assert a.read_bytes() == b.read_bytes()
    assert perturb(selected, c, SMEAR | {"seed": 2}) == 0
    assert a.read_bytes() != c.read_bytes()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ((), "scenarios.closure.perturb: there is no perturbation"),
        (({"kind": "shift", "x_cm": 500},), "scenarios.closure.perturb[0].x_cm: a shift by 500 cm is larger"),
        (({"kind": "smear"},), "there is no 'smear'; did you mean 'smear_dedx'? There are shift, "),
        ((SMEAR | {"sigm": 1},), "did you mean scenarios.closure.perturb[0].sigma?"),
        ((SMEAR, SMEAR), "entries 0 and 1 are both smear_dedx with seed 1"),
        (({"kind": "drop_segments", "shorter_than_cm": 99},), "(drop_segments) leaves no deposit"),
        (({"kind": "resegment", "length_cm": 1e-9},), "scenarios.closure.perturb[0].length_cm: 1e-09 cm makes"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(tmp_path, selected, capsys, steps, said):
    capsys.readouterr()
    assert perturb(selected, tmp_path / "out.h5", *steps) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("gradcal perturb: ") and said in lines[-1]
    assert not (tmp_path / "out.h5").exists()


def test_a_shift_that_pushes_deposits_out_is_said_here_and_where_they_are_dropped(tmp_path, selected, capsys):
    target = tmp_path / "input.h5"
    assert perturb(selected, target, {"kind": "shift", "x_cm": 20.0}) == 0
    assert "left the active volume" in capsys.readouterr().err
    assert run(["select", "--config-json", "{}", str(target), str(tmp_path / "again.h5")]) == 0
    assert "outside the active volume" in capsys.readouterr().err
