"""Whether the values of a fit can be trusted, in one sentence that names the reasons and what to do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..config.methods import LIKELIHOODS
from ..parameters import Parameter, table
from ..tables import FitResult, FittedParameter, Floats, Uncertainty
from .limits import ASSUMED
from .pulls import Joint, joint

#: From worst to best: not to be used; with care, for a reason that is named; within the uncertainties.
Verdict = Literal["bad", "care", "good"]
_VERDICTS: tuple[Verdict, ...] = ("bad", "care", "good")

#: Standard uncertainties by two means that differ by more than this are not both right.
APART = 0.2
#: Relative uncertainty beyond which a parabola about the value does not describe what is known of it.
WIDE = 0.3
#: Correlations beyond this are worth a word.
CORRELATED = 0.9
#: Share of hits without a partner, about which a fit of pairs says nothing, and of hits that only an outlier explains,
#: that are worth a word.
UNMATCHED, OUTLIERS = 0.05, 0.01
#: Condition number beyond which rounding may reach into the covariance.
ILL_CONDITIONED = 1e10
#: Probability below which pulls are no accident: four standard deviations of a single value.
UNLIKELY = 1e-4
#: Topic of a reason.
FAR_PULLS = "values farther from their targets than their uncertainties allow"
#: Relative distance to a target, of data without noise, that wants an explanation.
FAR_OFF = 0.1
#: Standard uncertainties by which a value of unknown target may lie outside the range of the table.
OUTSIDE = 3.0
#: Distance of chi2 per degree of freedom from 1, at least, and in its standard deviations.
CHI2_OFF, CHI2_SIGMAS = 0.2, 5.0


@dataclass(frozen=True)
class Facts:
    """What is known of a fit besides its result.

    `noisy`: whether its data carry electronics noise (None: not known); `objective` (empty: not known), and whether
    hits near the threshold were left out of it (`masked`); `reconstructed`: whether its segments were made of the hits.
    """

    noisy: bool | None = None
    objective: str = ""
    masked: bool = False
    reconstructed: bool = False


@dataclass(frozen=True)
class Reason:
    """One thing that speaks for or against the values of a fit.

    `topic` is what it is about in a few words, the same for all fits; `text` has the numbers of this one; `advice` says
    what to do about it, empty where nothing needs to be done.
    """

    verdict: Verdict
    topic: str
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Trust:
    """The verdict on a fit: that of its worst reason; `sentence` gives the reasons that decide."""

    verdict: Verdict
    sentence: str
    reasons: tuple[Reason, ...]

    def against(self) -> tuple[Reason, ...]:
        """The reasons that decide where the verdict is not good."""
        return tuple(r for r in self.reasons if r.verdict == self.verdict != "good")


def facts_of(provenance: Mapping[str, Any]) -> Facts:
    """What the record of a fit tells; whatever is missing or of another form counts as not known."""
    config = _mapping(provenance.get("config"))
    data = _mapping(config.get("data"))
    method = next((m for m in _mapping(config.get("method")).values() if isinstance(m, Mapping)), {})
    noisy, masked = data.get("noise"), method.get("min_charge_electrons")
    return Facts(
        noisy if isinstance(noisy, bool) else None,
        str(method.get("objective", "")),
        isinstance(masked, (int, float)) and masked > 0,
        "reconstructed" in _mapping(provenance.get("inputs")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def judge(result: FitResult, facts: Facts) -> Trust:
    """The verdict on one fit, from its result and what is known besides."""
    found = tuple(reason for check in _CHECKS for reason in check(result, facts))
    worst = min(found, key=lambda r: _VERDICTS.index(r.verdict)).verdict
    deciding = [r for r in found if r.verdict == worst]
    texts = [f"{r.text} – {r.advice}" if r.advice else r.text for r in deciding]
    return Trust(worst, f"{_BEGIN[worst](result)}: {'; '.join(texts)}.", found)


def _begin_good(result: FitResult) -> str:
    if any(p.uncertainty is not None for p in result.parameters):
        return "These values can be trusted within their uncertainties"
    return "These values can be used"


_BEGIN: Mapping[Verdict, Callable[[FitResult], str]] = {
    "bad": lambda _: "Do not use these values",
    "care": lambda _: "Use these values with care",
    "good": _begin_good,
}


def _outcome(r: FitResult, facts: Facts) -> Iterator[Reason]:
    if not r.converged:
        yield Reason("bad", "no convergence", f"the fit says of itself “{r.status.rstrip('.')}”")
        return
    wrong = [_symbol(p.name) for p in r.parameters if not math.isfinite(p.value)]
    if wrong:
        yield Reason("bad", "values that are no numbers", f"{_and(wrong)} is no finite number", "start elsewhere")
        return
    yield Reason("good", "convergence", "the fit converged")


def _noise(r: FitResult, facts: Facts) -> Iterator[Reason]:
    """Whether the noise of the data and that in the fit are the same."""
    if r.uncertainty is None and all(p.uncertainty is None for p in r.parameters):
        if facts.noisy is False:
            text = "its data carry no noise, so that there is no statistical uncertainty to give"
            yield Reason("good", "data without noise", text)
        elif facts.noisy:
            text = "the data carry noise that is not in the fit, so that its values may be off and have no uncertainty"
            yield Reason("care", "noise that is not in the fit", text, "fit with the method likelihood")
        else:
            text = "whether the data carry noise is not recorded, and the fit gives no uncertainty"
            yield Reason("care", "no known uncertainty", text, "fit with the method likelihood")
        return
    if facts.noisy is False:
        text = "the uncertainties are those of noise, which the data do not carry"
        yield Reason("care", "data without noise", text, "simulate data with noise, or fit with gauss_newton")
    if facts.noisy and facts.objective == "matched_residuals" and not facts.masked:
        text = "hits near the threshold pull a fit of residuals to one side when there is noise"
        yield Reason(
            "care", "hits near the threshold", text, "leave them out: masked_residuals, or use the method likelihood"
        )


def _hits(r: FitResult, facts: Facts) -> Iterator[Reason]:
    d = r.diagnostics
    if facts.objective in LIKELIHOODS:
        outliers, hits = d.get("unmatched_data", 0.0), d.get("hits_used", 0.0)
        share = outliers / max(outliers + hits, 1.0)
        if share > OUTLIERS:
            text = f"{100 * share:.2g} % of the hits are explained as outliers only"
            yield Reason("care", "outliers", text, "look at the map of hits for where the simulation lacks something")
        else:
            few = f"only {100 * share:.1g} %" if outliers else "none"
            yield Reason("good", "outliers", f"{few} of the hits are outliers")
        return
    share = d.get("unmatched_fraction", 0.0)
    if share > UNMATCHED:
        text = f"{100 * share:.3g} % of the hits have no partner, and the fit says nothing about them"
        yield Reason("care", "hits without a partner", text, "look at the table of their reasons")


def _segments(r: FitResult, facts: Facts) -> Iterator[Reason]:
    """Whether segments that were made of the hits are taken for the true ones."""
    if facts.reconstructed and facts.objective != "marginal_likelihood":
        text = (
            "its segments were reconstructed from the hits and are taken for the true ones, so that their errors are "
        )
        text += "in no uncertainty"
        yield Reason("care", "reconstructed segments", text, "fit with the method unknown_segments")


def _chi2(r: FitResult, facts: Facts) -> Iterator[Reason]:
    value, hits = r.diagnostics.get("chi2_per_degree_of_freedom"), r.diagnostics.get("hits_used", 0.0)
    if value is None or r.uncertainty is None:
        return
    # At least one residual per hit.
    limit = max(CHI2_OFF, CHI2_SIGMAS * math.sqrt(2 / max(hits, 1.0)))
    if abs(value - 1) > limit:
        more = "more" if value > 1 else "less"
        text = f"the residuals scatter {more} than noise does (chi2 per degree of freedom {value:.3g})"
        yield Reason("care", "chi2 of the residuals", text, "compare the noise of data and fit, and the hits")
    else:
        yield Reason("good", "chi2 of the residuals", f"chi2 per degree of freedom is {value:.3g}")


def _known(r: FitResult, facts: Facts) -> Iterator[Reason]:
    """What the covariance says of itself."""
    known = r.uncertainty
    if known is None:
        return
    sigma = _standard(known)
    without = [_symbol(n) for n, s in zip(known.names, sigma, strict=True) if not 0 < s < math.inf]
    if without:
        text = f"there is no uncertainty of {_and(without)}: these data do not hold everything that was fitted"
        yield Reason("care", "values that the data do not hold", text, "fix a parameter, or take more kinds of tracks")
        return
    if known.condition_number > ILL_CONDITIONED:
        text = f"the condition number {known.condition_number:.1e} is beyond what rounding allows"
        yield Reason("care", "condition number", text, "fix one of the parameters of the weakest direction")
    wide = [
        f"{_symbol(n)} to {100 * share:.0f} %"
        for n, share in relative(r, known).items()
        if share > WIDE and n not in known.intervals
    ]
    if wide:
        text = f"the data tell {_and(wide)} only, so that the uncertainty is a rough one itself"
        yield Reason("care", "wide uncertainties", text, "fit more track, or profile it")
    yield from _agreement(known, sigma)


def _agreement(known: Uncertainty, sigma: Floats) -> Iterator[Reason]:
    """The standard uncertainties by other means over those that are quoted."""
    for kind, covariance in known.others.items():
        if kind in ASSUMED:
            continue
        with np.errstate(invalid="ignore"):
            ratio = np.sqrt(np.diag(covariance)) / sigma
        off = np.abs(ratio - 1)
        if not np.isfinite(off).all():
            text = f"the {kind} gives no uncertainty to compare with"
            yield Reason("care", "no second uncertainty", text, "look whether the fit has ended in its minimum")
        elif off.max() > APART:
            i = int(off.argmax())
            text = f"the {kind} gives {ratio[i]:.2g} times the uncertainty of {_symbol(known.names[i])}"
            advice = "the fit is not at its minimum, or its model does not describe the noise"
            yield Reason("care", "uncertainties that disagree", text, advice)
        else:
            text = f"{kind} and {known.kind} agree to {percent(float(off.max()))}"
            yield Reason("good", "uncertainties that agree", text)


def _pulls(r: FitResult, facts: Facts) -> Iterator[Reason]:
    """Distances to the targets, where these are known."""
    if r.uncertainty is None:
        off = [(abs(p.value / p.target - 1), p) for p in r.parameters if p.free and p.target]
        worst = max(off, key=lambda pair: pair[0], default=None)
        if worst is not None and worst[0] > FAR_OFF and facts.noisy is False:
            text = f"{_symbol(worst[1].name)} is {percent(worst[0])} off its target, which noise does not explain"
            yield Reason("care", "distance to the target", text, _look(facts))
        return
    pulls = joint(r)
    if pulls is None:
        return
    told = in_words(pulls)
    if pulls.probability < UNLIKELY:
        where = _and([_symbol(name) for name in pulls.direction])
        together = f", most of all {where}{' together' if len(pulls.direction) > 1 else ''}"
        text = f"the values are farther from their targets than the uncertainties allow{together} ({told})"
        yield Reason("care", FAR_PULLS, text, _look(facts))
    else:
        yield Reason("good", "pulls", f"the targets are where the uncertainties say ({told})")


def _look(facts: Facts) -> str:
    """What to do about values that are too far from their targets."""
    if facts.noisy and facts.objective not in ("likelihood", ""):
        return "fit with the method likelihood, which knows the noise"
    return "look at what differs between data and simulation"


def in_words(pulls: Joint) -> str:
    """chi2 of pulls with its degrees of freedom and probability."""
    size = f"{pulls.chi2:.3g}" if pulls.chi2 < 1000 else f"{pulls.chi2:.0f}"
    return f"chi2 {size} for {pulls.freedom}, probability {probable(pulls.probability)}"


def probable(p: float) -> str:
    """A probability in per cent."""
    return percent(p) if p > 1e-5 else "below 0.001 %"


def _places(r: FitResult, facts: Facts) -> Iterator[Reason]:
    """Values outside their usual range whose target is not known, and values held at something else than the target."""
    known = table()
    for p in r.parameters:
        if p.name in known and p.free and p.target is None and math.isfinite(p.value):
            yield from _outside(p, known[p.name])
    held = [_symbol(p.name) for p in r.parameters if not p.free and p.target is not None and p.value != p.target]
    if held:
        text = f"{_and(held)} was held at another value than its target, which moves the others"
        yield Reason("care", "parameters held off their targets", text, "free it, or hold it at its target")


def _outside(p: FittedParameter, known: Parameter) -> Iterator[Reason]:
    beyond = max(known.low - p.value, p.value - known.high)
    if beyond <= (OUTSIDE * p.uncertainty if p.uncertainty is not None and p.uncertainty > 0 else 0.0):
        return
    text = f"{known.symbol} = {p.value:.4g} lies outside its usual range {known.low:g} to {known.high:g}"
    text += f" {p.unit}" if p.unit else ""
    yield Reason("care", "unusual values", text, "is the detector so, or does the simulation lack something?")


def remarks(r: FitResult) -> Iterator[str]:
    """What the fit itself remarks on its result, without what is told by its uncertainty and of ranges."""
    caveats = () if r.uncertainty is None else r.uncertainty.caveats
    for text in r.warnings:
        if text not in caveats and not ("outside the range" in text and any(p.name in text for p in r.parameters)):
            yield text


def _remarks(r: FitResult, facts: Facts) -> Iterator[Reason]:
    for text in remarks(r):
        yield Reason("care", "remarks of the fit", f"the fit remarks “{text.rstrip('.')}”", "see what it says")


def _weakest(r: FitResult, facts: Facts) -> Iterator[Reason]:
    """The value that is known least, and those that are known well only together: no fault, but not to be forgotten."""
    known = r.uncertainty
    if known is None or not np.isfinite(known.covariance).all():
        return
    shares = relative(r, known)
    if shares:
        least = max(shares, key=lambda name: shares[name])
        yield Reason("good", "least known", f"the least known is {_symbol(least)}, to {percent(shares[least])}")
    correlation = known.correlation
    pairs = sorted(
        ((i, j) for i in range(len(known.names)) for j in range(i)), key=lambda pair: -abs(correlation[pair])
    )
    strong = [pair for pair in pairs if abs(correlation[pair]) > CORRELATED]
    for i, j in strong[:2] or pairs[:1]:
        names = f"{_symbol(known.names[j])} and {_symbol(known.names[i])}"
        text = f"the largest correlation is {signed(correlation[i, j])}, of {names}"
        if strong:
            text = f"{names} are known well only together (correlation {signed(correlation[i, j])})"
        yield Reason("good", "correlations", text)


_CHECKS: tuple[Callable[[FitResult, Facts], Iterator[Reason]], ...] = (
    _outcome, _noise, _segments, _hits, _chi2, _known, _pulls, _places, _remarks, _weakest,
)  # fmt: skip


def relative(result: FitResult, known: Uncertainty) -> dict[str, float]:
    """Standard uncertainties over the values by name, those that the data do not hold left out."""
    value = {p.name: p.value for p in result.parameters}
    found = {n: float(s) / abs(value[n]) for n, s in zip(known.names, _standard(known), strict=True) if value.get(n)}
    return {n: share for n, share in found.items() if math.isfinite(share)}


def percent(share: float) -> str:
    """A share in per cent to two digits."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"


def signed(correlation: float) -> str:
    """A correlation to two decimals, to more where it is nearer to 1 than they show."""
    text = f"{correlation:.2f}"
    if not float(text):
        return "0.00"
    if abs(float(text)) < 1:
        return text
    return f"{correlation:.0f}" if abs(correlation) > 1 - 1e-9 else f"{correlation:.4f}"


def _standard(known: Uncertainty) -> Floats:
    with np.errstate(invalid="ignore"):
        return known.standard


def _symbol(name: str) -> str:
    known = table().get(name)
    return known.symbol if known is not None else name.replace("_", " ")


def _and(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
