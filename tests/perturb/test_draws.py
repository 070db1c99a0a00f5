"""Random numbers of tracks and deposits."""

import numpy as np
import pytest
from scipy import stats

from pipeline.perturb.draws import normals, philox, uniforms


@pytest.mark.parametrize("seed", range(5))
def test_the_generator_is_philox(seed):
    """NumPy's own, which counts up before it draws."""
    rng = np.random.default_rng(seed)
    counter = rng.integers(0, 2**64, size=(4,), dtype=np.uint64)
    counter[0] = max(counter[0], np.uint64(1))
    key = rng.integers(0, 2**64, size=2, dtype=np.uint64)
    before = counter.copy()
    before[0] -= np.uint64(1)
    expected = np.random.Philox(counter=before, key=key).random_raw(4)
    np.testing.assert_array_equal(philox(counter[None], (int(key[0]), int(key[1])))[0], expected)


def test_known_answer():
    """Random123 1.14, kat_vectors: philox4x64, 10 rounds, of zeros and of ones."""
    zeros = philox(np.zeros((1, 4), dtype=np.uint64), (0, 0))[0]
    assert [f"{w:016x}" for w in zeros] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]
    ones = philox(np.full((1, 4), 2**64 - 1, dtype=np.uint64), (2**64 - 1, 2**64 - 1))[0]
    assert [f"{w:016x}" for w in ones] == [
        "87b092c3013fe90b",
        "438c3c67be8d0224",
        "9cc7d7c69cd777b6",
        "a09caebf594f0ba0",
    ]


def test_numbers_follow_their_distributions():
    events, trajs = np.divmod(np.arange(20_000), 7)
    for column in uniforms(3, "test", events, trajs).T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    drawn = normals(3, "test", events, trajs)
    for column in drawn.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    # 6 correlations of 20000 pairs, standard error 0.007 each.
    assert np.abs(np.corrcoef(drawn.T) - np.eye(4)).max() < 4 * 20_000**-0.5


def test_seed_purpose_and_identity_each_make_other_numbers():
    events, trajs = np.arange(1000), np.arange(1000) % 3
    draws = [
        uniforms(1, "a", events, trajs),
        uniforms(2, "a", events, trajs),
        uniforms(1, "b", events, trajs),
        uniforms(1, "a", trajs, events),
        uniforms(1, "a", events, trajs, np.ones(1000, dtype=np.int64)),
    ]
    flat = np.concatenate([d.ravel() for d in draws])
    # Columns of zeros are the same as no columns, and (0, 0), (1, 1), (2, 2) are their own exchange.
    assert len(np.unique(flat)) == len(flat) - 3 * 4


def test_negative_identities_and_large_seeds_are_fine():
    drawn = uniforms(2**63 - 1, "a", np.array([-1, -(2**62), 2**62]))
    assert np.all((drawn > 0) & (drawn < 1)) and len(np.unique(drawn)) == 12
