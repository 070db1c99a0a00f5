"""What is believed of tracks beforehand: their energy losses, their scattering, and where they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ...tables import Floats
from .tracks import Chains

#: Logarithm of the density of u `(n,)` of segments of a length [cm] `(n,)`, and its first two derivatives to u.
LogDensity = Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]


@dataclass(frozen=True)
class Believed:
    """Minus log-density of a state: `cost`, `gradient` `(N,)` and `curvature` `(N, N)`."""

    cost: float
    gradient: Floats
    curvature: sparse.csr_array


@dataclass(frozen=True)
class Beliefs:
    """Densities of the state of tracks.

    `energy`: one log-density per hypothesis of the particle, `weights` `(tracks, hypotheses)` its probability
    beforehand. `kink` `(v,)` [rad]: width of the change of direction at each vertex, on one plane; `ends` [cm] that of
    the shift of either end along the track, about where it was found; `offsets` [cm]: of vertices across the track, so
    wide that it only holds what no hit does.
    """

    energy: tuple[LogDensity, ...]
    weights: Floats
    kink: Floats
    ends: float = 0.5
    offsets: float = 1.0

    def of(self, now: Chains, found: Chains) -> Believed:
        """The densities at the state `now` of tracks that were `found` elsewhere."""
        cost, gradient, curvature = self._energies(now)
        entries = [curvature]
        if now.loose:
            for residuals, jacobian in (self._kinks(now), self._places(now, found)):
                cost += 0.5 * float(residuals @ residuals)
                gradient += jacobian.T @ residuals
                entries.append(jacobian.T @ jacobian)
        return Believed(cost, gradient, sparse.csr_array(sum(entries[1:], entries[0])))

    def responsibilities(self, now: Chains) -> Floats:
        """`(tracks, hypotheses)` probability of each hypothesis given the energy losses as they stand."""
        return self._mixture(now)[0]

    def _mixture(self, now: Chains) -> tuple[Floats, list[tuple[Floats, Floats, Floats]], float]:
        u, length = now.log_dedx, now.segments.length
        found = [density(u, length) for density in self.energy]
        weights = self.weights if now.loose else np.ones((now.tracks, 1))
        with np.errstate(divide="ignore"):
            log = np.log(weights) + np.stack([np.bincount(now.track, f[0], now.tracks) for f in found], axis=1)
        most = log.max(axis=1, keepdims=True)
        total = most + np.log(np.exp(log - most).sum(axis=1, keepdims=True))
        return np.exp(log - total), found, float(total.sum())

    def _energies(self, now: Chains) -> tuple[float, Floats, sparse.csr_array]:
        share, found, log = self._mixture(now)
        share = share[now.track]
        slope = sum(share[:, h] * f[1] for h, f in enumerate(found))
        curvature = sum(share[:, h] * f[2] for h, f in enumerate(found))
        gradient, diagonal = np.zeros(now.size), np.zeros(now.size)
        gradient[now.energy_columns], diagonal[now.energy_columns] = -slope, -curvature
        return -log, gradient, sparse.csr_array(sparse.diags_array(diagonal))

    def _kinks(self, now: Chains) -> tuple[Floats, sparse.csr_array]:
        """Changes of direction in units of their widths `(2 k,)`, and their derivatives."""
        vertex = np.flatnonzero(~now.at_end)
        before, after = vertex - 1, vertex + 1
        points = now.vertices
        into, out = points[vertex] - points[before], points[after] - points[vertex]
        length_in, length_out = (np.linalg.norm(v, axis=1) for v in (into, out))
        turn = out / length_out[:, None] - into / length_in[:, None]
        width = self.kink[vertex]
        column, of, axis = now.vertex_columns()
        start = np.searchsorted(of, np.arange(len(points) + 1))
        residuals, rows, columns, values = [], [], [], []
        for k in range(2):
            across = now.axes[vertex, k]
            residuals.append((turn * across).sum(axis=1) / width)
            for moved, weight in (
                (before, 1 / length_in), (vertex, -1 / length_in - 1 / length_out), (after, 1 / length_out)
            ):  # fmt: skip
                for j in range(3):
                    index = start[moved] + j
                    there = index < start[moved + 1]
                    i = index[there]
                    rows.append(k * len(vertex) + np.flatnonzero(there))
                    columns.append(column[i])
                    values.append((axis[i] * across[there]).sum(axis=1) * (weight / width)[there])
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return np.concatenate(residuals), sparse.csr_array(
            sparse.coo_array(entries, shape=(2 * len(vertex), now.size))
        )

    def _places(self, now: Chains, found: Chains) -> tuple[Floats, sparse.csr_array]:
        column, vertex, axis = now.vertex_columns()
        shift = ((now.vertices - found.vertices)[vertex] * axis).sum(axis=1)
        first = np.searchsorted(vertex, vertex)
        width = np.where(np.arange(len(vertex)) - first == 2, self.ends, self.offsets)
        rows = np.arange(len(vertex))
        matrix = sparse.coo_array((1 / width, (rows, column)), shape=(len(vertex), now.size))
        return shift / width, sparse.csr_array(matrix)


def gaussian(mean: float, width: float) -> LogDensity:
    """A Gaussian density of u, whatever the length."""

    def density(u: Floats, length: Floats) -> tuple[Floats, Floats, Floats]:
        z = (u - mean) / width
        return -0.5 * z**2 - np.log(width * np.sqrt(2 * np.pi)), -z / width, np.full_like(u, -1 / width**2)

    return density
