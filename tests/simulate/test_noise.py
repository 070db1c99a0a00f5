"""Electronics noise: fixed by seed, event and pixel alone, with the stated widths."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.simulate.model import SimulatedHits
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.tables import Segments
from tests.simulate.deposits import MODULE0, PITCH, deposits, model, random_deposits

USUAL = NoiseLevels(900.0, 500.0)
WITH_COMPARATOR = NoiseLevels(900.0, 500.0, 200.0)


def assert_identical(one: SimulatedHits, other: SimulatedHits) -> None:
    for name in ("event", "channel", "order", "time", "charge"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert len(one.time)


def points(count: int, energy: float) -> Segments:
    """The same point-like deposit above a pixel's centre, in every event."""
    place = np.tile([0.5 * PITCH, MODULE0.y_range[0] + 100.5 * PITCH, 28.0], (count, 1))
    return deposits(place, place + np.array([0.0, 0.0, 1e-4]), dedx=2.1, energy=energy, event=np.arange(count))


@pytest.mark.parametrize("levels", [USUAL, WITH_COMPARATOR])
def test_the_seed_fixes_the_hits(levels: NoiseLevels) -> None:
    segments = random_deposits(1, 20)
    first, again, other = (model(segments).hits({}, Noise(levels, seed)) for seed in (1, 1, 2))

    assert_identical(first, again)
    assert len(first.time) != len(other.time) or np.abs(first.charge - other.charge).min() > 0


@pytest.mark.parametrize("levels", [USUAL, WITH_COMPARATOR])
def test_noise_of_a_pixel_does_not_depend_on_what_else_is_simulated(levels: NoiseLevels) -> None:
    """Other events, other blocks, threads: the same draws, and the same hits to rounding."""
    segments = random_deposits(2, 20)
    others = random_deposits(3, 60).replace(event_id=np.arange(60) + 1000)
    alone = model(segments).hits({}, Noise(levels, 5))
    together = model(Segments.concatenate([others, segments]), block_pairs=300, threads=2).hits({}, Noise(levels, 5))
    mine = together.event < 1000

    np.testing.assert_array_equal(together.channel[mine], alone.channel)
    np.testing.assert_array_equal(together.order[mine], alone.order)
    np.testing.assert_allclose(together.charge[mine], alone.charge, rtol=0, atol=1e-5)
    np.testing.assert_allclose(together.time[mine], alone.time, rtol=0, atol=1e-7)


def test_pixels_events_and_seeds_have_draws_of_their_own() -> None:
    event, channel = np.array([0, 0, 1, 1]), np.array([7, 8, 7, 8])
    reset, sampling = Noise(USUAL, 1).hits(event, channel, 10)
    other, _ = Noise(USUAL, 2).hits(event, channel, 10)
    ticks = Noise(WITH_COMPARATOR, 1).ticks(event, channel, 10)
    every = np.concatenate([reset / 900, sampling / 500, other / 900, ticks / 200]).ravel()

    assert len(np.unique(every.round(12))) == len(every)


def test_draws_have_the_stated_widths_and_no_correlation() -> None:
    """20,000 draws: a width is known to 0.5 %, a correlation to 0.7 %."""
    event, channel = np.divmod(np.arange(20_000), 100)
    levels = NoiseLevels(900.0, 500.0, 200.0)
    reset, sampling = Noise(levels, 1).hits(event, channel, 2)
    ticks = Noise(levels, 1).ticks(event, channel, 2)
    draws = np.concatenate([reset, sampling, ticks], axis=1)

    np.testing.assert_allclose(draws.std(axis=0), [900, 900, 500, 500, 200, 200], rtol=0.025)
    np.testing.assert_allclose(draws.mean(axis=0) / draws.std(axis=0), 0.0, rtol=0, atol=0.035)
    correlation = np.corrcoef(draws.T) - np.eye(6)
    assert np.abs(correlation).max() < 0.035
    # The same of neighbouring pixels, whose draws follow each other.
    assert abs(np.corrcoef(reset[:-1, 0], reset[1:, 0])[0, 1]) < 0.035


def test_sampling_noise_moves_the_recorded_charge_only() -> None:
    segments = points(800, 0.6)
    simulation = model(segments)
    quiet, noisy = simulation.hits({}), simulation.hits({}, Noise(NoiseLevels(0.0, 500.0), 1))

    np.testing.assert_array_equal(noisy.time, quiet.time)
    moved = noisy.charge - quiet.charge
    assert moved.std() == pytest.approx(500.0, rel=0.1)
    assert abs(moved.mean()) < 4 * 500.0 / np.sqrt(len(moved))


def test_reset_noise_moves_the_crossing_and_the_recorded_charge() -> None:
    """All charge arrives within the hold, so the recorded charge is the total plus r; r is also a lower threshold."""
    segments = points(800, 0.6)
    simulation = model(segments)
    exact, noisy = (
        simulation.hits_with_derivatives({}, ("birks_ab",)),
        simulation.hits({}, Noise(NoiseLevels(900.0, 0.0), 1)),
    )
    first = noisy.order == 0
    assert exact.d_time is not None and first.sum() == len(exact.time) == 800
    moved = noisy.charge[first] - exact.charge
    earlier = exact.time - noisy.time[first]

    assert moved.std() == pytest.approx(900.0, rel=0.1)
    assert np.corrcoef(moved, earlier)[0, 1] > 0.98
    # To first order the time moves by r over the current.
    small = np.abs(moved) < 400
    np.testing.assert_allclose(earlier[small], moved[small] * exact.d_time[small, -1], rtol=0.1, atol=1e-3)


def test_without_widths_noise_changes_nothing() -> None:
    simulation = model(random_deposits(4, 15))

    assert_identical(simulation.hits({}, Noise(NoiseLevels(0.0, 0.0), 1)), simulation.hits({}))


def test_every_draw_is_of_its_own_reset() -> None:
    """Noise drawn at a reset stays until the next: each hit satisfies the definition with its own draw."""
    segments = deposits([0.1, 0.1, 3.0], [0.12, 0.12, 13.0], dedx=8.0)
    simulation, noise = model(segments), Noise(USUAL, 9)
    hits = simulation.hits({}, noise)
    plan = simulation.plan(simulation.complete({}))
    charges = simulation.charges(plan, (0, len(plan.event)), simulation.complete({}), ())
    assert hits.order.max() > 3
    pixel = np.searchsorted(plan.channel, hits.channel)
    reset, sampling = (d[pixel, hits.order] for d in noise.hits(plan.event, plan.channel, 10))
    readout = MODULE0.readout

    def charge(time: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(charges.evaluate(torch.tensor(pixel), torch.tensor(time))[0])

    held = charge(hits.time + readout.hold)
    before = np.where(hits.order > 0, np.roll(held, 1), 0.0)
    np.testing.assert_allclose(hits.charge, held - before + reset + sampling, rtol=0, atol=1e-6)
    # A pixel that is over the threshold when it is armed fires at once.
    over = charge(hits.time) - before + reset - readout.threshold
    assert np.all(over > -1e-6) and np.median(np.abs(over)) < 1e-6
