"""Fits with unknown segments: states and what moves them, beliefs, elimination, and small closures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from pipeline.calibrate.joint.beliefs import Beliefs, Gaussian, Stopping
from pipeline.calibrate.joint.cutting import cut_at_pixels, joined, located
from pipeline.calibrate.joint.marginal import Held, Point, Problem, begun_anew, maximise
from pipeline.calibrate.joint.part import Evaluated
from pipeline.calibrate.joint.parts import beliefs_of, most_probable, parts_of, scattering_angle
from pipeline.calibrate.joint.run import fit_unknown
from pipeline.calibrate.joint.structure import Structure, structure_of
from pipeline.calibrate.joint.tracks import Chains
from pipeline.calibrate.progress import Progress
from pipeline.calibrate.uncertainty import MARGINAL
from pipeline.config.methods import STANDARD_METHODS, Method
from pipeline.config.unknown import Hypothesis, Unknown
from pipeline.detector.argon import drift_velocity
from pipeline.errors import FitError
from pipeline.matter.energy_prior import EnergyPrior
from pipeline.parameters import lookup, nominal_values
from pipeline.reconstruct.distance import distance_to_truth
from pipeline.simulate.linked import MOVES
from pipeline.simulate.model import ForwardModel, ModelSettings
from pipeline.simulate.noise import Noise, NoiseLevels
from pipeline.simulate.observe import observables_of_simulation
from pipeline.tables import FitResult, Floats, Observables, Segments

from ...simulate.deposits import MODULE0

LEVELS = NoiseLevels(reset=900.0, sampling=500.0)
SETTINGS = ModelSettings(noise=LEVELS, threads=1)
TRUTH = {**nominal_values(), "birks_ab": 0.82, "transverse_diffusion": 8e-6}
WIDTH, MEAN = 0.1, np.log(2.1)


def tracks(count: int, pieces: int = 12, bend: float = 0.003, seed: int = 5) -> Segments:
    """Tracks of pieces of 1 cm, each in an event of its own, with a Gaussian spread of ln(dE/dx)."""
    rng = np.random.default_rng(seed)
    parts = []
    for event in range(count):
        direction = np.array([0.7, 0.4, 0.5]) + 0.2 * rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        points = [np.array([-10.0 + 3 * event, -20.0, 8.0 + 2 * event])]
        for _ in range(pieces):
            points.append(points[-1] + direction)
            direction = direction + bend * rng.normal(size=3)
            direction /= np.linalg.norm(direction)
        v = np.array(points)
        dedx = np.exp(MEAN + WIDTH * rng.normal(size=pieces))
        number, zero = np.arange(pieces), np.zeros(pieces)
        event_id = np.full(pieces, event)
        parts.append(
            Segments(event_id, 0 * number, number, 0 * number, 0 * number + 13, v[:-1], v[1:], zero, zero, zero,
                     dedx, np.ones(pieces), dedx)
        )  # fmt: skip
    return Segments.concatenate(parts)


def data_of(segments: Segments, seed: int) -> Observables:
    model = ForwardModel(segments, MODULE0, SETTINGS)
    return observables_of_simulation(model.hits(TRUTH, Noise(LEVELS, seed)), MODULE0)


def test_moves_are_the_derivatives_of_places_and_charges() -> None:
    chains = Chains.of(tracks(2), loose=True)
    # Two shifts of inner vertices, three of ends, and u.
    assert chains.size == 2 * (2 * 11 + 2 * 3 + 12)
    steepness = np.full(len(chains.track), 0.8)
    moves = chains.moves(steepness)
    rng = np.random.default_rng(1)
    step = 1e-6 * rng.normal(size=chains.size)
    after, before = chains.moved(step).segments, chains.segments
    local = (moves @ step).reshape(-1, len(MOVES))
    assert after.start - before.start == pytest.approx(local[:, 1:4], abs=1e-10)
    assert after.end - before.end == pytest.approx(local[:, 1:4] + local[:, 4:7], abs=1e-10)
    # ln(charge) = steepness u + ln(length), which is what the energy of the move stands for.
    grown = 0.8 * np.log(after.dEdx / before.dEdx) + np.log(after.length / before.length)
    assert grown == pytest.approx(0.8 * local[:, 0], abs=1e-10)
    assert after.start[1:12] == pytest.approx(after.end[:11], abs=1e-15)


@pytest.mark.parametrize("stops", [False, True])
def test_the_gradient_of_beliefs_is_the_derivative_of_their_cost(stops: bool) -> None:
    found = Chains.of(tracks(2), loose=True)
    kink = scattering_angle(found, Hypothesis(kinetic_mev=1000.0))
    energy = (Stopping(EnergyPrior(2212)),) if stops else (Gaussian(MEAN, WIDTH), Gaussian(MEAN + 0.2, 2 * WIDTH))
    weights = np.ones((2, len(energy))) / len(energy)
    beliefs = Beliefs(energy, weights, kink)
    # Where losses are not far out in their tails, as those of the tracks of a fit.
    found = most_probable(found, beliefs)
    rng = np.random.default_rng(2)
    now = found.moved(0.01 * rng.normal(size=found.size))
    here = beliefs.of(now, found)
    for column in (0, 3, 10, found.size - 1, *found.end_columns):
        step = np.zeros(found.size)
        step[column] = 1e-5
        up, down = (beliefs.of(now.moved(s * step), found).of_tracks.sum() for s in (1, -1))
        tolerance = 1e-5 * np.abs(here.gradient).max()
        # Ends follow the tables of ranges, whose slopes are good to 3e-4.
        good = 5e-4 if stops and column in found.end_columns else 2e-4
        assert (up - down) / 2e-5 == pytest.approx(here.gradient[column], rel=good, abs=tolerance)
    assert np.linalg.eigvalsh(here.curvature.toarray()).min() > 0
    assert beliefs.responsibilities(now).sum(axis=1) == pytest.approx(1.0)


def test_beliefs_in_tracks_that_cross_follow_the_lengths_of_their_segments() -> None:
    """A vertex that moves along the drift lengthens one of its segments and shortens the other."""
    unknown = Unknown(hypotheses=(Hypothesis(kinetic_mev=1000.0), Hypothesis(species="pion", kinetic_mev=1000.0)))
    found = Chains.of(tracks(2, bend=0.02), loose=True, sliding=False)
    beliefs = beliefs_of(found, unknown, None)
    found = most_probable(found, beliefs)
    rng = np.random.default_rng(2)
    now = found.moved(0.02 * rng.normal(size=found.size))
    here = beliefs.of(now, found)
    for column in range(found.size):
        step = np.zeros(found.size)
        step[column] = 1e-5
        up, down = (beliefs.of(now.moved(s * step), found).of_tracks.sum() for s in (1, -1))
        tolerance = 1e-6 * np.abs(here.gradient).max()
        assert (up - down) / 2e-5 == pytest.approx(here.gradient[column], rel=2e-4, abs=tolerance)


def test_a_straight_track_has_no_kinks_and_scattering_falls_with_energy() -> None:
    straight = Chains.of(tracks(1, bend=0.0), loose=True)
    flat = Beliefs((Gaussian(MEAN, WIDTH),), np.ones((1, 1)), np.full(13, 1e-3)).of(straight, straight)
    u_only = Beliefs((Gaussian(MEAN, WIDTH),), np.ones((1, 1)), np.full(13, 1e3)).of(straight, straight)
    assert flat.of_tracks == pytest.approx(u_only.of_tracks, rel=1e-9)
    fast, slow = (scattering_angle(straight, Hypothesis(kinetic_mev=t))[5] for t in (1000.0, 200.0))
    # 13.6 MeV / (p beta) sqrt(x / X0) with its logarithm, 1 GeV muon, 1 cm: 3.1 mrad (PDG).
    assert fast == pytest.approx(0.0031, rel=0.05)
    # p beta is 1095.6 and 269.1 MeV, beta^2 0.9909 and 0.8804.
    logarithms = (1 + 0.038 * np.log(1 / 14.0 / beta2) for beta2 in (0.9909, 0.8804))
    assert fast / slow == pytest.approx(269.1 / 1095.6 * next(logarithms) / next(logarithms), rel=1e-3)


def test_elimination_is_the_inverse_of_the_whole_matrix() -> None:
    rng = np.random.default_rng(3)
    chains = Chains.of(tracks(1), loose=True)
    n, p = chains.size, 3
    root = rng.normal(size=(2 * n, n + p))
    whole = root.T @ root
    gradient = rng.normal(size=n + p)
    at = Evaluated(
        chains, 0.0, np.zeros(1), gradient[:p], gradient[None, :p], gradient[p:], whole[:p, :p], whole[p:, :p],
        sparse.csc_array(whole[p:, p:]), 1, 0, np.ones((1, 2)),
    )  # fmt: skip
    found = at.eliminated()
    covariance = np.linalg.inv(whole)
    assert found.curvature == pytest.approx(np.linalg.inv(covariance[:p, :p]), rel=1e-9)
    step = -np.linalg.solve(whole, gradient)
    assert -np.linalg.solve(found.curvature, found.gradient) == pytest.approx(step[:p], rel=1e-8)
    assert found.newton + found.follow @ step[:p] == pytest.approx(step[p:], rel=1e-8)
    assert at.of_each_track(found)[0] == pytest.approx(found.gradient, rel=1e-12)
    assert found.log_dets.sum() == pytest.approx(np.linalg.slogdet(whole[p:, p:])[1], rel=1e-12)
    u = p + chains.energy_columns
    kept = np.concatenate([np.arange(p), u])
    expected = np.linalg.inv(np.linalg.inv(whole[np.ix_(kept, kept)])[:p, :p])
    assert at.energies_eliminated() == pytest.approx(expected, rel=1e-8)


def test_ends_that_stay_do_not_move_along_their_tracks_as_pixels_see_them() -> None:
    chains = Chains.of(tracks(2), loose=True, sliding=False)
    assert chains.size == 2 * (2 * 13 + 12)
    step = np.zeros(chains.size)
    step[chains.vertex_columns()[0]] = 1e-3
    after = chains.moved(step).segments
    along = (chains.segments.end - chains.segments.start)[chains.first]
    moved = (after.start - chains.segments.start)[chains.first]
    assert (moved * along)[:, :2].sum(axis=1) == pytest.approx(0.0, abs=1e-12)
    assert np.linalg.norm(moved, axis=1) == pytest.approx(np.sqrt(2) * 1e-3)


def test_another_drift_velocity_moves_no_place_in_the_plane_of_pixels() -> None:
    """Times of hits are those of the same track with all z in proportion: that has to be a state of every track, or
    places would tell the velocity."""
    chains = Chains.of(tracks(3, bend=0.05), loose=True, sliding=False)
    column, vertex, axis = chains.vertex_columns()
    along_drift = axis[:, 2] == 1
    assert along_drift.sum() == len(chains.vertices)
    step = np.zeros(chains.size)
    step[column[along_drift]] = 0.002 * chains.vertices[vertex[along_drift], 2]
    after = chains.moved(step)
    assert after.vertices == pytest.approx(chains.vertices * [1.0, 1.0, 1.002], abs=1e-12)
    # What scatters is across the track, whatever axes its vertices move along.
    assert (chains.across * chains.axes[:, 2:]).sum(axis=2) == pytest.approx(0.0, abs=1e-12)
    steep = chains.segments.replace(
        start=chains.segments.start * [0.05, 0.05, 1.0], end=chains.segments.end * [0.05, 0.05, 1.0]
    )
    axes = Chains.of(steep, loose=True, sliding=False).axes
    assert np.abs(np.einsum("vki,vki->vk", axes[:, :2], axes[:, 2:])).max() < 1e-12


def test_steps_upwards_are_linear_in_the_charge_and_bounded() -> None:
    chains = Chains.of(tracks(1), loose=True, sliding=False)
    for step, factor in ((0.5, 1.5), (2.0, 3.0), (50.0, 4.0), (-0.5, np.exp(-0.5)), (-50.0, np.exp(-1.0))):
        u = np.zeros(chains.size)
        u[chains.energy_columns] = step
        assert chains.moved(u).segments.dEdx == pytest.approx(factor * chains.segments.dEdx)


def test_a_track_that_has_no_room_holds_up_no_other() -> None:
    chains = Chains.of(tracks(2), loose=True)
    step = np.zeros(chains.size)
    # The first vertex of the first track, along it and past the next.
    step[chains.start_columns[0]] = 0.1
    assert chains.room(step).tolist() == [1.0, 1.0]
    short = Chains.of(tracks(2).replace(start=tracks(2).end - 0.05 * (tracks(2).end - tracks(2).start)), loose=True)
    part = short.room(step)
    assert part[0] < 0.5 and part[1] == 1.0


def test_states_that_would_go_far_are_held_back_and_all_others_know() -> None:
    chains = Chains.of(tracks(1), loose=True, sliding=False)
    n, u = chains.size, chains.energy_columns[3]
    local = np.eye(n)
    local[u, u] = 1e-4
    gradient = np.zeros(n)
    gradient[u] = 1.0  # undamped, a step of 10,000
    at = Evaluated(
        chains, 0.0, np.zeros(1), np.zeros(1), np.zeros((1, 1)), gradient, np.eye(1), np.zeros((n, 1)),
        sparse.csc_array(local), 1, 0, np.ones((1, 2)),
    )  # fmt: skip
    assert at.eliminated().newton[u] == pytest.approx(-1e4)
    held = at.eliminated(np.zeros(1)).newton
    assert -1.01 * chains.farthest[u] < held[u] < -0.5 * chains.farthest[u]
    assert np.delete(held, u) == pytest.approx(0.0)


def test_costs_of_tracks_hold_all_of_the_cost_once_where_they_share_no_pixel() -> None:
    segments = tracks(3)
    part = parts_of(ForwardModel(segments, MODULE0, SETTINGS), data_of(segments, 1), Unknown(part_length_cm=1e3))[0]
    found = part.at(part.found, TRUTH, ("birks_ab",))
    assert found.of_tracks.sum() == pytest.approx(found.cost, rel=1e-12)
    alone = [
        parts_of(ForwardModel(s, MODULE0, SETTINGS), data_of(segments, 1), Unknown())[0]
        for s in (segments.take(segments.event_id == event) for event in range(3))
    ]
    assert found.of_tracks == pytest.approx([p.at(p.found, TRUTH, ("birks_ab",)).cost for p in alone], rel=1e-9)


def test_determinants_of_tracks_that_cross_are_together_that_of_the_whole() -> None:
    one = tracks(1)
    turned = np.array([-1.0, 1.0, 1.0])
    middle = one.centre[6]
    other = one.replace(
        traj_id=one.traj_id + 1, start=middle + (one.start - middle) * turned, end=middle + (one.end - middle) * turned
    )
    segments = Segments.concatenate([one, other])
    part = parts_of(ForwardModel(segments, MODULE0, SETTINGS), data_of(segments, 1), Unknown(part_length_cm=1e3))[0]
    found = part.at(part.found, TRUTH, ("birks_ab", "electric_field"))
    local, of = found.local.toarray(), found.state.track_of_columns
    whole = np.linalg.slogdet(local)[1]
    # What a track knows of itself, the other one given, is more than both know together.
    assert sum(np.linalg.slogdet(local[np.ix_(of == k, of == k)])[1] for k in (0, 1)) > whole + 0.01
    assert found.eliminated().log_dets.sum() == pytest.approx(whole, rel=1e-9)
    assert found.log_dets().sum() == pytest.approx(whole, rel=1e-9)


def test_tracks_are_cut_where_they_pass_from_pixel_to_pixel() -> None:
    segments = tracks(2)
    found = cut_at_pixels(segments, MODULE0, 0.1, 0.4)
    assert found.dE.sum() == pytest.approx(segments.dE.sum(), rel=1e-12)
    assert found.length.sum() == pytest.approx(segments.length.sum(), rel=1e-3)
    assert found.length.max() < 0.41 and found.length.min() > 0.09
    same = found.event_id[1:] == found.event_id[:-1]
    assert found.start[1:][same] == pytest.approx(found.end[:-1][same], abs=1e-12)
    # No segment lies on both sides of a border by more than the shortest.
    low = np.array([MODULE0.x_range[0], MODULE0.y_range[0]])
    place = [(p[:, :2] - low) / MODULE0.pixel_pitch for p in (found.start, found.end)]
    crossing = (np.floor(place[0] + 1e-9) != np.floor(place[1] - 1e-9)).any(axis=1)
    assert crossing.mean() < 0.4
    long = cut_at_pixels(segments, MODULE0, 0.1, 10.0)
    assert len(long) < len(found)


def placed_in_x(segments: Segments, event: int, place: Callable[[Floats], Floats]) -> Segments:
    """The track of an event with its x at `place` of how far along its own x each point was (0 to 1)."""
    mine = segments.event_id == event
    ends = [segments.start.copy(), segments.end.copy()]
    x = np.concatenate([points[mine, 0] for points in ends])
    for points in ends:
        points[mine, 0] = place((points[mine, 0] - x.min()) / (x.max() - x.min()))
    return segments.replace(start=ends[0], end=ends[1])


def test_tracks_that_hits_do_not_tell_the_place_of_are_left_out() -> None:
    (low, _, _), (high, _, _) = MODULE0.bounds
    pitch = MODULE0.pixel_pitch
    segments = tracks(5)
    # Most of the second runs within a pixel of a side, though it crosses rows; the third ends at a side.
    segments = placed_in_x(segments, 1, lambda u: low + np.where(u < 0.6, 0.5 * u, 0.3 + 6 * (u - 0.6)))
    segments = placed_in_x(segments, 2, lambda u: high - 3 * (1 - u))
    # The fourth stays within two rows of pixels; the fifth has been on both sides of one.
    segments = placed_in_x(segments, 3, lambda u: low + (20.1 + 1.8 * u) * pitch)
    segments = placed_in_x(segments, 4, lambda u: low + (20.6 + 2.1 * u) * pitch)
    second = segments.event_id == 1
    assert (MODULE0.side_distance(segments.centre[second]) < pitch).mean() > 0.5
    for fast, left in ((True, [0, 2, 4]), (False, [0, 2, 3, 4])):
        assert np.unique(located(segments, MODULE0, 1.0, fast=fast).event_id).tolist() == left
    model = ForwardModel(segments, MODULE0, SETTINGS)
    for loose, left in ((True, [0, 2, 4]), (False, [0, 1, 2, 3, 4])):
        parts = parts_of(model, data_of(segments, 1), Unknown(part_length_cm=1e3, geometry=loose, min_track_cm=1.0))
        assert np.unique(parts[0].found.segments.event_id).tolist() == left


def test_short_tracks_are_left_out_and_what_none_is_left_of_is_said() -> None:
    segments = Segments.concatenate([tracks(1), tracks(2, pieces=5).take(np.arange(5, 10))])
    assert located(segments, MODULE0, 10.0, fast=True).length.sum() == pytest.approx(12.0, rel=1e-3)
    beside = placed_in_x(tracks(1), 0, lambda u: MODULE0.bounds[0][0] + 0.1 * u)
    found = r"none of 1 tracks \(1 shorter than 20 cm \(unknown.min_track_cm\), 1 along a side of the detector"
    with pytest.raises(FitError, match=found):
        located(beside, MODULE0, 20.0, fast=True)


def test_what_knocked_on_electrons_leave_in_pixels_of_a_track() -> None:
    chains = Chains.of(tracks(2), loose=True, sliding=False)
    model = ForwardModel(chains.segments, MODULE0, SETTINGS)
    unknown = Unknown(stray_above_mev=0.273)
    found = structure_of(model, [chains], unknown, TRUTH, 1, 600.0)
    shares = np.array(found.stray.shares)
    assert shares.sum() == pytest.approx(1.0) and shares.min() >= 0
    # 0.4 electrons above 0.273 MeV per cm of muon (1 / W^2 spectrum): some 15 % of pixels get much of one.
    assert 0.1 < shares[:, 4:].sum() < 0.3 and 0.6 < shares[0, 0] < 0.9
    # Charge before the threshold and in the hold come from the same electrons.
    assert shares[4, 4:].sum() > 0.5 * shares[:, 4:].sum()
    # Birks' charge is concave in dE/dx: uneven losses leave less, by about k dE/dx / (1 + k dE/dx)^2 of the variance.
    assert -0.02 < found.left < -0.002
    # Electrons that nobody takes for others leave nothing beside their track.
    assert structure_of(model, [chains], Unknown(), TRUTH, 1) == Structure()


def test_short_pieces_are_joined_to_their_neighbours() -> None:
    segments = tracks(1, bend=0.0)
    middle = segments.start + 0.01 * (segments.end - segments.start)
    short = segments.replace(end=middle, dx=0.01 * segments.dx, dE=0.01 * segments.dE)
    rest = segments.replace(start=middle, dx=0.99 * segments.dx, dE=0.99 * segments.dE)
    order = np.argsort(np.tile(np.arange(12), 2), kind="stable")
    found = joined(Segments.concatenate([short, rest]).take(order), 0.05)
    assert found.length.min() > 0.9
    assert found.dE.sum() == pytest.approx(segments.dE.sum())
    assert found.start[0] == pytest.approx(segments.start[0])
    assert found.end[-1] == pytest.approx(segments.end[-1])


METHOD = STANDARD_METHODS["unknown_segments"].model_copy(
    update={
        "free": ("birks_ab", "electric_field", "transverse_diffusion"),
        "unknown": Unknown(part_length_cm=20, relative_width=WIDTH),
    }
)


def fitted(segments: Segments, data: Observables, method: Method, **more: object) -> FitResult:
    return fit_unknown(
        ForwardModel(segments, MODULE0, SETTINGS), data, method, "m", target=TRUTH, seed=1, extra={}, **more  # type: ignore[arg-type]
    )  # fmt: skip


def displaced(segments: Segments, width: float) -> Segments:
    chains = Chains.of(segments, loose=True, sliding=False)
    step = np.zeros(chains.size)
    columns = chains.vertex_columns()[0]
    step[columns] = width * np.random.default_rng(9).normal(size=len(columns))
    return chains.moved(step).segments


def test_a_fit_of_displaced_tracks_finds_the_truth_and_goes_on_where_it_was_broken_off() -> None:
    segments = tracks(3)
    kept: list[Progress] = []
    data, begun = data_of(segments, 1), displaced(segments, 0.02)
    found = fitted(begun, data, METHOD, on_iteration=kept.append, truth=segments)
    # It began 200 um off in the plane of pixels and along the drift: less than sqrt(2) times that across the tracks.
    assert 0.015 < distance_to_truth(begun, segments).rms < 0.028
    assert found.diagnostics["position_rms_um"] < 150 and found.diagnostics["position_missed_fraction"] == 0
    assert found.converged and found.uncertainty is not None and found.uncertainty.kind == MARGINAL
    by_name = {p.name: p for p in found.parameters if p.free}
    for name in ("electric_field", "transverse_diffusion"):
        p = by_name[name]
        assert p.uncertainty is not None
        assert abs(p.value - TRUTH[name]) < 4 * p.uncertainty
    # Not knowing the segments costs, and knowing less costs more.
    known, places = (np.diag(found.uncertainty.others[k]) for k in ("segments known", "geometry known"))
    assert (known < places).all() and (places < np.diag(found.uncertainty.covariance)).all()
    resumed = fitted(begun, data, METHOD, resume=kept[len(kept) // 2])
    assert [p.value for p in resumed.parameters] == [p.value for p in found.parameters]
    assert resumed.history["objective"].tolist() == found.history["objective"].tolist()


def test_where_tracks_are_found_tells_no_field() -> None:
    """All z in proportion to the drift velocity leave all hits where they are, so that tracks on one side of the
    cathode know the field by their lengths and losses alone: it is neither kept where the fit begins, nor known well.
    """
    segments = tracks(3)
    data, wrong = data_of(segments, 1), 0.47
    slower = drift_velocity(wrong, MODULE0.temperature) / drift_velocity(0.5, MODULE0.temperature)
    anode = MODULE0.tpcs[MODULE0.tpc_of(segments.start)[0]].z_anode
    stretched = [z * [1, 1, slower] + [0, 0, anode * (1 - slower)] for z in (segments.start, segments.end)]
    begun = segments.replace(start=stretched[0], end=stretched[1])
    found = fitted(begun, data, METHOD.model_copy(update={"initial": {"electric_field": wrong}}))
    field = next(p for p in found.parameters if p.name == "electric_field")
    assert found.converged and field.uncertainty is not None
    assert field.uncertainty > 0.01 and abs(field.value - 0.5) < 3 * field.uncertainty


def test_a_fit_with_known_places_goes_on_where_it_was_broken_off() -> None:
    """It begins at a field that it finds first, and so does the fit that goes on."""
    segments = tracks(2)
    data, kept = data_of(segments, 1), list[Progress]()
    unknown = METHOD.unknown.model_copy(update={"geometry": False})
    method = METHOD.model_copy(update={"unknown": unknown, "initial": {"electric_field": 0.49}})
    found = fitted(segments, data, method, on_iteration=kept.append)
    resumed = fitted(segments, data, method, resume=kept[len(kept) // 2])
    assert found.converged
    assert [(p.initial, p.value, p.uncertainty) for p in resumed.parameters] == [
        (p.initial, p.value, p.uncertainty) for p in found.parameters
    ]


def test_a_model_on_another_device_is_fitted_on_the_processor() -> None:
    segments = tracks(1)
    data, method = data_of(segments, 1), METHOD.model_copy(update={"free": ("birks_ab", "transverse_diffusion")})
    # A device that no number comes back from.
    elsewhere = ForwardModel(segments, MODULE0, replace(SETTINGS, device=torch.device("meta")))
    found = fit_unknown(elsewhere, data, method, "m", target=TRUTH, seed=1, extra={})
    assert [p.value for p in found.parameters] == [p.value for p in fitted(segments, data, method).parameters]


def test_the_energies_of_the_input_do_not_matter() -> None:
    segments = tracks(2)
    data = data_of(segments, 2)
    method = METHOD.model_copy(update={"unknown": replace_geometry(METHOD.unknown)})
    one = fitted(segments, data, method)
    rng = np.random.default_rng(4)
    scale = np.exp(0.5 * rng.normal(size=len(segments)))
    other = fitted(segments.replace(dE=segments.dE * scale, dEdx=segments.dEdx * scale), data, method)
    a, b = (np.array([p.value / p.uncertainty for p in r.parameters if p.free and p.uncertainty]) for r in (one, other))
    assert a == pytest.approx(b, abs=0.05)


def replace_geometry(unknown: Unknown) -> Unknown:
    return unknown.model_copy(update={"geometry": False})


def test_gradients_of_tracks_are_those_that_they_have_alone() -> None:
    segments = tracks(3)
    model, data = ForwardModel(segments, MODULE0, SETTINGS), data_of(segments, 1)
    free = [lookup(n, "test") for n in METHOD.free]
    x, steps = np.array([p.to_internal(TRUTH[p.name]) for p in free]), np.array([0.02, 0.01, 0.05])
    fixed = {k: v for k, v in TRUTH.items() if k not in METHOD.free}

    def gradients(length: float) -> Floats:
        parts = parts_of(model, data, METHOD.unknown.model_copy(update={"part_length_cm": length}))
        problem = Problem(parts, free, fixed)
        return np.concatenate([Held.of(problem, part, part.found, x).gradient(steps) for part in parts])

    together, alone = gradients(1e3), gradients(1.0)
    assert together.shape == (3, 3) and np.abs(together[0] - together[1]).max() > 1
    # Both end within 1e-3 per hit of their maxima.
    assert together == pytest.approx(alone, rel=1e-3, abs=0.02)


def test_where_losses_came_from_does_not_matter_for_states_that_begin_anew() -> None:
    """Else gradients of a fit, whose states have come a long way, and of simulated tracks would be of two functions."""
    segments = tracks(2)
    parts = parts_of(ForwardModel(segments, MODULE0, SETTINGS), data_of(segments, 1), METHOD.unknown)
    free = [lookup(n, "test") for n in METHOD.free]
    x, steps = np.array([p.to_internal(TRUTH[p.name]) for p in free]), np.array([0.02, 0.01, 0.05])
    problem = Problem(parts, free, {k: v for k, v in TRUTH.items() if k not in METHOD.free})
    rng = np.random.default_rng(8)
    shifted = []
    for part in parts:
        step = np.zeros(part.found.size)
        step[part.found.energy_columns] = 0.3 * rng.normal(size=len(part.found.energy_columns))
        shifted.append(part.found.moved(step))
    point, slopes = begun_anew(problem, Point(x, tuple(part.found for part in parts)), steps)
    other, same = begun_anew(problem, Point(x, tuple(shifted)), steps)
    for one, two in zip(point.states, other.states, strict=True):
        assert two.log_dedx == pytest.approx(one.log_dedx, abs=1e-4)
    assert np.concatenate(same) == pytest.approx(np.concatenate(slopes), rel=1e-3, abs=1e-3)
    # They have converged: where they are, and not where they began.
    assert all(
        np.abs(a.log_dedx - part.found.log_dedx).max() > 0.05 for a, part in zip(point.states, parts, strict=True)
    )


def test_hits_that_tell_nothing_of_the_parameters_are_refused() -> None:
    """No hit is explained, so that the curvature is that of beliefs alone."""
    chains = Chains.of(tracks(1), loose=True)
    n, free = chains.size, [lookup("birks_ab", "test"), lookup("electric_field", "test")]
    nothing = Evaluated(
        chains, 1.0, np.ones(1), np.zeros(2), np.zeros((1, 2)), np.zeros(n), np.zeros((2, 2)), np.zeros((n, 2)),
        sparse.csc_array(np.eye(n)), 0, 40, np.zeros((40, 2)),
    )  # fmt: skip
    part = SimpleNamespace(planned=lambda state, values: None, at=lambda *given, **more: nothing)
    start = Point(np.array([p.to_internal(p.nominal) for p in free]), (chains,))
    with pytest.raises(FitError, match="0 of 40 hits are explained"):
        maximise(Problem([part], free, nominal_values()), start)  # type: ignore[list-item]


def test_a_parameter_at_the_end_of_its_range_holds_up_no_other() -> None:
    """The hits ask for a negative diffusion: it goes to next to nothing, and the field to its best value there."""
    chains = Chains.of(tracks(1), loose=True)
    n, free = chains.size, [lookup("longitudinal_diffusion", "test"), lookup("electric_field", "test")]
    nominal = np.array([p.nominal for p in free])
    best, information = np.array([-0.5, 1.04]) * nominal, np.array([[400.0, 1200.0], [1200.0, 9e4]])
    information = information / np.outer(nominal, nominal)

    def at(state: Chains, values: dict[str, float], *given: object, **more: object) -> Evaluated:
        off = np.array([values[p.name] for p in free]) - best
        return Evaluated(
            state, float(0.5 * off @ information @ off), np.zeros(1), information @ off, np.zeros((1, 2)), np.zeros(n),
            information, np.zeros((n, 2)), sparse.csc_array(np.eye(n)), 100, 0, np.zeros((100, 2)),
        )  # fmt: skip

    part = SimpleNamespace(planned=lambda state, values: None, at=at)
    start = Point(np.array([p.to_internal(p.nominal) for p in free]), (chains,))
    end = maximise(Problem([part], free, nominal_values(), determinant=False), start)  # type: ignore[list-item]
    assert end.converged
    assert end.point.x[0] == pytest.approx(0.01, abs=0.002)
    beside = 1.04 - (end.point.x[0] + 0.5) * 1200 / 9e4
    assert end.point.x[1] == pytest.approx(beside, abs=1e-3)
