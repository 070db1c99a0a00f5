"""The figures of the paper as one run of the workflow: several samples, methods and studies."""

import json
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from workflow.run import paper_data

from .conftest import Workflow

TINY_PAPER = Path(__file__).with_name("tiny_paper.yaml")
FOLDER = Path("results/paper")


@pytest.fixture(scope="module")
def paper_run(tmp_path_factory):
    """A run of the rule that `make paper` asks for, which has succeeded."""
    workflow = Workflow(tmp_path_factory.mktemp("paper run"))
    done = workflow("--", "paper_all", config=TINY_PAPER)
    assert done.returncode == 0, done.stdout
    return workflow


def test_every_sample_study_and_fit_is_made(paper_run):
    folder = paper_run.folder / FOLDER
    for sample in ("one", "two"):
        assert (folder / sample / "report.html").stat().st_size
        for method in ("adam", "gauss_newton"):
            fit = json.loads((folder / sample / "target_1" / method / "fit.json").read_text())
            assert fit["iterations"] == (4 if method == "adam" else 3)
        assert json.loads((folder / sample / "studies/track_lengths.json").read_text())["sample"] == sample
    assert (folder / "studies/relaxations.json").stat().st_size
    assert not list(folder.rglob("scaling.json")), "only the studies of the scenario run"
    assert "Table I" in (folder / "paper/paper.html").read_text()


def test_the_same_run_again_does_nothing(paper_run):
    done = paper_run("--", "paper_all", config=TINY_PAPER)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("methods={adam: {max_iterations: 5}}", {"fit", "report", "record", "paper"}),
        ("readout={integer_adc: true}", {"simulate", "fit", "report", "record", "paper"}),
    ],
)
def test_what_a_setting_changes_is_made_again_and_no_more(paper_run, changed, again):
    assert paper_run.jobs("--config", changed, "--", "paper_all", config=TINY_PAPER) - {"paper_all"} == again


def test_an_unknown_study_is_refused_before_any_work(tmp_path):
    wrong = "scenarios={paper: {studies: [basins]}}"
    done = Workflow(tmp_path)("--config", wrong, "--", "paper_all", config=TINY_PAPER)
    assert done.returncode == 1
    assert "scenarios.paper.studies: there is no study 'basins'; did you mean" in done.stdout
    assert "Traceback" not in done.stdout


def test_make_paper_takes_the_data_that_are_there(tmp_path, monkeypatch):
    monkeypatch.delenv("GRADCAL_DATA", raising=False)
    (tmp_path / "edepsim_mixed_100ev.h5").touch()
    found = paper_data(tmp_path.name, tmp_path.parent)
    assert found == {
        "samples": {"mixed": {"file": str(tmp_path / "edepsim_mixed_100ev.h5")}},
        "scenarios": {"paper": {"samples": ["mixed"]}},
    }
    (tmp_path / "published_fits.csv").touch()
    assert paper_data(str(tmp_path), tmp_path)["paper"] == {"published": str(tmp_path / "published_fits.csv")}


def test_make_paper_refuses_a_folder_without_any(tmp_path):
    with pytest.raises(ConfigError, match=r"none of g4_muon_1gev_100ev\.h5, .* is there; name the folder"):
        paper_data(str(tmp_path), tmp_path)


def test_the_published_table_alone_goes_with_the_particle_gun(tmp_path, capsys):
    (tmp_path / "published_fits.csv").touch()
    assert paper_data(str(tmp_path), tmp_path) == {"paper": {"published": str(tmp_path / "published_fits.csv")}}
    assert "generated muons" in capsys.readouterr().err
