"""What is known of dE/dx of a piece of track before it is measured: the density of its logarithm.

The energy that a charged particle leaves in a layer follows Vavilov's distribution (`pipeline.matter.vavilov`) about
the mean of its range table, as in `pipeline.matter.transport`, by which samples are made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ..tables import Bools, Floats
from . import vavilov
from .particles import ELECTRON_MASS, mass
from .ranges import RangeTable, electron_table, loss_table
from .stopping import beta_squared, largest_transfer
from .straggling import landau_width

#: Bremsstrahlung photons above this [MeV] are particles of their own, wherever they end.
LEAST_PHOTON = 0.02

#: Newton steps from the peak of the density of the loss to that of its logarithm.
_STEPS = 12


@dataclass(frozen=True)
class Layers:
    """Layers of argon that particles of one kind cross, `(n,)` each, and what they lose there.

    `length` [cm]; `kinetic` energy in the middle [MeV], and the `path` [cm] from there to 0 by the losses that stay;
    `held`: whether the layer was longer than the track, and moved to its end. `mean` loss [MeV], `xi` (`landau_width`)
    [MeV], `most` that goes to one electron and stays [MeV]; `shape` of the density.
    """

    prior: EnergyPrior
    length: Floats
    kinetic: Floats
    path: Floats
    held: Bools
    mean: Floats
    xi: Floats
    most: Floats
    shape: vavilov.Shape

    def log_density(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        """Logarithm of the density of `u = ln(dE/dx / (MeV/cm))` at `u` `(n,)`, and two derivatives to u.

        The density is that of u, `dE/dx p(dE/dx)`. It is finite for any u, and linear in the logarithm of the
        distance from the peak beyond where it was computed (25 below the peak).
        """
        ratio, v = self._place(u)
        found = vavilov.log_density(v, self.shape)
        first = found.by_v * ratio
        return found.value + np.log(ratio), first + 1, found.by_v2 * ratio**2 + first

    def by_range(self, u: Floats) -> Floats:
        """Derivative [1/cm] of the logarithm of the density at `u` `(n,)` to the residual range of the layers.

        That is the distance from their middle to where the particle stops, by all its losses.
        """
        _, v = self._place(u)
        found = vavilov.log_density(v, self.shape, by_shape=True)
        mean, log_xi, log_most, b = self.prior.slopes(self)
        assert found.by_log_kappa is not None and found.by_b is not None
        slope = found.by_log_kappa * (log_xi - log_most) + found.by_b * b - log_xi
        return np.where(self.held, 0.0, slope - found.by_v * (mean / self.xi + v * log_xi))

    def by_length(self, u: Floats) -> Floats:
        """Derivative [1/cm] of the logarithm of the density at `u` `(n,)` to the length of the layers, whose middles
        stay where they are; 0 for layers that were moved to the end of their track."""
        _, v = self._place(u)
        found = vavilov.log_density(v, self.shape, by_shape=True)
        assert found.by_log_kappa is not None
        # Loss and xi over length stay as they are, and so does their ratio; the mean loss over length hardly changes.
        half = 0.5 * self.length
        ends = 0.5 * sum(self.prior.table.loss(self.path + side * half) for side in (-1, 1))
        slope = found.by_log_kappa - found.by_v * (ends * self.length - self.mean) / self.xi
        return np.where(self.held, 0.0, slope / self.length)

    def _place(self, u: Floats) -> tuple[Floats, Floats]:
        """The loss in units of xi, from 0 and from the mean."""
        # Further out floating-point numbers would overflow in the end.
        ratio = np.exp(np.clip(u, -40.0, 40.0)) * (self.length / self.xi)
        return ratio, ratio - self.mean / self.xi

    def mode_and_width(self) -> tuple[Floats, Floats]:
        """Most probable u `(n,)`, and the width of a Gaussian with the curvature at this peak `(n,)`."""
        least = 0.05 * self.mean / self.length
        centre = (self.mean + self.shape.centre[0] * self.xi) / self.length
        u = np.log(np.maximum(centre, least))
        core = self.shape.width[0] * self.xi / self.length
        for _ in range(_STEPS):
            _, first, second = self.log_density(u)
            # Never further than the peak is wide, and uphill where the curvature is that of a tail.
            wide = core / np.exp(u)
            step = first / np.maximum(-second, 0.2 / wide**2)
            u = u + np.clip(step, -wide, wide)
            if not len(u) or np.abs(step / wide).max() < 1e-9:
                break
        _, _, second = self.log_density(u)
        return u, 1 / np.sqrt(np.maximum(-second, 0.1 * (np.exp(u) / core) ** 2))


@dataclass(frozen=True)
class EnergyPrior:
    """Density of `u = ln(dE/dx / (MeV/cm))` of pieces of tracks of one kind of particle.

    `pdg`: code of the particle, sign ignored. `cut` [MeV]: struck electrons of more are tracks of their own, so that
    their energy is not that of the piece; infinite: all stays. `least_photon`: the same for bremsstrahlung.
    For electrons the larger half of the energy in a collision is the track's, and their spectrum of collisions is taken
    as 1/W^2.
    """

    pdg: int = 13
    cut: float = np.inf
    least_photon: float = LEAST_PHOTON

    def __getstate__(self) -> dict[str, float]:
        """What copies in other processes are made of: they have the tables of their process."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def mass(self) -> float:
        """Mass [MeV]."""
        return ELECTRON_MASS if abs(self.pdg) == 11 else mass(abs(self.pdg))

    @cached_property
    def table(self) -> RangeTable:
        """Path against energy by the losses that stay."""
        return self._table(self.cut, self.least_photon)

    @cached_property
    def all_losses(self) -> RangeTable:
        """Range against energy by all losses."""
        return self._table(np.inf, np.inf)

    def _table(self, cut: float, least_photon: float) -> RangeTable:
        return electron_table(cut, least_photon) if abs(self.pdg) == 11 else loss_table(self.mass, cut, least_photon)

    def layers(self, length: Floats, kinetic: Floats) -> Layers:
        """Pieces of `length` [cm] of a particle that has `kinetic` [MeV] in their middle, `(n,)` each, above 0.

        The mean is the integral of the loss over the piece. One that would go on where its particle has stopped is
        taken as the last of the track.
        """
        length, kinetic = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (length, kinetic)))
        path = self.table.range(kinetic)
        held = path < 0.5 * length
        if held.any():
            path = np.where(held, 0.5 * length, path)
            kinetic = np.where(held, self.table.energy(path), kinetic)
        mean = self.table.energy(path + 0.5 * length) - self.table.energy(path - 0.5 * length)
        xi = landau_width(kinetic, length, self.mass)
        largest = self._largest(kinetic)
        most = np.minimum(largest, self.cut)
        b = most / largest * (0.0 if abs(self.pdg) == 11 else beta_squared(kinetic, self.mass))
        shape = vavilov.Shape.of(np.log(xi / most), b)
        return Layers(self, length, kinetic, path, held, mean, xi, most, shape)

    def layers_at(self, length: Floats, residual: Floats) -> Layers:
        """As `layers`, of a particle that stops `residual` [cm] behind the middle of the piece, `(n,)`, above 0."""
        return self.layers(length, self.all_losses.energy(residual))

    def slopes(self, layers: Layers) -> tuple[Floats, Floats, Floats, Floats]:
        """Derivatives to residual range of the mean loss [MeV/cm], and of ln xi, ln most and b [1/cm]."""
        half, path, kinetic, m = 0.5 * layers.length, layers.path, layers.kinetic, self.mass
        by_energy = self.all_losses.loss(self.all_losses.range(kinetic))
        log_beta2 = 2 * m**2 / (kinetic * (kinetic + 2 * m) * (kinetic + m)) * by_energy
        ratio, gamma = ELECTRON_MASS / m, 1 + kinetic / m
        if abs(self.pdg) == 11:
            log_largest = by_energy / kinetic
        else:
            log_largest = 2 * gamma / (gamma**2 - 1) - 2 * ratio / (1 + 2 * gamma * ratio + ratio**2)
            log_largest *= by_energy / m
        all_stays = self._largest(kinetic) <= self.cut
        b = layers.shape.b * (log_beta2 - np.where(all_stays, 0.0, log_largest))
        by_path = by_energy / self.table.loss(path)
        mean = (self.table.loss(path + half) - self.table.loss(path - half)) * by_path
        return mean, -log_beta2, np.where(all_stays, log_largest, 0.0), b

    def _largest(self, kinetic: Floats) -> Floats:
        """Most energy [MeV] that a struck electron gets."""
        return 0.5 * kinetic if abs(self.pdg) == 11 else largest_transfer(kinetic, self.mass)

    def log_density(self, u: Floats, length: Floats, kinetic: Floats) -> tuple[Floats, Floats, Floats]:
        """As `Layers.log_density` of `layers(length, kinetic)`; keep the layers where only u changes."""
        return self.layers(length, kinetic).log_density(np.asarray(u, dtype=np.float64))

    def mode_and_width(self, length: Floats, kinetic: Floats) -> tuple[Floats, Floats]:
        """As `Layers.mode_and_width` of `layers(length, kinetic)`."""
        return self.layers(length, kinetic).mode_and_width()


def species_kinetic(pdg: int, residual_range: Floats) -> Floats:
    """Kinetic energy [MeV] of a particle (PDG code) that stops after `residual_range` (any shape) [cm], all losses."""
    return EnergyPrior(pdg).all_losses.energy(residual_range)


def cut_of_reach(reach: float) -> float:
    """Energy [MeV] of an electron whose range is `reach` [cm]: about the `cut` if those that go further are found."""
    return float(electron_table().energy(np.array(reach)))
