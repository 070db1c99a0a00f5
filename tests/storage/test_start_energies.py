from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline.errors import FileFormatError
from pipeline.storage.hdf5 import mark, write_table
from pipeline.storage.start_energies import StartEnergies, read_start_energies

COLUMNS: dict[str, Any] = {
    "event_id": np.array([0, 0, 1]),
    "traj_id": np.array([0, 3, 0]),
    "parent_id": np.array([-1, 0, -1]),
    "kinetic_start": np.array([1000.0, 0.5, 200.0]),
}
TYPES = {"event_id": "i8", "traj_id": "i8", "parent_id": "i8", "kinetic_start": "f8"}


def file_with(path: Path, columns: dict[str, Any], unit: str = "MeV", *, ours: bool = True) -> Path:
    with h5py.File(path, "w") as file:
        if ours:
            mark(file, "segments")
        units = {"kinetic_start": unit} if "kinetic_start" in columns else {}
        write_table(file, "trajectories", columns, TYPES, units)
    return path


def test_energies_go_to_the_tracks_they_belong_to(tmp_path: Path) -> None:
    told = read_start_energies(file_with(tmp_path / "s.h5", COLUMNS))
    assert told is not None
    found = told.of(np.array([1, 0, 0, 2]), np.array([0, 3, 1, 0]))
    assert found[:2].tolist() == [200.0, 0.5]
    assert np.isnan(found[2:]).all()
    assert len(told.of(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))) == 0


def test_a_particle_told_twice_has_no_known_energy() -> None:
    twice = StartEnergies(np.array([4, 4, 5]), np.array([1, 1, 1]), np.array([10.0, 20.0, 30.0]))
    found = twice.of(np.array([4, 5]), np.array([1, 1]))
    assert np.isnan(found[0]) and found[1] == 30.0


def test_files_without_the_table_and_foreign_ones_tell_nothing(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "none.h5", "w") as file:
        mark(file, "segments")
    assert read_start_energies(tmp_path / "none.h5") is None
    assert read_start_energies(file_with(tmp_path / "foreign.h5", COLUMNS, ours=False)) is None


@pytest.mark.parametrize(
    ("columns", "unit", "complaint"),
    [
        ({k: v for k, v in COLUMNS.items() if k != "kinetic_start"}, "MeV", "lacks kinetic_start"),
        (COLUMNS, "GeV", "is in GeV, not in MeV"),
        (COLUMNS | {"kinetic_start": np.array([1.0, np.nan, 2.0])}, "MeV", "is nan in row 1"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused(
    tmp_path: Path, columns: dict[str, Any], unit: str, complaint: str
) -> None:
    with pytest.raises(FileFormatError, match=complaint):
        read_start_energies(file_with(tmp_path / "s.h5", columns, unit))
