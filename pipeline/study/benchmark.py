"""How long the forward model takes per cm of track, and how much memory."""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..calibrate.likelihood import Likelihood
from ..calibrate.methods import objective_of
from ..config.methods import STANDARD_METHODS
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..parameters import CALIBRATED, nominal_values
from ..select.cuts import Context, max_total_length_cm
from ..simulate.differentiable import differentiable_hits
from ..simulate.model import ForwardModel
from ..simulate.noise import Noise
from ..simulate.observe import PixelObservables, observables_of_simulation
from ..simulate.setup import forward_model, model_settings
from ..tables import Segments

#: Lengths [cm] of the batches that are timed.
LENGTHS = (100.0, 400.0, 1000.0)
REPEATS = 10


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Time simulation, simulation with gradient of a loss, and with the six-parameter Jacobian; residuals and
    likelihood of noisy data with their derivatives, and the expected information; on batches of whole tracks.

    Medians over repeats; peak memory of the process after each batch, smallest first, and after the whole sample in
    one go. Raises `SelectionError` if there is less track than the longest batch.
    """
    rows = []
    for length in LENGTHS:
        batch = segments.take(max_total_length_cm(segments, length, Context(geometry, config.seed)))
        if batch.length.sum() < 0.5 * length:
            raise SelectionError(
                f"benchmark: the sample has {segments.length.sum():.0f} cm of track, too little for a batch of "
                f"{length:.0f} cm; use a longer sample or raise select.max_total_length_cm."
            )
        progress(f"{length:.0f} cm")
        rows.append(_row(forward_model(batch, geometry, config), batch))
    progress(f"{segments.length.sum():.0f} cm")
    model = forward_model(segments, geometry, config)
    start = time.perf_counter()
    hits = model.hits_with_derivatives(nominal_values(), CALIBRATED)
    whole = {
        "length_cm": float(segments.length.sum()),
        "hits": len(hits.event),
        "seconds_with_jacobian": time.perf_counter() - start,
        "peak_memory_mib": peak_memory_mib(),
        "estimated_memory_mib": model.estimate_mib(model.plan(nominal_values())),
    }
    return {"batches": rows, "whole": whole, "settings": settings_used(config)}


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    used = result["settings"]
    lines = [
        f"{used['dtype']}, {used['accuracy']} accuracy, {used['threads']} threads, {used['device']}; "
        f"medians of {REPEATS}",
        f"{'length [cm]':>12}{'hits':>8}{'forward':>10}{'+ gradient':>12}{'Jacobian':>10}{'residuals':>11}"
        f"{'likelihood':>12}{'information':>13}  [ms/cm]{'memory [MiB]':>14}",
    ]
    for row in result["batches"]:
        lines.append(
            f"{row['length_cm']:>12.1f}{row['hits']:>8}{row['forward']:>10.3f}{row['forward_backward']:>12.3f}"
            f"{row['jacobian']:>10.3f}{row['residuals']:>11.3f}{row['likelihood']:>12.3f}{row['information']:>13.3f}"
            f"{'':>9}{row['peak_memory_mib']:>14.0f}"
        )
    whole = result["whole"]
    lines.append(
        f"{whole['length_cm']:>12.1f}{whole['hits']:>8}{'':>22}"
        f"{1e3 * whole['seconds_with_jacobian'] / whole['length_cm']:>10.3f}{'':>45}{whole['peak_memory_mib']:>14.0f}"
        f"   once, {whole['seconds_with_jacobian']:.1f} s; working memory estimated at "
        f"{whole['estimated_memory_mib']:.0f} MiB"
    )
    return "\n".join(lines)


def settings_used(config: Config) -> dict[str, Any]:
    """The settings that times and memory depend on, to stand beside them."""
    settings = model_settings(config)
    return {
        "dtype": config.simulate.dtype,
        "accuracy": config.simulate.accuracy,
        "threads": settings.threads,
        "device": str(settings.device),
        "block_pairs": settings.block_pairs,
    }


def with_gradient(model: ForwardModel) -> Callable[[], None]:
    """Work to be timed: simulate at the nominal parameters and find the gradient of a loss to the six."""
    values = nominal_values()
    theta = torch.tensor([values[n] for n in CALIBRATED], dtype=torch.float64, requires_grad=True)
    charge = torch.from_numpy(model.hits(values).charge)

    def work() -> None:
        hits = differentiable_hits(model, theta, CALIBRATED)
        loss = (hits.charge - charge + 1).square().mean() + hits.time.mean()
        theta.grad = None
        loss.backward()  # type: ignore[no-untyped-call]

    return work


def repeated(work: Callable[[], object], most: int = REPEATS, seconds: float = math.inf) -> list[float]:
    """Times [s] of runs of `work`, at least one: `most` of them, fewer where they would take more than `seconds`."""
    times: list[float] = []
    while len(times) < most and (not times or sum(times) + times[-1] <= seconds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def peak_memory_mib() -> float:
    """Peak resident memory [MiB] of this process so far, or since `restart_peak`."""
    # On Linux `getrusage` starts from the size of the process that started this one.
    found = _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 if found is None else found


def restart_peak() -> float:
    """Forget the peak of this process, where the system allows it; its present memory [MiB]."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:  # without /proc, or not permitted: the peak so far stands
        return peak_memory_mib()
    found = _status("VmRSS")
    return peak_memory_mib() if found is None else found


def _status(name: str) -> float | None:
    """A size [MiB] that Linux tells of this process; None on other systems."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(sizes[0]) / 1024 if sizes else None


def _row(model: ForwardModel, batch: Segments) -> dict[str, float]:
    """Median times [ms/cm] of one batch."""
    length = float(batch.length.sum())
    values = nominal_values()
    noise = model.settings.noise
    assert noise is not None, "forward_model puts in the configured one"
    readout = PixelObservables(model)
    data = observables_of_simulation(model.hits(values, Noise(noise, seed=1)), model.geometry)
    residuals = objective_of(STANDARD_METHODS["gauss_newton"], readout, data)
    likelihood = Likelihood(readout, data)
    return {
        "length_cm": length,
        "hits": len(model.hits(values).event),
        "forward": 1e3 * _median(lambda: model.hits(values)) / length,
        "forward_backward": 1e3 * _median(with_gradient(model)) / length,
        "jacobian": 1e3 * _median(lambda: model.hits_with_derivatives(values, CALIBRATED)) / length,
        "residuals": 1e3 * _median(lambda: residuals.evaluate(values, CALIBRATED)) / length,
        "likelihood": 1e3 * _median(lambda: likelihood.evaluate(values, CALIBRATED)) / length,
        "information": 1e3 * _median(lambda: likelihood.information(values, CALIBRATED)) / length,
        "peak_memory_mib": peak_memory_mib(),
    }


def _median(work: Callable[[], object]) -> float:
    """Median time [s] of `REPEATS` runs after one that is not counted."""
    work()
    return statistics.median(repeated(work))
