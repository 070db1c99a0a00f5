"""The usual lifetime measurement: thresholds make it too short, draws have tracks of their own, figures show it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.config.models import Config, Studies
from pipeline.config.precision import LifetimeBaseline
from pipeline.errors import ConfigError, SelectionError
from pipeline.report.plots import image
from pipeline.report.studies import lifetime_baseline as figure
from pipeline.storage.detector import load_geometry
from pipeline.study import lifetime_baseline
from pipeline.tables import Segments
from tests.tracks import straight_track

TINY = LifetimeBaseline(
    length_cm=150,
    draws=2,
    targets=({"electron_lifetime": 700.0},),
    piece_cm=1.5,
    bins=3,
    least_pieces=10,
    estimators=("median", "truncated_mean"),
    method=None,
)


def sample() -> Segments:
    """Ten tracks per event across the drift, with losses that fluctuate a little."""
    rng = np.random.default_rng(4)
    tracks = []
    for k in range(20):
        one = straight_track(
            event=k // 10,
            traj=k,
            start=(-8, -60 + 9 * (k % 10), 2 + 14 * (k % 2)),
            direction=(1, 0.2, 1.2),
            segments=15,
        )
        factor = rng.uniform(0.9, 1.1, len(one))
        tracks.append(one.replace(dE=factor * one.dE, dEdx=factor * one.dEdx))
    return Segments.concatenate(tracks)


def run(settings: LifetimeBaseline, segments: Segments):
    config = Config(study=Studies(lifetime_baseline=settings))
    return lifetime_baseline.run(config, segments, load_geometry("module0"), lambda step: None)


@pytest.fixture(scope="module")
def result():
    return run(TINY, sample())


def test_the_threshold_makes_the_charge_fall_faster_than_it_does(result):
    for draw in result["targets"][0]["draws"]:
        rate = {v: draw["views"][v]["estimators"]["median"]["rate"] for v in lifetime_baseline.VIEWS}
        # What is collected falls as it should within the fluctuations; hits lose more the farther they come from.
        assert rate["collected"] == pytest.approx(1 / 700, rel=0.35)
        assert rate["hits without noise"] > rate["collected"]
        assert draw["pieces"] == 100 and draw["length_cm"] == pytest.approx(150)


def test_draws_have_events_of_their_own_as_far_as_they_go(result):
    assert [d["part"] for d in result["targets"][0]["draws"]] == [0, 1]
    assert result["parts_cm"] == pytest.approx([150.0, 150.0])
    first, second = (d["views"]["collected"]["estimators"]["median"]["value"] for d in result["targets"][0]["draws"])
    assert first != second


def test_summary_table_and_figure_tell_the_same_numbers(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    rows = {row["name"]: row for row in result["targets"][0]["summary"]}
    found = [d["views"]["hits with noise"]["estimators"]["median"] for d in result["targets"][0]["draws"]]
    row = rows["median, hits with noise"]
    assert row["error"] == pytest.approx(np.mean([f["rate"] for f in found]) * 700 - 1)
    assert row["pull"] == pytest.approx(np.mean([(f["rate"] - 1 / 700) / f["uncertainty"] for f in found]))
    assert "true lifetime 700 us; 2 draws of 150 cm" in lifetime_baseline.table(result)
    drawn, caption = figure.draw(result)
    assert len(image(drawn, "svg")) > 10_000 and "1.5 cm" in caption
    head, lines = figure.rows(result)
    assert {len(line) for line in lines} == {len(head)} and len(lines) == len(rows)


def test_bad_settings_and_samples_are_refused_in_a_sentence():
    with pytest.raises(SelectionError, match=r"of study\.lifetime_baseline\.species are left, only of PDG codes 13;"):
        run(TINY.model_copy(update={"species": (2212,)}), sample())
    with pytest.raises(SelectionError, match="only 0 bins of drift time hold"):
        run(TINY.model_copy(update={"least_pieces": 1000}), sample())
    with pytest.raises((ConfigError, ValueError), match=r"lower share 0\.7 must be below"):
        LifetimeBaseline(truncate=(0.7, 0.7))
