"""The selection's cuts, on what was reconstructed."""

from __future__ import annotations

import numpy as np

from ..config.selection import Select
from ..detector.geometry import DetectorGeometry
from ..select.cuts import apply_cuts
from ..tables import CutStep, Reconstruction


def cut_tracks(
    found: Reconstruction, select: Select, geometry: DetectorGeometry, seed: int, where: str
) -> tuple[Reconstruction, tuple[CutStep, ...]]:
    """What the cuts leave, and what each of them left; `where` (the file) begins the sentence of an error.

    The cuts see reconstructed positions, which move with the drift velocity that was assumed: compare results at the
    same parameter values only. Hits of tracks that are cut away belong to no track. Raises `SelectionError` if nothing
    is left.
    """
    selection = apply_cuts(found.segments, select, geometry, seed, where)
    left = selection.segments
    tracks = np.stack([found.tracks.event_id, found.tracks.track_id], axis=1)
    there = np.stack([left.event_id, left.traj_id], axis=1)
    kept = (tracks[:, None] == np.unique(there, axis=0)[None]).all(axis=2).any(axis=1)
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return Reconstruction(
        tracks=found.tracks.take(kept),
        segments=left,
        residual_range=found.residual_range[selection.rows],
        position_error=found.position_error[selection.rows],
        charge=found.charge[selection.rows],
        knocked_out=found.knocked_out[selection.rows],
        hit_track=np.where(found.hit_track >= 0, number[found.hit_track], -1),
    ), selection.cut_flow
