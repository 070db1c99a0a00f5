"""Means, ratios, medians and efficiencies with their errors, alone and in bins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tables import Bools, Floats, Ints

#: Part of all values whose narrowest interval is the peak, and most blocks of the jackknife.
_NARROWEST, _BLOCKS = 0.3, 20

#: A value with the lower and upper end of its interval of one standard deviation.
Interval = tuple[float, float, float]


def wilson(passed: int, all_: int) -> Interval:
    """Share that passed, with its interval (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209): good near 0 and 1."""
    share = passed / all_
    middle = (share + 0.5 / all_) / (1 + 1 / all_)
    half = np.sqrt(share * (1 - share) / all_ + 0.25 / all_**2) / (1 + 1 / all_)
    # Rounding must leave the share inside.
    return share, min(float(middle - half), share), max(float(middle + half), share)


def ratio(above: Floats, below: Floats, group: Ints) -> Interval:
    """Sum of `above` over sum of `below` `(n,)`; the error is from the scatter between groups, `(n,)` numbers.

    Rows of one group (of one track) may be correlated in any way. With a single group the interval is a point.
    """
    number = np.unique(group, return_inverse=True)[1].reshape(-1)
    a, b = np.bincount(number, above), np.bincount(number, below)
    value, groups = float(a.sum() / b.sum()), len(a)
    error = np.sqrt(((a - value * b) ** 2).sum() * groups / max(groups - 1, 1)) / abs(b.sum())
    return value, float(value - error), float(value + error)


def root_mean_square(values: Floats, group: Ints) -> Interval:
    """Root of the mean square of `values` `(n,)`, the error from the scatter between groups."""
    mean, low, high = ratio(values**2, np.ones(len(values)), group)
    error = 0.0 if mean == 0 else (high - low) / (4 * np.sqrt(mean))
    return float(np.sqrt(mean)), float(np.sqrt(mean) - error), float(np.sqrt(mean) + error)


def quantile(values: Floats, share: float = 0.5) -> Interval:
    """Quantile of `values` `(n,)`, by default the median, with the interval that ranks give to independent ones."""
    spread = np.sqrt(share * (1 - share) / len(values))
    at = np.quantile(values, np.clip([share, share - spread, share + spread], 0, 1))
    return float(at[0]), float(at[1]), float(at[2])


def peak(values: Floats) -> float:
    """Most probable of `values` `(n,)`: the mean of those in the narrowest interval that holds 30 % of them."""
    ordered = np.sort(values)
    count = max(int(_NARROWEST * len(ordered)), 1)
    begin = int((ordered[count:] - ordered[:-count]).argmin()) if len(ordered) > count else 0
    return float(ordered[begin : begin + count + 1].mean())


def jackknife(statistic: Callable[[Bools], float], group: Ints) -> Interval:
    """`statistic` of the rows that a mask chooses, of all, with its error from leaving out each of up to 20 blocks.

    Rows of one group `(n,)`, of which there are two or more, stay together (Efron, CBMS-NSF 38 (1982), section 3).
    """
    number = np.unique(group, return_inverse=True)[1].reshape(-1)
    blocks = min(_BLOCKS, int(number.max()) + 1)
    left_out = np.array([statistic(np.asarray(number % blocks != k)) for k in range(blocks)])
    value = statistic(np.ones(len(group), dtype=bool))
    error = float(np.sqrt((blocks - 1) * left_out.var()))
    return value, value - error, value + error


def in_bins(x: Floats, edges: Floats, statistic: Callable[[Bools], Interval], least: int = 1) -> dict[str, Any]:
    """`statistic` of the rows in each bin of `x` `(n,)`: lists of `value`, `low` and `high` (None where a bin has fewer
    than `least` rows) and of `count`, with the `edges` of the bins; what lies beyond them is left out.
    """
    number = np.searchsorted(edges, x, side="right") - 1
    number[x == edges[-1]] = len(edges) - 2
    rows = [np.asarray(number == k) for k in range(len(edges) - 1)]
    found = [statistic(r) if r.sum() >= least else (None, None, None) for r in rows]
    value, low, high = (list(column) for column in zip(*found, strict=True))
    return {"edges": edges.tolist(), "value": value, "low": low, "high": high, "count": [int(r.sum()) for r in rows]}
