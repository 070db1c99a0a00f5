"""The likelihood of recorded hits: its derivatives, its information, and what it is on average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from pipeline.errors import FitError
from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.simulate.gaussian import log_between
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import PixelObservables, observables_of_simulation
from pipeline.simulate.pixel_likelihood import Recorded
from pipeline.tables import Observables, Segments

from .deposits import MODULE0, deposits, random_deposits

LEVELS = NoiseLevels(reset=900.0, sampling=500.0)
VALUES = nominal_values()


def chamber(segments: Segments, **settings: object) -> PixelObservables:
    return PixelObservables(ForwardModel(segments, MODULE0, ModelSettings(noise=LEVELS, **settings)))  # type: ignore[arg-type]


def recorded(model: PixelObservables, seed: int) -> Observables:
    return observables_of_simulation(model.model.hits(VALUES, Noise(LEVELS, seed)), model.model.geometry)


def whole_numbers(data: Observables, clock: float, counts: int) -> Observables:
    adc = np.clip(np.floor(data.values[:, 0] + 0.5), 0, counts - 1)
    time = np.floor(data.values[:, 1] / clock + 1e-9) * clock
    return replace(data, values=np.stack([adc, time], axis=1), integer=True)


@pytest.mark.parametrize("integer", [False, True])
def test_the_score_is_the_derivative_of_the_log_probability(integer: bool) -> None:
    model = chamber(random_deposits(4, 25))
    data = recorded(model, 1)
    if integer:
        data = whole_numbers(data, 0.1, 256)
    names = (*CALIBRATED, "shift_x", "shift_z")
    score = model.probability(data, VALUES, names).score.sum(axis=0)
    for i, name in enumerate(names):
        step = 1e-6 * (VALUES[name] or 0.1)
        up, down = (model.probability(data, {**VALUES, name: VALUES[name] + s}, names).log.sum() for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(score[i], rel=2e-5, abs=1e-6 * abs(score).max()), name


def test_the_information_is_the_sum_over_a_fine_grid_of_outcomes_to_a_thousandth() -> None:
    model = chamber(random_deposits(3, 2))
    data = recorded(model, 5)
    found = model.information(data, VALUES, CALIBRATED)
    expected = information_on_a_grid(model.model, data)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-3)


def information_on_a_grid(model: ForwardModel, data: Observables) -> np.ndarray:
    """Every chain, step by step: probabilities of 4000 time bins, scores at their middles."""
    plan = model.plan(VALUES)
    charges = model.charges(plan, (0, len(plan.event)), model.complete(VALUES), CALIBRATED)
    total, d_total = (t.numpy() for t in charges.total_with_derivatives())
    hits, found = Recorded.of(model, data, VALUES), np.zeros((6, 6))
    for pixel in np.flatnonzero(total > 1000):
        own = charges.time[charges.first[pixel] : charges.first[pixel + 1]].numpy()
        reset, d_reset, armed = 0.0, np.zeros(6), -np.inf
        for time in (*hits.time[hits.pixel == pixel], None):
            silent, d_silent = (7000 - total[pixel] + reset) / 900, (d_reset - d_total[pixel]) / 900
            found += np.outer(d_silent, d_silent) * np.exp(2 * norm.logpdf(silent) - norm.logcdf(silent))
            edges = np.linspace(max(own.min() - 12, armed), max(own.max() + 14, armed + 1), 4001)
            q, *_ = evaluated(charges, pixel, edges)
            probability = -np.diff(norm.cdf((7000 - q + reset) / 900))
            middle = 0.5 * (edges[1:] + edges[:-1])
            q, current, d_q, d_current = evaluated(charges, pixel, middle)
            _, _, d_end, _ = evaluated(charges, pixel, middle + 1.8)
            use = (probability > 0) & (current > 1.0)
            z = (7000 - q + reset) / 900
            s = (d_current / np.maximum(current, 1.0)[:, None] - z[:, None] * (d_reset - d_q) / 900)[use]
            m = ((d_end - d_q) / 500)[use]
            found += (s * probability[use, None]).T @ s + (m * probability[use, None]).T @ m
            if time is not None:
                armed = time + 1.8
                q, _, d_q, _ = evaluated(charges, pixel, np.array([armed]))
                reset, d_reset = float(q[0]), d_q[0]
    return found


def evaluated(charges: object, pixel: int, time: np.ndarray) -> tuple[np.ndarray, ...]:
    both = torch.full((len(time),), pixel), torch.from_numpy(time)
    return tuple(t.numpy() for t in charges.evaluate_to_second_order(*both))  # type: ignore[attr-defined]


def test_over_many_draws_the_score_is_zero_and_its_covariance_the_information() -> None:
    model = chamber(random_deposits(6, 8), threads=1)
    draws = [recorded(model, seed) for seed in range(200)]
    score = np.array([model.probability(data, VALUES, CALIBRATED).score.sum(axis=0) for data in draws])
    information = np.mean([model.information(data, VALUES, CALIBRATED) for data in draws[:20]], axis=0)
    pull = score.mean(axis=0) / np.sqrt(np.diag(information) / len(draws))
    assert (np.abs(pull) < 3).all(), pull
    # Three standard errors of a variance of 200 draws.
    ratio = score.var(axis=0) / np.diag(information)
    assert (np.abs(ratio - 1) < 3 * np.sqrt(2 / len(draws))).all(), ratio
    time, charge = (np.concatenate(z) for z in zip(*(model.normal_scores(d, VALUES) for d in draws), strict=True))
    for residual in (time, charge):
        n = len(residual)
        assert abs(residual.mean()) < 3 / np.sqrt(n) and abs(residual.std() - 1) < 3 / np.sqrt(2 * n)
    assert abs(np.corrcoef(time, charge)[0, 1]) < 3 / np.sqrt(n)


def test_whole_numbers_tend_to_real_ones_where_the_bins_are_small() -> None:
    fine = MODULE0.readout.model_copy(update={"clock": 1e-3, "adc_counts": 2**20})
    geometry = MODULE0.model_copy(update={"readout": fine})
    model = PixelObservables(ForwardModel(random_deposits(8, 10), geometry, ModelSettings(noise=LEVELS)))
    data = recorded(model, 2)
    exact = model.probability(data, VALUES, CALIBRATED)
    whole = model.probability(whole_numbers(data, fine.clock, fine.adc_counts), VALUES, CALIBRATED)
    bins = np.log(fine.clock) - np.log(fine.gain * fine.counts_per_mv)
    assert whole.log.sum() - len(data) * bins == pytest.approx(exact.log.sum(), abs=0.3)
    # In units of its own spread; times are half a bin early on average.
    spread = np.sqrt(np.diag(model.information(data, VALUES, CALIBRATED)))
    np.testing.assert_allclose(whole.score.sum(axis=0) / spread, exact.score.sum(axis=0) / spread, atol=0.05)


def test_tracks_that_share_no_pixel_are_independent() -> None:
    one = deposits([[-5.0, 3.0, -12.0]], [[-3.0, 3.5, -11.0]])
    two = deposits([[8.0, -20.0, 4.0]], [[10.0, -21.0, 5.0]])
    both = Segments.concatenate([one, two])
    models = [chamber(part) for part in (one, two, both)]
    data = recorded(models[2], 3)
    left = data.columns["x"] < 0
    parts = [data.take(left), data.take(~left), data]
    one_log, two_log, both_log = (
        m.probability(d, VALUES, ("birks_ab",)).log.sum() for m, d in zip(models, parts, strict=True)
    )
    assert both_log == pytest.approx(one_log + two_log, rel=1e-10)


def test_hits_that_no_deposit_explains_are_counted_and_pull_nothing() -> None:
    model = chamber(deposits([[-5.0, 3.0, -12.0]], [[-3.0, 3.5, -11.0]]))
    data = recorded(model, 3)
    elsewhere = data.take(np.array([0]))
    elsewhere = replace(elsewhere, channel=elsewhere.channel + 30_000)
    arrays = {
        n: np.concatenate([getattr(data, n), getattr(elsewhere, n)]) for n in ("event", "channel", "order", "valid")
    }
    more = replace(data, **arrays, values=np.concatenate([data.values, elsewhere.values]), columns={})
    before, after = (model.probability(d, VALUES, CALIBRATED) for d in (data, more))
    assert (before.outliers, after.outliers, after.hits) == (0, 1, before.hits)
    np.testing.assert_array_equal(before.score.sum(axis=0), after.score.sum(axis=0))
    # A hit ten microseconds before its charge is an outlier, too.
    early = replace(data, values=data.values - [0.0, 10.0] * (np.arange(len(data)) == 0)[:, None])
    assert model.probability(early, VALUES, CALIBRATED).outliers >= 1


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    data = recorded(chamber(random_deposits(9, 20)), 1)
    found = [(chamber(random_deposits(9, 20), threads=n, block_pairs=2000)) for n in (1, 2)]
    one, two = (m.probability(data, VALUES, CALIBRATED) for m in found)
    assert one.log.tobytes() == two.log.tobytes() and one.score.tobytes() == two.score.tobytes()
    assert (
        found[0].information(data, VALUES, CALIBRATED).tobytes()
        == found[1].information(data, VALUES, CALIBRATED).tobytes()
    )


@pytest.mark.parametrize("levels", [None, NoiseLevels(0.0, 500.0), NoiseLevels(900.0, 0.0)])
def test_without_noise_there_is_no_likelihood(levels: NoiseLevels | None) -> None:
    segments = deposits([[-5.0, 3.0, -12.0]], [[-3.0, 3.5, -11.0]])
    model = PixelObservables(ForwardModel(segments, MODULE0, ModelSettings(noise=levels)))
    with pytest.raises(FitError, match=r"readout\.noise"):
        model.probability(model.observe(VALUES), VALUES, CALIBRATED)


def test_probabilities_of_intervals_far_out_are_right() -> None:
    low = torch.tensor([-40.0, 10.0, 30.0, -np.inf, 3.0, -1.0], dtype=torch.float64)
    high = torch.tensor([-39.0, 11.0, np.inf, -20.0, 3.0 + 1e-9, 1.0], dtype=torch.float64)
    found = log_between(low, high)
    expected = [norm.logcdf(-39), norm.logsf(10) + np.log1p(-np.exp(norm.logsf(11) - norm.logsf(10))), norm.logsf(30)]
    expected += [norm.logcdf(-20), norm.logpdf(3) + np.log(1e-9), np.log(norm.cdf(1) - norm.cdf(-1))]
    np.testing.assert_allclose(found, expected, rtol=1e-7)
