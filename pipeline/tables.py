"""The data that flows between stages: frozen tables of NumPy arrays with documented shape and unit.

Everything here is in the simulation frame: x, y on the anode plane, z along the drift.
Files of segments hold the edep-sim frame; `pipeline.storage.segments` swaps the axes, once, on reading and writing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def common_numbers(*keys: Ints) -> list[Ints]:
    """`(n_i,)` numbers for tables of keys `(n_i, k)`: equal rows have equal numbers, sorted as the keys."""
    rows = np.concatenate(keys)
    # np.unique of rows sorts them as bytes of no type, which takes five times as long.
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    new = np.zeros(len(rows), dtype=np.int64)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty_like(new)
    number[order] = np.cumsum(new)
    return np.split(number, np.cumsum([len(k) for k in keys[:-1]]))


@dataclass(frozen=True)
class Segments:
    """Straight pieces of ionising track.

    Units: positions and `dx` in cm, `dE` in MeV, `dEdx` in MeV/cm, times in us.
    Shapes: `(n,)`, and `(n, 3)` for `start`, `end` (columns x, y, z of the simulation frame).
    `t0` is the time of the deposit.
    """

    event_id: Ints
    vertex_id: Ints
    segment_id: Ints
    traj_id: Ints
    pdg_id: Ints
    start: Floats
    end: Floats
    t0: Floats
    t0_start: Floats
    t0_end: Floats
    dE: Floats
    dx: Floats
    dEdx: Floats

    def __len__(self) -> int:
        return int(self.event_id.shape[0])

    def take(self, index: npt.NDArray[Any]) -> Segments:
        """The rows chosen by a boolean mask or an index array."""
        return Segments(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def replace(self, **columns: npt.NDArray[Any]) -> Segments:
        """A copy with some columns replaced."""
        return Segments(**{f.name: columns.get(f.name, getattr(self, f.name)) for f in fields(self)})

    def with_dedx(self, dedx: Floats) -> Segments:
        """The same pieces with other losses `(n,)` [MeV/cm], and the energies that these are along them."""
        return self.replace(dEdx=dedx, dE=dedx * self.length)

    @property
    def length(self) -> Floats:
        """`(n,)` distance from start to end [cm]."""
        return np.asarray(np.linalg.norm(self.end - self.start, axis=1))

    @property
    def centre(self) -> Floats:
        """`(n, 3)` mid-point [cm]."""
        return 0.5 * (self.start + self.end)

    def track_index(self) -> Ints:
        """`(n,)` number of the (event, trajectory) each segment belongs to, 0 ... tracks - 1, in sorted order."""
        return common_numbers(np.stack([self.event_id, self.traj_id], axis=1))[0]

    @staticmethod
    def concatenate(parts: list[Segments]) -> Segments:
        """All rows of `parts`, in order."""
        return Segments(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Segments)})


#: Particles that reconstructed tracks may be: the columns of `Tracks.probability`, by absolute PDG code.
SPECIES = {"muon": 13, "pion": 211, "proton": 2212, "kaon": 321, "electron": 11}


@dataclass(frozen=True)
class Tracks:
    """Reconstructed tracks, sorted by event and track.

    `(n,)`: `event_id`; `track_id`, unique in its event, the `traj_id` of the track's segments; `hits`, how many belong
    to it; `length` [cm] along the curve; `rms` [cm] of its hits about the curve; `cathode`: whether it crosses the
    cathode; `anode`: at how many of its ends it crosses an anode; `contained`: whether its end lies inside the
    detector, so that it may have stopped there.
    `(n, 3)`: `start`, `end` [cm]; `direction` (of length 1) of the straight line through its hits, from start to end.
    `covariance` `(n, 4, 4)` of that line: offsets [cm] at its middle along two axes perpendicular to it, and slopes.
    `probability` `(n, 5)` of each of `SPECIES`; equal where nothing tells.
    """

    event_id: Ints
    track_id: Ints
    hits: Ints
    length: Floats
    rms: Floats
    cathode: Bools
    anode: Ints
    contained: Bools
    start: Floats
    end: Floats
    direction: Floats
    covariance: Floats
    probability: Floats

    def __len__(self) -> int:
        return int(self.event_id.shape[0])

    def take(self, index: npt.NDArray[Any]) -> Tracks:
        """The rows chosen by a boolean mask or an index array."""
        return Tracks(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class Reconstruction:
    """What hits alone tell of an event's particles.

    `segments`: pieces of the curves of `tracks`, in order along each track, from its start to its end; their `traj_id`
    is the `track_id`, `pdg_id` the most probable particle. Per segment: `residual_range` `(n,)` [cm] from its centre to
    the end of its track, `position_error` `(n, 2)` [cm] of its centre along the two axes perpendicular to it,
    `charge` `(n,)` [electrons] recorded of it (that below threshold included), and `knocked_out` `(n,)` [MeV]: energy
    of electrons that its particle knocked out and that is not in the segment, but in hits beside the track or in short
    tracks that begin on it (which are among `tracks`, too). `hit_track` `(h,)`: per hit of the file, in its order, the
    row of its track in `tracks`, or -1.
    """

    tracks: Tracks
    segments: Segments
    residual_range: Floats
    position_error: Floats
    charge: Floats
    knocked_out: Floats
    hit_track: Ints


@dataclass(frozen=True)
class Primaries:
    """Particles at the start of a simulation, sorted by event and vertex.

    `(n,)`: `event_id`, `vertex_id` (counts from 0 in each event), `pdg_id`, `kinetic_energy` [MeV], `time` [us].
    `(n, 3)`: `position` [cm] and `direction` (of length 1), in the simulation frame.
    """

    event_id: Ints
    vertex_id: Ints
    pdg_id: Ints
    position: Floats
    direction: Floats
    kinetic_energy: Floats
    time: Floats

    def __len__(self) -> int:
        return int(self.event_id.shape[0])

    def take(self, index: npt.NDArray[Any]) -> Primaries:
        """The rows chosen by a boolean mask or an index array."""
        return Primaries(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class Trajectories:
    """Every particle of a simulation, sorted by event and `traj_id`, and where its energy went.

    `(n,)`: `event_id`, `vertex_id`, `traj_id`, `parent_id` (-1: a primary), `pdg_id`; `t_start`, `t_end` [us]; `path`
    [cm], 0 for photons; `start_process`, `end_process`: numbers of `PROCESSES`; in MeV `kinetic_start`, `kinetic_end`
    and
    * `supply`: energy that the particle brings: its kinetic energy, and what its mass will set free (decay,
      annihilation, absorption);
    * `deposited`: left in the argon along it;
    * `escaped`: supply that left the volume with it;
    * `untracked`: given at its end to neutrinos, neutrons and nuclei.
    `(n, 3)`: `start`, `end` [cm]. In every event the supply of the primaries is the sum of the other three over all.
    """

    event_id: Ints
    vertex_id: Ints
    traj_id: Ints
    parent_id: Ints
    pdg_id: Ints
    start: Floats
    end: Floats
    t_start: Floats
    t_end: Floats
    path: Floats
    start_process: Ints
    end_process: Ints
    kinetic_start: Floats
    kinetic_end: Floats
    supply: Floats
    deposited: Floats
    escaped: Floats
    untracked: Floats

    #: What begins and ends particles.
    PROCESSES = (
        "primary",
        "knock-on",
        "bremsstrahlung",
        "pair production",
        "Compton scattering",
        "photoelectric effect",
        "annihilation",
        "decay",
        "nuclear interaction",
        "capture at rest",
        "stopped",
        "left the volume",
    )

    def __len__(self) -> int:
        return int(self.event_id.shape[0])

    def kinetic_of(self, event_id: Ints, traj_id: Ints) -> Floats:
        """`(k,)` kinetic energy [MeV] with which these particles began; NaN where there is none such, or several."""
        known, wanted = common_numbers(
            np.stack([self.event_id, self.traj_id], axis=1), np.stack([event_id, traj_id], axis=1)
        )
        energy = np.full(max(known.max(initial=-1), wanted.max(initial=-1)) + 1, np.nan)
        energy[known] = self.kinetic_start
        energy[np.bincount(known, minlength=len(energy)) > 1] = np.nan
        return energy[wanted]

    def take(self, index: npt.NDArray[Any]) -> Trajectories:
        """The rows chosen by a boolean mask or an index array."""
        return Trajectories(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class Recording:
    """How hits were recorded, as far as that is known.

    `integer`: ADC counts are rounded to whole ones, and times cut to whole clock ticks. `noise`: widths [electrons] of
    what was drawn at every reset, per recorded hit, and per clock tick on the discriminator (zeros: none); `pixels`:
    hash of the constants of pixels (`PixelConstants.digest`); None: not known.
    """

    integer: bool = False
    noise: tuple[float, float, float] | None = None
    pixels: str | None = None

    @property
    def clocked(self) -> bool:
        """Whether the discriminator was looked at once per clock tick, so that hits begin at ticks."""
        return self.noise is not None and self.noise[2] > 0


@dataclass(frozen=True)
class Hits:
    """What the pixel readout records, sorted by event, tpc, pixel_x, pixel_y, hit.

    `x, y, z` [cm] pixel centre and drift coordinate at the velocity `drift_velocity` [cm/us]; `t` [us] crossing time
    after the event's earliest deposit; `adc` counts; `charge` [electrons]. `hit` counts from 0 in each pixel.
    `event_t0` maps event_id to the time [us] of that event's earliest deposit.
    """

    event_id: Ints
    tpc: Ints
    pixel_x: Ints
    pixel_y: Ints
    hit: Ints
    x: Floats
    y: Floats
    z: Floats
    t: Floats
    adc: Floats
    charge: Floats
    drift_velocity: float
    event_t0: Mapping[int, float]
    recording: Recording = Recording()

    COLUMNS = ("event_id", "tpc", "pixel_x", "pixel_y", "hit", "x", "y", "z", "t", "adc", "charge")

    def take(self, index: npt.NDArray[Any]) -> Hits:
        """The rows chosen by a boolean mask or an index array."""
        return replace(self, **{name: getattr(self, name)[index] for name in self.COLUMNS})

    def __len__(self) -> int:
        return int(self.event_id.shape[0])


@dataclass(frozen=True)
class TimeOffset:
    """How much later [us] the times of an event's hits are than the drift of their charge, and how many `ends` of
    tracks agree on it.
    """

    value: float
    ends: int


@dataclass(frozen=True)
class Assumed:
    """What places and energies of reconstructed segments rest on: `values` of the parameters, and `times` of events by
    number where these were found with the segments (None: given).
    """

    values: Mapping[str, float]
    times: Mapping[int, TimeOffset] | None = None


@dataclass(frozen=True)
class Observables:
    """What a fit compares: the same for a simulation and for data.

    `event`, `channel` (i8), `order` (i4) identify a row, sorted and unique; `values` `(n, k)` in the units of
    `value_names`; `valid` `(n,)` is false for rows a fit must not use. `columns` holds more `(n,)` arrays that a
    readout adds: the pixel readout `x`, `y` [cm] of the pixel centre and the number of the drift `volume`, and, where
    simulated, the `charge` [electrons].

    `integer` data are whole numbers of counts and clock ticks. `bins` `(k, 2)`: where values were rounded, the true one
    lies between value + lower end and value + upper end; None: nothing was. Everything that compares values takes
    `centre`, so that rounding biases nothing.
    """

    event: Ints
    channel: Ints
    order: Ints
    values: Floats
    value_names: tuple[str, ...]
    valid: Bools
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    integer: bool = False
    bins: Floats | None = None

    @property
    def centre(self) -> Floats:
        """`(n, k)` values in the middle of their bins."""
        return self.values if self.bins is None else self.values + self.bins.mean(axis=1)

    @property
    def rounding(self) -> Floats:
        """`(k,)` standard deviation of true values about `centre`: width / sqrt(12), as they are uniform in a bin."""
        width = np.zeros(len(self.value_names)) if self.bins is None else np.diff(self.bins, axis=1)[:, 0]
        return np.asarray(width / np.sqrt(12.0))

    def take(self, index: npt.NDArray[Any]) -> Observables:
        """The rows chosen by a boolean mask or an index array."""
        arrays = {name: getattr(self, name)[index] for name in ("event", "channel", "order", "values", "valid")}
        return replace(self, **arrays, columns={name: column[index] for name, column in self.columns.items()})

    def __len__(self) -> int:
        return int(self.event.shape[0])


@dataclass(frozen=True)
class Linearised:
    """Observables at a point with `jacobian` `(n, k, P)`: their derivatives to P parameters.

    `(n, k)`: `softness` is how far each value moves per electron of noise on the threshold, `reset` per electron drawn
    at the reset before the hit, which is on the recorded charge too.
    """

    observables: Observables
    jacobian: Floats
    softness: Floats
    reset: Floats


@dataclass(frozen=True)
class Supply:
    """What a model has for the hits of each pixel that its deposits can reach: `(p,)` `event`, `channel`.

    `left` `(p, m)`: charge for the hit of order 0 ... m - 1 in units of the threshold: what the pixel collects in the
    end less what its earlier hits recorded.
    """

    event: Ints
    channel: Ints
    left: Floats


@dataclass(frozen=True)
class Comparison:
    """Every valid hit of model and data, sorted by event, channel and order; `(n,)` columns.

    `model`, `data` `(n, k)` are values in the units of `value_names`, NaN where that side has no such hit. `supply` is
    the charge that the model has for the hit, in units of the threshold (see `Supply`), NaN where no deposit reaches
    the pixel. `reason` says by number why a hit has no partner (`calibrate.comparison.Reason`), 0 if it has one.
    """

    event: Ints
    channel: Ints
    order: Ints
    model: Floats
    data: Floats
    supply: Floats
    reason: Ints
    value_names: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.event.shape[0])

    @property
    def in_model(self) -> Bools:
        """`(n,)` whether the model has the hit."""
        return np.asarray(np.isfinite(self.model).all(axis=1))

    @property
    def in_data(self) -> Bools:
        """`(n,)` whether the data have the hit."""
        return np.asarray(np.isfinite(self.data).all(axis=1))

    @property
    def matched(self) -> Bools:
        """`(n,)` whether both have the hit."""
        return self.in_model & self.in_data


@dataclass(frozen=True)
class Probability:
    """What a model that knows its noise says of data, in independent groups (the pixels of a readout).

    `log` `(g,)`: log-probability of the data of each group (of densities where data are real numbers), `score`
    `(g, P)`: its derivatives to P parameters, `curvature` `(P, P)`: an approximation of the information that steers
    steps (positive semi-definite). `hits` of the data were explained, `outliers` were not: their probability is that
    of an outlier.
    """

    log: Floats
    score: Floats
    curvature: Floats
    hits: int
    outliers: int


def condition_number(eigenvalues: Floats) -> float:
    """Ratio of the largest to the smallest of ascending `(P,)` eigenvalues; infinite where it is not positive."""
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    return largest / smallest if smallest > np.finfo(float).tiny * largest else math.inf


@dataclass(frozen=True)
class Uncertainty:
    """How well a fit knows its free parameters `names` (P of them).

    `kind` says where `covariance` `(P, P)` (physical units) comes from, such as "expected information"; `others` holds
    covariances by other means, by their names. `eigenvalues` `(P,)` (ascending) and `eigenvectors` `(P, P)` (columns)
    are those of the information scaled to unit diagonal. `directions` says in words, weakest first, which combinations
    of parameters are known least; `intervals` holds 68 % intervals found by profiles; `caveats` are sentences. What is
    not known is NaN, with a caveat.
    """

    kind: str
    names: tuple[str, ...]
    covariance: Floats
    eigenvalues: Floats
    eigenvectors: Floats
    directions: tuple[str, ...] = ()
    others: Mapping[str, Floats] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()

    @property
    def standard(self) -> Floats:
        """`(P,)` standard uncertainties (physical units)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def correlation(self) -> Floats:
        """`(P, P)` correlation of the parameters."""
        return np.asarray(self.covariance / np.outer(self.standard, self.standard))

    @property
    def condition_number(self) -> float:
        """Ratio of the largest to the smallest eigenvalue of the normalised information."""
        return condition_number(self.eigenvalues)


@dataclass(frozen=True)
class CutStep:
    """One line of a cut flow: what is left after the cut called `name`."""

    name: str
    description: str
    events: int
    tracks: int
    segments: int
    length_cm: float


@dataclass(frozen=True)
class FittedParameter:
    """One parameter of a fit result; `uncertainty` and `target` are None where unknown."""

    name: str
    unit: str
    initial: float
    value: float
    free: bool
    uncertainty: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class FitResult:
    """The outcome of one fit.

    `history` has one array `(iterations + 1,)` per free parameter (physical units) and per diagnostic
    (`objective`, `damping`, `matched`, `unmatched_model`, `unmatched_data`, `gradient`); `diagnostics` holds plain
    numbers. `uncertainty` is None where no noise was in the model.
    """

    status: str
    converged: bool
    method: str
    parameters: tuple[FittedParameter, ...]
    iterations: int
    history: Mapping[str, Floats]
    diagnostics: Mapping[str, float]
    warnings: tuple[str, ...] = field(default=())
    uncertainty: Uncertainty | None = None
