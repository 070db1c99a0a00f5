"""`gradcal paper` and `gradcal study`: what they take and refuse."""

import json
import shutil

import pytest

from pipeline.cli.main import run
from pipeline.storage.fit import write_fit
from pipeline.storage.provenance import Provenance
from tests.report.paper_samples import track_lengths, write_published
from tests.report.samples import fit_result


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "tracks.json").write_text(json.dumps(track_lengths("muons", {"muons": 10.0})))
    write_published(tmp_path / "published.csv", {"muon_1GeV": 1})
    fit = tmp_path / "muons" / "target_1" / "gauss_newton" / "fit.h5"
    write_fit(fit, fit_result(), Provenance("fit", {}, {}, ""))
    fit.with_suffix(".timing.json").write_text('{"seconds": 12.0, "peak_memory_mib": 300.0}')
    return tmp_path


def paper(inputs, *more):
    fit = inputs / "muons" / "target_1" / "gauss_newton" / "fit.h5"
    return run(["paper", "--studies", str(inputs / "tracks.json"), "--fits", str(fit), *more, str(inputs / "out")])


def test_figures_tables_and_page_are_written(inputs, capsys):
    assert paper(inputs, "--published", str(inputs / "published.csv")) == 0
    names = {path.name for path in (inputs / "out").iterdir()}
    assert {"fig13.png", "fig15.svg", "fig17.png", "table1.csv", "fits.md", "paper.html"} <= names
    assert ",6,12,2," in (inputs / "out" / "fits.csv").read_text()
    assert "paper.html: open it in a browser" in capsys.readouterr().err


def test_the_configuration_names_the_published_fits(inputs, capsys):
    config = json.dumps({"paper": {"published": str(inputs / "published.csv")}})
    assert paper(inputs, "--config-json", config) == 0
    assert "1 published fit of muons of 1 GeV" in (inputs / "out" / "paper.html").read_text()
    assert paper(inputs, "--config", str(inputs / "nowhere.yaml")) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


def test_a_fit_of_a_sample_of_unknown_kind_is_refused(inputs, capsys):
    shutil.copytree(inputs / "muons", inputs / "others")
    fit = inputs / "others" / "target_1" / "gauss_newton" / "fit.h5"
    assert run(["paper", "--studies", str(inputs / "tracks.json"), "--fits", str(fit), "--", str(inputs / "out")]) == 2
    assert "the study track_lengths of the sample others tells which figure it belongs to" in capsys.readouterr().err
    assert not (inputs / "out" / "paper.html").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"study": 3}', "\ufeff"])
def test_a_study_that_is_none_is_refused(inputs, text, capsys):
    (inputs / "tracks.json").write_text(text, encoding="utf-8")
    assert paper(inputs, "--published", str(inputs / "published.csv")) == 2
    error = capsys.readouterr().err
    assert "tracks.json: this is no result of `gradcal study`" in error and error.count("\n") == 1


def test_an_input_is_not_replaced(inputs, capsys):
    (inputs / "out").mkdir()
    (inputs / "out" / "table1.csv").write_bytes((inputs / "published.csv").read_bytes())
    before = (inputs / "out" / "table1.csv").read_bytes()
    assert paper(inputs, "--published", str(inputs / "out" / "table1.csv")) == 2
    assert "is an input of this command" in capsys.readouterr().err
    assert (inputs / "out" / "table1.csv").read_bytes() == before
    assert not (inputs / "out" / "fig13.png").exists()


def test_a_study_needs_the_segments_that_it_works_on(capsys):
    assert run(["study", "scaling", "--config-json", "{}"]) == 2
    assert "the study scaling needs segments; name their file by --segments" in capsys.readouterr().err


def test_a_study_says_which_it_is_and_of_which_sample(tmp_path, capsys):
    from pipeline.storage.segments import write_segments
    from tests.tracks import random_tracks

    path = tmp_path / "my_muons" / "segments.h5"
    write_segments(path, random_tracks(3, 60), Provenance("test", {}, {}, ""))
    output = tmp_path / "out.json"
    words = ["study", "track_lengths", "--config-json", "{}", "--segments", str(path), "--output", str(output)]
    assert run(words) == 0
    content = json.loads(output.read_text())
    assert (content["study"], content["sample"]) == ("track_lengths", "my_muons")
    assert "protons" in capsys.readouterr().out


def test_a_sample_cannot_name_a_file_elsewhere(inputs, capsys):
    study = json.loads((inputs / "tracks.json").read_text()) | {"sample": "../../elsewhere"}
    (inputs / "tracks.json").write_text(json.dumps(study))
    assert paper(inputs, "--") == 2
    assert "tracks.json: '../../elsewhere' cannot be the name of a sample" in capsys.readouterr().err
