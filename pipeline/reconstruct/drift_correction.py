"""Where hits come from along the drift.

The threshold is crossed some microseconds after the charge has arrived: the response is slow, and charge must gather
first. How long depends on the hit's charge and on whether the pixel had hits before. It is found by simulating straight
minimum ionising tracks in all directions with the forward model, at the same parameter values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..matter.scattering import isotropic
from ..simulate.model import ForwardModel, ModelSettings
from ..simulate.observe import hits_table
from ..tables import Floats, Hits, Ints, Segments
from .collected import Collected, collect

#: First number of the random stream of the standard tracks; they are the same for every sample.
_STREAM = 18
#: Tracks that are simulated, their length [cm], their pieces, and their loss [MeV/cm].
_TRACKS, _LENGTH, _PIECE, _LOSS = 60, 12.0, 0.25, 2.1
#: Edges of the bins in charge, in units of the threshold, and hits that a bin needs.
_EDGES = np.array([0.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, np.inf])
_LEAST = 8


@dataclass(frozen=True)
class Delays:
    """Median delay [us] between arrival and threshold: `first` `(b,)` of first hits of pixels by bin of charge,
    `later` `(b,)` of the others.
    """

    first: Floats
    later: Floats
    threshold: float

    def of(self, charge: Floats, hit: Ints) -> Floats:
        """`(h,)` delay [us] of hits of a `charge` `(h,)` [electrons], each the number `hit` `(h,)` of its pixel."""
        bin_ = np.clip(np.searchsorted(_EDGES, charge / self.threshold, side="right") - 1, 0, len(self.first) - 1)
        return np.asarray(np.where(hit > 0, self.later[bin_], self.first[bin_]))


def delays(geometry: DetectorGeometry, values: Mapping[str, float], settings: ModelSettings) -> Delays:
    """The delays of a detector at parameter values."""
    model = ForwardModel(_standard_tracks(geometry), geometry, replace(settings, recombination="birks"))
    values = model.complete(values)
    velocity = argon.scaled_drift_velocity(values, geometry.temperature)
    hits = hits_table(
        model.hits(values), geometry,
        drift_velocity=velocity, event_t0=model.plan(values).event_t0, integer_adc=False,
    )  # fmt: skip
    _, origin = origins(collect(model, values, hits), model.segments, len(hits))
    # `hits.z` is where charge would have started that crossed on arrival.
    delay = np.abs(hits.z - anode_of(hits, geometry)) - np.abs(origin[:, 2] - anode_of(hits, geometry))
    delay, size = delay / velocity, hits.charge / geometry.readout.threshold
    known = np.isfinite(delay)

    def by_charge(chosen: np.ndarray) -> Floats:
        middle = float(np.median(delay[chosen])) if chosen.any() else 0.0
        found = []
        for low, high in pairwise(_EDGES):
            here = chosen & (size >= low) & (size < high)
            found.append(float(np.median(delay[here])) if here.sum() >= _LEAST else middle)
        return np.array(found)

    first = hits.hit == 0
    return Delays(by_charge(known & first), by_charge(known & ~first), geometry.readout.threshold)


def corrected(hits: Hits, geometry: DetectorGeometry, velocity: float, found: Delays) -> Floats:
    """`(h,)` drift coordinate [cm] of hits at `velocity` [cm/us], their delays taken off."""
    return geometry.drift_coordinate(hits.tpc, hits.t - found.of(hits.charge, hits.hit), velocity)


def origins(collected: Collected, pieces: Segments, hits: int) -> tuple[Floats, Floats]:
    """Charge `(h,)` [electrons] that pieces of track give to hits by the forward model, and `(h, 3)` its mean origin
    [cm]; NaN where they give nothing.
    """
    row = np.concatenate([collected.rising.row, collected.held.row])
    piece = np.concatenate([collected.rising.piece, collected.held.piece])
    charge = np.concatenate([collected.rising.charge, collected.held.charge])
    total = np.bincount(row, charge, minlength=hits).astype(np.float64)
    centre = pieces.centre[piece]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = [np.bincount(row, charge * centre[:, i], minlength=hits) / total for i in range(3)]
    return total, np.stack(mean, axis=1)


def anode_of(hits: Hits, geometry: DetectorGeometry) -> Floats:
    """`(h,)` drift coordinate [cm] of the anode that each hit is on."""
    return np.array([t.z_anode for t in geometry.tpcs])[hits.tpc]


def _standard_tracks(geometry: DetectorGeometry) -> Segments:
    """Straight tracks in all directions about the middle of the first drift volume, each an event of its own."""
    rng = np.random.default_rng(_STREAM)
    direction = isotropic(rng, _TRACKS)
    tpc = geometry.tpcs[0]
    low = np.array([geometry.x_range[0], geometry.y_range[0], min(tpc.z_anode, tpc.z_cathode)])
    high = np.array([geometry.x_range[1], geometry.y_range[1], max(tpc.z_anode, tpc.z_cathode)])
    centre = low + rng.uniform(0.3, 0.7, (_TRACKS, 3)) * (high - low)
    count = int(_LENGTH / _PIECE)
    edge = np.linspace(-0.5 * _LENGTH, 0.5 * _LENGTH, count + 1)
    points = centre[:, None] + edge[:, None] * direction[:, None]
    track = np.repeat(np.arange(_TRACKS), count)
    zero, whole = np.zeros(len(track)), np.zeros(len(track), dtype=np.int64)
    return Segments(
        event_id=track, vertex_id=whole, segment_id=np.arange(len(track)), traj_id=whole, pdg_id=whole + 13,
        start=points[:, :-1].reshape(-1, 3), end=points[:, 1:].reshape(-1, 3), t0=zero, t0_start=zero, t0_end=zero,
        dE=zero + _LOSS * _PIECE, dx=zero + _PIECE, dEdx=zero + _LOSS,
    )  # fmt: skip
