"""The self-triggered readout against its definition, followed step by step on the exact charge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from pipeline import parameters
from pipeline.detector.geometry import DetectorGeometry
from pipeline.simulate.charge import PixelCharges
from pipeline.simulate.model import ForwardModel, SimulatedHits
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.readout import read_out
from pipeline.tables import Floats, Segments
from tests.simulate.deposits import MODULE0, PITCH, deposits, model, random_deposits

READOUT = MODULE0.readout
NOMINAL = parameters.nominal_values()


def several(seed: int) -> Segments:
    """Oblique, steep and overlapping deposits in one event."""
    rng = np.random.default_rng(seed)
    tracks = random_deposits(seed, 12, along_drift=0.4)
    start = rng.uniform([-3, -3, 4], [3, 3, 26], (8, 3))
    end = start + rng.normal(scale=[0.8, 0.8, 3.0], size=(8, 3))
    crowd = deposits(start, end, dedx=rng.uniform(2, 9, 8), t0=rng.uniform(0, 6, 8), event=100)
    return Segments.concatenate([tracks, crowd])


def in_one_block(simulation: ForwardModel) -> PixelCharges:
    plan = simulation.plan(NOMINAL)
    return simulation.charges(plan, (0, len(plan.event)), NOMINAL, ())


def followed(charge: Floats, time: Floats, threshold: float) -> list[tuple[float, float]]:
    """Crossing times and recorded charges of one pixel, from its charge on a fine grid."""
    found: list[tuple[float, float]] = []
    reset, armed = 0.0, -np.inf
    while len(found) < READOUT.max_hits:
        over = np.flatnonzero((time >= armed) & (charge - reset >= threshold))
        if not len(over):
            break
        i = over[0]
        share = (reset + threshold - charge[i - 1]) / (charge[i] - charge[i - 1])
        crossing = time[i - 1] + share * (time[i] - time[i - 1])
        armed = crossing + READOUT.hold
        held = np.interp(armed, time, charge)
        found.append((crossing, held - reset))
        reset = held
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_hits_are_those_of_the_definition(seed: int) -> None:
    """Every pixel's charge on a grid of 20 ns, followed from crossing to crossing: no hit missed, none invented."""
    simulation = model(several(seed))
    charges, hits = in_one_block(simulation), simulation.hits({})
    plan = simulation.plan(NOMINAL)
    total = charges.total().numpy()
    at = 0
    for pixel in range(charges.pixels):
        mine = (hits.event == plan.event[pixel]) & (hits.channel == plan.channel[pixel])
        if total[pixel] < READOUT.threshold:
            assert not mine.any()
            continue
        packets = charges.time[charges.first[pixel] : charges.first[pixel + 1]]
        time = np.arange(float(packets.min()) - 20.0, float(packets.max()) + 6.0, 0.02)
        charge, _ = charges.evaluate(torch.full((len(time),), pixel), torch.tensor(time))
        expected = followed(charge.numpy(), time, READOUT.threshold)
        assert mine.sum() == len(expected)
        np.testing.assert_array_equal(hits.order[mine], np.arange(len(expected)))
        np.testing.assert_allclose(hits.time[mine] - plan.time[pixel], [t for t, _ in expected], rtol=0, atol=0.006)
        np.testing.assert_allclose(hits.charge[mine], [q for _, q in expected], rtol=1e-3, atol=20.0)
        at += len(expected)
    assert at == len(hits.time) > 60


def test_every_hit_crosses_the_threshold_and_holds_the_charge() -> None:
    """To rounding: Q(t) - Q_reset is the threshold, and the recorded charge is Q(t + hold) - Q_reset."""
    simulation = model(several(3))
    charges, hits, plan = in_one_block(simulation), simulation.hits({}), simulation.plan(NOMINAL)
    rows = {key: i for i, key in enumerate(zip(plan.event.tolist(), plan.channel.tolist(), strict=True))}
    pixel = torch.tensor([rows[key] for key in zip(hits.event.tolist(), hits.channel.tolist(), strict=True)])
    time = torch.tensor(hits.time) - torch.tensor(plan.time)[pixel]
    crossed = charges.evaluate(pixel, time)[0].numpy()
    held = charges.evaluate(pixel, time + READOUT.hold)[0].numpy()
    reset = np.where(hits.order > 0, np.roll(held, 1), 0.0)

    np.testing.assert_allclose(crossed - reset, READOUT.threshold, rtol=0, atol=1e-6)
    np.testing.assert_allclose(hits.charge, held - reset, rtol=0, atol=1e-6)
    assert hits.order.max() > 2


def test_a_higher_threshold_gives_later_and_fewer_first_hits() -> None:
    segments = several(4)

    def with_threshold(value: float) -> DetectorGeometry:
        return MODULE0.model_copy(update={"readout": READOUT.model_copy(update={"threshold": value})})

    low, high = (model(segments, with_threshold(v)).hits({}) for v in (5000.0, 9000.0))
    first = {(e, c): t for e, c, o, t in zip(low.event, low.channel, low.order, low.time, strict=True) if o == 0}
    later = {(e, c): t for e, c, o, t in zip(high.event, high.channel, high.order, high.time, strict=True) if o == 0}

    assert later.keys() < first.keys()
    assert all(later[k] > first[k] for k in later)


def test_constants_of_the_readout_come_from_the_detector() -> None:
    """A longer hold records more charge, to the accuracy of the response; a smaller limit keeps the first hits only."""
    segments = several(5)
    changed = {
        name: MODULE0.model_copy(update={"readout": READOUT.model_copy(update={name: value})})
        for name, value in (("hold", 3.0), ("max_hits", 2))
    }
    usual, longer, fewer = (model(segments, g).hits({}) for g in (MODULE0, *changed.values()))
    first = usual.order == 0

    np.testing.assert_array_equal(longer.time[longer.order == 0], usual.time[first])
    assert np.all(longer.charge[longer.order == 0] >= usual.charge[first] - 1.0)
    assert usual.order.max() > 1
    np.testing.assert_array_equal(fewer.time, usual.time[usual.order < 2])
    np.testing.assert_array_equal(fewer.charge, usual.charge[usual.order < 2])


# --- the comparator that looks once per clock tick ---


def after_the_comparator(segments: Segments, levels: NoiseLevels) -> tuple[SimulatedHits, SimulatedHits]:
    """Hits with and without a comparator that looks at clock ticks."""
    simulation = model(segments)
    return simulation.hits({}, Noise(levels, 1)), simulation.hits({})


@pytest.mark.parametrize("delay", [0.0, 7.0431])
def test_without_noise_the_comparator_fires_at_the_tick_after_the_crossing(delay: float) -> None:
    """Ticks are those of the event's clock, whatever the delay of a deposit."""
    tracks = random_deposits(6, 25, along_drift=0.0)
    clock_start = deposits(np.tile([0.0, 0.0, 0.0], (25, 1)), np.tile([0.0, 0.1, 0.0], (25, 1)), event=np.arange(25))
    ticked, free = after_the_comparator(
        Segments.concatenate([tracks.replace(t0=tracks.t0 + delay), clock_start]), NoiseLevels(0.0, 0.0, 1e-9)
    )

    np.testing.assert_array_equal(ticked.channel[ticked.order == 0], free.channel[free.order == 0])
    np.testing.assert_allclose(
        ticked.time[ticked.order == 0], np.ceil(free.time[free.order == 0] / READOUT.clock) * READOUT.clock, atol=1e-9
    )
    np.testing.assert_allclose(ticked.time, np.round(ticked.time / READOUT.clock) * READOUT.clock, rtol=0, atol=1e-9)


def test_the_comparator_fires_at_the_first_tick_over_the_threshold() -> None:
    """Every hit, with noise of 300 electrons, followed tick by tick on the exact charge and the same draws."""
    simulation, levels = model(several(7)), NoiseLevels(0.0, 0.0, 300.0)
    charges, plan = in_one_block(simulation), simulation.plan(NOMINAL)
    trigger = simulation._trigger(plan, (0, len(plan.event)), Noise(levels, 4))
    drawn: dict[int, Floats] = {}
    assert trigger.flicker is not None
    draw = trigger.flicker

    def remembered(pixel: torch.Tensor, ticks: int) -> torch.Tensor:
        noise = draw(pixel, ticks)
        drawn.update(zip(pixel.tolist(), noise.numpy(), strict=True))
        return noise

    hits = read_out(charges, replace(trigger, flicker=remembered))
    looks = trigger.looks(charges)
    assert len(hits.time) > 60
    for pixel, noise in drawn.items():
        first, count = float(looks.start[pixel]), int(looks.count[pixel])
        assert (first + plan.time[pixel]) / READOUT.clock == pytest.approx(
            round((first + plan.time[pixel]) / READOUT.clock), abs=1e-9
        )
        time = first + np.arange(count) * READOUT.clock
        noise = noise[:count]
        charge = charges.evaluate(torch.full((len(time),), pixel), torch.tensor(time))[0].numpy()
        reset, armed, expected = 0.0, -np.inf, []
        while len(expected) < READOUT.max_hits:
            over = np.flatnonzero((time >= armed - 1e-9) & (charge + noise - reset >= READOUT.threshold))
            if not len(over):
                break
            expected.append(time[over[0]])
            armed = time[over[0]] + READOUT.hold
            reset = float(charges.evaluate(torch.tensor([pixel]), torch.tensor([armed]))[0])
        np.testing.assert_allclose(hits.time[hits.pixel == pixel].numpy(), expected, rtol=0, atol=1e-9)


def test_noise_of_the_comparator_makes_pixels_just_below_the_threshold_fire() -> None:
    """A pixel with 97 % of the threshold fires when the comparator errs by 3 %, but only then."""
    n = 40
    centre = [0.5 * PITCH, MODULE0.y_range[0] + 100.5 * PITCH]
    place = np.tile([*centre, 10.0], (n, 1))
    faint = deposits(place, place + np.array([0.0, 0.0, 1e-4]), dedx=2.1, energy=0.2, event=np.arange(n))
    total = in_one_block(model(faint)).total().max()
    scaled = faint.replace(dE=faint.dE * 0.97 * READOUT.threshold / float(total))
    noisy, quiet = after_the_comparator(scaled, NoiseLevels(0.0, 0.0, 0.03 * READOUT.threshold))

    assert len(quiet.time) == 0
    assert len(np.unique(noisy.event)) > 0.9 * n


@pytest.mark.parametrize("below", [2.0, 3.0])
def test_early_triggers_on_a_plateau_are_as_rare_as_the_noise_makes_them(below: float) -> None:
    """A pixel whose charge stays `below` widths under the threshold: the comparator fires with the Gaussian probability
    of every tick, in 2000 events, counted until half of the ticks on it are over, and after (binomial, 4 sigma).
    """
    n, width = 2000, 250.0
    place = np.tile([0.5 * PITCH, MODULE0.y_range[0] + 100.5 * PITCH, 10.0], (n, 1))
    faint = deposits(place, place + np.array([0.0, 0.0, 1e-4]), dedx=2.1, energy=0.2, event=np.arange(n))
    total = float(in_one_block(model(faint.take(np.arange(1)))).total().max())
    simulation = model(faint.replace(dE=faint.dE * (READOUT.threshold - below * width) / total))
    plan, charges = simulation.plan(NOMINAL), in_one_block(simulation)
    trigger = simulation._trigger(plan, (0, len(plan.event)), Noise(NoiseLevels(0.0, 0.0, width), 6))
    looked: list[int] = []
    assert trigger.flicker is not None
    draw = trigger.flicker

    def counted(pixel: torch.Tensor, ticks: int) -> torch.Tensor:
        looked.append(ticks)
        return draw(pixel, ticks)

    hits = read_out(charges, replace(trigger, flicker=counted))
    main = int(charges.total().argmax())
    looks = trigger.looks(charges)
    time = float(looks.start[main]) + np.arange(int(looks.count[main])) * READOUT.clock
    charge = charges.evaluate(torch.full((len(time),), main), torch.tensor(time))[0].numpy()
    fires = ndtr((charge - READOUT.threshold) / width)
    survives = np.cumprod(1 - fires)
    half = (int(np.argmax(charge > charge[-1] - 1.0)) + len(time)) // 2
    expected = 1 - survives[half - 1], survives[half - 1] - survives[-1]
    of_first = hits.time[hits.order == 0].numpy()
    found = np.count_nonzero(of_first < time[half] - 1e-9), np.count_nonzero(of_first >= time[half] - 1e-9)

    assert len(set(looked)) == 1 and charge[half] == pytest.approx(READOUT.threshold - below * width, abs=1.0)
    ticks = (of_first - time[0]) / READOUT.clock
    np.testing.assert_allclose(ticks, np.round(ticks), rtol=0, atol=1e-6)
    for count, share in zip(found, expected, strict=True):
        assert abs(count - n * share) < 4 * np.sqrt(n * share * (1 - share))
