"""A stand-in for the finding of tracks: hits that are near each other."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from ..detector.geometry import DetectorGeometry
from ..tables import Floats, Hits, Ints


def find_tracks(hits: Hits, z: Floats, geometry: DetectorGeometry) -> Ints:
    """`(h,)` number of the group of each hit in its event."""
    labels = np.full(len(hits), -1, dtype=np.int64)
    for event in np.unique(hits.event_id):
        rows = np.flatnonzero(hits.event_id == event)
        near = KDTree(np.stack([hits.x, hits.y, z], axis=1)[rows]).sparse_distance_matrix(
            KDTree(np.stack([hits.x, hits.y, z], axis=1)[rows]), 2.5 * geometry.pixel_pitch
        )
        labels[rows] = connected_components(near)[1]
    return labels
