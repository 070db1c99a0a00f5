"""The input of edep-sim (https://github.com/ClarkMcGrew/edep-sim) as text, and the numbers of what comes back.

edep-sim reads a detector in GDML, primaries in HEPEVT and commands in a Geant4 macro. Its frame is that of files: x and
z exchanged where the drift is along x. It gives one vertex to each of its events, so that one of our events is as many
of its as it has vertices; `restore_numbers` puts them together again. Written for edep-sim 4: the reader of HEPEVT in
older ones takes no positions.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..config.edep_sim import EdepSim
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..matter.particles import mass
from ..matter.stopping import LIQUID_ARGON
from ..tables import Floats, Ints, Primaries, Segments

#: The sensitive detector that all drift volumes belong to; the name that converters of edep-sim files look for.
SENSITIVE_DETECTOR = "volTPCActive"

#: Names of the files. edep-sim runs in the folder that holds them, so that no path stands in any of them.
GDML, HEPEVT, MACRO, OUTPUT = "geometry.gdml", "primaries.hepevt", "run.mac", "deposits.root"

#: Air around the cryostat, and around primaries that start outside it [cm].
_AIR_MARGIN = 10.0

#: Dry air at 20 degrees Celsius [g/cm3] (NIST), and its mass fractions without traces.
_AIR_DENSITY = 1.20479e-3
_AIR = {"N": 0.7553, "O": 0.2318, "Ar": 0.0129}

#: Atomic number and molar mass [g/mol] (IUPAC).
_ELEMENTS = {"N": (7, 14.007), "O": (8, 15.999), "Ar": (18, 39.948)}

_GEV, _NS = 1e-3, 1e3  # of an MeV, of a us


@dataclass(frozen=True)
class _Box:
    """A box between two corners `(3,)` [cm], in edep-sim's frame."""

    low: Floats
    high: Floats

    @property
    def centre(self) -> Floats:
        return (self.low + self.high) / 2


def edepsim_input(
    primaries: Primaries, geometry: DetectorGeometry, settings: EdepSim, seed: int
) -> tuple[dict[str, str], list[str], int]:
    """What edep-sim is to be run with: its input files by name, its arguments, and the number of its events.

    Raises `ConfigError` where `primaries` cannot be simulated.
    """
    check_primaries(primaries)
    events = int(vertex_numbers(primaries).max()) + 1
    files = {
        GDML: gdml(geometry, primaries.position, settings),
        HEPEVT: hepevt(primaries, geometry),
        MACRO: macro(events, seed, settings),
    }
    return files, ["-g", GDML, "-p", settings.physics_list, "-o", OUTPUT, MACRO], events


def check_primaries(primaries: Primaries) -> None:
    """Refuse an empty table, numbers that mean nothing and species without a known mass; raises `ConfigError`."""
    if not len(primaries):
        raise ConfigError("sample: there are no primary particles to simulate; ask for one event or more.")
    for name in ("position", "direction", "kinetic_energy", "time"):
        bad = ~np.isfinite(getattr(primaries, name).reshape(len(primaries), -1)).all(axis=1)
        if bad.any():
            raise ConfigError(f"sample: the {name} of primary particle {np.argmax(bad)} is not a finite number.")
    negative = primaries.kinetic_energy < 0
    if negative.any():
        row = np.argmax(negative)
        raise ConfigError(
            f"sample: the kinetic energy of primary particle {row} is {primaries.kinetic_energy[row]:g} MeV; "
            "it must not be negative."
        )
    length = np.linalg.norm(primaries.direction, axis=1)
    if np.abs(length - 1).max() > 1e-6:
        row = np.argmax(np.abs(length - 1))
        raise ConfigError(f"sample: the direction of primary particle {row} has the length {length[row]:g}, not 1.")
    for pdg in np.unique(primaries.pdg_id).tolist():
        try:
            mass(pdg)
        except ValueError as error:
            raise ConfigError(f"sample: {error}; edep-sim cannot simulate it, choose another species.") from error


def vertex_numbers(primaries: Primaries) -> Ints:
    """`(n,)` the event of edep-sim, from 0, that each primary belongs to.

    A new one begins with every new vertex, and where place or time change within one: edep-sim's vertices have one
    place and time.
    """
    new = np.zeros(len(primaries), dtype=np.bool_)
    for column in (primaries.event_id, primaries.vertex_id, primaries.time, *primaries.position.T):
        new[1:] |= column[1:] != column[:-1]
    return np.cumsum(new).astype(np.int64)


def hepevt(primaries: Primaries, geometry: DetectorGeometry) -> str:
    """Primaries in the form of HEPEVT that edep-sim calls `marley`.

    For each vertex a line with its number and its particles', then for each particle one of 15 values: status 1, PDG
    code, two mothers and two daughters (none), momentum, energy and mass [GeV], position [cm] and time [ns].
    """
    number = vertex_numbers(primaries)
    rest = np.array([mass(pdg) for pdg in primaries.pdg_id.tolist()])
    energy = primaries.kinetic_energy + rest
    # (E - M) (E + M), not E^2 - M^2: slow particles would lose their digits.
    momentum = np.sqrt(primaries.kinetic_energy * (energy + rest))[:, None] * primaries.direction
    values = np.column_stack(
        [
            _GEV * _in_file_frame(momentum, geometry),
            _GEV * energy,
            _GEV * rest,
            _in_file_frame(primaries.position, geometry),
            _NS * primaries.time,
        ]
    )
    size = np.bincount(number)
    lines = []
    for row, vertex in enumerate(number.tolist()):
        if row == 0 or vertex != number[row - 1]:
            lines.append(f"{vertex} {size[vertex]}")
        lines.append(f"1 {primaries.pdg_id[row]} 0 0 0 0 {' '.join(map(_text, values[row].tolist()))}")
    return "\n".join(lines) + "\n"


def macro(events: int, seed: int, settings: EdepSim) -> str:
    """The commands of a run of `events` vertices.

    Geant4 leaves a macro at the first command that it does not know and edep-sim would go on regardless, without our
    primaries; so the run is started by the last line, not by edep-sim's option `-e`.
    """
    # A distance of 0 or less keeps delta rays apart.
    delta_rays = settings.delta_ray_cm or -0.1
    lines = [
        *(
            f"/edep/{command} {SENSITIVE_DETECTOR} {_text(10 * length)} mm"
            for command, length in (
                ("hitLength", settings.hit_length_cm),
                ("hitSagitta", settings.hit_sagitta_cm),
                ("hitSeparation", delta_rays),
            )
        ),
        *settings.macro,
        "/edep/update",
        f"/edep/random/randomSeed {seed_of(seed)}",
        f"/generator/kinematics/hepevt/input {HEPEVT}",
        "/generator/kinematics/hepevt/flavor marley",
        "/generator/kinematics/set hepevt",
        # Place and time are those of HEPEVT: by default edep-sim sets the time of every vertex.
        "/generator/position/set free",
        "/generator/time/set free",
        "/generator/count/fixed/number 1",
        "/generator/count/set fixed",
        "/generator/add",
        f"/run/beamOn {events}",
    ]
    return "\n".join(lines) + "\n"


def seed_of(seed: int) -> int:
    """A seed for Geant4, 1 ... 2^31 - 1, from ours: stream 6 of the seed of the configuration."""
    return int(np.random.SeedSequence([seed, 6]).generate_state(1)[0]) % (2**31 - 1) + 1


def gdml(geometry: DetectorGeometry, positions: Floats, settings: EdepSim) -> str:
    """The detector in GDML: drift volumes in a box of liquid argon, in a world of air that holds all `positions`.

    Each drift volume is a box of its own that records deposits: segments end at its faces, and nothing is recorded in
    the cathode. Pixels, cathode and cryostat have no material of their own. `positions` `(n, 3)` in the simulation
    frame [cm]. The world is centred on the origin, as Geant4 wants it.
    """
    drift = [_drift_box(geometry, tpc.z_anode, tpc.z_cathode) for tpc in geometry.tpcs]
    margin = settings.argon_margin_cm
    argon = _Box(
        np.min([box.low for box in drift], axis=0) - margin, np.max([box.high for box in drift], axis=0) + margin
    )
    reach = np.abs(np.concatenate([[argon.low, argon.high], _in_file_frame(positions, geometry)])).max(axis=0)
    world = _Box(-reach - _AIR_MARGIN, reach + _AIR_MARGIN)

    root = ET.Element("gdml")
    ET.SubElement(root, "define")
    _add_materials(root)
    solids, structure = ET.SubElement(root, "solids"), ET.SubElement(root, "structure")
    names = [f"{SENSITIVE_DETECTOR}{tpc.tpc}" for tpc in geometry.tpcs]
    for name, box, tpc in zip(names, drift, geometry.tpcs, strict=True):
        volume = _add_volume(solids, structure, name, "LiquidArgon", box, {})
        for kind, value in _properties(geometry, settings, tpc.z_cathode > tpc.z_anode):
            ET.SubElement(volume, "auxiliary", auxtype=kind, auxvalue=value)
    _add_volume(solids, structure, "volCryostat", "LiquidArgon", argon, dict(zip(names, drift, strict=True)))
    _add_volume(solids, structure, "volWorld", "Air", world, {"volCryostat": argon})
    setup = ET.SubElement(root, "setup", name="Default", version="1.0")
    ET.SubElement(setup, "world", ref="volWorld")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _properties(geometry: DetectorGeometry, settings: EdepSim, anode_below: bool) -> Iterator[tuple[str, str]]:
    """What edep-sim is told of a drift volume; `anode_below`: whether its anode has the lower z."""
    # Since 4.1 the name is SegmentDetector, but only this one is known to every version.
    yield "SensDet", SENSITIVE_DETECTOR
    if settings.electric_field_kv_per_cm > 0:
        # Electrons drift against the field: it points from the anode to the cathode.
        strength = math.copysign(1e3 * settings.electric_field_kv_per_cm, 1 if anode_below else -1)
        field = _in_file_frame(np.array([[0.0, 0.0, strength]]), geometry)[0]
        yield "EField", f"({', '.join(f'{_text(component)} V/cm' for component in field.tolist())})"
    if settings.step_limit_cm is not None:
        yield "StepLimit", f"{_text(settings.step_limit_cm)} cm"


def _drift_box(geometry: DetectorGeometry, z_anode: float, z_cathode: float) -> _Box:
    z = sorted((z_anode, z_cathode))
    corners = np.array([[geometry.x_range[i], geometry.y_range[i], z[i]] for i in (0, 1)])
    return _Box(*_in_file_frame(corners, geometry))


def _add_materials(root: ET.Element) -> None:
    materials = ET.SubElement(root, "materials")
    for symbol, (number, molar_mass) in _ELEMENTS.items():
        element = ET.SubElement(materials, "element", name=symbol, formula=symbol, Z=str(number))
        ET.SubElement(element, "atom", unit="g/mole", value=_text(molar_mass))
    for name, state, density, content in (
        ("LiquidArgon", "liquid", LIQUID_ARGON.density, {"Ar": 1.0}),
        ("Air", "gas", _AIR_DENSITY, _AIR),
    ):
        material = ET.SubElement(materials, "material", name=name, state=state)
        ET.SubElement(material, "D", unit="g/cm3", value=_text(density))
        for symbol, fraction in content.items():
            ET.SubElement(material, "fraction", n=_text(fraction), ref=symbol)


def _add_volume(
    solids: ET.Element, structure: ET.Element, name: str, material: str, box: _Box, inside: Mapping[str, _Box]
) -> ET.Element:
    """Add a box called `name` with the volumes `inside` it, which stand above it in the file."""
    size = dict(zip("xyz", map(_text, (box.high - box.low).tolist())))
    ET.SubElement(solids, "box", {"name": f"{name}_box", "lunit": "cm", **size})
    volume = ET.SubElement(structure, "volume", name=name)
    ET.SubElement(volume, "materialref", ref=material)
    ET.SubElement(volume, "solidref", ref=f"{name}_box")
    for inner, its in inside.items():
        placed = ET.SubElement(volume, "physvol", name=f"{inner}_placed")
        ET.SubElement(placed, "volumeref", ref=inner)
        at = dict(zip("xyz", map(_text, (its.centre - box.centre).tolist())))
        ET.SubElement(placed, "position", {"name": f"{inner}_position", "unit": "cm", **at})
    return volume


def restore_numbers(segments: Segments, primaries: Primaries) -> Segments:
    """Deposits with the numbers of our events and vertices, where `event_id` was that of edep-sim's (one per vertex).

    edep-sim counts tracks from 0 in each of its events; here those of later vertices go on from those before in the
    same event. Rows are sorted by event, then vertex, then as they were; `segment_id` counts them.
    """
    first = np.unique(vertex_numbers(primaries), return_index=True)[1]
    event, vertex = primaries.event_id[first], primaries.vertex_id[first]
    tracks = np.zeros(len(first), dtype=np.int64)
    np.maximum.at(tracks, segments.event_id, segments.traj_id + 1)
    order = np.argsort(event, kind="stable")
    before = np.cumsum(tracks[order]) - tracks[order]
    _, begin, which = np.unique(event[order], return_index=True, return_inverse=True)
    offset = np.empty_like(tracks)
    offset[order] = before - before[begin][which]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rows = np.argsort(rank[segments.event_id], kind="stable")
    sorted_segments = segments.take(rows)
    number = sorted_segments.event_id
    traj = sorted_segments.traj_id
    return sorted_segments.replace(
        event_id=event[number],
        vertex_id=vertex[number],
        segment_id=np.arange(len(rows), dtype=np.int64),
        traj_id=np.where(traj < 0, traj, traj + offset[number]),  # negative: edep-sim knows no track
    )


def _in_file_frame(vectors: Floats, geometry: DetectorGeometry) -> Floats:
    """Vectors `(n, 3)` of the simulation frame in edep-sim's."""
    return vectors[:, ::-1] if geometry.drift_axis == "x" else vectors


def _text(value: float) -> str:
    """A number with the 12 digits that matter; 0 without a sign."""
    return f"{value + 0.0:.12g}"
