"""Self-triggered readout of pixels: crossing times, recorded charges, and their exact derivatives.

A pixel that has collected Q(t) crosses when `Q(t) - Q_reset + r >= threshold`, records `Q(t + hold) - Q_reset + r`, and is reset and
armed again at the end of the hold (r: noise drawn at every reset). Crossing times are solved on the exact charge inside a
bracket from the coarse waveform. With A = dQ/dtheta at the crossing, B at the end of the hold and R = dQ_reset/dtheta,
the implicit function theorem gives

    dt = (R - A) / Q'(t),        dQ_end = B + Q'(t + hold) dt,        dq = dQ_end - R.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .charge import PixelCharges
from .waveform import Waveforms, coarse_waveforms, groups, windows

#: The coarse waveform is trusted to this much [electrons]; nearer to the threshold the exact charge decides.
_MARGIN = 600.0
_MAX_STEPS = 60


@dataclass(frozen=True)
class Trigger:
    """Readout constants: `threshold` [electrons], `hold` [us], `clock` [us], `max_hits`.

    Noise of every pixel and hit, `(pixels, max_hits)` [electrons], or None: `reset` is r above, `sampling` adds to the
    recorded charge; `discriminator` is the width of white noise on the comparator at every clock tick, with its seed.
    """

    threshold: float
    hold: float
    clock: float
    max_hits: int
    reset: Tensor | None = None
    sampling: Tensor | None = None


@dataclass(frozen=True)
class PixelHits:
    """Hits of some pixels, sorted by pixel and order: `(h,)` tensors.

    `pixel`, `order`; `time` [us] after the pixel's reference time; `charge` [electrons]; `previous`: row of the hit before in the same
    pixel, -1 for the first.
    """

    pixel: Tensor
    order: Tensor
    time: Tensor
    charge: Tensor
    previous: Tensor


def read_out(charges: PixelCharges, trigger: Trigger) -> PixelHits:
    """Hits of all pixels."""
    total = charges.total()
    noise = 0.0 if trigger.reset is None else float(trigger.reset.abs().max())
    lowest = trigger.threshold - noise
    start, ticks = windows(charges, total, max(lowest, 1.0), trigger.clock)
    candidates = torch.nonzero(total >= lowest).flatten()
    found = []
    for size, pixels in groups(ticks, candidates):
        coarse = coarse_waveforms(charges, pixels, start[pixels], size, trigger.clock)
        found += _hits_of(charges, coarse, trigger)
    if not found:
        empty = torch.zeros(0, dtype=torch.long, device=total.device)
        return PixelHits(empty, empty, total[:0], total[:0], empty)
    pixel, order, time, charge = (torch.cat(column) for column in zip(*found, strict=True))
    sort = torch.argsort(pixel * trigger.max_hits + order)
    pixel, order = pixel[sort], order[sort]
    previous = torch.arange(len(sort), device=sort.device) - 1
    return PixelHits(pixel, order, time[sort], charge[sort], torch.where(order > 0, previous, -1))


def _hits_of(charges: PixelCharges, coarse: Waveforms, trigger: Trigger) -> list[tuple[Tensor, ...]]:
    """Hits in one group of waveforms, hit number by hit number."""
    row = torch.arange(coarse.pixel.shape[0], device=coarse.pixel.device)
    armed = coarse.start
    reset_charge = torch.zeros_like(armed)
    found = []
    for order in range(trigger.max_hits):
        pixel = coarse.pixel[row]
        noise = torch.zeros_like(armed) if trigger.reset is None else trigger.reset[pixel, order]
        level = reset_charge + trigger.threshold - noise
        time, crossed = _crossing(charges, coarse, row, armed, level)
        row, pixel, time, noise = row[crossed], pixel[crossed], time[crossed], noise[crossed]
        if not row.numel():
            break
        before = reset_charge[crossed]
        armed = time + trigger.hold
        reset_charge, _ = charges.evaluate(pixel, armed)
        recorded = reset_charge - before + noise
        if trigger.sampling is not None:
            recorded = recorded + trigger.sampling[pixel, order]
        found.append((pixel, torch.full_like(pixel, order), time, recorded))
    return found


def _crossing(
    charges: PixelCharges, coarse: Waveforms, row: Tensor, armed: Tensor, level: Tensor
) -> tuple[Tensor, Tensor]:
    """First time at or after `armed` at which the exact charge reaches `level`, and whether there is one."""
    ticks = coarse.charge.shape[1]
    wave = coarse.charge[row]
    at = torch.arange(ticks, device=wave.device)
    open_from = ((armed - coarse.start[row]) / coarse.step).ceil()[:, None]
    open_ = at >= open_from
    maybe = (wave >= (level - _MARGIN)[:, None]) & open_
    surely = (wave >= (level + _MARGIN)[:, None]) & open_
    possible, sure = maybe.any(dim=1), surely.any(dim=1)
    peak = torch.where(open_, wave, -torch.inf).argmax(dim=1)
    # The smallest index; argmax of a mask may return any of several.
    first = torch.where(maybe, at, ticks).amin(dim=1)
    last = torch.where(sure, torch.where(surely, at, ticks).amin(dim=1), peak)
    low = torch.maximum(coarse.start[row] + (first - 1) * coarse.step, armed)
    high = torch.maximum(coarse.start[row] + (last + 1) * coarse.step, low)
    crossed = possible.clone()
    time = torch.full_like(armed, torch.nan)
    chosen = torch.nonzero(possible).flatten()
    if chosen.numel():
        pixel = coarse.pixel[row[chosen]]
        solved, reached = _solve(charges, pixel, low[chosen], high[chosen], level[chosen])
        time[chosen] = solved
        crossed[chosen] = reached
    return time, crossed


def _solve(
    charges: PixelCharges, pixel: Tensor, low: Tensor, high: Tensor, level: Tensor
) -> tuple[Tensor, Tensor]:
    """Solve charge(t) = level in [low, high] by Newton steps kept inside a shrinking bracket.

    Returns the times and whether the charge reaches the level at all. A charge above the level at `low` already (a crossing at
    the moment of arming) gives `low`.
    """
    at_high, _ = charges.evaluate(pixel, high)
    at_low, _ = charges.evaluate(pixel, low)
    reached = at_high >= level
    time = torch.where(at_low >= level, low, high)
    active = torch.nonzero(reached & (at_low < level)).flatten()
    low, high = low.clone(), high.clone()
    share = ((level - at_low) / (at_high - at_low).clamp(min=1e-30)).clamp(0.0, 1.0)
    guess = low + share * (high - low)
    resolution = 8 * torch.finfo(time.dtype).eps
    for _ in range(_MAX_STEPS):
        if not active.numel():
            break
        t = guess[active]
        charge, current = charges.evaluate(pixel[active], t)
        excess = charge - level[active]
        high[active] = torch.where(excess >= 0, t, high[active])
        low[active] = torch.where(excess < 0, t, low[active])
        step = t - excess / current
        inside = (step > low[active]) & (step < high[active])
        new = torch.where(inside, step, 0.5 * (low[active] + high[active]))
        time[active] = new
        guess[active] = new
        moving = (new - t).abs() > resolution * new.abs().clamp(min=1.0)
        active = active[moving & (high[active] > low[active])]
    return time, reached


def differentiate(
    charges: PixelCharges, hits: PixelHits, trigger: Trigger
) -> tuple[Tensor, Tensor, Tensor]:
    """Derivatives `(h, P)` of recorded charge and of crossing time to the parameters, and the current at crossing `(h,)`."""
    n = hits.time.shape[0]
    both = torch.cat([hits.time, hits.time + trigger.hold])
    _, current, slopes = charges.evaluate_with_derivatives(hits.pixel.repeat(2), both)
    at_crossing, at_end = slopes[:n], slopes[n:]
    d_time = torch.zeros_like(at_crossing)
    d_end = torch.zeros_like(at_crossing)
    d_charge = torch.zeros_like(at_crossing)
    for order in range(int(hits.order.max()) + 1 if n else 0):
        i = torch.nonzero(hits.order == order).flatten()
        before = d_end[hits.previous[i]] if order else torch.zeros_like(at_crossing[i])
        d_time[i] = (before - at_crossing[i]) / current[i, None]
        d_end[i] = at_end[i] + current[n + i, None] * d_time[i]
        d_charge[i] = d_end[i] - before
    return d_charge, d_time, current[:n]
