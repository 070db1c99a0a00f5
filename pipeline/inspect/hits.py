"""What a table of hits holds, and what is wrong or suspicious in it.

A rule is one function from a `View` of the hits to findings, and one line in `RULES` that says which columns it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..checks import HIT_KEY, misplaced_hits, negative_keys
from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants
from ..errors import ConfigError
from ..parameters import check_values, table
from ..storage.hits import RawHits
from ..tables import Bools, Floats, Hits, Ints
from .findings import Finding, Severity, Summary, counted, event_numbers, faults, in_order, of_rows, spread

_KEYS, _REAL = HIT_KEY, ("x", "y", "z", "t", "adc", "charge")
#: Files keep ADC counts and positions in single precision: differences below these are rounding.
ADC_TOLERANCE, POSITION_TOLERANCE_CM = 0.01, 0.01
#: Hits so much deeper than the cathode are of late deposits [cm].
BEYOND_CM = 2.0


@dataclass(frozen=True)
class View:
    """Hits with finite numbers and no negative ones in their key, the `rows` of the file that they are, a detector
    and the constants of its pixels.
    """

    hits: Hits
    rows: Ints
    geometry: DetectorGeometry
    pixels: PixelConstants

    @property
    def on_pixels(self) -> Bools:
        """`(n,)` whether the detector has the pixel."""
        numbers = np.stack([self.hits.tpc, self.hits.pixel_x, self.hits.pixel_y], axis=1)
        return np.asarray((numbers < (len(self.geometry.tpcs), *self.geometry.pixels)).all(axis=1))

    @property
    def whole(self) -> bool:
        """Whether ADC counts are whole, as `readout.integer_adc` makes them and real data have."""
        return bool(np.all(self.hits.adc == np.round(self.hits.adc)))

    def neighbours(self) -> tuple[Ints, Ints]:
        """Consecutive hits of one pixel of one event, by `hit`: positions of the one before and of the one after."""
        keys = [getattr(self.hits, name) for name in _KEYS]
        order = np.lexsort(keys[::-1])
        same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
        for column in keys[:-1]:
            same &= np.diff(column[order]) == 0
        return order[:-1][same], order[1:][same]

    def rows_that(self, severity: Severity, rule: str, bad: Bools, what: str, advice: str) -> list[Finding]:
        """A finding about the hits marked `bad`."""
        return of_rows(severity, rule, bad, self.rows, "hits", what, advice)


def summarise(
    raw: RawHits,
    path: str,
    *,
    geometry: DetectorGeometry,
    pixels: PixelConstants,
    truth: Mapping[str, float],
    noise: bool | None,
    provenance: tuple[tuple[str, str], ...] = (),
) -> Summary:
    """What a file of hits holds and what there is to say against it."""
    hits = raw.hits
    found = faults(raw.faults, path)
    if not len(hits):
        found.append(Finding("error", "no_hits", "there are no hits: nothing can be fitted to them."))
    keys = {name: getattr(hits, name) for name in _KEYS}
    negative = negative_keys(keys)
    bad = np.zeros(len(hits), dtype=np.bool_)
    bad[negative] = True
    advice = "they count from 0, and every command refuses the file."
    found += of_rows("error", "negative", bad, range(len(hits)), "hits", "have a negative tpc, pixel or hit", advice)
    good = ~bad & np.all([np.isfinite(getattr(hits, name)) for name in _REAL], axis=0)
    view = View(hits.take(good), np.flatnonzero(good), geometry, pixels)
    if len(view.hits):
        for rule, needs in RULES:
            if not raw.absent.intersection(needs):
                found += rule(view)
    found += list(_truth(truth, hits.drift_velocity, geometry))
    facts = (*_facts(view, truth, noise), *provenance)
    return Summary("hits", facts, in_order(found))


def _facts(view: View, truth: Mapping[str, float], noise: bool | None) -> Iterator[tuple[str, str]]:
    h = view.hits
    yield "frame", f"simulation (x, y on the anode, z along the drift); compared with {view.geometry.name}"
    yield "hits", f"{len(h):,}"
    if not len(h):
        return
    events = np.unique(h.event_id)
    yield "events", f"{len(events):,} with hits ({event_numbers(events)}), {len(h.event_t0):,} in all"
    tpcs, counts = np.unique(h.tpc, return_counts=True)
    yield "tpcs", ", ".join(f"{tpc}: {counted(int(n), 'hit')}" for tpc, n in zip(tpcs, counts))
    pixels = np.unique(np.stack([getattr(h, name) for name in _KEYS[:-1]], axis=1), axis=0, return_counts=True)[1]
    yield (
        "pixels",
        f"{len(pixels):,} hit (per event), with {pixels.mean():.3g} hits on average and {pixels.max()} at most",
    )
    yield "adc", spread(h.adc, "counts") + (", whole" if view.whole else ", real-valued")
    yield "charge", spread(h.charge, "electrons")
    yield "t", spread(h.t, "us")
    for axis in "xyz":
        values = getattr(h, axis)
        yield axis, f"{values.min():.2f} to {values.max():.2f} cm" + (" (drift)" if axis == "z" else "")
    yield "drift velocity", f"{h.drift_velocity:.6g} cm/us"
    said = {True: "with electronics noise", False: "without noise", None: "the file does not tell"}[noise]
    widths = ", ".join(f"{width:g}" for width in h.recording.noise or ())
    yield "noise", said + (f": {widths} electrons (reset, sampling, discriminator)" if noise and widths else "")
    known = ", ".join(f"{name} {value:.6g}" for name, value in truth.items())
    yield "true values", known or "none in the file, as for real data"


def order(view: View) -> list[Finding]:
    """Rows out of order, and rows that stand for the same hit."""
    keys = {name: getattr(view.hits, name) for name in _KEYS}
    n = len(view.hits)
    unsorted = np.zeros(n, dtype=np.bool_)
    unsorted[misplaced_hits(keys)[0]] = True
    again = np.ones(n, dtype=np.bool_)
    again[np.unique(np.stack(list(keys.values()), axis=1), axis=0, return_index=True)[1]] = False
    sort = f"sort the table by {', '.join(HIT_KEY)}: every command refuses it as it is."
    return view.rows_that("error", "order", unsorted, "come before their place", sort) + view.rows_that(
        "error",
        "repeated",
        again,
        "repeat the event, pixel and number of another",
        "keep one; every command refuses it.",
    )


def events(view: View) -> list[Finding]:
    """Hits of events without a time, and events without hits."""
    h = view.hits
    unknown = ~np.isin(h.event_id, list(h.event_t0))
    advice = "every command refuses the file: make it again."
    found = view.rows_that("error", "event_unknown", unknown, "are of an event without a time in `events`", advice)
    empty = sorted(set(h.event_t0) - set(h.event_id.tolist()))
    if empty:
        text = f"{counted(len(empty), 'event')} of {len(h.event_t0):,} left no hit, first event {empty[0]}."
        found.append(Finding("note", "empty_events", text))
    return found


def detector(view: View) -> list[Finding]:
    """Pixels that the detector does not have, and positions that are not those of the pixels."""
    h, g, there = view.hits, view.geometry, view.on_pixels
    what = f"are on pixels that {g.name} does not have ({len(g.tpcs)} tpcs of {g.pixels[0]} x {g.pixels[1]})"
    found = view.rows_that(
        "error", "pixel", ~there, what, "a fit refuses them; are they of another detector? Name it in detector.file."
    )
    x, y = g.pixel_centre(h.pixel_x, h.pixel_y)
    apart = there & (np.maximum(np.abs(h.x - x), np.abs(h.y - y)) > POSITION_TOLERANCE_CM)
    what = f"have an x or y that is not the centre of their pixel in {g.name}"
    found += view.rows_that("warning", "pixel_centre", apart, what, "are they of another detector, or in mm?")
    return found


def depth(view: View) -> list[Finding]:
    """Drift coordinates that do not belong to the time, or lie beyond the cathode."""
    h, g, there = view.hits, view.geometry, view.on_pixels
    if not (np.isfinite(h.drift_velocity) and h.drift_velocity > 0 and there.any()):
        return []
    tpc = np.where(there, h.tpc, 0)
    z = g.drift_coordinate(tpc, h.t, h.drift_velocity)
    apart = there & (np.abs(h.z - z) > POSITION_TOLERANCE_CM)
    what = "have a z that is not their time at the drift velocity of the file"
    advice = "the fit uses the times only, but pictures would be wrong: which of the three is mistaken?"
    found = view.rows_that("warning", "drift_coordinate", apart, what, advice)
    longest = np.array([t.drift_length for t in g.tpcs])[tpc]
    deep = there & (g.response_start + h.drift_velocity * h.t > longest + BEYOND_CM)
    what = "come later than charge from the cathode would"
    advice = "late deposits (decays, captures) do; so would times in another unit."
    severity: Severity = "warning" if 2 * np.count_nonzero(deep) > len(h) else "note"
    return found + view.rows_that(severity, "late", deep, what, advice)


def times(view: View) -> list[Finding]:
    """Negative times, and times that decrease within a pixel or follow too closely."""
    h = view.hits
    advice = "times count from the earliest deposit of the event, so none can be negative: which zero do they have?"
    found = view.rows_that("warning", "time_negative", h.t < 0, "have a negative time", advice)
    before, after = view.neighbours()
    step = h.t[after] - h.t[before]
    earlier, close = np.zeros(len(h), dtype=np.bool_), np.zeros(len(h), dtype=np.bool_)
    earlier[after] = step < 0
    what = "are earlier than the hit before them on their pixel"
    found += view.rows_that("warning", "time_order", earlier, what, "number the hits of a pixel in order of time.")
    # A tick is lost where times are cut to whole ones.
    readout = view.geometry.readout
    close[after] = (step >= 0) & (step < readout.hold - readout.clock - 1e-6)
    what = f"follow the hit before them on their pixel within the hold of {readout.hold:g} us"
    return found + view.rows_that("warning", "hold", close, what, "the readout of this detector cannot do that.")


def numbers(view: View) -> list[Finding]:
    """Hits of a pixel that are not numbered 0, 1, 2, ..., and pixels that have all the hits they may."""
    h = view.hits
    before, after = view.neighbours()
    gap = h.hit > 0
    gap[after] = h.hit[after] > h.hit[before] + 1
    what = "have a number that does not follow that of the hit before on their pixel (from 0)"
    advice = "a fit pairs hits by this number: was a hit taken out?"
    found = view.rows_that("warning", "hit_gap", gap, what, advice)
    full = h.hit == view.geometry.readout.max_hits - 1
    what = f"are the last of {view.geometry.readout.max_hits} that a pixel may have in an event"
    found += view.rows_that("note", "full_pixels", full, what, "later charge on these pixels was lost.")
    beyond = h.hit >= view.geometry.readout.max_hits
    what = f"are beyond the {view.geometry.readout.max_hits} that a pixel may have in an event"
    return found + view.rows_that("warning", "too_many", beyond, what, "the readout of this detector cannot do that.")


def adc(view: View) -> list[Finding]:
    """ADC counts outside their range or saturated, and charges that do not give the counts."""
    h, readout = view.hits, view.geometry.readout
    outside = (h.adc < 0) | (h.adc > readout.adc_counts)
    found = view.rows_that(
        "warning",
        "adc_range",
        outside,
        f"have ADC counts outside 0 to {readout.adc_counts}",
        "is it another detector's?",
    )
    top = readout.adc_counts - 1 if view.whole else readout.adc_counts
    full = ~outside & (h.adc >= top)
    found += view.rows_that("note", "saturated", full, "fill the range of the ADC", "their charge is not known.")
    # Whole counts are rounded, and the uppermost is one below the number of counts.
    tolerance: Floats = np.where(h.adc >= top, 1.0, 0.5) if view.whole else np.zeros(len(h))
    if h.recording.pixels not in (None, view.pixels.digest()):
        text = "the hits were recorded with other constants of pixels than those of the configuration (readout.pixels, "
        text += "detector.file): whether charges give their ADC counts is not checked."
        return [*found, Finding("note", "constants", text)]
    there = view.on_pixels
    channel = np.where(there, view.geometry.channel(h.tpc, h.pixel_x, h.pixel_y), 0)
    expected = view.pixels.adc(h.charge, channel)
    apart = there & ~outside & (np.abs(h.adc - expected) > tolerance + ADC_TOLERANCE)
    what = f"have a charge that does not give their ADC counts with the readout constants of {view.geometry.name}"
    advice = "a fit compares counts; was the file made with other constants?"
    return found + view.rows_that("warning", "charge", apart, what, advice)


def _truth(truth: Mapping[str, float], velocity: float, geometry: DetectorGeometry) -> Iterator[Finding]:
    """Values that are not physical, outside the table, or disagree with the drift velocity."""
    for name, value in truth.items():
        try:
            check_values({name: value}, "parameters")
        except ConfigError as error:
            yield Finding("warning", "truth", f"{str(error).rstrip('.')}; a fit would be compared with it.")
            continue
        p = table()[name]
        if not p.low <= value <= p.high:
            text = (
                f"the true {name}, {value:g} {p.unit}".rstrip() + f", lies outside the range {p.low:g} to {p.high:g}."
            )
            yield Finding("note", "truth_range", text)
    field = truth.get("electric_field", 0.0)
    if field > 0 and velocity > 0:
        scale = truth.get("drift_velocity_scale", 1.0)
        values = {"electric_field": field, "drift_velocity_scale": scale}
        expected = float(argon.scaled_drift_velocity(values, geometry.temperature))
        if abs(velocity / expected - 1) > 1e-3:
            yield Finding(
                "warning",
                "velocity",
                f"the drift velocity is {velocity:.5g} cm/us, but electric_field = {field:g} kV/cm "
                f"{'' if scale == 1 else f'with drift_velocity_scale = {scale:g} '}gives "
                f"{expected:.5g} cm/us at {geometry.temperature:g} K; z is made with the first.",
            )


#: Every rule with the columns that it needs.
RULES: tuple[tuple[Callable[[View], list[Finding]], tuple[str, ...]], ...] = (
    (order, _KEYS),
    (events, ("event_id",)),
    (detector, ("tpc", "pixel_x", "pixel_y", "x", "y")),
    (numbers, _KEYS),
    (times, (*_KEYS, "t")),
    (adc, ("adc", "charge")),
    (depth, ("tpc", "pixel_x", "pixel_y", "t", "z")),
)
