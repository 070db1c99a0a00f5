"""Probabilities of species learned from tracks of known species; plain arrays, the same from the same examples.

The classes weigh the same in learning, so that what is learned are likelihoods up to a common factor: the prior comes
in afterwards, by Bayes' theorem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from ..tables import SPECIES, Bools, Floats, Ints

#: Methods that learn.
Learned = Literal["logistic", "boosting"]

#: Width of the Gaussian prior of the weights of the logistic regression, per width of a feature, and the limit on its
#: iterations.
_WIDTH, _ITERATIONS = 0.4, 500

#: Least probability that is stated.
_LEAST = 1e-9


@dataclass(frozen=True)
class Examples:
    """Tracks of known species: `features` `(n, k)` named `names`, `species` `(n,)` numbers in the order of `SPECIES`,
    `event` `(n,)` numbers of events, whose tracks belong together; what is not learned from: `log_likelihood` `(n, 5)`
    by dE/dx against residual range, `length` `(n,)` [cm], and whether the last end is `contained` `(n,)`.
    """

    names: tuple[str, ...]
    features: Floats
    species: Ints
    event: Ints
    log_likelihood: Floats
    length: Floats
    contained: Bools

    def take(self, index: npt.NDArray[Any]) -> Examples:
        """The tracks chosen by a boolean mask or an index array."""
        return Examples(self.names, *(getattr(self, f.name)[index] for f in fields(self)[1:]))

    @staticmethod
    def concatenate(parts: Sequence[Examples]) -> Examples:
        """All tracks of `parts`, in order; at least one part, all with the same features."""
        columns = [f.name for f in fields(Examples)[1:]]
        return Examples(parts[0].names, *(np.concatenate([getattr(p, name) for p in parts]) for name in columns))

    def __len__(self) -> int:
        return len(self.species)


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression: `softmax(z W + b)` of features and their squares.

    Features `(n, k)` are made `(x - centre) / width` and cut at `limit` widths; `centre`, `width` `(k,)`, `weight` W
    `(2k, 5)`, `intercept` b `(5,)`.
    """

    names: tuple[str, ...]
    centre: Floats
    width: Floats
    weight: Floats
    intercept: Floats
    limit: float = 4.0

    def log_likelihood(self, features: Floats) -> Floats:
        """`(n, 5)` log-likelihoods up to a factor that species share, of features `(n, k)`."""
        return np.asarray(_expanded(self, features) @ self.weight + self.intercept)


def learn_logistic(examples: Examples) -> Logistic:
    """The logistic regression that suits the examples best, with a Gaussian prior on its weights."""
    centre, width = examples.features.mean(axis=0), examples.features.std(axis=0)
    width = np.where(width > 1e-9, width, 1.0)
    k, classes = len(centre), len(SPECIES)
    start = Logistic(examples.names, centre, width, np.zeros((2 * k, classes)), np.zeros(classes))
    z = _expanded(start, examples.features)
    truth = np.eye(classes)[examples.species]
    share = _equal_weights(examples.species)

    penalty = 1 / (len(examples) * _WIDTH**2)

    def loss(flat: Floats) -> tuple[float, Floats]:
        weight, intercept = flat[:-classes].reshape(2 * k, classes), flat[-classes:]
        score = z @ weight + intercept
        score -= score.max(axis=1, keepdims=True)
        log = score - np.log(np.exp(score).sum(axis=1, keepdims=True))
        slope = share[:, None] * (np.exp(log) - truth)
        value = -(share[:, None] * truth * log).sum() + 0.5 * penalty * (weight**2).sum()
        gradient = np.concatenate([(z.T @ slope + penalty * weight).ravel(), slope.sum(axis=0)])
        return float(value), gradient

    found = minimize(
        loss, np.zeros((2 * k + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS}
    )
    weight, intercept = found.x[:-classes].reshape(2 * k, classes), found.x[-classes:]
    return Logistic(examples.names, centre, width, weight, intercept)


@dataclass(frozen=True)
class Boosting:
    """Boosted decision trees on histograms of the features, grown anew from examples whenever they are wanted."""

    names: tuple[str, ...]
    trees: Any

    def log_likelihood(self, features: Floats) -> Floats:
        """As `Logistic.log_likelihood`; species without examples are next to impossible."""
        probability = np.zeros((len(features), len(SPECIES)))
        if len(features):
            probability[:, self.trees.classes_] = self.trees.predict_proba(features)
        return np.log(np.maximum(probability, _LEAST))


def learn_boosting(examples: Examples) -> Boosting:
    """Trees that suit the examples; nothing in them is drawn at random."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import

    trees = HistGradientBoostingClassifier(
        learning_rate=0.06,
        max_iter=80,
        max_leaf_nodes=6,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    )
    weight = _equal_weights(examples.species) * len(examples)
    return Boosting(examples.names, trees.fit(examples.features, examples.species, sample_weight=weight))


Classifier = Logistic | Boosting


def learn(method: Learned, examples: Examples) -> Classifier:
    """A classifier of the kind `method`."""
    return learn_logistic(examples) if method == "logistic" else learn_boosting(examples)


def crossed(method: Learned, examples: Examples, folds: int = 4) -> Floats:
    """`(n, 5)` log-likelihoods of the examples, each by a classifier that has seen none of its event."""
    fold = np.unique(examples.event, return_inverse=True)[1] % folds
    found = np.zeros((len(examples), len(SPECIES)))
    for k in range(folds):
        seen, kept = fold != k, fold == k
        found[kept] = learn(method, examples.take(seen)).log_likelihood(examples.features[kept])
    return found


def balanced_loss(probability: Floats, species: Ints, prior: Mapping[str, float]) -> float:
    """Mean of -ln p of the true species, in a mixture of the species by the prior."""
    wanted = np.array([prior[name] for name in SPECIES])
    weight = (wanted / np.maximum(np.bincount(species, minlength=len(SPECIES)), 1))[species]
    log = np.log(np.maximum(probability[np.arange(len(species)), species], _LEAST))
    return float(-(weight * log).sum() / weight.sum())


def _expanded(model: Logistic, features: Floats) -> Floats:
    z = np.clip((features - model.centre) / model.width, -model.limit, model.limit)
    return np.concatenate([z, z**2 - 1], axis=1)


def _equal_weights(species: Ints) -> Floats:
    """`(n,)` weights of sum 1 with which all species that there are count the same."""
    count = np.bincount(species, minlength=len(SPECIES))
    return np.asarray(1 / (count[species] * (count > 0).sum()))
