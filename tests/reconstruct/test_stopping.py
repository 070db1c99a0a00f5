"""Tracks of particles that stop inside are kept, and turned to end there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.config.reconstruction import Stopping
from pipeline.detector import argon
from pipeline.errors import SelectionError
from pipeline.matter.scattering import across
from pipeline.parameters import nominal_values
from pipeline.reconstruct.charge import survival
from pipeline.reconstruct.likelihood import track_of_segments
from pipeline.reconstruct.recombination import recombination_of_stops
from pipeline.reconstruct.stopping import stopping_tracks, turned
from pipeline.storage.detector import load_geometry
from pipeline.tables import Reconstruction
from tests.reconstruct.ideal import ideal, produced

GEOMETRY = load_geometry("module0")
RESOLUTION = 0.04
NOMINAL = nominal_values()


@pytest.fixture(scope="module")
def protons():
    """Protons that stop inside and protons of 1 GeV, half of the tracks turned round; and where the former stopped."""
    species = [
        {"pdg": [2212], "number": [4, 4], "kinetic_energy_mev": energies}
        for energies in ([120.0, 200.0], [900.0, 1100.0])
    ]
    blocks = {"inside": {"particles": [8, 8], "species": species, "margin_cm": 25.0, "z_cm": [3.0, 28.0]}}
    (part,) = produced(blocks, 8, GEOMETRY, 5)
    found, _ = ideal(part, GEOMETRY, 5, least_cm=5.0)
    t = part.trajectories
    stops = t.end[(t.pdg_id == 2212) & (t.end_process == t.PROCESSES.index("stopped"))]
    return seen_with(found, NOMINAL, "birks"), stops


def lost_on_tracks(found: Reconstruction) -> dict[tuple[int, int], float]:
    """Energy [MeV] on each track by its event and number."""
    names = zip(found.tracks.event_id.tolist(), found.tracks.track_id.tolist(), strict=True)
    energy = np.bincount(track_of_segments(found), found.segments.dE, len(found.tracks))
    return dict(zip(names, energy.tolist(), strict=True))


def distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - others[None], axis=2).min(axis=1)


def test_protons_that_stop_are_kept_and_end_where_they_stopped(protons) -> None:
    found, stops = protons
    kept, _ = stopping_tracks(found, Stopping(), GEOMETRY, RESOLUTION, NOMINAL, "birks", "hits.h5")
    assert 15 < len(kept.tracks) < len(found.tracks)
    at_end, at_start = distance(kept.tracks.end, stops), distance(kept.tracks.start, stops)
    # Those that react on the way make tracks that end like others that stop in one of twenty cases.
    assert (at_end < 0.5).mean() > 0.9
    assert (at_start < 0.5).mean() < 0.1
    assert distance(found.tracks.end, stops)[found.tracks.length > 5].max() > 0.5  # half of them were the other way
    owner = track_of_segments(kept)
    for track in range(len(kept.tracks)):
        rows = np.flatnonzero(owner == track)
        assert kept.segments.end[rows[:-1]] == pytest.approx(kept.segments.start[rows[1:]], abs=1e-9)
        assert kept.segments.end[rows[-1]] == pytest.approx(kept.tracks.end[track], abs=1e-9)
        assert (np.diff(kept.residual_range[rows]) < 0).all()
        # They lose most in the end.
        assert kept.segments.dEdx[rows[-3:]].mean() > 1.5 * kept.segments.dEdx[rows[:3]].mean()


def test_a_track_turned_twice_is_itself_and_its_line_has_the_same_errors_in_space(protons) -> None:
    found, _ = protons
    rng = np.random.default_rng(1)
    root = rng.normal(size=(len(found.tracks), 4, 4))
    found = replace(found, tracks=replace(found.tracks, covariance=root @ root.swapaxes(1, 2)))
    every = np.ones(len(found.tracks), dtype=bool)
    once = turned(found, every)
    twice = turned(once, every)
    for name in ("start", "end", "direction", "covariance"):
        assert getattr(twice.tracks, name) == pytest.approx(getattr(found.tracks, name), abs=1e-9)
    for name in ("start", "end", "dEdx"):
        assert getattr(twice.segments, name) == pytest.approx(getattr(found.segments, name), abs=1e-12)
    assert twice.residual_range == pytest.approx(found.residual_range, abs=1e-9)

    def in_space(tracks) -> tuple[np.ndarray, np.ndarray]:
        # Covariance of the point 2 cm ahead of the middle in the direction of the first line.
        ahead = 2.0 * np.sign((tracks.direction * found.tracks.direction).sum(axis=1))
        axes = np.stack(across(tracks.direction), axis=2)
        matrix = np.concatenate([axes, axes * ahead[:, None, None]], axis=2)
        return matrix @ tracks.covariance @ matrix.swapaxes(1, 2)

    assert in_space(once.tracks) == pytest.approx(in_space(found.tracks), abs=1e-9)


def test_without_any_that_stops_a_sentence_says_so(protons) -> None:
    found, _ = protons
    with pytest.raises(
        SelectionError, match=r"hits.h5: none of \d+ tracks is a proton of 1000 cm or more that stops inside"
    ):
        stopping_tracks(found, Stopping(min_length_cm=1000.0), GEOMETRY, RESOLUTION, NOMINAL, "birks", "hits.h5")


@pytest.mark.parametrize(
    "recombination,truth",
    [
        ("birks", {"birks_ab": 0.82, "birks_kb": 0.0616, "electric_field": 0.45, "electron_lifetime": 1860.0}),
        ("birks", {"birks_ab": 0.79, "birks_kb": 0.0634, "electron_lifetime": 3800.0}),
        ("birks", {"birks_ab": 0.87, "birks_kb": 0.034, "electron_lifetime": 700.0}),
        ("box", {"box_alpha": 1.0, "box_beta": 0.24, "electron_lifetime": 1200.0}),
    ],
)
def test_with_a_detector_that_is_not_the_nominal_one_the_same_tracks_stop(protons, recombination, truth) -> None:
    """Charge as another recombination leaves it, in segments of 1 cm; of the field that crossers measure."""
    truth = {**NOMINAL, **truth}
    begun = {**NOMINAL, "electric_field": truth["electric_field"]}
    found = seen_with(protons[0], truth, recombination)
    at_truth, _ = stopping_tracks(found, Stopping(), GEOMETRY, RESOLUTION, truth, recombination, "hits.h5")
    kept, measured = stopping_tracks(found, Stopping(), GEOMETRY, RESOLUTION, begun, recombination, "hits.h5")
    same = set(map(tuple, at_truth.tracks.end.round(3).tolist())) & set(map(tuple, kept.tracks.end.round(3).tolist()))
    assert len(at_truth.tracks) > 15
    assert len(same) >= 0.85 * max(len(at_truth.tracks), len(kept.tracks))
    # Charges are what they are over the losses that stopping protons have.
    loss = torch.tensor([4.0, 8.0, 16.0], dtype=torch.float64)
    told, true = (
        argon.RECOMBINATION[recombination](loss, {n: torch.tensor(v) for n, v in values.items()}).numpy()
        for values in (measured, truth)
    )
    assert told == pytest.approx(true, rel=0.06)
    # Energies are the true ones, not those that the charge has at the values before.
    lost, seen = lost_on_tracks(protons[0]), lost_on_tracks(kept)
    assert np.median([seen[track] / lost[track] for track in seen]) == pytest.approx(1.0, abs=0.05)
    assert kept.segments.dE == pytest.approx(kept.segments.dEdx * kept.segments.length)
    # What has nothing to do with it stays.
    moved = {n for n in measured if measured[n] != begun[n]}
    assert moved == {*(("birks_ab", "birks_kb") if recombination == "birks" else ("box_alpha", "box_beta")),
                     "electron_lifetime"}  # fmt: skip


def test_argon_without_impurities_keeps_its_lifetime(protons) -> None:
    pure = {**NOMINAL, "electron_lifetime": np.inf}
    found = seen_with(protons[0], pure, "birks")
    kept, measured = stopping_tracks(found, Stopping(), GEOMETRY, RESOLUTION, pure, "birks", "hits.h5")
    assert len(kept.tracks) > 15 and measured["electron_lifetime"] == np.inf
    assert measured["birks_ab"] == pytest.approx(NOMINAL["birks_ab"], rel=0.05)


def test_without_a_track_that_may_have_stopped_values_stay(protons) -> None:
    found, _ = protons
    outside = replace(found, tracks=replace(found.tracks, contained=np.zeros(len(found.tracks), dtype=bool)))
    assert recombination_of_stops(outside, GEOMETRY, NOMINAL, "birks", "proton", RESOLUTION) == NOMINAL


def seen_with(found: Reconstruction, values: dict[str, float], recombination: str) -> Reconstruction:
    """Tracks with the charge that parameter values leave of their losses."""
    dedx = torch.tensor(found.segments.dEdx, dtype=torch.float64)
    escaped = argon.RECOMBINATION[recombination](dedx, {n: torch.tensor(v) for n, v in values.items()}).numpy()
    arrives = survival(found.segments.centre[:, 2], GEOMETRY, values)
    return replace(found, charge=argon.ELECTRONS_PER_MEV * found.segments.dE * escaped * arrives)
