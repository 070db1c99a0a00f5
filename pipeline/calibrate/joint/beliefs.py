"""What is believed of tracks beforehand: their energy losses, their scattering, and where they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from ...matter.energy_prior import EnergyPrior
from ...tables import Bools, Floats
from .tracks import Chains

#: Relative steps of differences to length and residual range.
_LENGTH_STEP = 1e-3
#: Degrees of freedom of Student's distribution of kinks, and its width in units of Highland's: cores and tails of
#: 36,000 kinks of muons of 1 GeV at distances of 0.15 to 1 cm, followed with single scatters (docs/transport.md).
_FREEDOM, _CORE = 5.0, 0.85
#: Least information on u that a belief is taken to hold.
_LEAST = 1.0


@dataclass(frozen=True)
class EnergyDensity:
    """Logarithm of the density of u of segments `(n,)`, and its derivatives to u: `value`, `first`, `second`.

    Of particles that stop also the derivative to the residual range [1/cm] at fixed u (`by_range`), and by how much the
    most probable u follows it (`follow`) and the length of a segment that grows (`follow_length`); None where the end
    of the track means nothing. `by_length` [1/cm]: derivative to the length of a segment at fixed u; None: 0.
    """

    value: Floats
    first: Floats
    second: Floats
    by_range: Floats | None = None
    follow: Floats | None = None
    follow_length: Floats | None = None
    by_length: Floats | None = None


#: What a hypothesis on the particles says of the segments of tracks.
EnergyBelief = Callable[[Chains], EnergyDensity]


@dataclass(frozen=True)
class Believed:
    """Minus log-density of a state: `of_tracks` `(tracks,)`, `gradient` `(N,)` and `curvature` `(N, N)`."""

    of_tracks: Floats
    gradient: Floats
    curvature: sparse.csr_array


@dataclass(frozen=True)
class Beliefs:
    """Densities of the state of tracks.

    `energy`: one density per hypothesis of the particle, `weights` `(tracks, hypotheses)` its probability
    beforehand. `kink` `(v,)` [rad]: width of the change of direction at each vertex, on one plane; `ends` [cm] that of
    the shift of either end along the track, about where it was found; `offsets` [cm]: of vertices along either axis of
    their moves, so wide that it only holds what no hit does.
    """

    energy: tuple[EnergyBelief, ...]
    weights: Floats
    kink: Floats
    ends: float = 0.5
    offsets: float = 1.0

    def of(self, now: Chains, found: Chains) -> Believed:
        """The densities at the state `now` of tracks that were `found` elsewhere."""
        cost, gradient, curvature = self._energies(now)
        entries = [curvature]
        if now.loose:
            residuals, jacobian = self._kinks(now)
            # Single scatters on nuclei give angles far larger than usual: Student's distribution in both planes.
            square = np.tile((residuals.reshape(2, -1) ** 2).sum(axis=0), 2)
            weight = (_FREEDOM + 2) / (_FREEDOM + square / _CORE**2) / _CORE**2
            of_kinks = 0.25 * (_FREEDOM + 2) * np.log1p(square / (_FREEDOM * _CORE**2))
            cost += np.bincount(np.tile(now.track_of_vertices[~now.at_end], 2), of_kinks, now.tracks)
            gradient += jacobian.T @ (weight * residuals)
            entries.append(jacobian.T @ sparse.diags_array(weight) @ jacobian)
            residuals, jacobian = self._places(now, found)
            cost += np.bincount(now.track_of_vertices[now.vertex_columns()[1]], 0.5 * residuals**2, now.tracks)
            gradient += jacobian.T @ residuals
            entries.append(jacobian.T @ jacobian)
        return Believed(cost, gradient, sparse.csr_array(sum(entries[1:], entries[0])))

    def responsibilities(self, now: Chains) -> Floats:
        """`(tracks, hypotheses)` probability of each hypothesis given the energy losses as they stand."""
        return self._mixture(now)[0]

    def _mixture(self, now: Chains) -> tuple[Floats, list[EnergyDensity], Floats]:
        found = [density(now) for density in self.energy]
        with np.errstate(divide="ignore"):
            log = np.log(self.weights)
        log = log + np.stack([np.bincount(now.track, f.value, now.tracks) for f in found], axis=1)
        most = log.max(axis=1, keepdims=True)
        total = most + np.log(np.exp(log - most).sum(axis=1, keepdims=True))
        return np.exp(log - total), found, total[:, 0]

    def _energies(self, now: Chains) -> tuple[Floats, Floats, sparse.csr_array]:
        """The mixture of the hypotheses; its curvature is their mean, as after the hits hardly a track is undecided."""
        share, found, log = self._mixture(now)
        gradient = np.zeros(now.size)
        curvature = sparse.csr_array((now.size, now.size))
        for of_track, f in zip(share.T, found, strict=True):
            weight = of_track[now.track]
            # In the tail of large losses the density is convex; only hits tell there.
            information = np.maximum(-f.second, _LEAST)
            np.subtract.at(gradient, now.energy_columns, weight * f.first)
            if now.loose and f.by_length is not None:
                gradient -= now.growth.T @ (weight * f.by_length * now.segments.length)
            if f.by_range is None or f.follow is None or f.follow_length is None or not (now.loose and now.sliding):
                diagonal = np.zeros(now.size)
                diagonal[now.energy_columns] = weight * information
                curvature = curvature + sparse.diags_array(diagonal)
                continue
            # The end of the track, moved along it, changes the residual range of all its segments.
            end = now.end_columns[now.track]
            inner = np.ones(len(now.track), dtype=bool)
            inner[now.last] = False  # its own range is in `by_length`
            np.subtract.at(gradient, end, weight * f.by_range * inner)
            n, first = len(now.track), now.first
            # The last segment does not move away from the end, it grows with it; so does the first with the start.
            follow = np.where(inner, f.follow, f.follow_length)
            entries = (
                np.concatenate([np.ones(n), -follow, f.follow_length[first]]),
                (
                    np.concatenate([np.arange(n), np.arange(n), first]),
                    np.concatenate([now.energy_columns, end, now.start_columns]),
                ),
            )
            jacobian = sparse.csr_array(sparse.coo_array(entries, shape=(n, now.size)))
            curvature = curvature + jacobian.T @ sparse.diags_array(weight * information) @ jacobian
        return -log, gradient, sparse.csr_array(curvature)

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
        sides = [(into / length_in[:, None], length_in), (out / length_out[:, None], length_out)]
        for k, across in enumerate(np.moveaxis(now.across[vertex], 1, 0)):
            residuals.append((turn * across).sum(axis=1) / width)
            # A direction v / |v| changes by what is across it alone.
            slopes = [
                (across - (across * d).sum(axis=1)[:, None] * d) / (length * width)[:, None] for d, length in sides
            ]
            for moved, slope in ((before, slopes[0]), (vertex, -slopes[0] - slopes[1]), (after, slopes[1])):
                for j in range(3):
                    index = start[moved] + j
                    there = index < start[moved + 1]
                    i = index[there]
                    rows.append(k * len(vertex) + np.flatnonzero(there))
                    columns.append(column[i])
                    values.append((axis[i] * slope[there]).sum(axis=1))
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return np.concatenate(residuals), sparse.csr_array(sparse.coo_array(entries, shape=(2 * len(vertex), now.size)))

    def _places(self, now: Chains, found: Chains) -> tuple[Floats, sparse.csr_array]:
        column, vertex, axis = now.vertex_columns()
        shift = ((now.vertices - found.vertices)[vertex] * axis).sum(axis=1)
        first = np.searchsorted(vertex, vertex)
        width = np.where(np.arange(len(vertex)) - first == 2, self.ends, self.offsets)
        rows = np.arange(len(vertex))
        matrix = sparse.coo_array((1 / width, (rows, column)), shape=(len(vertex), now.size))
        return shift / width, sparse.csr_array(matrix)


# Beliefs are classes and no closures, since parts of a fit go to other processes with them.


@dataclass(frozen=True)
class Shifted:
    """A `belief` in u that is larger by `change`."""

    belief: EnergyBelief
    change: float

    def __call__(self, now: Chains) -> EnergyDensity:
        segments = now.segments
        dedx = segments.dEdx * np.exp(-self.change)
        return self.belief(replace(now, segments=segments.replace(dEdx=dedx, dE=dedx * segments.dx)))


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian density of u, whatever the particle; `mean` that of all segments, or `(n,)` of each."""

    mean: float | Floats
    width: float

    def __call__(self, now: Chains) -> EnergyDensity:
        z = (now.log_dedx - self.mean) / self.width
        value = -0.5 * z**2 - np.log(self.width * np.sqrt(2 * np.pi))
        return EnergyDensity(value, -z / self.width, np.full(len(z), -1 / self.width**2))


@dataclass(frozen=True)
class Straggling:
    """Energy losses of particles of a `kinetic` energy [MeV], one per track, in their middle.

    Which way they went is not known, and over the length of a detector a fast particle loses little of its energy.
    """

    prior: EnergyPrior
    kinetic: Floats

    def __call__(self, now: Chains) -> EnergyDensity:
        layers, u = self.prior.layers(now.segments.length, self.kinetic[now.track]), now.log_dedx
        return EnergyDensity(*layers.log_density(u), by_length=layers.by_length(u) if now.loose else None)


@dataclass(frozen=True)
class Stopping:
    """Energy losses of particles that stop where their track ends."""

    prior: EnergyPrior

    def __call__(self, now: Chains) -> EnergyDensity:
        length, residual, u = now.segments.length, now.residual_range, now.log_dedx
        layers = self.prior.layers_at(length, residual)
        value, first, second = layers.log_density(u)
        step = _LENGTH_STEP * length
        # The centre of a segment that grows moves by half as much.
        grown = [self.prior.layers_at(length + s, residual + 0.5 * s) for s in (step, -step)]
        longer, shorter = (at.log_density(u)[0] for at in grown)
        away = _LENGTH_STEP * residual
        modes = [self.prior.layers_at(length, residual + s).mode_and_width()[0] for s in (away, -away)]
        modes_grown = [at.mode_and_width()[0] for at in grown]
        return EnergyDensity(
            value,
            first,
            second,
            by_range=layers.by_range(u),
            follow=(modes[0] - modes[1]) / (2 * away),
            follow_length=(modes_grown[0] - modes_grown[1]) / (2 * step),
            by_length=(longer - shorter) / (2 * step),
        )


@dataclass(frozen=True)
class Except:
    """The `usual` belief, but for segments `(n,)` of `which` there is one of their `own`."""

    usual: EnergyBelief
    which: Bools
    own: EnergyBelief

    def __call__(self, now: Chains) -> EnergyDensity:
        a, b = self.usual(now), self.own(now)
        found = replace(
            a, **{n: np.where(self.which, getattr(b, n), getattr(a, n)) for n in ("value", "first", "second")}
        )
        # What else the usual density depends on is nothing to the others.
        more = {n: getattr(a, n) for n in ("by_range", "follow", "follow_length", "by_length")}
        return replace(found, **{n: np.where(self.which, 0.0, v) for n, v in more.items() if v is not None})
