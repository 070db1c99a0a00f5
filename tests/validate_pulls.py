"""Evidence that fits of noisy data are honest: the score at the truth, pulls, and errors beside published ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Limit = Callable[[str, float, float], str]
Command = Callable[..., None]

#: Deposits over the full drift, with the other cuts of the paper; events of our generator, enough for each length.
_SELECT = {"max_anode_distance_cm": None}
_MUONS = {**_SELECT, "species": [13, -13]}


def score_table(work: Path, command: Command, limit: Limit, *, targets: int, draws: int, length: float) -> None:
    """Mean and covariance of the score of muons with stopping protons."""
    settings = {"targets": targets, "draws": draws, "length_cm": length}
    result = _study("score", work, command, "muons_and_protons", length, _SELECT, settings)
    for target, found in result["by_target"].items():
        for name, mean in zip(result["names"], found["mean"], strict=True):
            limit(f"mean score of {name} at {target}, in standard errors", abs(mean), 3)
        pixels, whole = found["of_pixels"], found["of_draws"]
        shown = {
            what: limit(f"{what} of the covariance at {target} off", pixels[f"largest_of_{what}"], 0.1)
            for what in ("diagonal", "eigenvalues")
        }
        print(
            f"{target}: largest deviation of the covariance from the information, of pixels: diagonal "
            f"{shown['diagonal']}, eigenvalues {shown['eigenvalues']}, error of one {pixels['error']:.3f}; of whole "
            f"draws: diagonal {whole['largest_of_diagonal']:.3f}, error of one {whole['error']:.3f}"
        )


def pulls_table(work: Path, command: Command, limit: Limit, *, targets: int, draws: int, length: float) -> None:
    """Pulls of muons with stopping protons, all six free, and of muons alone with k_B held at and beside the truth."""
    size = {"targets": targets, "draws": draws, "length_cm": length}
    for title, select, hold in (
        ("muons and stopping protons, six parameters", _SELECT, {}),
        ("muons, k_B held at the truth", _MUONS, {"birks_kb": 1.0}),
        ("muons, k_B held 10 % too high: no limits, the others must give way", _MUONS, {"birks_kb": 1.1}),
    ):
        print(f"\n{title}:")
        result = _study("pulls", work, command, "muons_and_protons", length, select, {**size, "hold": hold})
        if hold.get("birks_kb", 1.0) == 1.0:
            _check(result, title, limit)


def s1_table(work: Path, command: Command, limit: Limit, *, targets: int, draws: int, length: float) -> None:
    """Errors of long fits of muons with k_B held at the truth, beside the published ones of the same stage."""
    size = {"targets": targets, "draws": draws, "length_cm": length, "hold": {"birks_kb": 1.0}}
    result = _study("pulls", work, command, "muon_1gev", length, _MUONS, size)
    for name, (bias, spread) in result["published"].items():
        found = result["parameters"][name]["errors_percent"]
        limit(f"error of {name} at {length:.0f} cm [%]", found["total"], (bias**2 + spread**2) ** 0.5)
    limit("fits that did not converge", len(result["fits"]) - result["converged"], 0)


def _study(
    name: str,
    work: Path,
    command: Command,
    preset: str,
    length: float,
    select: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The result of a study on a produced sample that is long enough, with its time."""
    # More than 50 cm of what a preset makes in an event pass the cuts.
    events = max(32, round(length / 50))
    sample = work / f"{preset}_{events}.h5"
    if not sample.exists():
        made = {"sample": {"generator": {"preset": preset, "events": events}}}
        command("produce", "--config-json", json.dumps(made), sample)
    config = {"select": select, "readout": {"noise": {"enabled": True}}, "study": {name: settings}}
    out = work / f"{name}.json"
    start = time.monotonic()
    command("study", name, "--config-json", json.dumps(config), "--segments", sample, "--output", out)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes in {_processes()} processes")
    result: dict[str, Any] = json.loads(out.read_text())
    assert result["deposits"]["length_cm"] > 0.95 * length, f"{preset} with {events} events is too short"
    return result


def _processes() -> int:
    from pipeline.config.models import Config

    return Config().simulate.threads


def _check(result: Mapping[str, Any], title: str, limit: Limit) -> None:
    """Hold every parameter to the limits of honest pulls."""
    limit(f"fits without uncertainty, {title}", result["without_uncertainty"], 0)
    limit(f"fits that did not converge, {title}", len(result["fits"]) - result["converged"], 0)
    for name, found in result["parameters"].items():
        p = found["pulls"]
        if "mean" in p:
            for what, middle in (("mean", 0.0), ("width", 1.0), ("coverage", 0.683)):
                limit(f"{what} of pulls of {name} off, {title}", abs(p[what] - middle), p["limits"][what])
    for name, found in result["scores"].items():
        count = found["count"]
        limit(f"mean normal score of {name}, {title}", abs(found["mean"]), 3 / count**0.5)
        limit(f"width of normal scores of {name} off, {title}", abs(found["width"] - 1), 3 / (2 * count) ** 0.5)
