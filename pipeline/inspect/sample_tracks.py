"""A sample by its species: energy loss, range and scattering of its tracks, and what theory expects of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..matter.particles import mass
from ..matter.ranges import range_table
from ..matter.stopping import stopping_power
from ..tables import Bools, Floats, Ints, Segments
from . import track_quantities as quantities
from . import track_scattering as scattering
from .track_quantities import Tracks
from .track_scattering import Deflections

#: Species by PDG code, antiparticles among them; 0: nuclei, photons and all others.
MUON, PION, KAON, PROTON, ELECTRON, OTHER = 13, 211, 321, 2212, 11, 0
SPECIES = {MUON: "muons", PION: "pions", KAON: "kaons", PROTON: "protons", ELECTRON: "electrons", OTHER: "others"}
#: Deposits from this length [cm] have an energy loss per length worth drawing; shorter ones fluctuate wildly.
LONG_CM = 0.3
#: Tracks from this path [cm] are asked whether they stop: below, one deposit decides.
TRACK_CM = 1.0
#: Electrons above this energy [MeV] are tracks of their own: Geant4's default cut of 0.7 mm in liquid argon.
KNOCK_ON_MEV = 0.273
#: Deposits [cm] for the comparison with residual range, and the largest part of the residual range that they may be:
#: the loss must not change much on the way.
_FINE_CM, _PART = 0.1, 0.5


@dataclass(frozen=True)
class SampleTracks:
    """Tracks of a sample with what is known of them; built by `sample_tracks`.

    `(k,)` per track: `kind` (key of `SPECIES`), `inside` it ends in the detector, `stops` by ionisation, as far as its
    path and energy tell, `start_energy` [MeV], NaN where unknown. `(n,)` per deposit of `tracks.segments`:
    `kinetic_energy` [MeV], NaN where unknown.
    """

    tracks: Tracks
    kind: Ints
    inside: Bools
    stops: Bools
    start_energy: Floats
    kinetic_energy: Floats

    @property
    def kinds(self) -> list[int]:
        """Species that the sample has, in the order of `SPECIES`."""
        return [code for code in SPECIES if (self.kind == code).any()]

    def long_deposits(self, code: int) -> Bools:
        """`(n,)` deposits of a species that are long enough for their energy loss per length to be drawn."""
        return np.asarray((self.kind[self.tracks.number] == code) & (self.tracks.segments.length >= LONG_CM))

    def ended(self, code: int, *, stopping: bool) -> Bools:
        """`(k,)` tracks of a species that end inside and stop, or that end inside in another way."""
        counted = self.inside & (self.tracks.path >= TRACK_CM) & (self.kind == code)
        return np.asarray(counted & (self.stops == stopping))

    def fine_deposits(self, which: Bools) -> Bools:
        """`(n,)` deposits of tracks `which` `(k,)` over which the residual range changes little."""
        length = self.tracks.segments.length
        at_start = self.tracks.to_end + 0.5 * length
        return np.asarray(which[self.tracks.number] & (length >= _FINE_CM) & (length <= _PART * at_start))

    @cached_property
    def deflections(self) -> Deflections:
        """Changes of direction along the tracks of ionising species."""
        return scattering.deflections(self.tracks, np.isin(self.kind, quantities.IONISING))

    @cached_property
    def highland(self) -> Floats:
        """`(m,)` width [rad] that Highland's formula gives each of `deflections`; NaN where the energy is unknown."""
        return scattering.expected_width(self.tracks, self.deflections, self.kinetic_energy)

    def deflected(self, code: int) -> Bools:
        """`(m,)` which of `deflections` are of a species."""
        return np.asarray(self.kind[self.tracks.number[self.deflections.earlier]] == code)

    def scattering_ratio(self, code: int) -> tuple[float, int]:
        """Half-width of angles in units of Highland's width, and how many angles of known energy there are."""
        known = self.deflected(code) & np.isfinite(self.highland)
        if not known.any():
            return float("nan"), 0
        pulls = self.deflections.angle[known] / self.highland[known, None]
        return scattering.half_width(pulls.ravel()), pulls.size

    def energy_ratio(self, code: int) -> float:
        """Median over stopping tracks of deposited energy over that of the range table; NaN where none stops."""
        which = self.ended(code, stopping=True)
        if not which.any():
            return float("nan")
        return float(np.median(self.tracks.energy[which] / quantities.energy_of_path(self.tracks)[which]))


def sample_tracks(segments: Segments, geometry: DetectorGeometry, start_energy: Floats | None = None) -> SampleTracks:
    """What the tracks of a sample show.

    `start_energy` `(k,)` [MeV] by track, in the order of `Segments.track_index`; None or NaN where unknown.
    """
    tracks = quantities.tracks_of(segments)
    kind = np.zeros(len(tracks), dtype=np.int64)
    for code in SPECIES:
        if code != OTHER:
            kind[quantities.of_species(tracks, code)] = code
    known = np.full(len(tracks), np.nan) if start_energy is None else start_energy
    stops = quantities.stopped(tracks, geometry)
    inside = quantities.end_inside(tracks, geometry)
    return SampleTracks(tracks, kind, inside, stops, known, quantities.kinetic_energy(tracks, known, stops))


def expected_loss(code: int, residual_range: Floats, cut: float = np.inf) -> Floats:
    """Mean energy loss per length [MeV/cm] at a residual range (any shape) [cm], Bethe's formula at the range's energy.

    Only collisions that give an electron at most `cut` [MeV] count.
    """
    heavy = mass(code)
    return stopping_power(range_table(heavy).energy(residual_range), heavy, cut)


def momentum(kinetic_energy: Floats, code: int) -> Floats:
    """Momentum [MeV/c] of a species at kinetic energies (any shape) [MeV]."""
    return np.asarray(np.sqrt(kinetic_energy * (kinetic_energy + 2 * mass(code))))


def kinetic_of_momentum(momentum: Floats, code: int) -> Floats:
    """Kinetic energy [MeV] of a species at momenta (any shape) [MeV/c]."""
    heavy = mass(code)
    return np.asarray(np.sqrt(momentum**2 + heavy**2) - heavy)
