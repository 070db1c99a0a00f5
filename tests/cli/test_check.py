"""`gradcal check` on good, spoiled and meaningless files: a verdict for each, and never a traceback."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks
from pipeline.errors import GradcalError
from pipeline.storage.detector import load_geometry
from pipeline.storage.fit import write_fit
from pipeline.storage.hits import read_hits, write_hits
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import read_segments, write_segments

from ..conftest import ROOT, data_folder
from ..inspect.samples import TRUTH, good_hits, good_segments
from ..report.samples import NOISELESS, fit_result

MADE = Provenance("simulate", {"noise": False}, {"segments": "0" * 64}, "f" * 64)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    write_segments(folder / "segments.h5", good_segments(), MADE)
    write_hits(folder / "hits.h5", good_hits(), MADE, TRUTH)
    write_fit(folder / "fit.h5", fit_result(), replace(MADE, config=NOISELESS["config"]))
    (folder / "config.yaml").write_text("select: {min_track_length_cm: 3}\n")
    shutil.copy(ROOT / "pipeline/detector/files/module0.yaml", folder / "detector.yaml")
    return folder


GOOD = {
    "segments.h5": ("segments", "mu+"),
    "hits.h5": ("hits", "80"),
    "fit.h5": ("fit", "These values can be used: the fit converged"),
    "fit.json": ("fit", "birks_ab"),
    "config.yaml": ("configuration", "min_track_length_cm 3"),
    "detector.yaml": ("detector", "module0"),
}


def check(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit status and output; nothing may be said elsewhere."""
    capsys.readouterr()
    status = run(["check", *map(str, arguments)])
    said = capsys.readouterr()
    assert said.err == "" and "Traceback" not in said.out
    return status, said.out


@pytest.mark.parametrize("name", GOOD)
def test_good_files_are_described_and_usable(files: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    status, said = check(capsys, files / name)
    kind, word = GOOD[name]
    lines = said.splitlines()
    assert status == 0
    assert lines[0] == f"{files / name}: {kind}"
    assert lines[-1].startswith(f"{files / name}: usable")
    assert word in said
    assert ("from above" in said) == (kind in ("segments", "hits"))


def column(table: str, name: str, rows: object, value: object) -> Callable[[h5py.File], None]:
    """Put a value into rows of a column."""

    def spoil(file: h5py.File) -> None:
        values = file[table][()]
        values[name][rows] = value
        file[table][...] = values

    return spoil


def without(table: str, *names: str) -> Callable[[h5py.File], None]:
    """Take columns away."""

    def spoil(file: h5py.File) -> None:
        rows, attributes = file[table][()], dict(file[table].attrs)
        del file[table]
        file[table] = rows[[name for name in rows.dtype.names if name not in names]]
        file[table].attrs.update(attributes)

    return spoil


def attribute(where: str, name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file[where].attrs.__setitem__(name, value)


def shuffled(table: str) -> Callable[[h5py.File], None]:
    return lambda file: file[table].__setitem__(Ellipsis, file[table][()][::-1])


SPOILED: list[tuple[str, Callable[[h5py.File], None], int, str]] = [
    ("segments.h5", column("segments", "dE", [4, 6], np.nan), 2, "error: dE is nan in row 4 of segments (2 such rows)"),
    ("segments.h5", column("segments", "dE", 3, -1), 2, "error: dE is -1 in row 3"),
    ("segments.h5", column("segments", "x_end", slice(None), 4000.0), 2, "outside the active volume of module0"),
    ("segments.h5", column("segments", "dx", slice(0, 9), 3.0), 0, "warning: 9 of"),
    ("segments.h5", without("segments", "dx", "pdg_id"), 2, "error: segments lack the fields pdg_id or pdgId, dx."),
    ("segments.h5", attribute("segments", "unit_dx", "mm"), 2, "error: dx of segments is in mm, not in cm"),
    ("segments.h5", attribute("segments", "frame", "detector"), 2, "frame 'detector'"),
    ("segments.h5", attribute("/", "schema", 7), 2, "error: it has layout version 7"),
    ("segments.h5", attribute("/", "kind", "hits"), 2, "error: hits is missing or not a table"),
    ("segments.h5", lambda file: file.pop("segments"), 2, "no table `segments`"),
    ("segments.h5", lambda file: file["provenance"].attrs.__setitem__("config", "{"), 0, "warning: the record of"),
    ("hits.h5", lambda file: file["provenance"].attrs.__setitem__("config", "{"), 2, "error: the record of"),
    ("segments.h5", attribute("/", "schema", np.arange(3)), 2, "error: it has layout version [0 1 2]"),
    ("segments.h5", attribute("segments", "unit_dE", np.arange(2)), 2, "error: dE of segments is in [0 1], not in MeV"),
    ("segments.h5", attribute("provenance", "inputs", "[1]"), 0, "warning: the record of"),
    ("hits.h5", shuffled("hits"), 2, "error: 79 of 80 hits come before their place"),
    ("hits.h5", column("hits", "adc", slice(None), 90.0), 0, "charge that does not give their ADC counts"),
    ("hits.h5", column("hits", "t", 1, np.inf), 2, "error: hits.t is inf in row 1"),
    ("hits.h5", without("hits", "charge", "x"), 2, "error: hits lacks x, charge"),
    ("hits.h5", lambda file: file.pop("events"), 2, "error: the table events is missing"),
    ("hits.h5", lambda file: file["hits"].attrs.pop("drift_velocity"), 2, "error: hits has no drift_velocity"),
    ("fit.h5", attribute("/", "converged", False), 0, "warning: it did not converge"),
    ("fit.h5", column("parameters", "value", 0, np.nan), 2, "error: the value of birks_ab is nan"),
    ("fit.h5", column("parameters", "value", 1, 1e-9), 0, "warning: birks_kb is pinned"),
    ("fit.h5", lambda file: file.pop("history"), 2, "error:"),
    ("fit.h5", column("parameters", "value", 0, 0.81), 0, "fit.json beside it has other values"),
]


@pytest.mark.parametrize("number", range(len(SPOILED)))
def test_spoiled_files(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int) -> None:
    name, spoil, expected, words = SPOILED[number]
    for path in files.glob(f"{Path(name).stem}.*"):
        shutil.copy(path, tmp_path)
    with h5py.File(tmp_path / name, "a") as file:
        spoil(file)
    status, said = check(capsys, "--view", "none", tmp_path / name)
    flat = " ".join(said.split()).replace(f"{tmp_path / name}: ", "")
    assert status == expected
    assert words.format(file=tmp_path / name) in flat
    reader: Callable[[Path], object]
    if name == "segments.h5":
        geometry = load_geometry("module0")
        reader = lambda path: read_segments(path, checks=Checks(), geometry=geometry)  # noqa: E731
    else:
        reader = read_hits
    if name != "fit.h5" and words != "error: the record of":
        # The verdict is that of the commands, which read strictly.
        try:
            reader(tmp_path / name)
            assert status == 0
        except GradcalError:
            assert status == 2


def test_every_mistake_of_a_configuration_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("selct: {}\nseed: one\ntargets:\n  drawn: -1\n")
    status, said = check(capsys, path)
    assert status == 2 and said.count("error:") == 3
    for words in ("line 1: selct is not a setting; did you mean select?", "line 2: seed must", "line 4: targets.drawn"):
        assert words in said


@pytest.mark.parametrize("name", [*GOOD, "made.root"])
def test_no_bytes_whatever_lead_to_a_traceback(files: Path, tmp_path: Path, capsys, name: str) -> None:
    """Truncated, changed and random bytes: status 0 or 2, one verdict."""
    source = files / name
    content = source.read_bytes() if source.exists() else b"root" + bytes(range(256)) * 8
    chance = random.Random(name)
    path = tmp_path / name
    for kind in ["cut"] * 8 + ["changed"] * 8 + ["random"] * 2:
        if kind == "cut":
            spoiled = content[: chance.randrange(len(content))]
        elif kind == "changed":
            mutable = bytearray(content)
            for _ in range(chance.choice([1, 10, 200])):
                mutable[chance.randrange(len(mutable))] = chance.randrange(256)
            spoiled = bytes(mutable)
        else:
            spoiled = content[: chance.choice([0, 4, 8])] + chance.randbytes(3000)
        path.write_bytes(spoiled)
        status, said = check(capsys, path)
        assert status in (0, 2)
        assert said.splitlines()[-1].startswith(f"{path}: {'usable' if status == 0 else 'not usable'}")
        assert "cannot be made sense of" not in said, "an error that no reader expects"


def test_missing_files_folders_and_foreign_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "other.json").write_text("[]")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["voltages"] = np.arange(3)
    names = {
        "nowhere.h5": "does not exist",
        ".": "is a folder",
        "table.csv": "neither ROOT, HDF5, YAML nor JSON",
        "other.json": "neither a fit nor the record of a run",
        "other.h5": "there is: voltages",
    }
    status, said = check(capsys, *(tmp_path / name for name in names))
    assert status == 2 and said.count("not usable: 1 error.") == len(names)
    flat = " ".join(said.split())
    for words in names.values():
        assert words in flat


def test_all_files_are_looked_at_though_one_is_bad(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = check(capsys, "--view", "none", files / "nowhere.h5", files / "fit.h5")
    assert status == 2
    assert "not usable: 1 error." in said and f"{files / 'fit.h5'}: usable" in said


def test_the_detector_decides_what_is_outside(files: Path, tmp_path: Path, capsys) -> None:
    text = (
        (files / "detector.yaml").read_text().replace("y_range: [-83.8626, 40.2154]", "y_range: [-983.8626, -859.7846]")
    )
    moved = tmp_path / "moved.yaml"
    moved.write_text(text.replace("name: module0", "name: elsewhere"))
    assert check(capsys, files / "segments.h5")[0] == 0
    by_option = check(capsys, files / "segments.h5", "--detector", moved)
    config = json.dumps({"detector": {"file": str(moved)}})
    by_config = check(capsys, files / "segments.h5", "--config-json", config)
    for status, said in (by_option, by_config):
        assert status == 2 and "active volume of elsewhere" in " ".join(said.split())


def test_pictures_are_written_whole_and_inputs_kept(files: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "view.png"
    status, said = check(capsys, files / "hits.h5", "--view", out)
    assert status == 0 and out.read_bytes().startswith(b"\x89PNG") and "from above" not in said
    for arguments, words in (
        ([files / "hits.h5", "--view", "view.pdf"], "is not ascii, none"),
        ([files / "hits.h5", files / "segments.h5", "--view", out], "one file only"),
    ):
        assert run(["check", *map(str, arguments)]) == 2
        assert words in capsys.readouterr().err


def test_text_of_a_file_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fit.h5"
    write_fit(path, replace(fit_result(), status="\x1b[2Jgone\nusable"), MADE)
    status, said = check(capsys, path)
    assert status == 0 and "\x1b" not in said and "?[2Jgone usable" in said


#: Files of the shared data, and what must be said about them.
SHARED = {
    "edepsim_mixed_100ev.h5": (0, "names of 2021 and 2022"),
    "edepsim_mixed_20ev.root": (0, "edep-sim ROOT"),
    "edepsim_real_objectwise_5ev.root": (2, "outside the active volume"),
    "wtest.root": (0, "split branches"),
    "wtest_split1.root": (0, "member by member"),
    "edepsim_g4_20ev.root": (0, "20 (numbers 0 to 19) with deposits, of 20 in the file"),
    "edepsim_g4_20ev_old.h5": (0, "all times are 0"),
    "edepsim_g4_20ev_new.h5": (0, "names used since 2023"),
    "g4_muon_1gev_100ev.h5": (0, "mu- 8,895"),
    "g4_stopping_proton_150ev.h5": (0, "p 19,473"),
    "reference_hits.h5": (0, "45"),
    "published_fits.csv": (2, "neither ROOT, HDF5, YAML nor JSON"),
    "README.md": (2, "neither ROOT, HDF5, YAML nor JSON"),
}


def test_every_shared_file_is_expected(shared_data) -> None:
    """A file that is added to the shared data is looked at here, too."""
    assert {path.name for path in data_folder().iterdir()} == set(SHARED)


@pytest.mark.parametrize("name", SHARED)
def test_shared_files(shared_data, capsys: pytest.CaptureFixture[str], name: str) -> None:
    expected, words = SHARED[name]
    status, said = check(capsys, "--view", "none", shared_data / name)
    assert status == expected
    assert words in " ".join(said.split())
    # None of them loses energy as it cannot, nor has times of another unit, but for the synthetic times of two.
    assert "tracks of" not in said.replace(" tracks, the widest", "") and ("wtest" in name) == ("not in us" in said)
