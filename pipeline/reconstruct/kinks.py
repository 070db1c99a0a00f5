"""Where a track turns sharply: a decay or a hadronic interaction, after which it is another particle's."""

from __future__ import annotations

import numpy as np

from ..config.finding import Finding
from ..tables import Floats, Ints
from .lines import fit_line, fit_line_trimmed

#: Hits, and length [cm], that must be left on either side of a kink.
_HITS, _LENGTH = 5, 2.5

#: Hits further than this [cm] from the lines are left out of them.
_TRIM = 0.4

#: Places [cm] along a track at which a kink is looked for.
_EVERY = 1.0


def split_kinks(points: Floats, rows: Ints, settings: Finding) -> list[Ints]:
    """The pieces of a track between its kinks: rows of points `(n, 3)` [cm], in order along it.

    A kink turns the line through the hits before, within `settings.kink_window_cm`, by more than
    `settings.kink_angle` into the line through those behind; multiple scattering turns it less, but at the very end.
    """
    if len(rows) < 2 * _HITS:
        return [rows]
    along = fit_line(points[rows]).along(points[rows])
    order = np.argsort(along, kind="stable")
    rows, along = rows[order], along[order]
    ordered = points[rows]
    low, high = along[0] + _LENGTH, along[-1] - _LENGTH
    best, place = settings.kink_angle, np.nan
    for s in np.arange(low, high, _EVERY):
        angle = _angle(ordered, along, s, settings.kink_window_cm)
        if angle > best:  # knock-on electrons beside a track bend it for a short length only
            angle = min(angle, _angle(ordered, along, s, 2 * settings.kink_window_cm))
        if angle > best:
            best, place = angle, float(s)
    if np.isnan(place):
        return [rows]
    before = along < place
    return split_kinks(points, rows[before], settings) + split_kinks(points, rows[~before], settings)


def _angle(points: Floats, along: Floats, place: float, window: float) -> float:
    """Angle [rad] between the lines before and behind a place; 0 where there are too few hits."""
    first, middle, last = np.searchsorted(along, [place - window, place, place + window])
    before, behind = points[first:middle], points[middle:last]
    if min(len(before), len(behind)) < _HITS:
        return 0.0
    lines = [fit_line_trimmed(side, _TRIM)[0].direction for side in (before, behind)]
    return float(np.arccos(np.clip(lines[0] @ lines[1], -1.0, 1.0)))
