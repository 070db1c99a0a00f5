"""Evidence that tracks are reconstructed from hits alone: against the particles of Geant4 that left the hits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Limit = Callable[[str, float, float], str]
Command = Callable[..., None]

#: Limits by key of the study's headline, and whether they are of the distance from 1.
_LIMITS: dict[str, tuple[float, bool]] = {
    "efficiency": (0.02, True),
    "purity": (0.02, True),
    "hit_purity": (0.02, True),
    "distance": (0.6, False),
    "angle": (5.0, False),
    "dedx": (0.01, True),
    "dedx_all": (0.01, True),
}


def reconstruction_table(data: Path, work: Path, command: Command, limit: Limit, *, first: int, events: int) -> None:
    """1 GeV muons with noise, in the second half of the events: found, pure, and where they were."""
    study = {"first_event": first, "events": events, "species": [13, -13]}
    config = json.dumps({"study": {"reconstruction": study}, "reconstruct": {"dedx": "charge"}})
    out = work / "reconstruction.json"
    command(
        "study", "reconstruction", "--config-json", config, "--segments", data / "g4_muon_1gev_100ev.h5",
        "--output", out,
    )  # fmt: skip
    result = json.loads(out.read_text())
    print()
    for row in result["headline"]:
        print(f"{row['name']:<72}{_checked(row, limit)}")
    print()
    for curve in ("efficiency", "purity"):
        print(f"{curve} against length [cm]: {_shares(result['curves'][curve]['length'])}")


def _checked(row: dict[str, Any], limit: Limit) -> str:
    value, low, high = row["value"]
    if value is None:
        return "-"
    text = f"{value:9.4g} +- {(high - low) / 2:.2g} {row['unit']}"
    if row["key"] in _LIMITS:
        most, from_one = _LIMITS[row["key"]]
        text += "   " + limit(
            row["name"] + (", off 1" if from_one else ""), abs(value - 1) if from_one else value, most
        )
    return text


def _shares(curve: dict[str, Any]) -> str:
    edges = curve["edges"]
    return ", ".join(
        f"{low:g}-{high:g}: {value:.3f} of {count}"
        for low, high, value, count in zip(edges, edges[1:], curve["value"], curve["count"], strict=False)
        if value is not None
    )
