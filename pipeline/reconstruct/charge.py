"""Charge of segments, and the energy loss that it stands for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..tables import Floats


def survival(z: Floats, geometry: DetectorGeometry, values: Mapping[str, float]) -> Floats:
    """`(n,)` fraction of the electrons freed at drift coordinates `z` `(n,)` [cm] that arrive: `exp(-t / tau)`."""
    velocity = argon.scaled_drift_velocity(values, geometry.temperature)
    time = (geometry.anode_distance(z) + values["shift_z"] - geometry.response_start) / velocity
    return np.asarray(np.exp(-time / values["electron_lifetime"]))


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
