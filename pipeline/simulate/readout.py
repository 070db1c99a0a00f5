"""Self-triggered readout of pixels: crossing times, recorded charges, and their exact derivatives.

A pixel that has collected Q(t) crosses when `Q(t) - Q_reset + r >= threshold`, records `Q(t + hold) - Q_reset + r`,
and is reset and armed again at the end of the hold (r: noise drawn at every reset). Crossing times are solved on the
exact charge inside a bracket from the coarse waveform. With A = dQ/dtheta at the crossing, B at the end of the hold
and R = dQ_reset/dtheta, the implicit function theorem gives

    dt = (R - A) / Q'(t),        dQ_end = B + Q'(t + hold) dt,        dq = dQ_end - R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .charge import PixelCharges
from .comparator import Comparator, Looks
from .waveform import TRUSTED, Waveforms, batches, coarse_waveforms, windows

#: How far [us] Newton steps may leave the coarse bracket before the careful search takes over.
_SLACK = 0.5
#: A crossing slower than this [electrons/us] is treated as this slow, so that its derivatives stay finite.
_SLOWEST_CURRENT = 1e-3
_NEWTON_STEPS = 6
_BISECTION_STEPS = 80


@dataclass(frozen=True)
class Trigger:
    """Readout constants: `threshold` [electrons] of all pixels or `(pixels,)`, `hold` [us], `clock` [us], `max_hits`.

    Noise of every pixel and hit, `(pixels, max_hits)` [electrons], or None: `reset` is r above, `sampling` adds to the
    recorded charge. A `comparator`, if there is one, is looked at once per clock tick only, with the noise
    `flicker(pixels, ticks)` `(pixels, ticks)` [electrons].
    """

    threshold: float | Tensor
    hold: float
    clock: float
    max_hits: int
    reset: Tensor | None = None
    sampling: Tensor | None = None
    comparator: Comparator | None = None
    flicker: Callable[[Tensor, int], Tensor] | None = None

    def looks(self, charges: PixelCharges) -> Looks:
        """The clock ticks between which each pixel may cross, with its own noise."""
        total = charges.total()
        if self.comparator is not None:
            return self.comparator.looks(charges, total, self.threshold)
        lowest = torch.as_tensor(self.threshold).to(total).expand_as(total)
        lowest = lowest if self.reset is None else lowest - self.reset.abs().amax(dim=1)
        return Looks(lowest, *windows(charges, total, lowest.clamp(min=1.0), self.clock), total, self.clock)


@dataclass(frozen=True)
class PixelHits:
    """Hits of some pixels, sorted by pixel and order: `(h,)` tensors.

    `pixel`, `order`; `time` [us] after the pixel's reference time; `charge` [electrons]; `previous`: row of the hit
    before in the same pixel, -1 for the first.
    """

    pixel: Tensor
    order: Tensor
    time: Tensor
    charge: Tensor
    previous: Tensor


def read_out(charges: PixelCharges, trigger: Trigger) -> PixelHits:
    """Hits of all pixels."""
    looks = trigger.looks(charges)
    candidates = torch.nonzero(looks.total >= looks.lowest).flatten()
    found = [hits for batch in batches(looks.count, candidates) for hits in _by_order(charges, trigger, looks, batch)]
    if not found:
        return PixelHits(candidates[:0], candidates[:0], looks.start[:0], looks.start[:0], candidates[:0])
    pixel, orders, time, charge = (torch.cat(column) for column in zip(*found, strict=True))
    sort = torch.argsort(pixel * trigger.max_hits + orders)
    orders = orders[sort]
    previous = torch.arange(len(sort), device=sort.device) - 1
    return PixelHits(pixel[sort], orders, time[sort], charge[sort], torch.where(orders > 0, previous, -1))


def _by_order(
    charges: PixelCharges, trigger: Trigger, looks: Looks, batch: list[tuple[int, Tensor]]
) -> list[tuple[Tensor, ...]]:
    """First, second, ... hits of the pixels of a batch: for each order the columns pixel, order, time, charge."""
    coarse = [coarse_waveforms(charges, pixels, looks.start[pixels], size, trigger.clock) for size, pixels in batch]
    flicker = [trigger.flicker(c.pixel, c.charge.shape[1]) for c in coarse] if trigger.flicker else []
    armed = looks.start.clone()
    reset_charge = torch.zeros_like(armed)
    alive = torch.zeros_like(armed, dtype=torch.bool)
    alive[torch.cat([pixels for _, pixels in batch])] = True
    found: list[tuple[Tensor, ...]] = []
    for order in range(trigger.max_hits):
        drawn = torch.zeros_like(armed) if trigger.reset is None else trigger.reset[:, order]
        level = reset_charge + trigger.threshold - drawn
        if flicker:
            ticks_found = [
                _first_tick(charges, looks, c, n, alive, armed, level) for c, n in zip(coarse, flicker, strict=True)
            ]
            pixel, time = (torch.cat(column) for column in zip(*ticks_found, strict=True))
        else:
            bracket = _Bracket.join([_bracket(c, alive, armed, level) for c in coarse])
            pixel, time = _solve(charges, bracket, armed, level)
        if not pixel.numel():
            break
        before = reset_charge[pixel]
        alive = torch.zeros_like(alive)
        alive[pixel] = True
        armed[pixel] = time + trigger.hold
        reset_charge[pixel] = charges.evaluate(pixel, armed[pixel])[0]
        recorded = reset_charge[pixel] - before + drawn[pixel]
        if trigger.sampling is not None:
            recorded = recorded + trigger.sampling[pixel, order]
        found.append((pixel, torch.full_like(pixel, order), time, recorded))
    return found


def _first_tick(
    charges: PixelCharges, looks: Looks, coarse: Waveforms, flicker: Tensor, alive: Tensor, armed: Tensor, level: Tensor
) -> tuple[Tensor, Tensor]:
    """Pixels whose charge with comparator noise reaches the level at a look since `armed`, and that tick's time.

    Ticks that the coarse waveform leaves no doubt about are not looked at on the exact charge.
    """
    row = torch.nonzero(alive[coarse.pixel]).flatten()
    pixel, ticks = coarse.pixel[row], coarse.charge.shape[1]
    at = torch.arange(ticks, device=row.device)
    over = coarse.charge[row] + flicker[row] - level[pixel, None]
    looked = (at >= looks.since(pixel, armed[pixel])[:, None]) & (at < looks.count[pixel, None])
    sure = torch.where(looked & (over > TRUSTED), at, ticks).amin(dim=1)
    doubtful = looked & (over.abs() <= TRUSTED) & (at < sure[:, None])
    which, tick = torch.nonzero(doubtful, as_tuple=True)
    exact, _ = charges.evaluate(pixel[which], looks.time(pixel[which], tick))
    fires = exact + flicker[row[which], tick] >= level[pixel[which]]
    first = sure.scatter_reduce(0, which[fires], tick[fires], "amin")
    found = torch.nonzero(first < ticks).flatten()
    return pixel[found], looks.time(pixel[found], first[found])


@dataclass(frozen=True)
class _Bracket:
    """Where some pixels cross according to the coarse waveform: `low <= crossing <= high`, and a first `guess` [us]."""

    pixel: Tensor
    low: Tensor
    high: Tensor
    guess: Tensor

    @staticmethod
    def join(parts: list[_Bracket]) -> _Bracket:
        return _Bracket(*(torch.cat([getattr(p, n) for p in parts]) for n in ("pixel", "low", "high", "guess")))

    def take(self, rows: Tensor) -> _Bracket:
        return _Bracket(self.pixel[rows], self.low[rows], self.high[rows], self.guess[rows])


def _bracket(coarse: Waveforms, alive: Tensor, armed: Tensor, level: Tensor) -> _Bracket:
    """Brackets of the first crossing of `level` after `armed`, for the pixels that may have one."""
    row = torch.nonzero(alive[coarse.pixel]).flatten()
    pixel, start, step = coarse.pixel[row], coarse.start[row], coarse.step
    wave, level, armed = coarse.charge[row], level[pixel], armed[pixel]
    ticks = wave.shape[1]
    at = torch.arange(ticks, device=wave.device)
    wave = torch.where(at >= ((armed - start) / step).ceil()[:, None], wave, -torch.inf)

    def first_above(value: Tensor) -> Tensor:
        # The smallest index; argmax of a mask may return any of several.
        return torch.where(wave >= value[:, None], at, ticks).amin(dim=1)

    early, middle, late = first_above(level - TRUSTED), first_above(level), first_above(level + TRUSTED)
    peak = wave.argmax(dim=1)
    late, middle = torch.where(late < ticks, late, peak), torch.where(middle < ticks, middle, peak)
    above = wave.gather(1, middle[:, None])[:, 0]
    below = wave.gather(1, (middle - 1).clamp(min=0)[:, None])[:, 0]
    share = ((above - level) / (above - below).clamp(min=1e-30)).nan_to_num(0.5).clamp(0.0, 1.0)
    low = torch.maximum(start + (early - 1) * step, armed)
    high = torch.maximum(start + (late + 1) * step, low)
    guess = torch.minimum(torch.maximum(start + (middle - share) * step, low), high)
    keep = torch.nonzero(early < ticks).flatten()
    return _Bracket(pixel, low, high, guess).take(keep)


def _solve(charges: PixelCharges, bracket: _Bracket, armed: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels whose charge reaches the level, and when.

    A few Newton steps from the coarse guess settle nearly all pixels; the rest are solved inside brackets.
    """
    time = bracket.guess.clone()
    settled = torch.zeros_like(time, dtype=torch.bool)
    active = torch.arange(time.shape[0], device=time.device)
    for _ in range(_NEWTON_STEPS):
        if not active.numel():
            break
        pixel = bracket.pixel[active]
        charge, current = charges.evaluate(pixel, time[active])
        step = (charge - level[pixel]) / current
        new = time[active] - step
        inside = (new >= torch.maximum(bracket.low[active] - _SLACK, armed[pixel])) & (
            new <= bracket.high[active] + _SLACK
        )
        time[active] = torch.where(inside, new, time[active])
        done = inside & _negligible(step, charge - level[pixel], new, level[pixel])
        settled[active[done]] = True
        active = active[inside & ~done]
    hard = torch.nonzero(~settled).flatten()
    if hard.numel():
        time[hard], settled[hard] = _bisect(charges, bracket.take(hard), armed, level)
    return bracket.pixel[settled], time[settled]


def _negligible(step: Tensor, excess: Tensor, time: Tensor, level: Tensor) -> Tensor:
    """Whether a Newton step is below rounding, in time or in charge."""
    eps = torch.finfo(time.dtype).eps
    return (step.abs() <= 8 * eps * time.abs().clamp(min=1.0)) | (excess.abs() <= 4 * eps * level.abs())


def _bisect(charges: PixelCharges, bracket: _Bracket, armed: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Solve by Newton steps kept inside a shrinking bracket; also says whether the charge reaches the level at all.

    A charge above the level at the moment of arming already gives that moment.
    """
    pixel = bracket.pixel
    target, earliest = level[pixel], armed[pixel]
    high, low = bracket.high.clone(), _lower_until_below(charges, bracket, earliest, target)
    reached = charges.evaluate(pixel, high)[0] >= target
    crossed_at_low = charges.evaluate(pixel, low)[0] >= target
    time = torch.where(crossed_at_low, low, 0.5 * (low + high))
    active = torch.nonzero(reached & ~crossed_at_low).flatten()
    for _ in range(_BISECTION_STEPS):
        if not active.numel():
            break
        t = time[active]
        charge, current = charges.evaluate(pixel[active], t)
        excess = charge - target[active]
        high[active] = torch.where(excess >= 0, t, high[active])
        low[active] = torch.where(excess < 0, t, low[active])
        step = excess / current
        inside = (t - step >= low[active]) & (t - step <= high[active])
        new = torch.where(inside, t - step, 0.5 * (low[active] + high[active]))
        time[active] = new
        done = _negligible(new - t, excess, t, target[active])
        active = active[~done]
    return time, reached


def _lower_until_below(charges: PixelCharges, bracket: _Bracket, armed: Tensor, level: Tensor) -> Tensor:
    """Lower ends of brackets, moved back in doubling steps to where the charge is below the level (or to `armed`)."""
    low = bracket.low.clone()
    step = (bracket.high - bracket.low).clamp(min=0.1)
    active = torch.nonzero(low > armed).flatten()
    while active.numel():
        charge, _ = charges.evaluate(bracket.pixel[active], low[active])
        active = active[(charge >= level[active]) & (low[active] > armed[active])]
        low[active] = torch.maximum(low[active] - step[active], armed[active])
        step[active] *= 2
    return low


def differentiate(charges: PixelCharges, hits: PixelHits, trigger: Trigger) -> tuple[Tensor, Tensor]:
    """Derivatives `(h, P + 1)` of recorded charge and of crossing time to the parameters and, last, to the threshold.

    The last column says how soft a hit is: near a plateau of the charge it grows without bound.
    """
    n = hits.time.shape[0]
    both = torch.cat([hits.time, hits.time + trigger.hold])
    _, current, slopes = charges.evaluate_with_derivatives(hits.pixel.repeat(2), both)
    # A higher threshold is a lower charge at the crossing.
    at_crossing = torch.cat([slopes[:n], torch.full_like(slopes[:n, :1], -1.0)], dim=1)
    at_end = torch.cat([slopes[n:], torch.zeros_like(slopes[:n, :1])], dim=1)
    at_least = current[:n, None].clamp(min=_SLOWEST_CURRENT)
    d_time = torch.zeros_like(at_crossing)
    d_end = torch.zeros_like(at_crossing)
    d_charge = torch.zeros_like(at_crossing)
    for order in range(int(hits.order.max()) + 1 if n else 0):
        i = torch.nonzero(hits.order == order).flatten()
        before = d_end[hits.previous[i]] if order else torch.zeros_like(at_crossing[i])
        d_time[i] = (before - at_crossing[i]) / at_least[i]
        d_end[i] = at_end[i] + current[n + i, None] * d_time[i]
        d_charge[i] = d_end[i] - before
    return d_charge, d_time
