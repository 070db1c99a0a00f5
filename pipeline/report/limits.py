"""The front of the page: which parameters are known, under which assumptions, and what limits each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from ..inspect.limits import Limit, assumptions, in_symbol, limits, sentence
from . import words
from .outcome import Fit, parameter_of


def section(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """A table per method, of the first of its fits that is to be used; none where no fit states an uncertainty.

    Fits of one method to other targets rest on the same assumptions and are limited alike.
    """
    found = []
    for method in dict.fromkeys(fit.method for fit in fits):
        usable = [fit for fit in fits if fit.method == method and fit.trust.verdict != "bad" and limits(fit.result)]
        if usable:
            found.append(_of_fit(usable[0], len(usable)))
    return found


def _of_fit(fit: Fit, many: int) -> dict[str, Any]:
    rows = limits(fit.result)
    fitted = {p.name: p for p in fit.result.parameters}
    told = {what: any(not math.isnan(getattr(row, what)) for row in rows) for what in ("known", "energy")}
    causes = list(dict.fromkeys(cause for row in rows for cause in row.shares))
    return {
        "title": fit.title,
        "many": many,
        "verdict": fit.trust.verdict,
        "assumptions": [words.typeset(text) for text in assumptions(fit.result, fit.provenance)],
        "sentence": words.typeset(sentence(fit.result, rows)),
        "columns": [title for what, title in _COLUMNS.items() if told.get(what, True)],
        "causes": causes if len(causes) > 1 else [],
        "rows": [
            {
                "label": Markup(words.label(parameter_of(fitted[row.name]))),
                "uncertainties": [_percent(getattr(row, what)) for what in _COLUMNS if told.get(what, True)],
                "shares": [_share(row.shares.get(cause, 0.0)) for cause in causes] if len(causes) > 1 else [],
                "limit": words.typeset(_limit(row)),
            }
            for row in rows
        ],
    }


#: Uncertainties by what is taken for known, and the heads of their columns.
_COLUMNS = {"known": "deposits known [%]", "energy": "dE/dx unknown [%]", "all": "as fitted [%]"}


def _percent(fraction: float) -> str:
    return "–" if math.isnan(fraction) else words.number(100 * fraction, 2)


def _share(share: float) -> str:
    return f"{np.round(100 * share):.0f} %"


def _limit(row: Limit) -> str:
    if not row.partner:
        return row.cause
    return f"{row.cause}; known only together with {in_symbol(row.partner)}"
