"""How long the tracks of each species are, and which of them the cuts keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..select.cuts import apply_cuts, track_lengths
from ..tables import Bools, Floats, Segments

#: Species by the absolute values of their PDG codes; what is left is `other`.
SPECIES = {"muons": (13,), "pions": (211,), "protons": (2212,), "electrons": (11,)}
#: Edges [cm] of the bins of length: ten per decade. Shorter and longer tracks are counted in the outermost bins.
EDGES = np.logspace(-3, 3, 61)


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Histograms of the length of tracks by species: of all tracks of `segments` (not selected), and of those of which
    the configured cuts leave anything, both by the length of the whole track.

    The limit on the total length is left out, for it takes tracks at random. Raises `SelectionError` where a cut leaves
    nothing.
    """
    cuts = config.select.model_copy(update={"max_total_length_cm": None})
    progress(f"cuts on {len(segments)} segments")
    selection = apply_cuts(segments, cuts, geometry, config.seed, "track_lengths")
    track = segments.track_index()
    length = track_lengths(segments)
    kept = np.zeros(len(length), dtype=np.bool_)
    kept[track[selection.rows]] = True
    left = np.bincount(track[selection.rows], selection.segments.length, len(length)).astype(np.float64)
    code = np.zeros(len(length), dtype=np.int64)
    code[track] = np.abs(segments.pdg_id)
    rows = []
    for name, codes in (*SPECIES.items(), ("other", None)):
        known = [c for group in SPECIES.values() for c in group]
        chosen = ~np.isin(code, known) if codes is None else np.isin(code, codes)
        if chosen.any():
            rows.append(_row(name, length[chosen], kept[chosen], left[chosen]))
    return {
        "events": len(np.unique(segments.event_id)),
        "edges_cm": EDGES.tolist(),
        "min_track_length_cm": cuts.min_track_length_cm,
        "cuts": [step.description for step in selection.cut_flow[1:]],
        "species": rows,
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = [f"{'species':<12}{'tracks':>8}{'length [cm]':>13}{'kept':>8}{'whole [cm]':>12}{'left [cm]':>11}"]
    for row in result["species"]:
        lines.append(
            f"{row['name']:<12}{row['tracks']:>8}{row['length_cm']:>13.1f}{row['kept_tracks']:>8}"
            f"{row['kept_length_cm']:>12.1f}{row['left_length_cm']:>11.1f}"
        )
    return "\n".join(lines)


def _row(name: str, length: Floats, kept: Bools, left: Floats) -> dict[str, Any]:
    """Numbers of one species: tracks, their lengths, and what the cuts leave of them."""
    inside = np.clip(length, EDGES[0], np.nextafter(EDGES[-1], 0))
    return {
        "name": name,
        "tracks": len(length),
        "length_cm": float(length.sum()),
        "kept_tracks": int(kept.sum()),
        "kept_length_cm": float(length[kept].sum()),
        "left_length_cm": float(left.sum()),
        "counts": np.histogram(inside, EDGES)[0].tolist(),
        "kept_counts": np.histogram(inside[kept], EDGES)[0].tolist(),
    }
