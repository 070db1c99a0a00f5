"""Range and energy along a track in the continuous slowing-down approximation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.interpolate import CubicSpline

from ..tables import Floats
from .electrons import LOWEST, collision_loss
from .particles import ELECTRON_MASS, MUON_MASS
from .radiation import electron_radiation, muon_bremsstrahlung, muon_radiation, soft_radiation
from .stopping import stopping_power


class RangeTable:
    """Range against kinetic energy of one kind of particle in liquid argon, both ways.

    `R(T) = integral of dT' / S(T')`, tabulated in log T with cubic splines between `lowest` and `highest` [MeV]. Below
    the lowest energy, where Bethe's formula fails, the range is taken proportional to T.
    `stopping` gives the loss [MeV/cm] at kinetic energies (any shape) [MeV].
    """

    def __init__(self, mass: float, stopping: Callable[[Floats], Floats], lowest: float, highest: float) -> None:
        self.mass = mass
        self.lowest, self.highest = lowest, highest
        log_energy = np.linspace(np.log(self.lowest), np.log(self.highest), 2000)
        energy = np.exp(log_energy)
        # dR = T / S dlnT; the antiderivative of the spline is exact for the spline.
        integral = CubicSpline(log_energy, energy / stopping(energy)).antiderivative()(log_energy)
        log_range = np.log(integral + self.lowest / stopping(np.array(self.lowest)))
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

    def loss(self, residual_range: Floats) -> Floats:
        """Mean loss per length [MeV/cm] with `residual_range` (any shape) [cm] to go: the derivative of `energy`."""
        inside = np.maximum(np.asarray(residual_range, dtype=np.float64), self._shortest)
        log_range = np.log(inside)
        return np.asarray(np.exp(self._log_energy(log_range)) / inside * self._log_energy(log_range, 1))


#: Kinetic energies of the table of a heavy particle in units of its mass; beta gamma is 0.03 and 1000. The range is
#: less than 20 um at the lowest.
_LOWEST, _HIGHEST = 5e-4, 1e3


@cache
def range_table(mass: float) -> RangeTable:
    """The range table of heavy particles of `mass` [MeV]: all losses, those of muons by radiation included."""
    return loss_table(mass, np.inf, np.inf)


@cache
def loss_table(mass: float, cut: float, least_photon: float) -> RangeTable:
    """As `range_table`, of the losses that are not particles of their own.

    Those are electrons above `cut` and bremsstrahlung photons above `least_photon` [MeV]. Electron pairs and nuclear
    collisions of muons always count as loss on the spot.
    """
    if abs(mass - MUON_MASS) > 1e-3:
        return RangeTable(mass, lambda t: stopping_power(t, mass, cut), _LOWEST * mass, _HIGHEST * mass)

    def muon(kinetic: Floats) -> Floats:
        bremsstrahlung = muon_bremsstrahlung(kinetic)
        on_the_spot = muon_radiation(kinetic) - bremsstrahlung + soft_radiation(kinetic, bremsstrahlung, least_photon)
        return stopping_power(kinetic, mass, cut) + on_the_spot

    return RangeTable(mass, muon, _LOWEST * mass, _HIGHEST * mass)


@cache
def electron_table(cut: float = np.inf, least_photon: float = np.inf, positron: bool = False) -> RangeTable:
    """The table of electrons or positrons, of 10 keV to 100 GeV; arguments as for `loss_table`."""

    def loss(kinetic: Floats) -> Floats:
        soft = soft_radiation(kinetic, electron_radiation(kinetic), least_photon)
        return collision_loss(kinetic, cut, positron) + soft

    return RangeTable(ELECTRON_MASS, loss, LOWEST, 1e5)
