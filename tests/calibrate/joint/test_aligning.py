"""Where fits of tracks begin that are told millimetres off along the drift, with a field that is some per cent off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibrate.joint.aligning import aligned
from pipeline.calibrate.joint.run import fit_unknown
from pipeline.config.methods import STANDARD_METHODS
from pipeline.config.unknown import Unknown
from pipeline.detector import argon
from pipeline.parameters import nominal_values
from pipeline.reconstruct.distance import distance_to_truth
from pipeline.simulate.model import ForwardModel
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import observables_of_simulation
from pipeline.tables import Floats, Observables, Segments

from ...simulate.deposits import MODULE0
from .toys import SETTINGS

TRUTH = {**nominal_values(), "electric_field": 0.52}
PIECE = 0.5


def line(event: int, start: Floats, end: Floats, pdg: int = 13) -> Segments:
    """A straight minimum ionising track in pieces of about `PIECE` cm."""
    count = round(float(np.linalg.norm(end - start)) / PIECE)
    points = start + np.linspace(0, 1, count + 1)[:, None] * (end - start)
    number, zero = np.arange(count), np.zeros(count)
    dx = np.linalg.norm(np.diff(points, axis=0), axis=1)
    whole = 0 * number
    return Segments(whole + event, whole, number, whole, whole + pdg, points[:-1], points[1:], zero, zero, zero,
                    2.1 * dx, dx, zero + 2.1)  # fmt: skip


@pytest.fixture(scope="module")
def segments() -> Segments:
    """Six tracks with an event each, every other one through the cathode."""
    rng = np.random.default_rng(3)
    parts = []
    for event in range(6):
        x, y = rng.uniform(-15, 15, 2)
        low, high = (-25.0, 22.0) if event % 2 else (4.0, 27.0)
        start, end = np.array([x, y - 20, low]), np.array([-x, y + 15, high])
        parts.append(line(event, start, end))
    return Segments.concatenate(parts)


@pytest.fixture(scope="module")
def data(segments: Segments) -> Observables:
    return data_of(segments)


def data_of(segments: Segments) -> Observables:
    model = ForwardModel(segments, MODULE0, SETTINGS)
    return observables_of_simulation(model.hits(TRUTH, Noise(NoiseLevels(900.0, 500.0), 7)), MODULE0)


def late(segments: Segments, seed: int) -> Segments:
    """Tracks told 0 to 3 mm too far from their anodes, as if each had come later than it did."""
    by = np.random.default_rng(seed).uniform(0, 0.3, int(segments.event_id.max()) + 1)[segments.event_id]
    shift = np.zeros_like(segments.start)
    shift[:, 2] = by * MODULE0.outward(MODULE0.nearest_tpc(segments.centre[:, 2]))
    return segments.replace(start=segments.start + shift, end=segments.end + shift)


def velocity(values: dict[str, float]) -> float:
    return float(argon.scaled_drift_velocity(values, MODULE0.temperature))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("field", [0.47, 0.52, 0.57])
def test_tracks_come_to_their_hits_and_the_velocity_to_its_value(
    segments: Segments, data: Observables, seed: int, field: float
) -> None:
    told, values = late(segments, seed), {**TRUTH, "electric_field": field}
    found, faster = aligned(ForwardModel(told, MODULE0, SETTINGS), data, values, moving=True)
    assert distance_to_truth(told, segments).rms > 0.1
    assert distance_to_truth(found, segments).rms < 0.03
    assert faster * velocity(values) / velocity(TRUTH) == pytest.approx(1, abs=0.005)
    # Nothing but the places along the drift has changed.
    assert (found.start[:, :2] == told.start[:, :2]).all() and (found.dE == told.dE).all()


def test_ends_of_torn_halves_beyond_the_cathode_go_with_their_half(segments: Segments, data: Observables) -> None:
    told = late(segments, 1)
    beyond = MODULE0.nearest_tpc(told.centre[:, 2]) != MODULE0.nearest_tpc(segments.centre[:, 2])
    assert beyond.any()
    found, _ = aligned(ForwardModel(told, MODULE0, SETTINGS), data, TRUTH, moving=True)
    assert np.abs(found.centre - segments.centre)[beyond].max() < 0.1


def test_tracks_near_their_hits_stay(segments: Segments, data: Observables) -> None:
    found, faster = aligned(ForwardModel(segments, MODULE0, SETTINGS), data, TRUTH, moving=True)
    assert faster == 1 and (found.start == segments.start).all() and (found.end == segments.end).all()


def test_at_a_known_velocity_tracks_alone_move(segments: Segments, data: Observables) -> None:
    told = late(segments, 4)
    found, faster = aligned(ForwardModel(told, MODULE0, SETTINGS), data, TRUTH, moving=False)
    assert faster == 1
    assert distance_to_truth(found, segments).rms < 0.03


def test_one_late_track_among_many_is_found(segments: Segments, data: Observables) -> None:
    told = late(segments, 4)
    start, end = (np.where(segments.event_id[:, None] == 2, a, b) for a, b in
                  ((told.start, segments.start), (told.end, segments.end)))  # fmt: skip
    told = segments.replace(start=start, end=end)
    found, faster = aligned(ForwardModel(told, MODULE0, SETTINGS), data, TRUTH, moving=False)
    assert faster == 1
    assert np.abs(told.centre - segments.centre).max() > 0.2
    assert np.abs(found.centre - segments.centre).max() < 0.05


def test_tracks_that_came_later_than_others_of_their_event_are_where_they_were(segments: Segments) -> None:
    """All six tracks in one event, 0 to 50 us apart: 8 cm of drift."""
    one = segments.replace(event_id=0 * segments.event_id, traj_id=segments.event_id, t0=10.0 * segments.event_id)
    hits = data_of(one)
    found, faster = aligned(ForwardModel(one, MODULE0, SETTINGS), hits, TRUTH, moving=True)
    assert faster == 1 and (found.start == one.start).all()
    moved = late(segments, 7)
    told = one.replace(start=moved.start, end=moved.end)
    found, faster = aligned(ForwardModel(told, MODULE0, SETTINGS), hits, TRUTH, moving=False)
    assert distance_to_truth(told, one).rms > 0.1
    assert distance_to_truth(found, one).rms < 0.03


def test_hits_without_a_time_tell_nothing(segments: Segments, data: Observables) -> None:
    values, valid = data.values.copy(), data.valid.copy()
    values[::7, 1], valid[::7] = np.nan, False
    wrong = replace(data, values=values, valid=valid)
    found, faster = aligned(ForwardModel(late(segments, 5), MODULE0, SETTINGS), wrong, TRUTH, moving=True)
    assert faster == pytest.approx(1, abs=0.005)
    assert distance_to_truth(found, segments).rms < 0.03


def test_a_detector_of_one_drift_volume() -> None:
    one = MODULE0.model_copy(update={"tpcs": (MODULE0.tpcs[1].model_copy(update={"tpc": 0}),)})
    segments = Segments.concatenate(
        [line(e, np.array([8.0 - 5 * e, -20.0, 3.0 + e]), np.array([-7.0 + 6 * e, 18.0, 27.0 - e])) for e in range(3)]
    )
    model = ForwardModel(segments, one, SETTINGS)
    hits = observables_of_simulation(model.hits(TRUTH, Noise(NoiseLevels(900.0, 500.0), 7)), one)
    shift = np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 0.2], [0.0, 0.0, 0.3]])[segments.event_id] * one.outward(0)
    told = segments.replace(start=segments.start + shift, end=segments.end + shift)
    found, _ = aligned(ForwardModel(told, one, SETTINGS), hits, TRUTH, moving=False)
    assert distance_to_truth(told, segments).rms > 0.05
    assert distance_to_truth(found, segments).rms < 0.03


def test_hits_of_others_do_not_matter(segments: Segments, data: Observables) -> None:
    """Every fourth hit is at a place along the drift that has nothing to do with the track."""
    rng = np.random.default_rng(8)
    values = data.values.copy()
    other = rng.random(len(data)) < 0.25
    values[other, 1] = rng.uniform(0, 180, int(other.sum()))
    wrong = replace(data, values=values)
    found, faster = aligned(ForwardModel(late(segments, 5), MODULE0, SETTINGS), wrong, TRUTH, moving=True)
    assert faster == pytest.approx(1, abs=0.005)
    assert distance_to_truth(found, segments).rms < 0.03


def test_tracks_without_hits_stay(segments: Segments, data: Observables) -> None:
    """Along the drift, where pixels see one point alone; of other events; and with values that are no numbers."""
    steep = line(0, np.array([3.0, 3.0, 2.0]), np.array([3.0, 3.0, 25.0]))
    elsewhere = line(17, segments.start[0], segments.end[5])
    for told in (steep, elsewhere, segments.take(np.zeros(len(segments), dtype=bool))):
        found, faster = aligned(ForwardModel(told, MODULE0, SETTINGS), data, TRUTH, moving=True)
        assert faster == 1 and (found.start == told.start).all() and (found.end == told.end).all()
    none = data.take(np.zeros(len(data), dtype=bool))
    found, faster = aligned(ForwardModel(segments, MODULE0, SETTINGS), none, TRUTH, moving=True)
    assert faster == 1 and (found.start == segments.start).all()


def test_a_fit_of_late_tracks_finds_the_field(segments: Segments, data: Observables) -> None:
    """Told late at a field 6 % off, such fits ended in side minima, 1 to 4 % from the field."""
    told = late(segments, 6)
    method = STANDARD_METHODS["unknown_segments"].model_copy(
        update={"free": ("electric_field", "birks_ab"), "unknown": Unknown(relative_width=0.1, simulated=0.0),
                "initial": {"electric_field": 0.49}}
    )  # fmt: skip
    found = fit_unknown(
        ForwardModel(told, MODULE0, SETTINGS), data, method, "m", target=TRUTH, seed=1, extra={}, truth=segments
    )
    field = next(p for p in found.parameters if p.name == "electric_field")
    assert found.converged and found.diagnostics["position_rms_um"] < 150
    assert field.uncertainty is not None and field.uncertainty < 0.003 * TRUTH["electric_field"]
    assert abs(field.value - TRUTH["electric_field"]) < 4 * field.uncertainty
