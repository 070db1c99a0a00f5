"""Segments, hits and files without fault, for tests that spoil them."""

from __future__ import annotations

import numpy as np

from pipeline.detector.argon import drift_velocity
from pipeline.detector.pixels import PixelConstants
from pipeline.storage.detector import load_geometry
from pipeline.storage.hits import RawHits
from pipeline.storage.segments import RawSegments
from pipeline.tables import Hits, Segments
from tests.tracks import muons

GEOMETRY = load_geometry("module0")
PIXELS = PixelConstants.nominal(GEOMETRY)
TRUTH = {"electric_field": 0.5, "electron_lifetime": 2200.0}


def good_segments(events: int = 6) -> Segments:
    """Muons: nothing in them is wrong."""
    found = muons(events, 4, GEOMETRY, 8)
    # Deposits within the cathode would be a note.
    return found.take(np.flatnonzero(GEOMETRY.tpc_of(found.centre) >= 0))


def raw(segments: Segments, **more: object) -> RawSegments:
    """Segments as a reader hands them over."""
    return RawSegments(segments, "in memory", "edep-sim", **more)  # type: ignore[arg-type]


def good_hits(pixels: int = 40) -> Hits:
    """Two hits on each of some pixels of both drift volumes, all numbers consistent with module 0."""
    rng = np.random.default_rng(4)
    channel = np.sort(rng.choice(2 * 140 * 280, pixels, replace=False))
    tpc, x, y = (np.repeat(column, 2) for column in GEOMETRY.pixel(channel))
    hit = np.tile([0, 1], pixels)
    time = np.repeat(rng.uniform(10, 170, pixels), 2) + 3.0 * hit
    charge = rng.uniform(8e3, 5e4, 2 * pixels)
    velocity = float(drift_velocity(0.5))
    at_x, at_y = GEOMETRY.pixel_centre(x, y)
    return Hits(
        event_id=np.zeros(2 * pixels, dtype=np.int64),
        tpc=tpc,
        pixel_x=x,
        pixel_y=y,
        hit=hit,
        x=at_x,
        y=at_y,
        z=GEOMETRY.drift_coordinate(tpc, time, velocity),
        t=time,
        adc=PIXELS.adc(charge, GEOMETRY.channel(tpc, x, y)),
        charge=charge,
        drift_velocity=velocity,
        event_t0={0: 0.0},
    )


def raw_hits(hits: Hits) -> RawHits:
    """Hits as a reader hands them over."""
    return RawHits(hits, (), frozenset())
