"""Is the uncertainty that a fit expects the spread that fits have? A parametric bootstrap, and Minuit beside it.

Data with noise are simulated at the true values and fitted; then data are simulated at the fitted values many times,
each with noise of its own, and fitted from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..calibrate.bootstrap import Bootstrap, bootstrap
from ..calibrate.methods import objective_of
from ..calibrate.priors import measured_again
from ..calibrate.profile import Profile, profile
from ..calibrate.run import fit_hits
from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import FitError, ModelRangeError
from ..tables import FitResult, Floats, Observables, Segments
from .closure import Closure


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One fit with its expected uncertainty, Minuit's view of it, and the spread of fits to simulated data.

    Raises `SelectionError` where every track is too long, and `FitError` where the fit itself does not converge.
    """
    settings = config.study.bootstrap
    method = config.known_methods[settings.method]
    closure = Closure.of(config, settings, segments, geometry, "bootstrap")
    closure = replace(closure, truth={**closure.truth, **method.fixed, **settings.target})
    data = closure.data(0)
    progress("the fit")
    result = _fit(closure, data, method, noisy=True)
    if isinstance(result, str) or not result.converged:
        raise FitError(
            f"bootstrap: the fit itself failed, so there is nothing to look at: "
            f"{result if isinstance(result, str) else result.status}"
        )
    values = {**closure.truth, **{p.name: p.value for p in result.parameters}}
    expected = result.uncertainty
    if expected is not None and not np.isfinite(expected.covariance).all():
        expected = None
    progress("Minuit")
    checked = None
    if expected is not None:
        rounding = float(np.finfo(config.simulate.dtype).eps)
        objective = objective_of(method, closure.model, data)
        checked = profile(objective, values, method.free, expected, rounding=rounding)
    spread, refused = _bootstrap(replace(closure, truth=values), method, settings.draws, progress)
    return {
        "settings": settings.model_dump(mode="json"),
        "objective": method.objective,
        **closure.described(),
        "status": result.status,
        "caveats": [] if result.uncertainty is None else list(result.uncertainty.caveats),
        "names": list(method.free),
        "true": [closure.truth[n] for n in method.free],
        "fitted": [values[n] for n in method.free],
        "expected": None if expected is None else {"kind": expected.kind, **_numbers(expected.covariance)},
        "others": {} if expected is None else {kind: _numbers(cov) for kind, cov in expected.others.items()},
        "minuit": None if checked is None else _of_profile(checked),
        "bootstrap": _of_bootstrap(spread),
        "failures": refused,
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text, in units of the standard deviation of the fits."""
    found, minuit, expected = result["bootstrap"], result["minuit"], result["expected"]
    lines = [
        f"{result['settings']['method']}, {result['length_cm']:.0f} cm: {found['fits']} fits, {found['failed']} failed"
    ]
    ways = {"expected": expected, **result["others"], "HESSE": minuit}
    lines.append(
        f"{'parameter':<24}{'fitted':>13}{'spread':>12}" + "".join(f"{way:>22}" for way in ways) + f"{'MINOS':>16}"
        f"{'bias':>16}  [spreads; known to {1 / np.sqrt(2 * (found['fits'] - 1)):.0%}]"
    )
    for k, name in enumerate(result["names"]):
        unit = found["standard"][k]
        interval = None if minuit is None else minuit["intervals"].get(name)
        ends = [] if interval is None else [f"{(end - result['fitted'][k]) / unit:+.3f}" for end in interval]
        lines.append(
            f"{name:<24}{result['fitted'][k]:>13.6g}{unit:>12.3g}"
            + "".join(f"{_ratio(way, k, unit):>22}" for way in ways.values())
            + f"{' '.join(ends) or '-':>16}"
            f"{found['bias'][k] / unit:>+8.2f} ± {found['bias_error'][k] / unit:<5.2f}"
        )
    if minuit is not None:
        lines.append(f"Minuit: {minuit['evaluations']} evaluations; {'valid' if minuit['valid'] else 'not valid'}")
        lines += minuit["complaints"]
    lines += [f"{count} times: {why}" for why, count in result["failures"].items()]
    return "\n".join(lines)


def _fit(closure: Closure, data: Observables, method: Method, *, noisy: bool = False) -> FitResult | str:
    """The fit of some data, with its uncertainty where data are `noisy`, or the sentence why there is none."""
    name, seed = closure.config.study.bootstrap.method, closure.config.seed
    try:
        return fit_hits(closure.model, data, method, name, target={}, seed=seed, noisy=noisy)
    except (FitError, ModelRangeError) as refused:
        return str(refused)


def _bootstrap(
    closure: Closure, method: Method, draws: int, progress: Callable[[str], None]
) -> tuple[Bootstrap, dict[str, int]]:
    """The spread of fits that start where their data were simulated, and how often which fit failed."""
    free, truth = method.free, closure.truth
    refused: Counter[str] = Counter()
    done = 0

    def refit(seed: int) -> Floats | None:
        nonlocal done
        done += 1
        if done % 10 == 1:
            progress(f"fit {done} of {draws}")
        again = {"initial": {n: truth[n] for n in free}, "priors": measured_again(method.priors, truth, seed)}
        result = _fit(closure, closure.data(seed), method.model_copy(update={"starts": 1, **again}))
        if isinstance(result, str) or not result.converged:
            refused[result if isinstance(result, str) else result.status.split(";")[0]] += 1
            return None
        found = {p.name: p.value for p in result.parameters}
        return np.array([found[n] for n in free])

    spread = bootstrap(refit, np.array([truth[n] for n in free]), draws, closure.config.seed)
    return spread, dict(refused)


def _numbers(covariance: Floats) -> dict[str, Any]:
    standard = np.sqrt(np.diag(covariance))
    return {"standard": standard.tolist(), "correlation": (covariance / np.outer(standard, standard)).tolist()}


def _of_profile(found: Profile) -> dict[str, Any]:
    return {
        **({"standard": None, "correlation": None} if found.covariance is None else _numbers(found.covariance)),
        "moved": found.moved.tolist(),
        "intervals": {name: list(ends) for name, ends in found.intervals.items()},
        "valid": found.valid,
        "complaints": list(found.complaints),
        "evaluations": found.evaluations,
    }


def _of_bootstrap(found: Bootstrap) -> dict[str, Any]:
    return {
        **_numbers(found.covariance),
        "standard_error": found.standard_error.tolist(),
        "bias": found.bias.tolist(),
        "bias_error": found.bias_error.tolist(),
        "interval": found.interval.tolist(),
        "values": found.values.tolist(),
        "fits": len(found.values),
        "failed": found.failed,
    }


def _ratio(found: Mapping[str, Any] | None, k: int, unit: float) -> str:
    return "-" if found is None or found["standard"] is None else f"{found['standard'][k] / unit:.3f}"
