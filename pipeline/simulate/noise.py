"""Electronics noise of simulated data, fixed by the seed, the event and the pixel alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Floats, Ints


@dataclass(frozen=True)
class NoiseLevels:
    """Widths of the noise terms [electrons]: drawn at every reset, per recorded hit, and per clock tick on the
    comparator.
    """

    reset: float
    sampling: float
    discriminator: float = 0.0


@dataclass(frozen=True)
class Noise:
    """A source of noise: the same pixel of the same event always gets the same draws, whatever else is simulated."""

    levels: NoiseLevels
    seed: int

    def hits(self, event: Ints, channel: Ints, max_hits: int) -> tuple[Floats, Floats]:
        """Reset and sampling noise `(pixels, max_hits)` [electrons] of pixels."""
        draws = np.empty((len(event), 2, max_hits))
        for row, generator in enumerate(self._generators(event, channel, stream=0)):
            draws[row] = generator.standard_normal((2, max_hits))
        return self.levels.reset * draws[:, 0], self.levels.sampling * draws[:, 1]

    def ticks(self, event: Ints, channel: Ints, ticks: int) -> Floats:
        """Noise on the comparator `(pixels, ticks)` [electrons]."""
        draws = np.empty((len(event), ticks))
        for row, generator in enumerate(self._generators(event, channel, stream=1)):
            draws[row] = generator.standard_normal(ticks)
        return self.levels.discriminator * draws

    def _generators(self, event: Ints, channel: Ints, stream: int) -> list[np.random.Generator]:
        """One counter-based generator per pixel (Philox, Salmon et al., SC11), started at (event, channel)."""
        key = np.random.SeedSequence([self.seed, 3, stream]).generate_state(2, np.uint64)
        starts = np.zeros((len(event), 4), dtype=np.uint64)
        starts[:, 2], starts[:, 3] = channel.astype(np.uint64), event.astype(np.uint64)
        return [np.random.Generator(np.random.Philox(key=key, counter=start)) for start in starts]
