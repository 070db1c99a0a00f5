"""Tables of pixels come back as they were, and what cannot be used is refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.config.models import Pixels
from pipeline.detector.pixels import PixelConstants, draw_pixels
from pipeline.errors import FileFormatError
from pipeline.storage.detector import load_geometry
from pipeline.storage.pixels import load_pixels, read_pixels, write_pixels

GEOMETRY = load_geometry("module0")
NOMINAL = PixelConstants.nominal(GEOMETRY)
HEAD = "tpc,pixel_x,pixel_y,threshold_electrons,gain_mv_per_electron,pedestal_mv\n"


def text(folder: Path, content: str) -> Path:
    path = folder / "pixels.csv"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["pixels.csv", "pixels.h5"])
def test_constants_come_back_to_the_last_bit(tmp_path: Path, name: str) -> None:
    drawn = draw_pixels(GEOMETRY, threshold_spread=300.0, gain_spread=0.02, pedestal_spread=9.0, seed=5)
    for path in (tmp_path / name, tmp_path / f"again_{name}"):
        write_pixels(path, drawn, GEOMETRY)

    assert read_pixels(tmp_path / name, GEOMETRY).digest() == drawn.digest()
    assert (tmp_path / name).read_bytes() == (tmp_path / f"again_{name}").read_bytes()


def test_pixels_and_constants_that_are_not_listed_are_nominal(tmp_path: Path) -> None:
    path = text(tmp_path, "pixel_y,tpc,pixel_x,threshold_electrons\n3,1,2,6500\n0,0,0,7300.5\n")
    found = load_pixels(Pixels(file=str(path)), GEOMETRY)
    listed = GEOMETRY.channel(np.array([1, 0]), np.array([2, 0]), np.array([3, 0]))

    np.testing.assert_array_equal(found.threshold[listed], [6500.0, 7300.5])
    assert (np.delete(found.threshold, listed) == 7000.0).all()
    for mine, nominal in zip(found.of(listed)[1:], NOMINAL.of(listed)[1:], strict=True):
        np.testing.assert_array_equal(mine, nominal)


def test_without_settings_all_pixels_are_nominal() -> None:
    assert load_pixels(Pixels(), GEOMETRY).digest() == NOMINAL.digest()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEAD.replace("pixel_y,", "") + "0,0,7000,4e-3,580\n", "the column pixel_y is missing"),
        (HEAD.replace("pedestal_mv", "pdestal_mv") + "0,0,0,7000,4e-3,580\n", "there is no column 'pdestal_mv'"),
        (HEAD.replace("pedestal_mv", "tpc") + "0,0,0,7000,4e-3,0\n", "the column 'tpc' is there twice"),
        ("tpc,pixel_x,pixel_y\n0,0,0\n", "says nothing about its pixels"),
        (HEAD, "lists no pixel"),
        (HEAD + "0,0,0,7000,4e-3,580\n0,140,0,7000,4e-3,580\n", "line 3: module0 has no pixel (140, 0) of tpc 0"),
        (HEAD + "2,0,0,7000,4e-3,580\n", "line 2: module0 has no pixel (0, 0) of tpc 2"),
        (HEAD + "0,-1,0,7000,4e-3,580\n", "has no pixel (-1, 0)"),
        (HEAD + "0,0.5,0,7000,4e-3,580\n", "has no pixel (0.5, 0)"),
        (HEAD + "0,1,1,7000,4e-3,580\n0,0,0,7000,4e-3,580\n0,1,1,7100,4e-3,580\n", "line 4: pixel (1, 1) of tpc 0 is"),
        (HEAD + "0,0,0,0,4e-3,580\n", "line 2: threshold_electrons is 0; it must be above 0 electrons"),
        (HEAD + "0,0,0,7000,-4e-3,580\n", "gain_mv_per_electron is -0.004; it must be above 0"),
        (HEAD + "0,0,0,7000,4e-3,1300\n", "pedestal_mv is 1300; it must be within the range of the ADC, 288"),
        (HEAD + "0,0,0,7000,4e-3,580\n0,0,1,nan,4e-3,580\n", "line 3: threshold_electrons is nan; every number"),
        (HEAD + "0,0,0,7000,inf,580\n", "gain_mv_per_electron is inf"),
        (HEAD + "0,0,0,7000,4e-3,58O\n", "line 2: pedestal_mv is '58O', not a number"),
        (HEAD + "0,0,0,7000,4e-3,580\n0,0,1,70", "cut short"),
        (HEAD + "0,0,0,7000,4e-3,580\n0,0,1,70\n", "line 3: 4 values for 6 columns"),
        ("", "cut short"),
        ("\n", "the column tpc is missing"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path: Path, content: str, says: str) -> None:
    path = text(tmp_path, content)
    with pytest.raises(FileFormatError) as refusal:
        read_pixels(path, GEOMETRY)

    sentence = str(refusal.value)
    assert sentence.startswith(str(path)) and says in sentence and "\n" not in sentence


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.h5"
    write_pixels(whole, NOMINAL, GEOMETRY)
    (tmp_path / "short.h5").write_bytes(whole.read_bytes()[:40_000])
    with h5py.File(tmp_path / "empty.h5", "w"), h5py.File(tmp_path / "words.h5", "w") as file:
        file["pixels"] = np.array([(b"0", 1)], dtype=[("tpc", "S1"), ("pixel_x", "i4")])
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    says = {
        "short.h5": "is not a whole HDF5 file",
        "empty.h5": "has no table 'pixels'",
        "words.h5": "the column tpc of pixels holds no numbers",
        "binary.csv": "is not a text file of CSV",
        "none.csv": "cannot be read (no such file or directory)",
        "none.h5": "does not exist",
    }
    for name, words in says.items():
        with pytest.raises(FileFormatError, match=words.replace("(", r"\(").replace(")", r"\)")):
            read_pixels(tmp_path / name, GEOMETRY)
