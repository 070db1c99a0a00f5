"""Which parameters of a fit are known, under which assumptions, and what limits each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibrate.uncertainty import GEOMETRY_KNOWN, MARGINAL, SEGMENTS_KNOWN
from ..parameters import table
from ..tables import FitResult, Floats, Uncertainty

#: Covariances in `Uncertainty.others` that fits of unknown deposits give: as if all of the deposits were known, and as
#: if only where they lie were, and, beside one that was simulated, as if tracks were segments. They are no second
#: opinion on the covariance of the fit, but parts of it.
ASSUMED = (SEGMENTS_KNOWN, GEOMETRY_KNOWN, MARGINAL)
#: What a parameter may be limited by, in words.
NOISE, ENERGY, GEOMETRY = "noise", "unknown dE/dx", "unknown tracks"
DEPOSITS, STRUCTURE = "unknown deposits", "what tracks have and segments have not"
#: How much more of the variance than this a parameter gets from the others until it is called limited by them: one
#: known only in combination has a variance many times that at fixed others.
_TOGETHER = 10.0


@dataclass(frozen=True)
class Limit:
    """One parameter: relative standard uncertainties by what is assumed known, NaN where not told.

    `known`: all of the deposits; `energy`: dE/dx unknown, tracks known; `all`: what the fit says. `shares` of the
    variance by what they come from (sum 1); `partner`: the parameter that it is known only together with, or "".
    """

    name: str
    known: float
    energy: float
    all: float
    shares: Mapping[str, float]
    partner: str

    @property
    def cause(self) -> str:
        """What it is limited by: the largest share."""
        return max(self.shares, key=lambda cause: self.shares[cause])


def limits(result: FitResult) -> tuple[Limit, ...]:
    """The free parameters of a fit whose uncertainty is known and finite, and whose value is not 0."""
    known = result.uncertainty
    if known is None:
        return ()
    value = {p.name: p.value for p in result.parameters}
    found = []
    for i, name in enumerate(known.names):
        total = float(known.covariance[i, i])
        if not (0 < total < math.inf) or not value.get(name):
            continue
        segments, geometry, integrated = (_variance(known, kind, i, total) for kind in ASSUMED)
        scale = abs(value[name])
        found.append(
            Limit(
                name,
                math.sqrt(segments) / scale,
                math.sqrt(geometry) / scale,
                math.sqrt(total) / scale,
                _shares(segments, geometry, integrated, total),
                _partner(known, i),
            )
        )
    return tuple(found)


def _variance(known: Uncertainty, kind: str, i: int, total: float) -> float:
    """Variance of a parameter under an assumption; NaN where it is not told. Knowing more never makes it larger."""
    if kind not in known.others:
        return math.nan
    value = float(known.others[kind][i, i])
    return min(value, total) if value > 0 else math.nan


def _shares(segments: float, geometry: float, integrated: float, total: float) -> dict[str, float]:
    """Parts of the variance, as far as they are told; all of it is noise where nothing is said of the deposits."""
    if not math.isnan(integrated):
        inner = _shares(min(segments, integrated), min(geometry, integrated), math.nan, integrated)
        part = integrated / total
        return {**{cause: share * part for cause, share in inner.items()}, STRUCTURE: 1 - part}
    if math.isnan(segments):
        rest = 0.0 if math.isnan(geometry) else total - geometry
        return {NOISE: 1 - rest / total} | ({GEOMETRY: rest / total} if not math.isnan(geometry) else {})
    if math.isnan(geometry):
        return {NOISE: segments / total, DEPOSITS: 1 - segments / total}
    middle = max(geometry, segments)
    return {NOISE: segments / total, ENERGY: (middle - segments) / total, GEOMETRY: (total - middle) / total}


def _partner(known: Uncertainty, i: int) -> str:
    """The parameter with the strongest correlation, where the others together hide this one."""
    covariance = known.covariance
    if len(known.names) < 2 or not np.isfinite(covariance).all():
        return ""
    sigma = np.sqrt(np.diag(covariance))
    correlation: Floats = covariance / np.outer(sigma, sigma)
    try:
        # Variance over that at fixed others.
        inflation = float(np.linalg.inv(correlation)[i, i])
    except np.linalg.LinAlgError:
        inflation = math.inf
    if 0 < inflation < _TOGETHER:
        return ""
    strength = np.abs(correlation[i])
    strength[i] = -1
    return known.names[int(strength.argmax())]


def assumptions(result: FitResult, provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """What the fit rests on, in words: what it is told of the deposits, what it fits, and what it holds."""
    known = result.uncertainty
    unknown = known is not None and any(kind in known.others for kind in ASSUMED)
    data = "hits of unknown truth" if all(p.target is None for p in result.parameters) else "simulated hits"
    told = "deposits that it does not know exactly" if unknown else "deposits that are taken for known"
    inputs = provenance.get("inputs")
    if not unknown and isinstance(inputs, Mapping) and "reconstructed" in inputs:
        told = "deposits that were reconstructed from them and are taken for known: their errors are in no uncertainty"
    held = [in_symbol(p.name) for p in result.parameters if not p.free]
    return (
        f"{data}, {told}",
        f"free: {', '.join(in_symbol(p.name) for p in result.parameters if p.free)}",
        *([f"held: {', '.join(held)}"] if held else []),
        *_priors(provenance),
    )


def _priors(provenance: Mapping[str, Any]) -> list[str]:
    """Parameters on which the fit has external knowledge, as far as its record tells."""
    config = provenance.get("config")
    methods = config.get("method") if isinstance(config, Mapping) else None
    method = next(iter(methods.values()), None) if isinstance(methods, Mapping) else None
    priors = method.get("priors") if isinstance(method, Mapping) else None
    return [f"priors on {', '.join(map(in_symbol, priors))}"] if isinstance(priors, Mapping) and priors else []


def sentence(result: FitResult, found: Sequence[Limit]) -> str:
    """What limits the parameters, in a sentence; empty where no uncertainty is known."""
    if not found:
        return ""
    groups: dict[str, list[str]] = {}
    for limit in found:
        groups.setdefault(limit.cause, []).append(f"{in_symbol(limit.name)} ({_percent(limit.all)})")
    parts = [f"{cause} limits {', '.join(names)}" for cause, names in groups.items()]
    pairs = dict.fromkeys(tuple(sorted((li.name, li.partner))) for li in found if li.partner)
    together = [" with ".join(map(in_symbol, pair)) for pair in pairs]
    more = f"; known only together: {', '.join(together)}" if together else ""
    return f"{'; '.join(parts)[:1].upper()}{'; '.join(parts)[1:]}{more}."


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def in_symbol(name: str) -> str:
    """Symbol of a parameter of the table, or its name in words."""
    known = table().get(name)
    return known.symbol if known is not None else name.replace("_", " ")
