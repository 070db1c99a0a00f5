"""What the run cost: seconds and memory of every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..storage.timings import Timing
from . import words
from .outcome import Fit

#: Stages in the order in which they run; others come after them.
_ORDER = ("produce", "convert", "contaminate", "select", "simulate", "hits", "reconstruct", "perturb", "fit")


def by_stage(timings: Sequence[Timing]) -> list[dict[str, str]]:
    """One row per stage: number of jobs, seconds in all and of the longest, largest memory."""
    rows = []
    for stage in _stages(timings):
        members = [t for t in timings if t.stage == stage]
        seconds = [t.job_seconds if t.job_seconds is not None else t.work_seconds for t in members]
        known = [s for s in seconds if s is not None]
        memory = [m for t in members for m in (t.job_mib, t.work_mib) if m is not None]
        rows.append(
            {
                "stage": stage,
                "jobs": words.count(len(members)),
                "total": _seconds(sum(known)) if known else "–",
                "longest": _seconds(max(known)) if known else "–",
                "memory": words.count(max(memory)) if memory else "–",
            }
        )
    return rows


def by_job(
    timings: Sequence[Timing],
    fits: Sequence[Fit],
    lengths: Mapping[str, float],
    links: Mapping[str, str],
) -> list[dict[str, Any]]:
    """One row per job; `lengths` [cm] of track that each stage went through, `links` to files by their paths."""
    iterations = {(fit.target, fit.method): fit.result.iterations for fit in fits}
    rows = []
    for stage in _stages(timings):
        for t in (t for t in timings if t.stage == stage):
            length, steps = lengths.get(stage, 0.0), iterations.get((t.target, t.method)) if stage == "fit" else None
            work = t.seconds
            rows.append(
                {
                    "stage": stage,
                    "target": t.target,
                    "method": t.method,
                    "job": _seconds(t.job_seconds),
                    "work": _seconds(t.work_seconds),
                    "each": _seconds(work / steps) if work is not None and steps else "–",
                    "per_cm": words.number(1000 * work / length, 3) if work is not None and length > 0 else "–",
                    "memory": words.count(m) if (m := _largest(t.job_mib, t.work_mib)) is not None else "–",
                    "links": [(path.name, links[str(path)]) for path in t.paths if str(path) in links],
                }
            )
    return rows


def _stages(timings: Sequence[Timing]) -> list[str]:
    known = dict.fromkeys(t.stage for t in timings)
    return [s for s in _ORDER if s in known] + [s for s in known if s not in _ORDER]


def _largest(*values: float | None) -> float | None:
    return max((v for v in values if v is not None), default=None)


def _seconds(value: float | None) -> str:
    """Seconds to a hundredth, to a whole second from 100 on."""
    if value is None or not np.isfinite(value):
        return "–"
    return words.count(value) if value >= 100 else f"{value:.2f}"
