"""Whether tracks lose energy as their species does in liquid argon.

The least a heavy charged particle loses is the minimum of its stopping power; the most, over a path L, is the energy
with which it would stop after L. Both follow from `pipeline.matter`, so a wrong unit of energy or length and a wrong
species show as tracks beyond them.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ..matter.particles import mass, name_of
from ..matter.ranges import range_table
from ..matter.stopping import stopping_power
from ..tables import Bools, Floats, Ints, Segments
from .findings import Finding

#: Charged particles that lose energy by ionisation, of charge 1: muons, pions, kaons, protons.
HEAVY = (13, 211, 321, 2212)
#: Shorter tracks are left out: fluctuations are wide and their last steps end below the table.
SHORTEST_CM = 5.0
#: Knock-on electrons are tracks of their own, so a track shows less than the mean loss, by up to this factor.
LEAST = 0.65
#: Fluctuations of the loss, and what is left by a capture or decay at the end of a track [MeV].
MOST, EXTRA_MEV = 1.25, 15.0
#: Of so few tracks one with a hard knock-on electron (some per cent per metre give over 100 MeV) is a large share, so
#: that these must lose more to be beyond.
FEW, MOST_OF_FEW = 12, 2.0
#: Tracks beyond the limits are worth a word from this share of a species' tracks.
SHARE = 0.25

#: Mistakes of units, by the factor that undoes them in dE and in length.
_CAUSES = (
    ("dE looks like GeV, not MeV; multiply dE and dEdx by 1000", 1e3, 1.0),
    ("dE looks like keV, not MeV; divide dE and dEdx by 1000", 1e-3, 1.0),
    ("lengths look like mm, not cm; divide positions and dx by 10", 1.0, 0.1),
    ("lengths look like m, not cm; multiply positions and dx by 100", 1.0, 100.0),
    ("dE looks like eV, not MeV; divide dE and dEdx by a million", 1e-6, 1.0),
)


def energy_loss(segments: Segments, rows: Ints) -> list[Finding]:
    """Findings about species whose tracks lose less or more than they can; `rows` `(n,)` number the segments."""
    found: list[Finding] = []
    units_said = False
    for species in HEAVY:
        tracks = _tracks(segments, np.abs(segments.pdg_id) == species)
        if tracks is None:
            continue
        energy, length, row = tracks
        few, many = _beyond(species, energy, length)
        for bad, how, limit in ((few, "less", "the least they can lose"), (many, "more", "what stopping would take")):
            if np.count_nonzero(bad) <= SHARE * len(energy):
                continue
            cause = _cause(species, energy, length)
            if cause and units_said:
                continue  # one mistake of units is said once
            units_said |= cause is not None
            first = np.flatnonzero(bad)[0]
            where = f"first that of row {rows[row[first]]}"
            found.append(
                Finding(
                    "warning",
                    f"loses_{how}",
                    f"{np.count_nonzero(bad)} of {len(energy)} tracks of {name_of(species)} or its antiparticle "
                    f"over {SHORTEST_CM:g} cm lose {how} than {limit} in argon, {where} with "
                    f"{energy[first] / length[first]:.3g} MeV/cm over {length[first]:.3g} cm; "
                    f"{cause or 'is the species right, or the unit?'}.",
                )
            )
    return found


def _tracks(segments: Segments, chosen: Bools) -> tuple[Floats, Floats, Ints] | None:
    """Energy [MeV], length [cm] and first row of each track of the chosen segments that is long enough in any unit."""
    rows = np.flatnonzero(chosen)
    if not len(rows):
        return None
    part = segments.take(rows)
    track = part.track_index()
    energy, length = (np.bincount(track, values).astype(np.float64) for values in (part.dE, part.length))
    first: Ints = rows[np.unique(track, return_index=True)[1]]
    # Lengths in m would make every track short: the longest decides, too.
    long = length > min(SHORTEST_CM, 0.5 * float(length.max(initial=0.0)))
    return (energy[long], length[long], first[long]) if long.any() else None


def _beyond(species: int, energy: Floats, length: Floats) -> tuple[Bools, Bools]:
    """`(tracks,)` whether each loses less than it must, and more than it can."""
    table = range_table(mass(species))
    few = energy < LEAST * minimum(species) * length
    # Stopping power falls with energy up to the minimum only; a fast track may lose more than at the minimum.
    at_rest = np.maximum(table.energy(length), 1.3 * minimum(species) * length)
    most = MOST if len(energy) >= FEW else MOST_OF_FEW
    return np.asarray(few), np.asarray(energy > most * at_rest + EXTRA_MEV)


def _cause(species: int, energy: Floats, length: Floats) -> str | None:
    """A mistake of units without which nearly all tracks would be as they should."""
    for what, for_energy, for_length in _CAUSES:
        few, many = _beyond(species, for_energy * energy, for_length * length)
        if np.count_nonzero(few | many) <= SHARE * len(energy):
            return what
    return None


@cache
def minimum(species: int) -> float:
    """Least stopping power [MeV/cm] of a heavy particle of charge 1."""
    kinetic = mass(species) * np.geomspace(0.5, 20, 200)
    return float(stopping_power(kinetic, mass(species)).min())
