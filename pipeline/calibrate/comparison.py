"""Model and data hit by hit: which hits belong together, and why the others have no partner."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Protocol

import numpy as np

from ..errors import ModelRangeError
from ..tables import Comparison, FitResult, Floats, Ints, Observables, Supply, common_numbers
from .residuals import keys


class Reason(IntEnum):
    """Why a hit has no partner; the numbers stand in files and keep their meaning."""

    MATCHED = 0
    NEAR_THRESHOLD = 1
    BELOW_THRESHOLD = 2
    OUT_OF_REACH = 3
    NO_DATA_HIT = 4
    MORE_IN_DATA = 5
    MORE_IN_MODEL = 6
    EVENT_ONLY_IN_DATA = 7
    EVENT_ONLY_IN_MODEL = 8
    NOT_TO_BE_USED = 9
    NO_MODEL_HIT = 10


#: Charge within this share of the threshold is close to it: noise or a small change of a parameter decides.
NEAR = 0.2

#: The reasons in words.
SENTENCES: Mapping[Reason, str] = {
    Reason.MATCHED: "has a partner",
    Reason.NEAR_THRESHOLD: f"the simulated charge for this hit is within {100 * NEAR:.0f} % of the threshold",
    Reason.BELOW_THRESHOLD: "the simulated charge on this pixel stays further below the threshold",
    Reason.OUT_OF_REACH: "no simulated deposit reaches this pixel",
    Reason.NO_DATA_HIT: "the data have no hit on this pixel; the simulated charge is further above the threshold",
    Reason.MORE_IN_DATA: "the data have more hits on this pixel than the simulation",
    Reason.MORE_IN_MODEL: "the simulation has more hits on this pixel than the data",
    Reason.EVENT_ONLY_IN_DATA: "the simulation has no deposits in this event",
    Reason.EVENT_ONLY_IN_MODEL: "the data have no hits in this event",
    Reason.NOT_TO_BE_USED: "the other side has this hit, marked as not to be used",
    Reason.NO_MODEL_HIT: "the simulation has no hit on this pixel",
}


class SupplyingModel(Protocol):
    """A model that can also tell what charge it has for hits it does not make."""

    def observe_with_supply(self, values: Mapping[str, float]) -> tuple[Observables, Supply]:
        """Observables at the parameter values, and the charge behind them."""
        ...


def compare(model: Observables, data: Observables, supply: Supply | None = None) -> Comparison:
    """Put the valid hits of two tables side by side, with the reason for every hit that has no partner.

    Rounded values stand at the centres of their bins. Without `supply` only what the two tables tell is said: which
    hits, pixels and events the other side lacks.
    """
    both = np.concatenate([keys(model)[model.valid], keys(data)[data.valid]])
    rows, row = np.unique(both, axis=0, return_inverse=True)
    row = row.reshape(-1)
    split = int(np.count_nonzero(model.valid))
    values = [np.full((len(rows), len(data.value_names)), np.nan) for _ in range(2)]
    values[0][row[:split]] = model.centre[model.valid]
    values[1][row[split:]] = data.centre[data.valid]
    event, channel, order = rows.T
    left = np.full(len(rows), np.nan) if supply is None else _left(supply, event, channel, order)
    table = Comparison(
        event, channel, order, values[0], values[1], left, np.zeros(len(rows), dtype=np.int64), data.value_names
    )
    table.reason[:] = _reasons(table, model, data, supply)
    return table


def compare_fit(model: SupplyingModel, data: Observables, result: FitResult) -> dict[str, Comparison]:
    """Model against data at the start values ("initial") and at the end of a fit ("fitted").

    A point that the model cannot compute is left out.
    """
    points = {
        "initial": {p.name: p.initial for p in result.parameters},
        "fitted": {p.name: p.value for p in result.parameters},
    }
    found = {}
    for name, values in points.items():
        try:
            observables, supply = model.observe_with_supply(values)
        except ModelRangeError:
            continue
        found[name] = compare(observables, data, supply)
    return found


def _reasons(table: Comparison, model: Observables, data: Observables, supply: Supply | None) -> Ints:
    """`(n,)` numbers of `Reason`; where several hold, the last one set below is the plainest."""
    pixel = common_numbers(np.stack([table.event, table.channel], axis=1))[0]
    hits = [np.bincount(pixel, weights=side, minlength=1)[pixel] for side in (table.in_model, table.in_data)]
    model_only, data_only = ~table.in_data, ~table.in_model
    reason = np.full(len(table), int(Reason.MATCHED))
    reason[model_only] = Reason.NO_DATA_HIT
    reason[model_only & (hits[1] > 0)] = Reason.MORE_IN_MODEL
    reason[data_only] = Reason.NO_MODEL_HIT if supply is None else Reason.BELOW_THRESHOLD
    reason[data_only & (hits[0] > 0)] = Reason.MORE_IN_DATA
    near = np.abs(table.supply - 1) <= NEAR
    reason[(model_only | data_only) & near] = Reason.NEAR_THRESHOLD
    if supply is not None:
        reason[data_only & ~np.isfinite(table.supply)] = Reason.OUT_OF_REACH
    simulated = model.event if supply is None else np.append(model.event, supply.event)
    reason[data_only & ~np.isin(table.event, simulated)] = Reason.EVENT_ONLY_IN_DATA
    reason[model_only & ~np.isin(table.event, data.event)] = Reason.EVENT_ONLY_IN_MODEL
    for alone, other in ((model_only, data), (data_only, model)):
        unused, hit = common_numbers(keys(other)[~other.valid], keys(table))
        reason[alone & np.isin(hit, unused)] = Reason.NOT_TO_BE_USED
    return reason


def _left(supply: Supply, event: Ints, channel: Ints, order: Ints) -> Floats:
    """`(n,)` charge for each hit in units of the threshold; NaN on pixels that no deposit reaches."""
    theirs, mine = common_numbers(np.stack([supply.event, supply.channel], 1), np.stack([event, channel], 1))
    row = np.full(max(theirs.max(initial=-1), mine.max(initial=-1)) + 1, -1)
    row[theirs] = np.arange(len(theirs))
    found = row[mine]
    left = np.full(len(event), np.nan)
    known = found >= 0
    left[known] = supply.left[found[known], np.minimum(order[known], supply.left.shape[1] - 1)]
    return left
