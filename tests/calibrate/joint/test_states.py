"""States of tracks: what moves them, what is believed of them, and how they are eliminated."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sparse

from pipeline.calibrate.joint.beliefs import Beliefs, Gaussian, Stopping
from pipeline.calibrate.joint.part import Evaluated
from pipeline.calibrate.joint.parts import beliefs_of, most_probable, parts_of, scattering_angle
from pipeline.calibrate.joint.tracks import Chains
from pipeline.config.unknown import Hypothesis, Unknown
from pipeline.matter.energy_prior import EnergyPrior
from pipeline.simulate.linked import MOVES
from pipeline.simulate.model import ForwardModel
from pipeline.tables import Segments

from ...simulate.deposits import MODULE0
from .toys import MEAN, SETTINGS, TRUTH, WIDTH, check_moves, data_of, tracks


def test_moves_are_the_derivatives_of_places_and_charges() -> None:
    chains = Chains.of(tracks(2), loose=True)
    # Two shifts of inner vertices, three of ends, and u.
    assert chains.size == 2 * (2 * 11 + 2 * 3 + 12)
    steepness = np.full(len(chains.track), 0.8)
    moves = chains.moves(steepness)
    rng = np.random.default_rng(1)
    step = 1e-6 * rng.normal(size=chains.size)
    after, before = chains.moved(step).segments, chains.segments
    check_moves((moves @ step).reshape(-1, len(MOVES)), before, after, 0.8)
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
