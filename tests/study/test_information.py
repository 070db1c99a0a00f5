"""Information adds up: over batches, over copies, and to what is known from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.storage.detector import load_geometry
from pipeline.study.expected_uncertainty import needed_length
from pipeline.study.information import BatchInformation, Case, batch_information, relative_uncertainty
from pipeline.tables import Segments
from tests.tracks import straight_track

ONE = np.array([[4.0, 1.0], [1.0, 2.0]])


def case(prior=(0.0, 0.0)) -> Case:
    return Case("some", (0, 1), np.array(prior))


def six(matrix: np.ndarray) -> np.ndarray:
    """A matrix of two parameters among six of which the others are known well."""
    whole = 1e6 * np.eye(6)
    whole[:2, :2] = matrix
    return whole


def test_uncertainties_are_roots_of_the_inverse_also_of_badly_scaled_matrices():
    # Variances of a 2 x 2 matrix: the other diagonal entry over the determinant.
    np.testing.assert_allclose(relative_uncertainty(ONE), np.sqrt([2 / 7, 4 / 7]), rtol=1e-14)
    scale = np.array([1e-9, 1e6])
    np.testing.assert_allclose(
        relative_uncertainty(ONE * np.outer(scale, scale)), np.sqrt([2 / 7, 4 / 7]) / scale, rtol=1e-12
    )


@pytest.mark.parametrize("matrix", [np.ones((2, 2)), np.zeros((2, 2)), -ONE])
def test_what_is_not_determined_has_no_number(matrix):
    assert np.isnan(relative_uncertainty(matrix)).all()


def test_what_is_determined_keeps_its_number_beside_what_is_not():
    np.testing.assert_array_equal(relative_uncertainty(np.diag([4.0, 0.0])), [0.5, np.nan])


@pytest.mark.parametrize("copies", [1, 4, 9])
def test_copies_of_a_track_lower_uncertainties_by_the_square_root_exactly(copies):
    batches = BatchInformation(np.full(copies, 30.0), np.repeat(six(ONE)[None], copies, axis=0))
    known = relative_uncertainty(batches.matrix.sum(axis=0))
    np.testing.assert_allclose(known, relative_uncertainty(six(ONE)) / np.sqrt(copies), rtol=1e-13)
    np.testing.assert_allclose(case().uncertainty(batches.per_cm(), 30.0 * copies), known[:2], rtol=1e-12)
    # Random samples of equal tracks are all alike.
    drawn = batches.resampled_per_cm(np.random.default_rng(1), 1e9, 20)
    np.testing.assert_allclose(drawn, np.broadcast_to(six(ONE) / 30.0, drawn.shape), rtol=1e-12)


def test_samples_of_unequal_tracks_scatter_as_their_number_says():
    rng = np.random.default_rng(3)
    matrix = np.array([six(ONE * f) for f in rng.uniform(0.5, 1.5, 400)])
    batches = BatchInformation(np.full(400, 10.0), matrix)
    relative = matrix[:, 0, 0].std() / matrix[:, 0, 0].mean()
    for length, number in ((400.0, 40), (4000.0, 400), (1e6, 400)):
        drawn = batches.resampled_per_cm(np.random.default_rng(2), length, 1500)[:, 0, 0]
        assert drawn.std() / drawn.mean() == pytest.approx(relative / np.sqrt(number), rel=0.06)
        assert drawn.mean() == pytest.approx(batches.per_cm()[0, 0], rel=0.01)


def test_the_needed_length_follows_the_square_root_law_without_priors():
    first, second = case().uncertainty(six(ONE), 1.0)
    found = [float(needed_length(case(), six(ONE), name, 0.01)) for name in CALIBRATED[:2]]
    np.testing.assert_allclose(found, [(first / 0.01) ** 2, (second / 0.01) ** 2], rtol=1e-9)
    stacked = needed_length(case(), np.array([six(ONE), six(4 * ONE)]), CALIBRATED[0], 0.01)
    assert stacked[1] == pytest.approx(stacked[0] / 4, rel=1e-9)


def test_priors_shorten_the_needed_length_and_what_is_never_known_stays_so():
    name = CALIBRATED[0]
    plain = float(needed_length(case(), six(ONE), name, 0.01))
    assert 0 < float(needed_length(case((0.0, 1e3)), six(ONE), name, 0.01)) < plain
    assert float(needed_length(case((1e8, 0.0)), six(ONE), name, 0.01)) == 0.0
    assert float(needed_length(case(), six(np.diag([0.0, 1.0])), name, 0.01)) == np.inf


def test_information_of_batches_adds_up_to_that_of_all_tracks():
    tracks = [
        straight_track(event=k, start=(-5 + k, 3.0 * k, 3 + 6 * k), direction=(1, 0.4, 0.3), segments=4)
        for k in range(3)
    ]
    dense = [t.replace(dE=f * t.dE, dEdx=f * t.dEdx) for t, f in zip(tracks, (1.0, 2.0, 4.0), strict=True)]
    sample = Segments.concatenate(dense)
    values = {n: nominal_values()[n] for n in CALIBRATED}
    config = Config()
    single, whole = (
        batch_information(config, sample, load_geometry("module0"), values, CALIBRATED, length) for length in (1.0, 1e4)
    )
    assert len(single.length) == 3 and len(whole.length) == 1
    assert single.total_length == pytest.approx(whole.total_length) == pytest.approx(12.0)
    np.testing.assert_allclose(single.matrix.sum(axis=0), whole.matrix[0], rtol=1e-9)
    assert (np.linalg.eigvalsh(whole.matrix[0]) > 0).all()
