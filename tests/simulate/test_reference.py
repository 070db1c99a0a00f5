"""Hits against a published set of converged hits of real deposits, at three parameter points."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch

from pipeline.config.models import Checks
from pipeline.simulate.observe import hits_table
from pipeline.storage.segments import read_segments
from pipeline.tables import Floats
from tests.conftest import SharedData
from tests.simulate.deposits import MODULE0, model


@pytest.mark.parametrize("point", [0, 1, 2])
@pytest.mark.parametrize(
    ("settings", "rms", "largest"),
    [
        ({"accuracy": "default", "dtype": "float64"}, 0.06, 0.5),
        ({"accuracy": "default", "dtype": "float32"}, 0.06, 0.5),
        ({"accuracy": "precise", "dtype": "float64"}, 0.015, 0.1),
    ],
    ids=["default", "default-float32", "precise"],
)
def test_hits_of_real_deposits(
    shared_data: SharedData, point: int, settings: dict[str, str], rms: float, largest: float
) -> None:
    """At most two hits appear or vanish; limits in ADC counts (noise is 1) and us."""
    path = shared_data / "reference_hits.h5"
    segments = read_segments(path, checks=Checks(), geometry=MODULE0).segments
    with h5py.File(path) as file:
        expected = file[f"hits_{point}"][:]
        values = {name: float(v) for name, v in file[f"hits_{point}"].attrs.items() if name != "units"}
    simulated = model(segments, accuracy=settings["accuracy"], dtype=getattr(torch, settings["dtype"])).hits(values)
    hits = hits_table(simulated, MODULE0, drift_velocity=0.16, event_t0={}, integer_adc=False)

    columns = ("event_id", "tpc", "pixel_x", "pixel_y", "hit")
    ours = {key: i for i, key in enumerate(zip(*(getattr(hits, c).tolist() for c in columns), strict=True))}
    theirs = {key: i for i, key in enumerate(zip(*(expected[c].tolist() for c in columns), strict=True))}
    common = sorted(ours.keys() & theirs.keys())
    assert len(ours.keys() ^ theirs.keys()) <= 2
    a, b = [ours[k] for k in common], [theirs[k] for k in common]
    error: Floats = hits.adc[a] - expected["adc"][b]
    late = np.abs(hits.t[a] - expected["t"][b])
    print(
        f"\npoint {point} {settings['accuracy']} {settings['dtype']}: {len(common)} hits, "
        f"{len(ours.keys() ^ theirs.keys())} more or less, ADC rms {np.sqrt(np.mean(error**2)):.4f} "
        f"max {np.abs(error).max():.3f}, time 95 % {np.quantile(late, 0.95):.4f} us max {late.max():.4f} us"
    )
    assert np.sqrt(np.mean(error**2)) <= rms
    assert np.abs(error).max() <= largest
    assert np.quantile(late, 0.95) <= 0.02
