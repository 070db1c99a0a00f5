"""Range and energy along a track in the continuous slowing-down approximation."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.interpolate import CubicSpline

from ..tables import Floats
from .stopping import stopping_power


class RangeTable:
    """Range against kinetic energy of one kind of particle in liquid argon, both ways.

    `R(T) = integral of dT' / S(T')`, tabulated in log T with cubic splines between `LOWEST` and `HIGHEST` times
    the mass. Below the lowest energy, where Bethe's formula fails, the range is taken proportional to T; it is less
    than 100 um there.
    """

    #: Kinetic energies of the table in units of the mass; beta gamma is 0.06 and 1000.
    LOWEST, HIGHEST = 2e-3, 1e3

    def __init__(self, mass: float) -> None:
        self.mass = mass
        self.lowest, self.highest = self.LOWEST * mass, self.HIGHEST * mass
        log_energy = np.linspace(np.log(self.lowest), np.log(self.highest), 2000)
        energy = np.exp(log_energy)
        # dR = T / S dlnT; the antiderivative of the spline is exact for the spline.
        integral = CubicSpline(log_energy, energy / stopping_power(energy, mass)).antiderivative()(log_energy)
        log_range = np.log(integral + self.lowest / stopping_power(np.array(self.lowest), mass))
        self._log_range = CubicSpline(log_energy, log_range)
        self._log_energy = CubicSpline(log_range, log_energy)
        self._shortest = float(np.exp(log_range[0]))

    def range(self, kinetic_energy: Floats) -> Floats:
        """Mean path [cm] until a particle of `kinetic_energy` (any shape) [MeV] stops."""
        energy = np.asarray(kinetic_energy, dtype=np.float64)
        inside = np.clip(energy, self.lowest, self.highest)
        return np.asarray(np.exp(self._log_range(np.log(inside))) * np.minimum(energy / self.lowest, 1.0))

    def energy(self, residual_range: Floats) -> Floats:
        """Kinetic energy [MeV] of a particle that stops after `residual_range` (any shape) [cm]; inverse of `range`."""
        distance = np.asarray(residual_range, dtype=np.float64)
        inside = np.maximum(distance, self._shortest)
        return np.asarray(np.exp(self._log_energy(np.log(inside))) * np.minimum(distance / self._shortest, 1.0))


@cache
def range_table(mass: float) -> RangeTable:
    """The range table of particles of `mass` [MeV]."""
    return RangeTable(mass)
