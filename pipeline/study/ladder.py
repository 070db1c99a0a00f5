"""From known deposits to hits alone: the errors of fits that know less and less, beside published ones and the bound.

S1 knows the deposits, S2 fits dE/dx, S3 fits dE/dx on tracks that it takes for straight lines, S4 has hits only. All
stages see the same data: tracks, noise and targets. Every fit is counted; limits are those of the study `pulls`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config.models import Config
from ..config.robustness import Campaign, StageName
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..perturb.base import Perturbation
from ..perturb.chord import Chord
from ..tables import Segments
from ..targets import fitted_targets
from . import published_ladder as published
from .estimators import Task, estimator
from .processes import Kept, with_threads, work_through
from .pulls import method_of, summary
from .trials import (
    Job,
    PixelTrials,
    Series,
    Told,
    Trials,
    deposits_of_parts,
    parts_of,
    taken,
    through_cuts,
)

#: What fits of a stage leave open, ...
TASKS: dict[StageName, Task] = {
    "S1": Task(),
    "S2": Task(dedx=True),
    "S3": Task(dedx=True),
    "S4": Task(dedx=True, geometry=True, particles=True, from_hits=True),
}
#: ... and what they are told wrong.
MISTAKES: dict[StageName, tuple[Perturbation, ...]] = {"S3": (Chord(),)}


def run(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    progress: Callable[[str], None],
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Fit every stage, length, target and draw, and compare with the truth.

    Raises `ConfigError` where the method or a target does not exist, and `SelectionError` where the cuts leave nothing.
    """
    settings = config.study.ladder
    method = method_of(config, settings.method, "study.ladder.method")
    most = max(c.targets for c in settings.campaigns)
    targets = fitted_targets(config, most, settings.named_targets, method.free, "study.ladder")
    # Fewer fits than threads have more of them each.
    fits = len(settings.stages) * sum(min(c.targets, len(targets)) * c.draws for c in settings.campaigns)
    processes, config = config.simulate.threads, with_threads(config, max(1, config.simulate.threads // fits))
    estimators = {s: estimator(TASKS[s], method, config, settings) for s in settings.stages}
    sample = through_cuts(config, segments, geometry, "ladder")
    series: list[Series] = []
    told: list[Told] = []
    jobs: list[Job] = []
    deposits: list[dict[str, Any]] = []
    for campaign in settings.campaigns:
        number = min(campaign.targets, len(targets))
        parts = taken(sample, parts_of(sample, campaign.length_cm, config.seed, number * campaign.draws))
        deposits.append(deposits_of_parts(parts, campaign.length_cm))
        for stage in settings.stages:
            jobs += [Job(len(series), t, d) for t in range(number) for d in range(campaign.draws)]
            series.append(Series(_key(stage, campaign), estimators[stage], settings.hold))
            told.append(Told(parts, campaign.draws, config, MISTAKES.get(stage, ())))
    # The longest first: none of them is left to one process at the end.
    jobs.sort(key=lambda job: -deposits[job.series // len(settings.stages)]["wanted_cm"])
    source = PixelTrials(tuple(told), geometry, config, "study.ladder")
    work = Trials(source, tuple(series), method, settings.method, targets, config.seed)
    free = work.calibrated(series[0])
    if not free:
        raise ConfigError("study.ladder.hold: every parameter of the method is held, so nothing is fitted; hold fewer.")
    found = work_through(work, jobs, processes, progress, "fits", kept)
    return {
        "settings": settings.model_dump(mode="json"),
        "noise": config.readout.noise.model_dump(mode="json"),
        "targets": targets,
        **compared(found, settings.campaigns, settings.stages, free, targets, deposits),
        "fits": found,
    }


def _key(stage: str, campaign: Campaign) -> str:
    """Name of a series."""
    return f"{stage} {campaign.length_cm:g} cm"


def compared(
    fits: Sequence[Mapping[str, Any]],
    campaigns: Sequence[Campaign],
    stages: Sequence[str],
    free: Sequence[str],
    targets: Mapping[str, Mapping[str, float]],
    deposits: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Statistics of every length and stage, beside the published fits and the bounds."""
    both = "birks_kb" in free
    lengths = []
    for campaign, made_of in zip(campaigns, deposits, strict=True):
        found = {}
        for stage in stages:
            mine = [f for f in fits if f["series"] == _key(stage, campaign)]
            found[stage] = _of_stage(mine, stage, free, targets, made_of["length_cm"])
        lengths.append({**made_of, "stages": found})
    return {
        "free": list(free),
        "scaled_to_cm": published.LENGTH_CM,
        "published": {
            stage: {
                name: {"bias": p.bias, "spread": p.spread, "total": p.total}
                for name, p in published.FITS[stage].items()
                if name in free
            }
            for stage in stages
        },
        "published_position_um": {s: v for s, v in published.POSITION_UM.items() if s in stages},
        "priors_percent": list(published.PRIORS),
        "bounds": {
            stage: {name: list(b) for name in free if (b := published.bound(stage, name, both)) is not None}
            for stage in stages
        },
        "campaigns": lengths,
    }


def _of_stage(
    fits: Sequence[Mapping[str, Any]],
    stage: str,
    free: Sequence[str],
    targets: Mapping[str, Mapping[str, float]],
    length: float,
) -> dict[str, Any]:
    found = summary(fits, free, targets)
    positions = [f["position_rms_um"] for f in fits if f["position_rms_um"] is not None]
    scaled = {name: _scaled(p, stage, name, length) for name, p in found["parameters"].items()}
    position = float(np.sqrt(np.mean(np.square(positions)))) if positions else None
    return {**found, "fits": len(fits), "position_rms_um": position, "scaled": scaled}


def _scaled(found: Mapping[str, Any], stage: str, name: str, length: float) -> dict[str, Any]:
    """Errors [%] of a parameter as 40,000 cm would have them.

    `total` takes all of it for scatter, which goes as 1 / sqrt(length); `bias_stays` is what it would be if the mean
    error were the same at any length. `no_larger`: whether the total is at most that of the published fits.
    """
    factor = math.sqrt(length / published.LENGTH_CM)
    errors, stated = found["errors_percent"], found["uncertainty_percent"]
    known = published.FITS[stage].get(name)
    told: dict[str, Any] = {"stated": None if stated is None else factor * stated, "no_larger": None}
    if errors:
        told |= {what: factor * errors[what] for what in ("total", "total_error")}
        told["bias_stays"] = math.hypot(errors["bias"], factor * errors["spread"])
        told["no_larger"] = None if known is None else bool(told["total"] <= known.total)
    return told


def table(result: Mapping[str, Any]) -> str:
    """The result as lines of text."""
    lines = []
    for campaign in result["campaigns"]:
        lines.append(
            f"{campaign['length_cm']:.0f} cm of track in each fit, {campaign['parts']} samples of that length; "
            f"errors in %, last four columns as {result['scaled_to_cm']:.0f} cm would have them"
        )
        head = ("bias", "spread", "mean pull", "width", "within 1", "total", "stated", "bound", "published")
        widths = (20, 20, 18, 18, 18, 20, 10, 20, 11)
        lines.append(f"{'':<28}" + "".join(f"{h:>{w}}" for h, w in zip(head, widths, strict=True)))
        for stage, found in campaign["stages"].items():
            place = found["position_rms_um"]
            lines.append(
                f"{stage}: {published.STAGES[stage]}; {found['converged']} of {found['fits']} fits converged"
                + ("" if place is None else f"; tracks {place:.0f} um from the truth (rms)")
            )
            for name in result["free"]:
                cells = _cells(result, found, stage, name)
                missed = "" if found["parameters"][name]["pulls"]["kept"] else "  missed"
                lines.append(
                    f"  {name:<26}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True)) + missed
                )
    return "\n".join(lines)


def _cells(result: Mapping[str, Any], found: Mapping[str, Any], stage: str, name: str) -> list[str]:
    p, scaled = found["parameters"][name], found["scaled"][name]
    errors, pulls = p["errors_percent"], p["pulls"]
    bound = result["bounds"][stage].get(name)
    known = result["published"][stage].get(name)
    return [
        *(_pair(errors, what) for what in ("bias", "spread")),
        *(_pair(pulls, what) for what in ("mean", "width", "coverage")),
        _pair(scaled, "total"),
        "-" if scaled["stated"] is None else f"{scaled['stated']:.2g}",
        "-" if bound is None else " / ".join(f"{b:g}" for b in dict.fromkeys(bound)),
        "-" if known is None else f"{known['total']:.2g}",
    ]


def _pair(found: Mapping[str, Any], what: str) -> str:
    return "-" if what not in found else f"{found[what]:.3g} +- {found[f'{what}_error']:.2g}"
