"""Expected information of batches of whole tracks: what each adds to the knowledge of the parameters.

Information of independent data adds up (Fisher 1925), so that of any subset of tracks is a sum over batches, and the
smallest possible covariance of any unbiased estimate is its inverse (Cramer-Rao).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..calibrate.likelihood import Likelihood
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..parameters import CALIBRATED
from ..simulate.batches import observable_batches
from ..simulate.setup import forward_model
from ..tables import Floats, Segments
from .noisy import noise_draw, noisy_data

#: Stream of random numbers of the draw of noise, beside the seed of the run.
_STREAM = 11
#: Directions with less than this share of the largest information are held by rounding alone.
_NO_INFORMATION = 1e-12
#: A parameter with more than this share in such a direction is not determined.
_NO_SHARE = 1e-8


@dataclass(frozen=True)
class BatchInformation:
    """`length` `(b,)` [cm] of track in each batch, and `matrix` `(b, P, P)`: its information on the parameters, each
    in units of its value."""

    length: Floats
    matrix: Floats

    @property
    def total_length(self) -> float:
        """Length [cm] of all batches."""
        return float(self.length.sum())

    def per_cm(self) -> Floats:
        """`(P, P)` mean information of one cm of track."""
        return np.asarray(self.matrix.sum(axis=0) / self.length.sum())

    def resampled_per_cm(self, rng: np.random.Generator, length: float, subsets: int) -> Floats:
        """`(subsets, P, P)` information per cm of random samples of about `length` [cm].

        Batches are drawn with replacement (bootstrap), at most as many as there are: what was not simulated is not
        known better for being wanted longer.
        """
        batches = len(self.length)
        drawn = max(round(min(length / self.length.mean(), batches)), 1)
        counts = rng.multinomial(drawn, np.full(batches, 1 / batches), size=subsets)
        return np.asarray(np.einsum("sb,bij->sij", counts, self.matrix) / (counts @ self.length)[:, None, None])


@dataclass(frozen=True)
class Case:
    """What is known beside the data: rows `free` of the parameters `of` move, `prior` `(P,)` is the information that
    external measurements add (in units of the values)."""

    name: str
    free: tuple[int, ...]
    prior: Floats
    of: tuple[str, ...] = CALIBRATED

    @property
    def names(self) -> tuple[str, ...]:
        """The free parameters."""
        return tuple(self.of[k] for k in self.free)

    def uncertainty(self, per_cm: Floats, length: float | Floats) -> Floats:
        """`(..., P)` relative uncertainty of the free parameters from information `per_cm` on all of them,
        `(..., all, all)`; NaN: undetermined.
        """
        rows, columns = np.ix_(self.free, self.free)
        return relative_uncertainty(per_cm[..., rows, columns] * length + np.diag(self.prior))


def batch_information(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    values: Mapping[str, float],
    names: tuple[str, ...],
    length: float,
) -> BatchInformation:
    """Information on the parameters `names` at `values` (others nominal), in batches of whole tracks up to `length`
    [cm] (tracks that share a pixel stay together).

    It is that of the likelihood, given where the chains of hits go in one draw of noise; batches of which nothing is
    seen count with their length. Raises as `Likelihood.information` does.
    """
    model = forward_model(segments, geometry, config)
    data = noisy_data(model, values, noise_draw(config, _STREAM))
    unit = np.array([values[name] for name in names])
    lengths, matrices = [], []
    for part, seen in observable_batches(model, data, length, config.seed, values):
        lengths.append(part.model.segments.length.sum())
        found = Likelihood(part, seen).information(values, names)
        matrices.append(found * np.outer(unit, unit))
    return BatchInformation(np.array(lengths), np.array(matrices))


def relative_uncertainty(information: Floats) -> Floats:
    """`(..., P)` square roots of the diagonal of the inverse of `(..., P, P)`; NaN for what it does not determine."""
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    normalised = information / (scale[..., :, None] * scale[..., None, :])
    eigenvalues, vectors = np.linalg.eigh(normalised)
    held = (eigenvalues > _NO_INFORMATION * eigenvalues[..., -1:])[..., None, :]
    variance = np.where(held, vectors**2 / np.where(held, eigenvalues[..., None, :], 1.0), 0.0).sum(axis=-1)
    share = np.where(held, 0.0, vectors**2).sum(axis=-1)
    return np.asarray(np.where(share < _NO_SHARE, np.sqrt(variance) / scale, np.nan))
