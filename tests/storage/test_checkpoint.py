"""A checkpoint is believed only where it is whole and of this very fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.calibrate.progress import Finished, Progress, State
from pipeline.storage.checkpoint import Checkpoint
from pipeline.storage.provenance import Provenance

PROVENANCE = Provenance("fit", {"seed": 1, "method": {"m": {"tolerance": 1e-10}}}, {"hits": "a" * 64}, "1" * 64)
HISTORY = {"birks_ab": [0.8, 0.1 + 0.2], "objective": [1e300, 5e-324]}
PROGRESS = Progress(
    finished=(
        Finished(State(np.array([1 / 3, np.pi]), 1e-12, 2e-11, 9, True), True, "converged: µ", HISTORY),
        Finished(State(np.array([0.1, 1.0]), 8e8, 0.5, 40), False, "did not converge", HISTORY),
    ),
    state=State(np.array([2 / 3, 1e-17]), 1e-3),
    history={"birks_ab": [0.8], "objective": [np.inf]},
)


def plain(progress: Progress) -> object:
    """A progress as nested built-in values, for comparison to the last bit."""

    def state(s: State) -> tuple[object, ...]:
        return (s.x.tolist(), s.control, s.step, s.iteration, s.settled)

    finished = [(state(f.state), f.converged, f.status, dict(f.history)) for f in progress.finished]
    return finished, state(progress.state), dict(progress.history)


def saved(folder: Path, provenance: Provenance = PROVENANCE) -> Checkpoint:
    checkpoint = Checkpoint(folder / "fit.h5", provenance)
    checkpoint.save(PROGRESS)
    return checkpoint


def test_progress_comes_back_to_the_last_bit(tmp_path):
    """Also the infinite step and objective of a start, which plain JSON has no word for."""
    found = saved(tmp_path).load()
    assert plain(found) == plain(PROGRESS)
    assert found.state.x.dtype == np.float64


def test_it_stands_hidden_beside_the_output_and_alone(tmp_path):
    checkpoint = saved(tmp_path)
    assert checkpoint.path == tmp_path / ".fit.h5.checkpoint.json"
    assert list(tmp_path.iterdir()) == [checkpoint.path]


def test_the_latest_state_replaces_the_one_before(tmp_path):
    checkpoint = saved(tmp_path)
    later = replace(PROGRESS, state=replace(PROGRESS.state, iteration=7))
    checkpoint.save(later)
    assert plain(checkpoint.load()) == plain(later)


@pytest.mark.parametrize(
    "other",
    [
        replace(PROVENANCE, config={"seed": 2, "method": {"m": {"tolerance": 1e-10}}}),
        replace(PROVENANCE, config={"seed": 1, "method": {"m": {"tolerance": 1e-9}}}),
        replace(PROVENANCE, inputs={"hits": "b" * 64}),
        replace(PROVENANCE, code="2" * 64),
    ],
    ids=["seed", "method", "inputs", "code"],
)
def test_the_state_of_another_fit_is_not_believed(other, tmp_path):
    saved(tmp_path)
    assert Checkpoint(tmp_path / "fit.h5", other).load() is None


def test_the_state_of_another_output_is_not_found(tmp_path):
    saved(tmp_path)
    assert Checkpoint(tmp_path / "other.h5", PROVENANCE).load() is None


def test_without_a_file_there_is_none(tmp_path):
    assert Checkpoint(tmp_path / "fit.h5", PROVENANCE).load() is None
    assert Checkpoint(tmp_path / "nowhere" / "fit.h5", PROVENANCE).load() is None


def test_removed_is_forgotten_and_may_be_removed_again(tmp_path):
    checkpoint = saved(tmp_path)
    for _ in range(2):
        checkpoint.remove()
        assert checkpoint.load() is None and not list(tmp_path.iterdir())


def test_truncated_at_any_point_is_not_believed(tmp_path):
    checkpoint = saved(tmp_path)
    whole = checkpoint.path.read_bytes()
    for length in range(0, len(whole), 7):
        checkpoint.path.write_bytes(whole[:length])
        assert checkpoint.load() is None


@pytest.mark.parametrize(
    "garbage", [b"", b"\xff\xfe\x00", b"[]", b"3", b'"key"', b"null", b"{}", b"[" * 100_000, b'{"key": null}']
)
def test_garbage_is_not_believed(garbage, tmp_path):
    checkpoint = saved(tmp_path)
    checkpoint.path.write_bytes(garbage)
    assert checkpoint.load() is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("finished",), 3),
        (("finished",), [{}]),
        (("present",), None),
        (("present", "state"), [1, 2]),
        (("present", "state"), {"x": [1.0]}),
        (("present", "state", "x"), ["one"]),
        (("present", "state", "x"), [2 / 3, 1.0000000001e-17]),
        (("present", "state", "x"), 1.0),
        (("present", "state", "control"), "1e-3"),
        (("present", "state", "iteration"), None),
        (("present", "state", "speed"), 1.0),
        (("present", "history"), [1.0]),
        (("present", "history"), {"birks_ab": 3}),
        (("present", "history"), {"birks_ab": ["a"]}),
    ],
)
def test_changed_content_is_not_believed(path, value, tmp_path):
    checkpoint = saved(tmp_path)
    content = json.loads(checkpoint.path.read_text())
    place = content["fit"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    checkpoint.path.write_text(json.dumps(content))
    assert checkpoint.load() is None
