"""The slow likelihood of one pixel against draws of its readout, sums over all outcomes and identities of the score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr
from scipy.stats import chi2, norm

from tests.witness.draws import Drawn, draws
from tests.witness.likelihood import Electronics, Pixel
from tests.witness.physics import MODULE0, Detector, Floats


def steps(*size_time_width: tuple[float, float, float]) -> Callable[[Floats], Floats]:
    """Q(t): smooth steps, each of a size [electrons] about a time with a width [us]."""

    def charge(time: Floats) -> Floats:
        return np.asarray(sum(size * ndtr((np.asarray(time) - at) / width) for size, at, width in size_time_width))

    return charge


#: Pixels that mostly give no hit, one hit near the threshold, one or two, and three.
CHARGES = {
    "below": steps((6200.0, 10.0, 0.7)),
    "near": steps((7400.0, 10.0, 0.7)),
    "one or two": steps((9000.0, 10.0, 0.7), (7600.0, 14.0, 0.8)),
    "three": steps((40_000.0, 12.0, 2.5)),
}


def pixel(case: str, **electronics: float) -> Pixel:
    return Pixel(CHARGES[case], 5.0, 22.0, Electronics(**electronics))


def scaled(case: str, scale: float, delay: float) -> Pixel:
    """The pixel with its charge scaled and delayed [us]."""
    return replace(pixel(case), charge=lambda t: scale * CHARGES[case](t - delay))


def by_hits(drawn: list[Drawn]) -> dict[int, tuple[Floats, Floats, Floats]]:
    """Times, charges and ADC of the draws `(hits, draws)`, by the number of their hits."""
    found: dict[int, list[Drawn]] = {}
    for one in drawn:
        found.setdefault(len(one.time), []).append(one)
    return {
        n: (
            np.stack([d.time for d in group], axis=1),
            np.stack([d.charge for d in group], axis=1),
            np.stack([d.adc for d in group], axis=1),
        )
        for n, group in found.items()
    }


def density(of: Pixel, hits: int, times: Floats, counts: Floats) -> Floats:
    """Probability in every cell of a grid of times (first axes) and ADC counts (last axes) of the hits."""
    grid = np.meshgrid(*[times] * hits, *[counts] * hits, indexing="ij", sparse=True)
    cell = (times[1] - times[0]) ** hits * (counts[1] - counts[0]) ** hits
    return np.asarray(np.exp(of.log_density(grid[:hits], grid[hits:])) * cell)


def mass(of: Pixel, hits: int, times: Floats, counts: Floats) -> float:
    """Probability of a number of hits."""
    return float(density(of, hits, times, counts).sum())


#: Grids for sums over all outcomes of one or two hits: plain sums are exact for bumps wider than their step.
#: No two times are apart by the hold, where the density is a probability.
TIMES = np.arange(7.1, 18.9, 0.16)
COUNTS = np.arange(60.5, 119.0, 3.8)
#: Sampling noise [electrons] that is wider than the step in ADC.
COARSE = 4000.0


@pytest.mark.parametrize(("case", "most"), [("below", 1), ("near", 1), ("one or two", 2)])
def test_the_density_integrates_to_one(case: str, most: int) -> None:
    """With as many hits as the pixel can have; twice is more than the first two pixels ever have."""
    one = replace(pixel(case, sampling=COARSE), detector=replace(MODULE0, max_hits=2))

    assert sum(mass(one, n, TIMES, COUNTS) for n in range(most + 1)) == pytest.approx(1.0, abs=1e-6)


def test_the_last_hit_ends_the_chain() -> None:
    """With one hit at most: P(no hit) + P(a hit) = 1, whatever would follow."""
    one = replace(pixel("three"), detector=replace(MODULE0, max_hits=1))
    counts = np.arange(60.0, 140.0, 0.5)

    assert mass(one, 0, TIMES, counts) + mass(one, 1, TIMES, counts) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("case", CHARGES)
def test_numbers_of_hits_are_those_of_draws(case: str) -> None:
    """P(no hit) and P(one hit) from the density; draws within 3.5 standard errors."""
    drawn, times, counts = draws(pixel(case), 2500, seed=1), np.linspace(6.0, 19.0, 201), np.arange(60.0, 200.0, 0.5)
    seen = np.bincount([len(d.time) for d in drawn], minlength=4) / len(drawn)

    for n in (0, 1):
        expected = mass(pixel(case), n, times, counts)
        assert seen[n] == pytest.approx(expected, abs=3.5 * np.sqrt(expected / len(drawn)) + 1e-9)


def cell_averages(middles: Floats) -> Floats:
    """Averages over the cells of a grid from the values in their middles: f + h^2 f'' / 24 along every axis."""
    for axis in range(middles.ndim):
        padded = np.pad(middles, [(1, 1) if k == axis else (0, 0) for k in range(middles.ndim)])
        middles = middles + np.diff(padded, 2, axis=axis) / 24.0
    return middles


def goodness(expected: Floats, seen: Floats) -> float:
    """p-value of numbers in bins; bins with fewer than ten expected are put together."""
    few = expected < 10
    expected = np.append(expected[~few], expected[few].sum())
    seen = np.append(seen[~few], seen[few].sum())
    use = expected > 1
    return float(chi2.sf(((seen - expected)[use] ** 2 / expected[use]).sum(), use.sum()))


@pytest.mark.parametrize(("case", "hits"), [("below", 1), ("near", 1), ("one or two", 1), ("one or two", 2)])
def test_draws_fill_bins_as_the_density_says(case: str, hits: int) -> None:
    """Every pair of the times and charges of all hits."""
    one = pixel(case, sampling=COARSE)
    drawn = draws(one, 4000, seed=2)
    times, _, counts = by_hits(drawn)[hits]
    cells = cell_averages(density(one, hits, TIMES, COUNTS))
    edges_t = TIMES[0] - 0.08 + 0.32 * np.arange((len(TIMES) + 1) // 2 + 1)
    edges_q = COUNTS[0] - 1.9 + 3.8 * np.arange(len(COUNTS) + 1)
    values, edges, join = [*times, *counts], [edges_t] * hits + [edges_q] * hits, [2] * hits + [1] * hits

    for i, j in combinations(range(2 * hits), 2):
        table = cells.sum(axis=tuple(k for k in range(2 * hits) if k not in (i, j)))
        table = np.add.reduceat(table, np.arange(0, table.shape[0], join[i]), axis=0)
        table = np.add.reduceat(table, np.arange(0, table.shape[1], join[j]), axis=1)
        seen, _, _ = np.histogram2d(values[i], values[j], bins=[edges[i], edges[j]])
        assert seen.sum() > 100 and seen.sum() == values[i].size
        assert goodness(table * len(drawn), seen) > 1e-3


def scores(case: str, drawn: list[Drawn]) -> tuple[Floats, Floats]:
    """`(draws, 2)` score and `(draws, 2, 2)` second derivative of the log density to scale and delay, at the truth."""
    at: dict[tuple[int, int], Floats] = {}
    h = np.array([1e-3, 1e-3])
    for step in product((-1, 0, 1), (-1, 0, 1)):
        other = scaled(case, 1.0 + step[0] * h[0], step[1] * h[1])
        at[step] = np.concatenate(
            [other.log_density(list(t), list(q)) + np.zeros(t.shape[1]) for t, _, q in by_hits(drawn).values()]
        )
    score = np.stack([at[1, 0] - at[-1, 0], at[0, 1] - at[0, -1]], axis=1) / (2 * h)
    mixed = (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1]) / (4 * h[0] * h[1])
    scale, delay = (
        (at[a] - 2 * at[0, 0] + at[b]) / s**2 for a, b, s in (((1, 0), (-1, 0), h[0]), ((0, 1), (0, -1), h[1]))
    )
    return score, np.stack([np.stack([scale, mixed], 1), np.stack([mixed, delay], 1)], 1)


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("case", CHARGES)
def test_the_score_is_zero_on_average_and_varies_as_the_curvature_says(case: str, seed: int) -> None:
    """Bartlett's identities, within 3.5 standard errors of 2000 draws."""
    drawn = draws(pixel(case), 2000, seed)
    score, second = scores(case, drawn)
    error = score.std(axis=0) / np.sqrt(len(drawn))

    np.testing.assert_array_less(np.abs(score.mean(axis=0)), 3.5 * error)
    identity = score[:, :, None] * score[:, None, :] + second
    error = identity.std(axis=0) / np.sqrt(len(drawn))
    np.testing.assert_array_less(np.abs(identity.mean(axis=0)), 3.5 * error)


#: A readout whose outcomes can all be counted: 4 ADC counts, of 3000 e from 3500 e on, and two hits at most.
FEW = replace(MODULE0, gain=1.0, pedestal=-5000.0, common_mode=0.0, reference=12_000.0, counts=4, max_hits=2)
#: The same, where a pixel fires at once after 4 % of its resets.
LOW = replace(FEW, threshold=1550.0, pedestal=0.0)
Outcome = tuple[tuple[int, ...], tuple[int, ...]]


def outcomes(low: int, high: int, apart: int) -> list[Outcome]:
    """All outcomes of at most two hits at ticks `low` ... `high` - 1, at least `apart` ticks apart."""
    counts = range(FEW.counts)
    one: list[Outcome] = [((t,), (q,)) for t in range(low, high) for q in counts]
    two: list[Outcome] = [
        ((t, u), (q, p)) for t in range(low, high) for u in range(t + apart, high) for q in counts for p in counts
    ]
    return [((), ()), *one, *two]


def seen(drawn: list[Drawn], clock: float, early: float, every: list[Outcome]) -> Floats:
    """How often the draws, in whole numbers, gave each outcome; all must be among them."""
    found = Counter(
        (
            tuple(np.floor((d.time + early) / clock + 1e-9).astype(int).tolist()),
            tuple(np.clip(np.floor(d.adc + 0.5), 0, FEW.counts - 1).astype(int).tolist()),
        )
        for d in drawn
    )
    assert found.keys() <= set(every)
    return np.array([found[outcome] for outcome in every], dtype=np.float64)


@pytest.mark.parametrize(("detector", "early"), [(FEW, 0.2), (LOW, 0.0)])
def test_whole_numbers_are_distributed_as_their_probabilities_say(detector: Detector, early: float) -> None:
    """The probabilities of all outcomes sum to one; draws fill them."""
    one = replace(pixel("one or two", clock=1.0, early=early), detector=detector, begin=6.0, end=19.0)
    every = outcomes(6, 19, 1)

    expected = np.exp([one.log_probability(*outcome) for outcome in every])

    assert expected.sum() == pytest.approx(1.0, abs=2e-5)
    assert goodness(expected * 4000, seen(draws(one, 4000, seed=5), 1.0, early, every)) > 1e-3


def test_probabilities_of_small_bins_tend_to_the_density() -> None:
    """In the middle of bins of 1 ns and 10 e what is left is of second order."""
    one = replace(pixel("one or two", clock=1e-3), detector=replace(MODULE0, counts=25_600))
    for drawn in draws(one, 20, seed=7):
        ticks, counts = np.floor(drawn.time * 1e3), np.floor(drawn.adc + 0.5)

        density = one.log_density([*(ticks + 0.5) * 1e-3], [*counts])

        whole = one.log_probability([*ticks.astype(int)], [*counts])
        assert whole == pytest.approx(float(density) + len(ticks) * np.log(1e-3), abs=1e-4)


def test_a_pixel_above_the_threshold_fires_when_it_is_armed() -> None:
    """P(r > threshold) = Phi(-threshold / sigma_r) at every arming, whatever the charge did before."""
    once = replace(pixel("one or two"), detector=replace(MODULE0, threshold=1550.0, max_hits=1))
    twice = replace(once, detector=replace(once.detector, max_hits=2))
    counts, expected = np.arange(60.0, 110.0, 0.25), ndtr(-1550.0 / 900.0)

    first = np.exp(once.log_density([5.0], [counts])).sum() * 0.25
    again = np.exp(twice.log_density([10.0, 11.8], [75.0, counts]) - once.log_density([10.0], [75.0])).sum() * 0.25
    later = mass(once, 1, np.arange(5.0, 18.0, 0.02)[1:], counts)

    assert first == pytest.approx(expected, rel=1e-5)
    assert again == pytest.approx(expected, rel=1e-5)
    assert first + later + mass(once, 0, counts, counts) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("detector", [FEW, LOW])
def test_a_noisy_comparator_fires_as_its_looks_say(detector: Detector) -> None:
    """Looked at every us, with 400 e of noise: the probabilities of all outcomes sum to one; draws fill them."""
    one = replace(pixel("one or two", clock=1.0, comparator=400.0), detector=detector, begin=6.0, end=19.0)
    every = outcomes(6, 20, 2)

    expected = np.exp([one.at_looks(*outcome, one.count_probability) for outcome in every])

    assert expected.sum() == pytest.approx(1.0, abs=1e-6)
    assert goodness(expected * 4000, seen(draws(one, 4000, seed=6), 1.0, 0.0, every)) > 1e-3


def test_a_density_at_looks_sums_to_the_probability() -> None:
    """Over the bins of whole ADC counts, by plain sums."""
    one = pixel("one or two", comparator=300.0)
    inside = np.linspace(-0.5, 0.5, 21)[:-1] + 0.025

    density = [one.at_looks([101], [80.0 + offset], one.adc_density) for offset in inside]

    whole = one.at_looks([101], [80.0], one.count_probability)
    assert np.exp(density).mean() == pytest.approx(np.exp(whole), rel=1e-3)


@pytest.mark.parametrize("case", ["near", "one or two", "three"])
def test_a_comparator_with_hardly_any_noise_fires_at_the_first_tick_above(case: str) -> None:
    """Without noise r lies between the levels of two ticks: the same by adaptive quadrature over that interval.

    The highest of many looks shifts the threshold by its few widths, so that noise is extrapolated to zero.
    """
    one, more = pixel(case, comparator=1.0), pixel(case, comparator=2.0)
    total = float(one.charge(np.array(22.0)))
    for drawn in draws(one, 4, seed=8):
        ticks, expected, armed, reset = np.rint(drawn.time * 10).astype(int), 1.0, 50, 0.0
        for tick, count in zip(ticks, drawn.adc):
            before, at, held = (float(one.charge(np.array(0.1 * t))) for t in (tick - 1, tick, tick + 18))
            low, high = 7000.0 + reset - at, 7000.0 + reset - before if tick > armed else np.inf

            def joint(r: float, mean: float = held - reset, count: float = count) -> float:
                return float(norm.pdf(r, scale=900.0) * one.adc_density(np.array(mean + r), count))

            expected *= quad(joint, low, high, epsabs=0, epsrel=1e-8)[0]
            armed, reset = tick + 18, held
        expected *= norm.cdf(7000.0 + reset - total, scale=900.0)

        little, twice = (p.at_looks([*ticks], [*drawn.adc], p.adc_density) for p in (one, more))
        assert abs(twice - little) < 0.01
        assert 2 * little - twice == pytest.approx(np.log(expected), abs=5e-4)
