"""The probability of what a self-triggered pixel records: a chain of first passages.

Noise r ~ N(0, sigma_r), drawn at every reset, makes a pixel that collects Q(t) cross at the first t with
`Q(t) - Q_reset + r >= threshold`. For a charge that does not fall, hit n therefore has, given the hits before it,

    p(t) = Q'(t) phi(z) / sigma_r,       z = (threshold - Q(t) + Q_reset) / sigma_r,
    p(q | t) = N(q; threshold + Q(t + hold) - Q(t), sigma_u),

since the crossing fixes r, and sampling noise u ~ N(0, sigma_u) adds to the recorded charge. Q_reset is the charge at
the end of the hold of the *recorded* hit before. No further hit has the probability Phi((threshold - Q(inf) +
Q_reset) / sigma_r). Where a pixel re-arms above its threshold it fires at once, with r anywhere above it.
Data in whole ticks and counts (`tick` > 0) have the integral over both bins; where in its tick a hit was decides where
the next begins, so the chain is summed over `NODES` places in every tick (the forward algorithm of hidden Markov
models).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .gaussian import log_below, log_between, log_density, log_with_exponential

#: Probability of an outlier at every step of a chain; its time and charge may be anything.
OUTLIER_RATE = 1e-6
#: An outlier has any time within this long [us] with equal probability.
OUTLIER_TIME = 1000.0
#: Nodes (Gauss-Legendre) by which the place of a hit within its clock tick is followed.
NODES = 6
#: A current below this [electrons/us] counts as this, and tells nothing: smaller ones are rounding of the response
#: table on plateaus of the charge. Over 10 us on a plateau that is 0.01 of the width of the noise.
SMALLEST_CURRENT = 1.0
#: A time this close [us] to the moment of re-arming is that moment.
_SAME_TIME = 1e-6


@dataclass(frozen=True)
class Stray:
    """Charge of what no deposit stands for, knocked-on electrons above all: it can only be added.

    A pixel may get some of it before it crosses the threshold, and some while a hit is held. The two are drawn together
    from a sum of exponentials: `shares` `(a, b)` belong to those of `early_means` `(a - 1,)` and of `held_means`
    `(b - 1,)` [electrons], and the first row and column to none.
    """

    shares: tuple[tuple[float, ...], ...] = ((1.0,),)
    early_means: tuple[float, ...] = ()
    held_means: tuple[float, ...] = ()

    @property
    def none(self) -> bool:
        """Whether there is no stray charge at all."""
        return not self.early_means and not self.held_means

    def crossed(self, x: Tensor, width: float, charge: RecordedCharge, wide: float) -> Crossed:
        """The noise of a reset, of this `width`, and stray charge make up `x` [electrons]; sampling noise (`wide`) and
        stray charge make up what was recorded besides the mean.
        """
        times, charges = self._early(x, width), self._held(charge, wide)
        if self.none:
            return Crossed(times[0] + charges[0], torch.ones_like(times[0]), torch.ones_like(charges[0]))
        log, found = self._together(times, charges)
        early = _information(found.early, self.early_means, width)
        return Crossed(log, early.sqrt(), _information(found.held, self.held_means, wide).sqrt())

    def _early(self, x: Tensor, width: float) -> list[Tensor]:
        return [
            log_density(x / width) - math.log(width),
            *(log_with_exponential(x, width, m) for m in self.early_means),
        ]

    def _held(self, charge: RecordedCharge, width: float) -> list[Tensor]:
        more, size = charge.middle(), charge.size()
        # A charge that was clipped may be any above its limit.
        clipped = torch.isinf(charge.high)
        found = [charge.log_probability(width)]
        for m in self.held_means:
            found.append(log_with_exponential(more, width, m) + torch.where(clipped, math.log(m), size))
        return found

    def _together(self, times: list[Tensor], charges: list[Tensor]) -> tuple[Tensor, Classes]:
        ways, rows, columns = [], [], []
        for i, row in enumerate(self.shares):
            for j, share in enumerate(row):
                if share > 0:
                    ways.append(times[i] + charges[j] + math.log(share))
                    rows.append(i)
                    columns.append(j)
        log = torch.stack(ways)
        total = torch.logsumexp(log, dim=0)
        of_each = torch.exp(log - total).detach()
        marginal = []
        for of, count in ((rows, len(times)), (columns, len(charges))):
            sums = [[k for k, which in enumerate(of) if which == i] for i in range(count)]
            marginal.append(torch.stack([of_each[k].sum(dim=0) for k in sums], dim=-1))
        return total, Classes(*marginal)

    def silent(self, x: Tensor, width: float) -> Tensor:
        """Log-probability that noise and stray charge stay below `x` [electrons]."""
        below = log_below(x / width)
        over = torch.zeros_like(below)
        for row, mean in zip(self.shares[1:], self.early_means, strict=True):
            more = log_with_exponential(x, width, mean) + math.log(mean) - below
            over = over + sum(row) * torch.exp(more.clamp(max=0.0))
        return below + torch.log1p(-over)


@dataclass(frozen=True)
class Classes:
    """Probabilities of the exponentials of stray charge, none first: `early` `(h, a)` and `held` `(h, b)`."""

    early: Tensor
    held: Tensor


@dataclass(frozen=True)
class RecordedCharge:
    """Charges between `low` and `high`, and their `mean` in the model [electrons], of any shapes."""

    low: Tensor
    high: Tensor
    mean: Tensor

    def log_probability(self, width: float) -> Tensor:
        """As `recorded`."""
        return recorded(self.low, self.high, self.mean, width)

    def middle(self) -> Tensor:
        """What is more than the mean: of the middle of the bin, or of its end that is finite."""
        top = torch.where(torch.isinf(self.high), self.low, self.high)
        return torch.where(torch.isinf(self.low), top, 0.5 * (self.low + top)) - self.mean

    def size(self) -> Tensor:
        """Logarithm of the size of the bin; 0 of real numbers."""
        bins = self.high - self.low
        return torch.where((bins == 0) | torch.isinf(bins), torch.ones_like(self.low), bins).log()


@dataclass(frozen=True)
class Crossed:
    """Log-density of what a hit recorded (but for the current), and the roots of what its time and its charge tell,
    compared with those without stray charge."""

    log: Tensor
    time: Tensor
    charge: Tensor


NO_STRAY = Stray()


@dataclass(frozen=True)
class Chains:
    """What some pixels recorded, hits sorted by pixel and order, and the constants of their readout.

    Hits `(h,)`: `pixel`; `time` [us] after the pixel's reference (`tick` > 0: the start of a clock tick of that
    length); `low`, `high` [electrons] between which the charge was (equal for real-valued data); `previous`: row of
    the hit before, -1 for the first. Pixels `(p,)`: `threshold` [electrons], `span`: the range of charges that can be
    recorded [electrons], `counts`: the number of different ADC counts, `clipped`: the largest charge that is not
    clipped, `last`: row of the last hit or -1, `full`:
    whether no further hit can be recorded. `hold` [us]; `reset`, `sampling`: widths of the noise [electrons];
    `outlier_rate`: probability of an outlier at every step; `stray` charge.
    """

    pixel: Tensor
    time: Tensor
    low: Tensor
    high: Tensor
    previous: Tensor
    threshold: Tensor
    span: Tensor
    counts: Tensor
    clipped: Tensor
    last: Tensor
    full: Tensor
    hold: float
    reset: float
    sampling: float
    tick: float = 0.0
    outlier_rate: float = OUTLIER_RATE
    stray: Stray = NO_STRAY

    @property
    def first(self) -> Tensor:
        """`(h,)` whether a hit is the first of its pixel."""
        return self.previous < 0

    def times(self) -> tuple[Tensor, Tensor]:
        """Times at which the charge must be known: of crossings, and of the ends of their holds.

        `(h,)` each; for whole ticks `(2 h,)`: all starts of ticks, then all ends.
        """
        edges = self.time if not self.tick else torch.cat([self.time, self.time + self.tick])
        return edges, edges + self.hold

    def orders(self) -> Tensor:
        """`(h,)` number of hits of the same pixel before each."""
        row = torch.arange(len(self.pixel), device=self.pixel.device)
        return row - torch.where(self.first, row, torch.zeros_like(row)).cummax(dim=0).values

    def previous_of(self, at_hits: Tensor) -> Tensor:
        """`(h, ...)` values of the hit before each, 0 before the first."""
        first = self.first.view(-1, *[1] * (at_hits.ndim - 1))
        return at_hits[self.previous.clamp(min=0)].masked_fill(first, 0.0)

    def last_of(self, at_hits: Tensor, without: float) -> Tensor:
        """`(p, ...)` values of the last hit of each pixel, `without` where it has none."""
        if not len(at_hits):
            return at_hits.new_full((len(self.last), *at_hits.shape[1:]), without)
        none = (self.last < 0).view(-1, *[1] * (at_hits.ndim - 1))
        return at_hits[self.last.clamp(min=0)].masked_fill(none, without)


@dataclass(frozen=True)
class Charges:
    """The charge of the pixels where `Chains` need it: [electrons] `crossing` and `end`, [electrons/us] `current` and
    `end_current`, at the times of `Chains.times`; `total` `(p,)` in the end."""

    crossing: Tensor
    current: Tensor
    end: Tensor
    end_current: Tensor
    total: Tensor


@dataclass(frozen=True)
class LogProbability:
    """Logarithms of the probability of each hit `(h,)` given those before it, and of no further hit `(p,)`.

    `explained` `(h,)`, `ended` `(p,)`: the share of each that is not the outliers'. `clean` `(h, 2)`: roots of what
    times and charges tell, compared with those without stray charge.
    """

    hits: Tensor
    ends: Tensor
    explained: Tensor
    ended: Tensor
    clean: Tensor

    @property
    def weights(self) -> Tensor:
        """`(h, 2)` how much the time and the charge of each hit tell, compared with one that the model surely made."""
        return self.explained[:, None] * self.clean


def log_probability(chains: Chains, charges: Charges) -> LogProbability:
    """Log-probability of everything recorded (of densities where data are real numbers); differentiable."""
    return _in_ticks(chains, charges) if chains.tick else _real_valued(chains, charges)


def _real_valued(c: Chains, q: Charges) -> LogProbability:
    threshold, before = c.threshold[c.pixel], c.previous_of(q.end)
    lowered, expected = threshold - q.crossing + before, threshold + q.end - q.crossing
    found = c.stray.crossed(lowered, c.reset, RecordedCharge(c.low, c.high, expected), c.sampling)
    crossed = q.current.clamp(min=SMALLEST_CURRENT).log() + found.log
    armed = c.previous_of(c.time) + c.hold
    at_once = ~c.first & ((c.time - armed).abs() < _SAME_TIME)
    # The outlier's density, so that all outcomes together have probability one.
    unexplained = math.log(c.outlier_rate / 2 / OUTLIER_TIME) - c.span[c.pixel].log()
    unexplained = torch.where(c.low == c.high, unexplained, math.log(c.outlier_rate / 2 / OUTLIER_TIME))
    explained = torch.where(at_once, _fired_at_once(c, q, threshold, before), crossed) + math.log1p(-c.outlier_rate)
    hits = torch.logaddexp(explained, unexplained)
    stays_below = c.stray.silent(c.threshold - q.total + c.last_of(q.end, 0.0), c.reset)
    ends, ended = end_of_chain(c, stays_below)
    clean = torch.stack([found.time, found.charge], dim=1)
    return LogProbability(hits, ends, torch.exp(explained - hits).detach(), ended, clean)


def _information(classes: Tensor, means: tuple[float, ...], width: float) -> Tensor:
    """What a value tells that has noise of this `width` and stray charge, compared with one without the latter."""
    told = width**2 / (width**2 + classes.new_tensor((0.0, *means)) ** 2)
    return (classes * told).sum(dim=-1)


def recorded(low: Tensor, high: Tensor, mean: Tensor, width: float) -> Tensor:
    """Log-probability of a charge between `low` and `high` about its mean, of any shapes: the density where these are
    equal."""
    exact = low == high
    low, high = (low - mean) / width, (high - mean) / width
    density = log_density(torch.where(exact, low, torch.zeros_like(low))) - math.log(width)
    binned = log_between(torch.where(exact, torch.zeros_like(low), low), torch.where(exact, torch.ones_like(low), high))
    return torch.where(exact, density, binned)


def _fired_at_once(c: Chains, q: Charges, threshold: Tensor, before: Tensor) -> Tensor:
    """Log-probability of firing at the moment of re-arming, and of the recorded charge: `q = Q_end - Q_reset + r + u`
    with r above the threshold. A charge that the ADC clips is taken at its limit."""
    wide = math.hypot(c.reset, c.sampling)
    charge = torch.where(torch.isinf(c.low), c.high, c.low) - q.end + before
    most_likely, spread = charge * (c.reset / wide) ** 2, c.reset * c.sampling / wide
    return log_density(charge / wide) - math.log(wide) + log_below((most_likely - threshold) / spread)


def end_of_chain(c: Chains, stays_below: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability `(p,)` of no further hit, 0 where none can be recorded, and the share that is no outlier."""
    explained = stays_below + math.log1p(-c.outlier_rate)
    ends = torch.logaddexp(explained, torch.full_like(explained, math.log(c.outlier_rate / 2)))
    share = torch.exp(explained - ends).detach()
    return torch.where(c.full, torch.zeros_like(ends), ends), share


def _in_ticks(c: Chains, q: Charges) -> LogProbability:
    n = len(c.pixel)
    threshold = c.threshold[c.pixel]
    nodes, weights = (v.to(q.total) for v in _NODES)
    crossing, current = _within_tick(q.crossing, q.current, n, c.tick, nodes)
    end, _ = _within_tick(q.end, q.end_current, n, c.tick, nodes)
    mean = threshold[:, None] + end - crossing
    low, high = (v[:, None, None].expand(-1, 1, mean.shape[1]) for v in (c.low, c.high))
    arrival = current.clamp(min=SMALLEST_CURRENT).log() + (weights * c.tick).log()
    unexplained = math.log(c.outlier_rate / 2 * c.tick / OUTLIER_TIME) - c.counts.log()
    # Where in its tick each hit was, given everything up to it: log-probabilities of the nodes.
    anywhere = weights.log()
    place = anywhere.expand(n, -1)
    hits, explained = torch.zeros_like(c.low), torch.ones_like(c.low)
    clean = torch.ones(n, 2, dtype=hits.dtype, device=hits.device)
    order = c.orders()
    for k in range(int(order.max()) + 1 if n else 0):
        i = torch.nonzero(order == k).flatten()
        row = c.previous[i].clamp(min=0)
        # Before the first hit nothing was collected, wherever.
        before = end[row] if k else torch.zeros_like(end[row])
        lowered = threshold[i, None, None] - crossing[i, None, :] + before[:, :, None]
        of_charge = RecordedCharge(low[i], high[i], mean[i, None, :])
        seen = c.stray.crossed(lowered, c.reset, of_charge, c.sampling)
        ways = place[row][:, :, None] + seen.log + arrival[i, None, :]
        crossed = torch.logsumexp(ways, dim=1)
        share = ways.detach().flatten(1).softmax(dim=1).view_as(ways)
        clean[i, 0] = (seen.time * share).sum(dim=(1, 2))
        clean[i, 1] = (seen.charge * share).sum(dim=(1, 2))
        crossed = crossed + math.log1p(-c.outlier_rate)
        found = torch.logaddexp(crossed, unexplained[c.pixel[i], None] + anywhere)
        total = torch.logsumexp(found, dim=1)
        hits = hits.index_copy(0, i, total)
        explained[i] = torch.exp(torch.logsumexp(crossed, dim=1) - total).detach()
        place = place.index_copy(0, i, found - total[:, None])
    x = c.threshold[:, None] - q.total[:, None] + c.last_of(end, 0.0)
    last = c.last_of(place, 0.0)
    last = torch.where((c.last < 0)[:, None], anywhere, last)
    ends, ended = end_of_chain(c, torch.logsumexp(last + c.stray.silent(x, c.reset), dim=1))
    return LogProbability(hits, ends, explained, ended, clean)


def _gauss_legendre(count: int) -> tuple[Tensor, Tensor]:
    place, weight = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((place + 1) / 2), torch.from_numpy(weight / 2)


#: Places in a clock tick, as fractions of it, and the shares that they stand for.
_NODES = _gauss_legendre(NODES)


def _within_tick(charge: Tensor, current: Tensor, n: int, tick: float, place: Tensor) -> tuple[Tensor, Tensor]:
    """`(n, places)` charge and current at fractions `place` of a tick, by the cubic through charge and current at both
    its ends."""
    a, b = charge[:n, None], charge[n:, None]
    ia, ib = tick * current[:n, None], tick * current[n:, None]
    s, square = place, place**2
    rise = b - a
    value = a + ia * s + (3 * rise - 2 * ia - ib) * square + (ia + ib - 2 * rise) * square * s
    slope = (ia + 2 * (3 * rise - 2 * ia - ib) * s + 3 * (ia + ib - 2 * rise) * square) / tick
    return value, slope
