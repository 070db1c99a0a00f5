"""Files of produced samples: what is written comes back, in its frame, and what cannot be right is refused."""

from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import FileFormatError
from pipeline.storage.provenance import Provenance
from pipeline.storage.sample import has_trajectories, read_trajectories, sample_writer
from pipeline.tables import Segments, Trajectories
from tests.tracks import straight_track


def trajectories(count: int, event: int = 0) -> Trajectories:
    """Made-up particles, every number of them different."""
    numbers = iter(range(1, 100))
    columns = {}
    for f in fields(Trajectories):
        shape = (count, 3) if f.name in ("start", "end") else (count,)
        columns[f.name] = next(numbers) * 1000.0 + np.arange(np.prod(shape)).reshape(shape)
        if f.type == "Ints":
            columns[f.name] = columns[f.name].astype(np.int64)
    columns["event_id"] = np.full(count, event)
    columns["traj_id"] = np.arange(count)
    columns["start_process"] = columns["end_process"] = np.zeros(count, dtype=np.int64)
    return Trajectories(**columns)


def written(path: Path, parts: list[tuple[Segments, Trajectories]]) -> Path:
    with sample_writer(path, Provenance("produce", {}, {}, ""), "x") as writer:
        for part in parts:
            writer.add(*part)
    return path


def test_parts_come_back_as_one(tmp_path: Path) -> None:
    parts = [(straight_track(event=e), trajectories(3, e)) for e in range(2)]
    path = written(tmp_path / "sample.h5", parts)
    read = read_trajectories(path)
    for f in fields(Trajectories):
        expected = np.concatenate([getattr(t, f.name) for _, t in parts])
        np.testing.assert_array_equal(getattr(read, f.name), expected)
    with h5py.File(path) as file:
        assert file["segments"]["segment_id"].tolist() == list(range(20))
        # The drift of module 0 is along x of the file.
        np.testing.assert_array_equal(file["trajectories"]["x_start"], read.start[:, 2])


def test_an_empty_sample_is_a_file(tmp_path: Path) -> None:
    path = written(tmp_path / "sample.h5", [])
    assert has_trajectories(path) and len(read_trajectories(path)) == 0


def test_an_interrupted_sample_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="half way"),
        sample_writer(tmp_path / "sample.h5", Provenance("produce", {}, {}, ""), "x") as writer,
    ):
        writer.add(straight_track(), trajectories(1))
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []


def test_energies_go_to_the_particles_they_belong_to() -> None:
    known = trajectories(3, 7)
    found = known.kinetic_of(np.array([7, 7, 7, 2]), np.array([2, 0, 9, 0]))
    assert found[:2].tolist() == [known.kinetic_start[2], known.kinetic_start[0]]
    assert np.isnan(found[2:]).all()
    twice = known.take(np.array([0, 1, 1]))
    assert np.isnan(twice.kinetic_of(np.array([7]), np.array([1])))[0]
    none = np.zeros(0, dtype=np.int64)
    assert len(known.kinetic_of(none, none)) == 0
    assert np.isnan(known.take(none).kinetic_of(np.array([1]), np.array([1]))).all()


def test_foreign_tables_are_left_alone(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["trajectories"] = np.zeros(3)
    assert not has_trajectories(tmp_path / "foreign.h5")


@pytest.mark.parametrize("what", ["column", "unit", "number", "processes"])
def test_a_table_that_cannot_be_right_is_refused(tmp_path: Path, what: str) -> None:
    path = written(tmp_path / "sample.h5", [(straight_track(), trajectories(2))])
    with h5py.File(path, "a") as file:
        table = file["trajectories"]
        if what == "column":
            rows = table[:][["event_id", "traj_id"]].copy()
            del file["trajectories"]
            file["trajectories"] = rows
        elif what == "unit":
            table.attrs["unit_kinetic_start"] = "GeV"
        elif what == "number":
            rows = table[:]
            rows["kinetic_start"][1] = np.nan
            table[:] = rows
        else:
            table.attrs["processes"] = "magic"
    expected = {
        "column": "lacks",
        "unit": "is in GeV, not in MeV",
        "number": "is nan in row 1",
        "processes": "processes are not those",
    }
    with pytest.raises(FileFormatError, match=expected[what]):
        read_trajectories(path)
