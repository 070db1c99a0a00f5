"""The likelihood of pixels whose discriminator has noise and is looked at once per clock tick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_ndtr, logsumexp, ndtr
from scipy.stats import norm

from pipeline.errors import FitError
from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import PixelObservables, hits_table, observables_of_hits, observables_of_simulation
from pipeline.tables import Floats, Observables, Segments
from tests.simulate.deposits import MODULE0, deposits, model, random_deposits

LEVELS = NoiseLevels(900.0, 500.0, 250.0)
VALUES = {**nominal_values(), "shift_x": 0.02, "shift_z": 0.03}
READOUT = MODULE0.readout
STEEP = deposits([0.12, 0.10, 5.0], [0.14, 0.10, 8.0], dedx=3.0)


def chamber(segments: Segments, levels: NoiseLevels = LEVELS, **settings: object) -> PixelObservables:
    return PixelObservables(model(segments, noise=levels, **settings))


def recorded(of: PixelObservables, seed: int, *, integer: bool = False) -> Observables:
    assert of.model.settings.noise is not None
    hits = of.model.hits(VALUES, Noise(of.model.settings.noise, seed))
    if not integer:
        return observables_of_simulation(hits, MODULE0)
    table = hits_table(hits, MODULE0, drift_velocity=0.16, event_t0={}, integer_adc=True)
    return observables_of_hits(table, MODULE0)


class Slow:
    """Pixel by pixel and look by look, on the charge of the model."""

    def __init__(self, of: PixelObservables, data: Observables) -> None:
        assert of.model.settings.noise is not None
        self.levels, self.plan = of.model.settings.noise, of.model.plan(VALUES)
        every = (0, len(self.plan.event))
        self.charges = of.model.pixel_charges(VALUES, every)
        self.total = self.charges.total()
        comparator = of.model.comparator(self.plan, every, self.levels)
        self.looks = comparator.looks(self.charges, self.total, float(READOUT.threshold))
        self.data = data

    def charge(self, pixel: int, time: Floats) -> Floats:
        at = torch.as_tensor(time - self.plan.time[pixel])
        return np.asarray(self.charges.evaluate(torch.full((len(at),), pixel), at)[0])

    def log(self, pixel: int) -> float:
        """Logarithm of the probability of everything that a pixel recorded."""
        d = self.data
        mine = (d.event == self.plan.event[pixel]) & (d.channel == self.plan.channel[pixel])
        start = float(self.looks.start[pixel]) + self.plan.time[pixel]
        ticks = np.rint(start / READOUT.clock) + np.arange(int(self.looks.count[pixel]))
        clock, hold = READOUT.clock, READOUT.hold
        log, armed, before = 0.0, -np.inf, 0.0
        for adc, time in d.values[mine]:
            tick = round(time / clock)
            silent = ticks[(ticks >= armed) & (ticks < tick)] * clock
            at, end = self.charge(pixel, np.array([tick * clock, tick * clock + hold]))
            level = READOUT.threshold + before
            log += self.outcome(level - self.charge(pixel, silent), level - at, end - before, adc)
            armed, before = tick + round(hold / clock), end
        silent = ticks[ticks >= armed] * clock
        return log + self.outcome(READOUT.threshold + before - self.charge(pixel, silent))

    def outcome(self, silent: Floats, fires: float | None = None, charge: float = 0.0, adc: float = 0.0) -> float:
        """Logarithm of the probability of no crossing at looks that lack the charges `silent`, and of one that lacks
        `fires` and records `charge` + r."""
        sigma_r, sigma_u, sigma_d = self.levels.reset, self.levels.sampling, self.levels.discriminator
        r = np.arange(-9 * sigma_r, 9 * sigma_r, min(sigma_d, sigma_u) / 8)
        log = norm.logpdf(r, scale=sigma_r) + np.log(r[1] - r[0])
        for lacking in silent:
            log = log + log_ndtr((lacking - r) / sigma_d)
        if fires is not None:
            log = log + log_ndtr((r - fires) / sigma_d)
            half = 0.5 if self.data.integer else 0.0
            low, high = ((v / COUNTS - OFFSET) for v in (adc - half, adc + half))
            if self.data.integer:
                with np.errstate(divide="ignore"):
                    log = log + np.log(ndtr((high - charge - r) / sigma_u) - ndtr((low - charge - r) / sigma_u))
            else:
                log = log + norm.logpdf(low, loc=charge + r, scale=sigma_u)
        return float(logsumexp(log))


#: ADC counts per electron, and the charge [electrons] that no counts stand for.
COUNTS = READOUT.gain * READOUT.adc_counts / (READOUT.reference - READOUT.common_mode)
OFFSET = (READOUT.pedestal - READOUT.common_mode) / READOUT.gain


@pytest.mark.parametrize("integer", [False, True])
@pytest.mark.parametrize("segments", [random_deposits(11, 4), STEEP])
def test_the_likelihood_is_that_of_every_look(segments: Segments, integer: bool) -> None:
    """Outliers take 1e-6 of every outcome."""
    of = chamber(segments)
    data = recorded(of, 1, integer=integer)
    slow, found = Slow(of, data), of.probability(data, VALUES, ("birks_ab",))
    use = np.flatnonzero(slow.total.numpy() > 1000.0)
    assert found.hits == len(data) >= 4 and found.outliers == 0
    np.testing.assert_allclose(found.log[use], [slow.log(k) for k in use], rtol=0, atol=2e-5)


@pytest.mark.parametrize("integer", [False, True])
def test_the_score_is_the_derivative_of_the_log_probability(integer: bool) -> None:
    of = chamber(random_deposits(4, 10))
    data = recorded(of, 1, integer=integer)
    names = (*CALIBRATED, "shift_x", "shift_z")
    score = of.probability(data, VALUES, names).score.sum(axis=0)
    for i, name in enumerate(names):
        step = 1e-6 * VALUES[name]
        up, down = (of.probability(data, {**VALUES, name: VALUES[name] + s}, names).log.sum() for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(score[i], rel=1e-5), name


def test_with_little_noise_only_the_ticks_remain() -> None:
    """Then a hit says between which values r was, and the integral over r is that of a product of two Gaussians."""

    def difference(width: float) -> float:
        of = chamber(STEEP, NoiseLevels(900.0, 500.0, width))
        slow = Slow(of, data)
        first = int(np.argmax(slow.total.numpy()))
        return float(of.probability(data.take(mine), VALUES, CALIBRATED).log[first] - expected(slow, first))

    def expected(slow: Slow, pixel: int) -> float:
        log, armed, before = 0.0, float(slow.looks.start[pixel]) + slow.plan.time[pixel], 0.0
        wide = np.hypot(900.0, 500.0)
        for adc, time in data.values[mine]:
            looks = np.arange(round(armed / 0.1), round(time / 0.1)) * 0.1
            under = slow.charge(pixel, looks).max(initial=-np.inf) - before
            at, end = slow.charge(pixel, np.array([time, time + READOUT.hold])) - before
            q = adc / COUNTS - OFFSET - end
            mean, spread = q * (900 / wide) ** 2, 900 * 500 / wide
            ends = (READOUT.threshold - np.array([at, under]) - mean) / spread
            log += norm.logpdf(q, scale=wide) + np.log(np.diff(norm.cdf(ends))[0])
            armed, before = time + READOUT.hold, end + before
        return log + norm.logcdf((READOUT.threshold - float(slow.total[pixel]) + before) / 900)

    data = recorded(chamber(STEEP, NoiseLevels(900.0, 500.0, 1e-9)), 2)
    mine = data.channel == data.channel[np.argmax(data.order)]
    assert mine.sum() > 2
    coarse, fine = difference(40.0), difference(10.0)
    assert abs(fine) < 1e-3 and abs(fine) < 0.3 * abs(coarse)


@pytest.mark.parametrize("integer", [False, True])
def test_over_many_draws_the_score_is_zero_and_its_covariance_the_information(integer: bool) -> None:
    of = chamber(random_deposits(6, 12))
    scores = [of.probability(recorded(of, k, integer=integer), VALUES, CALIBRATED).score for k in range(30)]
    total = np.array([score.sum(axis=0) for score in scores])
    squares = np.array([(score**2).sum(axis=0) for score in scores])
    information = np.diag(of.information(recorded(of, 0, integer=integer), VALUES, CALIBRATED))
    pull = total.mean(axis=0) / np.sqrt(squares.mean(axis=0) / len(scores))
    assert (np.abs(pull) < 3).all(), pull
    ratio = total.var(axis=0) / squares.mean(axis=0)
    assert (np.abs(ratio - 1) < 3 * np.sqrt(2 / len(scores))).all(), ratio
    # The information is the mean of four others of the same squares.
    error = squares.std(axis=0) * np.sqrt(1 / 4 + 1 / len(scores))
    assert (np.abs(information - squares.mean(axis=0)) < 3 * error).all(), information / squares.mean(axis=0)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    found = [chamber(random_deposits(9, 12), threads=n, block_pairs=2000) for n in (1, 2)]
    data = recorded(found[0], 1)
    one, two = (of.probability(data, VALUES, CALIBRATED) for of in found)
    assert one.log.tobytes() == two.log.tobytes() and one.score.tobytes() == two.score.tobytes()
    assert one.curvature.tobytes() == two.curvature.tobytes()
    informations = [of.information(data, VALUES, CALIBRATED).tobytes() for of in found]
    assert informations[0] == informations[1]


def test_looks_do_not_depend_on_the_draw_and_hold_every_hit() -> None:
    of = chamber(random_deposits(5, 10))
    plan = of.model.plan(VALUES)
    every = (0, len(plan.event))
    charges = of.model.pixel_charges(VALUES, every)
    one, other = (of.model._trigger(plan, every, Noise(LEVELS, seed)).looks(charges) for seed in (1, 2))
    assert torch.equal(one.start, other.start) and torch.equal(one.count, other.count)
    data = recorded(of, 1)
    pixel = np.searchsorted(plan.event * 10**6 + plan.channel, data.event * 10**6 + data.channel)
    tick = (data.values[:, 1] - plan.time[pixel] - one.start.numpy()[pixel]) / READOUT.clock
    assert (tick > -1e-6).all() and (tick < one.count.numpy()[pixel] - 0.5).all()
    # After the charge has arrived there is no look.
    latest = torch.segment_reduce(charges.time, "max", lengths=charges.first.diff())
    spread = torch.segment_reduce(charges.sigma_time, "max", lengths=charges.first.diff())
    after = one.start + one.count * READOUT.clock - (latest + charges.table.late + 5 * spread)
    assert float(after.min()) > 0.0 and float(after.max()) < 4 * READOUT.clock


def test_a_hit_where_the_pixel_was_not_looked_at_is_an_outlier() -> None:
    of = chamber(STEEP)
    data = recorded(of, 1)
    again = data.values.copy()
    row = int(np.argmax(data.order))
    again[row, 1] = again[row - 1, 1] + READOUT.hold - READOUT.clock
    before, after = (of.probability(d, VALUES, CALIBRATED) for d in (data, replace(data, values=again)))
    assert (before.outliers, after.outliers) == (0, 1) and np.isfinite(after.log).all()


def test_what_it_cannot_do_is_said() -> None:
    of = chamber(STEEP)
    data = recorded(of, 1)
    with pytest.raises(FitError, match="between ticks"):
        of.probability(replace(data, values=data.values + np.array([0.0, 0.03])), VALUES, CALIBRATED)
    with pytest.raises(FitError, match="whole counts or ticks"):
        of.normal_scores(data, VALUES)
    with pytest.raises(FitError, match="at least 1/200 of reset_electrons"):
        chamber(STEEP, NoiseLevels(900.0, 500.0, 1.0)).probability(data, VALUES, CALIBRATED)
