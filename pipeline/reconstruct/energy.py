"""dE/dx of segments in three ways: of a particle whose energy is assumed, of one that stops, or from the charge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..detector.argon import ELECTRONS_PER_MEV
from ..matter.energy_prior import EnergyPrior, Layers
from ..tables import Floats, Ints
from .charge import loss_of_density

#: Relative step of the derivative of dE/dx to charge.
_STEP = 1e-4


@dataclass(frozen=True)
class Losses:
    """`dedx` `(n,)` [MeV/cm] of segments, and `error` `(n,)` its standard error [MeV/cm].

    Of an assumed energy the error is that by straggling: true losses vary so about `dedx`. Of charge it is that by the
    error of the charge, infinite where the recombination model cannot make so much.
    """

    dedx: Floats
    error: Floats


def mip(species: Ints, length: Floats, kinetic: Floats, *, mean: bool = False, cut: float = np.inf) -> Losses:
    """The most probable dE/dx of particles of `species` (PDG codes) and `kinetic` energy [MeV]; or the `mean`.

    Arrays `(n,)`; `length` [cm]. Struck electrons above `cut` [MeV] do not belong to segments. The error of the most
    probable value is the width of the peak (rare large losses are further away), that of the mean the standard
    deviation, which those few dominate.
    """
    return _of_particles(species, length, cut, mean, lambda prior, some: prior.layers(length[some], kinetic[some]))


def at_range(
    species: Ints, length: Floats, residual_range: Floats, *, mean: bool = True, cut: float = np.inf
) -> Losses:
    """dE/dx of particles that stop `residual_range` [cm] behind the centre of the segment: the mean, by the range.

    `T(R + L/2) - T(R - L/2)` over L; other arguments, and the most probable value with `mean` false, as for `mip`.
    """
    return _of_particles(
        species, length, cut, mean, lambda prior, some: prior.layers_at(length[some], residual_range[some])
    )


def _of_particles(
    species: Ints, length: Floats, cut: float, mean: bool, layers_of: Callable[[EnergyPrior, Ints], Layers]
) -> Losses:
    dedx, error = np.zeros(len(species)), np.zeros(len(species))
    for code in np.unique(np.abs(species)):
        some = np.flatnonzero(np.abs(species) == code)
        layers = layers_of(EnergyPrior(int(code), cut), some)
        if mean:
            dedx[some], error[some] = layers.mean / layers.length, layers.deviation / layers.length
        else:
            u, width = layers.mode_and_width()
            # The peak of the density of dE/dx itself: in its logarithm it lies higher by the square of the width.
            peak = _peak_of_loss(layers, u - width**2)
            dedx[some], error[some] = np.exp(peak), np.exp(peak) * width
    return Losses(dedx, error)


def _peak_of_loss(layers: Layers, u: Floats) -> Floats:
    """Logarithm of the most probable dE/dx, from close by."""
    for _ in range(8):
        _, first, second = layers.log_density(u)
        # The density of dE/dx is that of u over dE/dx.
        u = u - np.clip((first - 1) / np.minimum(second, -1.0), -0.05, 0.05)
    return u


def from_charge(
    charge: Floats,
    length: Floats,
    drift_time: Floats,
    values: Mapping[str, float],
    recombination: str,
    charge_error: Floats | None = None,
) -> Losses:
    """dE/dx `(n,)` whose ionisation, after recombination and attenuation, gives `charge` [electrons] of each segment.

    Solves `charge = L dE/dx R(dE/dx) / W exp(-t / tau)` with the fraction R of `recombination` at the parameter
    `values`; `length` [cm], `drift_time` [us] and `charge_error` [electrons] (0 if not given) `(n,)`. Raises `KeyError`
    for a recombination model that is not known.
    """
    density = charge / (length * np.exp(-drift_time / values["electron_lifetime"]))
    dedx = loss_of_density(density, values, recombination)
    if charge_error is None:
        return Losses(dedx, np.zeros(len(dedx)))
    step = _STEP * np.maximum(np.abs(density), 1e-3 * ELECTRONS_PER_MEV)
    above, below = (loss_of_density(density + s, values, recombination) for s in (step, -step))
    slope = (above - below) / (2 * step)
    relative = charge_error / np.maximum(np.abs(charge), 1e-12)
    error = np.where(slope > 0, slope * np.abs(density) * relative, np.inf)
    return Losses(dedx, np.where(charge_error > 0, error, 0.0))
