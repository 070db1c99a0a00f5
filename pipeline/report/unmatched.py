"""Hits without a partner: how many for which reason, with examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..calibrate.comparison import SENTENCES, Reason
from ..detector.geometry import DetectorGeometry
from ..tables import Bools, Comparison
from . import words

#: Examples of each reason in the table.
_EXAMPLES = 3

_SHORT = {
    Reason.NEAR_THRESHOLD: "close to the threshold",
    Reason.BELOW_THRESHOLD: "simulation below threshold",
    Reason.OUT_OF_REACH: "no deposit reaches the pixel",
    Reason.NO_DATA_HIT: "no hit in the data",
    Reason.MORE_IN_DATA: "more hits in the data",
    Reason.MORE_IN_MODEL: "more hits in the simulation",
    Reason.EVENT_ONLY_IN_DATA: "event not simulated",
    Reason.EVENT_ONLY_IN_MODEL: "no data in this event",
    Reason.NOT_TO_BE_USED: "partner not to be used",
    Reason.NO_MODEL_HIT: "no hit in the simulation",
}


def short(number: int) -> str:
    """A reason in few words; "unknown reason" for a number that this version does not know."""
    return _SHORT.get(Reason(number), "") if number in set(Reason) else "unknown reason"


def sentence(number: int) -> str:
    """A reason in a sentence that begins with a capital."""
    text = SENTENCES[Reason(number)] if number in set(Reason) else "a reason that this version does not know"
    return text[:1].upper() + text[1:]


def spread(chosen: Bools, most: int) -> Bools:
    """At most `most` of the chosen rows, evenly spread over them."""
    rows = np.flatnonzero(chosen)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    kept = np.zeros(len(chosen), dtype=bool)
    kept[rows] = True
    return kept


def table(comparison: Comparison, geometry: DetectorGeometry) -> dict[str, Any]:
    """Rows of the table of reasons, the most frequent first, and the sums; no rows where all hits have partners."""
    alone = ~comparison.matched
    sides = [comparison.in_model & alone, comparison.in_data & alone]
    reasons, counts = np.unique(comparison.reason[alone], return_counts=True)
    rows = []
    for number in reasons[np.argsort(-counts, kind="stable")]:
        here = alone & (comparison.reason == number)
        rows.append(
            {
                "reason": sentence(int(number)),
                "model": words.count((here & sides[0]).sum()),
                "data": words.count((here & sides[1]).sum()),
                "examples": [
                    _example(comparison, int(row), geometry) for row in np.flatnonzero(spread(here, _EXAMPLES))
                ],
            }
        )
    total = len(comparison) + int(comparison.matched.sum())
    return {
        "rows": rows,
        "model": words.count(sides[0].sum()),
        "data": words.count(sides[1].sum()),
        "matched": words.count(comparison.matched.sum()),
        "fraction": words.percent(float(alone.sum()) / max(total, 1)),
    }


def _example(comparison: Comparison, row: int, geometry: DetectorGeometry) -> str:
    """Where one hit is, what it holds, and what the other side has there."""
    event, channel, order = (int(c[row]) for c in (comparison.event, comparison.channel, comparison.order))
    tpc, x, y = (int(n) for n in geometry.pixel(np.array(channel)))
    values = comparison.model[row] if comparison.in_model[row] else comparison.data[row]
    held = ", ".join(
        f"{words.number(float(v), 4)} {words.hit_value(name)[1]}".rstrip()
        for v, name in zip(values, comparison.value_names, strict=True)
    )
    pixel = (comparison.event == event) & (comparison.channel == channel)
    hits = [int((pixel & side).sum()) for side in (comparison.in_model, comparison.in_data)]
    text = f"event {event}, TPC {tpc}, pixel ({x}, {y}), hit {order}: {held}; {hits[0]} simulated, {hits[1]} recorded"
    if np.isfinite(comparison.supply[row]):
        text += f"; simulated charge {words.number(float(comparison.supply[row]), 3)} of the threshold"
    return text
