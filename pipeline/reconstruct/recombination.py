"""The recombination that tracks of particles that stop ask for, before anything is known of it but the nominal values.

How the charge of a particle rises towards its stop tells both parameters of a recombination model: of Birks' law,
`1 / q = (1 / D + k_B / (E rho)) / (A_B W)` for the charge q per length at the loss D that the range table has for the
range that is left. Which tracks stop, and at which end, is not known: both ends count, and tracks whose charge is more
like a straight line along them tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from .. import parameters
from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..matter.energy_prior import EnergyPrior
from ..tables import SPECIES, Floats, Ints, Reconstruction
from .charge import drift_time, survival
from .likelihood import track_of_segments
from .losses import density_of, seen_length

#: The parameters of the models of recombination, and that of the drift on which all charge depends.
PARAMETERS = {"birks": ("birks_ab", "birks_kb"), "box": ("box_alpha", "box_beta")}
_LIFETIME = "electron_lifetime"
#: Where the search begins, as factors on the values before.
_STARTS = ((0.85, 1.0, 1.15), (0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0), (0.4, 1.0))
#: How many of those where charges are likeliest it goes on from.
_TRIED = 5
#: Relative error of charges that comes of what else is not known yet.
_UNEVEN = 0.03
#: Range [cm] that may be left at the end of a track that stops.
_LEFT = (0.0, 0.3)
#: Width of the logarithm of the charge of other tracks about a straight line along the track: of those that react, and
#: of fast ones.
_LINE = 0.12
#: Segments nearer [cm] to an end: the loss changes too much within them.
_NEAR = 1.0
#: Segments that are looked at, at most: tracks are left out evenly beyond.
_SEGMENTS = 1500
#: Share of segments that are not described, and the span of the logarithm of their charge.
_OUTLIERS, _SPAN = 0.05, 5.0


def density_of_charge(found: Reconstruction, geometry: DetectorGeometry, values: Mapping[str, float]) -> Floats:
    """`(n,)` electrons per cm that were freed along segments, by the charge that arrived."""
    segments = found.segments
    freed = found.charge / survival(segments.centre[:, 2], geometry, values)
    seen = seen_length(segments.start, segments.end, geometry)
    return density_of(freed, segments.length, seen, track_of_segments(found))


def recombination_of_stops(
    found: Reconstruction,
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    recombination: str,
    species: str,
    charge_resolution: float,
) -> dict[str, float]:
    """The values, with the recombination and the electron lifetime at which tracks are likeliest to be of particles of
    `species` that stop; `charge_resolution` as for `evidence`.
    """
    moving = (*PARAMETERS[recombination], _LIFETIME)
    stops = _Stops.of(found, geometry, values, species, charge_resolution)
    if not len(stops.track):
        return dict(values)

    # What tracks do not tell stays within the range that the parameter may be expected in.
    known = np.array([0.5 * np.log(p.high / p.low) for p in (parameters.lookup(n, "recombination") for n in moving)])

    def at(x: Floats) -> dict[str, float]:
        return {**values, **{n: values[n] * float(np.exp(v)) for n, v in zip(moving, x, strict=True)}}

    def cost(x: Floats) -> float:
        return 0.5 * float(((x / known) ** 2).sum()) - stops.log_likelihood(at(x), recombination)

    grid = np.stack(np.meshgrid(*(np.log(factors) for factors in _STARTS)), axis=-1).reshape(-1, len(moving))
    ends = [
        minimize(cost, x, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3})
        for x in sorted(grid, key=cost)[:_TRIED]
    ]
    return at(min(ends, key=lambda end: float(end.fun)).x)


@dataclass(frozen=True)
class _Stops:
    """Segments `(k,)` of tracks that may have stopped: `track`, counted from 0, `log_charge` that arrives per cm, its
    relative error `resolution`, and how long it drifts [us]; if the track stops, in either direction and with more or
    less of its range left `(m, k)`, the most probable `log_loss` and its `width`. `otherwise` `(tracks,)`:
    log-probability of the charges of tracks that do not stop.
    """

    track: Ints
    log_charge: Floats
    drift: Floats
    resolution: Floats
    log_loss: Floats
    width: Floats
    otherwise: Floats

    @staticmethod
    def of(
        found: Reconstruction,
        geometry: DetectorGeometry,
        values: Mapping[str, float],
        species: str,
        charge_resolution: float,
    ) -> _Stops:
        owner, length = track_of_segments(found), found.segments.length
        density = density_of_charge(found, geometry, values)
        ahead = found.residual_range
        behind = found.tracks.length[owner] - ahead
        used = (owner >= 0) & found.tracks.contained[owner] & (density > 0) & (np.minimum(ahead, behind) > _NEAR)
        number = np.unique(owner[used], return_inverse=True)[1]
        used[used] = number % max(1, -(-len(number) // _SEGMENTS)) == 0
        track, length = np.unique(owner[used], return_inverse=True)[1], length[used]
        residual = np.concatenate([to_end[used] + left for to_end in (ahead, behind) for left in _LEFT])
        layers = EnergyPrior(SPECIES[species]).layers_at(
            np.tile(length, len(residual) // max(len(length), 1)), residual
        )
        loss, width = (a.reshape(2 * len(_LEFT), -1) for a in layers.mode_and_width())
        drift = drift_time(found.segments.centre[used, 2], geometry, values)
        log_charge = np.log(density[used]) - drift / values[_LIFETIME]
        off = _off_line(ahead[used], log_charge, track)
        otherwise = np.bincount(track, _with_outliers(off, np.full(len(off), _LINE))).astype(np.float64)
        resolution = np.hypot(_UNEVEN, charge_resolution / np.sqrt(length))
        return _Stops(track, log_charge, drift, resolution, loss, width, otherwise)

    def log_likelihood(self, values: Mapping[str, float], recombination: str) -> float:
        """Logarithm of the probability of all charges."""
        p = {n: torch.tensor(v, dtype=torch.float64) for n, v in values.items()}

        def charge(log_loss: Floats) -> Floats:
            loss = torch.from_numpy(np.exp(log_loss))
            made = loss * argon.RECOMBINATION[recombination](loss, p) * argon.ELECTRONS_PER_MEV
            return np.asarray(made.clamp(min=1e-3).log().numpy())

        expected = charge(self.log_loss)
        steep = (charge(self.log_loss + 1e-4) - expected) / 1e-4
        width = np.hypot(steep * self.width, self.resolution)
        told = _with_outliers(self.log_charge + self.drift / values[_LIFETIME] - expected, width)
        stops = logsumexp([np.bincount(self.track, one) for one in told], axis=0) - np.log(len(told))
        return float(np.logaddexp(stops, self.otherwise).sum())


def _off_line(place: Floats, value: Floats, track: Ints) -> Floats:
    """`(k,)` how far values are from a straight line along their track."""
    count = np.bincount(track)
    place, value = (v - (np.bincount(track, v) / count)[track] for v in (place, value))
    slope = np.bincount(track, place * value) / np.maximum(np.bincount(track, place**2), 1e-9)
    return np.asarray(value - slope[track] * place)


def _with_outliers(off: Floats, width: Floats) -> Floats:
    """Logarithm of the density of what is `off` by so much."""
    core = np.log1p(-_OUTLIERS) - 0.5 * (off / width) ** 2 - np.log(width * np.sqrt(2 * np.pi))
    return np.asarray(np.logaddexp(core, np.log(_OUTLIERS / _SPAN)))
