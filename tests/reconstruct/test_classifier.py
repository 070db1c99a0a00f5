"""What is learned are likelihood ratios, whatever the mixture of the examples, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.reconstruct.classifier import Examples, balanced_loss, crossed, learn, learn_logistic
from pipeline.reconstruct.likelihood import posterior
from pipeline.tables import SPECIES, Floats
from tests.reconstruct.lines import examples_of

FLAT = dict.fromkeys(SPECIES, 1.0)
#: Means of two features of each species, which are Gaussian with width 1 about them.
MEANS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.5, 2.0], [-2.0, -1.0]])


def gaussians(numbers: tuple[int, ...], seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    species = np.repeat(np.arange(5), numbers)
    features = MEANS[species] + rng.normal(size=(len(species), 2))
    return examples_of(features, species)


def truth(features: Floats) -> Floats:
    """The exact probabilities under equal priors."""
    return posterior(-0.5 * ((features[:, None, :] - MEANS) ** 2).sum(axis=2), FLAT)


@pytest.mark.parametrize("numbers", [(2000,) * 5, (6000, 600, 1200, 600, 1200)])
def test_logistic_regression_finds_the_exact_probabilities_for_any_mixture(numbers: tuple[int, ...]) -> None:
    model = learn_logistic(gaussians(numbers, 1))
    test = gaussians((400,) * 5, 2)
    error = posterior(model.log_likelihood(test.features), FLAT) - truth(test.features)
    assert np.sqrt((error**2).mean()) < 0.03
    assert abs(error.mean(axis=0)).max() < 0.015


def test_boosting_comes_near_the_least_loss() -> None:
    examples, test = gaussians((200,) * 5, 1), gaussians((300,) * 5, 2)
    found = posterior(learn("boosting", examples).log_likelihood(test.features), FLAT)
    least = balanced_loss(truth(test.features), test.species, FLAT)
    assert least < balanced_loss(found, test.species, FLAT) < least + 0.35


@pytest.mark.parametrize("method", ["logistic", "boosting"])
def test_equal_examples_teach_the_same_to_the_bit(method) -> None:
    examples = gaussians((40,) * 5, 1)
    one, other = (learn(method, examples).log_likelihood(examples.features) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_no_track_is_identified_by_its_own_event() -> None:
    """Copies of a track in one event, with a species of chance, teach nothing about each other."""
    rng = np.random.default_rng(3)
    features, species = rng.normal(size=(150, 6)), rng.integers(0, 5, 150)
    copies = examples_of(*(np.repeat(a, 4, axis=0) for a in (features, species)), np.repeat(range(150), 4))
    found = posterior(crossed("logistic", copies, folds=3), FLAT)
    assert (found.argmax(axis=1) == copies.species).mean() < 0.35
    seen = posterior(learn_logistic(copies).log_likelihood(copies.features), FLAT)
    assert (seen.argmax(axis=1) == copies.species).mean() > 0.38


def test_species_without_examples_are_next_to_impossible() -> None:
    examples = gaussians((60, 60, 0, 60, 0), 4)
    for method in ("logistic", "boosting"):
        found = posterior(learn(method, examples).log_likelihood(examples.features), FLAT)
        assert found[:, [2, 4]].mean() < 0.02


def test_the_loss_weighs_species_by_the_prior() -> None:
    probability = np.array([[0.5, 0.5, 0, 0, 0], [0.75, 0.25, 0, 0, 0], [0.75, 0.25, 0, 0, 0]])
    prior = dict.fromkeys(SPECIES, 0.0) | {"muon": 0.9, "pion": 0.1}
    loss = balanced_loss(probability, np.array([0, 1, 1]), prior)
    assert loss == pytest.approx(-0.9 * np.log(0.5) - 0.1 * np.log(0.25))
