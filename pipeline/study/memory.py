"""Memory of one simulation with derivatives, measured in a process of its own: the peak of a process never falls.

`python -m pipeline.study.memory` reads a request as JSON on standard input and prints the answer as JSON;
`measured_memory` is how a study asks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config.models import Config
from ..errors import MemoryLimitError

#: Largest working memory [MiB] that is tried.
LIMIT_MIB = 4096.0


def measured_memory(path: Path, config: Config, length_cm: float, block_pairs: int) -> dict[str, Any] | None:
    """Growth and estimate [MiB] of the memory of a simulation with derivatives of `length_cm` of the file `path`.

    None where the estimate is above `LIMIT_MIB`. Raises `MemoryLimitError` if the process ends without an answer.
    """
    request = {
        "segments": str(path),
        "config": config.model_dump(mode="json"),
        "length_cm": length_cm,
        "block_pairs": block_pairs,
    }
    # The package is found where this one was, whether it is installed or not.
    places = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.study.memory"],
        input=json.dumps(request),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise MemoryLimitError(
            f"measuring the memory of {length_cm:.0f} cm with simulate.block_pairs = {block_pairs} failed with status "
            f"{done.returncode} ({said[0]}); free some memory, or select less."
        )
    answer: dict[str, Any] | None = json.loads(done.stdout)
    return answer


def _measure(request: dict[str, Any]) -> dict[str, Any] | None:
    """What this process needs beyond a simulation of next to nothing, which has loaded all libraries.

    The table of responses, which that has made too, counts as needed.
    """
    from ..parameters import CALIBRATED, nominal_values
    from ..select.cuts import Context, max_total_length_cm
    from ..simulate.model import ForwardModel
    from ..simulate.setup import model_settings
    from ..storage.detector import load_geometry
    from ..storage.pixels import load_pixels
    from ..storage.segments import read_segments
    from .benchmark import peak_memory_mib, restart_peak

    config = Config.model_validate(request["config"])
    geometry = load_geometry(config.detector.file)
    pixels = load_pixels(config.readout.pixels, geometry)
    segments = read_segments(Path(request["segments"]), checks=config.checks, geometry=geometry).segments
    batch = segments.take(max_total_length_cm(segments, request["length_cm"], Context(geometry, config.seed)))
    settings = replace(model_settings(config), block_pairs=request["block_pairs"], memory_limit_mib=LIMIT_MIB)
    values = nominal_values()
    first = ForwardModel(batch.take(np.arange(min(3, len(batch)))), geometry, settings, pixels)
    first.hits_with_derivatives(values, CALIBRATED)
    cells = first.table.cells
    before = restart_peak() - cells.numel() * cells.element_size() / 2**20
    model = ForwardModel(batch, geometry, settings, pixels)
    try:
        plan = model.plan(values)
    except MemoryLimitError:
        return None
    hits = model.hits_with_derivatives(values, CALIBRATED)
    return {
        "length_cm": float(batch.length.sum()),
        "block_pairs": request["block_pairs"],
        "hits": len(hits.event),
        "measured_mib": peak_memory_mib() - before,
        "estimated_mib": model.estimate_mib(plan),
        "program_mib": before,
    }


if __name__ == "__main__":
    print(json.dumps(_measure(json.load(sys.stdin))))
