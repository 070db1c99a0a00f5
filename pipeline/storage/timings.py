"""Times and memory of jobs: the benchmarks of Snakemake and the `.timing.json` files beside results.

They are the only files that differ between equal runs, so nothing that is fitted may depend on them.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Time and memory of one job: `stage` of a sample, `target`, `method` where it has them ("" where not).

    `job_*` are those of the whole process (benchmark of Snakemake), `work_*` those of the work alone, without starting
    Python and reading its inputs. Seconds and MiB; None where not known. `paths` are the files that say so.
    """

    stage: str
    target: str = ""
    method: str = ""
    job_seconds: float | None = None
    job_mib: float | None = None
    work_seconds: float | None = None
    work_mib: float | None = None
    paths: tuple[Path, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Seconds of the work, of the job where only those are known."""
        return self.job_seconds if self.work_seconds is None else self.work_seconds


def read_timings(paths: Sequence[Path]) -> list[Timing]:
    """One entry per job, in order of appearance; what is missing or cannot be understood is left out.

    A benchmark is `.../benchmarks/[<target>/[<method>/]]<stage>.tsv`, a timing `.../<target>/hits.timing.json` or
    `.../<target>/<method>/fit.timing.json`; a file elsewhere goes by its own name.
    """
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for path in paths:
        benchmark = path.suffix == ".tsv"
        try:
            numbers = _benchmark(path) if benchmark else _timing(path)
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            continue
        entry = found.setdefault(_job(path), {"paths": ()})
        kind = "job" if benchmark else "work"
        seconds, mib = (n if math.isfinite(n) and n >= 0 else None for n in numbers)
        entry |= {f"{kind}_seconds": seconds, f"{kind}_mib": mib, "paths": (*entry["paths"], path)}
    return [Timing(*job, **entry) for job, entry in found.items()]


def _benchmark(path: Path) -> tuple[float, float]:
    """Mean seconds and largest memory [MiB] over the repetitions in a benchmark."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    seconds = [float(row["s"]) for row in rows]
    # A job shorter than the interval between two looks at it has "NA" or "-" for its memory.
    memory = [float(row["max_rss"]) for row in rows if row["max_rss"] not in ("NA", "-")]
    return sum(seconds) / len(seconds) if seconds else math.nan, max(memory, default=math.nan)


def _timing(path: Path) -> tuple[float, float]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return float(content["seconds"]), float(content["peak_memory_mib"])


#: Stage and depth below the sample's folder of the results that have a timing beside them.
_BESIDE = {"hits.timing.json": ("simulate", 1), "fit.timing.json": ("fit", 2)}


def _job(path: Path) -> tuple[str, str, str]:
    """Stage, target and method of a file of times."""
    parts = path.absolute().parts
    if path.suffix == ".tsv" and "benchmarks" in parts:
        start = len(parts) - 1 - parts[::-1].index("benchmarks")
        below = parts[start + 1 : -1]
        if len(below) <= 2:
            return (path.stem, *below, *("",) * (2 - len(below)))  # type: ignore[return-value]
    if path.name in _BESIDE:
        stage, depth = _BESIDE[path.name]
        below = parts[-1 - depth : -1]
        if len(below) == depth:
            return stage, below[0], below[1] if depth > 1 else ""
    return path.name.partition(".")[0], "", ""


def seconds_of(result: Path) -> float | None:
    """Seconds of the work that made `result`, from the `.timing.json` beside it; None where that tells none."""
    found = read_timings([result.with_suffix(".timing.json")])
    return found[0].seconds if found else None
