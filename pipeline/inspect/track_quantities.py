"""What tracks of deposits show of the physics behind them: path, residual range, energy.

Pure functions of tables in the simulation frame; lengths in cm, energies in MeV. What needs a model of energy loss
takes it from `pipeline.matter`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..matter.particles import mass
from ..matter.ranges import range_table
from ..tables import Bools, Floats, Ints, Segments

#: Species of charge 1 that lose energy by ionisation alone, so that range and energy belong together.
IONISING = (13, 211, 321, 2212)
#: A track that ends this far [cm] from every face of the detector has ended, not left.
MARGIN_CM = 1.0
#: Gaps [cm] along a track that has lost no part worth a word; crossing a cathode that is not read out makes one.
GAPS_CM = 2.0
#: Deposited energy of a track that stopped by ionisation, over the energy that its path asks for: knock-on electrons
#: that are tracks of their own take up to some 10 % of a muon's energy with them, and ranges straggle by some.
AGREES = (0.85, 1.10)


@dataclass(frozen=True)
class Tracks:
    """Deposits in order along their tracks.

    `segments` `(n,)`: track by track, each from its start to its end. `(n,)`: `number` of the track, 0 ... k - 1;
    `gap` [cm] from the end of the deposit before, 0 at the start of a track; `before` path [cm] from the start of the
    track to the start of the deposit, gaps included. `first`, `last` `(k,)`: rows of the first and last deposits.
    """

    segments: Segments
    number: Ints
    gap: Floats
    before: Floats
    first: Ints
    last: Ints

    def __len__(self) -> int:
        return len(self.first)

    @property
    def species(self) -> Ints:
        """`(k,)` PDG code of each track, that of its first deposit."""
        return np.asarray(self.segments.pdg_id[self.first])

    @property
    def path(self) -> Floats:
        """`(k,)` length along each track [cm], gaps included."""
        return np.asarray(self.before[self.last] + self.segments.length[self.last])

    @property
    def gaps(self) -> Floats:
        """`(k,)` summed gaps of each track [cm]."""
        return self._summed(self.gap)

    @property
    def energy(self) -> Floats:
        """`(k,)` energy deposited on each track [MeV], without that of its secondaries."""
        return self._summed(self.segments.dE)

    @property
    def straightness(self) -> Floats:
        """`(k,)` distance from start to end over the path between: 1 for a straight track, 0 for one without path."""
        chord = np.linalg.norm(self.segments.end[self.last] - self.segments.start[self.first], axis=1)
        return np.asarray(np.divide(chord, self.path, out=np.zeros(len(self)), where=self.path > 0))

    @property
    def middle(self) -> Floats:
        """`(n,)` path from the start of the track to the middle of each deposit [cm]."""
        return np.asarray(self.before + 0.5 * self.segments.length)

    @property
    def to_end(self) -> Floats:
        """`(n,)` path from the middle of each deposit to the end of its track [cm]: residual range if it stopped."""
        return np.asarray(self.path[self.number] - self.middle)

    def _summed(self, values: Floats) -> Floats:
        return np.bincount(self.number, weights=values, minlength=len(self)).astype(np.float64)


def tracks_of(segments: Segments) -> Tracks:
    """Put deposits in order along their tracks: by time, and those of equal time in the order of the file."""
    track = segments.track_index()
    order = np.lexsort((segments.t0, track))
    ordered, number = segments.take(order), track[order]
    starts = np.diff(number, prepend=-1) != 0
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(number))[: len(first)] - 1
    gap = np.zeros(len(number))
    gap[1:] = np.linalg.norm(ordered.start[1:] - ordered.end[:-1], axis=1)
    gap[starts] = 0.0
    # A running sum over all tracks would lose digits on the last of a large sample; one over each does not.
    before = _running(gap + ordered.length, first) - ordered.length
    return Tracks(ordered, number, gap, before, first, last)


def _running(values: Floats, first: Ints) -> Floats:
    """`(n,)` running sums of `values` that begin anew at the rows `first`."""
    total = np.cumsum(values)
    offset = np.where(first > 0, total[first - 1], 0.0)
    return np.asarray(total - np.repeat(offset, np.diff(np.append(first, len(values)))))


def of_species(tracks: Tracks, code: int) -> Bools:
    """`(k,)` tracks of this PDG code or, but for protons, of its antiparticle."""
    # An antiproton does not stop quietly.
    return np.asarray(tracks.species == code if code == 2212 else np.abs(tracks.species) == code)


def end_inside(tracks: Tracks, geometry: DetectorGeometry, margin: float = MARGIN_CM) -> Bools:
    """`(k,)` whether a track ends more than `margin` [cm] from every face of the box around the drift volumes."""
    low, high = geometry.bounds
    end = tracks.segments.end[tracks.last]
    return np.asarray(((end - low > margin) & (high - end > margin)).all(axis=1))


def energy_of_path(tracks: Tracks) -> Floats:
    """`(k,)` kinetic energy [MeV] with which a particle of the track's species stops after the track's path.

    NaN for species that do not stop by ionisation alone.
    """
    energy = np.full(len(tracks), np.nan)
    for code in IONISING:
        mine = of_species(tracks, code)
        if mine.any():
            energy[mine] = range_table(mass(code)).energy(tracks.path[mine])
    return energy


def stopped(tracks: Tracks, geometry: DetectorGeometry) -> Bools:
    """`(k,)` tracks that end inside, have no gap, and whose energy is that of a particle that stops after their path.

    Energy tells a particle that stopped from one that ended in a nuclear interaction or a decay in flight: that one
    leaves less on the same path. How a track ends, its Bragg peak, is not asked, so it can still be tested.
    """
    asked = energy_of_path(tracks)
    ratio = np.divide(tracks.energy, asked, out=np.full(len(tracks), np.nan), where=asked > 0)
    agrees = (ratio > AGREES[0]) & (ratio < AGREES[1])
    return np.asarray(end_inside(tracks, geometry) & (tracks.gaps < GAPS_CM) & agrees)


def kinetic_energy(tracks: Tracks, at_start: Floats, stops: Bools) -> Floats:
    """`(n,)` kinetic energy [MeV] in the middle of each deposit; NaN where it cannot be known.

    By the range table: from the energy `at_start` `(k,)` [MeV] of each track (NaN where unknown) and the path since,
    else from the residual range of tracks that stop, `stops` `(k,)`.
    """
    energy = np.full(len(tracks.segments), np.nan)
    for code in IONISING:
        mine = of_species(tracks, code)
        if not mine.any():
            continue
        table = range_table(mass(code))
        known = mine & np.isfinite(at_start) & (at_start > 0)
        full = np.full(len(tracks), np.nan)
        full[known] = table.range(at_start[known])
        left = full[tracks.number] - tracks.middle
        by_range = (mine & stops & ~known)[tracks.number]
        left[by_range] = tracks.to_end[by_range]
        # A particle farther along than its mean range has fluctuated: its energy is small and unknown.
        usable = mine[tracks.number] & np.isfinite(left) & (left > 0)
        energy[usable] = table.energy(left[usable])
    return energy
