"""Random numbers that belong to a track or a deposit, whatever else is in the sample and in which order.

A generator that goes on from draw to draw gives a track other numbers when a cut takes one more track before it. Here
the numbers are a function of seed, purpose and identity: Philox 4x64 with ten rounds, Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", SC11 (2011), evaluated for all identities at once.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from ..tables import Floats, Ints

Words = npt.NDArray[np.uint64]

_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_LOW, _HALF, _64_BITS = np.uint64(0xFFFFFFFF), np.uint64(32), (1 << 64) - 1


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """`(n, 4)` random words of the counters `(n, 4)`, for a key of two words."""
    a, b, c, d = counter.T
    first, second = key
    for _ in range(_ROUNDS):
        high_a, low_a = _product(a, _MULTIPLIERS[0])
        high_c, low_c = _product(c, _MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ np.uint64(first), low_c, high_a ^ d ^ np.uint64(second), low_a
        first, second = (first + _WEYL[0]) & _64_BITS, (second + _WEYL[1]) & _64_BITS
    return np.stack([a, b, c, d], axis=1)


def uniforms(seed: int, purpose: str, *identity: Ints) -> Floats:
    """`(n, 4)` numbers uniform between 0 and 1, both excluded, for each of n identities.

    `identity`: one to four columns `(n,)`, such as event and trajectory. Different seeds, purposes and identities give
    independent numbers.
    """
    counter = np.zeros((len(identity[0]), 4), dtype=np.uint64)
    for column, values in enumerate(identity):
        counter[:, column] = np.asarray(values, dtype=np.int64).view(np.uint64)
    name = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    words = philox(counter, (seed & _64_BITS, name))
    return np.asarray(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def normals(seed: int, purpose: str, *identity: Ints) -> Floats:
    """`(n, 4)` numbers of a normal distribution of mean 0 and width 1; arguments as for `uniforms`."""
    u = uniforms(seed, purpose, *identity)
    # Box and Muller, Ann. Math. Statist. 29 (1958) 610: two uniform numbers make two normal ones.
    radius, angle = np.sqrt(-2 * np.log(u[:, :2])), 2 * np.pi * u[:, 2:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _product(values: Words, factor: int) -> tuple[Words, Words]:
    """High and low word of the 128-bit products, put together from products of halves."""
    f = np.uint64(factor)
    low, high = values & _LOW, values >> _HALF
    f_low, f_high = f & _LOW, f >> _HALF
    middle = high * f_low + ((low * f_low) >> _HALF)
    other = low * f_high + (middle & _LOW)
    return high * f_high + (middle >> _HALF) + (other >> _HALF), values * f
