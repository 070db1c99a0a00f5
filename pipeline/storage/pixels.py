"""Tables of the constants of single pixels, CSV or HDF5."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..config.models import Pixels
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants, draw_pixels, faults
from ..errors import FileFormatError
from ..tables import Floats, Ints
from .atomic import atomic_output
from .hdf5 import mark, open_hdf5, write_table

#: Name of the table in HDF5, and kind of the files that are written.
KIND = "pixels"
_KEY = ("tpc", "pixel_x", "pixel_y")
#: The constants and their columns.
_CONSTANTS = {"threshold": "threshold_electrons", "gain": "gain_mv_per_electron", "pedestal": "pedestal_mv"}
_ALL = (*_KEY, *_CONSTANTS.values())
_HDF5 = (".h5", ".hdf5")


@dataclass(frozen=True)
class _Table:
    """Columns `(n,)` of a file as float64; `row` names the first row in words, the others follow."""

    path: Path
    columns: Mapping[str, Floats]
    row: str
    first: int

    def complain(self, place: int, what: str) -> FileFormatError:
        return FileFormatError(f"{self.path}, {self.row} {self.first + place}: {what}")


def load_pixels(settings: Pixels, geometry: DetectorGeometry) -> PixelConstants:
    """The constants of all pixels of a detector as configured.

    Raises `FileFormatError` for files that cannot be used, `ConfigError` for spreads that are too wide.
    """
    if settings.file is not None:
        return read_pixels(settings.file, geometry)
    if not settings.drawn:
        return PixelConstants.nominal(geometry)
    return draw_pixels(
        geometry,
        threshold_spread=settings.threshold_spread_electrons,
        gain_spread=settings.gain_spread,
        pedestal_spread=settings.pedestal_spread_mv,
        seed=settings.seed,
    )


def read_pixels(path: Path | str, geometry: DetectorGeometry) -> PixelConstants:
    """The constants in a table of pixels; what it does not list is nominal.

    Raises `FileFormatError` for a file that is missing, cut short or of another kind, and for rows that name a pixel
    which the detector does not have, or one twice, or give it constants that no pixel can work with.
    """
    path = Path(path)
    table = _read_hdf5(path) if path.suffix.lower() in _HDF5 else _read_csv(path)
    _check_columns(table)
    for name, values in table.columns.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise table.complain(bad[0], f"{name} is {values[bad[0]]}; every number must be finite.")
    channel = _channels(table, geometry)
    nominal = PixelConstants.nominal(geometry)
    given = {c: table.columns[column] for c, column in _CONSTANTS.items() if column in table.columns}
    whole = {c: given.get(c, getattr(nominal, c)) for c in _CONSTANTS}
    for what, wrong, must in faults(geometry.readout, *(whole[c] for c in _CONSTANTS)):
        if what in given and wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise table.complain(place, f"{_CONSTANTS[what]} is {given[what][place]:g}; it must be {must}.")
    for c, values in given.items():
        whole[c] = np.broadcast_to(getattr(nominal, c), nominal.channels).copy()
        whole[c][channel] = values
    return PixelConstants(geometry.readout, nominal.channels, *(whole[c] for c in _CONSTANTS))


def write_pixels(path: Path | str, pixels: PixelConstants, geometry: DetectorGeometry) -> None:
    """Write the constants of every pixel, as HDF5 where the name ends in .h5 or .hdf5, else as CSV.

    Numbers are written such that they come back to the last bit.
    """
    channel = np.arange(pixels.channels)
    columns = dict(zip(_ALL, (*geometry.pixel(channel), *pixels.of(channel)), strict=True))
    with atomic_output(path) as temporary:
        if Path(path).suffix.lower() in _HDF5:
            types = {name: "i4" if name in _KEY else "f8" for name in _ALL}
            with h5py.File(temporary, "w") as file:
                mark(file, KIND)
                write_table(file, KIND, columns, types, {})
            return
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(_ALL)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))


def _read_csv(path: Path) -> _Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path} is not a text file of CSV; make it again.") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    if not text.endswith(("\n", "\r")):
        raise FileFormatError(
            f"{path} does not end with the end of a line, as a table that was cut short; make it again, or end its "
            "last line if it is whole."
        )
    try:
        header, *rows = csv.reader(io.StringIO(text), strict=True)
    except (csv.Error, ValueError) as error:
        raise FileFormatError(f"{path} is not a table in CSV; its first line must name the columns.") from error
    names = [name.strip() for name in header]
    values = np.empty((len(rows), len(names)))
    for place, row in enumerate(rows):
        if len(row) != len(names):
            raise FileFormatError(
                f"{path}, line {place + 2}: {len(row)} values for {len(names)} columns; is the file cut short?"
            )
        values[place] = [_number(path, place + 2, name, text) for name, text in zip(names, row, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise FileFormatError(f"{path}: the column {name!r} is there twice; keep one.")
    return _Table(path, dict(zip(names, values.T, strict=True)), "line", 2)


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise FileFormatError(f"{path}, line {line}: {name} is {text!r}, not a number.") from error


def _read_hdf5(path: Path) -> _Table:
    with open_hdf5(path) as file:
        dataset = file.get(KIND)
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype.names is None or dataset.ndim != 1:
            raise FileFormatError(f"{path} has no table {KIND!r}; write one, as `gradcal pixels` does.")
        rows = dataset[()]
    for name in rows.dtype.names:
        if rows.dtype[name].kind not in "iuf":
            raise FileFormatError(f"{path}: the column {name} of {KIND} holds no numbers.")
    return _Table(path, {name: rows[name].astype(np.float64) for name in rows.dtype.names}, "row", 0)


def _check_columns(table: _Table) -> None:
    missing = [name for name in _KEY if name not in table.columns]
    unknown = [name for name in table.columns if name not in _ALL]
    if missing or unknown:
        what = f"the column {missing[0]} is missing" if missing else f"there is no column {unknown[0]!r}"
        raise FileFormatError(f"{table.path}: {what}; a table of pixels has the columns {', '.join(_ALL)}.")
    if not any(name in table.columns for name in _CONSTANTS.values()):
        raise FileFormatError(
            f"{table.path} says nothing about its pixels; give one or more of {', '.join(_CONSTANTS.values())}."
        )
    if not len(table.columns[_KEY[0]]):
        raise FileFormatError(f"{table.path} lists no pixel; leave out readout.pixels.file if all are nominal.")


def _channels(table: _Table, geometry: DetectorGeometry) -> Ints:
    """`(n,)` channels of the rows; refuses pixels that are not there, and repetitions."""
    numbers = np.stack([table.columns[name] for name in _KEY], axis=1)
    there = (numbers == np.round(numbers)) & (numbers >= 0) & (numbers < (len(geometry.tpcs), *geometry.pixels))
    strange = np.flatnonzero(~there.all(axis=1))
    if len(strange):
        tpc, x, y = numbers[strange[0]]
        raise table.complain(
            strange[0],
            f"{geometry.name} has no pixel ({x:g}, {y:g}) of tpc {tpc:g}; it has {len(geometry.tpcs)} tpcs of "
            f"{geometry.pixels[0]} x {geometry.pixels[1]} pixels, counted from 0.",
        )
    channel = geometry.channel(*numbers.T.astype(np.int64))
    order = np.argsort(channel, kind="stable")
    again = np.sort(order[1:][np.diff(channel[order]) == 0])
    if len(again):
        tpc, x, y = numbers[again[0]]
        raise table.complain(again[0], f"pixel ({x:g}, {y:g}) of tpc {tpc:g} is listed above already; keep one.")
    return channel
