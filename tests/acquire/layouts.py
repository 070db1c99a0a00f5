"""Hits in the layouts of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.acquire.raw import RawTable
from pipeline.config.data import Data
from pipeline.detector.argon import scaled_drift_velocity
from pipeline.detector.geometry import DetectorGeometry
from pipeline.detector.pixels import PixelConstants
from pipeline.parameters import nominal_values
from pipeline.tables import Hits, Recording

#: Nanoseconds since 1970 at which the first event begins: more digits than a real number holds.
EPOCH = 1_700_000_000_123_456_789

#: What the columns of `foreign_rows` mean.
COLUMNS: dict[str, Any] = {
    "event_id": {"name": "evt", "offset": -100},
    "tpc": {"name": "side", "values": {1: 0, 2: 1}},
    "x": {"name": "px", "unit": "mm"},
    "y": {"name": "py", "unit": "mm"},
    "t": {"name": "stamp", "unit": "ns"},
    "charge": {"name": "q", "unit": "ke"},
}
EVENTS: dict[str, Any] = {
    "dataset": "charge/events",
    "event_id": {"name": "id", "offset": -100},
    "t0": {"name": "begin", "unit": "ns"},
}


def settings(**changed: Any) -> Data:
    """Settings for `write_foreign` and `foreign_table`, with changes."""
    whole = {
        "file": "foreign.h5", "dataset": "charge/hits", "columns": COLUMNS, "events": EVENTS, "absolute_time": True,
    }  # fmt: skip
    return Data.model_validate(whole | changed)


def made_up_hits(geometry: DetectorGeometry, seed: int = 0, events: int = 3, pixels: int = 40) -> Hits:
    """Hits on random pixels, one to three each, at whole nanoseconds."""
    rng = np.random.default_rng([seed, 20])
    key = np.unique(rng.integers(0, [events, 2, *geometry.pixels], size=(pixels, 4)), axis=0)
    number = rng.integers(1, 4, len(key))
    event, tpc, px, py = np.repeat(key, number, axis=0).T
    hit = np.concatenate([np.arange(n) for n in number])
    t = np.repeat(rng.integers(1000, 150_000, len(key)), number) * 1e-3 + 2.5 * hit
    constants = PixelConstants.nominal(geometry)
    channel = geometry.channel(tpc, px, py)
    charge = rng.uniform(7e3, 6e4, len(t))
    x, y = geometry.pixel_centre(px, py)
    velocity = float(scaled_drift_velocity(nominal_values(), geometry.temperature))
    return Hits(
        event, tpc, px, py, hit, x, y, geometry.drift_coordinate(tpc, t, velocity), t, constants.adc(charge, channel),
        charge, velocity, {e: 0.25 * e for e in np.unique(event).tolist()}, Recording(pixels=constants.digest()),
    )  # fmt: skip


def foreign_rows(hits: Hits, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The same hits and their events with other names and units, absolute times in whole ns, in a random order."""
    kinds = {"evt": "u4", "side": "u1", "px": "f8", "py": "f8", "stamp": "i8", "q": "f8"}
    rows = np.zeros(len(hits), dtype=list(kinds.items()))
    events = np.zeros(len(hits.event_t0), dtype=[("id", "i4"), ("begin", "i8")])
    events["id"] = np.array(list(hits.event_t0)) + 100
    events["begin"] = EPOCH + 10**9 * np.arange(len(events))
    rows["evt"], rows["side"] = hits.event_id + 100, hits.tpc + 1
    rows["px"], rows["py"], rows["q"] = 10 * hits.x, 10 * hits.y, 1e-3 * hits.charge
    begin = events["begin"][np.searchsorted(events["id"], rows["evt"])]
    rows["stamp"] = begin + np.rint(1000 * hits.t).astype(np.int64)
    rng = np.random.default_rng([seed, 20])
    return rng.permutation(rows), rng.permutation(events)


def raw(rows: np.ndarray, where: str = "foreign.h5: charge/hits") -> RawTable:
    """Rows as they are read."""
    return RawTable(where, {n: rows[n].astype(np.result_type(rows[n], np.int8).kind.replace("u", "i") + "8")
                            for n in rows.dtype.names}, np.arange(len(rows)))  # fmt: skip


def write_foreign(path: Path, hits: Hits) -> None:
    """A file in the layout of `settings`."""
    rows, events = foreign_rows(hits)
    with h5py.File(path, "w") as file:
        file["charge/hits"] = rows
        file["charge/events"] = events
