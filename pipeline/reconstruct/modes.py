"""dE/dx of reconstructed segments by a model of the particle, instead of by their charge."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from ..matter.particles import mass
from ..tables import SPECIES, Reconstruction
from .energy import at_range, mip

#: Momentum over mass at which particles lose least.
_LEAST = 3.5


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
    own = np.abs(segments.pdg_id) != SPECIES["electron"]
    kinetic = np.array([mass(int(code)) for code in segments.pdg_id[own]]) * (np.hypot(1.0, _LEAST) - 1)
    dedx[own] = mip(segments.pdg_id[own], segments.length[own], kinetic, mean=True).dedx
    if mode == "range":
        own &= stops
        dedx[own] = at_range(segments.pdg_id[own], segments.length[own], found.residual_range[own]).dedx
    return replace(found, segments=segments.replace(dEdx=dedx, dE=dedx * segments.length))
