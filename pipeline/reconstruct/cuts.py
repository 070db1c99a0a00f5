"""The selection's cuts, on what was reconstructed."""

from __future__ import annotations

import numpy as np

from ..config.selection import Select
from ..detector.geometry import DetectorGeometry
from ..select.cuts import apply_cuts
from ..tables import CutStep, Ints, Reconstruction
from .likelihood import track_of_segments


def cut_tracks(
    found: Reconstruction, select: Select, geometry: DetectorGeometry, seed: int, where: str
) -> tuple[Reconstruction, tuple[CutStep, ...]]:
    """What the cuts leave, and what each of them left; `where` (the file) begins the sentence of an error.

    The cuts see reconstructed positions, which move with the drift velocity that was assumed: compare results at the
    same parameter values only. Hits of tracks that are cut away belong to no track. Raises `SelectionError` if nothing
    is left.
    """
    selection = apply_cuts(found.segments, select, geometry, seed, where)
    return with_segments(found, selection.rows), selection.cut_flow


def with_segments(found: Reconstruction, rows: Ints) -> Reconstruction:
    """What is left with the segments `rows` `(k,)` alone: tracks without any are gone, their hits belong to none."""
    kept = np.zeros(len(found.tracks), dtype=np.bool_)
    kept[track_of_segments(found)[rows]] = True
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return Reconstruction(
        tracks=found.tracks.take(kept),
        segments=found.segments.take(rows),
        residual_range=found.residual_range[rows],
        position_error=found.position_error[rows],
        charge=found.charge[rows],
        knocked_out=found.knocked_out[rows],
        hit_track=np.where(found.hit_track >= 0, number[found.hit_track], -1),
    )
