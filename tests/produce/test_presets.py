"""Samples known by name: against the settings they stand for, and the samples that they make anew."""

from __future__ import annotations

from typing import Any, get_args

import h5py
import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp, kstest

from pipeline.config.generator import Generator, Preset
from pipeline.config.models import Select
from pipeline.detector.geometry import geometry_from_mapping
from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.produce.generator import check_generator, expanded, particles_in, primaries
from pipeline.select.cuts import apply_cuts
from pipeline.storage.detector import load_geometry
from pipeline.tables import Primaries, Segments

from ..conftest import SharedData

GEOMETRY = load_geometry("module0")
LOW, HIGH = np.array([-31.039, -83.8626, -30.431]), np.array([31.039, 40.2154, 30.431])
PRESETS = get_args(Preset)


def made(preset: Preset, events: int | None = None, seed: int = 1) -> Primaries:
    generator = expanded(Generator(preset=preset, events=events), GEOMETRY)
    return primaries(generator, GEOMETRY, seed, 0, generator.events or 0)


def path(sample: Primaries) -> tuple[np.ndarray, np.ndarray]:
    """Straight path [cm] until a particle stops or leaves, without nuclear interactions, and whether it stops."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exits = np.where(sample.direction > 0, HIGH - sample.position, LOW - sample.position) / sample.direction
    exits = np.where(sample.direction == 0, np.inf, exits).min(axis=1)
    ranges = np.zeros(len(sample))
    for code in np.unique(sample.pdg_id):
        rows = sample.pdg_id == code
        ranges[rows] = range_table(mass(int(code))).range(sample.kinetic_energy[rows])
    return np.minimum(exits, ranges), ranges < exits


def straight(sample: Primaries, step: float = 0.5) -> Segments:
    """Deposits of 2 MeV/cm along straight paths."""
    length, _ = path(sample)
    number = np.maximum(np.ceil(length / step), 1).astype(int)
    row = np.repeat(np.arange(len(sample)), number)
    along = np.arange(len(row)) - np.repeat(np.cumsum(number) - number, number)
    dx = (length / number)[row]
    start = sample.position[row] + (along * dx)[:, None] * sample.direction[row]
    zero = np.zeros(len(row))
    return Segments(
        event_id=sample.event_id[row],
        vertex_id=sample.vertex_id[row],
        segment_id=np.arange(len(row)),
        traj_id=row - np.searchsorted(sample.event_id, sample.event_id[row]),
        pdg_id=sample.pdg_id[row],
        start=start,
        end=start + dx[:, None] * sample.direction[row],
        t0=zero,
        t0_start=zero,
        t0_end=zero,
        dE=2 * dx,
        dx=dx,
        dEdx=np.full(len(row), 2.0),
    )


def first_rows(file: Any) -> Any:
    """Rows of the `segments` of an HDF5 file in edep-sim's frame that begin a track, as a structured array."""
    with h5py.File(file) as content:
        rows = content["segments"][:]
    _, first = np.unique(rows["eventID"].astype(np.int64) * 10**6 + rows["trackID"], return_index=True)
    return rows[first]


def begin(rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Start [cm] and direction of steps, in the simulation frame (x and z of edep-sim's swapped)."""
    start, end = (np.stack([rows[f"{axis}_{at}"] for axis in "zyx"], axis=1).astype(float) for at in ("start", "end"))
    return start, (end - start) / np.linalg.norm(end - start, axis=1)[:, None]


def inner_cosine(start: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine to the inner normal of the nearest face, and the face."""
    face = np.stack([start - LOW, HIGH - start], axis=2).reshape(-1, 6).argmin(axis=1)
    along = direction[np.arange(len(face)), face // 2]
    return np.where(face % 2, -along, along), face


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_works_from_its_name_in_any_detector(preset: Preset) -> None:
    sample = made(preset)
    generator = expanded(Generator(preset=preset), GEOMETRY)
    least, most = particles_in(generator)
    assert len(np.unique(sample.event_id)) == generator.events
    assert least == most and len(sample) == generator.events * least
    content = GEOMETRY.model_dump()
    content.update(drift_axis="z", x_range=(0, 100), y_range=(0, 50), pixels=(100, 50), pixel_pitch=1.0)
    content["tpcs"] = [{"tpc": 0, "z_anode": 0, "z_cathode": 50}]
    check_generator(Generator(preset=preset), geometry_from_mapping(content))


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_default_leaves_muons_and_protons_after_the_default_cuts(seed: int) -> None:
    """600 cm are wanted (select.max_total_length_cm); straight paths, so with half as much again in hand."""
    selection = apply_cuts(
        straight(made("muons_and_protons", seed=seed)), Select(max_total_length_cm=None), GEOMETRY, seed, "sample"
    )
    kept = selection.segments
    proton = kept.pdg_id == 2212
    assert kept.dx.sum() > 900
    assert kept.dx[proton].sum() > 200 and kept.dx[~proton].sum() > 200


def test_muon_1gev_starts_as_the_sample_of_geant4(shared_data: SharedData) -> None:
    """Faces by area, cosine to the inner normal uniform (isotropic in the half that points in, not a flux)."""
    rows = first_rows(shared_data / "g4_muon_1gev_100ev.h5")
    theirs, their_face = inner_cosine(*begin(rows[np.abs(rows["pdgId"]) == 13]))
    sample = made("muon_1gev")
    ours, our_face = inner_cosine(sample.position, sample.direction)
    assert len(ours) == len(theirs) == 1000
    assert ks_2samp(ours, theirs).pvalue > 0.01
    assert kstest(theirs, "uniform").pvalue > 0.01 and kstest(theirs**2, "uniform").pvalue < 1e-9
    area = np.prod(HIGH - LOW) / (HIGH - LOW)
    for face in (our_face, their_face):
        assert chisquare(np.bincount(face, minlength=6), 1000 * np.repeat(area / area.sum() / 2, 2)).pvalue > 0.01
    assert np.all(sample.kinetic_energy == 1000) and set(sample.pdg_id.tolist()) == {13, -13}


def test_stopping_protons_start_as_the_sample_of_geant4(shared_data: SharedData) -> None:
    """Six protons of 100 to 300 MeV at places of their own, at least 5 cm inside, isotropic."""
    rows = first_rows(shared_data / "g4_stopping_proton_150ev.h5")
    start, direction = begin(rows[rows["trackID"] < 6])
    sample = made("stopping_proton")
    assert len(sample) == len(start) == 900
    for axis in range(3):
        assert ks_2samp(sample.position[:, axis], start[:, axis]).pvalue > 0.01
        assert ks_2samp(sample.direction[:, axis], direction[:, axis]).pvalue > 0.01
    assert sample.kinetic_energy.min() >= 100 and sample.kinetic_energy.max() <= 300


def test_mixed_starts_as_the_published_sample(shared_data: SharedData) -> None:
    """Two particles at each face, in a shell 2 cm thick; species alike; theta flat about the beam, also outwards."""
    rows = first_rows(shared_data / "edepsim_mixed_100ev.h5")
    rows = rows[rows["trackID"] < 12]
    _, direction = begin(rows)
    sample = made("mixed")
    assert len(sample) == 1200 and len(rows) == pytest.approx(1200, abs=5)
    for codes, number in (
        np.unique(found, return_counts=True) for found in (rows["pdgId"].astype(int), sample.pdg_id.astype(int))
    ):
        assert codes.tolist() == [-211, 13, 211, 2212]
        assert chisquare(number).pvalue > 0.01
    for axis in range(3):
        assert ks_2samp(sample.direction[:, axis], direction[:, axis]).pvalue > 0.01
    assert kstest(np.arccos(direction[:, 0]) / np.pi, "uniform").pvalue > 0.01
    _, face = inner_cosine(sample.position, sample.direction)
    depth = np.stack([sample.position - LOW, HIGH - sample.position], axis=2).reshape(-1, 6).min(axis=1)
    assert depth.max() <= 2.0
    # A particle in a corner may be nearer to the neighbouring face than to its own.
    assert np.all(np.abs(np.bincount(face, minlength=6) - 200) < 30)


def test_mixed_has_the_momenta_of_the_published_sample(shared_data: SharedData) -> None:
    """Protons below 100 MeV that stop inside, by their range: as many as expected for 100 to 2000 MeV/c, and as fast.

    True stops are those whose range agrees with the energy they left; others have interacted.
    """
    with h5py.File(shared_data / "edepsim_mixed_100ev.h5") as content:
        steps = content["segments"][:]
    steps = steps[(steps["trackID"] < 12) & (steps["pdgId"] == 2212)]
    number = steps["eventID"].astype(np.int64) * 12 + steps["trackID"]
    order = np.argsort(number, kind="stable")
    steps = steps[order]
    track, first = np.unique(number[order], return_index=True)
    length, energy = (np.add.reduceat(steps[name].astype(float), first) for name in ("dx", "dE"))
    last = np.r_[first[1:], len(steps)] - 1
    end = np.stack([steps[f"{axis}_end"][last] for axis in "zyx"], axis=1)
    by_range = range_table(mass(2212)).energy(length)
    stopped = np.all((end > LOW + 0.5) & (end < HIGH - 0.5), axis=1) & (np.abs(by_range / energy - 1) < 0.12)
    slow = by_range[stopped & (by_range < 100)]
    sample = made("mixed", events=20_000)
    _, stops = path(sample)
    proton = sample.pdg_id == 2212
    wanted = stops & proton & (sample.kinetic_energy < 100)
    expected = len(track) * wanted.sum() / proton.sum()
    assert abs(len(slow) - expected) < 2 * np.sqrt(expected)
    assert ks_2samp(slow, sample.kinetic_energy[wanted]).pvalue > 0.01
    # Momenta begin at 100 MeV/c: 5.3 MeV of a proton.
    assert 5.3 < slow.min() < 6


def test_most_stopping_particles_stop() -> None:
    for preset in ("stopping_proton", "stopping_muon"):
        _, stops = path(made(preset))
        assert stops.mean() > 0.55


def test_cosmic_muons_have_the_charge_ratio_and_come_from_above() -> None:
    sample = made("cosmic_muon", events=4000)
    assert np.all(sample.direction[:, 1] < 0)
    ratio = np.sum(sample.pdg_id == -13) / np.sum(sample.pdg_id == 13)
    assert ratio == pytest.approx(1.28, abs=4 * 2.28 * np.sqrt(1.28 / len(sample)))
