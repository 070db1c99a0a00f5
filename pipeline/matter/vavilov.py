"""Density of the energy lost by ionisation in a layer: Vavilov's distribution for every thickness.

Vavilov, Sov. Phys. JETP 5 (1957) 749: collisions with the spectrum `xi (1 - b W / Wmax) / W^2` up to `Wmax` about a
given mean. In units of xi, `v = (loss - mean) / xi`, the density has two parameters, `kappa = xi / Wmax` and `b`:
Landau's for small kappa, a Gaussian for large. `pipeline.matter.straggling` draws from the same distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_banded
from scipy.special import exp1

from ..tables import Floats

Complexes = NDArray[np.complex128]

#: Tabulated kappa; the density in the table's coordinates changes no more outside. Nodes per factor of 10.
_KAPPA, _PER_DECADE = (1e-5, 1e3), 20
#: Tabulated coordinate `asinh((v - centre) / width)`, 0.01 left of a Landau peak and Gaussian alike, and its step.
_LOWEST, _HIGHEST, _STEP = -3.2, 8.8, 0.04
#: Logarithms of the density are followed so far below the peak, and are straight lines in the coordinate beyond.
_DEPTH = 25.0
#: Coefficients of the dependence on b: a polynomial.
_POWERS = 5
#: Rows worked on at once, so that what is looked up for them stays in the cache.
_ROWS = 4096


def log_characteristic(q: Complexes) -> tuple[Complexes, Complexes]:
    """Logarithm of the mean of `exp(q (loss - mean) / Wmax)`: `kappa (first - b second)`; Re q < 0, any shape.

    The integral over w from 0 to 1 of `(1 - b w) (exp(q w) - 1 - q w) / w^2`, by parts.
    """
    # Integral of (exp(q w) - 1) / w, an entire function.
    entire = -(_exponential_integral(-q) + np.log(-q) + np.euler_gamma)
    return q - np.expm1(q) + q * entire, entire - q


def _exponential_integral(z: Complexes) -> Complexes:
    """E1, where it is large by its asymptotic series, which is much quicker."""
    far = np.abs(z) > 50
    found = np.empty_like(z)
    found[~far] = exp1(z[~far])
    inverse = 1 / z[far]
    series = np.ones_like(inverse)
    for k in range(16, 0, -1):
        series = 1 - k * inverse * series
    found[far] = np.exp(-z[far]) * inverse * series
    return found


def densities(kappa: float, b: Floats) -> list[tuple[Floats, Floats]]:
    """Points v and the density there `(n,)`, for each of `b` `(k,)`, by Fourier transform.

    A factor `exp(-a v)` taken out before the transform keeps what lies beyond its period from coming back at its start.
    Errors are a part in 1e7 of the density, or of its peak 1e-15 below and 1e-11 far above it.
    """
    wide = _width(np.log(kappa), 0.0)[0]
    deviation = kappa**-0.5
    # Beyond exp(-pi f / 2) of Landau and exp(-(deviation f)^2 / 2) of Gauss nothing is left in frequency.
    highest = max(24.0, 12.0 / deviation)
    period = max(60 * wide, min(70 * deviation, 8000.0))
    damping = 16.0 / period
    n = 1 << int(np.ceil(np.log2(1.05 * highest * period / np.pi)))
    frequency = 2 * np.pi / period * np.arange(int(highest * period / (2 * np.pi)) + 1)
    s = -damping + 1j * frequency
    first, second = log_characteristic(s / kappa)
    from_start = period / n * np.arange(3 * n // 4)
    found = []
    for at in b:
        start = _centre(np.log(kappa), at)[0] - 10 * wide
        wave = np.zeros(n // 2 + 1, dtype=np.complex128)
        wave[: len(s)] = np.exp(kappa * (first - at * second) - s * start).conj()
        g = np.fft.irfft(wave)[: len(from_start)] * (n / period) * np.exp(damping * from_start)
        found.append((start + from_start, g))
    return found


def _centre(log_kappa: Floats | float, b: Floats | float) -> tuple[Floats, Floats, Floats]:
    """About where the peak is, as v, and its derivatives to log kappa and b.

    Landau's is at `0.20 + b + ln kappa`; towards large kappa it goes to the mean, 0, as 1 / kappa.
    """
    exponent = -(0.2 + b + log_kappa)
    share = 1 / (1 + np.exp(-exponent))
    return np.asarray(-np.log1p(np.exp(exponent))), share, share


def _width(log_kappa: Floats | float, b: Floats | float) -> tuple[Floats, Floats, Floats]:
    """About the width of the peak, in units of xi, and the derivatives of its logarithm to log kappa and b."""
    gauss = np.exp(log_kappa) / (1 - 0.5 * b)
    both = gauss + 0.5
    return np.asarray(1 / np.sqrt(both)), -0.5 * gauss / both, -0.25 * gauss / (1 - 0.5 * b) / both


@dataclass(frozen=True)
class Shape:
    """What the density of a layer depends on besides v, `(n,)` each, and its place in the table.

    `centre`, `width` as `_centre`, `_width` with their derivatives; `row`: first node in log kappa; `fraction` of the
    way to the next; `weights` `(n, 20)` of nodes in log kappa times powers of b; `inside` the table's range of kappa.
    """

    centre: tuple[Floats, Floats, Floats]
    width: tuple[Floats, Floats, Floats]
    row: NDArray[np.int64]
    fraction: Floats
    weights: Floats
    b: Floats
    inside: NDArray[np.bool_]

    @staticmethod
    def of(log_kappa: Floats, b: Floats) -> Shape:
        """The shape of layers with these parameters `(n,)`."""
        first, nodes = np.log(_KAPPA[0]), _nodes()
        place = (log_kappa - first) * (_PER_DECADE / np.log(10))
        held = np.clip(place, 0.0, nodes - 1.0)
        row = np.minimum(held.astype(np.int64), nodes - 2)
        weights = np.concatenate(
            [
                _outer(_weights((held - row)[i : i + _ROWS]), _powers(b[i : i + _ROWS]))
                for i in range(0, max(len(b), 1), _ROWS)
            ]
        )
        inside = held == place
        return Shape(_centre(log_kappa, b), _width(log_kappa, b), row, held - row, weights, b, inside)


@dataclass(frozen=True)
class LogDensity:
    """Logarithm of the density in v and its derivatives, `(n,)`: to v (twice), log kappa and b (at fixed v)."""

    value: Floats
    by_v: Floats
    by_v2: Floats
    by_log_kappa: Floats | None = None
    by_b: Floats | None = None


def log_density(v: Floats, shape: Shape, *, by_shape: bool = False) -> LogDensity:
    """Logarithm of the density at `v` `(n,)`, finite everywhere and with two continuous derivatives.

    Between tabulated values by cubic splines in `asinh((v - centre) / width)` and log kappa, and a polynomial in b; a
    straight line beyond the table and below the peak by 25. `by_shape`: derivatives to log kappa and b too.
    """
    parts = [_looked_up(v[i : i + _ROWS], shape, slice(i, i + _ROWS), by_shape) for i in range(0, len(v), _ROWS)]
    joined = np.concatenate(parts, axis=1) if parts else np.zeros((5, 0))
    y, (width, width_by_kappa, width_by_b) = v - shape.centre[0], shape.width
    # z = asinh(y / width)
    slope = 1 / np.sqrt(width**2 + y**2)
    by_z, by_z2 = joined[1:3]
    value = joined[0] - np.log(width)
    by_v = by_z * slope
    by_v2 = (by_z2 - by_z * y * slope) * slope**2
    if not by_shape:
        return LogDensity(value, by_v, by_v2)
    by_kappa = joined[3] * shape.inside - width_by_kappa - by_v * (shape.centre[1] + y * width_by_kappa)
    by_b = joined[4] - width_by_b - by_v * (shape.centre[2] + y * width_by_b)
    return LogDensity(value, by_v, by_v2, by_kappa, by_b)


def _looked_up(v: Floats, shape: Shape, rows: slice, by_shape: bool) -> Floats:
    """`(3 or 5, n)`: value, two derivatives to z, and with `by_shape` those to log kappa and b at fixed z."""
    table = _table()
    z = np.arcsinh((v - shape.centre[0][rows]) / shape.width[0][rows])
    place = (z - _LOWEST) / _STEP
    last = table.shape[0] - 3
    held = np.clip(place, 0.0, last)
    cell = np.minimum(held.astype(np.int64), last - 1)
    weights = [shape.weights[rows]]
    if by_shape:
        fraction, powers = shape.fraction[rows], _powers(shape.b[rows])
        in_b = np.concatenate([np.zeros_like(powers[:1]), powers[:-1] * np.arange(1, _POWERS)[:, None]])
        weights += [_outer(_slopes(fraction) * (_PER_DECADE / np.log(10)), powers), _outer(_weights(fraction), in_b)]
    # Sums over nodes in kappa and powers of b, for the four nodes in z: (4, weights, n).
    blocks = (table[cell + k, shape.row[rows]] for k in range(4))
    along = np.stack([np.stack([np.einsum("nk,nk->n", block, w) for w in weights]) for block in blocks])
    f = held - cell
    in_z = _weights(f)
    value, by_z, by_z2 = (np.einsum("kn,kn->n", w, along[:, 0]) for w in (in_z, _slopes(f), _curvatures(f)))
    # Straight lines beyond the ends, where the splines have no curvature.
    found = [value + by_z * (place - held), by_z / _STEP, by_z2 / _STEP**2]
    found += [np.einsum("kn,kn->n", in_z, along[:, i]) for i in range(1, len(weights))]
    return np.stack(found)


def _outer(in_kappa: Floats, powers: Floats) -> Floats:
    """`(n, 20)` products of weights of four nodes and powers of b."""
    found = np.empty((in_kappa.shape[1], 4, _POWERS))
    for k in range(4):
        for p in range(_POWERS):
            np.multiply(in_kappa[k], powers[p], out=found[:, k, p])
    return found.reshape(len(found), 4 * _POWERS)


def _weights(f: Floats) -> Floats:
    """Weights `(4, n)` of uniform cubic B-splines at the fraction `f` of a cell."""
    g, f2 = 1 - f, f * f
    g2 = g * g
    return np.stack([g2 * g, 4 + f2 * (3 * f - 6), 4 + g2 * (3 * g - 6), f2 * f]) / 6


def _slopes(f: Floats) -> Floats:
    """Derivatives of `_weights`."""
    g = 1 - f
    return np.stack([-g * g, f * (3 * f - 4), g * (4 - 3 * g), f * f]) / 2


def _curvatures(f: Floats) -> Floats:
    """Second derivatives of `_weights`."""
    return np.stack([1 - f, 3 * f - 2, 1 - 3 * f, f])


def _powers(b: Floats) -> Floats:
    """`(powers, n)` of b, from 0 on."""
    found = np.ones((_POWERS, len(b)))
    for k in range(1, _POWERS):
        np.multiply(found[k - 1], b, out=found[k])
    return found


def _nodes() -> int:
    return round(math.log10(_KAPPA[1] / _KAPPA[0]) * _PER_DECADE) + 1


@cache
def _table() -> Floats:
    """Coefficients `(z + 2, kappa - 1, 20)` of splines: each entry those of four nodes in kappa, times powers of b.

    Entries overlap in memory: it is small enough for the cache.
    """
    z = np.arange(_LOWEST, _HIGHEST + 0.5 * _STEP, _STEP)
    # Chebyshev's points, at which polynomials of low degree are good everywhere between.
    b = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_POWERS) + 0.5) / _POWERS)
    kappas = _KAPPA[0] * 10 ** (np.arange(_nodes()) / _PER_DECADE)
    values = np.array([_tabulated(z, kappa, b) for kappa in kappas])
    polynomial = np.einsum("pb,kbz->zkp", np.linalg.inv(np.vander(b, increasing=True)), values)
    splines = _spline(_spline(polynomial).swapaxes(0, 1)).swapaxes(0, 1)
    flat = np.ascontiguousarray(splines).reshape(len(splines), -1)
    windows = np.lib.stride_tricks.sliding_window_view(flat, 4 * _POWERS, axis=1)
    return windows[:, ::_POWERS]


def _tabulated(z: Floats, kappa: float, b: Floats) -> Floats:
    """`(b, z)` logarithm of density times width at coordinates z, with straight lines beyond what is computed."""
    found = []
    for at, (v, g) in zip(b, densities(kappa, b), strict=True):
        peak = int(np.argmax(g))
        low = g < g[peak] * np.exp(-_DEPTH)
        first = int(np.flatnonzero(low[:peak])[-1]) + 1
        last = int(np.flatnonzero(np.r_[low[peak:], True])[0]) + peak
        centre, width = _centre(np.log(kappa), at)[0], _width(np.log(kappa), at)[0]
        coordinate = np.arcsinh((v[first:last] - centre) / width)
        # Far above the peak the points are closer than anything changes.
        some = np.unique(np.searchsorted(coordinate, np.arange(coordinate[0], coordinate[-1], 0.25 * _STEP)))
        curve = CubicSpline(coordinate[some], np.log(width * g[first:last][some]), bc_type="natural")
        inside = np.clip(z, curve.x[0], curve.x[-1])
        found.append(curve(inside) + curve(inside, 1) * (z - inside))
    return np.array(found)


def _spline(values: Floats) -> Floats:
    """Coefficients `(m + 2, ...)` of the uniform cubic B-spline through `values` `(m, ...)`, without end curvature."""
    m = len(values)
    inner = values[1:-1].copy()
    inner[0] -= values[0] / 6
    inner[-1] -= values[-1] / 6
    bands = np.repeat([[1 / 6], [4 / 6], [1 / 6]], m - 2, axis=1)
    middle = solve_banded((1, 1), bands, inner.reshape(m - 2, -1)).reshape(inner.shape)
    whole = np.concatenate([values[:1], middle, values[-1:]])
    return np.concatenate([2 * whole[:1] - whole[1:2], whole, 2 * whole[-1:] - whole[-2:-1]])
