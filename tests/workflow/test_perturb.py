"""A scenario with mistakes in it: what is made, and what is made again when they change."""

import json

import pytest
import yaml

from .conftest import TINY, Workflow

FOLDER = "results/closure/generated"
MISTAKES = {
    "perturb": [{"kind": "shift_tracks", "low_cm": 0.0, "high_cm": 0.1}, {"kind": "smear_dedx", "sigma": 0.02}],
    "contaminate": {"sample": "other", "fraction": 0.5, "wanted": 13, "species": 211},
}


def config_in(folder, **scenario):
    """The tiny configuration with a scenario."""
    content = yaml.safe_load(TINY.read_text()) | {"samples": {"other": {"file": str(folder / "pions.h5")}}}
    # Of a handful of tracks the cuts on the distance to an anode could leave none.
    content["select"] |= {"track_anode_margin_cm": None, "max_anode_distance_cm": None, "max_total_length_cm": 300.0}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content | {"scenarios": {"closure": scenario}}))
    return path


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory, whole_run):
    """A whole run with both kinds of mistake; the pions are the muons of the whole run, called otherwise."""
    import h5py

    folder = tmp_path_factory.mktemp("mistaken")
    (folder / "pions.h5").write_bytes((whole_run.folder / FOLDER / "segments.h5").read_bytes())
    with h5py.File(folder / "pions.h5", "a") as file:
        rows = file["segments"][()]
        rows["pdg_id"] = 211
        file["segments"][...] = rows
    workflow = Workflow(folder)
    done = workflow(config=config_in(folder, **MISTAKES))
    assert done.returncode == 0, done.stdout
    return workflow


def test_input_and_contaminated_files_are_made_and_named_on_the_page(mistaken):
    for name in ("contaminated.h5", "selected.h5", "input.h5", "report.html"):
        assert (mistaken.folder / FOLDER / name).is_file()
    assert (mistaken.folder / "results/closure/other/segments.h5").is_file()
    page = (mistaken.folder / FOLDER / "report.html").read_text()
    assert "segments of the fit perturbed: shift_tracks (along drift" in page
    assert "then smear_dedx (" in page
    assert "made from other segments" not in page


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, set()),
        ({"perturb": [{"kind": "smear_dedx", "sigma": 0.03}]}, {"perturb", "fit", "report"}),
        (
            {"contaminate": {**MISTAKES["contaminate"], "seed": 2}},
            {"contaminate", "select", "simulate", "perturb", "fit", "report"},
        ),
        ({"perturb": []}, {"fit", "report"}),
    ],
)
def test_a_changed_mistake_reruns_what_depends_on_it(mistaken, change, again):
    config = config_in(mistaken.folder, **(MISTAKES | change))
    assert mistaken.jobs(config=config) == (again | {"record"} if again else set())


def test_without_mistakes_nothing_is_made_again(whole_run, tmp_path):
    given = json.dumps({"closure": {"perturb": [], "contaminate": None}})
    assert whole_run.jobs("--config", f"scenarios={given}") == set()


@pytest.mark.parametrize(
    ("scenario", "sentence"),
    [
        (
            {"perturb": [{"kind": "shift", "x_cm": 1000}]},
            "scenarios.closure.perturb[0].x_cm: a shift by 1000 cm is larger",
        ),
        ({"perturb": [{"kind": "twist"}]}, "scenarios.closure.perturb[0].kind: there is no 'twist'"),
        ({"contaminate": {"sample": "other"}}, "samples.other.file: there is no file"),
    ],
)
def test_a_wrong_mistake_ends_in_one_sentence_before_anything_runs(tmp_path, scenario, sentence):
    done = Workflow(tmp_path)(config=config_in(tmp_path, **scenario))
    assert done.returncode == 1
    assert sentence in done.stdout.split("WorkflowError:\n")[1]
    assert not (tmp_path / "results").exists()
