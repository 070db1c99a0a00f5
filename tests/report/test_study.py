"""Figures of single studies: the same bytes each time, with captions and tables that read back."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.studies import Interdependence, Landscape, RecombinationLines, Sensitivity, Taylor
from pipeline.errors import ConfigError, FileFormatError
from pipeline.report.page import Sample, Study, render_page
from pipeline.report.studies import landscape
from pipeline.report.study import drawing, files
from pipeline.storage.studies import DrawnStudy, read_drawn_study
from pipeline.study.registry import STUDIES
from pipeline.tables import Floats

from .samples import CUT_FLOW, some_fits, straight_tracks
from .test_page import GEOMETRY, HOSTILE, Reader

MAP = {
    "method": "gauss_newton", "objective": "matched_residuals", "optimiser": "levenberg_marquardt", "noise": False,
    "likelihood": False, "pair": ["electric_field", "electron_lifetime"], "x": [0.49, 0.5, 0.51],
    "y": [2000.0, 2200.0, 2400.0], "costs": [[2.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, None]],
    "gradients": [[[-1.0, -1.0], [0.0, -1.0], [1.0, -1.0]]] * 2 + [[[-1.0, 1.0], [0.0, 1.0], None]],
    "minimum": {"values": [0.5, 2200.0], "cost": 0.0}, "truth": [0.5, 2200.0], "cost_at_truth": 0.0,
    "paths": [{"values": [[0.49, 2100.0], [0.5, 2200.0]], "converged": True, "status": "", "iterations": 1}],
}  # fmt: skip
SIZE = {
    "truth": {"birks_ab": 0.8, "birks_kb": 0.0486, "electric_field": 0.5},
    "length_cm": 50.0,
    "tracks": 2,
    "events": 1,
}
PAIR = ("birks_ab", "electric_field")


def settings(section: Any) -> dict[str, Any]:
    return section.model_dump(mode="json")  # type: ignore[no-any-return]


def held(name: str | None, sigmas: bool) -> dict[str, Any]:
    errors = {other: 0.02 for other in PAIR if other != name}
    return {
        "held": name, "error_of_held": None if name is None else 0.01, "errors": errors, "converged": name is None,
        "sigmas": dict.fromkeys(errors, 0.005) if sigmas else {}, "status": "",
    }  # fmt: skip


def results(likelihood: bool = False) -> dict[str, dict[str, Any]]:
    """A small result of every study that has a figure."""
    covariance = [[4e-4, 3e-4, 0.0], [3e-4, 4e-3, 0.0], [0.0, 0.0, 1e-6]]
    group = {
        "name": "all tracks", "length_cm": 50.0, "tracks": 2,
        "linked": [0.02, 0.06, 1e-3], "unlinked": [0.02, 0.06, 0.01],
        "correlation": 0.4, "covariance": {"linked": covariance, "unlinked": covariance},
        "free_velocity": {"share": 1e-15, "direction": {"birks_kb": 1.0, "electric_field": 1.0, "birks_ab": 0.0}},
    }  # fmt: skip
    unknown = group | {
        "name": "protons", "linked": None, "unlinked": None, "correlation": None,
        "covariance": {"linked": None, "unlinked": None},
    }  # fmt: skip
    minima = {"plain": [0.0], "noisy": [0.001, -0.002], "whole_plain": [0.0], "whole_noisy": [0.001, None]}
    curves = [
        {
            "method": "gauss_newton", "objective": "matched_residuals", "parameter": name, "truth": 0.5,
            "values": [0.4, 0.5, 0.6], "costs": {"plain": [[1.0, 0.0, 1.0]], "noisy": [[1.0, 0.2, None]] * 2},
            "minima": minima,
        }
        for name in PAIR
    ]  # fmt: skip
    step = {"charge": 0.1, "time": 0.2, "cost": 3.0, "predicted_cost": 2.9, "matched": 1.0}
    steps = [{"step": s, **{k: v * abs(s) for k, v in step.items()}} for s in (-0.02, -0.01, 0.01, 0.02)]
    reach = {"charge": [0.01, None], "time": [0.005, 0.02]}
    return {
        "landscape": {
            **SIZE, "settings": settings(Landscape(pairs=(("electric_field", "electron_lifetime"),))),
            "maps": [MAP | {"likelihood": likelihood, "noise": likelihood}],
        },
        "interdependence": {
            **SIZE, "settings": settings(Interdependence(parameters=PAIR)), "noise": likelihood,
            "fits": [held(name, likelihood) for name in (None, *PAIR)],
        },
        "recombination_lines": {
            **SIZE, "settings": settings(RecombinationLines()), "groups": [unknown, group],
            "lines": [{"dedx": x, "birks_kb": [0.04, 0.06], "birks_ab": [0.7, 0.7 + x / 100]} for x in (2.0, 9.0)],
        },
        "sensitivity": {
            **SIZE, "settings": settings(Sensitivity(parameters=PAIR, methods=("gauss_newton",))),
            "batches": [50.0], "curves": curves,
        },
        "taylor": {
            **SIZE, "settings": settings(Taylor(parameters=PAIR)), "hits": 90,
            "parameters": [{"name": name, "truth": 0.5, "steps": steps, "reach": reach} for name in PAIR],
        },
    }  # fmt: skip


def labelled(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"study": name, "sample": "muons", **json.loads(json.dumps(result))}


MINE = sorted(results())


@pytest.mark.parametrize("likelihood", [False, True])
@pytest.mark.parametrize("name", MINE)
def test_equal_results_give_equal_bytes(name: str, likelihood: bool) -> None:
    result = labelled(name, results(likelihood)[name])
    made = files(result, name)
    assert made == files(result, name)
    assert set(made) == {".svg", ".csv", ".md"}
    assert b"dc:date" not in made[".svg"]


@pytest.mark.parametrize("name", MINE)
def test_rows_are_as_long_as_the_head_and_say_what_was_found(name: str) -> None:
    drawn, table = drawing(labelled(name, results(True)[name]))
    assert table.rows
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert "\n" not in drawn.caption and drawn.caption.endswith(".")


def test_contours_are_drawn_for_likelihoods_only() -> None:
    plain, likely = (drawing(labelled("landscape", results(kind)["landscape"]))[0].caption for kind in (False, True))
    assert "standard deviations" not in plain
    assert "exceeds its lowest value by 1.15, 3.09, 5.91" in likely


def test_narrow_regions_are_found_between_the_points_of_a_map() -> None:
    x, y = np.linspace(-1, 1, 6), np.linspace(-2, 2, 7)

    def bowl(u: Floats, v: Floats) -> Floats:
        return np.asarray(40 * (u - v / 2) ** 2 + (u - 0.1) ** 2)

    fine_x, fine_y, between = landscape._between(x, y, bowl(*np.meshgrid(x, y)))
    exact = bowl(*np.meshgrid(fine_x, fine_y))
    np.testing.assert_allclose(between, exact - exact.min(), atol=1e-10)


def test_biases_stand_in_standard_uncertainties_where_these_are_known() -> None:
    _, table = drawing(labelled("interdependence", results(True)["interdependence"]))
    assert table.rows[1][2] == "+2.00 (+4.0 σ)"


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A figure as the command draws it."""
    source, output = tmp_path / "taylor.json", tmp_path / "out" / "taylor.svg"
    source.write_text(json.dumps(labelled("taylor", results()["taylor"])))
    assert run(["draw", str(source), str(output)]) == 0
    return output


def test_the_command_writes_what_the_page_reads(drawn: Path) -> None:
    read = read_drawn_study(drawn)
    expected, table = drawing(labelled("taylor", results()["taylor"]))
    assert (read.name, read.title, read.caption) == ("taylor", expected.title, expected.caption)
    assert [list(row) for row in read.rows] == [list(row) for row in table.rows]
    assert "![" in drawn.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("study", "output", "words"),
    [
        (labelled("taylor", results()["taylor"]), "out.png", "ends in .svg"),
        ({"study": "basin", "sample": None}, "out.svg", "basin has no figure of its own"),
        ({"study": "nonsense", "sample": None}, "out.svg", "nonsense has no figure of its own"),
        ({"study": "taylor", "sample": None, "hits": 3}, "out.svg", "is not as this version writes it (KeyError"),
        ([], "out.svg", "this is no result of `gradcal study`"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    study: object, output: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.json").write_text(json.dumps(study))
    assert run(["draw", str(tmp_path / "study.json"), str(tmp_path / output)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]


@pytest.mark.parametrize("broken", ["svg", "md", "csv"])
def test_a_page_refuses_a_figure_that_is_not_whole(drawn: Path, broken: str) -> None:
    drawn.with_suffix(f".{broken}").unlink()
    with pytest.raises(FileFormatError, match="is not what `gradcal draw` writes"):
        read_drawn_study(drawn)


def test_a_page_refuses_other_pictures(drawn: Path) -> None:
    drawn.write_text("a picture")
    with pytest.raises(FileFormatError, match="no figure of `gradcal draw`"):
        read_drawn_study(drawn)


def test_the_page_shows_figure_caption_and_table(drawn: Path) -> None:
    read = read_drawn_study(drawn)
    page = render_page(
        "A calibration", Sample(straight_tracks(), CUT_FLOW, (), {}), some_fits(), GEOMETRY,
        studies=[Study(read, {"taylor.csv": "studies/taylor.csv"})],
    )  # fmt: skip
    reader = Reader(page)
    (image,) = [a for tag, a in reader.elements if tag == "img"]
    assert str(image["src"]).startswith("data:image/svg+xml;base64,")
    assert read.caption in reader.text and read.rows[0][1] in reader.text
    assert 'href="#studies"' in page and 'href="studies/taylor.csv"' in page
    without = render_page("A calibration", Sample(straight_tracks(), CUT_FLOW, (), {}), some_fits(), GEOMETRY)
    assert 'id="studies"' not in without


def test_texts_of_a_study_are_no_html() -> None:
    hostile = DrawnStudy(HOSTILE, HOSTILE, HOSTILE, b"<svg/>", [HOSTILE], [[HOSTILE]])
    page = render_page(
        "A calibration", Sample(straight_tracks(), CUT_FLOW, (), {}), some_fits(), GEOMETRY, studies=[Study(hostile)]
    )
    assert "<script>alert(1)" not in page and "src=http://evil" not in page.replace("&lt;img src=http://evil", "")


def test_every_registered_figure_exists() -> None:
    found = {study.name for study in STUDIES.values() if study.figure}
    assert found >= set(MINE)
    with pytest.raises(ConfigError, match="landscape"):
        drawing({"study": "basin", "sample": None})
