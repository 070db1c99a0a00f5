"""Time and memory of the forward model against track length, from batch to batch, and against the size of blocks.

What arXiv:2309.04639 shows of its code, for this one: time against length, times of batches, a differentiable run
against one that is not, estimated against measured memory, and cost against block size.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..calibrate.residuals import match, residuals
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import MemoryLimitError, SelectionError
from ..parameters import CALIBRATED, nominal_values
from ..select.cuts import Context, max_total_length_cm
from ..simulate.batches import divide
from ..simulate.model import ForwardModel, SimulatedHits
from ..simulate.observe import VALUE_NAMES, observables_of_simulation
from ..simulate.setup import forward_model, model_settings
from ..storage.pixels import load_pixels
from ..storage.provenance import Provenance
from ..storage.segments import write_segments
from ..tables import Floats, Segments
from .benchmark import repeated, settings_used, with_gradient
from .memory import LIMIT_MIB, measured_memory

#: Lengths [cm] that are timed, as far as the sample goes; the whole sample comes last.
LENGTHS = (5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0)
#: Length [cm] of a batch, and the most batches that are timed.
BATCH_LENGTH = 100.0
MOST_BATCHES = 40
#: Sizes of blocks; their cost is that of this length [cm].
BLOCK_PAIRS = tuple(2**n for n in range(8, 18))
BLOCK_LENGTH = 1000.0
#: Lengths [cm], besides the whole sample, and sizes of blocks whose memory is measured.
MEMORY_LENGTHS = (100.0, 1000.0, 3000.0)
MEMORY_BLOCK_PAIRS = (256, 1024, 4096, 16384, 65536, 131072)
#: Runs of a time that is measured, and the time [s] after which there are fewer.
MOST_RUNS = 5
ENOUGH_SECONDS = 1.0
#: Edges of the bins of differences between two runs, in ADC counts and us; the first holds smaller ones, 0 included.
DIFFERENCE_EDGES = np.logspace(-9, 1, 41)


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """All that the figures of time and memory need.

    Times are medians of a few runs in this process, memory is that of processes of their own. Raises `SelectionError`
    where the sample has less than two batches.
    """
    total = float(segments.length.sum())
    if total < 2 * BATCH_LENGTH:
        raise SelectionError(
            f"scaling: the sample has {total:.0f} cm of track, too little for two batches of {BATCH_LENGTH:.0f} cm; "
            f"use a longer sample or raise select.max_total_length_cm."
        )
    sample = _Sample(config, segments, geometry)
    lengths = []
    for length in (*(n for n in LENGTHS if n < 0.8 * total), total):
        progress(f"time of {length:.0f} cm")
        lengths += _times(sample, length)
    batches = _batches(sample, progress)
    blocks = []
    for block_pairs in BLOCK_PAIRS:
        progress(f"time with block_pairs {block_pairs}")
        blocks += _block_times(sample, block_pairs)
    return {
        "settings": settings_used(config),
        "length_cm": total,
        "lengths": lengths,
        "batches": batches,
        "blocks": blocks,
        "memory": _memory(sample, progress),
        "difference_edges": DIFFERENCE_EDGES.tolist(),
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    used = result["settings"]
    lines = [f"{used['dtype']}, {used['accuracy']} accuracy, {used['threads']} threads, {used['device']}"]
    lines.append(f"{'length [cm]':>12}{'hits':>8}{'forward [s]':>13}{'+ gradient':>12}{'  [ms/cm]':>10}")
    for row in result["lengths"]:
        lines.append(
            f"{row['length_cm']:>12.1f}{row['hits']:>8}{row['forward_s']:>13.4f}{row['gradient_s']:>12.4f}"
            f"{1e3 * row['gradient_s'] / row['length_cm']:>10.3f}"
        )
    batches = result["batches"]
    same = sum(row["identical"] for row in batches)
    ratio = statistics.median(row["gradient_s"] / row["forward_s"] for row in batches)
    lines.append(
        f"{len(batches)} batches: {same} with the same hits with and without derivatives; "
        f"time with gradient {ratio:.2f} times that without"
    )
    lines.append(f"{'block_pairs':>12}{'length [cm]':>13}{'+ gradient [s]':>16}")
    for row in result["blocks"]:
        lines.append(f"{row['block_pairs']:>12}{row['length_cm']:>13.1f}{row['gradient_s']:>16.3f}")
    lines.append(f"{'block_pairs':>12}{'length [cm]':>13}{'measured':>16}{'estimated [MiB]':>17}")
    for row in result["memory"]:
        lines.append(
            f"{row['block_pairs']:>12}{row['length_cm']:>13.1f}{row['measured_mib']:>16.1f}{row['estimated_mib']:>17.1f}"
        )
    return "\n".join(lines)


class _Sample:
    """A sample and how it is simulated."""

    def __init__(self, config: Config, segments: Segments, geometry: DetectorGeometry) -> None:
        self.config = config
        self.segments = segments
        self.geometry = geometry

    def part(self, length: float) -> Segments:
        """Whole tracks up to `length` [cm]."""
        context = Context(self.geometry, self.config.seed)
        # Rounding of the sum must not leave out the last track.
        return self.segments.take(max_total_length_cm(self.segments, length * (1 + 1e-9), context))

    def model(self, segments: Segments, dtype: Literal["float32", "float64"] | None = None) -> ForwardModel:
        """The configured model, of another precision where one is given."""
        simulate = self.config.simulate.model_copy(update={} if dtype is None else {"dtype": dtype})
        return forward_model(segments, self.geometry, self.config.model_copy(update={"simulate": simulate}))


def _time(work: Callable[[], object]) -> list[float]:
    return [round(t, 6) for t in repeated(work, MOST_RUNS, ENOUGH_SECONDS)]


def _times(sample: _Sample, length: float) -> list[dict[str, Any]]:
    """Times of one length, or nothing where no track is that short."""
    part = sample.part(length)
    if not len(part):
        return []
    model, values = sample.model(part), nominal_values()
    hits = model.hits(values)  # not counted: it makes the plan
    forward, gradient = _time(partial(model.hits, values)), _time(with_gradient(model))
    return [
        {
            "length_cm": float(part.length.sum()),
            "hits": len(hits.event),
            "forward_s": statistics.median(forward),
            "gradient_s": statistics.median(gradient),
            "forward_range_s": [min(forward), max(forward)],
            "gradient_range_s": [min(gradient), max(gradient)],
        }
    ]


def _batches(sample: _Sample, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Times of the batches of a fit, and what a differentiable run and another precision change in their hits."""
    division = divide(sample.segments, sample.model(sample.segments).plan({}), BATCH_LENGTH, sample.config.seed)
    count = min(division.count, MOST_BATCHES)
    rows = []
    for batch in range(count):
        if batch % 10 == 0:
            progress(f"batches {batch + 1} to {min(batch + 10, count)}")
        part = sample.segments.take(division.segments == batch)
        model, values = sample.model(part), nominal_values()
        plain, differentiable = model.hits(values), model.hits_with_derivatives(values, CALIBRATED)
        if not len(plain.event):
            continue
        forward, gradient = _time(partial(model.hits, values)), _time(with_gradient(model))
        single = sample.model(part, "float32").hits(values)
        double = sample.model(part, "float64").hits_with_derivatives(values, CALIBRATED)
        rows.append(
            {
                "length_cm": float(part.length.sum()),
                "hits": len(plain.event),
                "forward_s": statistics.median(forward),
                "gradient_s": statistics.median(gradient),
                "identical": _identical(plain, differentiable),
                "same_precision": _difference(plain, differentiable, sample.geometry),
                "single_precision": _difference(single, double, sample.geometry),
            }
        )
    return rows


def _identical(a: SimulatedHits, b: SimulatedHits) -> bool:
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("event", "channel", "order", "time", "charge"))


def _difference(a: SimulatedHits, b: SimulatedHits, geometry: DetectorGeometry) -> dict[str, Any]:
    """Differences of the hits that two runs share, in ADC counts and us, and how many they do not share."""
    first, second = (observables_of_simulation(hits, geometry) for hits in (a, b))
    pairs = match(first, second)
    found: dict[str, Any] = {
        "matched": len(pairs.model),
        "unmatched": pairs.unmatched_model + pairs.unmatched_data,
    }
    for name, values in zip(VALUE_NAMES, residuals(first, second, pairs).T, strict=True):
        found[name] = {
            "squares": float(values @ values),
            "largest": float(np.abs(values).max(initial=0.0)),
            "counts": _counts(values),
        }
    return found


def _counts(values: Floats) -> list[int]:
    inside = np.clip(np.abs(values), DIFFERENCE_EDGES[0], np.nextafter(DIFFERENCE_EDGES[-1], 0))
    return [int(n) for n in np.histogram(inside, DIFFERENCE_EDGES)[0]]


def _block_times(sample: _Sample, block_pairs: int) -> list[dict[str, Any]]:
    """Time with gradient of one size of blocks, or nothing where it would take too much memory."""
    part = sample.part(BLOCK_LENGTH)
    settings = replace(model_settings(sample.config), block_pairs=block_pairs, memory_limit_mib=LIMIT_MIB)
    model = ForwardModel(part, sample.geometry, settings, load_pixels(sample.config.readout.pixels, sample.geometry))
    values = nominal_values()
    try:
        model.hits(values)
    except MemoryLimitError:
        return []
    times = _time(with_gradient(model))
    return [
        {
            "block_pairs": block_pairs,
            "blocks": len(model.plan(values).blocks),
            "length_cm": float(part.length.sum()),
            "gradient_s": statistics.median(times),
            "gradient_range_s": [min(times), max(times)],
        }
    ]


def _memory(sample: _Sample, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measured and estimated memory: `kind` "length" at the configured size of blocks, "block" at others."""
    total = float(sample.segments.length.sum()) * (1 + 1e-9)
    configured = model_settings(sample.config).block_pairs
    wanted = [("length", n, configured) for n in (*(n for n in MEMORY_LENGTHS if n < 0.8 * total), total)]
    wanted += [("block", min(BLOCK_LENGTH, total), n) for n in MEMORY_BLOCK_PAIRS]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "segments.h5"
        provenance = Provenance("study", {}, {}, "")
        write_segments(path, sample.segments, provenance, drift_axis=sample.geometry.drift_axis)
        for kind, length, block_pairs in wanted:
            progress(f"memory of {length:.0f} cm with block_pairs {block_pairs}")
            row = measured_memory(path, sample.config, length, block_pairs)
            if row is not None:
                rows.append({"kind": kind, **row})
    return rows
