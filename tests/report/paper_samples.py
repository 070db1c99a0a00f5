"""Results of studies and published fits made up for the tests of the paper's figures."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.parameters import calibrated
from pipeline.report.outcome import Fit
from pipeline.report.paper_fits import Family, PaperFit
from tests.report.samples import fit_result

#: What the table of published fits calls the six parameters.
PUBLISHED = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")


def track_lengths(sample: str, species: dict[str, float]) -> dict[str, Any]:
    """A study of tracks with these lengths [cm] by species."""
    edges = np.logspace(-1, 3, 5)
    rows = [
        {
            "name": name, "tracks": 10, "length_cm": length, "kept_tracks": 4, "kept_length_cm": 0.5 * length,
            "left_length_cm": 0.4 * length, "counts": [1, 2, 3, 4], "kept_counts": [0, 1, 1, 2],
        }
        for name, length in species.items()
    ]  # fmt: skip
    return {
        "study": "track_lengths", "sample": sample, "events": 7, "edges_cm": edges.tolist(), "min_track_length_cm": 2.0,
        "cuts": ["tracks longer than 2 cm"], "species": rows,
    }  # fmt: skip


def scaling(sample: str, *, identical: bool = True) -> dict[str, Any]:
    """A study of time and memory."""
    edges = np.logspace(-9, 1, 5).tolist()
    part = {"squares": 1e-6, "largest": 1e-3, "counts": [5, 3, 1, 0]}
    difference = {"matched": 9, "unmatched": 1, "adc": part, "t": part}
    lengths = [
        {
            "length_cm": n, "hits": 3, "forward_s": 1e-3 * n, "gradient_s": 2e-3 * n,
            "forward_range_s": [0.5e-3 * n, 2e-3 * n], "gradient_range_s": [1e-3 * n, 4e-3 * n],
        }
        for n in (10.0, 100.0)
    ]  # fmt: skip
    batches = [
        {
            "length_cm": 90.0 + i, "hits": 10, "forward_s": 0.1, "gradient_s": 0.15, "identical": identical,
            "same_precision": difference, "single_precision": difference,
        }
        for i in range(4)
    ]  # fmt: skip
    blocks = [
        {"block_pairs": n, "blocks": 5, "length_cm": 100.0, "gradient_s": 0.2, "gradient_range_s": [0.1, 0.3]}
        for n in (256, 1024)
    ]
    memory = [
        {
            "kind": kind, "length_cm": 100.0, "block_pairs": 1024, "hits": 9, "measured_mib": 50.0,
            "estimated_mib": 100.0, "program_mib": 300.0,
        }
        for kind in ("length", "block")
    ]  # fmt: skip
    used = {"dtype": "float64", "accuracy": "default", "threads": 2, "device": "cpu", "block_pairs": 1024}
    return {
        "study": "scaling", "sample": sample, "settings": used, "length_cm": 100.0, "lengths": lengths,
        "batches": batches, "blocks": blocks, "memory": memory, "difference_edges": edges,
    }  # fmt: skip


def paper_fits(family: Family, sample: str = "muons", count: int = 2, seconds: float | None = 60.0) -> list[PaperFit]:
    """Fits of some targets by two methods, the second of which takes more steps."""
    fits = []
    for seed in range(count):
        for method, steps in (("gauss_newton", 6), ("adam", 9)):
            result = replace(fit_result(seed, steps=steps), method=method)
            fits.append(PaperFit(sample, family, Fit(f"target_{seed + 1}", method, result), seconds))
    return fits


def write_published(path: Path, families: dict[str, int]) -> None:
    """A table of so many published fits per family, whose targets are those of `fit_result` and whose errors are
    0.1, 0.05, 0.02, 0.01 and 0.001 at the five iterations."""
    columns = ["family", "target_seed", "data_seed", "param", "target", "init", "n_steps"]
    columns += [f"val_{n}" for n in (500, 1000, 2000, 3000, 5000)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for family, count in families.items():
            for seed in range(count):
                targets = {p.name: p.target for p in fit_result(seed).parameters}
                for name, p in zip(PUBLISHED, calibrated(), strict=True):
                    target = targets[p.name]
                    assert target is not None
                    values = [target * (1 + e) for e in (0.1, 0.05, 0.02, 0.01, 0.001)]
                    writer.writerow([family, seed, seed, name, target, p.nominal, 4914, *values])
