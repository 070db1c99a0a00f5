"""Which reconstructed track is which true particle, by the hits that they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tables import Bools, Floats, Ints


@dataclass(frozen=True)
class Matching:
    """By particle `(p,)`: `hits` that it owns, `best` track, which has most of them (-1: none has any), `share` of
    them in that, `found`: whether the track is its match. By track `(t,)`: `track_hits`, `particle` that owns most of
    them (-1: nobody's), `purity`: the share it owns; `main`: whether the track is the match of a particle.
    """

    hits: Ints
    best: Ints
    share: Floats
    found: Bools
    track_hits: Ints
    particle: Ints
    purity: Floats
    main: Bools


def match(
    owner: Ints, hit_track: Ints, particles: int, tracks: int, *, least_share: float = 0.5, least_purity: float = 0.8
) -> Matching:
    """Match `tracks` to `particles` by their hits: `owner` and `hit_track` `(h,)` are rows of these, -1: none.

    A particle is found if at least `least_share` of its hits are in one track, of whose hits at least `least_purity`
    are its.
    """
    hits = np.bincount(owner[owner >= 0], minlength=particles)
    track_hits = np.bincount(hit_track[hit_track >= 0], minlength=tracks)
    both = (owner >= 0) & (hit_track >= 0)
    pair, shared = np.unique(np.stack([owner[both], hit_track[both]], axis=1), axis=0, return_counts=True)
    best, best_shared = _largest(pair[:, 0], pair[:, 1], shared, particles)
    particle, own = _largest(pair[:, 1], pair[:, 0], shared, tracks)
    share = best_shared / np.maximum(hits, 1)
    purity = own / np.maximum(track_hits, 1)
    found = (best >= 0) & (share >= least_share)
    found[found] = (particle[best[found]] == np.flatnonzero(found)) & (purity[best[found]] >= least_purity)
    main = np.zeros(tracks, dtype=bool)
    main[best[found]] = True
    return Matching(hits, best, share, found, track_hits, particle, purity, main)


def _largest(key: Ints, other: Ints, count: Ints, keys: int) -> tuple[Ints, Ints]:
    """For each of `keys`, the `other` of the pair with the largest count (the lowest of equals), and that count."""
    order = np.lexsort((-other, count, key))
    last = order[np.append(key[order][1:] != key[order][:-1], True)] if len(order) else order
    found, most = np.full(keys, -1), np.zeros(keys, dtype=np.int64)
    found[key[last]], most[key[last]] = other[last], count[last]
    return found, most
