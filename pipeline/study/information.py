"""Expected information of batches of whole tracks: what each adds to the knowledge of the parameters.

Information of independent data adds up (Fisher 1925), so that of any subset of tracks is a sum over batches, and the
smallest possible covariance of any unbiased estimate is its inverse (Cramer-Rao).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..simulate.batches import observable_batches
from ..simulate.noise import NoiseLevels
from ..simulate.observe import PixelObservables
from ..simulate.setup import forward_model
from ..tables import Floats, Segments
from .noisy import noise_draw, noise_levels, noisy_data

_STREAM = 11

#: Hits with less model charge [electrons] tell less than their noise and slopes say: the threshold cuts into them.
_CERTAIN_CHARGE = 11e3


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

    Batches of which nothing is seen count with their length.
    """
    model = forward_model(segments, geometry, config)
    data = noisy_data(model, values, noise_draw(config, _STREAM))
    unit = np.array([values[name] for name in names])
    lengths, matrices = [], []
    for part, seen in observable_batches(model, data, length, config.seed, values):
        lengths.append(part.model.segments.length.sum())
        found = information_of_hits(part, values, names, noise_levels(config)) if len(seen) else 0.0
        matrices.append(found * np.outer(unit, unit))
    return BatchInformation(np.array(lengths), np.array(matrices))


def information_of_hits(
    model: PixelObservables, values: Mapping[str, float], names: tuple[str, ...], levels: NoiseLevels
) -> Floats:
    """`(P, P)` information of charges and times of hits above a charge that the threshold does not reach.

    A hit at t with noise r at its reset tells `Q(t) = threshold - r`, and given t its charge has the noise of sampling
    alone: the two are independent.
    """
    readout = model.model.geometry.readout
    at = model.linearise(values, names)
    sure = at.observables.values[:, 0] > readout.adc(np.array(_CERTAIN_CHARGE))
    by_time = at.jacobian[sure, 1] / at.softness[sure, 1, None]
    by_charge = at.jacobian[sure, 0] / readout.counts_per_electron
    # At the observed time, a lower Q(t) stands for a higher r, which the recorded charge holds in full.
    given_time = by_charge + by_time * (1 - at.softness[sure, 0, None] / readout.counts_per_electron)
    return np.asarray(by_time.T @ by_time / levels.reset**2 + given_time.T @ given_time / levels.sampling**2)
