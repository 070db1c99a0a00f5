"""Kinetic energies with which particles of a sample began, where a file of segments tells them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..tables import Floats, Ints
from .hdf5 import open_hdf5, read_table

_TABLE = "trajectories"
_TYPES = {"event_id": "i8", "traj_id": "i8", "kinetic_start": "f8"}


@dataclass(frozen=True)
class StartEnergies:
    """`(n,)` each: a particle's `event_id` and `traj_id`, and its `kinetic_energy` [MeV] where it began."""

    event_id: Ints
    traj_id: Ints
    kinetic_energy: Floats

    def of(self, event_id: Ints, traj_id: Ints) -> Floats:
        """`(k,)` kinetic energy [MeV] of these particles; NaN where not known, or told more than once."""
        keys = np.stack([self.event_id, self.traj_id], axis=1)
        wanted = np.stack([event_id, traj_id], axis=1)
        _, which, count = np.unique(np.concatenate([keys, wanted]), axis=0, return_inverse=True, return_counts=True)
        which = which.reshape(-1)
        told, asked = which[: len(keys)], which[len(keys) :]
        energy = np.full(len(count), np.nan)
        energy[told] = self.kinetic_energy
        energy[np.bincount(told, minlength=len(count)) > 1] = np.nan
        return energy[asked]


def read_start_energies(path: Path | str) -> StartEnergies | None:
    """What a file that gradcal wrote says of its particles in the table `trajectories`; None where it has none.

    Tables of that name in files of other programs have other columns and units, and are left alone. Raises
    `FileFormatError` where ours lacks a column, has another unit, or holds numbers that are not finite.
    """
    with open_hdf5(path) as file:
        if "kind" not in file.attrs or _TABLE not in file:
            return None
        columns = read_table(file, _TABLE, _TYPES, {"kinetic_start": "MeV"})
    return StartEnergies(columns["event_id"], columns["traj_id"], columns["kinetic_start"])
