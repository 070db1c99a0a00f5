"""Losses between every hit of one side and the nearest hit of the other, in both directions."""

from __future__ import annotations

import torch
from torch import Tensor

from ...config.methods import Loss
from .event_hits import EventHits

#: Numbers of one block of distances: 8 MiB in float64.
_AT_ONCE = 2**20
#: A hit further than this [cm] from all of the other side is in a drift volume where that has none.
_DISJOINT = 1e3
#: Weight of the plane of pixels against depth where a partner is chosen by pixel first.
_PLANE_FIRST = 1e6


def chamfer(model: EventHits, data: EventHits, settings: Loss) -> Tensor:
    """Chamfer distance [cm] (H. Fan et al., CVPR 2017, arXiv:1612.00603, with distances instead of their squares): mean
    distance of every hit to the nearest of the other side, averaged over both directions.

    Hits are points in four dimensions: x, y, depth, and ADC, of which one count is as long as the drift in
    `settings.time_unit_us`. In a drift volume where one side has no hits those of the other have no neighbour and
    count nothing.
    """
    sides = [
        torch.cat([hits.points(settings.drift_cm_per_us), _adc_as_length(hits, settings)], dim=1)
        for hits in (_sorted(model), _sorted(data))
    ]
    means = []
    for one, other in (sides, sides[::-1]):
        here, there = _nearest(one, other)
        means.append(_mean(_length(one[here] - other[there])))
    return 0.5 * (means[0] + means[1])


def space_match(model: EventHits, data: EventHits, settings: Loss) -> Tensor:
    """Mean robust difference of ADC and time between every hit and its partner on the other side, averaged over both
    directions: `c (sqrt(c^2 + (dADC)^2 + (dt / unit)^2) - c)`, with c `settings.match_scale_adc`.

    The partner is the nearest in the plane of pixels, and the nearest in time of several on one pixel. Unlike in
    `chamfer`, charge and depth do not choose the partner, so pairs last while the drift is stretched by many pixels;
    and only charge and time are compared, not the place. In a drift volume where one side has no hits those of the
    other count nothing.
    """
    plane = torch.tensor([_PLANE_FIRST, _PLANE_FIRST, 1.0], dtype=torch.float64)
    sides = [_sorted(model), _sorted(data)]
    places = [hits.points(settings.drift_cm_per_us) * plane for hits in sides]
    values = [torch.stack([hits.adc, hits.t / settings.time_unit_us], dim=1) for hits in sides]
    scale = settings.match_scale_adc
    means = []
    for one, other in ((0, 1), (1, 0)):
        here, there = _nearest(places[one], places[other], _DISJOINT * _PLANE_FIRST)
        squares = (values[one][here] - values[other][there]).square().sum(dim=1)
        # The same as sqrt(c^2 + r^2) - c, without the difference of equals.
        means.append(_mean(scale * squares / ((scale**2 + squares).sqrt() + scale)))
    return 0.5 * (means[0] + means[1])


def _adc_as_length(hits: EventHits, settings: Loss) -> Tensor:
    return (hits.adc * (settings.time_unit_us * settings.drift_cm_per_us))[:, None]


def _sorted(hits: EventHits) -> EventHits:
    """The hits in an order of their values, so that which of two equal neighbours is taken depends on nothing else."""
    with torch.no_grad():
        order = torch.arange(len(hits))
        for column in (hits.adc, hits.t, hits.y, hits.x, hits.volume):
            order = order[torch.argsort(column[order], stable=True)]
    return EventHits(**{name: getattr(hits, name)[order] for name in ("adc", "t", "x", "y", "volume")})


@torch.no_grad()
def _nearest(one: Tensor, other: Tensor, limit: float = _DISJOINT) -> tuple[Tensor, Tensor]:
    """Rows of `one` `(n, d)` that have a neighbour within `limit`, and the nearest row of `other` `(m, d)` of each."""
    distance, nearest = [], []
    for rows in torch.split(one, max(_AT_ONCE // len(other), 1)):
        found = torch.cdist(rows, other, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
        distance.append(found.values)
        nearest.append(found.indices)
    here = torch.nonzero(torch.cat(distance) < limit)[:, 0]
    return here, torch.cat(nearest)[here]


def _length(difference: Tensor) -> Tensor:
    """`(n,)` lengths of rows, whose derivative is zero where the length is."""
    squares = difference.square().sum(dim=1)
    apart = squares > 0
    return torch.where(apart, torch.where(apart, squares, 1.0).sqrt(), 0.0)


def _mean(values: Tensor) -> Tensor:
    """The mean; 0 of none."""
    return values.sum() / max(len(values), 1)
