"""The expected information of self-triggered pixels: what the next outcome of every chain tells, summed over outcomes.

The score of a chain is a sum of martingale differences: given the hits before, the score of the next outcome has mean
zero. Its information is therefore the sum over the steps of a chain of the variance of the step's score, and

    I = sum over steps  int_x^inf phi(z) [s s^T + m m^T] dz + phi(x)^2 / Phi(x) dx dx^T,
    s = d ln Q'(t) - z dz,        m = d(Q(t + hold) - Q(t)) / sigma_u,

with t(z) the time at which the charge passes the threshold lowered by the noise, and x the z of the whole charge: the
silence beyond it is an outcome, too. The steps are those of the recorded chains, so this is the expected information
given where each chain went; over data of the same parameters its mean is Fisher's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .charge import PixelCharges
from .first_passage import SMALLEST_CURRENT, Chains, Charges, LogProbability
from .gaussian import hazard, log_below, log_density
from .waveform import Waveforms, batches, coarse_waveforms, windows

#: Noise beyond this many widths makes no hit.
_WIDEST = 6.0
#: Nodes of the sum over outcomes: where the charge goes far over the threshold, and where it may end near it.
_FAR, _NEAR = 7, 16
#: Steps by which times of outcomes are improved; what is left is in the value of z that is used.
_NEWTON_STEPS = 2


def expected_information(charges: PixelCharges, chains: Chains, clock: float) -> Tensor:
    """`(P, P)` expected information of a block of pixels along chains recorded in real numbers.

    `clock` [us] is the step of the waveforms from which times are guessed.
    """
    steps = _Steps.of(charges, chains)
    rate = hazard(steps.silent)
    silence = steps.d_silent * (rate * torch.exp(0.5 * log_below(steps.silent)))[:, None]
    found = silence.T @ silence
    lowest = (chains.threshold - _WIDEST * chains.reset).clamp(min=1.0)
    start, ticks = windows(charges, steps.total, lowest, clock)
    possible = torch.zeros_like(steps.total, dtype=torch.bool)
    possible[steps.pixel[steps.silent < _WIDEST]] = True
    for batch in batches(ticks, torch.nonzero(possible).flatten()):
        for size, pixels in batch:
            coarse = coarse_waveforms(charges, pixels, start[pixels], size, clock)
            row = torch.full_like(chains.last, -1)
            row[pixels] = torch.arange(len(pixels), device=row.device)
            for far in (True, False):
                inside = (row[steps.pixel] >= 0) & (steps.silent < _WIDEST) & ((steps.silent < -_WIDEST) == far)
                some = steps.take(torch.nonzero(inside).flatten())
                found = found + _of_hits(charges, chains, coarse, row[some.pixel], some, far)
    return found


@dataclass(frozen=True)
class Steering:
    """Square root of the Gauss-Newton form of the information: rows that are linear in the derivatives of charges.

    Hits `(h,)` have two, of the place of the threshold and of the recorded charge,

        time [d Q_reset - d Q(t)],    charge [d Q(t + hold) - known d Q(t) - (1 - known) d Q_reset],

    and pixels `(p,)` one, of the silence after their last hit: silence [d Q_reset - d Q(inf)].
    """

    time: Tensor
    charge: Tensor
    known: Tensor
    silence: Tensor

    @staticmethod
    def of(c: Chains, q: Charges, found: LogProbability, *, clock: float = 0.0, flicker: float = 0.0) -> Steering:
        """Where times are those of ticks of a `clock` [us], or the comparator has noise `flicker` [electrons], the
        charge at a crossing is known to a variance v, and r only as well as its own width and v together tell. Whole
        counts widen.
        """
        n = len(c.pixel)
        # Within a tick the two ends tell the same.
        v = flicker**2 + (q.current[:n] * clock) ** 2 / 12
        known = c.reset**2 / (c.reset**2 + v)
        width = torch.where(torch.isinf(c.high - c.low), torch.zeros_like(c.low), c.high - c.low)
        reset = math.hypot(c.reset, flicker)
        x = (c.threshold - q.total + c.last_of(q.end[:n], 0.0)) / reset
        rate = hazard(x)
        weight = torch.where(c.full, torch.zeros_like(x), rate * (rate + x) * found.ended)
        return Steering(
            time=found.weights[:, 0] / (c.reset**2 + v).sqrt(),
            charge=found.weights[:, 1] / (c.sampling**2 + width**2 / 12 + v * known).sqrt(),
            known=known,
            silence=weight.clamp(min=0.0).sqrt() / reset,
        )


def steering(
    c: Chains,
    q: Charges,
    slopes: Mapping[str, Tensor],
    found: LogProbability,
    *,
    clock: float = 0.0,
    flicker: float = 0.0,
) -> Tensor:
    """Gauss-Newton form `(P, P)` of the information: see `Steering`."""
    n = len(c.pixel)
    root = Steering.of(c, q, found, clock=clock, flicker=flicker)
    d_cross, d_end = slopes["crossing"][:n], slopes["end"][:n]
    lowered, known = c.previous_of(d_end) - d_cross, root.known[:, None]
    d_charge = d_end - d_cross - (1 - known) * lowered
    d_silence = c.last_of(d_end, 0.0) - slopes["total"]
    rows = torch.cat([lowered * root.time[:, None], d_charge * root.charge[:, None], d_silence * root.silence[:, None]])
    return rows.T @ rows


@dataclass(frozen=True)
class _Steps:
    """Steps of chains `(s,)`: `pixel`; `armed` [us]; charge at the last reset [electrons] with its derivatives
    `(s, P)`; z of the whole charge (`silent`) with its own. `total` `(p,)` is the charge of every pixel."""

    pixel: Tensor
    armed: Tensor
    reset: Tensor
    d_reset: Tensor
    silent: Tensor
    d_silent: Tensor
    total: Tensor

    @staticmethod
    def of(charges: PixelCharges, c: Chains) -> _Steps:
        """The first step of every pixel, and one after every hit that is not the last possible."""
        total, d_total = charges.total_with_derivatives()
        end, _, d_end = charges.evaluate_with_derivatives(c.pixel, c.time + c.hold)
        is_last = torch.zeros_like(c.pixel, dtype=torch.bool)
        is_last[c.last[c.full]] = True
        later = torch.nonzero(~is_last).flatten()
        pixel = torch.cat([torch.arange(len(total), device=later.device), c.pixel[later]])
        reset = torch.cat([torch.zeros_like(total), end[later]])
        d_reset = torch.cat([torch.zeros_like(d_total), d_end[later]])
        return _Steps(
            pixel=pixel,
            armed=torch.cat([torch.full_like(total, -torch.inf), (c.time + c.hold)[later]]),
            reset=reset,
            d_reset=d_reset,
            silent=(c.threshold[pixel] - total[pixel] + reset) / c.reset,
            d_silent=(d_reset - d_total[pixel]) / c.reset,
            total=total,
        )

    def take(self, rows: Tensor) -> _Steps:
        columns = {n: getattr(self, n)[rows] for n in ("pixel", "armed", "reset", "d_reset", "silent", "d_silent")}
        return _Steps(**columns, total=self.total)


def _of_hits(charges: PixelCharges, c: Chains, coarse: Waveforms, row: Tensor, steps: _Steps, far: bool) -> Tensor:
    """Information of the outcomes of steps in which there is a next hit; `row` `(s,)` of their pixels in `coarse`."""
    place, weight = _nodes(steps.silent, far)
    threshold = c.threshold[steps.pixel]
    level = threshold[:, None] + steps.reset[:, None] - c.reset * place
    time = _times(charges, coarse, row, steps, level)
    pixel = steps.pixel.repeat_interleave(place.shape[1])
    charge, current, d_charge, d_current = charges.evaluate_to_second_order(pixel, time.flatten())
    end, _, d_end = charges.evaluate_with_derivatives(pixel, time.flatten() + c.hold)
    reset, d_reset = (v.repeat_interleave(place.shape[1], dim=0) for v in (steps.reset, steps.d_reset))
    z = (c.threshold[pixel] - charge + reset) / c.reset
    rising = torch.where(current > SMALLEST_CURRENT, 1 / current, torch.zeros_like(current))
    s = d_current * rising[:, None] - z[:, None] * (d_reset - d_charge) / c.reset
    m = (d_end - d_charge) / c.sampling
    known = _unclipped((c.clipped[pixel] - c.threshold[pixel] - end + charge) / c.sampling)
    weight = weight.flatten()
    return (s * weight[:, None]).T @ s + (m * (weight * known)[:, None]).T @ m


def _unclipped(a: Tensor) -> Tensor:
    """Share of the information on the mean of a Gaussian that is left when values above `a` widths are clipped."""
    above = torch.exp(2 * log_density(a) - log_below(-a))
    return torch.where(a > 30, torch.ones_like(a), torch.exp(log_below(a)) - a * torch.exp(log_density(a)) + above)


def _nodes(silent: Tensor, far: bool) -> tuple[Tensor, Tensor]:
    """Nodes `(s, J)` of z above `silent`, and their weights with the density of a standard Gaussian."""
    if far:
        place, weight = np.polynomial.hermite_e.hermegauss(_FAR)
        nodes, weights = (torch.as_tensor(v, dtype=silent.dtype, device=silent.device) for v in (place, weight))
        return nodes.expand(len(silent), -1), (weights / weights.sum()).expand(len(silent), -1)
    place, weight = np.polynomial.legendre.leggauss(_NEAR)
    v, dv = (torch.as_tensor(a, dtype=silent.dtype, device=silent.device) for a in ((place + 1) / 2, weight / 2))
    # Dense at the end of the charge, where the current vanishes.
    start = silent.clamp(min=-_WIDEST)[:, None]
    z = start + (_WIDEST - start) * v**2
    return z, torch.exp(log_density(z)) * 2 * (_WIDEST - start) * v * dv


def _times(charges: PixelCharges, coarse: Waveforms, row: Tensor, steps: _Steps, level: Tensor) -> Tensor:
    """`(s, J)` times [us] at which pixels reach the levels, from the coarse waveform and a few Newton steps."""
    wave = coarse.charge.cummax(dim=1).values[row]
    after = torch.searchsorted(wave, level.contiguous()).clamp(1, wave.shape[1] - 1)
    below, above = wave.gather(1, after - 1), wave.gather(1, after)
    share = ((level - below) / (above - below).clamp(min=1e-6)).clamp(0, 1)
    low = coarse.start[row, None] + (after - 2) * coarse.step
    time = (low + (1 + share) * coarse.step).flatten()
    low, high = low.flatten(), low.flatten() + 3 * coarse.step
    pixel = steps.pixel.repeat_interleave(level.shape[1])
    for _ in range(_NEWTON_STEPS):
        charge, current = charges.evaluate(pixel, time)
        time = time + (level.flatten() - charge) / current.clamp(min=1.0)
        time = torch.minimum(torch.maximum(time, low), high)
    return torch.maximum(time.view_as(level), steps.armed[:, None])
