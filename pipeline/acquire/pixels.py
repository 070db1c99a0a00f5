"""The pixels that hits were recorded on."""

from __future__ import annotations

import numpy as np

from ..config.data import Channels, Columns
from ..detector.geometry import DetectorGeometry
from ..tables import Bools, Floats, Ints, common_numbers
from .raw import RawTable, numbers, whole_numbers

#: Other ways to read positions that lie off the plane: what they are multiplied with, whether x and y are exchanged.
#: Units are in question only where most lie off it, as a tenth of nearly everything lies on it.
_GUESSES = {
    "are x and y exchanged (then exchange their names)": (1.0, True),
    "are they in mm (then set unit: mm for x and y)": (0.1, False),
    "are they in mm, and x and y exchanged": (0.1, True),
}


def pixels_of(
    table: RawTable, columns: Columns, geometry: DetectorGeometry, tolerance: float
) -> tuple[Ints, Ints, Ints]:
    """`(n,)` tpc, pixel_x and pixel_y of hits, by number or by the position of the pixel's centre.

    Raises `HitsError` for pixels that the detector does not have, and for positions farther than `tolerance` [cm] from
    a centre, with a guess at why.
    """
    assert columns.tpc is not None
    tpc = whole_numbers(table, columns.tpc, "tpc")
    if columns.x is not None and columns.y is not None:
        clock = geometry.readout.clock
        x, y = numbers(table, columns.x, clock), numbers(table, columns.y, clock)
        pixel_x, pixel_y = nearest_pixels(table, x, y, geometry, tolerance)
    else:
        assert columns.pixel_x is not None and columns.pixel_y is not None
        pixel_x = whole_numbers(table, columns.pixel_x, "pixel_x")
        pixel_y = whole_numbers(table, columns.pixel_y, "pixel_y")
    _check(table, tpc, pixel_x, pixel_y, geometry)
    return tpc, pixel_x, pixel_y


def nearest_pixels(
    table: RawTable, x: Floats, y: Floats, geometry: DetectorGeometry, tolerance: float
) -> tuple[Ints, Ints]:
    """`(n,)` numbers of the pixels at positions `x`, `y` [cm] of their centres; raises `HitsError` (see above)."""
    place = _indices(x, y, geometry)
    off = ~_on_plane(place, geometry)
    if off.any():
        first = int(np.flatnonzero(off)[0])
        (a, b), (c, d) = geometry.x_range, geometry.y_range
        table.complain(
            first,
            f"x = {x[first]:g}, y = {y[first]:g} cm is off the anode plane of {geometry.name}, x {a:g} ... {b:g}, "
            f"y {c:g} ... {d:g} cm ({off.sum()} of {len(off)} rows are so); {_guess(x, y, off, geometry)}?",
        )
    centres = geometry.pixel_centre(*place)
    away = np.maximum(np.abs(x - centres[0]), np.abs(y - centres[1]))
    table.refuse(
        away > tolerance,
        lambda i: (
            f"x = {x[i]:.6g}, y = {y[i]:.6g} cm is {away[i]:.2g} cm from the centre of the nearest pixel, "
            f"({place[0][i]}, {place[1][i]}); are these positions of pixels of {geometry.name}, or is an offset missing"
        ),
    )
    return place


def mapped(
    table: RawTable, channels: RawTable, settings: Channels, geometry: DetectorGeometry
) -> tuple[Ints, Ints, Ints]:
    """`(n,)` tpc, pixel_x and pixel_y of hits whose channels are those of the map `channels`.

    Raises `HitsError` for channels that the map does not have or has twice, and for pixels that are not there.
    """
    keys = [whole_columns(t, settings.keys) for t in (channels, table)]
    known, wanted = common_numbers(*keys)
    order = np.argsort(known, kind="stable")
    again = np.zeros(len(known), dtype=bool)
    again[order[1:]] = np.diff(known[order]) == 0
    channels.refuse(again, lambda i: f"channel {_told(channels, settings, i)} is listed above already; keep one")
    tpc, pixel_x, pixel_y = (channels.columns[name] for name in ("tpc", "pixel_x", "pixel_y"))
    _check(channels, tpc, pixel_x, pixel_y, geometry)
    place = np.full(max(known.max(initial=-1), wanted.max(initial=-1)) + 1, -1)
    place[known] = np.arange(len(known))
    row = place[wanted]
    table.refuse(
        row < 0,
        lambda i: f"channel {_told(table, settings, i)} is not in {channels.where}; add it, or leave such rows out",
    )
    return tpc[row], pixel_x[row], pixel_y[row]


def whole_columns(table: RawTable, names: tuple[str, ...]) -> Ints:
    """`(n, k)` columns of whole numbers as they stand in a table; raises `HitsError` for others."""
    for name in names:
        values = table.columns[name]
        table.refuse(values != np.round(values), f"{name} is not a whole number; mend it, or name other keys")
    return np.stack([table.columns[name].astype(np.int64) for name in names], axis=1)


def _told(table: RawTable, settings: Channels, i: int) -> str:
    return ", ".join(f"{name} {table.columns[name][i]:g}" for name in settings.keys)


def _indices(x: Floats, y: Floats, geometry: DetectorGeometry) -> tuple[Ints, Ints]:
    """Numbers of the pixels that hold points, counted on beyond the plane."""
    corner = geometry.x_range[0], geometry.y_range[0]
    found = [np.floor((v - low) / geometry.pixel_pitch) for v, low in zip((x, y), corner, strict=True)]
    # Far beyond any plane a number of a pixel means nothing, and need not fit.
    i, j = (np.clip(f, -1, 2**31).astype(np.int64) for f in found)
    return i, j


def _on_plane(place: tuple[Ints, Ints], geometry: DetectorGeometry) -> Bools:
    inside = [(i >= 0) & (i < n) for i, n in zip(place, geometry.pixels, strict=True)]
    return np.asarray(inside[0] & inside[1])


def _guess(x: Floats, y: Floats, off: Bools, geometry: DetectorGeometry) -> str:
    """What would put positions on the plane, if anything does for nearly all."""
    for words, (scale, exchanged) in _GUESSES.items():
        if scale != 1.0 and 2 * off.sum() <= len(off):
            continue
        a, b = (y, x) if exchanged else (x, y)
        left = ~_on_plane(_indices(scale * a, scale * b, geometry), geometry)
        if left.sum() <= 0.05 * len(off) and 2 * left.sum() <= off.sum():
            return words
    return "is it the right detector.file, and are x and y the axes of its anode plane"


def _check(table: RawTable, tpc: Ints, pixel_x: Ints, pixel_y: Ints, geometry: DetectorGeometry) -> None:
    """Refuse pixels that a detector does not have."""
    limits = (len(geometry.tpcs), *geometry.pixels)
    beyond = [(n < 0) | (n >= limit) for n, limit in zip((tpc, pixel_x, pixel_y), limits, strict=True)]
    table.refuse(
        np.any(beyond, axis=0),
        lambda i: (
            f"{geometry.name} has no pixel ({pixel_x[i]}, {pixel_y[i]}) of tpc {tpc[i]}; it has {limits[0]} tpcs of "
            f"{limits[1]} x {limits[2]} pixels, counted from 0"
        ),
    )
