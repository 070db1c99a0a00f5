"""Collisions of electrons and positrons with the electrons of liquid argon.

Pure functions of NumPy arrays; energies in MeV, lengths in cm. An electron gives another at most half of its energy, as
the two cannot be told apart; a positron all.
"""

from __future__ import annotations

import numpy as np

from ..tables import Bools, Floats
from .particles import ELECTRON_MASS
from .stopping import LIQUID_ARGON, K, density_effect
from .straggling import landau_width

#: Below this kinetic energy [MeV] (range 2 um) the stopping power is kept: the Born approximation ends.
LOWEST = 0.01


def collision_loss(kinetic_energy: Floats, cut: float = np.inf, positron: bool = False) -> Floats:
    """Mean energy lost per length [MeV/cm] in collisions that transfer at most `cut` [MeV].

    Berger and Seltzer's formula with the cross section of Moller (electrons) or Bhabha (positrons), NASA SP-3012
    (1964), as written out by Messel and Crawford (1970). `kinetic_energy` any shape [MeV].
    """
    tau = np.maximum(kinetic_energy, LOWEST) / ELECTRON_MASS
    gamma = tau + 1
    beta2 = tau * (tau + 2) / gamma**2
    d = np.minimum(cut / ELECTRON_MASS, tau if positron else 0.5 * tau)
    common = np.log(2 * (tau + 2) / (LIQUID_ARGON.excitation_energy / ELECTRON_MASS) ** 2)
    if positron:
        y = 1 / (1 + gamma)
        d2, d3, d4 = d**2, d**3, d**4
        inner = tau + 2 * d - y * (1.5 * d2 + y * (d - d3 / 3 + y * (0.5 * d2 - tau * d3 / 3 + 0.25 * d4)))
        bracket = common + np.log(tau * d) - beta2 / tau * inner
    else:
        bracket = common - 1 - beta2 + np.log((tau - d) * d) + tau / (tau - d)
        bracket += (0.5 * d**2 + (2 * tau + 1) * np.log(1 - d / tau)) / gamma**2
    bracket = bracket - density_effect(np.sqrt(gamma**2 - 1))
    return np.asarray(0.5 * K * LIQUID_ARGON.density * LIQUID_ARGON.z_over_a / beta2 * bracket)


def _spectrum(share: Floats, gamma: Floats, positron: Bools) -> Floats:
    """Collisions per transferred share of the energy, times the square of the share: near 1 for small shares."""
    g2 = gamma**2
    rest = 1 - share
    moller = ((gamma - 1) / gamma) ** 2 * share**2 + 1 - share * (2 * gamma - 1) / g2
    moller += (share / rest) ** 2 - share**2 / rest * (2 * gamma - 1) / g2
    y = 1 / (gamma + 1)
    b1, b2, b3, b4 = 2 - y**2, (1 - 2 * y) * (3 + y**2), (1 - 2 * y) ** 2 + (1 - 2 * y) ** 3, (1 - 2 * y) ** 3
    beta2 = 1 - 1 / g2
    bhabha = 1 - beta2 * (b1 * share - b2 * share**2 + b3 * share**3 - b4 * share**4)
    return np.asarray(np.where(positron, bhabha, moller))


def knock_on_rate(kinetic_energy: Floats, cut: float) -> Floats:
    """Upper bound of collisions above `cut` [MeV] per length [1/cm], that of the spectrum `2 / share^2`.

    `sample_knock_on` says which of the collisions drawn with it are real. `kinetic_energy` any shape [MeV].
    """
    scale = landau_width(kinetic_energy, np.ones_like(kinetic_energy), ELECTRON_MASS)
    return np.asarray(_BOUND * scale * np.maximum(1 / cut - 1 / kinetic_energy, 0.0))


#: The spectra of `_spectrum` stay below this.
_BOUND = 2.5


def sample_knock_on(
    rng: np.random.Generator, kinetic_energy: Floats, cut: float, positron: Bools
) -> tuple[Floats, Bools]:
    """Energies [MeV] given to electrons in collisions above `cut`, `(n,)`, and which of them are real.

    For collisions that happen with `knock_on_rate`. `kinetic_energy` `(n,)` above `cut`, `positron` `(n,)`.
    """
    lower = np.minimum(cut / kinetic_energy, 1.0)
    share = 1 / (1 / lower - rng.random(len(kinetic_energy)) * (1 / lower - 1))
    gamma = 1 + kinetic_energy / ELECTRON_MASS
    possible = (share <= 0.5) | positron
    weight = _spectrum(np.minimum(share, np.where(positron, 1.0, 0.5)), gamma, positron)
    real = possible & (rng.random(len(share)) * _BOUND < weight)
    return np.asarray(share * kinetic_energy), np.asarray(real)


def recoil_cosine(kinetic_energy: Floats, mass: Floats, transfer: Floats) -> Floats:
    """Cosine of the angle at which a struck electron leaves, two-body kinematics.

    `cos = W (E + m) / (p p_e)`; `kinetic_energy` [MeV] and `mass` [MeV] of the particle, `transfer` W [MeV]: `(n,)`.
    """
    momentum = np.sqrt(kinetic_energy * (kinetic_energy + 2 * mass))
    struck = np.sqrt(transfer * (transfer + 2 * ELECTRON_MASS))
    cosine = transfer * (kinetic_energy + mass + ELECTRON_MASS) / (momentum * struck)
    return np.asarray(np.clip(cosine, -1.0, 1.0))
