"""What the study of identity counts: known confusions, true and false probabilities, whose track is whose."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.identity import Identity
from pipeline.config.models import Config, Studies
from pipeline.reconstruct.features import FEATURES
from pipeline.report.plots import image
from pipeline.report.studies import identity as figure
from pipeline.storage.detector import load_geometry
from pipeline.storage.identity import write_training
from pipeline.storage.provenance import Provenance
from pipeline.study import identity
from pipeline.study.identity_examples import true_species
from pipeline.tables import SPECIES
from tests.reconstruct.lines import examples_of, line
from tests.tracks import straight_track

FLAT = dict.fromkeys(SPECIES, 1.0)


def test_the_confusion_matrix_counts_shares_of_the_truth() -> None:
    probability = np.eye(5)[[0, 0, 1, 1, 2, 2, 2]]
    found = identity.confusion_matrix(probability, np.array([0, 0, 0, 1, 2, 2, 1]))
    np.testing.assert_allclose(found[:3, :3], [[2 / 3, 1 / 3, 0], [0, 0.5, 0.5], [0, 0, 1]])
    assert np.isnan(found[3:]).all()
    # Each species as frequent as any other: of what is taken for a muon, all are.
    assert identity.purity(found)[:3] == pytest.approx([1, 0.5 / (0.5 + 1 / 3), 1 / 1.5])


def test_calibration_finds_true_probabilities_true_and_false_ones_false() -> None:
    rng = np.random.default_rng(1)
    share = rng.uniform(0, 1, 20_000)
    species = (rng.random(20_000) < share).astype(np.int64)
    nothing = np.zeros((20_000, 3))
    # The prior that gives each track the same weight.
    prior = dict(zip(SPECIES, [*np.bincount(species), 0, 0, 0], strict=True))
    true = np.column_stack([1 - share, share, nothing])
    for row in identity.calibration(true, species, prior, 10)["pion"]:
        assert abs(row["true"] - row["stated"]) < 4 * row["error"]
    bold = np.column_stack([1 - share**0.3, share**0.3, nothing])
    wrong = [
        abs(r["true"] - r["stated"]) > 4 * r["error"] for r in identity.calibration(bold, species, prior, 10)["pion"]
    ]
    assert sum(wrong) >= 7


def test_a_track_is_what_most_of_it_is_and_mixtures_are_nothing() -> None:
    track = line(np.full(12, 2.0))
    begin = track.segments.start[0]
    muon, pion = (
        straight_track(start=begin + np.array([k, 0.1, 0]), direction=(1, 0, 0), segments=12 - k, pdg=code, traj=k)
        for k, code in ((0, -13), (3, 211))
    )
    assert true_species(track, muon).tolist() == [0]
    assert true_species(track, pion).tolist() == [1]
    # However long the steps of a simulation are.
    one_step = muon.take(np.array([0])).replace(end=muon.end[-1:])
    assert true_species(track, one_step).tolist() == [0]
    far = muon.replace(start=muon.start + 3.0, end=muon.end + 3.0)
    assert true_species(track, far).tolist() == [-1]
    other_event = muon.replace(event_id=muon.event_id + 1)
    assert true_species(track, other_event).tolist() == [-1]
    thirds = [muon.take(np.arange(12) // 4 == k).replace(traj_id=np.full(4, k)) for k in range(3)]
    assert true_species(track, type(muon).concatenate(thirds)).tolist() == [-1]
    assert true_species(track, muon.replace(pdg_id=np.full(12, 3112))).tolist() == [-1]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """The study of examples that one feature tells apart but for muons and pions, of no sample."""
    rng = np.random.default_rng(2)
    species = np.arange(400) % 5
    features = np.zeros((400, len(FEATURES)))
    features[:, :2] = rng.normal(size=(400, 2))
    features[:, 0] += 8 * np.array([0, 0, 1, 2, 3])[species]
    examples = replace(examples_of(features, species, np.arange(400) // 5, FEATURES), contained=np.arange(400) % 2 == 0)
    path = tmp_path_factory.mktemp("examples") / "examples.h5"
    write_training(path, examples, Provenance("train", {}, {}, ""))
    config = Config.model_validate({"reconstruct": {"particles": {"training": str(path)}}})
    settings = Identity(identifications=("likelihood", "logistic"), sample_events=0, folds=3)
    config = config.model_copy(update={"study": Studies(identity=settings)})
    sample = straight_track()
    return identity.run(config, sample, load_geometry("module0"), lambda step: None)


def test_what_features_tell_is_learned_and_what_they_do_not_is_not(result) -> None:
    found = result["samples"]["generator"]["ways"]["logistic"]
    matrix = np.array(found["confusion"])
    assert np.diag(matrix)[2:].min() > 0.9
    assert 0.3 < matrix[0, 0] < 0.7
    assert found["loss"] < result["samples"]["generator"]["ways"]["likelihood"]["loss"] == pytest.approx(np.log(5))


def test_pions_among_muons_add_up_to_their_prior_where_nothing_tells(result) -> None:
    ways = result["samples"]["generator"]["ways"]
    assert ways["likelihood"]["pions"]["stated"] == pytest.approx(0.1)
    assert ways["logistic"]["pions"]["stated"] == pytest.approx(0.1, abs=0.06)


def test_the_result_is_drawn_and_told(result) -> None:
    plain = json.loads(json.dumps(result))
    drawn, caption = figure.draw(plain)
    assert len(image(drawn, "svg")) > 10_000
    assert "80 muons" in caption and "10 % pions" in caption
    head, rows = figure.rows(plain)
    assert len(rows) == 10 and all(len(row) == len(head) for row in rows)
    assert "400" not in identity.table(plain) and "generator: 80 muons, 80 pions" in identity.table(plain)
