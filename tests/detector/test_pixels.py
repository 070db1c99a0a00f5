"""Constants of single pixels: ADC counts by the formula, drawn constants with the asked mean and width."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.detector.pixels import PixelConstants, draw_pixels
from pipeline.errors import ConfigError
from pipeline.storage.detector import load_geometry

GEOMETRY = load_geometry("module0")
NOMINAL = PixelConstants.nominal(GEOMETRY)
CHANNELS = 2 * 140 * 280
SPREADS = {"threshold_spread": 400.0, "gain_spread": 0.03, "pedestal_spread": 12.0}


def some(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64)


def test_adc_without_charge_shows_the_pedestal() -> None:
    """(580 - 288) mV of 1012 mV on 256 counts."""
    assert float(NOMINAL.adc(np.zeros(1), some(1))[0]) == pytest.approx(292.0 / 1012.0 * 256.0)


def test_adc_is_linear_between_its_ends() -> None:
    """4 mV per 1000 electrons; one count is 988 electrons."""
    charge = np.array([-20e3, 0.0, 5e3, 50e3, 170e3])
    adc = NOMINAL.adc(charge, some(5))

    np.testing.assert_allclose(np.diff(adc) / np.diff(charge), 4e-3 * 256 / 1012, rtol=1e-12)
    np.testing.assert_allclose(1.0 / NOMINAL.counts_per_electron(some(5)), 988.3, atol=0.05)


def test_adc_is_clipped_at_both_ends() -> None:
    np.testing.assert_array_equal(NOMINAL.adc(np.array([-1e6, 1e6]), some(2)), [0.0, 256.0])


def test_every_pixel_has_its_own_gain_and_pedestal() -> None:
    """(gain q + pedestal - 288) 256 / 1012 with the constants of the channel, and the charge back from the counts."""
    pixels = draw_pixels(GEOMETRY, **SPREADS, seed=3)
    channel = np.array([5, 78_399, 5, 40_000])
    charge = np.array([8e3, 2e4, 1e5, 5e4])
    expected = (pixels.gain[channel] * charge + pixels.pedestal[channel] - 288.0) * 256 / 1012

    np.testing.assert_allclose(pixels.adc(charge, channel), expected, rtol=1e-13)
    np.testing.assert_allclose(pixels.charge(expected, channel), charge, rtol=1e-12)
    np.testing.assert_allclose(pixels.counts_per_electron(channel), pixels.gain[channel] * 256 / 1012, rtol=1e-13)
    for values, own in zip(pixels.of(channel), (pixels.threshold, pixels.gain, pixels.pedestal), strict=True):
        np.testing.assert_array_equal(values, own[channel])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_drawn_constants_have_the_asked_mean_and_width(seed: int) -> None:
    """Of 78,400 pixels the mean is known to 0.0036 widths and the width to 0.25 %; no correlation; none beyond 4."""
    pixels = draw_pixels(GEOMETRY, **SPREADS, seed=seed)
    drawn = np.stack(
        [(pixels.threshold - 7000.0) / 400.0, (pixels.gain / 4e-3 - 1) / 0.03, (pixels.pedestal - 580.0) / 12.0]
    )

    assert drawn.shape == (3, CHANNELS)
    error = 1 / np.sqrt(CHANNELS)
    np.testing.assert_allclose(drawn.mean(axis=1), 0.0, rtol=0, atol=4 * error)
    # A Gaussian cut at 4 widths is 0.05 % narrower.
    np.testing.assert_allclose(drawn.std(axis=1), 0.99946, rtol=0, atol=4 * error / np.sqrt(2))
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 4 * error
    assert np.abs(drawn).max() <= 4.0 + 1e-9


def test_constants_are_fixed_by_the_seed_one_by_one() -> None:
    """The same seed gives the same, another seed others, and the widths of two constants do not touch the third."""
    all_three = draw_pixels(GEOMETRY, **SPREADS, seed=1)
    again, other = (draw_pixels(GEOMETRY, **SPREADS, seed=seed) for seed in (1, 2))
    alone = draw_pixels(GEOMETRY, threshold_spread=0.0, gain_spread=0.03, pedestal_spread=0.0, seed=1)

    assert all_three.digest() == again.digest() != other.digest()
    np.testing.assert_array_equal(alone.gain, all_three.gain)
    assert alone.threshold.shape == alone.pedestal.shape == ()


def test_equal_constants_have_equal_hashes_however_they_are_given() -> None:
    listed = replace(NOMINAL, gain=np.full(CHANNELS, 4e-3))

    assert listed.digest() == NOMINAL.digest()
    assert replace(listed, gain=np.where(some(CHANNELS) == 7, 4.0001e-3, 4e-3)).digest() != NOMINAL.digest()


@pytest.mark.parametrize(
    ("wide", "says"),
    [
        ({"threshold_spread": 1750.0}, "threshold_spread_electrons is so wide that the threshold of some pixels"),
        ({"gain_spread": 0.25}, "gain_spread is so wide that the gain"),
        ({"pedestal_spread": 74.0}, "pedestal_spread_mv is so wide that the pedestal"),
        ({"threshold_spread": np.inf}, "threshold_spread_electrons"),
    ],
)
def test_spreads_that_leave_no_working_pixel_are_refused(wide: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        draw_pixels(GEOMETRY, **{**SPREADS, **wide}, seed=1)
