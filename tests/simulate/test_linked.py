"""The likelihood with derivatives to every segment: finite differences, and what the sums over segments must be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.parameters import CALIBRATED
from pipeline.simulate.first_passage import NO_STRAY, RecordedCharge, Stray
from pipeline.simulate.linked import LOCAL, MOVES, Linked, linked_probability
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.simulate.observe import PixelObservables
from pipeline.tables import Observables, Segments

from .deposits import MODULE0, random_deposits
from .test_pixel_likelihood import LEVELS, VALUES, chamber, recorded, whole_numbers

NAMES = (*CALIBRATED, "shift_z")
SEGMENTS = random_deposits(4, 12)


def linked(segments: Segments, data: Observables, **more: object) -> Linked:
    model = ForwardModel(segments, MODULE0, ModelSettings(noise=LEVELS))
    return linked_probability(model, data, VALUES, NAMES, **more)  # type: ignore[arg-type]


def data_of(*, integer: bool) -> Observables:
    data = recorded(chamber(SEGMENTS), 1)
    return whole_numbers(data, 0.1, 256) if integer else data


@pytest.mark.parametrize("integer", [False, True])
def test_all_segments_together_are_the_parameters_that_move_all(integer: bool) -> None:
    data = data_of(integer=integer)
    found = linked(SEGMENTS, data)
    expected = chamber(SEGMENTS).probability(data, VALUES, (*NAMES, *LOCAL[:3]))
    assert found.score == pytest.approx(expected.score.sum(axis=0)[: len(NAMES)], rel=1e-9)
    local = found.local_score.reshape(-1, len(MOVES)).sum(axis=0)
    assert local[:3] == pytest.approx(expected.score.sum(axis=0)[len(NAMES) :], rel=1e-9)
    together = found.local_rows @ np.tile(np.eye(len(MOVES)), (len(SEGMENTS), 1))
    rows = np.concatenate([found.rows, together[:, :3]], axis=1)
    assert rows.T @ rows == pytest.approx(expected.curvature, rel=1e-7, abs=1e-9 * expected.curvature.max())


@pytest.mark.parametrize("integer", [False, True])
def test_the_score_of_a_segment_is_the_derivative_to_its_ends_and_energy(integer: bool) -> None:
    data = data_of(integer=integer)
    score = linked(SEGMENTS, data).local_score.reshape(-1, len(MOVES))

    def log(segment: int, start: np.ndarray, end: np.ndarray, energy: float) -> float:
        one = np.arange(len(SEGMENTS)) == segment
        scale = np.where(one, 1 + energy, 1.0)
        moved = SEGMENTS.replace(
            start=SEGMENTS.start + one[:, None] * start, end=SEGMENTS.end + one[:, None] * end,
            dE=SEGMENTS.dE * scale, dEdx=SEGMENTS.dEdx * scale,
        )  # fmt: skip
        return linked(moved, data).log

    def slope(segment: int, start: np.ndarray, end: np.ndarray, energy: float) -> float:
        """Central differences of two steps, extrapolated."""
        once, half = (
            (log(segment, h * start, h * end, h * energy) - log(segment, -h * start, -h * end, -h * energy)) / (2 * h)
            for h in (6e-4, 3e-4)
        )
        return (4 * half - once) / 3

    zero, largest = np.zeros(3), np.abs(score).max()
    for i in (0, 5, 11):
        assert slope(i, zero, zero, 1.0) == pytest.approx(score[i, 0], rel=2e-4, abs=1e-5 * largest)
        for axis in range(3):
            move = np.eye(3)[axis]
            # The plan knows the places of nodes in single precision.
            assert slope(i, zero, move, 0.0) == pytest.approx(score[i, 4 + axis], rel=2e-3, abs=3e-4 * largest)
            start = score[i, 1 + axis] - score[i, 4 + axis]
            assert slope(i, move, zero, 0.0) == pytest.approx(start, rel=2e-3, abs=3e-4 * largest)


@pytest.mark.parametrize("faint", [4, 12])
def test_blocks_of_pixels_without_hits_tell_that_nothing_was_recorded(faint: int) -> None:
    """Tracks of which no pixel has a hit, in blocks of their own; and no hit at all."""
    dim = np.where(SEGMENTS.event_id >= SEGMENTS.event_id.max() + 1 - faint, 0.002, 1.0)
    segments = SEGMENTS.replace(dE=SEGMENTS.dE * dim, dEdx=SEGMENTS.dEdx * dim)
    model = ForwardModel(segments, MODULE0, ModelSettings(noise=LEVELS, block_pairs=512))
    observables = PixelObservables(model)
    data = recorded(observables, 1)
    plan = model.plan(VALUES)
    assert any(not np.isin(plan.event[a:b], data.event).any() for a, b in plan.blocks)
    found = linked_probability(model, data, VALUES, NAMES)
    expected = observables.probability(data, VALUES, NAMES)
    assert found.log == pytest.approx(expected.log.sum(), rel=1e-9)
    assert found.score == pytest.approx(expected.score.sum(axis=0), rel=1e-9, abs=1e-6)


def test_an_ignored_hit_takes_its_pixel_out() -> None:
    data = data_of(integer=False)
    first = np.zeros(len(data), dtype=bool)
    first[0] = True
    pixel = (data.event == data.event[0]) & (data.channel == data.channel[0])
    changed = replace(data, values=data.values + pixel[:, None] * np.array([30.0, 0.5]))
    one, other = linked(SEGMENTS, data, ignored=first), linked(SEGMENTS, changed, ignored=first)
    assert one.log == pytest.approx(other.log, rel=1e-12)
    assert one.local_score == pytest.approx(other.local_score, rel=1e-12)
    assert one.hits == len(data) - pixel.sum()


def test_wider_noise_is_that_of_a_model_with_wider_noise() -> None:
    data = data_of(integer=False)
    # But for the rate of outliers, one in a million, which explain nothing here.
    wide = replace(LEVELS, reset=1800.0, sampling=1000.0)
    model = ForwardModel(SEGMENTS, MODULE0, ModelSettings(noise=wide))
    assert linked(SEGMENTS, data, widened=2.0).log == pytest.approx(
        linked_probability(model, data, VALUES, NAMES).log, rel=1e-6
    )


STRAY = Stray(((0.7, 0.0, 0.05), (0.05, 0.1, 0.0), (0.0, 0.02, 0.08)), (300.0, 3000.0), (200.0, 9000.0))


@pytest.mark.parametrize("integer", [False, True])
def test_the_score_with_stray_charge_is_the_derivative(integer: bool) -> None:
    data = data_of(integer=integer)
    found = linked(SEGMENTS, data, stray=STRAY)
    model = ForwardModel(SEGMENTS, MODULE0, ModelSettings(noise=LEVELS))
    for k, name in enumerate(NAMES[:3]):
        step = 1e-5 * VALUES[name]
        up, down = (
            linked_probability(model, data, {**VALUES, name: VALUES[name] + s * step}, NAMES, stray=STRAY).log
            for s in (1, -1)
        )
        assert (up - down) / (2 * step) == pytest.approx(found.score[k], rel=2e-4)


def test_no_stray_charge_is_the_likelihood_without_it() -> None:
    data = data_of(integer=False)
    nothing = Stray(((1.0, 0.0), (0.0, 0.0)), (3000.0,), (9000.0,))
    a, b = linked(SEGMENTS, data), linked(SEGMENTS, data, stray=nothing)
    assert a.log == pytest.approx(b.log, rel=1e-12)
    assert a.score == pytest.approx(b.score, rel=1e-9)


@pytest.mark.parametrize("stray", [NO_STRAY, STRAY])
def test_all_outcomes_of_a_hit_together_have_probability_one(stray: Stray) -> None:
    """A pixel whose charge rises evenly to 20 ke: hits at any time and charge, or none."""
    threshold, total, reset, sampling = 7e3, 2e4, 900.0, 500.0
    charge = torch.linspace(0, total, 801, dtype=torch.float64)
    recorded = torch.linspace(0, 1.2e5, 2401, dtype=torch.float64)
    low = recorded.expand(len(charge), -1)
    x = (threshold - charge)[:, None].expand_as(low)
    log = stray.crossed(x, reset, RecordedCharge(low, low, torch.full_like(low, 12e3)), sampling).log
    # dt I(t) = dQ.
    hits = torch.trapezoid(torch.trapezoid(log.exp(), recorded, dim=1), charge)
    silent = stray.silent(torch.tensor(threshold - total, dtype=torch.float64), reset).exp()
    at_once = 1 - stray.silent(torch.tensor(threshold, dtype=torch.float64), reset).exp()
    assert float(hits + silent + at_once) == pytest.approx(1.0, abs=2e-3)
