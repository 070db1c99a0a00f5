"""Generated particles: laws of direction, flux, multiplicities, energies, and what is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from pipeline.config.generator import Block, Generator
from pipeline.config.load import config_from_json
from pipeline.detector.geometry import DetectorGeometry
from pipeline.errors import ConfigError
from pipeline.matter.particles import mass
from pipeline.produce.directions import unit
from pipeline.produce.generator import check_generator, events_of, expanded, particles_in, primaries
from pipeline.storage.detector import load_geometry
from pipeline.tables import Primaries

GEOMETRY = load_geometry("module0")
LOW, HIGH = np.array([-31.039, -83.8626, -30.431]), np.array([31.039, 40.2154, 30.431])
MUON = {"pdg": (13, -13), "kinetic_energy_mev": (1000.0, 1000.0)}

#: A right law is refused by chance in one of 10,000 tests; all seeds are fixed.
CHANCE = 1e-4


def block(**settings: Any) -> Block:
    return Block.model_validate({"species": (MUON,), **settings})


def thrown(events: int = 1000, seed: int = 1, geometry: DetectorGeometry = GEOMETRY, **settings: Any) -> Primaries:
    generator = expanded(Generator(blocks={"a": block(**{"vertices": (10, 10), **settings})}), geometry)
    return primaries(generator, geometry, seed, 0, events)


def agrees(sample: np.ndarray, distribution: Any) -> bool:
    """Whether numbers follow a distribution function, by the test of Kolmogorov and Smirnov."""
    return bool(kstest(sample, distribution).pvalue > CHANCE)


def uniform(low: float, high: float) -> Any:
    return lambda value: np.clip((np.asarray(value) - low) / (high - low), 0, 1)


def path(sample: Primaries) -> np.ndarray:
    """Straight path to the surface of the detector [cm]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exits = np.where(sample.direction > 0, HIGH - sample.position, LOW - sample.position) / sample.direction
    return np.where(sample.direction == 0, np.inf, exits).min(axis=1)


def face_of(sample: Primaries) -> np.ndarray:
    """The face, 2 * axis + upper, on which particles start."""
    distance = np.stack([sample.position - LOW, HIGH - sample.position], axis=2).reshape(-1, 6)
    assert np.all(distance.min(axis=1) < 1e-9)
    return distance.argmin(axis=1)


def inner_cosine(sample: Primaries) -> np.ndarray:
    face = face_of(sample)
    along = sample.direction[np.arange(len(face)), face // 2]
    return np.where(face % 2, -along, along)


@pytest.mark.parametrize("direction", ["isotropic", "flat_theta", "cosmic", (0.0, -3.0, 4.0)])
@pytest.mark.parametrize(("position", "shell"), [("box", None), ("border", None), ("faces", 2.0)])
def test_directions_have_length_one_and_positions_are_inside(direction: Any, position: str, shell: Any) -> None:
    sample = thrown(direction=direction, position=position, shell_cm=shell)
    np.testing.assert_allclose(np.linalg.norm(sample.direction, axis=1), 1.0, rtol=1e-12)
    assert np.all(sample.position >= LOW) and np.all(sample.position <= HIGH)
    if position != "box":
        depth = np.minimum(sample.position - LOW, HIGH - sample.position).min(axis=1)
        assert depth.max() <= (shell or 0) + 1e-9


def test_isotropic_is_uniform_in_solid_angle() -> None:
    """The cosine to every axis is uniform in (-1, 1)."""
    sample = thrown()
    assert all(agrees(sample.direction[:, axis], uniform(-1, 1)) for axis in range(3))
    assert np.allclose(np.cov(sample.direction.T), np.eye(3) / 3, atol=0.02)


def test_flat_theta_is_flat_about_the_axis_of_edep_sim() -> None:
    """Edep-sim's z is x of the simulation where the drift is along its x, and z where it is along its z."""
    for axis, geometry in ((0, GEOMETRY), (2, GEOMETRY.model_copy(update={"drift_axis": "z"}))):
        direction = thrown(direction="flat_theta", geometry=geometry).direction
        assert agrees(np.arccos(direction[:, axis]), uniform(0, np.pi))
        azimuth = np.arctan2(direction[:, (axis + 1) % 3], direction[:, (axis + 2) % 3])
        assert agrees(azimuth, uniform(-np.pi, np.pi))
        assert np.mean(direction[:, axis] ** 2) == pytest.approx(0.5, abs=0.015)


def test_cosmic_muons_come_from_above_with_cos_squared() -> None:
    """At a point the density in the cosine is 3 c^2."""
    direction = thrown(direction="cosmic").direction
    assert np.all(direction[:, 1] < 0)
    assert agrees((-direction[:, 1]) ** 3, uniform(0, 1))
    assert agrees(np.arctan2(direction[:, 0], direction[:, 2]), uniform(-np.pi, np.pi))


def test_cosmic_flux_is_the_same_everywhere_inside() -> None:
    """Through any plane inside: uniform, density 4 c^3 on a horizontal one; mean path is track length over rate.

    Rate of a box under intensity I0 cos^2: I0 (pi / 2 A_top + pi / 8 A_sides); track length: V times I0 2 pi / 3.
    """
    sample = thrown(2000, direction="cosmic", position="border")
    face = face_of(sample)
    assert not np.any(face == 2) and np.all(inner_cosine(sample) >= 0)
    size = HIGH - LOW
    sides = 2 * size[1] * (size[0] + size[2])
    rate = np.pi / 2 * size[0] * size[2] + np.pi / 8 * sides
    expected = np.prod(size) * 2 * np.pi / 3 / rate
    assert path(sample).mean() == pytest.approx(expected, abs=4 * path(sample).std() / np.sqrt(len(sample)))
    for height in (-50.0, -20.0, 20.0):
        along = (height - sample.position[:, 1]) / sample.direction[:, 1]
        at = sample.position + along[:, None] * sample.direction
        hit = (along > 0) & np.all((at > LOW) & (at < HIGH) | (np.arange(3) == 1), axis=1)
        assert agrees((-sample.direction[hit, 1]) ** 4, uniform(0, 1))
        assert agrees(at[hit, 0], uniform(LOW[0], HIGH[0])) and agrees(at[hit, 2], uniform(LOW[2], HIGH[2]))
    for axis, other in ((0, 2), (2, 0)):
        along = -sample.position[:, axis] / sample.direction[:, axis]
        at = sample.position + along[:, None] * sample.direction
        hit = (along > 0) & np.all((at > LOW) & (at < HIGH) | (np.arange(3) == axis), axis=1)
        assert agrees(at[hit, other], uniform(LOW[other], HIGH[other]))
        assert agrees(at[hit, 1], uniform(LOW[1], HIGH[1]))


def test_isotropic_flux_has_the_mean_chord_of_cauchy() -> None:
    """4 V / S, and the cosine law on the surface: c^2 is uniform."""
    sample = thrown(position="border", direction="isotropic_flux")
    size = HIGH - LOW
    assert path(sample).mean() == pytest.approx(2 / np.sum(1 / size), abs=4 * path(sample).std() / 100)
    assert agrees(inner_cosine(sample) ** 2, uniform(0, 1))
    assert chisquare(np.bincount(face_of(sample), minlength=6), areas() * len(sample)).pvalue > CHANCE


def test_isotropic_from_the_border_is_uniform_in_the_half_that_points_in() -> None:
    sample = thrown(position="border")
    assert agrees(inner_cosine(sample), uniform(0, 1))
    assert chisquare(np.bincount(face_of(sample), minlength=6), areas() * len(sample)).pvalue > CHANCE
    both = thrown(position="border", inward=False)
    assert agrees(inner_cosine(both), uniform(-1, 1))


def areas() -> np.ndarray:
    """Share of each face in the surface."""
    area = np.prod(HIGH - LOW) / (HIGH - LOW)
    return np.repeat(area / area.sum() / 2, 2)


def test_a_beam_enters_by_the_projected_area() -> None:
    beam = np.array([1.0, -2.0, 0.5])
    sample = thrown(position="border", direction=tuple(beam))
    np.testing.assert_allclose(sample.direction, np.tile(beam / np.linalg.norm(beam), (len(sample), 1)))
    expected = areas() * [1, 0, 0, 2, 0.5, 0]
    found = np.bincount(face_of(sample), minlength=6)
    assert np.all(found[expected == 0] == 0)
    used = expected > 0
    assert chisquare(found[used], len(sample) * expected[used] / expected.sum()).pvalue > CHANCE


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_a_vector_of_any_length_is_a_direction(scale: float) -> None:
    np.testing.assert_allclose(unit((3 * scale, 0.0, -4 * scale)), [0.6, 0, -0.8])


def test_a_shell_is_filled_evenly_and_only_inside_the_named_face() -> None:
    sample = thrown(position="faces", faces=("y_high",), shell_cm=3.0)
    assert agrees(sample.position[:, 1], uniform(HIGH[1] - 3, HIGH[1]))
    assert agrees(sample.position[:, 0], uniform(LOW[0], HIGH[0]))
    assert np.all(sample.direction[:, 1] < 0)


def test_ranges_and_margin_bound_positions() -> None:
    sample = thrown(x_cm=(-3.0, 4.0), margin_cm=5.0, time_us=(1.0, 3.0))
    assert agrees(sample.position[:, 0], uniform(-3, 4))
    assert agrees(sample.position[:, 1], uniform(LOW[1] + 5, HIGH[1] - 5))
    assert agrees(sample.time, uniform(1, 3))
    point = thrown(x_cm=(1.0, 1.0), y_cm=(2.0, 2.0), z_cm=(3.0, 3.0))
    assert np.all(point.position == [1, 2, 3])


def test_particles_of_a_vertex_start_together() -> None:
    sample = thrown(20, vertices=(3, 3), particles=(4, 4), time_us=(0.0, 10.0))
    position = sample.position.reshape(20, 3, 4, 3)
    assert np.all(position == position[:, :, :1]) and len(np.unique(position[:, :, 0, 0])) == 60
    assert np.all(sample.time.reshape(60, 4) == sample.time.reshape(60, 4)[:, :1])
    assert sample.vertex_id.tolist() == np.tile(np.repeat([0, 1, 2], 4), 20).tolist()
    assert len(np.unique(sample.direction, axis=0)) == len(sample)


def test_numbers_are_uniform_in_their_ranges() -> None:
    sample = thrown(3000, vertices=(0, 2), particles=(1, 4))
    vertices = np.zeros(3000)
    np.maximum.at(vertices, sample.event_id, sample.vertex_id + 1)
    assert chisquare(np.bincount(vertices.astype(int), minlength=3)).pvalue > CHANCE
    _, particles = np.unique(sample.event_id * 2 + sample.vertex_id, return_counts=True)
    assert chisquare(np.bincount(particles, minlength=5)[1:]).pvalue > CHANCE


def test_least_and_most_numbers_hold_at_every_vertex_and_weights_decide_the_rest() -> None:
    """One or two protons among five; each of the rest is a muon three times as often as a pion while both may be."""
    species = (
        {"pdg": (2212,), "number": (1, 2), "kinetic_energy_mev": (50.0, 60.0), "weight": 0.0},
        {"pdg": (13,), "kinetic_energy_mev": (50.0, 60.0), "weight": 3.0},
        {"pdg": (211,), "number": (0, 2), "kinetic_energy_mev": (50.0, 60.0), "weight": 1.0},
    )
    kinds = thrown(800, particles=(5, 5), species=species).pdg_id.reshape(-1, 5)
    protons, pions = np.sum(kinds == 2212, axis=1), np.sum(kinds == 211, axis=1)
    assert set(protons.tolist()) == {1}  # weight 0: not beyond the least
    assert pions.max() == 2
    p = 0.25
    none, one = (1 - p) ** 4, 4 * p * (1 - p) ** 3
    expected = len(kinds) * np.array([none, one, 1 - none - one])
    assert chisquare(np.bincount(pions, minlength=3), expected).pvalue > CHANCE


def test_blocks_follow_one_another_and_vertices_count_through() -> None:
    blocks = {
        "first": block(species=({"pdg": (13,), "kinetic_energy_mev": (10, 20)},), vertices=(0, 3)),
        "second": block(species=({"pdg": (2212,), "momentum_mev": (400, 500)},), vertices=(2, 2)),
    }
    generator = expanded(Generator(blocks=blocks), GEOMETRY)
    assert particles_in(generator) == (2, 5)
    sample = primaries(generator, GEOMETRY, 3, 0, 50)
    for event in range(50):
        rows = sample.take(sample.event_id == event)
        assert rows.vertex_id.tolist() == list(range(len(rows)))
        assert rows.pdg_id.tolist() == [13] * (len(rows) - 2) + [2212] * 2
    assert np.all(np.diff(sample.event_id) >= 0)


def test_energy_and_momentum() -> None:
    """E^2 = p^2 + m^2, for each species its own mass."""
    species = ({"pdg": (13, 2212), "momentum_mev": (100.0, 2000.0)},)
    sample = thrown(species=species)
    for code in (13, 2212):
        rows = sample.take(sample.pdg_id == code)
        total = rows.kinetic_energy + mass(code)
        assert agrees(np.sqrt(total**2 - mass(code) ** 2), uniform(100, 2000))
        assert len(rows) == pytest.approx(5000, abs=200)
    exact = thrown(10, species=({"pdg": (13,), "momentum_mev": (1000.0, 1000.0)},))
    np.testing.assert_allclose(exact.kinetic_energy, 899.90798, atol=1e-5)
    photon = thrown(10, species=({"pdg": (22,), "momentum_mev": (3.0, 3.0)},))
    np.testing.assert_allclose(photon.kinetic_energy, 3.0)
    assert agrees(thrown(species=({"pdg": (11,), "kinetic_energy_mev": (5.0, 50.0)},)).kinetic_energy, uniform(5, 50))


def test_the_cosmic_spectrum_is_that_of_muons_at_sea_level() -> None:
    """Mean energy about 4 GeV, flat below 1 GeV, E^-2.7 far above (Particle Data Group, Cosmic rays)."""
    species = ({"pdg": (13,), "kinetic_energy_mev": (1.0, 1e5), "spectrum": "cosmic"},)
    energy = thrown(10_000, species=species).kinetic_energy
    assert energy.mean() == pytest.approx(4000, rel=0.15)
    low = np.histogram(energy, bins=[1, 250, 500])[0]
    assert low[1] / low[0] == pytest.approx(1, abs=0.25)
    assert energy.min() >= 1 and energy.max() <= 1e5


def columns(sample: Primaries) -> list[bytes]:
    return [getattr(sample, name).tobytes() for name in Primaries.__dataclass_fields__]


MANY = Generator(
    blocks={
        "a": block(vertices=(0, 3), particles=(1, 3)),
        "b": block(vertices=(1, 2), position="border", direction="cosmic"),
    }
)


@pytest.mark.parametrize("cuts", [(0, 5, 10), (250, 256, 262), (250, 251, 600), (0, 0, 3)])
def test_an_event_is_the_same_however_the_sample_is_cut(cuts: tuple[int, int, int]) -> None:
    first, middle, last = cuts
    whole = primaries(MANY, GEOMETRY, 7, first, last - first)
    one, two = primaries(MANY, GEOMETRY, 7, first, middle - first), primaries(MANY, GEOMETRY, 7, middle, last - middle)
    for name in Primaries.__dataclass_fields__:
        joined = np.concatenate([getattr(one, name), getattr(two, name)])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert set(whole.event_id.tolist()) == set(range(first, last))


def test_same_seed_same_particles() -> None:
    one, two, other = (primaries(MANY, GEOMETRY, seed, 0, 20) for seed in (5, 5, 6))
    assert columns(one) == columns(two) != columns(other)


def test_no_events_no_particles() -> None:
    none = primaries(MANY, GEOMETRY, 1, 4, 0)
    assert len(none) == 0 and none.position.shape == (0, 3)
    empty = thrown(50, vertices=(0, 1), particles=(0, 1))
    assert 0 < len(empty) < 50


def test_ten_thousand_events_in_well_under_a_second() -> None:
    generator = expanded(Generator(preset="muon_1gev"), GEOMETRY)
    start = time.process_time()
    assert len(primaries(generator, GEOMETRY, 1, 0, 10_000)) == 100_000
    assert time.process_time() - start < 1.0


def test_number_of_events() -> None:
    assert events_of(Generator(preset="muon_1gev")) == 100
    assert events_of(Generator(preset="muon_1gev", events=3)) == 3
    assert events_of(MANY) == 100


REFUSED = {
    "preset_and_blocks": ({"preset": "mixed"}, {}, {}, "preset and blocks are given together"),
    "file_and_blocks": ({"dlp_file": "a.yaml"}, {}, {}, "dlp_file and blocks are given together"),
    "no_preset": ({"preset": "mixt"}, {}, {}, "preset must be 'muons_and_protons', "),
    "no_events": ({"events": 0}, {}, {}, "events must be at least 1, not 0"),
    "unknown": ({}, {}, {"pdg": [999]}, "there is no particle with PDG code 999"),
    "neutral": ({}, {}, {"pdg": [2112]}, "n (PDG 2112) is neutral and leaves no track"),
    "heavy": ({}, {}, {"pdg": [3222]}, "Sigma+ (PDG 3222) cannot be transported; choose from 11, -11, 13"),
    "no_pdg": ({}, {}, {"pdg": []}, "pdg is empty"),
    "twice": ({}, {}, {"pdg": [13, 13]}, "pdg lists a code twice"),
    "both": ({}, {}, {"momentum_mev": [1, 2]}, "kinetic_energy_mev or momentum_mev, and both are given"),
    "neither": ({}, {}, {"kinetic_energy_mev": None}, "and neither is given"),
    "negative": ({}, {}, {"kinetic_energy_mev": [-1, 2]}, "kinetic_energy_mev[0] must be above 0, not -1"),
    "nan": ({}, {}, {"kinetic_energy_mev": [1, "nan"]}, "kinetic_energy_mev[1] must be a finite number"),
    "upside_down": ({}, {}, {"kinetic_energy_mev": [5, 2]}, "the range [5, 2] is upside down"),
    "too_low": ({}, {}, {"kinetic_energy_mev": [0.01, 2]}, "for PDG 13, which can be transported from 0.05 to 100000"),
    "too_high": ({}, {}, {"kinetic_energy_mev": [1, 1e6]}, "which can be transported from 0.05 to 100000 MeV"),
    "proton": ({}, {}, {"pdg": [2212], "kinetic_energy_mev": [0.5, 2]}, "PDG 2212, which can be transported from 1 "),
    "momentum": (
        {}, {}, {"kinetic_energy_mev": None, "momentum_mev": [1, 2]}, "momentum_mev means 0.00473",
    ),
    "spectrum": ({}, {}, {"pdg": [2212], "spectrum": "cosmic"}, "the spectrum of muons"),
    "never": ({}, {}, {"number": [0, 0]}, "number [0, 0] means that there is never such a particle"),
    "no_vertices": ({}, {"vertices": [0, 0]}, {}, "vertices [0, 0] leave no particle in any event"),
    "no_particles": ({}, {"particles": [0, 0]}, {}, "particles [0, 0] leave no particle in any event"),
    "minus_one": ({}, {"particles": [-1, 2]}, {}, "particles[0] must be at least 0"),
    "crowd": ({}, {"vertices": [1, 10**9]}, {}, "blocks throw up to 1000000000 particles in an event"),
    "least": ({}, {"particles": [1, 3]}, {"number": [2, 3]}, "species need 2 particles at least (number)"),
    "most": ({}, {"particles": [1, 3]}, {"number": [0, 2]}, "species allow 2 particles at most (number, weight)"),
    "weights": ({}, {}, {"weight": 0}, "all weights of species are 0"),
    "weight": ({}, {}, {"weight": -1}, "weight must be at least 0"),
    "no_species": ({}, {"species": []}, {}, "species is empty"),
    "word": ({}, {"direction": "upwards"}, {}, "'upwards' is no direction; choose one of isotropic"),
    "two_numbers": ({}, {"direction": [1, 2]}, {}, "[1, 2] is no direction"),
    "nowhere": ({}, {"direction": [0, 0, 0]}, {}, "the vector [0, 0, 0] points nowhere"),
    "infinite": ({}, {"direction": [0, 0, "inf"]}, {}, "is no direction"),
    "flux_in_a_box": ({}, {"direction": "isotropic_flux"}, {}, "isotropic_flux is a flux through a surface"),
    "shell": ({}, {"position": "faces"}, {}, "position faces needs shell_cm"),
    "no_shell": ({}, {"shell_cm": 1}, {}, "position box does not use shell_cm"),
    "faces": ({}, {"faces": ["x_low"]}, {}, "position box does not use faces"),
    "face": ({}, {"position": "border", "faces": ["left"]}, {}, "faces[0] must be 'x_low', 'x_high'"),
    "outward_beam": ({}, {"inward": False}, {}, "inward false is for position border or faces"),
    "outside": ({}, {"z_cm": [20, 40]}, {}, "blocks.a: z_cm [20, 40] reaches out of the detector, which is there"),
    "margin": ({}, {"margin_cm": 31}, {}, "margin_cm of 31 cm leaves nothing of the detector"),
    "flat_border": ({}, {"position": "border", "x_cm": [1, 1]}, {}, "needs a box that is wide in x, y and z"),
    "thick": ({}, {"position": "faces", "shell_cm": 99}, {}, "shell_cm of 99 cm is thicker than the box, 60.862 cm"),
    "from_below": (
        {}, {"position": "border", "direction": "cosmic", "faces": ["y_low"]}, {}, "enters through y_low; name other",
    ),
    "beam": (
        {}, {"position": "border", "direction": [0, 0, 1], "faces": ["z_high"]}, {}, "through z_high; name other",
    ),
    "typing": ({}, {"direktion": "isotropic"}, {}, "did you mean sample.generator.blocks.a.direction?"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_generated_is_refused_in_one_sentence(name: str) -> None:
    generator, settings, species, words = REFUSED[name]
    muon = {"pdg": [13], "kinetic_energy_mev": [100, 200], **species}
    blocks = {"a": {"species": [muon], **settings}} if "preset" not in generator or name == "preset_and_blocks" else {}
    with pytest.raises(ConfigError) as refusal:
        config = config_from_json(json.dumps({"sample": {"generator": {"blocks": blocks, **generator}}}))
        check_generator(config.sample.generator, GEOMETRY)
    said = str(refusal.value)
    assert words in said and "sample.generator" in said
    assert "\n" not in said and "more to mend" not in said
