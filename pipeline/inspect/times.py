"""Rules on the times of segments."""

from __future__ import annotations

import numpy as np

from ..matter.particles import LIGHT
from ..tables import Floats, Segments
from .findings import Finding
from .view import View


def late(view: View) -> list[Finding]:
    """Deposits so long after the first of their event that they are not of the same drift."""
    s = view.segments
    _, event = np.unique(s.event_id, return_inverse=True)
    earliest = np.full(event.max() + 1, np.inf)
    np.minimum.at(earliest, event, s.t0)
    delay = s.t0 - earliest[event]
    what = f"come more than {view.late:g} us after the first of their event (the last after {delay.max():.4g} us)"
    advice = "decays and captures do; select.max_delay_us drops them."
    return view.rows_that("note", "late", delay > view.late, what, advice)


def times(view: View) -> list[Finding]:
    """Times that run backwards, within a segment or along a track."""
    s = view.segments
    backwards = s.t0_end < s.t0_start
    found = view.rows_that(
        "warning", "time_backwards", backwards, "end before they start (t0_end below t0_start)", "exchange the two."
    )
    tolerance = _rounding(s)
    out = ((s.t0 < s.t0_start - tolerance) | (s.t0 > s.t0_end + tolerance)) & ~backwards
    what = "have a t0 that is not between t0_start and t0_end"
    found += view.rows_that("warning", "time_outside", out, what, "only t0 is used; is it the right column?")
    track = s.track_index()
    order = np.argsort(track, kind="stable")
    same = np.diff(track[order]) == 0
    before, after = order[:-1][same], order[1:][same]
    earlier = np.zeros(len(s), dtype=np.bool_)
    earlier[after] = s.t0[after] < s.t0[before] - tolerance[after]
    what = "are earlier than the segment before them in their track"
    advice = "the direction of a track is taken from the order of its rows: sort each track by time."
    return found + view.rows_that("warning", "time_order", earlier, what, advice)


def _rounding(s: Segments) -> Floats:
    """What single precision leaves of the times [us]."""
    return np.asarray(4 * np.finfo(np.float32).eps * np.max(np.abs([s.t0, s.t0_start, s.t0_end]), axis=0) + 1e-12)


def speed(view: View) -> list[Finding]:
    """Times in another unit: known by the speed at which particles would have gone."""
    s = view.segments
    if not np.any(s.t0) and not np.any(s.t0_end - s.t0_start):
        return [Finding("note", "no_times", "all times are 0: the deposits of an event start to drift together.")]
    duration = s.t0_end - s.t0_start
    seen = (duration > 100 * _rounding(s)) & (s.length > 0.05)
    if np.count_nonzero(seen) < 10:
        return []
    beta = float(np.median(s.length[seen] / duration[seen])) / LIGHT
    text = f"the times are not in us: particles would go at {beta:.3g} of the speed of light in the median"
    if beta < 0.02:
        unit = "in ns; divide them by 1000" if 0.02 <= 1000 * beta < 1.5 else "of another unit or not times; mend them"
        return [Finding("warning", "time_unit", f"{text}; they look {unit}.")]
    if beta > 1.05:
        unit = "in ms; multiply them by 1000" if 0.02 <= beta / 1000 < 1.5 else "of another unit; mend them"
        return [Finding("warning", "time_unit", f"{text}; they look {unit}.")]
    return []
