"""Laws of direction: at a point, and through the faces of a box.

A face is a number, `2 * axis + upper`: x_low, x_high, y_low, y_high, z_low, z_high. Up is +y. Directions are those of
motion, of length 1.
"""

from __future__ import annotations

import numpy as np

from ..config.generator import Law, Vector
from ..tables import Floats, Ints

UP = 1
TOP = 2 * UP + 1

#: Intensity of muons at the ground in the angle to the vertical, cos^n (Particle Data Group, Cosmic rays).
ZENITH_POWER = 2


def isotropic(rng: np.random.Generator, n: int) -> Floats:
    """`(n, 3)`, uniform in solid angle: the cosine to any axis is uniform."""
    return _about(rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n), np.full(n, 2))


def flat_theta(rng: np.random.Generator, n: int, pole: int) -> Floats:
    """`(n, 3)`, the angle to the axis `pole` uniform in (0, pi): crowded along it, `<cos^2> = 1/2`."""
    return _about(np.cos(rng.uniform(0, np.pi, n)), rng.uniform(0, 2 * np.pi, n), np.full(n, pole))


def cosmic(rng: np.random.Generator, n: int) -> Floats:
    """`(n, 3)`, from above with intensity cos^2 of the angle to the vertical, at a point.

    The density in the cosine c is 3 c^2, so c is the cube root of a uniform number.
    """
    cosine = rng.random(n) ** (1 / (ZENITH_POWER + 1))
    return _about(-cosine, rng.uniform(0, 2 * np.pi, n), np.full(n, UP))


def face_weights(law: Law | Vector, size: Floats) -> Floats:
    """Relative number of particles that enter a box of the edges `size` `(3,)` through each face, `(6,)`.

    In proportion to the area, times, for a flux, the mean of intensity times cosine to the normal over the in-going
    half: for `cosmic`, `integral cos^2(theta) |n . u| dOmega`, pi / 2 from above and pi / 8 from each side.
    """
    areas = np.repeat(np.prod(size) / size, 2)
    if law == "cosmic":
        share = np.full(6, np.pi / 8)
        share[2 * UP], share[TOP] = 0.0, np.pi / 2
    elif isinstance(law, str):
        share = np.ones(6)
    else:
        along = unit(law)
        # A lower face lets in what moves up its axis.
        share = np.maximum(np.stack([along, -along], axis=1).ravel(), 0.0)
    return np.asarray(areas * share)


def through(rng: np.random.Generator, law: Law | Vector, face: Ints) -> Floats:
    """Directions `(n, 3)` of a flux, isotropic or from above, that enters a box through `face` `(n,)`.

    Isotropic: density c in the cosine c to the inner normal, so c^2 is uniform. From above through the top: density
    c^3 in the cosine to the vertical; through a side: `c^2 sqrt(1 - c^2)`, and cos in the azimuth from the normal.
    """
    n, axis = len(face), face // 2
    inner = _inner(face)
    if law != "cosmic":
        return _about(inner * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n), axis)
    top = face == TOP
    cosine = np.where(top, rng.random(n) ** (1 / (ZENITH_POWER + 2)), np.sqrt(rng.beta(1.5, 1.5, n)))
    sine = np.sqrt(1 - cosine**2)
    across = rng.uniform(-1, 1, n)
    along = inner * np.sqrt(1 - across**2)
    turn = rng.uniform(0, 2 * np.pi, n)
    first, second = np.where(top, np.cos(turn), along), np.where(top, np.sin(turn), across)
    rows = np.arange(n)
    # On a side `first` is along the normal, x or z; on the top the two are alike.
    horizontal = np.where(axis == UP, 0, axis)
    direction = np.empty((n, 3))
    direction[:, UP] = -cosine
    direction[rows, horizontal] = sine * first
    direction[rows, 2 - horizontal] = sine * second
    return direction


def inward(direction: Floats, face: Ints) -> Floats:
    """`direction` `(n, 3)`, mirrored at `face` `(n,)` where it points out of the box."""
    rows, axis = np.arange(len(face)), face // 2
    inner = _inner(face)
    turned = direction.copy()
    turned[rows, axis] = inner * np.abs(direction[rows, axis])
    return turned


def unit(vector: Vector) -> Floats:
    """The vector at length 1, `(3,)`; also where its components are very small or large."""
    scaled = np.array(vector) / np.max(np.abs(vector))
    return np.asarray(scaled / np.linalg.norm(scaled))


def _inner(face: Ints) -> Floats:
    """`(n,)` sign of the direction into the box along the axis of each face."""
    return np.asarray(1.0 - 2.0 * (face % 2), dtype=np.float64)


def _about(cosine: Floats, azimuth: Floats, axis: Ints) -> Floats:
    """Directions `(n, 3)` with this cosine to `axis` (0, 1 or 2) and this azimuth about it, each `(n,)`."""
    rows = np.arange(len(cosine))
    sine = np.sqrt(1 - cosine**2)
    direction = np.empty((len(cosine), 3))
    direction[rows, axis] = cosine
    direction[rows, (axis + 1) % 3] = sine * np.cos(azimuth)
    direction[rows, (axis + 2) % 3] = sine * np.sin(azimuth)
    return direction
