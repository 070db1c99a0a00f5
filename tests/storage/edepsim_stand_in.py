"""A stand-in for edep-sim: it checks what it is given against module 0 and writes a ROOT file as edep-sim does.

It knows the formats from edep-sim's documentation and reads them on its own. Particles go straight on at the velocity
of light and lose 2.1 MeV/cm; `STAND_IN` in the environment makes it misbehave.
"""

from __future__ import annotations

import getopt
import os
import shutil
import signal
import struct
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import awkward as ak
import numpy as np
import uproot

from tests.storage.test_tg4_bytes import TOBJECT, counted, four_vector, object_wise, string

#: The drift volumes of module 0 in edep-sim's frame [cm]: the drift along x, the cathode 3.175 mm thick.
MODULE_0 = (
    ((-30.431, -83.8626, -31.039), (-0.15875, 40.2154, 31.039)),
    ((0.15875, -83.8626, -31.039), (30.431, 40.2154, 31.039)),
)

LIGHT_MM_PER_NS = 299.792458

#: Commands of edep-sim 4 and the states of Geant4 in which they may be given.
BEFORE, AFTER, ANY = "before /edep/update", "after /edep/update", "any time"
COMMANDS = {
    "/edep/hitLength": BEFORE,
    "/edep/hitSagitta": BEFORE,
    "/edep/hitSeparation": BEFORE,
    "/edep/update": BEFORE,
    "/edep/random/randomSeed": ANY,
    "/edep/db/set/lengthThreshold": ANY,
    "/generator/kinematics/hepevt/input": ANY,
    "/generator/kinematics/hepevt/flavor": ANY,
    "/generator/kinematics/set": ANY,
    "/generator/position/set": ANY,
    "/generator/time/set": ANY,
    "/generator/count/fixed/number": ANY,
    "/generator/count/set": ANY,
    "/generator/add": ANY,
    "/run/beamOn": AFTER,
}


@dataclass(frozen=True)
class Volume:
    """A box of a detector: corners [cm] in the world, material, the name of its mother and its properties."""

    low: np.ndarray
    high: np.ndarray
    material: str
    mother: str | None
    properties: dict[str, str]


def require(condition: object, message: str) -> None:
    if not condition:
        sys.exit(f"stand-in: {message}")


def read_gdml(text: str) -> tuple[dict[str, Volume], dict[str, float]]:
    """Volumes by name, and densities of materials [g/cm3]; every reference must lead to something above it."""
    root = ET.fromstring(text)
    require([part.tag for part in root] == ["define", "materials", "solids", "structure", "setup"], "parts of GDML")
    elements = {e.get("name"): float(e.find("atom").get("value")) for e in root.iter("element")}
    densities = {}
    for material in root.iter("material"):
        fractions = [(f.get("ref"), float(f.get("n"))) for f in material.findall("fraction")]
        require(all(ref in elements for ref, _ in fractions), f"elements of {material.get('name')}")
        require(abs(sum(n for _, n in fractions) - 1) < 1e-9, f"fractions of {material.get('name')}")
        require(material.find("D").get("unit") == "g/cm3", "unit of density")
        densities[material.get("name")] = float(material.find("D").get("value"))
    sizes = {}
    for box in root.find("solids"):
        require(box.tag == "box" and box.get("lunit") == "cm", "solids are boxes in cm")
        sizes[box.get("name")] = np.array([float(box.get(axis)) for axis in "xyz"])
        require((sizes[box.get("name")] > 0).all(), f"size of {box.get('name')}")
    known: dict[str, ET.Element] = {}
    for volume in root.find("structure"):
        for placed in volume.findall("physvol"):
            require(placed.find("volumeref").get("ref") in known, f"what is placed in {volume.get('name')}")
        require(volume.get("name") not in known, f"{volume.get('name')} is there twice")
        known[volume.get("name")] = volume
    volumes: dict[str, Volume] = {}

    def place(name: str, centre: np.ndarray, mother: str | None) -> None:
        volume = known[name]
        size = sizes[volume.find("solidref").get("ref")]
        material = volume.find("materialref").get("ref")
        require(material in densities, f"material of {name}")
        properties = {a.get("auxtype"): a.get("auxvalue") for a in volume.findall("auxiliary")}
        require(name not in volumes, f"{name} is placed twice")
        volumes[name] = Volume(centre - size / 2, centre + size / 2, material, mother, properties)
        for placed in volume.findall("physvol"):
            at = placed.find("position")
            require(at.get("unit") == "cm", "unit of positions")
            place(placed.find("volumeref").get("ref"), centre + np.array([float(at.get(axis)) for axis in "xyz"]), name)

    place(root.find("setup/world").get("ref"), np.zeros(3), None)
    require(set(volumes) == set(known), "every volume is placed")
    for name, volume in volumes.items():
        if volume.mother is not None:
            outer = volumes[volume.mother]
            require((volume.low >= outer.low).all() and (volume.high <= outer.high).all(), f"{name} sticks out")
    return volumes, densities


def check_gdml(text: str) -> dict[str, Volume]:
    """The sensitive volumes of a description of module 0."""
    volumes, densities = read_gdml(text)
    sensitive = {n: v for n, v in volumes.items() if v.properties.get("SensDet") == "volTPCActive"}
    require(len(sensitive) == 2, f"{len(sensitive)} sensitive volumes")
    for volume, (low, high) in zip(sensitive.values(), MODULE_0):
        require(np.abs(volume.low - low).max() < 1e-9 and np.abs(volume.high - high).max() < 1e-9, "drift volumes")
        require(densities[volume.material] == 1.396, "density of liquid argon")
        require(densities[volumes[volume.mother].material] == 1.396, "liquid argon around")
        require(volumes[volumes[volume.mother].mother].mother is None, "world, cryostat, drift volumes")
    # The electric field points to the cathode, which stands in the middle.
    fields = [v.properties["EField"].strip("()").split(",") for v in sensitive.values()]
    require([f[0].split() for f in fields] == [["500", "V/cm"], ["-500", "V/cm"]], "electric field")
    require(all(f[1].split()[0] == f[2].split()[0] == "0" for f in fields), "electric field across")
    return sensitive


def read_hepevt(text: str) -> list[list[dict[str, object]]]:
    """The particles of each vertex [GeV, cm, ns], read as edep-sim reads its flavour `marley`."""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    lines = [tokens for tokens in lines if tokens]
    vertices: list[list[dict[str, object]]] = []
    at = 0
    while at < len(lines):
        require(len(lines[at]) == 2, "a vertex begins with two numbers")
        require(int(lines[at][0]) == len(vertices), "vertices are numbered from 0")
        count = int(lines[at][1])
        particles = []
        for tokens in lines[at + 1 : at + 1 + count]:
            require(len(tokens) == 15, "15 values for a particle")
            whole, real = [int(t) for t in tokens[:6]], [float(t) for t in tokens[6:]]
            require(whole[0] == 1 and whole[2:] == [0, 0, 0, 0], "status and relations")
            particles.append(
                {"pdg": whole[1], "p": np.array(real[:3]), "E": real[3], "m": real[4], "at": real[5:8], "t": real[8]}
            )
        require(particles and len(particles) == count, "particles of a vertex")
        require(all(p["at"] == particles[0]["at"] and p["t"] == particles[0]["t"] for p in particles), "one vertex")
        vertices.append(particles)
        at += 1 + count
    return vertices


def check_hepevt(text: str, world: Volume) -> list[list[dict[str, object]]]:
    vertices = read_hepevt(text)
    for particle in (p for vertex in vertices for p in vertex):
        shell = particle["E"] ** 2 - particle["p"] @ particle["p"] - particle["m"] ** 2
        require(abs(shell) <= 1e-10 * particle["E"] ** 2, f"off shell by {shell} GeV2")
        require((world.low < particle["at"]).all() and (particle["at"] < world.high).all(), "outside the world")
    return vertices


def run_macro(text: str) -> dict[str, str]:
    """The last value of every command; Geant4 leaves a macro where it does not know one, and so does this."""
    given: dict[str, str] = {}
    state = BEFORE
    for line in text.splitlines():
        command, _, value = line.partition(" ")
        if COMMANDS.get(command) not in (state, ANY):
            what = "ILLEGAL APPLICATION STATE" if command in COMMANDS else "COMMAND NOT FOUND"
            print(f"\n***** {what} <{line}> *****\n\n***** Batch is interrupted!! *****")
            return given
        given[command] = value
        if command == "/edep/update":
            state = AFTER
    return given


def trajectories(species: list[int]) -> bytes:
    """`Trajectories` with tracks 0, 1, ... of these species, member by member."""
    n = len(species)
    points = counted(struct.pack(">HH", 0x400A, 1) + struct.pack(">I", 0) * n)
    names = counted(struct.pack(">H", 10) + string("x") * n)
    body = struct.pack(">HHI", 0x400A, 1, n) + TOBJECT * n + points + struct.pack(f">{n}i", *range(n))
    body += struct.pack(f">{n}i", *[-1] * n) + names + struct.pack(f">{n}i", *species) + four_vector(0, 0, 0, 0) * n
    return counted(body)


def deposits(track: int, particle: dict[str, object], sensitive: list[Volume]) -> list[tuple]:
    """Contributors, MeV, and two space-time points [mm, ns] of 3 mm pieces of a straight track in sensitive volumes."""
    start, momentum = np.array(particle["at"]), particle["p"]
    direction = momentum / np.linalg.norm(momentum)
    found = []
    for volume in sensitive:
        with np.errstate(divide="ignore", invalid="ignore"):
            faces = np.sort([(volume.low - start) / direction, (volume.high - start) / direction], axis=0)
        near, far = max(0.0, np.nanmax(faces[0])), np.nanmin(faces[1])
        if near >= far or ((direction == 0) & ((start < volume.low) | (start > volume.high))).any():
            continue
        edges = np.append(np.arange(near, far, 0.3), far)
        for a, b in pairwise(edges):
            points = [(*(10 * (start + s * direction)), particle["t"] + 10 * s / LIGHT_MM_PER_NS) for s in (a, b)]
            found.append(([track], 2.1 * (b - a), *points))
    return sorted(found, key=lambda hit: hit[2][3])


def write(path: str, numbers: list[int], vertices: list[list[dict[str, object]]], sensitive: list[Volume]) -> None:
    maps, tracks = [], []
    for particles in vertices:
        hits = [hit for track, particle in enumerate(particles) for hit in deposits(track, particle, sensitive)]
        maps.append(object_wise({"volTPCActive": hits} if hits else {}))
        tracks.append(trajectories([particle["pdg"] for particle in particles]))
    columns = {"EventId": np.int32, "SegmentDetectors": "var * uint8", "Trajectories": "var * uint8"}
    with uproot.recreate(path) as file:
        tree = file.mktree("EDepSimEvents", columns)
        if vertices:
            raw = [ak.Array([np.frombuffer(entry, np.uint8) for entry in part]) for part in (maps, tracks)]
            tree.extend(dict(zip(columns, (np.array(numbers, np.int32), *raw))))


def main() -> None:
    mode = os.environ.get("STAND_IN", "")
    if mode == "fail":
        print("Geant4 version Name: none\n-------- EEEE ------- G4Exception: no data files\n\n")
        sys.exit(3)
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "silent":
        sys.exit(0)
    options, macros = getopt.getopt(sys.argv[1:], "dD:e:g:o:p:quUvV:h")
    given = dict(options)
    require(set(given) == {"-g", "-o", "-p"} and len(macros) == 1, f"arguments {sys.argv[1:]}")
    require(given["-p"] == "QGSP_BERT", "physics list")
    require(not any("/" in name for name in (given["-g"], given["-o"], *macros)), "names without paths")
    require("PHYSLIST" not in os.environ, "PHYSLIST is set")
    text = Path(given["-g"]).read_text()
    sensitive = list(check_gdml(text).values())
    world = next(volume for volume in read_gdml(text)[0].values() if volume.mother is None)
    commands = run_macro(Path(macros[0]).read_text())
    if "/run/beamOn" not in commands:
        write(given["-o"], [], [], sensitive)
        return
    require(commands["/edep/hitSeparation"] == "volTPCActive -1 mm", "delta rays are kept apart")
    require(commands["/generator/kinematics/hepevt/flavor"] == "marley", "flavour")
    require(commands["/generator/kinematics/set"] == "hepevt" and "/generator/add" in commands, "generator")
    require(commands["/generator/time/set"] == commands["/generator/position/set"] == "free", "time and place")
    require(commands["/generator/count/set"] == "fixed", "count")
    require(commands["/generator/count/fixed/number"] == "1", "one vertex in an event")
    require(0 < int(commands["/edep/random/randomSeed"]) < 2**31, "seed")
    vertices = check_hepevt(Path(commands["/generator/kinematics/hepevt/input"]).read_text(), world)
    require(int(commands["/run/beamOn"]) == len(vertices), "number of events")
    numbers = list(range(len(vertices)))
    if mode.startswith("copy "):
        shutil.copyfile(mode.removeprefix("copy "), given["-o"])
        return
    if mode == "fewer":
        vertices, numbers = vertices[:-1], numbers[:-1]
    if mode == "renumbered":
        numbers = [number + 100 for number in numbers]
    if mode == "repeated":
        numbers = [0 for _ in numbers]
    if mode == "empty":
        sensitive = []
    write(given["-o"], numbers, vertices, sensitive)
    if mode == "truncated":
        raw = Path(given["-o"]).read_bytes()
        Path(given["-o"]).write_bytes(raw[: len(raw) // 2])


if __name__ == "__main__":
    main()
