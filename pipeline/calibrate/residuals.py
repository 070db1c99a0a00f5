"""Residuals between simulated and measured observables, matched by (event, channel, order)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..tables import Comparison, Floats, Ints, Observables, common_numbers


@dataclass(frozen=True)
class Match:
    """Rows of model and data that belong together, `(m,)` each, and how many of each have no partner."""

    model: Ints
    data: Ints
    unmatched_model: int
    unmatched_data: int


def match(model: Observables, data: Observables) -> Match:
    """Pair the valid rows of two tables by (event, channel, order)."""
    rows_model = np.flatnonzero(model.valid)
    rows_data = np.flatnonzero(data.valid)
    of_model, of_data = common_numbers(keys(model)[rows_model], keys(data)[rows_data])
    _, in_model, in_data = np.intersect1d(of_model, of_data, assume_unique=True, return_indices=True)
    return Match(
        model=rows_model[in_model],
        data=rows_data[in_data],
        unmatched_model=len(rows_model) - len(in_model),
        unmatched_data=len(rows_data) - len(in_data),
    )


def residuals(model: Observables, data: Observables, pairs: Match) -> Floats:
    """`(m, k)` differences model - data of matched rows, in the units of the observables."""
    return np.asarray(model.centre[pairs.model] - data.centre[pairs.data])


def keys(table: Observables | Comparison) -> Ints:
    """`(n, 3)` event, channel and order of each row."""
    return np.stack([table.event, table.channel, table.order], axis=1).astype(np.int64)


def restricted(table: Observables, kept: Ints | None) -> Observables:
    """`table` in which only the rows `kept` `(m, 3)` (event, channel, order) may be used; None: all."""
    if kept is None:
        return table
    wanted, rows = common_numbers(kept, keys(table))
    return replace(table, valid=table.valid & np.isin(rows, wanted))
