"""Whether fits are as far from the truth as they say: pulls, coverage and errors of many fits of noisy data.

The deposits are known (stage S1 of the published ladder); targets and noise draws are fixed by the seeds. Every fit is
counted. A pull is (fitted - true) / uncertainty in the coordinate in which the fit moves (1/tau for the lifetime). Of
N honest fits the pulls have mean 0 +- 1 / sqrt(N) and width 1 +- 1 / sqrt(2 N), and 68.3 % +- sqrt(0.217 / N) of them
lie within 1: each limit is three of these errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..names import nearest
from ..tables import Floats, Segments
from ..targets import fitted_targets
from .experiment import deposits_of, experiment_of
from .processes import Kept, work_through
from .published_ladder import FITS
from .pull_fits import Job, PullFits

#: Share of a normal distribution within one standard deviation.
COVERAGE = math.erf(math.sqrt(0.5))


def run(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    progress: Callable[[str], None],
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Fit every target and draw, and compare with the truth.

    Raises `ConfigError` where the method or a target does not exist or a held parameter is the only one that it fits,
    and `SelectionError` where a cut leaves nothing.
    """
    settings = config.study.pulls
    method = method_of(config, settings.method, "study.pulls.method")
    targets = fitted_targets(config, settings.targets, settings.named_targets, method.free, "study.pulls")
    experiment = experiment_of(config, segments, geometry, settings.length_cm)
    work = PullFits(experiment, method, settings.method, targets, settings.hold, config.seed)
    if not work.free:
        raise ConfigError("study.pulls.hold: every parameter of the method is held, so nothing is fitted; hold fewer.")
    fits = work_through(work, jobs_of(targets, settings.draws), config.simulate.threads, progress, "fits", kept)
    return {
        "settings": settings.model_dump(mode="json"),
        "noise": config.readout.noise.model_dump(mode="json"),
        "deposits": deposits_of(experiment),
        "targets": targets,
        **summary(fits, work.free, targets),
        "published": {name: [p.bias, p.spread] for name, p in FITS["S1"].items() if name in work.free},
        "fits": fits,
    }


def method_of(config: Config, name: str, where: str) -> Method:
    """The method that a study names at `where`; raises `ConfigError` if there is none."""
    if name not in config.known_methods:
        guess = nearest(name, config.known_methods)
        raise ConfigError(f"{where}: there is no method {name!r}; did you mean {guess!r}?")
    return config.known_methods[name]


def jobs_of(targets: Mapping[str, Any], draws: int) -> list[Job]:
    """All fits, target by target."""
    return [Job(target, draw) for target in range(len(targets)) for draw in range(draws)]


def summary(
    fits: Sequence[Mapping[str, Any]], free: Sequence[str], targets: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Statistics of fits over all targets and for each: of pulls, of relative errors, of the distance to the truth in
    units of the covariance, and of the normal scores of times and charges.
    """
    return {
        "converged": sum(bool(f["converged"]) for f in fits),
        "without_uncertainty": sum(not f["pulls"] for f in fits),
        "iterations": float(np.mean([f["iterations"] for f in fits])),
        "hits": sum(f["hits"] for f in fits),
        "outliers": sum(f["outliers"] for f in fits),
        "parameters": {
            name: {
                "pulls": pull_statistics(_of_pulls(fits, name), len(fits)),
                "by_target": {t: pull_statistics(_of_pulls(mine, name), len(mine)) for t, mine in _by_target(fits)},
                "uncertainty_percent": _mean_uncertainty(fits, name, targets),
                "errors_percent": error_statistics(_of_errors(fits, name, targets)),
            }
            for name in free
        },
        "distance": _distance(fits, len(free)),
        "scores": {name: _of_scores(fits, name) for name in ("t", "q") if any(f["scores"] for f in fits)},
    }


def pull_statistics(pulls: Floats, fits: int) -> dict[str, Any]:
    """Mean, width and coverage of `pulls` `(n,)` with standard errors, limits for this number of fits, and whether
    they are kept. A fit that has no pull covers nothing, and no limit is kept where one has none.
    """
    n = len(pulls)
    if n < 2:
        return {"fits": fits, "without": fits - n, "kept": False}
    width = float(pulls.std(ddof=1))
    coverage = float((np.abs(pulls) <= 1).sum() / fits)
    off = {"mean": float(pulls.mean()), "width": width - 1, "coverage": coverage - COVERAGE}
    limits = limits_of(fits)
    return {
        "fits": fits,
        "without": fits - n,
        "mean": off["mean"],
        "mean_error": width / math.sqrt(n),
        "width": width,
        "width_error": width / math.sqrt(2 * (n - 1)),
        "coverage": coverage,
        "coverage_error": math.sqrt(coverage * (1 - coverage) / fits),
        "limits": limits,
        "kept": n == fits and all(abs(off[what]) <= most for what, most in limits.items()),
    }


def limits_of(count: int) -> dict[str, float]:
    """How far mean, width and coverage of so many independent pulls may be from 0, 1 and 68.3 %."""
    spread = COVERAGE * (1 - COVERAGE)
    return {
        "mean": 3 / math.sqrt(count),
        "width": 3 / math.sqrt(2 * count),
        "coverage": 3 * math.sqrt(spread / count),
    }


def error_statistics(errors: Floats) -> dict[str, float]:
    """Bias, spread and total error sqrt(bias^2 + spread^2) of errors `(n,)`, with standard errors."""
    n = len(errors)
    if n < 2:
        return {}
    squares = errors**2
    total = math.sqrt(squares.mean())
    spread = float(errors.std())
    return {
        "bias": float(errors.mean()),
        "bias_error": spread / math.sqrt(n - 1),
        "spread": spread,
        "spread_error": spread / math.sqrt(2 * (n - 1)),
        "total": total,
        "total_error": float(squares.std(ddof=1)) / math.sqrt(n) / (2 * total) if total else 0.0,
    }


def _by_target(fits: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    names = dict.fromkeys(f["target"] for f in fits)
    return [(name, [f for f in fits if f["target"] == name]) for name in names]


def _of_pulls(fits: Sequence[Mapping[str, Any]], name: str) -> Floats:
    return np.array([f["pulls"][name] for f in fits if f["pulls"]])


def _of_errors(fits: Sequence[Mapping[str, Any]], name: str, targets: Mapping[str, Mapping[str, float]]) -> Floats:
    """Relative errors [%] of all fits that ended anywhere; those of a target of 0, which have none, are left out."""
    found = [(f["values"][name], targets[f["target"]][name]) for f in fits if f["values"]]
    return np.array([100 * (value / true - 1) for value, true in found if true])


def _mean_uncertainty(
    fits: Sequence[Mapping[str, Any]], name: str, targets: Mapping[str, Mapping[str, float]]
) -> float | None:
    """Root mean square of the stated uncertainties [%]."""
    found = [(f["uncertainties"][name], targets[f["target"]][name]) for f in fits if f["uncertainties"]]
    stated = [100 * sigma / true for sigma, true in found if true]
    return float(np.sqrt(np.mean(np.square(stated)))) if stated else None


def _distance(fits: Sequence[Mapping[str, Any]], free: int) -> dict[str, float]:
    """Mean of the squared distance to the truth, which is the number of parameters where the covariance is right."""
    found = np.array([f["distance"] for f in fits if f["distance"] is not None])
    if not len(found):
        return {}
    error = math.sqrt(2 * free / len(found))
    return {"mean": float(found.mean()), "expected": float(free), "error": error}


def _of_scores(fits: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Mean and width of the normal scores of all hits of all fits."""
    count, total, squares = np.sum([f["scores"][name] for f in fits if f["scores"]], axis=0)
    mean = total / count
    return {"count": float(count), "mean": float(mean), "width": float(np.sqrt(squares / count - mean**2))}


def table(result: Mapping[str, Any]) -> str:
    """The result as lines of text."""
    sample, fits = result["deposits"], len(result["fits"])
    lines = [
        f"{fits} fits at {len(result['targets'])} targets, {sample['length_cm']:.0f} cm of track each; "
        f"{result['converged']} converged, {result['without_uncertainty']} without uncertainty; "
        f"{result['iterations']:.1f} iterations; {result['outliers']} of {result['hits']} hits are outliers",
        f"{'parameter':<24}{'mean pull':>18}{'width':>18}{'coverage':>18}{'limits':>25}",
    ]
    for name, found in result["parameters"].items():
        p = found["pulls"]
        if "mean" not in p:
            lines.append(f"{name:<24}{'no uncertainty':>18}")
            continue
        cells = [f"{p[what]:.3f} +- {p[f'{what}_error']:.3f}" for what in ("mean", "width", "coverage")]
        most = "  ".join(f"{value:.3f}" for value in p["limits"].values())
        lines.append(
            f"{name:<24}" + "".join(f"{c:>18}" for c in cells) + f"{most:>25}{'' if p['kept'] else '  missed'}"
        )
    if result["distance"]:
        d = result["distance"]
        lines.append(
            f"mean squared distance to the truth {d['mean']:.2f}, expected {d['expected']:g} +- {d['error']:.2f}"
        )
    for name, s in result["scores"].items():
        what = {"t": "time", "q": "charge given the time"}[name]
        lines.append(f"normal scores of {what}: mean {s['mean']:+.4f}, width {s['width']:.4f} ({s['count']:.0f} hits)")
    lines.append(f"{'errors [%]':<24}{'bias':>18}{'spread':>18}{'total':>18}{'stated':>10}{'published':>18}")
    for name, found in result["parameters"].items():
        e = found["errors_percent"]
        if not e:
            continue
        cells = [f"{e[what]:.3g} +- {e[f'{what}_error']:.2g}" for what in ("bias", "spread", "total")]
        stated = "-" if found["uncertainty_percent"] is None else f"{found['uncertainty_percent']:.3g}"
        known = result["published"].get(name)
        published = "-" if known is None else f"{known[0]:+g} +- {known[1]:g}"
        lines.append(f"{name:<24}" + "".join(f"{c:>18}" for c in cells) + f"{stated:>10}{published:>18}")
    return "\n".join(lines)
