"""Every fault of a table of segments is found where it is, and a table without fault is not accused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.checks import check_segments
from pipeline.config.models import Checks
from pipeline.errors import SegmentError
from pipeline.inspect.findings import Finding, Summary
from pipeline.inspect.segments import summarise
from pipeline.tables import Segments

from .samples import GEOMETRY, good_segments, raw

Spoil = Callable[[Segments], Segments]


def looked_at(segments: Segments, checks: Checks | None = None, **more: object) -> Summary:
    return summarise(raw(segments, **more), "in.h5", checks=checks or Checks(), geometry=GEOMETRY)


def finding(summary: Summary, rule: str) -> Finding:
    (found,) = (f for f in summary.findings if f.rule == rule)
    return found


def put(column: str, rows: list[int], value: object) -> Spoil:
    """Other values in some rows of a column."""

    def spoil(s: Segments) -> Segments:
        values = getattr(s, column).copy()
        values[rows] = value
        return s.replace(**{column: values})

    return spoil


def scaled(factor: float, *columns: str) -> Spoil:
    return lambda s: s.replace(**{name: factor * getattr(s, name) for name in columns})


def test_a_good_sample_has_no_fault() -> None:
    summary = looked_at(good_segments())
    assert [f for f in summary.findings if f.severity != "note"] == []
    facts = dict(summary.facts)
    assert facts["events"].startswith("6 (numbers 0 to 5)")
    assert facts["tracks"].startswith("24, ")
    assert "mu-" in facts["species"] and "mu+" in facts["species"]
    assert facts["x in the file"].endswith("(drift)")


SPOILED: dict[str, tuple[Spoil, str, str, str]] = {
    "nan": (put("dE", [3, 9], np.nan), "numbers", "error", "dE is nan in row 3 of segments (2 such rows)"),
    "infinite": (put("end", [4], np.inf), "numbers", "error", "end is inf in row 4"),
    "negative": (put("dE", [7], -1.0), "numbers", "error", "dE is -1 in row 7"),
    "mm": (scaled(10, "start", "end", "dx"), "mostly_outside", "error", "mm instead of cm?"),
    "dx": (put("dx", [2, 5, 6], 2.5), "inconsistent_length", "warning", "3 of "),
    "dEdx": (scaled(1.1, "dEdx"), "inconsistent_length", "warning", "dEdx that differs from dE/dx"),
    "GeV": (scaled(1e-3, "dE", "dEdx"), "loses_less", "warning", "dE looks like GeV"),
    "keV": (scaled(1e3, "dE", "dEdx"), "loses_more", "warning", "dE looks like keV"),
    "ns": (scaled(1e3, "t0", "t0_start", "t0_end"), "time_unit", "warning", "in ns; divide them by 1000"),
    "ms": (scaled(1e-3, "t0", "t0_start", "t0_end"), "time_unit", "warning", "in ms; multiply them by 1000"),
    "late": (put("t0", [11], 5e3), "late", "note", "1 of "),
    "backwards": (lambda s: s.replace(t0_start=s.t0_end, t0_end=s.t0_start), "time_backwards", "warning", "in row 0"),
    "reversed": (lambda s: s.take(np.arange(len(s))[::-1]), "time_order", "warning", "sort each track by time"),
    "unknown species": (put("pdg_id", [1], 424242), "unknown_species", "warning", "424242"),
    "no species": (put("pdg_id", [1], 0), "species_zero", "note", "in row 1"),
    "neutral": (put("pdg_id", [8], 2112), "neutral_species", "note", "(n), in row 8"),
    "dE 0": (lambda s: put("dEdx", [2], 0.0)(put("dE", [2], 0.0)(s)), "no_energy", "note", "in row 2"),
    "left out": (
        lambda s: s.take(s.event_id != 2),
        "empty_events",
        "note",
        "1 of the 6 event numbers from 0 to 5 without a segment (2)",
    ),
    "no times": (scaled(0, "t0", "t0_start", "t0_end"), "no_times", "note", "all times are 0"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_faults_are_found_where_they_are(name: str) -> None:
    spoil, rule, severity, words = SPOILED[name]
    good, bad = looked_at(good_segments()), looked_at(spoil(good_segments()))
    assert rule not in {f.rule for f in good.findings}
    found = finding(bad, rule)
    assert found.severity == severity
    assert words in found.text
    assert bad.usable == (severity != "error")


def test_zero_length_is_dropped_or_refused_as_configured() -> None:
    s = good_segments()
    spoiled = s.replace(end=np.where(np.arange(len(s))[:, None] == 5, s.start, s.end))
    dropped = finding(looked_at(spoiled), "zero_length")
    refused = finding(looked_at(spoiled, Checks(zero_length="refuse")), "zero_length")
    assert (dropped.severity, refused.severity) == ("warning", "error")
    assert "in row 5" in dropped.text and "in row 5" in refused.text


@pytest.mark.parametrize(
    ("order", "words"),
    [((2, 1, 0), "x and z exchanged?"), ((0, 2, 1), "x and y exchanged?"), ((1, 0, 2), "y and z ex")],
)
def test_exchanged_axes_are_named_as_in_the_file(order: tuple[int, ...], words: str) -> None:
    """Columns 0, 1, 2 of a table are z, y, x of a file whose drift is along x."""
    s = good_segments(20)
    spoiled = s.replace(start=s.start[:, order], end=s.end[:, order])
    found = [f for f in looked_at(spoiled).findings if f.rule in ("mostly_outside", "outside_volume")]
    assert len(found) == 1 and words in found[0].text


def test_protons_called_muons_lose_too_much() -> None:
    """A proton that stops after 15 cm had 150 MeV; a muon would need under 60."""
    from pipeline.matter.particles import mass
    from pipeline.matter.ranges import range_table

    table = range_table(mass(2212))
    edges = np.linspace(15.0, 0.0, 31)
    energy = -np.diff(table.energy(edges))
    n = len(energy)
    start = np.stack([np.linspace(-7, 8, n + 1)[:-1], np.full(n, -20.0), np.full(n, 10.0)], axis=1)
    end = start + np.array([0.5, 0, 0])
    whole, zero = np.zeros(n, dtype=np.int64), np.zeros(n)
    protons = Segments(
        event_id=whole, vertex_id=whole, segment_id=np.arange(n), traj_id=whole, pdg_id=whole + 2212, start=start,
        end=end, t0=zero, t0_start=zero, t0_end=zero, dE=energy, dx=zero + 0.5, dEdx=energy / 0.5,
    )  # fmt: skip
    assert not {f.rule for f in looked_at(protons).findings} & {"loses_more", "loses_less"}
    called_muons = looked_at(protons.replace(pdg_id=whole + 13))
    assert "is the species right, or the unit?" in finding(called_muons, "loses_more").text


def test_rows_and_events_that_come_again() -> None:
    s = good_segments()
    twice = Segments.concatenate([s, s.take(s.event_id == 0)])
    again = int(np.count_nonzero(s.event_id == 0))
    summary = looked_at(twice)
    assert finding(summary, "repeated_rows").text.startswith(f"{again} of {len(twice)} segments")
    assert f"first in row {len(s)}" in finding(summary, "repeated_rows").text
    assert f"row {len(s)} (event 0)" in finding(summary, "repeated_events").text
    assert finding(summary, "repeated_ids").severity == "note"


def test_gaps_are_counted_with_their_widest() -> None:
    s = good_segments()
    first = np.flatnonzero(s.track_index() == 0)
    kept = s.take(np.setdiff1d(np.arange(len(s)), first[3:7]))
    before, after = looked_at(s), looked_at(kept)
    assert "gaps" not in {f.rule for f in before.findings}
    assert "1 gap of over 2 cm" in finding(after, "gaps").text
    assert f"before row {first[3]}" in finding(after, "gaps").text


def test_rules_whose_columns_are_missing_say_nothing() -> None:
    s = good_segments()
    empty = s.replace(dE=np.zeros(len(s)), dEdx=np.zeros(len(s)))
    without = looked_at(empty, absent=frozenset({"dE", "dEdx"}))
    assert "no_energy" in {f.rule for f in looked_at(empty).findings}
    assert not {"no_energy", "loses_less"} & {f.rule for f in without.findings}


@pytest.mark.parametrize("name", SPOILED)
@pytest.mark.parametrize("action", ["drop", "refuse"])
def test_an_error_is_what_commands_refuse(name: str, action: str) -> None:
    """The verdict agrees with the checks that every command makes."""
    checks = Checks(inconsistent_length=action, zero_length=action, outside_volume=action, mostly_outside=action)
    segments = SPOILED[name][0](good_segments())
    try:
        check_segments(segments, checks, GEOMETRY, "in.h5")
        refused = False
    except SegmentError:
        refused = True
    assert looked_at(segments, checks).usable == (not refused)


@pytest.mark.parametrize("value", [1e300, -1e300, 5e-324])
def test_absurd_numbers_are_findings(value: float) -> None:
    s = good_segments(2)
    with np.errstate(all="ignore"):
        summary = looked_at(s.replace(start=np.full_like(s.start, value), t0=np.full(len(s), value)))
    assert not summary.usable or [f for f in summary.findings if f.severity == "warning"]
