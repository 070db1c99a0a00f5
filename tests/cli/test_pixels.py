"""Pixels of their own, from the configuration to hits and fits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Pixels
from pipeline.detector.pixels import PixelConstants
from pipeline.storage.detector import load_geometry
from pipeline.storage.fit import read_fit
from pipeline.storage.hits import read_hits
from pipeline.storage.pixels import load_pixels
from pipeline.storage.provenance import read_provenance

from ..tracks import TWO_MUONS

SPREADS = {"threshold_spread_electrons": 300.0, "gain_spread": 0.02, "pedestal_spread_mv": 5.0}
DRAWN = {"readout": {"pixels": SPREADS}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two muons, one per event; the pixels that are drawn, as a table; hits on them."""
    folder = tmp_path_factory.mktemp("pixels")
    made = json.dumps({"sample": TWO_MUONS, "seed": 4})
    assert run(["produce", "--config-json", made, str(folder / "segments.h5")]) == 0
    assert run(["pixels", "--config-json", json.dumps(DRAWN), str(folder / "pixels.csv")]) == 0
    assert simulate(folder, "hits.h5", DRAWN) == 0
    return folder


def simulate(folder: Path, name: str, config: dict[str, object]) -> int:
    setting = ["--no-noise", "--set", "electric_field=0.51", "birks_ab=0.82"]
    return run(
        ["simulate", "--config-json", json.dumps(config), str(folder / "segments.h5"), str(folder / name), *setting]
    )


def fit(folder: Path, out: Path, config: dict[str, object]) -> int:
    how = {"objective": "matched_residuals", "optimiser": "levenberg_marquardt"}
    method = {"methods": {"m": {**how, "free": ["birks_ab", "electric_field"]}}}
    given = ["--segments", str(folder / "segments.h5"), "--hits", str(folder / "hits.h5")]
    return run(["fit", "--config-json", json.dumps({**config, **method}), str(out), *given])


def test_the_table_holds_what_is_drawn_and_gives_the_same_hits(folder: Path) -> None:
    from_table = {"readout": {"pixels": {"file": str(folder / "pixels.csv")}}}
    assert simulate(folder, "from_table.h5", from_table) == 0
    one, other = read_hits(folder / "hits.h5"), read_hits(folder / "from_table.h5")
    expected = load_pixels(Pixels(**SPREADS), load_geometry("module0"))

    assert one.recording == other.recording and one.recording.pixels == expected.digest()
    assert one.recording.noise == (0.0, 0.0, 0.0) and not one.recording.integer
    for name in ("t", "adc", "charge"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_same_pixels_give_the_truth_and_no_word(folder: Path, tmp_path: Path) -> None:
    assert fit(folder, tmp_path / "fit.h5", DRAWN) == 0
    result = read_fit(tmp_path / "fit.h5")
    assert result.converged and result.warnings == ()
    for p in result.parameters:
        assert p.value == pytest.approx(p.target, rel=1e-5)


def test_other_pixels_are_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(folder, tmp_path / "fit.h5", {}) == 0
    said = "The hits were recorded with other thresholds, gains or pedestals than the fit assumes"
    assert said in capsys.readouterr().err
    assert any(said in warning for warning in read_fit(tmp_path / "fit.h5").warnings)


def test_the_table_is_an_input_that_is_on_record(folder: Path, tmp_path: Path) -> None:
    import h5py

    from_table = {"readout": {"pixels": {"file": str(folder / "pixels.csv")}}}
    assert fit(folder, tmp_path / "fit.h5", from_table) == 0
    with h5py.File(tmp_path / "fit.h5") as file:
        made = read_provenance(file)
    assert set(made["inputs"]) == {"segments", "hits", "detector", "pixels"}
    assert made["config"]["readout"]["pixels"]["file"] == str(folder / "pixels.csv")


def test_nominal_pixels_can_be_written_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pixels", "--config-json", "{}", str(tmp_path / "p.h5")]) == 0
    nominal = PixelConstants.nominal(load_geometry("module0")).digest()[:12]
    assert capsys.readouterr().err == f"{tmp_path / 'p.h5'}: 78400 pixels of module0, constants {nominal}.\n"


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        ({"gain_spread": 0.3}, "readout.pixels.gain_spread is so wide"),
        ({"gain_spread": 0.1, "file": "p.csv"}, "constants come from the file or are drawn, not both"),
        ({"file": "nowhere.csv"}, "nowhere.csv cannot be read (no such file or directory)"),
    ],
)
def test_pixels_that_cannot_be_are_refused(folder: Path, tmp_path: Path, capsys, pixels, says: str) -> None:
    capsys.readouterr()
    assert run(["pixels", "--config-json", json.dumps({"readout": {"pixels": pixels}}), str(tmp_path / "p.csv")]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1 and "fault in this program" not in said
    assert not (tmp_path / "p.csv").exists()
