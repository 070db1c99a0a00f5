"""Exact derivatives of hit charges and times against central differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from pipeline import parameters
from pipeline.simulate.model import ForwardModel, SimulatedHits
from pipeline.tables import Bools, Floats, Ints
from tests.simulate.deposits import MODULE0, model, random_deposits

#: Off the nominal point, where nothing is special.
POINT = parameters.nominal_values() | {
    "birks_ab": 0.82,
    "birks_kb": 0.05,
    "electric_field": 0.49,
    "electron_lifetime": 1500.0,
    "longitudinal_diffusion": 5e-6,
    "transverse_diffusion": 1e-5,
    "box_alpha": 0.95,
    "box_beta": 0.205,
    "density": 1.39,
    "drift_velocity_scale": 1.01,
    "shift_x": 0.01,
    "shift_y": -0.02,
    "shift_z": 0.05,
}
NAMES = tuple(POINT)

#: Smallest steps, relative to the value; of the shifts [cm]. The others are 4 to 256 times as long.
STEP = dict.fromkeys(NAMES, 1e-6) | {
    "electric_field": 1e-7,
    "drift_velocity_scale": 1e-7,
    "electron_lifetime": 1e-5,
    "longitudinal_diffusion": 1e-5,
    "shift_x": 1e-7,
    "shift_y": 1e-7,
    "shift_z": 2.5e-5,
}
LADDER = (1, 4, 16, 64, 256)

#: Rounding of a time of 200 us, and of a charge that grows by 3e4 electrons per us at that time.
ROUNDING = {"time": 1e-12, "charge": 1e-8}

#: What each model of recombination has no use for.
UNUSED = {"birks": {"box_alpha", "box_beta"}, "box": {"birks_ab", "birks_kb"}}


def label(hits: SimulatedHits) -> Ints:
    """One number per hit that is the same at every parameter point."""
    return (hits.event * 100_000 + hits.channel) * 100 + hits.order


@dataclass(frozen=True)
class Differences:
    """Central differences of the hits that all points have, in the same clock tick at the innermost."""

    row: Ints
    charge: Floats
    time: Floats
    total: int

    @property
    def share_left_out(self) -> float:
        return 1.0 - len(self.row) / self.total


def central_differences(reference: SimulatedHits, points: dict[int, SimulatedHits], step: float) -> Differences:
    """Differences of charge and time over the points at `LADDER` steps up and down.

    A soft hit needs shorter steps than a hard one, so each hit takes the fourth-order formula with the smallest error
    estimate: how far the next step's differs, plus rounding. No knowledge of the exact derivative enters.
    """
    common = label(reference)
    for hits in points.values():
        common = np.intersect1d(common, label(hits))
    rows = {k: np.searchsorted(label(hits), common) for k, hits in points.items()}

    def slopes(name: str) -> Floats:
        f = {k: getattr(hits, name)[rows[k]] for k, hits in points.items()}
        second = np.stack([(f[k] - f[-k]) / (2 * k * step) for k in LADDER])
        fourth = (16 * second[:-1] - second[1:]) / 15
        rounding = ROUNDING[name] / (np.array(LADDER[:-2]) * step)
        best = np.argmin(np.abs(np.diff(fourth, axis=0)) + rounding[:, None], axis=0)
        return np.asarray(np.take_along_axis(fourth, best[None], axis=0)[0])

    clock = MODULE0.readout.clock
    ticks = [np.floor(points[k].time[rows[k]] / clock) for k in (-1, 1)]
    same: Bools = ticks[0] == ticks[1]
    row = np.searchsorted(label(reference), common)[same]
    return Differences(row, slopes("charge")[same], slopes("time")[same], total=len(reference.time))


def at_all_steps(run: Callable[[float], SimulatedHits], step: float) -> dict[int, SimulatedHits]:
    """The hits at every step up and down, by the number of smallest steps."""
    return {sign * k: run(sign * k * step) for k in LADDER for sign in (-1, 1)}


def worst(exact: Floats, row: Ints, difference: Floats) -> float:
    """Largest error relative to max(|g|, 1e-3 of the rms of g)."""
    scale = np.maximum(np.abs(exact), 1e-3 * np.sqrt(np.mean(exact**2)))
    return float(np.max(np.abs(difference - exact[row]) / scale[row]))


def check_every_parameter(simulation: ForwardModel, recombination: str) -> list[str]:
    """Compare all parameters; returns a line of measured errors for each."""
    exact = simulation.hits_with_derivatives(POINT, NAMES)
    assert exact.d_charge is not None and exact.d_time is not None
    assert (exact.order > 0).sum() > 0.1 * len(exact.order)
    lines: list[str] = []
    errors: list[float] = []
    for column, name in enumerate(NAMES):
        step = STEP[name] * (1.0 if name.startswith("shift") else POINT[name])
        points = at_all_steps(lambda d, name=name: simulation.hits({**POINT, name: POINT[name] + d}), step)
        found = central_differences(exact, points, step)
        assert found.share_left_out < 0.01, name
        d_charge, d_time = exact.d_charge[:, column], exact.d_time[:, column]
        if name in UNUSED[recombination]:
            assert not d_charge.any() and not d_time.any() and not found.charge.any() and not found.time.any()
            continue
        of_charge, of_time = worst(d_charge, found.row, found.charge), worst(d_time, found.row, found.time)
        lines.append(f"{recombination:6} {name:24} {of_charge:8.1e} {of_time:8.1e} {found.share_left_out:7.2%}")
        errors += [of_charge, of_time]
    assert max(errors) < 1e-5, "\n".join(lines)
    return lines


@pytest.mark.parametrize("recombination", ["birks", "box"])
def test_derivatives_to_every_parameter(recombination: str) -> None:
    check_every_parameter(model(random_deposits(7, 30), recombination=recombination), recombination)


@pytest.mark.slow
@pytest.mark.parametrize("recombination", ["birks", "box"])
@pytest.mark.parametrize("seed", [11, 12])
def test_derivatives_of_many_hits(recombination: str, seed: int) -> None:
    """Prints the largest relative error of charge and time, and the share of hits left out (`pytest -s`)."""
    print(f"\nmodel  parameter                  charge     time left out (seed {seed})")
    simulation = model(random_deposits(seed, 200), recombination=recombination)
    print("\n".join(check_every_parameter(simulation, recombination)))


def test_derivatives_to_the_threshold() -> None:
    """The last column, against detectors whose threshold is a little lower and higher."""
    segments, step = random_deposits(7, 30), 0.005
    exact = model(segments).hits_with_derivatives(POINT, ("birks_ab",))

    def with_threshold(change: float) -> SimulatedHits:
        readout = MODULE0.readout.model_copy(update={"threshold": MODULE0.readout.threshold + change})
        return model(segments, MODULE0.model_copy(update={"readout": readout})).hits(POINT)

    found = central_differences(exact, at_all_steps(with_threshold, step), step)

    assert exact.d_charge is not None and exact.d_time is not None
    assert found.share_left_out < 0.01
    assert worst(exact.d_charge[:, -1], found.row, found.charge) < 1e-5
    assert worst(exact.d_time[:, -1], found.row, found.time) < 1e-5


def test_derivatives_do_not_depend_on_which_others_are_asked_for() -> None:
    segments = random_deposits(7, 10)
    every = model(segments).hits_with_derivatives(POINT, NAMES)
    assert every.d_charge is not None and every.d_time is not None
    for name in ("electric_field", "shift_x", "longitudinal_diffusion"):
        alone = model(segments).hits_with_derivatives(POINT, (name,))
        assert alone.d_charge is not None and alone.d_time is not None
        column = NAMES.index(name)
        np.testing.assert_allclose(alone.d_charge[:, 0], every.d_charge[:, column], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(alone.d_time[:, 0], every.d_time[:, column], rtol=1e-9, atol=1e-12)


def test_hits_are_the_same_with_and_without_derivatives() -> None:
    simulation = model(random_deposits(7, 10))
    plain, exact = simulation.hits(POINT), simulation.hits_with_derivatives(POINT, NAMES)

    np.testing.assert_array_equal(label(plain), label(exact))
    np.testing.assert_array_equal(plain.time, exact.time)
    np.testing.assert_array_equal(plain.charge, exact.charge)


def test_single_precision_derivatives_are_those_of_double_precision() -> None:
    """To 1 % of the parameter's rms gradient, in all but the softest hundredth of the hits."""
    segments = random_deposits(7, 30)
    double = model(segments).hits_with_derivatives(POINT, NAMES)
    single = model(segments, dtype=torch.float32).hits_with_derivatives(POINT, NAMES)
    np.testing.assert_array_equal(label(single), label(double))
    for name in ("d_charge", "d_time"):
        a, b = getattr(single, name), getattr(double, name)
        rms = np.sqrt(np.mean(b**2, axis=0)) + 1e-30
        assert np.quantile(np.abs(a - b) / np.maximum(rms, np.abs(b)), 0.99) < 0.01
