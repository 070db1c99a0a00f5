"""Multiple scattering of charged particles on the nuclei of liquid argon.

Single scatters follow the screened Rutherford cross section of Moliere's theory, Z. Naturforsch. 2a (1947) 133 and 3a
(1948) 78; Bethe, Phys. Rev. 89 (1953) 1256,

    dN/du = chi_c^2 / (u + chi_a^2)^2,   u = 2 (1 - cos(theta)),

times the form factor of the nucleus. The hardest, about one a step, are drawn one by one; the many softer ones make a
Gaussian. So a path of any length, cut in any way, has Moliere's core and the tail of single scatters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats, Ints
from .radiation import FINE_STRUCTURE
from .stopping import LIQUID_ARGON, Medium

#: hbar c [MeV cm]; Bohr radius [cm]; rms charge radius of argon 40 [cm], Angeli and Marinova, At. Data Nucl. Data
#: Tables 99 (2013) 69.
HBAR_C, BOHR_RADIUS, NUCLEAR_RADIUS = 1.973269804e-11, 5.29177210903e-9, 3.4274e-13

#: Scatters drawn one by one in a step.
_HARD = 1.0
#: Largest u: backwards.
_BACKWARDS = 4.0


@dataclass(frozen=True)
class Scatter:
    """What scattering does in a step, across the direction before it: `(n, 2)` each.

    `angle`: projected angles [rad] on two perpendicular planes. `lateral`: displacement at the end of the step beyond
    half the angle times the step, in units of the step.
    """

    angle: Floats
    lateral: Floats


def characteristic_angles(
    momentum: Floats, beta: Floats, step: Floats, medium: Medium = LIQUID_ARGON
) -> tuple[Floats, Floats]:
    """Moliere's chi_c^2 and chi_a^2 [rad^2].

    `chi_c^2 = 4 pi n x Z (Z + 1) (alpha hbar c / (p beta))^2`: there is on average one scatter beyond chi_c.
    `chi_a^2 = (hbar / (p a))^2 (1.13 + 3.76 (alpha Z / beta)^2)`, a = 0.885 Z^-1/3 Bohr radii, is the screening angle.
    `momentum` [MeV], `beta`, `step` [cm]: arrays of one shape.
    """
    z = medium.z
    c2 = 4 * np.pi * medium.atoms * step * z * (z + 1) * (FINE_STRUCTURE * HBAR_C / (momentum * beta)) ** 2
    a2 = (HBAR_C / (momentum * 0.885 * BOHR_RADIUS * z ** (-1 / 3))) ** 2
    return np.asarray(c2), np.asarray(a2 * (1.13 + 3.76 * (FINE_STRUCTURE * z / beta) ** 2))


def mean_square_angle(momentum: Floats, beta: Floats, step: Floats) -> Floats:
    """Rough mean square angle in space [rad^2] of a step, `chi_c^2 (ln(1 + chi_c^2 / chi_a^2) + 1)`: limits steps."""
    c2, a2 = characteristic_angles(momentum, beta, step)
    return np.asarray(c2 * (np.log1p(c2 / a2) + 1))


def highland(momentum_beta: Floats, path: Floats, beta2: Floats | float, medium: Medium = LIQUID_ARGON) -> Floats:
    """Width [rad] of the projected angle of multiple scattering, the Gaussian of its central 98 %, for charge 1.

    `13.6 MeV / (beta c p) sqrt(x / X0) (1 + 0.038 ln(x / (X0 beta^2)))`, Review of Particle Physics (2024), Eq. 34.16
    (Lynch and Dahl, Nucl. Instrum. Meth. B58 (1991) 6): good to 11 % for 1e-3 < x/X0 < 100. `momentum_beta` beta c p
    [MeV], `path` x [cm] and `beta2` beta^2: arrays of one shape, above 0.
    """
    layers = path * medium.density / medium.radiation_length
    return np.asarray(13.6 / momentum_beta * np.sqrt(layers) * (1 + 0.038 * np.log(layers / beta2)))


def scatter(rng: np.random.Generator, momentum: Floats, beta: Floats, step: Floats) -> Scatter:
    """Draw the scattering in steps of particles of charge 1; `momentum` [MeV], `beta`, `step` [cm]: `(n,)`."""
    c2, a2 = characteristic_angles(momentum, beta, step)
    # Softer than this is Gaussian: u_s where chi_c^2 / (u + chi_a^2), the number beyond u, is _HARD.
    edge = np.minimum(np.maximum(c2 / _HARD - a2, 0.0), _BACKWARDS)
    variance = 0.5 * c2 * (np.log1p(edge / a2) - edge / (edge + a2))
    deviation = np.sqrt(np.maximum(variance, 0.0))[:, None]
    angle = deviation * rng.standard_normal((len(step), 2))
    lateral = deviation / np.sqrt(12) * rng.standard_normal((len(step), 2))
    owner, projected = _hard(rng, momentum, c2, a2, edge)
    where = 0.5 - rng.random(len(owner))
    for plane in range(2):
        angle[:, plane] += np.bincount(owner, projected[:, plane], minlength=len(step))
        lateral[:, plane] += np.bincount(owner, projected[:, plane] * where, minlength=len(step))
    return Scatter(angle, lateral)


def _hard(rng: np.random.Generator, momentum: Floats, c2: Floats, a2: Floats, edge: Floats) -> tuple[Ints, Floats]:
    """Owners `(m,)` and projected angles `(m, 2)` of the scatters beyond `edge`."""
    most, least = 1 / (edge + a2), 1 / (_BACKWARDS + a2)
    owner = np.repeat(np.arange(len(c2)), rng.poisson(c2 * (most - least)))
    u = 1 / (most[owner] - rng.random(len(owner)) * (most[owner] - least[owner])) - a2[owner]
    u = np.clip(u, 0.0, _BACKWARDS)
    # Of an exponential charge distribution, |F|^2 = (1 + q^2 <r^2> / 12)^-4 with q^2 = p^2 u.
    form = (1 + u * (momentum[owner] * NUCLEAR_RADIUS / HBAR_C) ** 2 / 12) ** -4
    kept = rng.random(len(owner)) < form
    owner, u = owner[kept], u[kept]
    theta, phi = np.arccos(1 - 0.5 * u), rng.uniform(0, 2 * np.pi, len(u))
    return owner, np.stack([theta * np.cos(phi), theta * np.sin(phi)], axis=1)


def across(direction: Floats) -> tuple[Floats, Floats]:
    """Two unit vectors `(n, 3)` perpendicular to `direction` `(n, 3)` and to each other.

    The branchless construction of Duff et al., J. Comput. Graph. Tech. 6 (2017) 1, which has no bad direction.
    """
    x, y, z = direction.T
    sign = np.where(z >= 0, 1.0, -1.0)
    a = -1 / (sign + z)
    b = x * y * a
    one = np.stack([1 + sign * x**2 * a, sign * b, -sign * x], axis=1)
    two = np.stack([b, sign + y**2 * a, -y], axis=1)
    return one, two


def turned(direction: Floats, angle: Floats) -> Floats:
    """`direction` `(n, 3)` turned by projected angles `(n, 2)` [rad], of length 1."""
    one, two = across(direction)
    theta = np.linalg.norm(angle, axis=1)
    # sin(theta) / theta, which is 1 where nothing turns.
    ratio = np.sinc(theta / np.pi)[:, None]
    new = np.cos(theta)[:, None] * direction + ratio * (angle[:, :1] * one + angle[:, 1:] * two)
    return np.asarray(new / np.linalg.norm(new, axis=1, keepdims=True))


def leaning(rng: np.random.Generator, direction: Floats, cosine: Floats) -> Floats:
    """Directions `(n, 3)` at the angle of `cosine` `(n,)` to `direction`, uniform around it."""
    phi = rng.uniform(0, 2 * np.pi, len(cosine))
    theta = np.arccos(np.clip(cosine, -1.0, 1.0))
    return turned(direction, np.stack([theta * np.cos(phi), theta * np.sin(phi)], axis=1))


def isotropic(rng: np.random.Generator, n: int) -> Floats:
    """`n` directions `(n, 3)`, isotropic."""
    cosine, phi = rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    sine = np.sqrt(1 - cosine**2)
    return np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine], axis=1)
