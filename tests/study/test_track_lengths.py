"""Track lengths by species: every track counted once, the cut where it is set."""

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.select.cuts import apply_cuts
from pipeline.storage.detector import load_geometry
from pipeline.study import track_lengths
from tests.tracks import random_tracks


@pytest.fixture(scope="module")
def tracks():
    return random_tracks(3, 200)


def study(tracks, **select):
    config = Config.model_validate({"select": select})
    return track_lengths.run(config, tracks, load_geometry("module0"), lambda step: None)


def test_every_track_is_counted_once(tracks):
    rows = study(tracks)["species"]
    assert sum(row["tracks"] for row in rows) == len(np.unique(tracks.track_index()))
    assert all(sum(row["counts"]) == row["tracks"] for row in rows)
    assert all(sum(row["kept_counts"]) == row["kept_tracks"] <= row["tracks"] for row in rows)
    assert sum(row["length_cm"] for row in rows) == pytest.approx(tracks.length.sum())
    assert [row["name"] for row in rows] == ["muons", "pions", "protons"]


def test_what_is_left_is_what_the_cuts_leave_without_the_limit_on_length(tracks):
    found = study(tracks, max_total_length_cm=30.0)
    select = Config().select.model_copy(update={"max_total_length_cm": None})
    selection = apply_cuts(tracks, select, load_geometry("module0"), 1, "test")
    left = selection.segments.length.sum()
    assert left > 100
    assert sum(row["left_length_cm"] for row in found["species"]) == pytest.approx(left)


def test_no_kept_track_is_shorter_than_the_cut(tracks):
    found = study(tracks, min_track_length_cm=5.0)
    upper = np.array(found["edges_cm"])[1:]
    kept = np.sum([row["kept_counts"] for row in found["species"]], axis=0)
    counts = np.sum([row["counts"] for row in found["species"]], axis=0)
    assert found["min_track_length_cm"] == 5.0
    assert kept.sum() > 10 and not kept[upper < 5.0].any() and counts[upper < 5.0].any()


def test_other_particles_and_antiparticles_have_their_rows(tracks):
    pdg = np.where(tracks.traj_id % 2 == 0, -tracks.pdg_id, 321)
    names = [row["name"] for row in study(tracks.replace(pdg_id=pdg))["species"]]
    assert "other" in names and "muons" not in names[1:] and len(names) >= 3
