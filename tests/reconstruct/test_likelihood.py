"""dE/dx against residual range: densities, directions, and that the truth suits best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.matter.stopping import beta_squared, largest_transfer
from pipeline.matter.straggling import landau_width, sample_loss
from pipeline.reconstruct.likelihood import electron_log_density, evidence, log_density, posterior
from pipeline.storage.detector import load_geometry
from pipeline.tables import SPECIES, Floats, Reconstruction
from tests.reconstruct.lines import line

GEOMETRY = load_geometry("module0")
HEAVY = ("muon", "pion", "proton", "kaon")


@pytest.mark.parametrize("species", HEAVY)
@pytest.mark.parametrize("residual", [1.0, 8.0, 60.0])
def test_densities_are_normalised(species: str, residual: float) -> None:
    log_dedx = np.linspace(np.log(0.2), np.log(200), 600)
    same = np.ones_like(log_dedx)
    density = np.exp(log_density(log_dedx, residual * same, same, SPECIES[species], 0.04 * same))
    # Unexplained segments have a constant density over a span of 5.
    total = np.trapezoid(density, log_dedx) - 0.02 / 5 * np.ptp(log_dedx)
    assert total == pytest.approx(0.98, abs=0.01)


def test_the_density_of_an_electron_is_normalised() -> None:
    log_dedx = np.linspace(np.log(0.02), np.log(300), 4000)
    total = np.trapezoid(np.exp(electron_log_density(log_dedx)), log_dedx) - 0.02 / 5 * np.ptp(log_dedx)
    assert total == pytest.approx(0.98, abs=0.01)


def stopping(species: str, length: int, rng: np.random.Generator) -> Reconstruction:
    """A track of 1 cm segments that stops at its end, with losses drawn by Vavilov's theory."""
    particle = mass(SPECIES[species])
    residual = length - 0.5 - np.arange(length)
    table = range_table(particle)
    first, last = table.energy(residual + 0.5), table.energy(residual - 0.5)
    energy, one = 0.5 * (first + last), np.ones(length)
    xi, most = landau_width(energy, one, particle), largest_transfer(energy, particle)
    return line(sample_loss(rng, first - last, xi, beta_squared(energy, particle), most))


@pytest.mark.parametrize("species", HEAVY)
def test_the_true_species_suits_best(species: str) -> None:
    """The mean of the log-likelihood ratio to any other species is positive (Gibbs)."""
    rng = np.random.default_rng(1)
    log = np.concatenate([evidence(stopping(species, 20, rng), GEOMETRY, 0.03).log_likelihood for _ in range(6)]).mean(
        axis=0
    )
    assert list(SPECIES)[int(log.argmax())] == species


def test_it_tells_where_a_proton_stops() -> None:
    found = evidence(stopping("proton", 15, np.random.default_rng(2)), GEOMETRY, 0.03)
    proton = list(SPECIES).index("proton")
    assert found.forward[0, proton] > 0.99
    assert found.stopping[0, proton] > 0.5
    assert found.segments[0] == 15


def test_a_track_turned_round_is_the_same_track() -> None:
    track = stopping("muon", 12, np.random.default_rng(3))
    turned = _turned(track)
    one, other = (evidence(t, GEOMETRY, 0.03) for t in (track, turned))
    np.testing.assert_allclose(one.log_likelihood, other.log_likelihood)
    np.testing.assert_allclose(one.forward[:, :4], 1 - other.forward[:, :4], atol=1e-9)


def test_who_leaves_has_not_stopped() -> None:
    inside = stopping("muon", 12, np.random.default_rng(4))
    edge = np.array([GEOMETRY.x_range[1] - 0.1, 0.0, 15.0])
    tracks = replace(inside.tracks, start=edge[None], end=edge[None])
    assert evidence(replace(inside, tracks=tracks), GEOMETRY, 0.03).stopping[0, 0] < 1e-3
    assert evidence(inside, GEOMETRY, 0.03).stopping[0, 0] > 0.3


def test_a_segment_without_charge_says_nothing() -> None:
    track = stopping("muon", 12, np.random.default_rng(5))
    dedx = np.where(np.arange(12) == 5, 0.0, track.segments.dEdx)
    silent = replace(track, segments=track.segments.replace(dEdx=dedx))
    assert evidence(silent, GEOMETRY, 0.03).segments[0] == 11


def test_probabilities_are_bayes_theorem() -> None:
    log = np.log(np.array([[0.5, 0.25, 0.25, 1e-9, 1e-9]]))
    prior = {"muon": 1.0, "pion": 2.0, "proton": 0.0, "kaon": 0.0, "electron": 0.0}
    np.testing.assert_allclose(posterior(log, prior)[0], [0.5, 0.5, 0, 0, 0], atol=1e-12)


def _turned(track: Reconstruction) -> Reconstruction:
    def back(values: Floats) -> Floats:
        return values[::-1]

    s = track.segments
    segments = s.replace(start=back(s.end), end=back(s.start), dE=back(s.dE), dEdx=back(s.dEdx))
    tracks = replace(track.tracks, start=track.tracks.end, end=track.tracks.start, direction=-track.tracks.direction)
    return replace(track, tracks=tracks, segments=segments)
