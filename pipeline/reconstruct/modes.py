"""dE/dx of reconstructed segments by a model of the particle, instead of by their charge."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from ..matter.particles import mass
from ..matter.ranges import range_table
from ..tables import SPECIES, Floats, Reconstruction


def with_model_losses(found: Reconstruction, mode: Literal["mip", "range", "charge"]) -> Reconstruction:
    """The same segments with dE/dx (and dE) of the particle that they are labelled as.

    `mip`: the least mean loss that it can have. `range`: the mean loss at the residual range, on tracks that end
    inside the detector; on others the range is not known, and `mip` stands. Electrons, and all with `charge`,
    stay as they are.
    """
    if mode == "charge":
        return found
    segments = found.segments
    dedx = segments.dEdx.copy()
    contained = {
        (event, track)
        for event, track, ends in zip(
            found.tracks.event_id.tolist(), found.tracks.track_id.tolist(), found.tracks.contained.tolist()
        )
        if ends
    }
    keys = zip(segments.event_id.tolist(), segments.traj_id.tolist())
    stops = np.array([key in contained for key in keys], dtype=bool)
    for species in np.unique(np.abs(segments.pdg_id)):
        if species == SPECIES["electron"]:
            continue
        own = np.abs(segments.pdg_id) == species
        dedx[own] = least_loss(int(species))
        if mode == "range":
            own &= stops
            dedx[own] = loss_at_range(found.residual_range[own], segments.length[own], int(species))
    return replace(found, segments=segments.replace(dEdx=dedx, dE=dedx * segments.length))


def loss_at_range(residual_range: Floats, length: Floats, pdg_id: int) -> Floats:
    """Mean dE/dx `(n,)` [MeV/cm] of segments of `length` `(n,)` [cm] whose centres are `residual_range` `(n,)` [cm]
    before the point where the particle stops: `(T(R + L / 2) - T(R - L / 2)) / L`.
    """
    table = range_table(mass(pdg_id))
    low = np.maximum(residual_range - 0.5 * length, 0.0)
    return np.asarray((table.energy(low + length) - table.energy(low)) / length)


def least_loss(pdg_id: int) -> float:
    """The least mean dE/dx [MeV/cm] that a particle can have: that of a minimum ionising one."""
    residual = np.geomspace(1.0, 3000.0, 400)
    return float(loss_at_range(residual, np.full(400, 0.1), pdg_id).min())
