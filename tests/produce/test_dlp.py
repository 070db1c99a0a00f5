"""Files of DLPGenerator: units, frame, numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.generator import Generator
from pipeline.errors import ConfigError
from pipeline.produce.dlp import dlp_blocks
from pipeline.produce.generator import expanded, particles_in, primaries
from pipeline.storage.detector import load_geometry
from pipeline.storage.yaml_text import parse_yaml

from ..conftest import ROOT

GEOMETRY = load_geometry("module0")

FILE = """\
SEED: -1
Debug: False

near the face:
  NumEvent: [2, 2]
  NumParticle: [2, 3]
  XRange: [280, 300]
  YRange: [-830, 400]
  ZRange: [-300, 0]
  TRange: [0, 2000]
  AddParent: True
  Particles:
    -
      PDG: [13, 211]
      NumRange: [1, 3]
      KERange: [0.1, 2.0]
      UseMom: True
      Weight: 1
    -
      PDG: [2212]
      NumRange: [1, 1]
      KERange: [0, 0.5]
      Weight: 2.5
"""


def read(text: str, tmp_path: Path, **settings: str) -> Generator:
    file = tmp_path / "bomb.yaml"
    file.write_text(text)
    return expanded(Generator.model_validate({"dlp_file": str(file), **settings}), GEOMETRY)


def test_units_and_frame() -> None:
    """mm to cm, ns to us, GeV to MeV; edep-sim's x is the drift, z of the simulation."""
    (block,) = dlp_blocks(parse_yaml(FILE, "file"), "x", "flat_theta").values()
    assert block.z_cm == pytest.approx((28, 30)) and block.x_cm == pytest.approx((-30, 0))
    assert block.y_cm == pytest.approx((-83, 40)) and block.time_us == pytest.approx((0, 2))
    muons, protons = block.species
    assert muons.momentum_mev == pytest.approx((100, 2000)) and muons.kinetic_energy_mev is None
    assert protons.kinetic_energy_mev == pytest.approx((1, 500))  # from 0: the lowest that can be transported
    assert (muons.weight, protons.weight) == (1, 2.5) and muons.number == (1, 3)
    (unswapped,) = dlp_blocks(parse_yaml(FILE, "file"), "z", "flat_theta").values()
    assert unswapped.x_cm == pytest.approx((28, 30)) and unswapped.z_cm == pytest.approx((-30, 0))


def test_particles_are_what_the_file_asks_for(tmp_path: Path) -> None:
    generator = read(FILE, tmp_path)
    assert particles_in(generator) == (4, 6) and generator.events == 100
    sample = primaries(generator, GEOMETRY, 1, 0, 500)
    assert sample.position[:, 2].min() >= 28 and sample.position[:, 2].max() <= 30
    vertex = sample.event_id * 2 + sample.vertex_id
    protons = np.bincount(vertex, weights=sample.pdg_id == 2212, minlength=1000)
    assert np.all(protons == 1)  # NumRange [1, 1]
    assert np.all(np.bincount(vertex) - protons >= 1)
    # Theta is flat about the beam, z of edep-sim: <cos^2> = 1/2 along x of the simulation.
    square = sample.direction[:, 0] ** 2
    assert square.mean() == pytest.approx(0.5, abs=4 * square.std() / np.sqrt(len(square)))


def test_directions_of_its_later_versions_are_isotropic(tmp_path: Path) -> None:
    generator = read(FILE, tmp_path, dlp_direction="isotropic")
    square = primaries(generator, GEOMETRY, 1, 0, 500).direction[:, 0] ** 2
    assert square.mean() == pytest.approx(1 / 3, abs=4 * square.std() / np.sqrt(len(square)))


def test_several_blocks_keep_their_order(tmp_path: Path) -> None:
    other = FILE[FILE.index("near") :].replace("near the face", "../b").replace("[2, 2]", "[1, 1]")
    assert [block.vertices for block in read(FILE + other, tmp_path).blocks.values()] == [(2, 2), (1, 1)]


REFUSED = {
    "neutral": ("[2212]", "[2112]", "line 20: near the face.Particles[1]: n (PDG 2112) is neutral"),
    "word": ("PDG: [13, 211]", "PDG: [muon]", "PDG: a list of PDG codes is needed"),
    "energy": ("[0, 0.5]", "[0, 500]", "1 to 500000 MeV of kinetic energy for PDG 2212"),
    "nan": ("[0, 0.5]", "[.nan, 0.5]", "KERange"),
    "below": ("[0, 0.5]", "[-1, 0.5]", "line 22: near the face.Particles[1].KERange: an energy cannot be negative"),
    "upside_down": ("[-830, 400]", "[400, -830]", "position: the range [40, -83] is upside down"),
    "outside": ("[280, 300]", "[280, 400]", "bomb.yaml: near the face: XRange [28, 40] reaches out of the detector"),
    "beside": ("[-300, 0]", "[-400, 0]", "ZRange [-40, 0] reaches out of the detector, which is there from -31.039"),
    "least": ("[1, 3]\n", "[3, 3]\n", "species need 4 particles at least (number)"),
    "most": ("[1, 3]\n", "[1, 1]\n", "species allow 2 particles at most"),
    "none": ("NumEvent: [2, 2]", "NumEvent: [0, 0]", "vertices [0, 0] leave no particle"),
    "float": ("NumEvent: [2, 2]", "NumEvent: [2, 2.5]", "line 5: near the face.NumEvent: [low, high] of"),
    "single": ("NumEvent: [2, 2]", "NumEvent: 2", "near the face.NumEvent: [low, high] of two whole numbers"),
    "many": ("NumEvent: [2, 2]", "NumEvent: [2, 999999]", "blocks throw up to 2999997 particles in an event"),
    "missing": ("  TRange: [0, 2000]\n", "", "line 4: near the face: TRange is missing; add it."),
    "typing": ("KERange: [0, 0.5]", "KeRange: [0, 0.5]", "this is not a key of DLPGenerator; did you mean KERange?"),
    "weight": ("Weight: 2.5", "Weight: heavy", "Weight"),
    "flag": ("UseMom: True", "UseMom: 1", "UseMom: True or False is needed, not 1"),
    "inward": ("AddParent: True", "ShootInward: True", "line 11: near the face.ShootInward: this key"),
    "selection": ("SEED: -1", "InteractionSelection: {Mode: weighted_random}", "line 1: InteractionSelection: this"),
    "root": ("SEED: -1", "Seed: 3", "line 1: Seed: a block of settings is needed"),
    "particles": ("Particles:\n    -", "Particles:\n    - 13\n    -", "Particles[0]: a particle is settings"),
    "empty": (FILE, "SEED: 1\n", "has no block of DLPGenerator"),
    "no_yaml": ("SEED: -1", "SEED: [", "this is not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    old, new, words = REFUSED[name]
    assert old in FILE
    with pytest.raises(ConfigError) as refusal:
        read(FILE.replace(old, new, 1), tmp_path)
    assert words in str(refusal.value) and "bomb.yaml" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        expanded(Generator(dlp_file="nowhere.yaml"), GEOMETRY)


def test_inward_switched_off_changes_nothing(tmp_path: Path) -> None:
    assert read(FILE.replace("AddParent: True", "ShootInward: False"), tmp_path) == read(FILE, tmp_path)


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "generator.md").read_text().split("```text\n")[1].split("```")[0]
    assert particles_in(read(text, tmp_path)) == (2, 8)
