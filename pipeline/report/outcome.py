"""What the fits came to: their names, distances to the targets, remarks on values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..inspect.trust import Trust, facts_of, judge
from ..parameters import Parameter, table
from ..tables import Comparison, FitResult, FittedParameter, Floats
from . import words


@dataclass(frozen=True)
class Fit:
    """One fit on the page; `title` is what the page calls it, `provenance` says what made it.

    `comparison` holds model and data hit by hit, "initial" and "fitted"; `files` links by what they lead to.
    """

    target: str
    method: str
    result: FitResult
    provenance: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    comparison: Mapping[str, Comparison] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def trust(self) -> Trust:
        """Whether its values can be trusted, and why."""
        return judge(self.result, facts_of(self.provenance))


def names_from_path(path: Path) -> tuple[str, str]:
    """Target and method of a fit file `.../<target>/<method>/fit.h5`; other files go by their own name, no method."""
    parts = path.absolute().parts
    if path.name == "fit.h5" and len(parts) > 3:
        return parts[-3], parts[-2]
    return path.stem, ""


def titled(fits: Sequence[Fit]) -> tuple[Fit, ...]:
    """The fits with distinct titles: the target, the method where there are several, a number where both agree."""
    several = len({fit.method for fit in fits}) > 1
    titles = [f"{fit.target} ({fit.method})" if several and fit.method else fit.target for fit in fits]
    many, seen = Counter(titles), Counter[str]()
    named = []
    for fit, title in zip(fits, titles, strict=True):
        seen[title] += 1
        again = f" #{seen[title]}" if many[title] > 1 else ""
        named.append(replace(fit, title=title + again))
    return tuple(named)


def parameter_of(fitted: FittedParameter) -> Parameter:
    """The table's entry of a fitted parameter, or a plain one made from the file where the table has none."""
    known = table().get(fitted.name)
    if known is not None:
        return known
    words_only = fitted.name.replace("_", " ")
    return Parameter(fitted.name, words_only, fitted.unit, fitted.initial, -math.inf, math.inf, words_only)


def relative_error(fitted: FittedParameter) -> float | None:
    """`value / target - 1`; None where the target is unknown or zero."""
    return None if not fitted.target else fitted.value / fitted.target - 1.0


def largest_error(result: FitResult) -> tuple[FittedParameter, float] | None:
    """The free parameter farthest from its target and its relative error; None where no target is known."""
    errors = [(p, e) for p in result.parameters if p.free and (e := relative_error(p)) is not None]
    # A value that is not a number is the worst of all.
    return max(errors, key=lambda pair: math.inf if math.isnan(pair[1]) else abs(pair[1]), default=None)


def distance_history(result: FitResult, over: int = 1) -> Floats | None:
    """`(iterations + 1,)` largest relative distance of a free parameter to its target; None if none is known.

    That of the mean over the last `over` iterations up to each, fewer at the beginning.
    """
    distances = [
        np.abs(_running_mean(np.asarray(result.history[p.name], dtype=np.float64), over) / p.target - 1.0)
        for p in result.parameters
        if p.free and p.target and p.name in result.history
    ]
    return np.max(distances, axis=0) if distances else None


def _running_mean(values: Floats, over: int) -> Floats:
    if over == 1:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    end = np.arange(1, len(values) + 1)
    begin = np.maximum(end - over, 0)
    return np.asarray((total[end] - total[begin]) / (end - begin))


def has_targets(fits: Sequence[Fit]) -> bool:
    """Whether the distance to a target is known for any fit."""
    return any(largest_error(fit.result) is not None for fit in fits)


def without_targets(fits: Sequence[Fit]) -> list[str]:
    """Titles of the fits of which no target is known, as of hits that were recorded."""
    return [fit.title for fit in fits if all(p.target is None for p in fit.result.parameters)]


def remarks(fitted: FittedParameter) -> tuple[str, ...]:
    """What a reader should know about one fitted value: held fixed, or outside the range of the table."""
    parameter = parameter_of(fitted)
    notes = []
    if not fitted.free:
        off = relative_error(fitted)
        notes.append("held fixed off its target, which biases the others" if off else "held fixed, not fitted")
    if not parameter.low <= fitted.value <= parameter.high:
        low, high = (f"{words.scaled(parameter, edge):g}" for edge in (parameter.low, parameter.high))
        notes.append(f"outside the usual range {low} to {high} {words.display_unit(parameter)}".rstrip())
    return tuple(notes)
