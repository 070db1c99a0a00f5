"""Tables in the files of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.config.data import Data
from pipeline.errors import FileFormatError
from pipeline.storage.foreign import read_foreign_hits

COLUMNS: dict[str, Any] = {
    "event_id": {"name": "evt"}, "tpc": {"value": 0}, "pixel_x": {"name": "px"}, "pixel_y": {"name": "px"},
    "t": {"name": "stamp"}, "charge": {"name": "q"},
}  # fmt: skip
TABLE = np.zeros(4, dtype=[("evt", "u2"), ("px", "i1"), ("stamp", "u8"), ("q", "f4"), ("kind", "u1")])
TABLE["kind"] = [0, 7, 0, 4]
TABLE["stamp"] = [2**60 + 1, 2**60 + 3, 5, 7]


def settings(path: Path, **changed: Any) -> Data:
    return Data.model_validate({"file": str(path), "dataset": "charge/hits", "columns": COLUMNS} | changed)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["charge/hits"] = TABLE
        file["plain"] = np.zeros(3)
        for name in TABLE.dtype.names or ():
            file[f"columns/{name}"] = TABLE[name]
    return tmp_path / "f.h5"


@pytest.mark.parametrize("dataset", ["charge/hits", "columns"])
def test_a_table_and_a_group_of_columns_read_the_same(path: Path, dataset: str) -> None:
    """Whole numbers keep all their digits; rows that are not wanted are left out, and the others know their place."""
    found = read_foreign_hits(settings(path, dataset=dataset, rows={"kind": [0, 4]})).hits
    assert set(found.columns) == {"evt", "px", "stamp", "q"}
    assert found.columns["stamp"].tolist() == [2**60 + 1, 5, 7] and found.row.tolist() == [0, 2, 3]


def nan(file: h5py.File) -> None:
    table = TABLE.copy()
    table["q"][2] = np.nan
    del file["charge/hits"]
    file["charge/hits"] = table


def shorter(file: h5py.File) -> None:
    del file["columns/q"]
    file["columns/q"] = np.zeros(3)


def text(file: h5py.File) -> None:
    del file["columns/q"]
    file["columns/q"] = np.array([b"a"] * 4)


def flat(file: h5py.File) -> None:
    del file["columns/q"]
    file["columns/q"] = np.zeros((4, 2))


def empty(file: h5py.File) -> None:
    del file["charge/hits"]
    file["charge/hits"] = TABLE[:0]


def large(file: h5py.File) -> None:
    file["columns/stamp"][0] = 2**63 + 1


def nothing(file: h5py.File) -> None:
    pass


@pytest.mark.parametrize(
    ("break_it", "changed", "says"),
    [
        (nothing, {"dataset": "charge/hit"}, r"f\.h5: charge/hit is not there; did you mean 'charge/hits'\?"),
        (nothing, {"dataset": "plain"}, r"plain is no table with named columns"),
        (nothing, {"columns": COLUMNS | {"t": {"name": "stamps"}}}, r"has no column 'stamps'; did you mean 'stamp'\?"),
        (nothing, {"rows": {"kind": [1, 2]}}, r"none of its 4 rows has kind one of 1, 2; mend `rows`"),
        (nothing, {"rows": {"kinds": [1]}}, r"has no column 'kinds'; did you mean 'kind'\?"),
        (
            nothing,
            {"events": {"dataset": "ev", "event_id": {"name": "e"}, "t0": {"name": "t"}}},
            r"f\.h5: ev is not th",
        ),
        (nan, {}, r"charge/hits\.q is nan in row 2 \(1 such rows\); every number must be finite"),
        (empty, {}, r"charge/hits is empty: there is nothing to read"),
        (shorter, {"dataset": "columns"}, r"its columns are of unequal lengths \(.*q 3.*\)"),
        (text, {"dataset": "columns"}, r"columns\.q holds \|S1, not one number per row"),
        (flat, {"dataset": "columns"}, r"columns\.q holds float64 in 2 dimensions, not one number per row"),
        (large, {"dataset": "columns"}, r"columns\.stamp holds 9223372036854775809, more than 63 bits"),
    ],
)
def test_what_is_not_there_is_named(
    path: Path, break_it: Callable[[h5py.File], None], changed: dict[str, Any], says: str
) -> None:
    with h5py.File(path, "r+") as file:
        break_it(file)
    with pytest.raises(FileFormatError, match=says):
        read_foreign_hits(settings(path, **changed))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere\.h5 does not exist"):
        read_foreign_hits(settings(tmp_path / "nowhere.h5"))
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(FileFormatError, match=r"text\.h5 is not a whole HDF5 file"):
        read_foreign_hits(settings(tmp_path / "text.h5"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("chip,tpc,pixel_x,pixel_y\n", r"lists no channel"),
        ("chip,tpc,pixel_x\n1,0,2\n", r"the column pixel_y is missing; it needs chip, tpc, pixel_x, pixel_y"),
        ("chip,tpc,pixel_x,pixel_y\n1,0,2,3\n1,0,x,3\n", r"line 3: pixel_x is 'x', no whole number"),
        ("chip,tpc,pixel_x,pixel_y\n1,0,2\n", r"line 2: pixel_y is None, no whole number"),
        (None, r"map\.csv cannot be read"),
    ],
)
def test_maps_of_channels(path: Path, tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "map.csv").write_text(content)
    columns = {n: c for n, c in COLUMNS.items() if n not in ("tpc", "pixel_x", "pixel_y")}
    data = settings(path, columns=columns, channels={"file": str(tmp_path / "map.csv"), "keys": ["chip"]})
    with h5py.File(path, "r+") as file:
        del file["charge/hits"]
        file["charge/hits"] = np.zeros(1, dtype=[*TABLE.dtype.descr, ("chip", "u1")])
    with pytest.raises(FileFormatError, match=says):
        read_foreign_hits(data)
