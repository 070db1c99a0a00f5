"""How well the dE/dx along a track suits each species: likelihood of dE/dx against residual range.

A particle that stops at an end of its track has, at every distance from there, the kinetic energy that its range table
says, and loses what the theory of straggling says. One that leaves or interacts had a further range left, which is not
known: it is summed over. Nobody knows which end is the last either, so both are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ..detector.geometry import DetectorGeometry
from ..matter.energy_prior import EnergyPrior
from ..tables import SPECIES, Bools, Floats, Ints, Reconstruction

#: Further range [cm] that a particle may have left at the end of its track; 0: it stopped there.
FURTHER = np.concatenate([[0.0], np.geomspace(0.25, 1000.0, 20)])

#: Probability that a particle whose track ends inside the detector has stopped: the others interact, or their track was
#: broken. They need not be exact: the number of segments soon outweighs them.
_STOPS = {"muon": 0.95, "pion": 0.6, "proton": 0.8, "kaon": 0.7}

#: Distance [cm] from a face within which a track is taken to leave.
_FACE = 1.5

#: Segments that are compared with all hypotheses at once: enough for arrays to be worth it, little memory.
_AT_ONCE = 2048

#: Share of segments that are not described, such as those under another track, and the span of ln dE/dx they may have.
_OUTLIERS, _SPAN = 0.02, 5.0

#: Places, in standard deviations, and weights that average cubics over a Gaussian exactly.
_HERMITE = ((-np.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (np.sqrt(3.0), 1 / 6))

#: ln of dE/dx [MeV/cm] of electrons, its width, and the share and width of segments with parts of showers beside them.
_ELECTRON = (np.log(2.0), 0.16, 0.35, 0.45)


@dataclass(frozen=True)
class Evidence:
    """Per track and species (columns in the order of `SPECIES`) `(n, 5)`: `log_likelihood` over all hypotheses of
    direction and further range; of these also `stopping` `(n, 5)`, the posterior probability that the track ends by a
    stop, and `forward` `(n, 5)`, that it runs from its start to its end; `segments` `(n,)` how many were used.
    """

    log_likelihood: Floats
    stopping: Floats
    forward: Floats
    segments: Ints


def evidence(reconstruction: Reconstruction, geometry: DetectorGeometry, charge_resolution: float) -> Evidence:
    """Log-likelihoods of all tracks.

    `charge_resolution`: relative error of dE/dx over 1 cm that is not straggling; it falls as the root of the length.
    Segments without dE/dx do not count.
    """
    tracks = _Measured.of(reconstruction, geometry, charge_resolution)
    columns = {"log_likelihood": [], "stopping": [], "forward": []}  # type: dict[str, list[Floats]]
    for name in SPECIES:
        if name == "electron":
            total = _summed(electron_log_density(tracks.log_dedx), tracks.owner, tracks.number)
            found = total, np.zeros(tracks.number), np.full(tracks.number, 0.5)
        else:
            total, share = _over_hypotheses(tracks, name)
            found = total, share[:, 0].sum(axis=0), share[0].sum(axis=0)
        for column, values in zip(columns.values(), found, strict=True):
            column.append(values)
    stacked = {key: np.stack(values, axis=1) for key, values in columns.items()}
    return Evidence(**stacked, segments=np.bincount(tracks.owner, minlength=tracks.number).astype(np.int64))


def ends_of_range(
    reconstruction: Reconstruction, geometry: DetectorGeometry, charge_resolution: float, species: str, within: float
) -> Floats:
    """`(2, n)` posterior probability that a track of a particle of `species` has less than `within` [cm] of its range
    left at the end of the track, and at its start; arguments as for `evidence`."""
    share = _over_hypotheses(_Measured.of(reconstruction, geometry, charge_resolution), species)[1]
    return np.asarray(share[:, within > FURTHER].sum(axis=1))


@dataclass(frozen=True)
class _Measured:
    """The segments of `number` tracks that hold dE/dx: `owner`, `length`, `log_dedx`, `resolution` `(k,)`; `distance`
    `(2, k)` to the end of the track and to its start; `inside` `(2, n)`: whether these lie inside."""

    number: int
    owner: Ints
    length: Floats
    log_dedx: Floats
    resolution: Floats
    distance: Floats
    inside: Bools

    @staticmethod
    def of(reconstruction: Reconstruction, geometry: DetectorGeometry, charge_resolution: float) -> _Measured:
        tracks, segments = reconstruction.tracks, reconstruction.segments
        owner = track_of_segments(reconstruction)
        used = (owner >= 0) & (segments.dEdx > 0) & (segments.length > 0)
        owner, length = owner[used], segments.length[used]
        ahead = reconstruction.residual_range[used]
        return _Measured(
            number=len(tracks),
            owner=owner,
            length=length,
            log_dedx=np.log(segments.dEdx[used]),
            resolution=charge_resolution / np.sqrt(length),
            distance=np.stack([ahead, np.maximum(tracks.length[owner] - ahead, 0.0)]),
            inside=np.stack([_inside(tracks.end, geometry), _inside(tracks.start, geometry)]),
        )


def posterior(log_likelihood: Floats, prior: Mapping[str, float], temper: float = 1.0) -> Floats:
    """`(n, 5)` probabilities by Bayes' theorem, of log-likelihoods `(n, 5)` times `temper` and the prior by name."""
    weight = np.array([prior[name] for name in SPECIES])
    with np.errstate(divide="ignore"):
        log = temper * log_likelihood + np.log(weight / weight.sum())
    return np.asarray(np.exp(log - logsumexp(log, axis=1, keepdims=True)))


def log_density(log_dedx: Floats, residual_range: Floats, length: Floats, pdg: int, resolution: Floats) -> Floats:
    """Log of the density of ln dE/dx of segments `(k,)` of a muon, pion, proton or kaon, by its PDG code.

    `residual_range` of their centres and `length` [cm]; `resolution`: relative error of dE/dx besides straggling, taken
    as Gaussian: Vavilov's density (`matter.energy_prior`) is averaged over it by Gauss and Hermite's three points.
    """
    layers = EnergyPrior(pdg).layers_at(length, residual_range)
    shifted = [layers.log_density(log_dedx + place * resolution)[0] + np.log(weight) for place, weight in _HERMITE]
    return _with_outliers(np.asarray(logsumexp(shifted, axis=0)))


def electron_log_density(log_dedx: Floats) -> Floats:
    """Log of the density of ln dE/dx of segments `(k,)` of an electron: about the same all along, showers beside it."""
    centre, width, share, wide = _ELECTRON
    z, z_wide = (log_dedx - centre) / width, (log_dedx - centre - 0.3) / wide
    density = (1 - share) * np.exp(-0.5 * z**2) / width + share * np.exp(-0.5 * z_wide**2) / wide
    return _with_outliers(np.log(np.maximum(density, 1e-300)) - 0.5 * np.log(2 * np.pi))


def _of_all_further(log_dedx: Floats, distance: Floats, length: Floats, resolution: Floats, species: str) -> Floats:
    """`(m, k)` log-densities of segments `(k,)`, whose distance to the end of the track is given, for all `FURTHER`."""
    shape = len(FURTHER), len(distance)
    residual = FURTHER[:, None] + distance
    u, h, s = (np.broadcast_to(a, shape).ravel() for a in (log_dedx, length, resolution))
    return log_density(u, residual.ravel(), h, SPECIES[species], s).reshape(shape)


def track_of_segments(reconstruction: Reconstruction) -> Ints:
    """`(n,)` row of the track of each segment; -1: it belongs to none."""
    tracks, segments = reconstruction.tracks, reconstruction.segments
    rows = {key: row for row, key in enumerate(zip(tracks.event_id.tolist(), tracks.track_id.tolist(), strict=True))}
    keys = zip(segments.event_id.tolist(), segments.traj_id.tolist(), strict=True)
    return np.array([rows.get(key, -1) for key in keys], dtype=np.int64)


def _over_hypotheses(tracks: _Measured, species: str) -> tuple[Floats, Floats]:
    """Log-likelihood `(n,)` of a species, and the posterior `(2, m, n)` of directions and further ranges."""
    log = np.zeros((2, len(FURTHER), tracks.number))
    for way, distance in enumerate(tracks.distance):
        for k in range(0, len(tracks.owner), _AT_ONCE):
            some = slice(k, k + _AT_ONCE)
            density = _of_all_further(
                tracks.log_dedx[some], distance[some], tracks.length[some], tracks.resolution[some], species
            )
            log[way] += [_summed(one, tracks.owner[some], tracks.number) for one in density]
    weight = np.empty_like(log)
    stop = np.where(tracks.inside, _STOPS[species], 1e-9)
    weight[:, 0] = stop
    weight[:, 1:] = ((1 - stop) / (len(FURTHER) - 1))[:, None]
    log += np.log(0.5 * weight)
    total = np.asarray(logsumexp(log, axis=(0, 1)))
    return total, np.exp(log - total)


def _summed(density: Floats, owner: Ints, number: int) -> Floats:
    return np.asarray(np.bincount(owner, density, number), dtype=np.float64)


def _with_outliers(log: Floats) -> Floats:
    return np.asarray(np.logaddexp(log + np.log1p(-_OUTLIERS), np.log(_OUTLIERS / _SPAN)))


def _inside(point: Floats, geometry: DetectorGeometry) -> Bools:
    low, high = geometry.bounds
    return np.asarray(((point > low + _FACE) & (point < high - _FACE)).all(axis=1))
