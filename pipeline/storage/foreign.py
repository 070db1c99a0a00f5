"""Tables of hits, events and channels in the files of others: columns by name, numbers only."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..acquire.raw import RawTable
from ..config.data import Channels, Column, Data
from ..errors import FileFormatError
from ..names import nearest
from ..tables import Bools
from .hdf5 import open_hdf5


@dataclass(frozen=True)
class ForeignHits:
    """The tables that describe hits recorded elsewhere; None where the settings name none."""

    hits: RawTable
    events: RawTable | None
    channels: RawTable | None


def read_foreign_hits(settings: Data) -> ForeignHits:
    """The columns that the settings name, as they stand in the files.

    Raises `FileFormatError` for files, tables and columns that are not there, and for columns that hold no numbers or
    numbers that are not finite.
    """
    keys = () if settings.channels is None else settings.channels.keys
    columns = settings.columns.given.values()
    with open_hdf5(settings.file) as file:
        hits = _table(file, settings.dataset, _names(columns, keys), settings.rows)
        events = None
        if settings.events is not None:
            known = [settings.events.t0, *([settings.events.event_id] if settings.events.event_id else [])]
            events = _table(file, settings.events.dataset, _names(known, ()), settings.events.rows)
    return ForeignHits(hits, events, None if settings.channels is None else _channels(settings.channels))


def _names(columns: Iterable[Column], more: Iterable[str]) -> list[str]:
    """Their names of columns, each once."""
    return list(dict.fromkeys([*(c.name for c in columns if c.name is not None), *more]))


def _table(file: h5py.File, dataset: str, names: list[str], rows: Mapping[str, tuple[int, ...]]) -> RawTable:
    """Columns of a table, or of a group of one-dimensional datasets, in the rows that are wanted."""
    where = f"{file.filename}: {dataset}"
    found = _columns(file, dataset, where, list(dict.fromkeys([*names, *rows])))
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise FileFormatError(f"{where}: its columns are of unequal lengths ({told}); name those that belong together.")
    total = next(iter(lengths.values()), 0)
    if not total:
        raise FileFormatError(f"{where} is empty: there is nothing to read.")
    kept = _kept(found, rows, total)
    if not kept.any():
        wanted = " and ".join(f"{name} one of {', '.join(map(str, rows[name]))}" for name in rows)
        raise FileFormatError(f"{where}: none of its {total} rows has {wanted}; mend `rows`.")
    place = np.flatnonzero(kept)
    return RawTable(where, {name: _finite(found[name][kept], place, f"{where}.{name}") for name in names}, place)


def _columns(file: h5py.File, dataset: str, where: str, names: list[str]) -> dict[str, npt.NDArray[Any]]:
    item = file.get(dataset)
    if item is None:
        raise FileFormatError(f"{where} is not there; did you mean {nearest(dataset, _tables(file))!r}?")
    if isinstance(item, h5py.Dataset):
        if item.dtype.names is None or item.ndim != 1:
            raise FileFormatError(f"{where} is no table with named columns; name a table, or the group of columns.")
        known = list(item.dtype.names)
    else:
        known = [name for name, below in item.items() if isinstance(below, h5py.Dataset)]
    for name in names:
        if name not in known:
            raise FileFormatError(f"{where} has no column {name!r}; did you mean {nearest(name, known)!r}?")
    found = {name: item[name][()] for name in names}
    for name, values in found.items():
        if np.ndim(values) != 1 or values.dtype.kind not in "iufb":
            held = f"{values.dtype} in {np.ndim(values)} dimensions" if np.ndim(values) != 1 else f"{values.dtype}"
            raise FileFormatError(f"{where}.{name} holds {held}, not one number per row.")
    return {name: values.astype(np.int64) if values.dtype.kind == "b" else values for name, values in found.items()}


def _tables(file: h5py.File) -> list[str]:
    """Names of everything in a file that could be a table."""
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found or ["hits"]


def _kept(found: Mapping[str, npt.NDArray[Any]], rows: Mapping[str, tuple[int, ...]], total: int) -> Bools:
    kept = np.ones(total, dtype=bool)
    for name, wanted in rows.items():
        kept &= np.isin(found[name], wanted)
    return kept


def _finite(values: npt.NDArray[Any], place: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    """Numbers as i8 or f8; refuses those that are not finite or do not fit."""
    if values.dtype.kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        raise FileFormatError(f"{where} holds {values.max()}, more than 63 bits; make it smaller.")
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        numbers = values.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise FileFormatError(
            f"{where} is {numbers[bad[0]]} in row {place[bad[0]]} ({len(bad)} such rows); every number must be finite."
        )
    return numbers


def _channels(settings: Channels) -> RawTable:
    """The map of channels to pixels."""
    path, names = Path(settings.file), [*settings.keys, "tpc", "pixel_x", "pixel_y"]
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True))
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path} is not a table in CSV; its first line must name the columns.") from error
    if not rows:
        raise FileFormatError(f"{path} lists no channel; it needs a line of names and one line per channel.")
    for name in names:
        if name not in rows[0]:
            raise FileFormatError(f"{path}: the column {name} is missing; it needs {', '.join(names)}.")
    columns = {name: np.empty(len(rows), dtype=np.int64) for name in names}
    for place, row in enumerate(rows):
        for name in names:
            try:
                columns[name][place] = int(row[name])
            except (TypeError, ValueError, OverflowError) as error:
                raise FileFormatError(f"{path}, line {place + 2}: {name} is {row[name]!r}, no whole number.") from error
    return RawTable(str(path), columns, np.arange(2, len(rows) + 2))
