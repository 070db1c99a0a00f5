"""Batches of whole tracks."""

from __future__ import annotations

import numpy as np

from ..tables import Ints, Segments
from .cuts import track_lengths


def assign_batches(segments: Segments, batch_length: float, seed: int) -> Ints:
    """`(n,)` batch of each segment, 0, 1, ...: whole tracks, in an order fixed by the seed, up to `batch_length` [cm].

    A batch is closed when the next track would make it longer; a track that is longer by itself is a batch of its own.
    """
    length = track_lengths(segments)
    batch_of_track = np.zeros(len(length), dtype=np.int64)
    batch, filled = 0, 0.0
    # Streams of the seed: 0 gun, 1 tracks that are selected, 2 starts of a fit, 3 noise, 4 batches.
    for track in np.random.default_rng([seed, 4]).permutation(len(length)):
        if filled > 0 and filled + length[track] > batch_length:
            batch, filled = batch + 1, 0.0
        batch_of_track[track] = batch
        filled += length[track]
    return batch_of_track[segments.track_index()]
