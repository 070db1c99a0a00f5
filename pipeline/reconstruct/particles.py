"""Which particle each reconstructed track is: probabilities of `SPECIES` that fits use as weights of hypotheses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..config.particles import Particles
from ..detector.geometry import DetectorGeometry
from ..tables import SPECIES, Floats, Hits, Ints, Reconstruction
from .classifier import Classifier
from .features import features
from .likelihood import evidence, posterior, track_of_segments

#: PDG codes in the order of the columns of `Tracks.probability`.
CODES: Ints = np.array(list(SPECIES.values()), dtype=np.int64)


def identified(
    reconstruction: Reconstruction,
    hits: Hits | None,
    geometry: DetectorGeometry,
    settings: Particles,
    classifier: Classifier | None,
) -> Reconstruction:
    """The reconstruction with `probability` of its tracks and the most probable `pdg_id` of its segments.

    The dE/dx of its segments must be that of their charge, and `hits` those that it was made of (None: unknown).
    `classifier` is what `settings.method` has learned (`storage.identity.load_classifier`); the likelihood needs none.
    """
    if not len(reconstruction.tracks):
        return reconstruction
    log = log_likelihood(reconstruction, hits, geometry, settings, classifier)
    return with_probability(reconstruction, posterior(log, settings.prior))


def log_likelihood(
    reconstruction: Reconstruction,
    hits: Hits | None,
    geometry: DetectorGeometry,
    settings: Particles,
    classifier: Classifier | None,
) -> Floats:
    """`(n, 5)` log-likelihoods of all tracks, up to a factor per track; arguments as for `identified`."""
    if settings.method == "likelihood":
        found = evidence(reconstruction, geometry, settings.charge_resolution)
        return settings.likelihood_weight * found.log_likelihood
    assert classifier is not None
    return classifier.log_likelihood(features(reconstruction, hits, geometry, settings.charge_resolution))


def with_probability(reconstruction: Reconstruction, probability: Floats) -> Reconstruction:
    """The reconstruction with these probabilities `(n, 5)`, and segments named after the most probable species."""
    owner = track_of_segments(reconstruction)
    best = CODES[probability.argmax(axis=1)]
    named = np.where(owner >= 0, best[owner], reconstruction.segments.pdg_id)
    return replace(
        reconstruction,
        tracks=replace(reconstruction.tracks, probability=probability),
        segments=reconstruction.segments.replace(pdg_id=named),
    )


def with_prior(probability: Floats, old: Mapping[str, float], new: Mapping[str, float]) -> Floats:
    """`(n, 5)` probabilities under another prior; species that the old prior excludes stay excluded."""
    was, is_now = (np.array([prior[name] for name in SPECIES]) for prior in (old, new))
    weighted = probability * np.where(was > 0, is_now / np.where(was > 0, was, 1.0), 0.0)
    total = weighted.sum(axis=1, keepdims=True)
    # A track that is impossible under the new prior is as probable as that prior says.
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), is_now / is_now.sum())
