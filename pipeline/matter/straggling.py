"""Fluctuations of the energy lost by ionisation in a layer of liquid argon.

The theory of Vavilov, Sov. Phys. JETP 5 (1957) 749: independent collisions with the spectrum
`xi / W^2 (1 - beta^2 W / Tmax)` of transfers W up to the largest that kinematics allows, about the mean of Bethe's
formula. Thin layers give Landau's distribution, thick ones a Gaussian, `kappa = xi / Tmax` tells which.
"""

from __future__ import annotations

import numpy as np

from ..tables import Floats, Ints
from .particles import ELECTRON_MASS
from .stopping import LIQUID_ARGON, K, Medium, beta_squared, density_effect

#: Transfers above xi divided by this number are drawn one by one, about this many in each layer.
_COLLISIONS = 20.0


def landau_width(kinetic_energy: Floats, length: Floats, mass: float, medium: Medium = LIQUID_ARGON) -> Floats:
    """Width parameter xi [MeV] of the loss in a layer, `K rho x Z/A / (2 beta^2)`.

    `kinetic_energy` [MeV], `length` [cm]: arrays of one shape; `mass` [MeV].
    """
    return np.asarray(0.5 * K * medium.density * medium.z_over_a * length / beta_squared(kinetic_energy, mass))


def most_probable_loss(kinetic_energy: Floats, length: Floats, mass: float, medium: Medium = LIQUID_ARGON) -> Floats:
    """Most probable loss [MeV] in a thin layer (kappa below about 0.01), Landau-Vavilov-Bichsel.

    `xi [ln(2 m c2 (beta gamma)^2 / I) + ln(xi / I) + 0.200 - beta^2 - delta]`, Bichsel, Rev. Mod. Phys. 60 (1988) 663.
    Arguments as for `landau_width`.
    """
    gamma = 1 + kinetic_energy / mass
    beta_gamma2 = gamma**2 - 1
    xi = landau_width(kinetic_energy, length, mass, medium)
    logarithms = np.log(2 * ELECTRON_MASS * beta_gamma2 / medium.excitation_energy) + np.log(
        xi / medium.excitation_energy
    )
    delta = density_effect(np.sqrt(beta_gamma2), medium)
    return np.asarray(xi * (logarithms + 0.200 - beta_gamma2 / gamma**2 - delta))


def sample_loss(
    rng: np.random.Generator, mean: Floats, xi: Floats, beta2: Floats, most: Floats, cut: float = np.inf
) -> Floats:
    """Losses [MeV] drawn from Vavilov's distribution with the given means.

    Hard transfers, above `w = xi / 20` but never below the mean excitation energy, are drawn one by one from the
    collision spectrum; the softer ones make a gamma distribution, which is a Gaussian where they are many and never
    below 0. Mean, and variance `xi W (1 - beta^2 W / (2 Tmax))` with `W = min(cut, Tmax)`, are exact by construction
    for every kappa.

    `mean` mean loss in collisions up to `cut` [MeV], `xi` [MeV], `beta2`, `most` largest transfer Tmax [MeV]: `(n,)`;
    `cut` [MeV] leaves out harder collisions, whose electrons are tracks of their own. Returns `(n,)`.
    """
    upper = np.minimum(cut, most)
    soft = np.minimum(np.maximum(xi / _COLLISIONS, LIQUID_ARGON.excitation_energy), upper)
    hard, owner = _hard_collisions(rng, xi, beta2 / most, soft, upper)
    hard_sum = np.bincount(owner, weights=hard, minlength=len(xi))
    hard_mean = xi * (np.log(upper / soft) - beta2 * (upper - soft) / most)
    soft_variance = xi * soft * (1 - 0.5 * beta2 * soft / most)
    # Nothing where nothing is to be lost.
    soft_mean = np.maximum(np.maximum(mean - hard_mean, 1e-3 * mean), 1e-300)
    # Of a gamma distribution of this mean and variance: shape and scale.
    scale = np.maximum(soft_variance, 1e-300) / soft_mean
    return np.asarray(hard_sum + scale * rng.standard_gamma(soft_mean / scale))


def _hard_collisions(
    rng: np.random.Generator, xi: Floats, slope: Floats, lower: Floats, upper: Floats
) -> tuple[Floats, Ints]:
    """Transfers [MeV] of a Poisson process of density `xi (1 - slope W) / W^2` between limits, and whose they are."""
    owner = np.repeat(np.arange(len(xi)), rng.poisson(xi * (1 / lower - 1 / upper)))
    # 1/W is uniform for the spectrum 1/W^2; thinning by 1 - slope W then leaves the Poisson process wanted.
    uniform = rng.random(len(owner))
    transfer = 1 / (1 / lower[owner] - uniform * (1 / lower[owner] - 1 / upper[owner]))
    kept = rng.random(len(owner)) >= slope[owner] * transfer
    return transfer[kept], owner[kept]
