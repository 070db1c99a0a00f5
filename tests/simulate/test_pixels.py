"""Pixels with constants of their own: one pixel's touch no other, and each acts as it must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.detector.pixels import PixelConstants, draw_pixels
from pipeline.simulate.batches import observable_batches
from pipeline.simulate.model import ForwardModel, ModelSettings, SimulatedHits
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import PixelObservables, hits_table
from pipeline.tables import Floats, Segments
from tests.simulate.deposits import MODULE0, model, random_deposits

NOMINAL = PixelConstants.nominal(MODULE0)
DRAWN = draw_pixels(MODULE0, threshold_spread=350.0, gain_spread=0.03, pedestal_spread=10.0, seed=1)


def on(segments: Segments, pixels: PixelConstants, **settings: object) -> ForwardModel:
    return ForwardModel(segments, MODULE0, ModelSettings(threads=1, **settings), pixels)  # type: ignore[arg-type]


def one_changed(name: str, channel: int, value: float) -> PixelConstants:
    values: Floats = np.full(NOMINAL.channels, float(getattr(NOMINAL, name)))
    values[channel] = value
    return replace(NOMINAL, **{name: values})


def columns(hits: SimulatedHits, rows: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
    return [getattr(hits, n)[rows] for n in ("event", "channel", "order", "time", "charge", "adc")]


@pytest.mark.parametrize("noise", [None, Noise(NoiseLevels(900.0, 500.0, 200.0), 3)])
def test_a_higher_threshold_delays_the_hits_of_its_pixel_and_no_other(noise: Noise | None) -> None:
    segments = random_deposits(1, 15, one_event=True)
    usual = model(segments).hits({}, noise)
    channel = int(usual.channel[np.argmax(usual.charge)])
    raised = on(segments, one_changed("threshold", channel, 8000.0)).hits({}, noise)
    mine, others = raised.channel == channel, usual.channel != channel

    for a, b in zip(columns(raised, ~mine), columns(usual, others), strict=True):
        np.testing.assert_array_equal(a, b)
    assert raised.time[mine][0] > usual.time[~others][0]
    assert (mine.sum(), others.sum()) > (0, 30)


def test_gain_and_pedestal_change_counts_and_nothing_else() -> None:
    segments = random_deposits(1, 15)
    usual, drawn = model(segments).hits({}), on(segments, replace(DRAWN, threshold=NOMINAL.threshold)).hits({})
    gain, pedestal = DRAWN.gain[drawn.channel], DRAWN.pedestal[drawn.channel]

    for name in ("event", "channel", "order", "time", "charge"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(usual, name))
    counts = np.clip((gain * drawn.charge + pedestal - 288.0) * 256 / 1012, 0.0, 256.0)
    np.testing.assert_allclose(drawn.adc, counts, rtol=1e-13)
    table = hits_table(drawn, MODULE0, drift_velocity=0.16, event_t0={}, integer_adc=True)
    np.testing.assert_array_equal(table.adc, np.minimum(np.floor(counts + 0.5), 255))


def test_a_crossing_is_at_the_threshold_of_its_pixel() -> None:
    """In units of its own threshold, a pixel with a hit has at least 1 for it, others less."""
    simulation = PixelObservables(on(random_deposits(3, 30), DRAWN))
    hits, supply = simulation.observe_with_supply({})
    place = {pair: i for i, pair in enumerate(zip(supply.event.tolist(), supply.channel.tolist(), strict=True))}
    pixel = np.array([place[pair] for pair in zip(hits.event.tolist(), hits.channel.tolist(), strict=True)])

    assert len(hits) > 100 and supply.left[pixel, hits.order].min() > 1 - 1e-9
    assert supply.left[np.setdiff1d(np.arange(len(place)), pixel), 0].max() < 1.0


@pytest.mark.parametrize("name", ["birks_ab", "electric_field"])
def test_derivatives_of_counts_have_the_gain_of_their_pixel(name: str) -> None:
    """Against central differences of the observables."""
    simulation = PixelObservables(on(random_deposits(2, 15), DRAWN))
    nominal = {"birks_ab": 0.8, "electric_field": 0.5}[name]
    exact = simulation.linearise({}, (name,))
    low, high = (simulation.observe({name: nominal * (1 + s)}) for s in (-1e-6, 1e-6))

    np.testing.assert_array_equal(low.channel, high.channel)
    np.testing.assert_allclose(
        nominal * exact.jacobian[:, :, 0], (high.values - low.values) / 2e-6, rtol=1e-4, atol=1e-2
    )


def test_batches_have_the_pixels_of_the_whole() -> None:
    """The hits of all batches together are those of the sample, to rounding."""
    whole = on(random_deposits(5, 12), DRAWN)
    expected = PixelObservables(whole).observe({})
    parts = [batch.observe({}) for batch, _ in observable_batches(whole, expected, 8.0, seed=1)]
    values = np.concatenate([p.values for p in parts])
    order = np.lexsort([np.concatenate([getattr(p, n) for p in parts]) for n in ("order", "channel", "event")])

    assert len(parts) > 1
    np.testing.assert_allclose(values[order], expected.values, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nominal_constants_given_pixel_by_pixel_change_nothing(dtype: str) -> None:
    segments = random_deposits(6, 10)
    listed = [np.full(NOMINAL.channels, float(v)) for v in (NOMINAL.threshold, NOMINAL.gain, NOMINAL.pedestal)]
    settings = {"dtype": getattr(torch, dtype)}
    one = on(segments, NOMINAL, **settings).hits({})
    other = on(segments, PixelConstants(MODULE0.readout, NOMINAL.channels, *listed), **settings).hits({})

    for a, b in zip(*(columns(h, np.arange(len(h.time))) for h in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)
