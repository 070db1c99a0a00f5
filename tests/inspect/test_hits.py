"""Every fault of a table of hits is found where it is, and a table without fault is not accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.inspect.findings import Summary
from pipeline.inspect.hits import summarise
from pipeline.tables import Hits

from .samples import GEOMETRY, PIXELS, TRUTH, good_hits, raw_hits

Spoil = Callable[[Hits], Hits]


def looked_at(hits: Hits, truth: dict[str, float] | None = None) -> Summary:
    return summarise(
        raw_hits(hits),
        "in.h5",
        geometry=GEOMETRY,
        pixels=PIXELS,
        truth=TRUTH if truth is None else truth,
        noise=False,
    )


def put(column: str, rows: list[int], value: float) -> Spoil:
    def spoil(h: Hits) -> Hits:
        values = getattr(h, column).copy()
        values[rows] = value
        return replace(h, **{column: values})

    return spoil


def rows(order: Callable[[int], np.ndarray]) -> Spoil:
    return lambda h: replace(h, **{name: getattr(h, name)[order(len(h))] for name in Hits.COLUMNS})


def moved(column: str, by: float) -> Spoil:
    return lambda h: replace(h, **{column: getattr(h, column) + by})


SPOILED: dict[str, tuple[Spoil, str, str, str]] = {
    "unsorted": (
        rows(lambda n: np.r_[2, 3, 0, 1, 4:n]),
        "order",
        "error",
        "1 of 80 hits come before their place, in row 2",
    ),
    "twice": (rows(lambda n: np.r_[0, 1, 1, 2:n]), "repeated", "error", "in row 2"),
    "none": (rows(lambda n: np.arange(0)), "no_hits", "error", "no hits"),
    "negative": (put("pixel_x", [5], -1), "negative", "error", "in row 5"),
    "other detector": (
        moved("pixel_y", 290),
        "pixel",
        "error",
        "80 of 80 hits are on pixels that module0 does not have",
    ),
    "centres": (moved("x", 0.2), "pixel_centre", "warning", "80 of 80"),
    "event": (put("event_id", [78, 79], 3), "event_unknown", "error", "2 of 80"),
    "number": (put("hit", [7], 2), "hit_gap", "warning", "1 of 80 hits have a number that does not follow"),
    "before": (put("t", [9], 0.5), "time_order", "warning", "in row 9"),
    "negative time": (put("t", [4], -2.0), "time_negative", "warning", "in row 4"),
    "hold": (lambda h: put("t", [1], h.t[0] + 0.5)(h), "hold", "warning", "in row 1"),
    "adc range": (put("adc", [3], 300.0), "adc_range", "warning", "in row 3"),
    "charge": (moved("adc", 5.0), "charge", "warning", "80 of 80"),
    "depth": (moved("z", 0.1), "drift_coordinate", "warning", "80 of 80"),
    "clock ticks": (lambda h: replace(h, t=10 * h.t), "late", "warning", "come later than charge from the cathode"),
    "saturated": (put("charge", [6], 9e6), "charge", "warning", "in row 6"),
    "velocity": (lambda h: replace(h, drift_velocity=0.2), "velocity", "warning", "0.2 cm/us"),
    "empty event": (lambda h: replace(h, event_t0={0: 0.0, 4: 1.0}), "empty_events", "note", "first event 4"),
}


def test_good_hits_have_no_fault() -> None:
    summary = looked_at(good_hits())
    assert summary.findings == ()
    facts = dict(summary.facts)
    assert facts["hits"] == "80"
    assert facts["pixels"].startswith("40 hit (per event), with 2 hits on average and 2 at most")
    assert facts["noise"] == "without noise"


@pytest.mark.parametrize("name", SPOILED)
def test_faults_are_found_where_they_are(name: str) -> None:
    spoil, rule, severity, words = SPOILED[name]
    summary = looked_at(spoil(good_hits()))
    (found,) = (f for f in summary.findings if f.rule == rule)
    assert found.severity == severity and words in found.text
    assert summary.usable == (severity != "error")


def test_saturated_hits_are_a_note_of_their_own() -> None:
    spoil = put("charge", [6], 9e6)
    h = spoil(good_hits())
    summary = looked_at(replace(h, adc=PIXELS.adc(h.charge, np.zeros(len(h), dtype=int))))
    assert [(f.rule, f.severity) for f in summary.findings] == [("saturated", "note")]


def test_whole_counts_and_ticks_are_no_fault() -> None:
    """As the readout writes them with whole counts: rounded ADC, times cut to ticks, z from the cut time."""
    h = good_hits()
    t = np.floor(h.t / 0.1 + 1e-3) * 0.1
    adc = np.clip(np.floor(h.adc + 0.5), 0, 255)
    z = GEOMETRY.drift_coordinate(h.tpc, t, h.drift_velocity)
    assert looked_at(replace(h, t=t, adc=adc, z=z)).findings == ()


@pytest.mark.parametrize(
    ("truth", "rule"),
    [({"birks_ab": -1.0}, "truth"), ({"no_such": 1.0}, "truth"), ({"electron_lifetime": 90.0}, "truth_range")],
)
def test_true_values_are_looked_at(truth: dict[str, float], rule: str) -> None:
    assert [f.rule for f in looked_at(good_hits(), truth).findings] == [rule]
