"""The probability of what a pixel records whose comparator has noise of its own and is looked at once per clock tick.

Given the noise r ~ N(0, sigma_r) of a reset, looks are independent: one at the charge Q fires with the probability
Phi((Q - Q_reset + r - threshold) / sigma_d). With L = threshold + Q_reset a hit at tick k therefore has, given the hits
before it,

    p(k, q) = int dr phi(r / sigma_r) / sigma_r  prod_{i < k} Phi((L - Q_i - r) / sigma_d)  Phi((Q_k + r - L) / sigma_d)
              N(q; Q(t_k + hold) - Q_reset + r, sigma_u),

i over all looks since the pixel was armed, and silence the product over all looks there are. The integral is a sum over
equidistant r, which converges exponentially for such smooth functions (L. N. Trefethen, J. A. C. Weideman, SIAM Rev. 56
(2014) 385): steps of a third of the narrower of sigma_d and sigma_u leave 1e-5 of a logarithm for 150 looks at a
plateau. Chains, outliers and the bins of whole counts are those of `first_passage`; a tick is known exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from .charge import PixelCharges
from .comparator import WIDEST_NOISE, Comparator, Looks
from .first_passage import OUTLIER_RATE, OUTLIER_TIME, Chains, Charges, LogProbability, end_of_chain, recorded
from .gaussian import log_below, log_density
from .pixel_information import steering
from .waveform import TRUSTED, batches, coarse_waveforms

#: Steps of the integral over r per width of the narrower noise.
_STEPS_PER_WIDTH = 3
#: Looks that fire with less than the probability of so many widths of all noise, or of that of the comparator where it
#: was silent at a higher charge, are certain to be silent.
_CERTAIN_OF_ALL, _CERTAIN = 5.5, 10.0
#: Looks times values of r of one array; bounds the memory.
_AT_ONCE = 2**17
#: A look whose charge pulls the log-probability by less than this [1/electron] needs no derivatives.
_SMALLEST_PULL = 1e-13


def comparator_block(
    charges: PixelCharges, chains: Chains, comparator: Comparator
) -> tuple[Tensor, Tensor, Tensor, int]:
    """Log-probability `(p,)`, score `(p, P)`, curvature `(P, P)` and number of outliers of a block of pixels.

    Hits of `chains` are at clock ticks; `chains.tick` only says whether their ADC counts are whole. The curvature is
    `steering`.
    """
    n = len(chains.pixel)
    total, d_total = charges.total_with_derivatives()
    looks = comparator.looks(charges, total, chains.threshold)
    both = torch.cat([chains.time, chains.time + chains.hold])
    at, current, slopes = charges.evaluate_with_derivatives(chains.pixel.repeat(2), both)
    steps = _Steps.of(chains, looks, at[:n], at[n:])
    silent = _Silent.of(charges, looks, steps, comparator)
    log, pulls = _outcomes(chains, comparator, steps, silent)
    found = _with_outliers(chains, log, comparator.clock)
    share = torch.cat([found.explained, torch.where(chains.full, torch.zeros_like(total), found.ended)])

    pull_silent = pulls.charge * share[silent.step]
    row = torch.nonzero(pull_silent.abs() > _SMALLEST_PULL).flatten()
    pixel = steps.pixel[silent.step[row]]
    d_silent = charges.evaluate_with_derivatives(pixel, looks.time(pixel, silent.tick[row]))[2]
    pull_end = pulls.end * found.explained
    later = torch.nonzero(steps.previous >= 0).flatten()
    pull_end.index_add_(0, steps.previous[later], (pulls.before * share)[later])
    score = torch.zeros_like(d_total)
    score.index_add_(0, pixel, pull_silent[row, None] * d_silent)
    of_hits = (pulls.crossing * found.explained)[:, None] * slopes[:n] + pull_end[:, None] * slopes[n:]
    score.index_add_(0, chains.pixel, of_hits)
    known = Charges(at[:n], current[:n], at[n:], current[n:], total)
    by_name = {"crossing": slopes[:n], "end": slopes[n:], "total": d_total}
    curvature = steering(chains, known, by_name, found, clock=comparator.clock, flicker=comparator.width)
    return (
        found.ends.index_add(0, chains.pixel, found.hits),
        score,
        curvature,
        int((found.explained < 0.5).sum()),
    )


@dataclass(frozen=True)
class _Steps:
    """Steps of chains, `(s,)`: one before every hit, then one at the end of every pixel.

    `pixel`; `previous`: row of the hit before, or -1; the comparator was silent from look `first` to the one before
    `stop`; charge at the last reset `before` and `threshold` [electrons]. Of hits `(h,)`: `possible`: whether there was
    a look; charges [electrons] at the `crossing` and at the `end` of the hold.
    """

    pixel: Tensor
    previous: Tensor
    first: Tensor
    stop: Tensor
    before: Tensor
    threshold: Tensor
    possible: Tensor
    crossing: Tensor
    end: Tensor

    @staticmethod
    def of(c: Chains, looks: Looks, crossing: Tensor, end: Tensor) -> _Steps:
        pixel = torch.cat([c.pixel, torch.arange(len(c.last), device=c.last.device)])
        previous = torch.cat([c.previous, c.last])
        begun = previous < 0
        armed = looks.since(pixel, torch.cat([c.previous_of(c.time), c.last_of(c.time, 0.0)]) + c.hold)
        first = torch.where(begun, torch.zeros_like(armed), armed)
        fires = looks.since(c.pixel, c.time)
        possible = (fires >= first[: len(fires)]) & (fires < looks.count[c.pixel])
        watched = (looks.total >= looks.lowest) & ~c.full
        return _Steps(
            pixel=pixel,
            previous=previous,
            first=first,
            stop=torch.cat([fires * possible, looks.count * watched]),
            before=torch.cat([c.previous_of(end), c.last_of(end, 0.0)]),
            threshold=c.threshold[pixel],
            possible=possible,
            crossing=crossing,
            end=end,
        )


@dataclass(frozen=True)
class _Silent:
    """Looks `(m,)` of steps that found nothing but might have, sorted by `step` and `tick`, with the `charge`
    [electrons] there; `counts` `(s,)` of every step."""

    step: Tensor
    tick: Tensor
    charge: Tensor
    counts: Tensor

    @staticmethod
    def of(charges: PixelCharges, looks: Looks, steps: _Steps, comparator: Comparator) -> _Silent:
        """Those at a charge from which the comparator may fire: near enough to the threshold, and to the largest charge
        at which the step was silent (which says how large r can be)."""
        lowest = steps.threshold + steps.before - _CERTAIN_OF_ALL * math.hypot(comparator.width, comparator.reset)
        below = _CERTAIN * comparator.width
        step, tick = _likely_looks(charges, looks, steps, lowest, below)
        pixel = steps.pixel[step]
        charge, _ = charges.evaluate(pixel, looks.time(pixel, tick))
        highest = torch.full_like(lowest, -torch.inf).scatter_reduce(0, step, charge, "amax")
        near = torch.nonzero(charge >= torch.maximum(lowest, highest - below)[step]).flatten()
        step = step[near]
        return _Silent(step, tick[near], charge[near], torch.bincount(step, minlength=len(steps.pixel)))


def _likely_looks(
    charges: PixelCharges, looks: Looks, steps: _Steps, lowest: Tensor, below: float
) -> tuple[Tensor, Tensor]:
    """Steps and ticks `(m,)`, sorted, of silent looks whose charge may be at least `lowest` `(s,)`, and at most `below`
    that of the highest of its step, by the coarse waveform [electrons]."""
    silent = steps.stop > steps.first
    candidates = torch.zeros_like(looks.count, dtype=torch.bool)
    candidates[steps.pixel[silent]] = True
    found = [torch.zeros(2, 0, dtype=torch.long, device=lowest.device)]
    row = torch.full_like(looks.count, -1)
    for batch in batches(looks.count, torch.nonzero(candidates).flatten()):
        for size, pixels in batch:
            wave = coarse_waveforms(charges, pixels, looks.start[pixels], size, looks.clock).charge
            row.fill_(-1)
            row[pixels] = torch.arange(len(pixels), device=row.device)
            mine = torch.nonzero(silent & (row[steps.pixel] >= 0)).flatten()
            at = torch.arange(size, device=row.device)
            inside = (at >= steps.first[mine, None]) & (at < steps.stop[mine, None])
            charge = wave[row[steps.pixel[mine]]].masked_fill(~inside, -torch.inf)
            least = torch.maximum(lowest[mine], charge.amax(dim=1) - below) - TRUSTED
            which, tick = torch.nonzero(charge >= least[:, None], as_tuple=True)
            found.append(torch.stack([mine[which], tick]))
    step, tick = torch.cat(found, dim=1)
    order = torch.argsort(step * int(looks.count.max()) + tick)
    return step[order], tick[order]


@dataclass(frozen=True)
class _Pulls:
    """Derivatives of the logarithms of outcomes [1/electron] to the `charge` at silent looks `(m,)`, at the `crossing`
    and at the `end` of the hold of hits `(h,)`, and at the reset `before` each step `(s,)`."""

    charge: Tensor
    crossing: Tensor
    end: Tensor
    before: Tensor


def _outcomes(c: Chains, comparator: Comparator, steps: _Steps, silent: _Silent) -> tuple[Tensor, _Pulls]:
    """Logarithm of the probability of the outcome of every step `(s,)`, if it is no outlier, and its derivatives."""
    r, weight = _reset_noise(c, comparator)
    h, s = len(c.pixel), len(steps.pixel)
    log = torch.zeros_like(steps.before)
    pulls = _Pulls(*(torch.zeros_like(v) for v in (silent.charge, steps.crossing, steps.end, steps.before)))
    looks_before = torch.nn.functional.pad(silent.counts.cumsum(0), (1, 0))
    for part in [*_parts(silent.counts[:h], len(r), 0), *_parts(silent.counts[h:], len(r), h)]:
        rows = slice(int(looks_before[part.start]), int(looks_before[part.stop]))
        hits = part if part.start < h else slice(0, 0)
        values = silent.charge[rows], steps.crossing[hits], steps.end[hits], steps.before[part]
        with torch.enable_grad():
            charge, crossing, end, before = leaves = [v.detach().requires_grad_() for v in values]
            level = steps.threshold[part] + before
            step = silent.step[rows] - part.start
            under = log_below(((level[step] - charge)[:, None] - r) / comparator.width)
            outcome = weight.expand(part.stop - part.start, -1).index_add(0, step, under)
            if part.start < h:
                over = log_below(((crossing - level)[:, None] + r) / comparator.width)
                mean = (end - before)[:, None] + r
                outcome = outcome + over + recorded(c.low[hits, None], c.high[hits, None], mean, c.sampling)
            found = torch.logsumexp(outcome, dim=1)
            slopes = torch.autograd.grad(found.sum(), leaves, allow_unused=True, materialize_grads=True)
        log[part] = found.detach()
        places = rows, hits, hits, part
        for pull, place, slope in zip(vars(pulls).values(), places, slopes, strict=True):
            pull[place] = slope
    impossible = torch.cat([~steps.possible, torch.zeros(s - h, dtype=torch.bool, device=log.device)])
    return log.masked_fill(impossible, -torch.inf), pulls


def _reset_noise(c: Chains, comparator: Comparator) -> tuple[Tensor, Tensor]:
    """`(J,)` values of r [electrons], and the logarithms of their weights with the density of r."""
    step = min(comparator.width, c.sampling) / _STEPS_PER_WIDTH
    count = math.ceil(WIDEST_NOISE * c.reset / step)
    z = torch.linspace(-WIDEST_NOISE, WIDEST_NOISE, 2 * count + 1, dtype=c.time.dtype, device=c.time.device)
    weight = log_density(z)
    return z * c.reset, weight - torch.logsumexp(weight, dim=0)


def _parts(counts: Tensor, values: int, begin: int) -> list[slice]:
    """Steps, numbered from `begin`, in slices of bounded numbers of looks times values of r."""
    cost = ((counts + 1).cumsum(0) * values // _AT_ONCE).tolist()
    edges = [i for i in range(len(cost)) if i == 0 or cost[i] != cost[i - 1]] + [len(cost)]
    return [slice(begin + a, begin + b) for a, b in pairwise(edges)]


def _with_outliers(c: Chains, log: Tensor, clock: float) -> LogProbability:
    """Outcomes mixed with those of outliers, of which each tick and each charge has the same probability."""
    hits, ends = log[: len(c.pixel)], log[len(c.pixel) :]
    unexplained = math.log(OUTLIER_RATE / 2 * clock / OUTLIER_TIME)
    of_charge = c.counts if c.tick else c.span
    of_charge = torch.where((c.low == c.high) | bool(c.tick), -of_charge[c.pixel].log(), torch.zeros_like(hits))
    explained = hits + math.log1p(-OUTLIER_RATE)
    mixed = torch.logaddexp(explained, unexplained + of_charge)
    end, ended = end_of_chain(c, ends)
    clean = torch.ones(len(mixed), 2, dtype=mixed.dtype, device=mixed.device)
    return LogProbability(mixed, end, torch.exp(explained - mixed), ended, clean)
