"""`gradcal hits`: from a file of others to a fit without targets and its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.storage.hits import read_hits, read_hits_noise, read_hits_truth
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import write_segments
from pipeline.tables import Hits

from ..acquire.layouts import COLUMNS, EVENTS, write_foreign
from ..conftest import SharedData
from ..tracks import straight_track

METHOD = {"m": {"objective": "matched_residuals", "optimiser": "levenberg_marquardt", "free": ["electric_field"]}}

DIFFUSION = ("longitudinal_diffusion", "transverse_diffusion")


def config(**changed: Any) -> str:
    data = {"file": "elsewhere.h5", "dataset": "charge/hits", "columns": COLUMNS, "events": EVENTS}
    return json.dumps({"data": data | {"absolute_time": True} | changed, "methods": METHOD})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A track of 20 cm, its simulated hits at times in whole ns, and the same hits in another layout."""
    folder = tmp_path_factory.mktemp("hits")
    track = straight_track(direction=(1.0, 0.7, -0.4), segments=20)
    write_segments(folder / "segments.h5", track, Provenance("made up", {}, {}, ""))
    simulated = [str(folder / name) for name in ("segments.h5", "hits.h5")]
    assert run(["simulate", "--config-json", "{}", *simulated, "--no-noise"]) == 0
    write_foreign(folder / "foreign.h5", read_hits(folder / "hits.h5"))
    assert run(["hits", "--config-json", config(), str(folder / "foreign.h5"), str(folder / "back.h5")]) == 0
    return folder


def test_hits_come_back_as_they_were(folder: Path) -> None:
    """Times to the nanosecond that the other layout has, the rest to the digits of our files."""
    hits, back = read_hits(folder / "hits.h5"), read_hits(folder / "back.h5")
    assert len(back) == len(hits) > 20
    for name in Hits.COLUMNS:
        slack = 5.1e-4 if name in ("t", "z") else 1e-5
        np.testing.assert_allclose(getattr(back, name), getattr(hits, name), rtol=1e-6, atol=slack, err_msg=name)
    assert read_hits_truth(folder / "back.h5") == {} and read_hits_noise(folder / "back.h5") is None


def test_a_fit_without_target_and_its_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--segments", str(folder / "segments.h5")]
    fitted = folder / "data" / "m" / "fit.h5"
    assert run(["fit", "--config-json", config(), *given, "--hits", str(folder / "back.h5"), str(fitted)]) == 0
    (parameter,) = json.loads(fitted.with_suffix(".json").read_text())["parameters"]
    assert parameter["target"] is None and parameter["value"] == pytest.approx(0.5, rel=1e-4)

    page = folder / "page.html"
    assert run(["report", "--config-json", config(), *given, str(page), "--fits", str(fitted)]) == 0
    text = page.read_text().split("<script")[0]
    assert "These hits were recorded, not simulated here." in text and "true values are not known" in text
    for absent in ("Largest error", "<th>Target</th>", "<th>Pull</th>", "Distance to the target", "χ² of pulls"):
        assert absent not in text


def test_the_same_file_gives_the_same_bytes_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.h5").write_bytes((folder / "foreign.h5").read_bytes())
    assert run(["hits", "--config-json", config(), str(tmp_path / "copy.h5"), str(tmp_path / "back.h5")]) == 0
    assert (tmp_path / "back.h5").read_bytes() == (folder / "back.h5").read_bytes()


def test_hits_of_another_program_give_the_parameters_that_it_used(tmp_path: Path, shared_data: SharedData) -> None:
    """Three tables of hits from an independent calculation of the model, in double precision and without noise."""
    reference = shared_data / "reference_hits.h5"
    with h5py.File(reference) as source, h5py.File(tmp_path / "segments.h5", "w") as file:
        file["segments"] = source["segments"][()]
        truth = {name: source["hits_1"].attrs[name] for name in ("birks_ab", "electric_field", "electron_lifetime")}
        fixed = {name: source["hits_1"].attrs[name] for name in ("birks_kb", *DIFFUSION)}
    plain = {name: {"name": name} for name in ("event_id", "tpc", "pixel_x", "pixel_y", "hit", "t", "charge")}
    method = METHOD["m"] | {"free": list(truth), "fixed": {name: float(value) for name, value in fixed.items()}}
    data = {"file": str(reference), "dataset": "hits_1", "columns": plain}
    settings = json.dumps({"data": data, "methods": {"m": method}})
    hits, fitted = str(tmp_path / "hits.h5"), tmp_path / "fit.h5"
    assert run(["hits", "--config-json", settings, str(reference), hits]) == 0
    given = ["--segments", str(tmp_path / "segments.h5"), "--hits", hits]
    assert run(["fit", "--config-json", settings, *given, str(fitted)]) == 0
    for parameter in json.loads(fitted.with_suffix(".json").read_text())["parameters"]:
        assert parameter["target"] is None
        assert parameter["value"] == pytest.approx(truth[parameter["name"]], rel=2e-3)


def test_noise_that_is_known_is_kept(folder: Path, tmp_path: Path) -> None:
    known = config(noise_electrons=[900.0, 500.0, 0.0])
    assert run(["hits", "--config-json", known, str(folder / "foreign.h5"), str(tmp_path / "back.h5")]) == 0
    assert read_hits(tmp_path / "back.h5").recording.noise == (900.0, 500.0, 0.0)
    assert read_hits_noise(tmp_path / "back.h5") is True


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("{}", "data is not set; describe there what the columns of the hits mean"),
        (config(dataset="charge/hit"), "charge/hit is not there; did you mean 'charge/hits'?"),
        (config(columns=COLUMNS | {"x": {"name": "px"}}), "is off the anode plane of module0"),
        (config(columns=COLUMNS | {"t": {"name": "stamp", "unit": "kg"}}), "'kg' is not a unit of t; there are us, ns"),
    ],
)
def test_refusals_are_one_sentence(folder: Path, tmp_path: Path, capsys, settings: str, says: str) -> None:
    assert run(["hits", "--config-json", settings, str(folder / "foreign.h5"), str(tmp_path / "out.h5")]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and "fault in this program" not in said
    assert not (tmp_path / "out.h5").exists()


def test_an_input_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "foreign.h5"
    copy.write_bytes((folder / "foreign.h5").read_bytes())
    assert run(["hits", "--config-json", config(), str(copy), str(copy)]) == 2
    with h5py.File(copy) as file:
        assert "charge/hits" in file
