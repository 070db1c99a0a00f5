"""Checks on segments: numbers, lengths, and the active volume of the detector; and on the order of hits.

Pure functions on tables; `pipeline.storage` applies them to every file of segments or hits that is read. What a
failed check does is a setting (`checks`), except for numbers that mean nothing: those are always refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from .config.models import Checks
from .detector.geometry import DetectorGeometry
from .errors import SegmentError
from .tables import Bools, Ints, Segments

#: `dx` may differ from |end - start| by the larger of these: in cm, and relative to the length.
LENGTH_TOLERANCE_CM = 0.01
LENGTH_TOLERANCE = 0.01

#: `dEdx` may differ from dE / dx by this, relative to dE / dx, where `dx` is at least so long [cm]: below, the rounding
#: of single precision files decides.
STOPPING_TOLERANCE = 0.01
STOPPING_LENGTH_CM = 1e-3

_FINITE = ("start", "end", "t0", "t0_start", "t0_end", "dE", "dx", "dEdx")
_NOT_NEGATIVE = ("dE", "dEdx")


#: The columns that files of hits are sorted by.
HIT_KEY = ("event_id", "tpc", "pixel_x", "pixel_y", "hit")


@dataclass(frozen=True)
class Checked:
    """Segments that passed, the rows `(n,)` of the input they were, and one sentence per kind of drop or repair."""

    segments: Segments
    rows: Ints
    warnings: tuple[str, ...]


def check_segments(segments: Segments, checks: Checks, geometry: DetectorGeometry | None, where: str) -> Checked:
    """Apply all checks; without `geometry` only those of numbers and lengths.

    `segments` in the frame of `geometry`; `where` (the file) begins every sentence. Raises `SegmentError`.
    """
    check_numbers(segments, where)
    run = _Run(segments, where)
    run.settle(segments.length == 0.0, checks.zero_length, "zero_length", "with start equal to end")
    for find, repair, what in (
        (inconsistent_length, run.repair_length, "with a dx that differs from |end - start|"),
        (inconsistent_stopping, run.repair_stopping, "with a dEdx that differs from dE/dx"),
    ):
        bad = find(run.segments)
        if checks.inconsistent_length == "repair":
            repair(bad, what)
        else:
            run.settle(bad, checks.inconsistent_length, "inconsistent_length", what)
    if geometry is not None:
        outside = ~geometry.active(run.segments)
        if checks.mostly_outside == "refuse" and 2 * np.count_nonzero(outside) > len(outside):
            raise _mostly_outside(run.segments, outside, geometry, where)
        what = f"with a centre outside the active volume of {geometry.name}"
        run.settle(outside, checks.outside_volume, "outside_volume", what)
    if not len(run.segments):
        raise SegmentError(f"{where}: the checks leave no segment; {' and '.join(run.notes)}.")
    return Checked(run.segments, run.rows, tuple(f"{where}: {note}" for note in run.notes))


def check_numbers(segments: Segments, where: str) -> None:
    """Refuse an empty table, numbers that are not finite, and negative dE or dE/dx; raises `SegmentError`."""
    for fault in number_faults(segments):
        raise SegmentError(f"{where}: {fault}")


def number_faults(segments: Segments) -> Iterator[str]:
    """A sentence for every column with numbers that mean nothing, or for an empty table."""
    if not len(segments):
        yield "there are no events (the table of segments is empty)."
        return
    for name in _FINITE:
        values = getattr(segments, name).reshape(len(segments), -1)
        bad = ~np.isfinite(values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            yield (
                f"{name} is {values[row, column]} in row {row} of segments "
                f"({np.count_nonzero(bad.any(axis=1))} such rows); every number must be finite."
            )
    for name in _NOT_NEGATIVE:
        values = getattr(segments, name)
        rows = np.flatnonzero(values < 0)
        if len(rows):
            yield (
                f"{name} is {values[rows[0]]:g} in row {rows[0]} of segments ({len(rows)} such rows); "
                "it must not be negative."
            )


def meaningful(segments: Segments) -> Bools:
    """`(n,)` whether all numbers of a segment mean something: none of `number_faults` is about it."""
    good = np.ones(len(segments), dtype=np.bool_)
    for name in _FINITE:
        values = getattr(segments, name)
        good &= np.isfinite(values).all(axis=1) if values.ndim > 1 else np.isfinite(values)
    for name in _NOT_NEGATIVE:
        good &= ~(getattr(segments, name) < 0)
    return good


def inconsistent_length(segments: Segments) -> Bools:
    """`(n,)` whether `dx` differs from |end - start| by more than max(0.01 cm, 1 %)."""
    length = segments.length
    return np.abs(segments.dx - length) > np.maximum(LENGTH_TOLERANCE_CM, LENGTH_TOLERANCE * length)


def inconsistent_stopping(segments: Segments) -> Bools:
    """`(n,)` whether `dEdx` differs from dE / dx by over 1 % for a dx of 1e-3 cm or more, or is 0 with dE above 0."""
    long = segments.dx >= STOPPING_LENGTH_CM
    wrong = np.abs(segments.dEdx * segments.dx - segments.dE) > STOPPING_TOLERANCE * segments.dE
    lost = (segments.dEdx == 0) & (segments.dE > 0)
    return np.asarray(long & wrong | lost)


class _Run:
    """What is left while the checks go on, and what they did."""

    def __init__(self, segments: Segments, where: str) -> None:
        self.segments = segments
        self.rows: Ints = np.arange(len(segments), dtype=np.int64)
        self.where = where
        self.notes: list[str] = []

    def settle(self, bad: Bools, action: str, setting: str, what: str) -> None:
        """Refuse or drop the segments marked `bad`, as the setting says."""
        count = np.count_nonzero(bad)
        if not count:
            return
        if action == "refuse":
            raise SegmentError(
                f"{self.where}: {count} of {len(bad)} segments {what}, first in row {self.rows[bad][0]}, and "
                f"checks.{setting} is refuse."
            )
        self.notes.append(f"dropped {count} of {len(bad)} segments {what}")
        self.segments, self.rows = self.segments.take(~bad), self.rows[~bad]

    def repair_length(self, bad: Bools, what: str) -> None:
        """Set `dx` to the length and `dEdx` to dE / dx where `bad`."""
        count = np.count_nonzero(bad)
        if not count:
            return
        length = self.segments.length
        self.notes.append(f"set dx to the length and dEdx to dE/dx in {count} of {len(bad)} segments {what}")
        self.segments = self.segments.replace(
            dx=np.where(bad, length, self.segments.dx),
            dEdx=np.where(bad, self.segments.dE / length, self.segments.dEdx),
        )

    def repair_stopping(self, bad: Bools, what: str) -> None:
        """Set `dEdx` to dE / dx where `bad`; over the length where a short segment has no dx."""
        count = np.count_nonzero(bad)
        if not count:
            return
        dx = np.where(self.segments.dx > 0, self.segments.dx, self.segments.length)
        self.notes.append(f"set dEdx to dE/dx in {count} of {len(bad)} segments {what}")
        self.segments = self.segments.replace(dEdx=np.where(bad, self.segments.dE / dx, self.segments.dEdx))


def guess_cause(segments: Segments, geometry: DetectorGeometry) -> str | None:
    """What would put segments that lie outside inside: another unit, or axes in another order; None if neither does.

    Axes are named as in the file. A change counts if it leaves at most half as many outside as now, the first that
    leaves next to nothing before others; units are in question only where more than half lie outside, and after the
    order of axes, as a tenth of nearly everything lies inside.
    """
    now = _outside(segments, geometry)
    same, *others = sorted(permutations(range(3)), key=lambda order: sum(i != place for i, place in enumerate(order)))
    two, three = others[:3], others[3:]
    few = 0.05 * len(segments)
    tried = [(1.0, two, few), (1.0, three, few)]
    if 2 * now > len(segments):
        tried += [(0.1, [same], few), (0.1, two, few), (0.1, three, few)]
        tried += [(0.1, [same], np.inf), (1.0, others, np.inf), (0.1, others, np.inf)]
    names = "zyx" if geometry.drift_axis == "x" else "xyz"
    for scale, orders, most in tried:
        left, order = min((_outside(segments, geometry, scale, order), order) for order in orders)
        if 2 * left <= now and left <= most:
            said = (["mm instead of cm"] if scale != 1 else []) + ([_exchange(order, names)] if order != same else [])
            return f"{', and '.join(said)}?"
    return None


def _outside(
    segments: Segments, geometry: DetectorGeometry, scale: float = 1.0, order: tuple[int, ...] = (0, 1, 2)
) -> int:
    """How many segments lie outside once their positions are scaled and their axes reordered."""
    start, end = (scale * points[:, list(order)] for points in (segments.start, segments.end))
    return int(np.count_nonzero(~geometry.active(segments.replace(start=start, end=end))))


def _exchange(axes: tuple[int, ...], names: str) -> str:
    """In words which axes of the file a permutation exchanges; `names` are those of the three columns."""
    moved = sorted(names[i] for i, place in enumerate(axes) if place != i)
    return f"{' and '.join(moved)} exchanged" if len(moved) == 2 else "x, y and z in another order"


def negative_keys(columns: Mapping[str, Ints]) -> Ints:
    """Rows of hits with a negative tpc, pixel or hit number."""
    return np.flatnonzero(np.any([columns[name] < 0 for name in HIT_KEY[1:]], axis=0))


def misplaced_hits(columns: Mapping[str, Ints]) -> tuple[Ints, Ints]:
    """Rows of hits that do not come after the row before in the order of `HIT_KEY`, and rows that repeat it."""
    step = np.diff(np.stack([columns[name] for name in HIT_KEY], axis=1), axis=0)
    # The first column in which neighbours differ must grow; no difference at all is a duplicate.
    first = np.argmax(step != 0, axis=1)
    grows = np.take_along_axis(step, first[:, None], axis=1)[:, 0]
    return 1 + np.flatnonzero(grows < 0), 1 + np.flatnonzero(grows == 0)


def _mostly_outside(segments: Segments, outside: Bools, geometry: DetectorGeometry, where: str) -> SegmentError:
    """The refusal of a file most of which lies outside, with a guess at why."""
    low, high = segments.centre.min(axis=0), segments.centre.max(axis=0)
    span = ", ".join(f"{axis} {a:.1f} ... {b:.1f}" for axis, a, b in zip("xyz", low, high, strict=True))
    guess = guess_cause(segments, geometry) or "is it the right detector.file?"
    return SegmentError(
        f"{where}: {np.count_nonzero(outside)} of {len(outside)} segments lie outside the active volume of "
        f"{geometry.name} (centres, z along the drift: {span} cm); {guess}"
    )
