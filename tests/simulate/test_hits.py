"""Hits of deposits: conservation of charge, symmetries, and independence of everything that must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline import parameters
from pipeline.detector import argon
from pipeline.errors import ConfigError, MemoryLimitError, ModelRangeError
from pipeline.simulate.model import ForwardModel, SimulatedHits
from pipeline.tables import Segments
from tests.simulate.deposits import MODULE0, PITCH, deposits, model, random_deposits

NOMINAL = parameters.nominal_values()
CATHODE = 0.15875
ANODE = 30.431


def collected(simulation: ForwardModel, **changes: float) -> float:
    """Electrons that all pixels together collect in the end."""
    values = NOMINAL | changes
    plan = simulation.plan(values)
    totals = [simulation.charges(plan, block, values, ()).total() for block in plan.blocks]
    return float(sum(t.double().sum() for t in totals))


def arriving(segments: Segments, **changes: float) -> float:
    """Electrons that escape recombination and capture: dE R / W times the mean survival along each straight deposit."""
    p = NOMINAL | changes
    velocity = argon.drift_velocity(p["electric_field"], MODULE0.temperature)
    kept = p["birks_ab"] / (1 + p["birks_kb"] * segments.dEdx / (p["electric_field"] * p["density"]))
    late, early = (
        (ANODE - MODULE0.response_start - np.abs(place[:, 2])) / velocity / p["electron_lifetime"]
        for place in (segments.start, segments.end)
    )
    difference = np.where(np.abs(late - early) < 1e-9, 1e-9, late - early)
    survival = np.exp(-early) * -np.expm1(-difference) / difference
    return float(np.sum(segments.dE * kept * 1e6 / 23.6 * survival))


def assert_same_hits(one: SimulatedHits, other: SimulatedHits, *, charge: float, time: float) -> None:
    """The same pixels and orders, charges [electrons] and times [us] to the stated accuracy."""
    for name in ("event", "channel", "order"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert len(one.time)
    np.testing.assert_allclose(one.charge, other.charge, rtol=0, atol=charge)
    np.testing.assert_allclose(one.time, other.time, rtol=0, atol=time)


def assert_identical(one: SimulatedHits, other: SimulatedHits) -> None:
    for name in ("event", "channel", "order", "time", "charge", "d_charge", "d_time"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- conservation ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("accuracy", ["default", "precise"])
def test_the_pixels_collect_the_electrons_that_arrive(accuracy: str, dtype: torch.dtype) -> None:
    segments = random_deposits(1, 40)
    simulation = model(segments, accuracy=accuracy, dtype=dtype)
    extreme = {"electric_field": 0.46, "electron_lifetime": 500.0, "transverse_diffusion": 1.39e-5}
    for changes in ({}, extreme):
        assert collected(simulation, **changes) == pytest.approx(arriving(segments, **changes), rel=1e-4)


def test_charge_near_the_anode_and_the_cathode_is_not_lost_either() -> None:
    segments = deposits(
        [[1.0, 2.0, 30.35], [3.0, 4.0, 30.41], [5.0, 6.0, -0.2]],
        [[1.5, 2.3, 30.43], [3.0, 5.0, 30.43], [5.3, 6.1, -0.4]],
    )

    assert collected(model(segments)) == pytest.approx(arriving(segments), rel=1e-4)


@pytest.mark.parametrize("shift", [0.3, 5.0])
def test_a_shift_away_from_the_anode_loses_no_charge(shift: float) -> None:
    """It diffuses as far as deposits that lie there."""
    segments = deposits([1.0, 2.0, 30.2], [1.5, 2.3, 30.43])
    away = segments.replace(start=segments.start - np.array([0, 0, shift]), end=segments.end - np.array([0, 0, shift]))

    assert collected(model(segments), shift_z=shift) == pytest.approx(arriving(away), rel=1e-5)


def test_charge_between_the_cathode_faces_is_lost() -> None:
    """A deposit through the cathode loses the share of its length that lies between the faces."""
    through = deposits([1.0, 1.0, -0.4], [1.0, 1.0, 0.6])
    forever = {"electron_lifetime": math.inf}
    inside = 2 * CATHODE / 1.0

    assert collected(model(through), **forever) == pytest.approx(
        (1 - inside) * arriving(through, electron_lifetime=1e15), rel=1e-5
    )
    assert len(model(deposits([1.0, 1.0, -0.15], [1.5, 1.0, 0.15], dedx=20.0)).hits({}).time) == 0


def test_charge_that_diffuses_over_the_edge_of_the_plane_is_lost() -> None:
    """A deposit along the edge keeps half of its charge."""
    edge = MODULE0.x_range[0]
    segments = deposits([edge, 1.0, 10.0], [edge, 2.0, 10.0])

    assert collected(model(segments)) == pytest.approx(0.5 * arriving(segments), rel=1e-5)


def test_recorded_charge_is_never_more_than_the_collected_charge() -> None:
    segments = random_deposits(2, 40)
    simulation = model(segments)
    hits = simulation.hits({})

    assert 0.8 * collected(simulation) < hits.charge.sum() < collected(simulation)


# --- symmetries ---


def test_whole_pixels_move_only_the_pixel_numbers() -> None:
    segments = random_deposits(3, 30)
    segments = segments.take((np.abs(segments.centre[:, :2] - [0, -22]) < [25, 50]).all(axis=1))
    move = np.array([7 * PITCH, -11 * PITCH, 0.0])
    here, there = (
        model(segments).hits({}),
        model(segments.replace(start=segments.start + move, end=segments.end + move)).hits({}),
    )

    np.testing.assert_array_equal(there.channel, here.channel + 7 * MODULE0.pixels[1] - 11)
    np.testing.assert_array_equal(there.order, here.order)
    np.testing.assert_allclose(there.charge, here.charge, rtol=0, atol=0.1)
    np.testing.assert_allclose(there.time, here.time, rtol=0, atol=1e-4)


def test_the_two_tpcs_are_mirror_images() -> None:
    segments = random_deposits(4, 30)
    flip = np.array([1.0, 1.0, -1.0])
    here, there = (
        model(s).hits({}) for s in (segments, segments.replace(start=segments.start * flip, end=segments.end * flip))
    )
    one_tpc = MODULE0.pixels[0] * MODULE0.pixels[1]
    other = np.where(here.channel < one_tpc, here.channel + one_tpc, here.channel - one_tpc)
    order = np.lexsort((here.order, other, here.event))

    np.testing.assert_array_equal(there.channel, other[order])
    np.testing.assert_allclose(there.charge, here.charge[order], rtol=0, atol=1e-6)
    np.testing.assert_allclose(there.time, here.time[order], rtol=0, atol=1e-9)


def test_the_direction_of_a_deposit_does_not_matter() -> None:
    segments = random_deposits(5, 20)

    assert_same_hits(
        model(segments).hits({}),
        model(segments.replace(start=segments.end, end=segments.start)).hits({}),
        charge=0.1,
        time=1e-4,
    )


@pytest.mark.parametrize(("accuracy", "charge", "time"), [("default", 40.0, 5e-3), ("precise", 2.0, 3e-4)])
def test_splitting_a_deposit_changes_nothing_beyond_quadrature(accuracy: str, charge: float, time: float) -> None:
    """Limits far below the noise, which is 900 electrons."""
    whole = random_deposits(6, 20)
    middle = whole.start + 0.37 * (whole.end - whole.start)
    halves = Segments.concatenate(
        [whole.replace(end=middle, dE=0.37 * whole.dE), whole.replace(start=middle, dE=0.63 * whole.dE)]
    )

    assert_same_hits(
        model(whole, accuracy=accuracy).hits({}), model(halves, accuracy=accuracy).hits({}), charge=charge, time=time
    )


# --- what must not matter ---


def test_other_events_do_not_matter() -> None:
    """Not even those that share pixels."""
    segments = random_deposits(7, 20)
    others = random_deposits(7, 20).replace(event_id=segments.event_id + 1000)
    alone, together = model(segments).hits({}), model(Segments.concatenate([others, segments])).hits({})
    mine = together.event < 1000

    np.testing.assert_array_equal(together.channel[mine], alone.channel)
    np.testing.assert_allclose(together.charge[mine], alone.charge, rtol=1e-10)
    np.testing.assert_allclose(together.time[mine], alone.time, rtol=1e-10)


def test_the_order_of_the_deposits_does_not_matter() -> None:
    segments = random_deposits(8, 30, one_event=True)
    shuffled = segments.take(np.random.default_rng(0).permutation(30))

    assert_same_hits(model(segments).hits({}), model(shuffled).hits({}), charge=1e-6, time=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_threads_changes_not_a_bit(dtype: torch.dtype) -> None:
    segments = random_deposits(9, 40)
    names = ("electric_field", "transverse_diffusion")
    one, two = (
        model(segments, dtype=dtype, threads=n, block_pairs=512).hits_with_derivatives({}, names) for n in (1, 2)
    )

    assert_identical(one, two)


def test_the_size_of_blocks_changes_only_rounding() -> None:
    segments = random_deposits(10, 30)
    names = ("electric_field",)
    small, large = (model(segments, block_pairs=n).hits_with_derivatives({}, names) for n in (256, 100_000))

    assert_same_hits(small, large, charge=1e-6, time=1e-9)
    assert small.d_time is not None and large.d_time is not None
    np.testing.assert_allclose(small.d_time, large.d_time, rtol=1e-6, atol=1e-9)


def test_single_precision_is_enough_for_hits() -> None:
    """A few electrons and nanoseconds, where the noise is 900 electrons and the clock 100 ns; soft hits move more."""
    segments = random_deposits(11, 60)
    single, double = (model(segments, dtype=d).hits({}) for d in (torch.float32, torch.float64))

    for name in ("event", "channel", "order"):
        np.testing.assert_array_equal(getattr(single, name), getattr(double, name))
    assert np.quantile(np.abs(single.charge - double.charge), 0.99) < 5.0
    assert np.quantile(np.abs(single.time - double.time), 0.99) < 2e-4
    np.testing.assert_allclose(single.charge, double.charge, rtol=0, atol=50.0)


def test_the_same_point_gives_the_same_hits_after_another_point() -> None:
    simulation = model(random_deposits(12, 20))
    first = simulation.hits({})
    simulation.hits({"transverse_diffusion": 5e-5, "electric_field": 0.46, "shift_x": 0.5, "shift_z": 0.5})

    assert_identical(simulation.hits({}), first)


# --- edges ---


def test_no_deposits_no_hits() -> None:
    empty = random_deposits(13, 3).take(np.zeros(0, dtype=np.int64))

    assert len(model(empty).hits({}).time) == 0
    exact = model(empty).hits_with_derivatives({}, ("electric_field",))
    assert exact.d_charge is not None and exact.d_charge.shape == (0, 2)


def test_a_faint_deposit_gives_no_hit() -> None:
    """5000 electrons on one pixel, below the threshold of 7000."""
    faint = deposits([0.2217, 0.2217, 10.0], [0.2217, 0.2218, 10.0], energy=0.17, dedx=2.1)

    assert arriving(faint) == pytest.approx(5000, rel=0.1)
    assert len(model(faint).hits({}).time) == 0
    assert model(faint).hits_with_derivatives({}, ("electric_field",)).time.shape == (0,)


@pytest.mark.parametrize("recombination", ["birks", "box"])
def test_a_deposit_without_energy_changes_nothing(recombination: str) -> None:
    """Files hold such deposits, with dE/dx = 0, where the box model has no value."""
    track = deposits([0.0, 0.0, 20.0], [1.0, 0.1, 20.3])
    nothing = deposits([0.1, 0.0, 20.1], [0.2, 0.1, 20.0], energy=0.0, dedx=0.0)
    names = ("electric_field", "box_alpha", "transverse_diffusion")
    alone, both = (
        model(s, recombination=recombination).hits_with_derivatives({}, names)
        for s in (track, Segments.concatenate([track, nothing]))
    )

    assert_identical(both, alone)


def test_a_track_along_the_drift_fires_a_pixel_up_to_ten_times() -> None:
    """Each hit is at least one hold after the one before; the tenth is the last although charge is left."""
    centre = [0.5 * PITCH, MODULE0.y_range[0] + 100.5 * PITCH]
    segments = deposits([*centre, 3.0], [*centre, 29.0], dedx=8.0)
    hits = model(segments).hits({})
    pixels, count = np.unique(hits.channel, return_counts=True)

    assert count.max() == MODULE0.readout.max_hits == 10
    on_pixel = hits.channel == pixels[np.argmax(count)]
    np.testing.assert_array_equal(hits.order[on_pixel], np.arange(10))
    assert np.diff(hits.time[on_pixel]).min() >= MODULE0.readout.hold


def test_a_late_deposit_has_late_hits() -> None:
    """By its own delay after the event's earliest deposit, also when that leaves no hit."""
    early = deposits([0.0, 0.0, 20.0], [1.0, 0.1, 20.3], t0=3.0)
    late = deposits([10.0, 0.0, 20.0], [11.0, 0.1, 20.3], t0=8.5)
    at_once = model(Segments.concatenate([early, late.replace(t0=early.t0)])).hits({})
    delayed = model(Segments.concatenate([early, late])).hits({})
    tpc, pixel_x, _ = MODULE0.pixel(delayed.channel)

    assert set(tpc) == {1}
    np.testing.assert_allclose(delayed.time - at_once.time, np.where(pixel_x > 85, 5.5, 0.0), rtol=0, atol=1e-6)


@pytest.mark.parametrize("delay", [250.0, 1e3, 1e4])
def test_deposits_that_come_long_after_each_other_on_one_pixel(delay: float) -> None:
    """The second makes as many hits as it makes alone, only later."""
    track = deposits([0.0, 0.0, 20.0], [1.0, 0.1, 20.3])
    alone = model(track).hits({})
    both = model(Segments.concatenate([track, track.replace(t0=track.t0 + delay)])).hits({})
    second = both.time > delay

    assert second.sum() == (~second).sum() == len(alone.time)
    np.testing.assert_allclose(both.time[~second], alone.time, rtol=0, atol=1e-4)
    np.testing.assert_allclose(both.charge[~second], alone.charge, rtol=0, atol=1.0)
    # Charge of the first that was not recorded is still on the pixel, so the second crosses a little earlier.
    earlier = alone.time - (both.time[second] - delay)
    assert np.all(earlier > -1e-3) and np.all(earlier < 3.0) and np.any(earlier > 1e-3)


def test_deposits_too_long_after_each_other_are_refused() -> None:
    track = deposits([0.0, 0.0, 20.0], [1.0, 0.1, 20.3])
    late = track.replace(t0=track.t0 + 1e6)

    with pytest.raises(
        MemoryLimitError, match=r"spread over 1e\+03 ms, .* drop late deposits with select\.max_delay_us"
    ):
        model(Segments.concatenate([track, late])).hits({})
    # On pixels of their own they are far from each other in time and nothing more.
    move = np.array([5.0, 5.0, 0.0])
    aside = late.replace(start=late.start + move, end=late.end + move)
    assert model(Segments.concatenate([track, aside])).hits({}).time.max() == pytest.approx(1e6, abs=100)


# --- sentences ---


def test_too_little_memory_is_said_before_the_work() -> None:
    with pytest.raises(MemoryLimitError, match=r"needs about \d+ MiB.*simulate\.memory_limit_mib = 1;.*block_pairs"):
        model(random_deposits(14, 20), memory_limit_mib=1.0).hits({})


@pytest.mark.parametrize(
    "values", [{"longitudinal_diffusion": 5e-3}, {"transverse_diffusion": 0.1}, {"electric_field": 1e-4}]
)
def test_values_beyond_the_model_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ModelRangeError, match="use values nearer to"):
        model(random_deposits(14, 2)).hits(values)


@pytest.mark.parametrize("values", [{"electron_lifetime": -1.0}, {"electric_field": math.nan}, {"birks_ba": 0.8}])
def test_values_without_meaning_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="forward model"):
        model(random_deposits(14, 2)).hits(values)
