"""The events that hits belong to, and their times within them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..config.data import Column, Data, Events
from ..detector.geometry import DetectorGeometry
from ..errors import HitsError
from ..tables import Bools, Floats, Ints
from .raw import RawTable, factor, numbers, whole_numbers

#: Share of all hits later than this many times the longest drift that means another unit, or another t0.
_LATE, _LATEST = 0.5, 2.0


@dataclass(frozen=True)
class Timed:
    """Events and times of the hits that are in one: `kept` `(n,)` marks these rows of the table.

    `event_id`, `t` [us] after the event's t0: `(k,)` each, of the rows that were kept. `event_t0` [us] by event.
    """

    kept: Bools
    event_id: Ints
    t: Floats
    event_t0: dict[int, float]


def times_of(table: RawTable, events: RawTable | None, settings: Data, clock: float) -> Timed:
    """Event and time of every hit; raises `HitsError` for events without a t0 or with two."""
    column = settings.columns.t
    if events is None:
        return _by_columns(table, settings, clock)
    assert settings.events is not None
    known, begin = _events(events, settings.events, clock)
    raw = _Clock.of(table, column, clock)
    start = _Clock.of(events, settings.events.t0, clock)
    if settings.events.window_us is not None:
        return _by_windows(raw, start, known, settings.events.window_us)
    assert settings.columns.event_id is not None
    event = whole_numbers(table, settings.columns.event_id, "event_id")
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, event, sorter=order), len(known) - 1)]
    table.refuse(known[place] != event, lambda i: f"event {event[i]} has no t0 in {events.where}; add it there")
    time = raw.since(start.take(place)) if settings.absolute_time else raw.us
    found = np.unique(event)
    t0 = dict(zip(known.tolist(), begin.tolist(), strict=True))
    return Timed(np.ones(len(table), dtype=bool), event, time, {int(e): t0[int(e)] for e in found})


def check_times(table: RawTable, t: Floats, geometry: DetectorGeometry, velocity: float) -> None:
    """Refuse times before the event's, and sets of hits most of which come later than charge can drift.

    `velocity` [cm/us] of the drift. Raises `HitsError`.
    """
    table.refuse(
        t < 0,
        lambda i: (
            f"the hit comes {-t[i]:.6g} us before the t0 of its event; is the t0 that of the event, and in the unit "
            "that is stated"
        ),
    )
    longest = max(v.drift_length for v in geometry.tpcs) / velocity
    late = t > _LATEST * longest
    if late.sum() > _LATE * len(t):
        raise HitsError(
            f"{table.where}: {late.sum()} of {len(t)} hits come later than {_LATEST * longest:.0f} us after their "
            f"event, twice the longest drift, the first in row {table.row[np.flatnonzero(late)[0]]}, "
            f"{t[late][0]:.6g} us; is columns.t.unit right, and should t0 be taken off (absolute_time)?"
        )


@dataclass(frozen=True)
class _Clock:
    """Times as counts: `raw` `(n,)` times `unit` [us] plus `offset` [us]."""

    raw: npt.NDArray[np.int64] | Floats
    unit: float
    offset: float

    @staticmethod
    def of(table: RawTable, column: Column, clock: float) -> _Clock:
        if column.name is None:
            return _Clock(numbers(table, column, clock), 1.0, 0.0)
        return _Clock(table.columns[column.name], factor(column, clock), column.offset)

    @property
    def us(self) -> Floats:
        return np.asarray(self.raw * self.unit + self.offset, dtype=np.float64)

    def take(self, index: Ints) -> _Clock:
        return _Clock(self.raw[index], self.unit, self.offset)

    def since(self, start: _Clock) -> Floats:
        """Time [us] since `start`; whole counts in one unit are subtracted as such, since those of a clock that runs
        for years have more digits than a real number holds.
        """
        if self.raw.dtype.kind == start.raw.dtype.kind == "i" and self.unit == start.unit:
            return np.asarray((self.raw - start.raw) * self.unit + (self.offset - start.offset), dtype=np.float64)
        return self.us - start.us


def _by_columns(table: RawTable, settings: Data, clock: float) -> Timed:
    """Events and times where the table of hits tells all; a t0 of 0 where it tells none."""
    columns = settings.columns
    assert columns.event_id is not None
    event = whole_numbers(table, columns.event_id, "event_id")
    raw = _Clock.of(table, columns.t, clock)
    found, first, which = np.unique(event, return_index=True, return_inverse=True)
    everything = np.ones(len(table), dtype=bool)
    if columns.t0 is None:
        return Timed(everything, event, raw.us, dict.fromkeys(found.tolist(), 0.0))
    start = _Clock.of(table, columns.t0, clock)
    differs = start.raw != start.raw[first][which.reshape(-1)]
    table.refuse(differs, lambda i: f"event {event[i]} has another t0 here than in its first row; it must have one")
    time = raw.since(start) if settings.absolute_time else raw.us
    return Timed(everything, event, time, dict(zip(found.tolist(), start.us[first].tolist(), strict=True)))


def _events(events: RawTable, settings: Events, clock: float) -> tuple[Ints, Floats]:
    """`(m,)` numbers and times [us] of the events of a table."""
    begin = numbers(events, settings.t0, clock)
    if settings.event_id is None:
        known = np.empty(len(events), dtype=np.int64)
        known[np.argsort(begin, kind="stable")] = np.arange(len(events))
        return known, begin
    known = whole_numbers(events, settings.event_id, "event_id")
    order = np.argsort(known, kind="stable")
    again = np.zeros(len(known), dtype=bool)
    again[order[1:]] = np.diff(known[order]) == 0
    events.refuse(again, lambda i: f"event {known[i]} is listed above already; it must have one t0")
    return known, begin


def _by_windows(raw: _Clock, start: _Clock, known: Ints, window: float) -> Timed:
    """Hits with the last event that began before them, at most `window` [us]; the others are left out."""
    order = np.argsort(start.us, kind="stable")
    latest = np.searchsorted(start.us[order], raw.us, side="right") - 1
    place = order[np.maximum(latest, 0)]
    time = raw.since(start.take(place))
    kept = (latest >= 0) & (time >= 0) & (time <= window)
    event = known[place][kept]
    t0 = dict(zip(known.tolist(), start.us.tolist(), strict=True))
    return Timed(kept, event, time[kept], {int(e): t0[int(e)] for e in np.unique(event)})
