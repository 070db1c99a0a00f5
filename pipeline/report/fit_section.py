"""The fits on the page: legend, summary and table of values of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from ..inspect.pulls import joint, pull
from ..inspect.trust import Verdict, probable
from ..tables import FitResult, FittedParameter
from . import curves, uncertainty, words
from .outcome import Fit, largest_error, parameter_of, relative_error, remarks

#: Fits shown unfolded; those that are not to be used always are.
_OPEN_FITS = 3
#: Verdicts on a badge.
_BADGES: dict[Verdict, str] = {"good": "✓ converged", "care": "! with care", "bad": "✗ did not converge"}
#: Pulls beyond this are marked.
_LARGE_PULL = 3.0


def legend(fits: Sequence[Fit]) -> list[dict[str, Any]]:
    """A button for each fit, that hides and shows its curves."""
    colour, marker = curves.colours(fits), curves.markers(fits)
    return [
        {
            "label": fit.title,
            "group": curves.group(fit),
            "colour": colour[fit.target],
            "mark": curves.MARKERS[marker[fit.method]],
            "failed": not fit.result.converged,
        }
        for fit in fits
    ]


def section(fit: Fit, many: int, figure: str) -> dict[str, Any]:
    """What the page shows of one of `many` fits, its correlations under the name `figure`."""
    result = fit.result
    largest = largest_error(result)
    diagnostics = dict(result.diagnostics)
    hits = diagnostics.pop("hits_used", None)
    length = diagnostics.pop("length_cm", None)
    places = _places(diagnostics.pop("position_rms_um", None), diagnostics.pop("position_missed_fraction", None))
    return {
        "title": fit.title,
        "target": fit.target,
        "method": fit.method or result.method,
        "converged": result.converged,
        "verdict": fit.trust.verdict,
        "badge": _BADGES[fit.trust.verdict],
        "trust": words.typeset(fit.trust.sentence),
        "status": result.status,
        "warnings": list(result.warnings),
        "iterations": words.count(result.iterations),
        "hits": words.count(hits) if hits is not None else "–",
        "unmatched": _unmatched(fit),
        "length": f"{words.count(length)} cm" if length is not None else "–",
        "largest": _largest(*largest) if largest else None,
        "largest_name": Markup(words.symbol(parameter_of(largest[0]))) if largest else None,
        "places": places,
        "parameters": [_row(p, _missing(result)) for p in result.parameters],
        "diagnostics": [(name.replace("_", " "), words.plain(float(v))) for name, v in sorted(diagnostics.items())],
        "files": list(fit.files.items()),
        "h5": fit.files.get("fit.h5", ""),
        "json": fit.files.get("fit.json", ""),
        "pulls": _pulls(result),
        "uncertainty": uncertainty.section(fit, figure),
        "open": many <= _OPEN_FITS or fit.trust.verdict == "bad",
    }


def _places(rms: float | None, missed: float | None) -> str | None:
    """How far fitted tracks are from the true ones, where that is known."""
    if missed is None:
        return None
    if rms is None:
        return "None of the fitted tracks is within 1 cm of a true one."
    text = f"The fitted tracks are {words.number(rms, 3)} μm from the true ones (rms, across them)"
    return f"{text}; {words.percent(missed)} of the true path has no track within 1 cm."


def _largest(fitted: FittedParameter, error: float) -> str:
    """A relative error beside the uncertainty of its value."""
    known = words.relative(fitted)
    return words.percent(abs(error)) + (f" (± {known})" if known else "")


def _pulls(result: FitResult) -> str | None:
    """The pulls of a fit in a cell; None where they are not known."""
    pulls = joint(result)
    if pulls is None:
        return None
    probability = probable(pulls.probability).replace("below", "<")
    return f"{words.number(pulls.chi2, 3)} / {pulls.freedom} ({probability})"


def _unmatched(fit: Fit) -> str:
    last = [
        fit.result.history[k][-1] for k in ("unmatched_model", "unmatched_data") if len(fit.result.history.get(k, ()))
    ]
    return words.count(sum(last)) if last and np.all(np.isfinite(last)) else "–"


def _missing(result: FitResult) -> str:
    """Why a parameter that was fitted has no uncertainty."""
    if result.uncertainty is not None:
        return "the data do not hold it"
    return "not estimated: no noise model" if result.converged else "not estimated: no convergence"


def _row(fitted: FittedParameter, missing: str) -> dict[str, Any]:
    parameter = parameter_of(fitted)
    error, off = relative_error(fitted), pull(fitted)
    known = missing if fitted.free else "–"
    if fitted.uncertainty is not None:
        known = words.relative(fitted) or "–"
    shown = {"initial": fitted.initial, "fitted": fitted.value, "target": fitted.target}
    sigma = {"fitted": fitted.uncertainty}
    return {
        "label": Markup(words.label_with_unit(parameter)),
        "numbers": [
            (key, value, words.measured(parameter, value, sigma.get(key)) if value is not None else "unknown")
            for key, value in shown.items()
        ],
        "free": fitted.free,
        "difference": words.percent(error, sign="+") if error is not None else "–",
        "uncertainty": known,
        "pull": f"{off:+.2f}".replace("-", "−") if off is not None else "–",
        "odd": off is not None and abs(off) > _LARGE_PULL,
        "remarks": remarks(fitted),
    }
