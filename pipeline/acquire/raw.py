"""Columns as others wrote them, and ours made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ..config.data import Column
from ..errors import HitsError
from ..tables import Bools, Floats, Ints
from .units import multiple


@dataclass(frozen=True)
class RawTable:
    """Columns `(n,)` of i8 or f8 by their names, and the number `(n,)` of each row in the file `where`."""

    where: str
    columns: Mapping[str, npt.NDArray[Any]]
    row: Ints

    def __len__(self) -> int:
        return int(self.row.shape[0])

    def take(self, index: npt.NDArray[Any]) -> RawTable:
        """The rows chosen by a boolean mask or an index array."""
        return RawTable(self.where, {name: values[index] for name, values in self.columns.items()}, self.row[index])

    def refuse(self, bad: Bools, what: Callable[[int], str] | str) -> None:
        """Raise `HitsError` about the first of the rows marked `bad` `(n,)`, if there is any, with their number.

        `what` is wrong with it and what to do, as a sentence; a function of the place in the table where it depends on
        the row.
        """
        places = np.flatnonzero(bad)
        if len(places):
            first = int(places[0])
            sentence = what if isinstance(what, str) else what(first)
            self.complain(first, f"{sentence} ({len(places)} of {len(self)} rows are so).")

    def complain(self, place: int, what: str) -> NoReturn:
        """Raise `HitsError` about one row."""
        raise HitsError(f"{self.where}, row {self.row[place]}: {what}")


def numbers(table: RawTable, column: Column, clock: float) -> Floats:
    """`(n,)` one of our columns as real numbers in our units; `clock` [us] is that of the detector."""
    if column.value is not None:
        raw: npt.NDArray[Any] = np.full(len(table), column.value)
    else:
        assert column.name is not None
        raw = table.columns[column.name]
    return np.asarray(raw * factor(column, clock) + column.offset, dtype=np.float64)


def factor(column: Column, clock: float) -> float:
    """What a number of theirs is multiplied with."""
    unit = 1.0 if column.unit in (None, "counts", "mV") else multiple(column.unit, clock)
    return column.scale * unit


def whole_numbers(table: RawTable, column: Column, ours: str) -> Ints:
    """`(n,)` one of our columns of whole numbers, called `ours`.

    Raises `HitsError` for numbers that are not whole, and for those that `column.values` gives no meaning.
    """
    if column.values:
        assert column.name is not None
        theirs = table.columns[column.name]
        known = np.array(sorted(column.values), dtype=np.int64)
        table.refuse(
            ~np.isin(theirs, known),
            lambda i: f"{column.name} is {theirs[i]}, and columns.{ours}.values does not say what that means; add it",
        )
        meant = np.array([column.values[int(number)] for number in known], dtype=np.int64)
        return np.asarray(meant[np.searchsorted(known, theirs)])
    if column.name is not None and column.scale == 1.0 and column.offset == 0.0:
        raw = table.columns[column.name]
        if raw.dtype.kind == "i":
            return np.asarray(raw)
    found = numbers(table, column, 1.0)
    table.refuse(
        (found != np.round(found)) | (np.abs(found) > 2**53),
        lambda i: f"{ours} would be {found[i]:g}, not a whole number; mend its column, scale or offset",
    )
    return found.astype(np.int64)
