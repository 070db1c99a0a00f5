"""Hits that were recorded elsewhere as hits of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import HIT_KEY
from ..config.data import Columns, Data
from ..detector.argon import scaled_drift_velocity
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants
from ..errors import HitsError
from ..parameters import nominal_values
from ..tables import Floats, Hits, Ints, Recording
from .pixels import mapped, pixels_of
from .raw import RawTable, numbers, whole_numbers
from .times import check_times, times_of

#: Counts of whole data may lie so far from whole ones, as those made from voltages do.
_WHOLE = 1e-3
#: And so far beyond the ends of the ADC.
_BEYOND = 1e-3


@dataclass(frozen=True)
class Acquired:
    """Hits in our form, and sentences about what was left out or looks strange."""

    hits: Hits
    warnings: tuple[str, ...]


def acquire(
    table: RawTable,
    events: RawTable | None,
    channels: RawTable | None,
    settings: Data,
    geometry: DetectorGeometry,
    pixels: PixelConstants,
) -> Acquired:
    """Hits of `table` as the settings say what its columns mean, sorted; `pixels` turn counts and charge into one
    another, and are recorded as those of the data.

    The drift coordinate is that at the nominal drift velocity. Raises `HitsError` for hits that no run of this detector
    can have recorded.
    """
    clock, columns, warnings = geometry.readout.clock, settings.columns, []
    timed = times_of(table, events, settings, clock)
    left_out = len(table) - int(timed.kept.sum())
    if left_out:
        assert settings.events is not None
        if left_out == len(table):
            raise HitsError(
                f"{table.where}: no hit lies within events.window_us = {settings.events.window_us:g} us after an event;"
                " are t and t0 in the units that are stated, and from the same clock?"
            )
        warnings.append(f"{table.where}: {left_out} of {len(table)} hits belong to no event and were left out.")
    table = table.take(timed.kept)
    velocity = float(scaled_drift_velocity(nominal_values(), geometry.temperature))
    check_times(table, timed.t, geometry, velocity)
    if channels is None:
        tpc, pixel_x, pixel_y = pixels_of(table, columns, geometry, settings.position_tolerance_cm)
    else:
        assert settings.channels is not None
        tpc, pixel_x, pixel_y = mapped(table, channels, settings.channels, geometry)
    channel = geometry.channel(tpc, pixel_x, pixel_y)
    order = _numbered(table, columns, timed.event_id, channel, timed.t)
    _check_chains(table, timed.event_id, channel, order, timed.t, geometry, warnings)
    adc = _counts(table, columns, channel, pixels, integer=settings.integer)
    charge = pixels.charge(adc, channel) if columns.charge is None else numbers(table, columns.charge, clock)
    x, y = geometry.pixel_centre(pixel_x, pixel_y)
    z = geometry.drift_coordinate(tpc, timed.t, velocity)
    found: dict[str, Any] = dict(
        zip(
            Hits.COLUMNS,
            (timed.event_id, tpc, pixel_x, pixel_y, order, x, y, z, timed.t, adc, charge),
            strict=True,
        )
    )
    row = np.lexsort([found[name] for name in reversed(HIT_KEY)])
    hits = Hits(
        **{name: values[row] for name, values in found.items()},
        drift_velocity=velocity,
        event_t0=timed.event_t0,
        recording=Recording(settings.integer, settings.noise_electrons, pixels.digest()),
    )
    return Acquired(hits, tuple(warnings))


def _numbered(table: RawTable, columns: Columns, event: Ints, channel: Ints, t: Floats) -> Ints:
    """`(n,)` number of every hit in its pixel and event: as the table has it, or in order of time."""
    if columns.hit is not None:
        return whole_numbers(table, columns.hit, "hit")
    row = np.lexsort([t, channel, event])
    begins = np.ones(len(row), dtype=bool)
    begins[1:] = (np.diff(event[row]) != 0) | (np.diff(channel[row]) != 0)
    start = np.flatnonzero(begins)
    order = np.empty(len(row), dtype=np.int64)
    order[row] = np.arange(len(row)) - np.repeat(start, np.diff(np.append(start, len(row))))
    return order


def _check_chains(
    table: RawTable,
    event: Ints,
    channel: Ints,
    order: Ints,
    t: Floats,
    geometry: DetectorGeometry,
    warnings: list[str],
) -> None:
    """Refuse repeated hits, numbers with gaps, times that do not grow within a pixel, and more hits than one records.

    Hits that begin before the one before has ended are worth a warning.
    """
    row = np.lexsort([order, channel, event])
    same = np.zeros(len(row), dtype=bool)
    same[1:] = (np.diff(event[row]) == 0) & (np.diff(channel[row]) == 0)
    step, wait = (np.diff(v[row], prepend=0) for v in (order, t))

    def told(i: int) -> str:
        tpc, x, y = (int(n[0]) for n in geometry.pixel(channel[i : i + 1]))
        return f"pixel ({x}, {y}) of tpc {tpc} in event {event[i]}"

    def refuse(bad: np.ndarray, sentence: str) -> None:
        marked = np.zeros(len(row), dtype=bool)
        marked[row] = bad
        table.refuse(marked, lambda i: f"{told(i)} {sentence}")

    refuse(same & (step == 0), "has a hit of this number above already; is a row there twice")
    refuse(
        np.where(same, step != 1, order[row] != 0), "has no hit of the number before; they count from 0 without gaps"
    )
    refuse(same & (wait == 0), "has another hit at the same time; is a row there twice")
    refuse(
        same & (wait < 0), "has this hit before the one of the number before; leave out columns.hit if time orders them"
    )
    most = geometry.readout.max_hits
    refuse(order[row] >= most, f"has more than {most} hits, the most that {geometry.name} records (readout.max_hits)")
    early = same & (wait < geometry.readout.hold - geometry.readout.clock)
    if early.any():
        first = int(row[np.flatnonzero(early)[0]])
        warnings.append(
            f"{table.where}: {early.sum()} hits begin less than {geometry.readout.hold:g} us, the hold of "
            f"{geometry.name}, after the one before in their pixel (the first in row {table.row[first]}); are these "
            "its times?"
        )


def _counts(table: RawTable, columns: Columns, channel: Ints, pixels: PixelConstants, *, integer: bool) -> Floats:
    """`(n,)` ADC counts from counts, voltages or charges; refuses those that the ADC cannot give."""
    r = pixels.readout
    column = columns.adc if columns.adc is not None else columns.charge
    assert column is not None
    given = numbers(table, column, r.clock)
    if columns.adc is None:
        low, high = (
            pixels.charge(np.zeros(len(given)), channel),
            pixels.charge(np.full(len(given), r.adc_counts), channel),
        )
        unit, counts = "electrons", pixels.adc(given, channel)
    elif columns.adc.unit == "mV":
        low, high = np.full(len(given), r.common_mode), np.full(len(given), r.reference)
        unit, counts = "mV", (given - r.common_mode) * r.counts_per_mv
    else:
        low, high, unit, counts = np.zeros(len(given)), np.full(len(given), float(r.adc_counts)), "counts", given
    slack = _BEYOND * (high - low) / r.adc_counts
    table.refuse(
        (given < low - slack) | (given > high + slack),
        lambda i: (
            f"{given[i]:.6g} {unit} is beyond the ADC, {low[i]:.6g} ... {high[i]:.6g} {unit}; is the unit of "
            f"columns.{'charge' if columns.adc is None else 'adc'} right, and are the constants of readout.pixels "
            "those of the data"
        ),
    )
    counts = np.clip(counts, 0.0, r.adc_counts)
    if integer:
        table.refuse(
            np.abs(counts - np.round(counts)) > _WHOLE,
            lambda i: f"{counts[i]:.6g} is no whole number of counts; set data.integer to false, or mend the unit",
        )
        counts = np.round(counts)
    return np.asarray(counts)
