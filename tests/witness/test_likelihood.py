"""The slow likelihood of one pixel against draws of its readout, sums over all outcomes and identities of the score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import chi2

from tests.witness.draws import Drawn, draws
from tests.witness.likelihood import Electronics, Pixel
from tests.witness.physics import MODULE0, Floats


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
    drawn, times, counts = draws(pixel(case), 4000, seed=1), np.linspace(6.0, 19.0, 201), np.arange(60.0, 200.0, 0.5)
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
    drawn = draws(one, 6000, seed=2)
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
    """Bartlett's identities, within 3.5 standard errors of 3000 draws."""
    drawn = draws(pixel(case), 3000, seed)
    score, second = scores(case, drawn)
    error = score.std(axis=0) / np.sqrt(len(drawn))

    np.testing.assert_array_less(np.abs(score.mean(axis=0)), 3.5 * error)
    identity = score[:, :, None] * score[:, None, :] + second
    error = identity.std(axis=0) / np.sqrt(len(drawn))
    np.testing.assert_array_less(np.abs(identity.mean(axis=0)), 3.5 * error)
