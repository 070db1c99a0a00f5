"""Time and memory: the numbers belong together; derivatives change no hit; the estimate bounds what is used."""

import shutil

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.errors import MemoryLimitError, SelectionError
from pipeline.simulate.batches import divide
from pipeline.storage.detector import load_geometry
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import write_segments
from pipeline.study import memory, scaling
from pipeline.study.benchmark import repeated, restart_peak
from pipeline.tables import Segments
from tests.simulate.deposits import model
from tests.tracks import straight_track


@pytest.fixture(scope="module")
def sample() -> Segments:
    """Eight tracks of 30 cm in events of their own, but for the third and the fourth, which share pixels."""
    places = [(0, -40.0), (1, -36.0), (2, -32.0), (2, -31.8), (4, -24.0), (5, -20.0), (6, -16.0), (7, -12.0)]
    return Segments.concatenate(
        [
            straight_track(event=event, traj=i, start=(-15.0, y, 20.0), direction=(1, 0.1, 0.1), segments=30)
            for i, (event, y) in enumerate(places)
        ]
    )


@pytest.fixture(scope="module")
def result(sample):
    asked = []

    def measured(path, config, length, block_pairs):
        asked.append((round(length), block_pairs))
        assert path.is_file()
        return {
            "length_cm": length,
            "block_pairs": block_pairs,
            "hits": 1,
            "measured_mib": 5.0,
            "estimated_mib": 9.0,
            "program_mib": 300.0,
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scaling, "measured_memory", measured)
        patch.setattr(scaling, "LENGTHS", (10.0, 70.0))
        patch.setattr(scaling, "MEMORY_LENGTHS", (100.0,))
        patch.setattr(scaling, "BLOCK_PAIRS", (1024, 4096))
        patch.setattr(scaling, "MEMORY_BLOCK_PAIRS", (4096,))
        patch.setattr(scaling, "ENOUGH_SECONDS", 0.0)
        return scaling.run(Config(), sample, load_geometry("module0"), lambda step: None) | {"asked": asked}


def test_lengths_are_those_of_whole_tracks(result):
    # No track is as short as 10 cm.
    assert [row["length_cm"] for row in result["lengths"]] == pytest.approx([60.0, 240.0])
    for row in (*result["lengths"], *result["batches"]):
        assert row["forward_s"] > 0 and row["gradient_s"] > 0 and row["hits"] > 10


def test_batches_are_those_of_a_fit(result, sample):
    division = divide(sample, model(sample).plan({}), 100.0, Config().seed)
    assert division.count == 3
    lengths = np.bincount(division.segments, sample.length)
    assert [row["length_cm"] for row in result["batches"]] == pytest.approx(lengths)


def test_derivatives_change_no_hit_and_single_precision_hardly_any(result):
    assert len(result["batches"]) == 3
    for row in result["batches"]:
        assert row["identical"]
        assert row["same_precision"] == row["same_precision"] | {"matched": row["hits"], "unmatched": 0}
        assert row["same_precision"]["adc"]["largest"] == 0.0
        single = row["single_precision"]
        assert 0 < single["adc"]["largest"] < 0.01 and 0 < single["t"]["largest"] < 0.001
        assert sum(single["adc"]["counts"]) == single["matched"] > 0


def test_memory_is_asked_for_lengths_and_blocks(result):
    assert result["asked"] == [(100, 16384), (240, 16384), (240, 4096)]
    assert [row["kind"] for row in result["memory"]] == ["length", "length", "block"]
    assert result["blocks"][0]["blocks"] > result["blocks"][1]["blocks"]
    assert "block_pairs" in scaling.table(result)


def test_a_sample_that_is_too_short_is_refused(sample):
    with pytest.raises(SelectionError, match="30 cm of track, too little"):
        scaling.run(Config(), sample.take(sample.event_id == 0), load_geometry("module0"), lambda step: None)


def test_memory_is_measured_in_a_process_of_its_own(sample, tmp_path):
    """This process, and what it has used so far, must not show."""
    ballast = np.ones(40_000_000)
    del ballast
    path = tmp_path / "segments.h5"
    write_segments(path, sample, Provenance("test", {}, {}, ""))
    found = memory.measured_memory(path, Config(), 240.0 * (1 + 1e-9), 16384)
    assert found is not None and found["length_cm"] == pytest.approx(240.0)
    assert 10 < found["measured_mib"] < found["estimated_mib"]


def test_a_measurement_that_fails_is_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr(memory.sys, "executable", shutil.which("false"))
    with pytest.raises(MemoryLimitError, match=r"100 cm with .* = 1024 failed with status 1"):
        memory.measured_memory(tmp_path / "no_such_file.h5", Config(), 100.0, 1024)


def test_repeats_stop_when_they_take_too_long():
    done = []
    assert len(repeated(lambda: done.append(1), most=4)) == 4
    assert len(repeated(lambda: done.append(1), most=4, seconds=0.0)) == 1
    assert len(done) == 5


def test_the_peak_can_be_forgotten():
    big = np.ones(30_000_000)
    before = restart_peak()
    del big
    assert restart_peak() < before - 150
