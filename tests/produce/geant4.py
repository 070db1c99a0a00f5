"""Comparison of our transport with Geant4's files of muons and stopping protons: the same starts, the same statistics.

Geant4's files hold raw steps, which end where electrons above 273 keV were made; ours are compared in raw steps too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from pipeline.config.models import Config, Select
from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.matter.scattering import across, scatter
from pipeline.parameters import CALIBRATED, table
from pipeline.produce.flight import World
from pipeline.produce.joining import RAW, Joining
from pipeline.produce.rules import Rules
from pipeline.produce.transport import transport
from pipeline.select.cuts import apply_cuts
from pipeline.simulate.observe import PixelObservables
from pipeline.simulate.setup import forward_model
from pipeline.storage.detector import load_geometry
from pipeline.tables import Floats, Ints, Primaries, Segments

MUON, PROTON = 13, 2212
#: Longest step of ours here [cm]: Geant4's end at the electrons that are made.
LONGEST = 30.0


@dataclass(frozen=True)
class Steps:
    """Raw steps `(n,)`: `event`, `track`, `pdg_id`, `energy` [MeV], `length` [cm]; `(n, 3)` `start`, `end` [cm]."""

    event: Ints
    track: Ints
    pdg_id: Ints
    start: Floats
    end: Floats
    energy: Floats
    length: Floats

    def take(self, rows: np.ndarray) -> Steps:
        return Steps(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def species(self, pdg_id: int) -> Steps:
        return self.take(np.abs(self.pdg_id) == pdg_id)


def geant4(file: Path) -> Steps:
    """The steps of a file, in the simulation frame."""
    with h5py.File(file) as content:
        rows = content["segments"][:]
    points = [np.stack([rows[f"{a}_{end}"] for a in "zyx"], axis=1).astype(float) for end in ("start", "end")]
    whole = [rows[name].astype(np.int64) for name in ("eventID", "trackID", "pdgId")]
    return Steps(*whole, *points, rows["dE"].astype(float), rows["dx"].astype(float))


def halves(steps: Steps, events: int) -> tuple[Steps, Steps]:
    """The first half of the events, with which constants may be chosen, and the second, for final figures."""
    first = steps.event < events // 2
    return steps.take(first), steps.take(~first)


def ours(
    theirs: Steps,
    species: int,
    energy: float | tuple[float, float],
    repeat: int,
    seed: int,
    joining: Joining = RAW,
) -> Steps:
    """Our steps from the starts and directions of Geant4's primaries, `repeat` times over.

    `energy`: kinetic [MeV], or the ends of its uniform distribution.
    """
    rng = np.random.default_rng([seed, species])
    started = first_steps(theirs.species(species))
    # Primaries have the lowest numbers; other particles of the species are products.
    started = started.take(started.track < (10 if species == MUON else 6))
    n = len(started.event) * repeat
    again = np.tile(np.arange(len(started.event)), repeat)
    direction = (started.end - started.start) / started.length[:, None]
    kinetic = np.full(n, energy) if isinstance(energy, float) else rng.uniform(*energy, n)
    _, event = np.unique(started.event, return_inverse=True)
    primaries = Primaries(
        event[again] + (event.max() + 1) * np.repeat(np.arange(repeat), len(started.event)),
        np.zeros(n, dtype=np.int64),
        started.pdg_id[again],
        started.start[again],
        direction[again] / np.linalg.norm(direction[again], axis=1)[:, None],
        kinetic,
        np.zeros(n),
    )
    world = World.of(load_geometry("module0"))
    s = transport(primaries, world, Rules(step=LONGEST, hadronic=species == PROTON), joining, rng).segments
    return Steps(s.event_id, s.traj_id, s.pdg_id, s.start, s.end, s.dE, s.dx)


def as_segments(steps: Steps) -> Segments:
    """The same as a table of segments, all at time 0."""
    n = len(steps.event)
    none = np.zeros(n)
    return Segments(
        event_id=steps.event,
        vertex_id=np.zeros(n, dtype=np.int64),
        segment_id=np.arange(n),
        traj_id=steps.track,
        pdg_id=steps.pdg_id,
        start=steps.start,
        end=steps.end,
        t0=none,
        t0_start=none,
        t0_end=none,
        dE=steps.energy,
        dx=steps.length,
        dEdx=steps.energy / np.maximum(steps.length, 1e-9),
    )


def expected_uncertainty(segments: Segments) -> tuple[Floats, float]:
    """Gauss-Newton uncertainty of the six parameters at nominal values, relative to these, scaled to 10 m; and length.

    From charge (1 ADC count) and time (0.1 us) of hits, for what the published cuts leave. Hits whose time
    900 electrons of noise on the threshold would move by more than 0.1 us are left out: that is not their error, and
    twenty of them would have a tenth of the information on D_T.
    """
    config, geometry = Config(), load_geometry("module0")
    chosen = apply_cuts(segments, Select(max_total_length_cm=None), geometry, 1, "sample").segments
    nominal = {name: table()[name].nominal for name in CALIBRATED}
    lin = PixelObservables(forward_model(chosen, geometry, config)).linearise(nominal, CALIBRATED)
    used = lin.observables.valid & (900.0 * lin.softness[:, 1] < 0.1)
    scaled = lin.jacobian[used] / np.array([1.0, 0.1])[None, :, None] * np.array([nominal[n] for n in CALIBRATED])
    covariance = np.linalg.inv(np.einsum("hki,hkj->ij", scaled, scaled))
    length = float(chosen.length.sum())
    return np.sqrt(np.diag(covariance) * length / 1000), length


def track_of(steps: Steps) -> Ints:
    """`(n,)` number of the track of each step."""
    return np.unique(np.stack([steps.event, steps.track]), axis=1, return_inverse=True)[1].reshape(-1)


def sorted_steps(steps: Steps) -> tuple[Steps, Ints]:
    """Steps by track, in order of time within each, and the numbers of their tracks."""
    track = track_of(steps)
    order = np.argsort(track, kind="stable")
    return steps.take(order), track[order]


def first_steps(steps: Steps) -> Steps:
    """The first step of each track."""
    by_track, track = sorted_steps(steps)
    return by_track.take(np.r_[True, np.diff(track) != 0])


def path_before(steps: Steps, track: Ints) -> Floats:
    """`(n,)` length of the track before each step [cm], of sorted steps."""
    total = np.cumsum(steps.length) - steps.length
    return total - np.maximum.accumulate(np.where(np.r_[True, np.diff(track) != 0], total, 0.0))


def fixed_segments(muons: Steps, length: float) -> Floats:
    """dE/dx [MeV/cm] of muons over consecutive pieces of `length` [cm], a step's energy spread evenly over it."""
    steps, track = sorted_steps(muons)
    found = []
    edges = np.flatnonzero(np.r_[True, np.diff(track) != 0, True])
    for a, b in pairwise(edges):
        path = np.r_[0.0, np.cumsum(steps.length[a:b])]
        energy = np.r_[0.0, np.cumsum(steps.energy[a:b])]
        ends = np.arange(0.0, path[-1] + 1e-9, length)
        found.append(np.diff(np.interp(ends, path, energy)) / length)
    return np.concatenate(found)


def most_probable(values: Floats) -> float:
    """Peak of a distribution: the vertex of a parabola through the top of a kernel estimate."""
    low, high = np.quantile(values, [0.02, 0.85])
    grid = np.linspace(low, high, 300)
    width = 0.35 * np.subtract(*np.quantile(values, [0.75, 0.25])) * (len(values) / 1000) ** -0.1
    density = np.exp(-0.5 * ((grid[:, None] - values[None, :: max(1, len(values) // 20_000)]) / width) ** 2).sum(axis=1)
    top = density > 0.8 * density.max()
    square, linear, _ = np.polyfit(grid[top] - grid[top].mean(), density[top], 2)
    return float(grid[top].mean() - linear / (2 * square))


def truncated_mean(values: Floats) -> float:
    """Mean of the lower 70 %."""
    return float(np.sort(values)[: int(0.7 * len(values))].mean())


def with_error(statistic, values: Floats) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """A statistic and its standard error, by 60 bootstrap samples."""
    rng = np.random.default_rng(0)
    again = [statistic(rng.choice(values, len(values))) for _ in range(60)]
    return statistic(values), float(np.std(again))


def struck_electrons(steps: Steps, least: float) -> tuple[float, float, float]:
    """Electrons that leave more than `least` [MeV]: number and energy [MeV] per metre of muon, and the relative error
    of the number."""
    electrons = steps.species(11)
    energy = np.bincount(track_of(electrons), electrons.energy)
    metres = steps.species(MUON).length.sum() / 100
    many = energy > least
    return many.sum() / metres, energy[many].sum() / metres, many.sum() ** -0.5


def scattering_angles(muons: Steps, length: float, repeat: int = 20) -> tuple[Floats, Floats]:
    """Projected angles [rad] of 1 GeV muons over about `length` [cm], of Geant4's steps and of ours over them.

    Geant4 leaves muons without lateral displacement, so its steps are straight and their directions exact; angles
    between steps `length` apart (within 10 %) are scaled to it by the square root. Every step begins a pair, so pairs
    overlap.
    """
    steps, track = sorted_steps(muons)
    path = path_before(steps, track)
    m = mass(MUON)
    kinetic = range_table(m).energy(range_table(m).range(np.array(1000.0)) - path - 0.5 * steps.length)
    momentum = np.sqrt(kinetic * (kinetic + 2 * m))
    direction = (steps.end - steps.start) / steps.length[:, None]
    pairs = []
    edges = np.flatnonzero(np.r_[True, np.diff(track) != 0, True])
    # The directions of short steps are lost in the rounding of their ends.
    clear = steps.length > 0.02
    for a, b in pairwise(edges):
        far = a + np.searchsorted(path[a:b], path[a:b] + length)
        for i, j in zip(range(a, b), far):
            if j < b and path[j] - path[i] < 1.1 * length and clear[i] and clear[j]:
                pairs.append((i, j))
    first, last = np.array(pairs).T
    scale = np.sqrt(length / (path[last] - path[first]))
    one, two = across(direction[first])
    theirs = [scale * np.einsum("ij,ij->i", direction[last], axis) for axis in (one, two)]
    rng, mine = np.random.default_rng(0), []
    for _ in range(repeat):
        turns = np.cumsum(scatter(rng, momentum, momentum / (kinetic + m), steps.length).angle, axis=0)
        before = np.vstack([np.zeros(2), turns[:-1]])
        mine.append((scale[:, None] * (before[last] - before[first])).ravel())
    return np.concatenate(theirs), np.concatenate(mine)


def half_width(angles: Floats) -> float:
    """Half of the width of the central 68.3 %."""
    low, high = np.quantile(angles, [0.15866, 0.84134])
    return float(0.5 * (high - low))


def stopping_loss(steps: Steps, edges: Floats) -> tuple[Floats, Floats, float]:
    """Protons that stop: their dE/dx over that expected at their residual range, by bins of that between `edges` [cm].

    Mean ratio and its error, `(bins,)` each, and the share of primaries that stop. A proton stops if its energy is that
    of its range within 5 %, so that it did not interact or leave.
    """
    protons, track = sorted_steps(steps.take((steps.pdg_id == PROTON) & (steps.track < 6)))
    total, energy = np.bincount(track, protons.length), np.bincount(track, protons.energy)
    table = range_table(mass(PROTON))
    stops = np.abs(energy / table.energy(total) - 1) < 0.05
    middle = total[track] - path_before(protons, track) - 0.5 * protons.length
    near = np.maximum(middle - 0.5 * protons.length, 0.0)
    expected = table.energy(middle + 0.5 * protons.length) - table.energy(near)
    good = stops[track] & (protons.length < 0.8 * middle)
    which = np.where(good, np.digitize(middle, edges) - 1, -1)
    ratio, error = [], []
    for k in range(len(edges) - 1):
        mine = which == k
        values = protons.energy[mine] / expected[mine]
        ratio.append(protons.energy[mine].sum() / expected[mine].sum())
        error.append(values.std() / np.sqrt(max(mine.sum(), 1)))
    return np.array(ratio), np.array(error), float(stops.mean())
