"""The answer of the page: did the fits work, how far are they off, and can they be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..inspect.pulls import Joint, joint, together
from ..inspect.trust import FAR_PULLS, in_words
from . import words
from .outcome import Fit, largest_error

#: Probability below which all pulls of one method together are no accident: three standard deviations.
UNLIKELY = 0.0027
#: Titles of fits that a sentence lists; more are counted.
_MOST_TITLES = 4


@dataclass(frozen=True)
class Headline:
    """The answer in three sentences: convergence, largest error, trust.

    `verdict` is "good", "care" (usable with care), "mixed" (some are not to be used) or "bad" (none is).
    """

    verdict: str
    sentences: tuple[str, ...]


def headline(fits: Sequence[Fit]) -> Headline:
    """Did it work: how many of the fits converged, the largest relative error of those with its parameter, and whether
    and why they can be trusted; the verdict is that of the single fits and of their pulls together.
    """
    usable = [fit for fit in fits if fit.trust.verdict != "bad"]
    if len(usable) == len(fits):
        first = "The fit converged." if len(fits) == 1 else f"All {len(fits)} fits converged."
    elif usable:
        failed = ", ".join(fit.title for fit in fits if fit.trust.verdict == "bad")
        first = f"{len(usable)} of {len(fits)} fits converged; not to be used: {failed}."
    else:
        first = "The fit did not converge." if len(fits) == 1 else f"None of the {len(fits)} fits converged."
    second = _error_sentence(usable, bool(usable) and len(usable) < len(fits))
    if not usable:
        return Headline("bad", (first, second))
    verdict, third = _trust(usable)
    if len(usable) < len(fits):
        third = f"Of the converged {'fit' if len(usable) == 1 else 'fits'}: {third[0].lower()}{third[1:]}"
    return Headline(verdict if len(usable) == len(fits) else "mixed", (first, second, third))


def _error_sentence(good: Sequence[Fit], some_failed: bool) -> str:
    if not good:
        return "Its values are shown below for diagnosis only; they are not a calibration."
    worst = [(fit, *largest) for fit in good if (largest := largest_error(fit.result)) is not None]
    if not worst:
        return "The true values are not known for these data, so how far the result is from them cannot be said."
    fit, fitted, error = max(worst, key=lambda row: math.inf if math.isnan(row[2]) else abs(row[2]))
    among = "Among the converged fits the" if some_failed else "The"
    where = f" of {fit.title}" if len(worst) > 1 else ""
    name = fitted.name.replace("_", " ")
    known = words.relative(fitted)
    beside = f", known to {known}" if known else ""
    return (
        f"{among} largest relative error of any fitted parameter is {words.percent(abs(error))} "
        f"({name}{where}{beside})."
    )


def _trust(usable: Sequence[Fit]) -> tuple[str, str]:
    """Verdict and sentence on the fits that converged."""
    if len(usable) == 1:
        return usable[0].trust.verdict, usable[0].trust.sentence
    doubts: dict[str, list[Fit]] = {}
    advice: dict[str, str] = {}
    for fit in usable:
        for reason in fit.trust.against():
            members = doubts.setdefault(reason.topic, [])
            if fit not in members:
                members.append(fit)
            advice.setdefault(reason.topic, reason.advice)
    parts = [
        f"{topic} ({_who(members, usable)}{f': {advice[topic]}' if advice[topic] else ''})"
        for topic, members in doubts.items()
    ]
    all_pulls = joint_by_method(usable)
    odd = [f"{_of(method, all_pulls)}{in_words(pulls)}" for method, pulls in all_pulls.items() if unlikely(pulls)]
    if odd and FAR_PULLS not in doubts:
        parts.append(f"pulls that do not scatter as the uncertainties say ({'; '.join(odd)})")
    if parts:
        return "care", f"Use the values with care, because of {_listed(parts)}."
    if not all_pulls:
        if any(fit.result.uncertainty is not None for fit in usable):
            return "good", "Nothing speaks against their uncertainties; every fit below says why."
        return "good", "The data carry no noise, so that there is no statistical uncertainty to give."
    told = "; ".join(f"{_of(method, all_pulls)}{in_words(pulls)}" for method, pulls in all_pulls.items())
    return "good", f"The values can be trusted within their uncertainties, which their targets confirm ({told})."


def joint_by_method(fits: Sequence[Fit]) -> dict[str, Joint]:
    """The pulls of all fits of each method together; fits of one target by several methods share their data."""
    found = {}
    for method in dict.fromkeys(fit.method for fit in fits):
        pulls = together(joint(fit.result) for fit in fits if fit.method == method)
        if pulls is not None:
            found[method] = pulls
    return found


def unlikely(pulls: Joint) -> bool:
    """Whether values scatter by more or less than their uncertainties say, beyond accident."""
    return min(pulls.probability, pulls.probability_of_less) < UNLIKELY / 2


def _of(method: str, all_pulls: dict[str, Joint]) -> str:
    return f"{method}: " if len(all_pulls) > 1 and method else ""


def _who(members: Sequence[Fit], everyone: Sequence[Fit]) -> str:
    if len(members) == len(everyone):
        return f"all {len(everyone)} fits"
    method = members[0].method
    if len(members) > 1 and list(members) == [fit for fit in everyone if fit.method == method]:
        return f"all {len(members)} fits by {method}"
    if len(members) > _MOST_TITLES:
        return f"{len(members)} of {len(everyone)} fits"
    return ", ".join(fit.title for fit in members)


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
