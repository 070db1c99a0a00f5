"""Perturbation `chord`: tracks made straight."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..tables import Segments
from .base import Context, Perturbation, Perturbed, consistent, moved
from .tracks import path_of, tracks_of


class Chord(Perturbation):
    """Every track replaced by the straight line from its first start to its last end."""

    kind: Literal["chord"] = "chord"


def chord(segments: Segments, settings: Chord, context: Context) -> Perturbed:
    """`r(s) -> (1 - s/S) r(0) + (s/S) r(S)` with s the path along the track, gaps included, and S the whole of it.

    Order, ids, times and dE stay; lengths shrink by |r(S) - r(0)| / S, so dE/dx grows by its inverse. Tracks that end
    where they began have no chord and stay as they are.
    """
    tracks, path = tracks_of(segments), path_of(segments)
    first, last = segments.start[tracks.first], segments.end[tracks.last]
    whole = np.zeros(len(tracks))
    np.maximum.at(whole, path.track, path.end)
    usable = (whole > 0) & (np.linalg.norm(last - first, axis=1) > 0)
    total = np.where(usable, whole, 1.0)[path.track]
    points = []
    for where, old in ((path.begin, segments.start), (path.end, segments.end)):
        share = (where / total)[:, None]
        line = (1 - share) * first[path.track] + share * last[path.track]
        new = old.copy()
        new[path.rows] = np.where(usable[path.track][:, None], line, old[path.rows])
        points.append(new)
    result = consistent(segments.replace(start=points[0], end=points[1]))
    loops = np.count_nonzero(~usable)
    notes = (f"{loops} of {len(tracks)} tracks end where they began and stay as they are",) if loops else ()
    return Perturbed(result, notes=(*notes, *moved(segments, result, context.geometry)))
