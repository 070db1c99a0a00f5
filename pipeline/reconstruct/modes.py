"""dE/dx of reconstructed segments by a model of the particle, instead of by their charge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..config.reconstruction import Reconstruct
from ..matter.particles import masses
from ..tables import SPECIES, Reconstruction
from .energy import mean_at_range, most_probable
from .likelihood import track_of_segments

#: Momentum over mass at which particles lose least.
_LEAST = 3.5


def with_model_losses(found: Reconstruction, settings: Reconstruct) -> Reconstruction:
    """The same segments with dE/dx (and dE) of the particle that they are labelled as, by the mode `settings.dedx`.

    `mip`: the most probable loss in a segment at the momentum `settings.mip_momentum_mev`. `range`: the mean loss at
    the residual range, on tracks that end inside the detector; on others the range is not known, and `mip` stands.
    Electrons, and all with `charge`, stay as they are.
    """
    if settings.dedx == "charge":
        return found
    segments = found.segments
    track = track_of_segments(found)
    heavy = np.flatnonzero((np.abs(segments.pdg_id) != SPECIES["electron"]) & (track >= 0))
    species, length = segments.pdg_id[heavy], segments.length[heavy]
    rest = masses(species)
    momentum = _LEAST * rest if settings.mip_momentum_mev is None else settings.mip_momentum_mev
    dedx = most_probable(species, length, np.hypot(momentum, rest) - rest)
    if settings.dedx == "range":
        stops = found.tracks.contained[track[heavy]]
        dedx[stops] = mean_at_range(species[stops], length[stops], found.residual_range[heavy][stops])
    whole = segments.dEdx.copy()
    whole[heavy] = dedx
    return replace(found, segments=segments.with_dedx(whole))
