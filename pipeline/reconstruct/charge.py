"""Charge of segments, and the energy loss that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..tables import Floats, Hits, Ints
from .collected import Collected

#: Charge that was not recorded is scaled with that which was, up to this factor: more comes of knock-on electrons.
_LARGEST_RATIO = 2.0


def survival(z: Floats, geometry: DetectorGeometry, values: Mapping[str, float]) -> Floats:
    """`(n,)` fraction of the electrons freed at drift coordinates `z` `(n,)` [cm] that arrive: `exp(-t / tau)`."""
    return np.asarray(np.exp(-drift_time(z, geometry, values) / values["electron_lifetime"]))


def drift_time(z: Floats, geometry: DetectorGeometry, values: Mapping[str, float]) -> Floats:
    """`(n,)` time [us] that electrons need from drift coordinates `z` `(n,)` [cm] to the plane of pixels."""
    velocity = argon.scaled_drift_velocity(values, geometry.temperature)
    return np.asarray((geometry.anode_distance(z) + values["shift_z"] - geometry.response_start) / velocity)


def shared_out(
    collected: Collected, hits: Hits, owner: Ints, track_of_piece: Ints, nearest: Callable[[Ints], Ints]
) -> Floats:
    """Recorded charge `(p,)` [electrons] by piece of track, and what the model says was not recorded.

    Each hit is shared among pieces in proportion to what the model gives them of it: the recorded charge q_n of a hit
    of a track (`owner` `(h,)` its number, else -1), the model's own of other hits. Charge after the last hit of a
    pixel, and in pixels without any, was not recorded: it is the model's, in proportion to what was recorded of the
    piece. Hits of tracks that no piece of theirs reaches (knock-on electrons left them there) go to the piece that
    `nearest` gives for their rows.
    """
    row = np.concatenate([collected.rising.row, collected.held.row])
    piece = np.concatenate([collected.rising.piece, collected.held.piece])
    charge = np.maximum(np.concatenate([collected.rising.charge, collected.held.charge]), 0.0)
    count = len(track_of_piece)
    total = np.bincount(row, charge, minlength=len(hits))
    own = np.bincount(row, charge * (track_of_piece[piece] == owner[row]), minlength=len(hits))
    left = np.bincount(collected.left.piece, np.maximum(collected.left.charge, 0.0), minlength=count)
    of_track = owner >= 0
    # Where a track's hit is hardly explained by it, proportions mean nothing.
    stray = of_track & (own < 0.05 * hits.charge)
    factor = np.where(of_track, hits.charge / np.maximum(total, 1e-30), 1.0)
    factor[stray] = 0.0
    recorded = np.bincount(piece, charge * factor[row], minlength=count)
    # A piece that left more in its hits than the model has of it left as much more beside them.
    modelled = np.bincount(piece, charge * (factor[row] > 0), minlength=count)
    ratio = np.where(modelled > left, recorded / np.maximum(modelled, 1e-30), 1.0)
    found = recorded + left * np.clip(ratio, 0.5, _LARGEST_RATIO)
    rows = np.flatnonzero(stray)
    return np.asarray(found + np.bincount(nearest(rows), hits.charge[rows], minlength=count))


def loss_of_density(density: Floats, values: Mapping[str, float], recombination: str) -> Floats:
    """dE/dx `(n,)` [MeV/cm] that leaves `density` `(n,)` electrons per cm after recombination.

    With `D = density W`, Birks' law inverts to `D / (A_B - k_B D / (E rho))` and the modified box to
    `(exp(beta D / (E rho)) - alpha) E rho / beta`. Densities that the model cannot make (Birks' saturates at
    `A_B E rho / k_B`) are taken as the largest that it can, at 100 MeV/cm.
    """
    field = values["electric_field"] * values["density"]
    made = np.maximum(density, 0.0) / argon.ELECTRONS_PER_MEV
    if recombination == "birks":
        quenching = values["birks_kb"] / field
        made = np.minimum(made, 100.0 * values["birks_ab"] / (1 + 100.0 * quenching))
        return np.asarray(made / (values["birks_ab"] - quenching * made))
    beta = values["box_beta"] / field
    loss = (np.exp(np.minimum(beta * made, 20.0)) - values["box_alpha"]) / beta
    return np.asarray(np.clip(loss, 0.0, 100.0))
