"""`gradcal contaminate`, and what becomes of the true species after it."""

import json

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks
from pipeline.storage.perturbed import read_truth
from pipeline.storage.provenance import Provenance, read_provenance
from pipeline.storage.segments import read_segments, write_segments

from ..tracks import random_tracks

MADE = Provenance("test", {}, {}, "0")


@pytest.fixture
def files(tmp_path):
    for name, seed in (("muons", 1), ("pions", 2)):
        write_segments(tmp_path / f"{name}.h5", random_tracks(seed, 120), MADE)
    return [str(tmp_path / f"{name}.h5") for name in ("muons", "pions")]


def contaminate(files, target, samples=None, **settings):
    entry = {"sample": "pions", "fraction": 0.3, **settings}
    content = {
        "samples": {"pions": {}} if samples is None else samples,
        "scenarios": {"closure": {"contaminate": entry}},
    }
    return run(["contaminate", "--config-json", json.dumps(content), *files, str(target)])


def numbers(segments):
    """What tells deposits apart."""
    return list(zip(segments.event_id.tolist(), segments.traj_id.tolist(), segments.segment_id.tolist(), strict=True))


def test_the_truth_follows_through_selection_and_perturbation(tmp_path, files, capsys):
    target, selected, perturbed = (tmp_path / f"{name}.h5" for name in ("contaminated", "selected", "input"))
    assert contaminate(files, target) == 0
    assert "are in truth of 211" in capsys.readouterr().err
    found = read_segments(target, checks=Checks(), geometry=None)
    wrong = found.true_pdg_id != found.segments.pdg_id
    assert wrong.any() and np.all(found.segments.pdg_id[wrong] == 13) and np.all(found.true_pdg_id[wrong] == 211)
    assert run(["select", "--config-json", json.dumps({"select": {"species": [13]}}), str(target), str(selected)]) == 0
    kept = read_segments(selected, checks=Checks(), geometry=None)
    truth = dict(zip(numbers(found.segments), found.true_pdg_id, strict=True))
    np.testing.assert_array_equal(kept.true_pdg_id, [truth[number] for number in numbers(kept.segments)])
    assert (kept.true_pdg_id == 211).any()
    steps = json.dumps({"scenarios": {"closure": {"perturb": [{"kind": "resegment", "length_cm": 0.2}]}}})
    assert run(["perturb", "--config-json", steps, str(selected), str(perturbed)]) == 0
    np.testing.assert_array_equal(read_truth(perturbed).true_pdg_id, kept.true_pdg_id)


def test_the_file_depends_on_settings_and_files_alone(tmp_path, files):
    a, b, c = (tmp_path / f"{name}.h5" for name in "abc")
    assert contaminate(files, a) == 0
    assert contaminate(files, b, samples={"pions": {"file": "elsewhere.h5"}, "more": {}}) == 0
    assert contaminate(files, c, seed=2) == 0
    assert a.read_bytes() == b.read_bytes() != c.read_bytes()
    with h5py.File(a) as file:
        assert set(read_provenance(file)["inputs"]) == {"segments", "other"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"species": 321}, "tracks of PDG code 321 are needed and 0 are there"),
        ({"fraction": 0}, "scenarios.closure.contaminate.fraction must be above 0, not 0"),
        ({"fraction": 1.5}, "scenarios.closure.contaminate.fraction must be at most 1, not 1.5"),
        ({"wanted": 211}, "species and wanted are both 211"),
        ({"sample": "poins"}, "scenarios.closure.contaminate.sample: no sample 'poins' under samples"),
        ({"fractoin": 1}, "did you mean scenarios.closure.contaminate.fraction?"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_nothing(tmp_path, files, capsys, settings, said):
    assert contaminate(files, tmp_path / "out.h5", **settings) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("gradcal contaminate: ") and said in lines[-1]
    assert not (tmp_path / "out.h5").exists()


def test_without_settings_there_is_nothing_to_do(tmp_path, files, capsys):
    assert run(["contaminate", "--config-json", "{}", *files, str(tmp_path / "out.h5")]) == 2
    assert "scenarios.closure.contaminate: there is no contamination" in capsys.readouterr().err
