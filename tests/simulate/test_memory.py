"""The memory estimate against the memory that is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import parameters
from pipeline.study.benchmark import peak_memory_mib, restart_peak
from pipeline.tables import Segments
from tests.simulate.deposits import deposits, model, random_deposits

ROOT = Path(__file__).resolve().parents[2]


def tracks(kind: str) -> Segments:
    """Forty long tracks; `crossing` and `late`: pairs of them on the same pixels, at both ends of the drift, the second
    together with the first or 1 ms later."""
    n = 40
    y, zero = -80.0 + 3.0 * np.arange(n), np.zeros(n)

    def at(x: float, z: float) -> np.ndarray:  # type: ignore[type-arg]
        return np.stack([zero + x, y, zero + z], axis=1)

    if kind == "across":
        return deposits(at(-14, 15), at(14, 16) + np.array([0, 0.5, 0]), event=np.arange(n))
    if kind == "along":
        return deposits(at(1.0, 1.0), at(1.2, 29.0) + np.array([0, 0.2, 0]), event=np.arange(n))
    start = np.concatenate([at(-30, 1), at(-30, 29)])
    return deposits(start, start + np.array([60, 0.2, 0.2]), t0=np.repeat([0.0, 1000.0 if kind == "late" else 0.0], n))


def use(kind: str, dtype: str, threads: int) -> None:
    """Print the growth [MiB] of this process over hits with derivatives, and the estimate."""

    settings = {"dtype": getattr(torch, dtype), "memory_limit_mib": 1e4}
    model(random_deposits(0, 6, along_drift=0.0), threads=1, **settings).hits_with_derivatives(
        {}, parameters.CALIBRATED
    )
    before = restart_peak()
    simulation = model(tracks(kind), threads=threads, **settings)
    hits = simulation.hits_with_derivatives({}, parameters.CALIBRATED)
    estimate = simulation.estimate_mib(simulation.plan(parameters.nominal_values()))
    print(kind, dtype, threads, len(hits.time), round(peak_memory_mib() - before), round(estimate))


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["across", "along", "crossing", "late"])
def test_the_estimate_bounds_the_memory_used(kind: str, dtype: str, threads: int) -> None:
    """In a process of its own, as the peak of a process never falls."""
    call = f"from tests.simulate.test_memory import use; use({kind!r}, {dtype!r}, {threads})"
    done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, check=True, capture_output=True, text=True)
    print(done.stdout)
    hits, grown, estimate = map(float, done.stdout.split()[-3:])

    assert hits > 500
    assert 0 < grown < estimate


@pytest.mark.parametrize("threads", [1, 2])
def test_the_estimate_does_not_depend_on_the_angle_to_the_drift(threads: int) -> None:
    estimates = []
    for kind in ("across", "along"):
        simulation = model(tracks(kind), threads=threads)
        estimates.append(simulation.estimate_mib(simulation.plan(parameters.nominal_values())))

    assert 0.5 < estimates[0] / estimates[1] < 2.0


def test_the_estimate_grows_slowly_with_the_sample() -> None:
    """Only the pairing of deposits and pixels is kept: far less than a MiB for each metre of track."""
    small = tracks("across")
    large = Segments.concatenate([small.replace(event_id=small.event_id + 100 * k) for k in range(5)])
    estimates = []
    for segments in (small, large):
        simulation = model(segments)
        estimates.append(simulation.estimate_mib(simulation.plan(parameters.nominal_values())))

    metres = (large.length.sum() - small.length.sum()) / 100
    assert 0 < estimates[1] - estimates[0] < 0.5 * metres
