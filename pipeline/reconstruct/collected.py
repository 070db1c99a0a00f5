"""What each piece of track gives to each hit, by the forward model, at the times that were recorded.

A hit n of a pixel says that the charge collected since its reset, Q(t_n) - Q(t_n-1 + hold), reached the threshold at
t_n, and that Q(t_n + hold) - Q(t_n) came while it was held. Both are sums over pieces of track, linear in the charge of
each, and taken at observed times they ask for no search for crossings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..detector.geometry import DetectorGeometry
from ..simulate.charge import PixelCharges
from ..simulate.model import ForwardModel
from ..simulate.plan import Plan
from ..tables import Floats, Hits, Ints

#: Charge [electrons] below which a piece gives nothing to a hit.
_LEAST = 1.0


@dataclass(frozen=True)
class Shares:
    """Charge that pieces give to rows: `(r,)` number of the `row` (a hit, or a pixel) and of the `piece`, `charge`
    [electrons], and `slope` `(r, 3)`: its derivatives to moving the piece along x, y, z [electrons/cm].
    """

    row: Ints
    piece: Ints
    charge: Floats
    slope: Floats

    def total(self, rows: int) -> Floats:
        """`(rows,)` sum over pieces."""
        return np.bincount(self.row, self.charge, minlength=rows).astype(np.float64)


@dataclass(frozen=True)
class Collected:
    """What a model gives to the hits of some events.

    `rising`: to each hit before its time, since the reset before; `held`: while it was held; `left`: to each pixel
    `(p,)` that the model reaches, after its last hit. `event`, `channel` `(p,)` name the pixels, `last` `(p,)` is the
    row of the last of its hits or -1. Rows are those of `hits`.
    """

    rising: Shares
    held: Shares
    left: Shares
    event: Ints
    channel: Ints
    last: Ints


def collect(model: ForwardModel, values: Mapping[str, float], hits: Hits) -> Collected:
    """Charge by piece at the times of `hits`; pieces are the segments of `model`, rows those of its table."""
    geometry, values = model.geometry, model.complete(values)
    plan = model.plan(values)
    pixel = _pixel_of_hits(plan, hits, geometry)
    last = np.full(len(plan.event), -1, dtype=np.int64)
    known = np.flatnonzero(pixel >= 0)
    last[pixel[known]] = known  # hits of a pixel are sorted, so the last one stays
    parts = model.map_blocks(lambda block: _of_block(model, plan, block, values, hits, pixel, last), plan.blocks)
    rising, held, left = (_joined([part[i] for part in parts]) for i in range(3))
    return Collected(rising, held, left, plan.event, plan.channel, last)


def _pixel_of_hits(plan: Plan, hits: Hits, geometry: DetectorGeometry) -> Ints:
    """`(h,)` row of each hit's pixel in the plan; -1 where no piece reaches it."""
    channels = geometry.channels
    there = plan.event * channels + plan.channel
    wanted = hits.event_id * channels + geometry.channel(hits.tpc, hits.pixel_x, hits.pixel_y)
    place = np.minimum(np.searchsorted(there, wanted), max(len(there) - 1, 0))
    if not len(there):
        return np.full(len(wanted), -1, dtype=np.int64)
    return np.where(there[place] == wanted, place, -1).astype(np.int64)


def _of_block(
    model: ForwardModel,
    plan: Plan,
    block: tuple[int, int],
    values: Mapping[str, float],
    hits: Hits,
    pixel: Ints,
    last: Ints,
) -> tuple[Shares, Shares, Shares]:
    a, b = block
    first = plan.first[a : b + 1] - plan.first[a]
    segment = plan.segments_of(block)
    of_pair = np.repeat(np.arange(b - a), np.diff(first))
    new = np.ones(len(segment), dtype=bool)
    new[1:] = (segment[1:] != segment[:-1]) | (of_pair[1:] != of_pair[:-1])
    begin = np.flatnonzero(new)
    # The same packets, but summed over the pieces of a pixel one by one instead of over the pixel.
    charges = model.charges(plan, block, dict(values), ("shift_x", "shift_y", "shift_z"))
    charges = replace(charges, first=torch.from_numpy(np.append(begin, len(segment))).to(charges.first.device))
    piece, owner = segment[begin], of_pair[begin]
    groups = np.searchsorted(owner, np.arange(b - a + 1))
    sign = _drift_sign(model.geometry, plan.channel[a:b])

    rows = np.flatnonzero((pixel >= a) & (pixel < b))
    row, group = _expand(rows, pixel[rows] - a, groups)
    time, hold = hits.t - 0.0, model.geometry.readout.hold
    reference = plan.time[pixel[row]]
    begun = np.where(hits.hit > 0, np.concatenate([[0.0], time[:-1]]) + hold, -np.inf)[row]
    at = [
        _evaluate(charges, group, moment - reference, model)
        for moment in (np.maximum(begun, -1e3), time[row], time[row] + hold)
    ]
    facing = sign[owner[group]]
    rising = _shares(row, piece[group], at[0], at[1], facing)
    held = _shares(row, piece[group], at[1], at[2], facing)

    pixels = np.arange(a, b)
    all_rows, all_groups = _expand(pixels, pixels - a, groups)
    ended = np.where(last[all_rows] >= 0, time[last[all_rows]] + hold - plan.time[all_rows], -1e3)
    total, slope = (t.cpu().numpy().astype(np.float64) for t in charges.total_with_derivatives())
    left = _shares(
        all_rows,
        piece[all_groups],
        _evaluate(charges, all_groups, ended, model),
        (total[all_groups], slope[all_groups]),
        sign[owner[all_groups]],
    )
    return rising, held, left


def _drift_sign(geometry: DetectorGeometry, channel: Ints) -> Floats:
    """`(p, 3)`: derivatives to `shift_x`, `shift_y`, `shift_z` times this are those to x, y, z."""
    away = geometry.outward(geometry.pixel(channel)[0])
    return np.stack([np.ones(len(channel)), np.ones(len(channel)), away], axis=1)


def _expand(rows: Ints, pixel: Ints, groups: Ints) -> tuple[Ints, Ints]:
    """Every row with every group of its pixel."""
    count = groups[pixel + 1] - groups[pixel]
    row = np.repeat(rows, count)
    return row, np.repeat(groups[pixel] - (np.cumsum(count) - count), count) + np.arange(len(row))


def _evaluate(charges: PixelCharges, group: Ints, time: Floats, model: ForwardModel) -> tuple[Floats, Floats]:
    index = torch.from_numpy(group).to(charges.first.device)
    charge, _, slope = charges.evaluate_with_derivatives(index, model.tensor(time))
    return _numpy(charge), _numpy(slope)


def _numpy(tensor: Tensor) -> Floats:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)


def _shares(
    row: Ints, piece: Ints, before: tuple[Floats, Floats], after: tuple[Floats, Floats], sign: Floats
) -> Shares:
    charge, slope = after[0] - before[0], after[1] - before[1]
    keep = np.abs(charge) > _LEAST
    return Shares(row[keep], piece[keep], charge[keep], slope[keep] * sign[keep])


def _joined(parts: list[Shares]) -> Shares:
    if not parts:
        return Shares(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)))
    return Shares(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("row", "piece", "charge", "slope")))
