"""The likelihood of recorded hits, and the information that they hold, for all pixels of a plan."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..errors import FitError
from ..tables import Floats, Ints, Observables, Probability, common_numbers
from .charge import PixelCharges
from .comparator_likelihood import comparator_block
from .first_passage import OUTLIER_RATE, OUTLIER_TIME, Chains, Charges, LogProbability, log_probability
from .gaussian import log_below
from .model import ForwardModel
from .noise import Noise, NoiseLevels
from .pixel_information import expected_information, steering
from .plan import Plan

#: Data sets that are drawn for the information of data which have no formula for it.
DRAWS = 4
#: Stream of random numbers of these draws.
_STREAM = 12
#: A width of noise may be so many times smaller than that of resets; the integral over r then has 7000 values.
_MOST_UNLIKE = 200
#: A time this part of a clock tick from one is at it, on whichever side rounding left it.
_SAME_TICK = 1e-3


def probability(
    model: ForwardModel, data: Observables, values: Mapping[str, float], names: tuple[str, ...]
) -> Probability:
    """Log-probability of all hits of `data` and of the silence of all other pixels that the deposits can reach.

    Groups are the pixels of the plan, which depends on neither the hits nor on small steps of the parameters; hits on
    pixels that no deposit reaches can only be outliers and stand in one group more, the last. The curvature is the
    information of arrival times and charges without the change of the current (it steers; see `information`).
    Raises `FitError` where the model has no noise, `ModelRangeError` as `ForwardModel.hits` does.
    """
    recorded = Recorded.of(model, data, values)
    values = model.complete(values)
    plan = recorded.plan

    def run(block: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, int]:
        charges, chains = model.charges(plan, block, values, names), recorded.chains(block)
        if recorded.noise.discriminator > 0:
            return comparator_block(charges, chains, model.comparator(plan, block, recorded.noise))
        return _block(charges, chains)

    parts = model.map_blocks(run, plan.blocks)
    p = len(names)
    log = np.concatenate([np.zeros(0), *(_numpy(part[0]) for part in parts), [recorded.lost_log]])
    score = np.concatenate([np.zeros((0, p)), *(_numpy(part[1]) for part in parts), np.zeros((1, p))])
    outliers = sum(int(part[3]) for part in parts) + recorded.lost
    return Probability(
        log=log,
        score=score,
        curvature=sum((_numpy(part[2]) for part in parts), np.zeros((p, p))),
        hits=recorded.hits - outliers,
        outliers=outliers,
    )


def information(model: ForwardModel, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
    """`(P, P)` expected information on the parameters `names` at `values`.

    Times in real numbers have that of every step of the recorded chains: see `pixel_information`. For whole numbers,
    and a discriminator with noise, it is the scatter of the scores of pixels about their mean, which is zero, in
    `DRAWS` sets of data that are simulated at `values`: they do not depend on `data`, noise is the same at every call,
    and what pixels scatter about the expectation is in it, as it would be in the scores of data.

    Raises as `probability` does.
    """
    recorded = Recorded.of(model, data, values)
    if recorded.integer or recorded.noise.discriminator > 0:
        return _information_of_draws(model, recorded, values, names)
    values = model.complete(values)
    plan, clock = recorded.plan, model.geometry.readout.clock

    def run(block: tuple[int, int]) -> Tensor:
        return expected_information(model.charges(plan, block, values, names), recorded.chains(block), clock)

    parts = model.map_blocks(run, plan.blocks)
    return sum((_numpy(part) for part in parts), np.zeros((len(names), len(names))))


def _information_of_draws(
    model: ForwardModel, recorded: Recorded, values: Mapping[str, float], names: tuple[str, ...]
) -> Floats:
    """Mean `(P, P)` of the sums over pixels of the squares of their scores, in data drawn at `values`."""
    found = np.zeros((len(names), len(names)))
    for draw in range(DRAWS):
        seed = int(np.random.default_rng([draw, _STREAM]).integers(2**31))
        hits = model.hits(values, Noise(recorded.noise, seed))
        columns = hits.recorded(model.geometry.readout, integer=recorded.integer)
        data = Observables(
            hits.event, hits.channel, hits.order, np.stack(columns, axis=1), ("adc", "t"),
            np.ones(len(hits.event), dtype=bool), integer=recorded.integer,
        )  # fmt: skip
        score = probability(model, data, values, names).score
        found += score.T @ score / DRAWS
    return found


def normal_scores(model: ForwardModel, data: Observables, values: Mapping[str, float]) -> tuple[Floats, Floats]:
    """Probability-integral residuals `(h,)` of the times of hits, and of their charges given their times.

    Each is where in the predicted distribution a recorded value lies, as the quantile of a standard Gaussian: where the
    model is right both have mean 0 and width 1 and are independent. Hits that no deposit explains and charges that the
    ADC clips are left out. Raises as `probability` does, and `FitError` for data in whole counts or clock ticks.
    """
    recorded = Recorded.of(model, data, values)
    if recorded.integer or recorded.noise.discriminator > 0:
        raise FitError(
            "residuals of this kind need times and charges in real numbers; these data have whole counts or ticks."
        )
    values = model.complete(values)

    def run(block: tuple[int, int]) -> tuple[Tensor, Tensor]:
        c = recorded.chains(block)
        charges = model.charges(recorded.plan, block, values, ())
        at, _ = charges.evaluate(c.pixel, c.time)
        end, _ = charges.evaluate(c.pixel, c.time + c.hold)
        before, threshold = c.previous_of(end), c.threshold[c.pixel]
        z = (threshold - at + before) / c.reset
        silent = (threshold - charges.total()[c.pixel] + before) / c.reset
        # Later is larger; given that there is a hit at all.
        later = torch.exp(log_below(-z) - log_below(-silent)).clamp(1e-15, 1 - 1e-15)
        return torch.special.ndtri(later), (c.low - threshold - end + at) / c.sampling

    parts = model.map_blocks(run, recorded.plan.blocks)
    time, charge = (np.concatenate([np.zeros(0), *(_numpy(part[i]) for part in parts)]) for i in range(2))
    return time, charge[np.isfinite(charge)]


def check_noise(model: ForwardModel, data: Observables) -> NoiseLevels:
    """The noise that the model assumes, if it is one that the data can have.

    Raises `FitError` where it is none, or the data cannot have been recorded with it.
    """
    noise = model.settings.noise
    if noise is None or noise.reset <= 0 or noise.sampling <= 0:
        raise FitError(
            "a likelihood needs noise in the model: set readout.noise.reset_electrons and "
            "readout.noise.sampling_electrons to those of the data, above 0."
        )
    if noise.discriminator > 0 and min(noise.discriminator, noise.sampling) < noise.reset / _MOST_UNLIKE:
        raise FitError(
            f"a likelihood with noise on the discriminator integrates over that of resets in steps of the "
            f"narrowest: discriminator_electrons and sampling_electrons must be at least 1/{_MOST_UNLIKE} of "
            f"reset_electrons = {noise.reset:g}; raise them in readout.noise, or fit residuals."
        )
    tick = data.values[data.valid, data.value_names.index("t")] / model.geometry.readout.clock
    if noise.discriminator > 0 and (np.abs(tick - np.rint(tick)) > _SAME_TICK).any():
        raise FitError(
            "a discriminator with noise is looked at once per clock tick, and these hits are between ticks; set "
            "readout.noise.discriminator_electrons to 0, as that of the data was."
        )
    return noise


class Recorded:
    """Hits of data sorted into the pixels of a plan."""

    def __init__(self, model: ForwardModel, plan: Plan, data: Observables, noise: NoiseLevels) -> None:
        self.model, self.plan, self.noise = model, plan, noise
        rows = np.flatnonzero(data.valid)
        pixels, of_hits = common_numbers(*(_keys(t) for t in (plan, data)))
        place = np.searchsorted(pixels, of_hits[rows])
        found = np.zeros(len(rows), dtype=bool)
        inside = place < len(pixels)
        found[inside] = pixels[place[inside]] == of_hits[rows][inside]
        self.hits, self.lost = len(rows), int((~found).sum())
        self.rows = rows = rows[found]
        self.pixel: Ints = place[found].astype(np.int64)
        self.time: Floats = data.values[rows, data.value_names.index("t")] - plan.time[self.pixel]
        self.adc: Floats = data.values[rows, data.value_names.index("adc")]
        self.integer = data.integer

    @staticmethod
    def of(model: ForwardModel, data: Observables, values: Mapping[str, float]) -> Recorded:
        """Data in the plan that these values ask for."""
        return Recorded(model, model.plan(values), data, check_noise(model, data))

    @property
    def lost_log(self) -> float:
        """Log-probability of the hits that no deposit can explain."""
        return self.lost * float(np.log(OUTLIER_RATE / 2 / OUTLIER_TIME / self._span.max(initial=1.0)))

    def hits_of(self, block: tuple[int, int]) -> slice:
        """Which hits are those of a block of pixels."""
        a, b = np.searchsorted(self.pixel, block)
        return slice(int(a), int(b))

    def chains(self, block: tuple[int, int]) -> Chains:
        """The hits of a block of pixels."""
        readout, tensor = self.model.geometry.readout, self.model.tensor
        hits = self.hits_of(block)
        a, b = hits.start, hits.stop
        pixel = self.pixel[a:b] - block[0]
        row = np.arange(len(pixel))
        first = np.diff(pixel, prepend=-1) > 0
        last = np.full(block[1] - block[0], -1)
        last[pixel] = row  # of several hits the last one stays
        number = np.bincount(pixel, minlength=block[1] - block[0])
        channel = self.plan.channel[slice(*block)]
        low, high = self._charges(self.adc[a:b], channel[pixel])
        threshold, span = self.model.pixels.of(channel)[0], self._span[slice(*block)]
        counts = np.full(len(last), float(readout.adc_counts))
        device = self.model.settings.device
        return Chains(
            pixel=torch.as_tensor(pixel, device=device),
            time=tensor(self.time[a:b]),
            low=tensor(low),
            high=tensor(high),
            previous=torch.as_tensor(np.where(first, -1, row - 1), device=device),
            threshold=tensor(threshold),
            span=tensor(span),
            counts=tensor(counts),
            clipped=tensor(self.model.pixels.charge(counts, channel)),
            last=torch.as_tensor(last, device=device),
            full=torch.as_tensor(number >= readout.max_hits, device=device),
            hold=readout.hold,
            reset=self.noise.reset,
            sampling=self.noise.sampling,
            tick=readout.clock if self.integer else 0.0,
        )

    @property
    def _span(self) -> Floats:
        """`(pixels,)` range of charges [electrons] that can be recorded."""
        return self.model.geometry.readout.adc_counts / self.model.pixels.counts_per_electron(self.plan.channel)

    def _charges(self, adc: Floats, channel: Ints) -> tuple[Floats, Floats]:
        """Charges [electrons] between which the ADC gives these counts."""
        half = 0.5 if self.integer else 0.0
        top = self.model.geometry.readout.adc_counts - (1 if self.integer else 0)
        low, high = (self.model.pixels.charge(np.clip(adc, 0, top) + side, channel) for side in (-half, half))
        return np.where(adc <= 0, -np.inf, low), np.where(adc >= top, np.inf, high)


def _block(charges: PixelCharges, chains: Chains) -> tuple[Tensor, Tensor, Tensor, int]:
    """Log-probability `(p,)`, score `(p, P)`, curvature `(P, P)` and number of outliers of a block of pixels."""
    at, slopes = _evaluated(charges, chains)
    found, pulls = pulled(chains, at)
    pixels = torch.cat([chains.pixel] * (2 if chains.tick else 1))
    score = torch.zeros_like(slopes["total"])
    for name, pull in pulls.items():
        if name == "total":
            score += pull[:, None] * slopes[name]
        elif name in slopes:
            score.index_add_(0, pixels, pull[:, None] * slopes[name])
    log = found.ends.detach().clone().index_add_(0, chains.pixel, found.hits.detach())
    curvature = steering(chains, at, slopes, found, clock=chains.tick)
    return log, score, curvature, int((found.explained < 0.5).sum())


def pulled(chains: Chains, at: Charges) -> tuple[LogProbability, dict[str, Tensor]]:
    """The probability of chains at charges, and the derivative of its logarithm to each of these, by their names."""
    leaves = {k: v.detach().requires_grad_() for k, v in vars(at).items()}
    with torch.enable_grad():
        found = log_probability(chains, Charges(**leaves))
        pulls = torch.autograd.grad(
            found.hits.sum() + found.ends.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True
        )
    return found, dict(zip(leaves, pulls, strict=True))


def _evaluated(charges: PixelCharges, chains: Chains) -> tuple[Charges, dict[str, Tensor]]:
    """The charges that chains ask for, and their derivatives `(..., P)` to the parameters, by the same names."""
    crossing, end = chains.times()
    pixel = torch.cat([chains.pixel] * (2 if chains.tick else 1))
    total, d_total = charges.total_with_derivatives()
    q, current, d_q, d_current = charges.evaluate_to_second_order(pixel, crossing)
    slopes = {"crossing": d_q, "current": d_current, "total": d_total}
    if chains.tick:
        q_end, end_current, slopes["end"], slopes["end_current"] = charges.evaluate_to_second_order(pixel, end)
    else:
        q_end, end_current, slopes["end"] = charges.evaluate_with_derivatives(pixel, end)
    return Charges(q, current, q_end, end_current, total), slopes


def _keys(table: Plan | Observables) -> Ints:
    return np.stack([table.event, table.channel], axis=1)


def _numpy(tensor: Tensor) -> Floats:
    return tensor.cpu().numpy().astype(np.float64)
