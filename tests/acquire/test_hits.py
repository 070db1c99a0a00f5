"""Hits of another layout: the same after the way there and back, and refused where they cannot be hits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.acquire.hits import Acquired, acquire
from pipeline.acquire.raw import RawTable
from pipeline.config.data import Data
from pipeline.detector.pixels import PixelConstants, draw_pixels
from pipeline.errors import HitsError
from pipeline.storage.detector import load_geometry
from pipeline.tables import Hits

from .layouts import COLUMNS, EPOCH, foreign_rows, made_up_hits, raw, settings

GEOMETRY = load_geometry("module0")
NOMINAL = PixelConstants.nominal(GEOMETRY)
HITS = made_up_hits(GEOMETRY)


def taken(rows: np.ndarray, events: np.ndarray | None, data: Data, channels: RawTable | None = None) -> Acquired:
    table = None if events is None else raw(events, "foreign.h5: charge/events")
    return acquire(raw(rows), table, channels, data, GEOMETRY, NOMINAL)


def assert_same(found: Hits, hits: Hits) -> None:
    assert len(found) == len(hits)
    for name in Hits.COLUMNS:
        np.testing.assert_allclose(getattr(found, name), getattr(hits, name), rtol=1e-12, atol=1e-9, err_msg=name)


def test_there_and_back() -> None:
    rows, events = foreign_rows(HITS)
    found = taken(rows, events, settings())
    assert_same(found.hits, HITS)
    assert found.warnings == () and found.hits.recording == HITS.recording
    assert found.hits.event_t0 == {e: pytest.approx(1e-3 * EPOCH + 1e6 * e) for e in HITS.event_t0}


def test_times_of_a_clock_that_runs_for_years_lose_no_digit() -> None:
    """A double holds nanoseconds since 1970 to 256 ns; the times of hits come out exact."""
    rows, events = foreign_rows(HITS)
    found = taken(rows, events, settings()).hits
    assert np.abs(found.t - HITS.t).max() < 1e-9


@pytest.mark.parametrize(
    ("changed", "column", "values"),
    [
        ({"charge": None, "adc": {"name": "n"}}, "n", HITS.adc),
        ({"charge": None, "adc": {"name": "n", "unit": "mV"}}, "n", HITS.charge * 4e-3 + 580.0),
        ({"charge": {"name": "n", "unit": "fC"}}, "n", HITS.charge * 1.602176634e-4),
        ({"charge": {"name": "n", "scale": 250.0}}, "n", HITS.charge * 4e-3),  # mV without pedestal, 4 mV per ke
        ({"x": None, "y": None, "pixel_x": {"name": "n", "scale": -1, "offset": 139},
          "pixel_y": {"name": "py_"}}, "n", 139 - HITS.pixel_x),
    ],
)  # fmt: skip
def test_other_units_mean_the_same(changed: dict[str, Any], column: str, values: np.ndarray) -> None:
    columns = {n: c for n, c in (COLUMNS | changed).items() if c is not None}
    columns |= {"event_id": {"name": "e"}, "tpc": {"name": "side"}, "t": {"name": "t"}}
    table = RawTable(
        "f.h5: h", {"e": HITS.event_id, "side": HITS.tpc, "t": HITS.t, "px": 10 * HITS.x, "py": 10 * HITS.y,
                    "py_": HITS.pixel_y, "q": HITS.charge / 1e3, column: values}, np.arange(len(HITS)),
    )  # fmt: skip
    found = acquire(table, None, None, settings(columns=columns, events=None, absolute_time=False), GEOMETRY, NOMINAL)
    assert_same(found.hits, HITS)


def test_ticks_are_those_of_the_detector() -> None:
    rows, _ = foreign_rows(HITS)
    rows["stamp"] = 7 * np.arange(len(rows)) % 1000
    columns = COLUMNS | {"t": {"name": "stamp", "unit": "ticks"}, "hit": {"value": 0}}
    one_each = rows[np.unique(rows[["evt", "side", "px", "py"]], return_index=True)[1]]
    found = taken(one_each, None, settings(columns=columns, events=None, absolute_time=False)).hits
    np.testing.assert_allclose(np.sort(found.t), np.sort(0.1 * one_each["stamp"]))


def test_counts_become_charge_by_the_constants_of_each_pixel() -> None:
    pixels = draw_pixels(GEOMETRY, threshold_spread=0.0, gain_spread=0.02, pedestal_spread=5.0, seed=3)
    rows, events = foreign_rows(HITS)
    columns = {n: c for n, c in COLUMNS.items() if n != "charge"} | {"adc": {"name": "q", "scale": 1.0}}
    rows["q"] = np.linspace(80, 130, len(rows))
    found = acquire(raw(rows), raw(events), None, settings(columns=columns), GEOMETRY, pixels).hits
    channel = GEOMETRY.channel(found.tpc, found.pixel_x, found.pixel_y)
    np.testing.assert_allclose(found.charge, pixels.charge(found.adc, channel))
    assert found.recording.pixels == pixels.digest() != NOMINAL.digest()


def test_channels_of_the_electronics_by_a_map() -> None:
    rows, events = foreign_rows(HITS)
    known = np.unique(GEOMETRY.channel(HITS.tpc, HITS.pixel_x, HITS.pixel_y))
    pixel = dict(zip(("tpc", "pixel_x", "pixel_y"), GEOMETRY.pixel(known), strict=True))
    table = RawTable("map.csv", {"chip": known // 64, "pin": known % 64, **pixel}, np.arange(2, 2 + len(known)))
    columns = {n: c for n, c in COLUMNS.items() if n not in ("tpc", "x", "y")}
    data = settings(columns=columns, channels={"file": "map.csv", "keys": ["chip", "pin"]})
    x, y = ((rows[n] / 10 - low) // GEOMETRY.pixel_pitch for n, low in (("px", -31.039), ("py", -83.8626)))
    channel = GEOMETRY.channel(rows["side"].astype(int) - 1, x.astype(int), y.astype(int))
    hits = raw(rows)
    hits = replace(hits, columns={**hits.columns, "chip": channel // 64, "pin": channel % 64})
    assert_same(acquire(hits, raw(events), table, data, GEOMETRY, NOMINAL).hits, HITS)
    with pytest.raises(HitsError, match=r"channel chip \d+, pin \d+ is not in map\.csv; add it"):
        acquire(hits, raw(events), table.take(np.arange(len(known) - 1)), data, GEOMETRY, NOMINAL)
    again = table.take(np.append(np.arange(len(known)), 0))
    with pytest.raises(HitsError, match=r"map\.csv, row 2: channel .* is listed above already"):
        acquire(hits, raw(events), again, data, GEOMETRY, NOMINAL)


def test_events_by_windows_after_triggers() -> None:
    """Hits without event numbers belong to the trigger before them; those between events are left out and counted."""
    rows, events = foreign_rows(HITS)
    stray = rows[:2].copy()
    stray["stamp"] = [EPOCH - 5000, EPOCH + 500_000_000]
    columns = {n: c for n, c in COLUMNS.items() if n != "event_id"}
    table = {"dataset": "e", "t0": {"name": "begin", "unit": "ns"}, "window_us": 400.0}
    found = taken(np.concatenate([stray, rows]), events, settings(columns=columns, events=table))
    assert_same(found.hits, HITS)
    assert found.warnings == (
        f"foreign.h5: charge/hits: 2 of {len(rows) + 2} hits belong to no event and were left out.",
    )


Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def with_(name: str, change: Callable[[np.ndarray], Any]) -> Change:
    def changed(rows: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = rows.copy()
        rows[name] = change(rows[name])
        return rows, events

    return changed


REFUSED: list[tuple[str, Change, dict[str, Any], str]] = [
    ("mm", with_("px", lambda v: v), {"x": {"name": "px"}, "y": {"name": "py"}},
     r"is off the anode plane of module0, x -31\.039 \.\.\. .*; are they in mm \(then set unit: mm"),
    ("axes", with_("px", lambda v: v), {"x": {"name": "py", "unit": "mm"}, "y": {"name": "px", "unit": "mm"}},
     r"off the anode plane.*are x and y exchanged "),
    ("nowhere", with_("px", lambda v: v + 1e5), {}, r"off the anode plane.*is it the right detector\.file"),
    ("between", with_("py", lambda v: v + 1.0), {},
     r"row \d+: x = .* cm is 0\.1 cm from the centre of the nearest pixel, \(\d+, \d+\); .*offset missing \(\d+ of"),
    ("side", with_("side", lambda v: np.where(np.arange(len(v)) == 4, 3, v)), {},
     r"row 4: side is 3, and columns\.tpc\.values does not say what that means; add it \(1 of \d+ rows are so\)"),
    ("tpc", with_("side", lambda v: v), {"tpc": {"name": "side"}},
     r"module0 has no pixel \(\d+, \d+\) of tpc 2; it has 2 tpcs of 140 x 280 pixels"),
    ("whole", with_("side", lambda v: v), {"event_id": {"name": "evt", "offset": 0.5}},
     r"event_id would be 10\d\.5, not a whole number"),
    ("event", with_("evt", lambda v: v + 40), {}, r"event 4\d has no t0 in foreign\.h5: charge/events; add it there"),
    ("early", with_("stamp", lambda v: v - 10**6), {}, r"the hit comes \d+\.\d+ us before the t0 of its event"),
    ("late", with_("stamp", lambda v: v + 10**7), {}, r"later than \d+ us after their event, twice the longest drift"),
    ("adc", with_("q", lambda v: v), {"charge": None, "adc": {"name": "q", "scale": 100.0}},
     r"counts is beyond the ADC, 0 \.\.\. 256 counts; is the unit of columns\.adc right"),
    ("charge", with_("q", lambda v: v), {"charge": {"name": "q", "unit": "fC", "scale": 1e3}},
     r"electrons is beyond the ADC.*columns\.charge right"),
    ("same number", with_("q", lambda v: v), {"hit": {"value": 0}}, r"has a hit of this number above already"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "columns", "says"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_cannot_be_is_refused(change: Change, columns: dict[str, Any], says: str) -> None:
    data = settings(columns={n: c for n, c in (COLUMNS | columns).items() if c is not None})
    with pytest.raises(HitsError, match=says) as refusal:
        taken(*change(*foreign_rows(HITS)), data)
    assert str(refusal.value).startswith("foreign.h5: charge/")


def in_one_pixel(stamps: list[int]) -> np.ndarray:
    """Hits of event 100 on one pixel at these times [ns] after its t0."""
    rows = np.repeat(foreign_rows(HITS)[0][:1], len(stamps))
    rows["evt"], rows["stamp"] = 100, EPOCH + np.array(stamps)
    return rows


def test_chains_of_one_pixel() -> None:
    events = foreign_rows(HITS)[1]
    found = taken(in_one_pixel([9000, 3000, 6000]), events, settings()).hits
    assert found.hit.tolist() == [0, 1, 2] and found.t == pytest.approx([3.0, 6.0, 9.0])
    with pytest.raises(HitsError, match=r"has another hit at the same time; is a row there twice \(1 of 3 rows"):
        taken(in_one_pixel([3000, 3000, 6000]), events, settings())
    second = settings(columns=COLUMNS | {"hit": {"value": 1}})
    with pytest.raises(HitsError, match=r"in event 0 has no hit of the number before; they count from 0 without gaps"):
        taken(in_one_pixel([3000]), events, second)
    with pytest.raises(HitsError, match=r"has more than 10 hits, the most that module0 records"):
        taken(in_one_pixel(list(range(1000, 34000, 3000))), events, settings())
    (said,) = taken(in_one_pixel([3000, 3500]), events, settings()).warnings
    assert "1 hits begin less than 1.8 us, the hold of module0, after the one before in their pixel" in said


def test_a_number_that_disagrees_with_time() -> None:
    rows = in_one_pixel([9000, 3000])
    rows["q"] = [0, 1]
    columns = COLUMNS | {"hit": {"name": "q"}, "charge": {"value": 2e4}}
    with pytest.raises(HitsError, match=r"has this hit before the one of the number before; leave out columns\.hit"):
        taken(rows, foreign_rows(HITS)[1], settings(columns=columns))


def test_whole_counts() -> None:
    rows, events = foreign_rows(HITS)
    columns = {n: c for n, c in COLUMNS.items() if n != "charge"} | {"adc": {"name": "q"}}
    with pytest.raises(HitsError, match=r"is no whole number of counts; set data\.integer to false"):
        taken(rows, events, settings(columns=columns, integer=True))
    rows["q"] = np.rint(rows["q"])
    found = taken(rows, events, settings(columns=columns, integer=True)).hits
    assert found.recording.integer and np.all(found.adc == np.rint(found.adc))


def test_one_event_has_one_t0() -> None:
    rows, events = foreign_rows(HITS)
    with pytest.raises(HitsError, match=r"event \d is listed above already; it must have one t0"):
        taken(rows, np.append(events, events[:1]), settings())
    data = settings(columns=COLUMNS | {"t0": {"name": "q"}}, events=None)
    with pytest.raises(HitsError, match=r"event \d has another t0 here than in its first row"):
        taken(rows, None, data)
