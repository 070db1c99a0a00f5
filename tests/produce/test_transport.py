"""Transport of particles: conservation, geometry, causality, and primaries at the limits."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from pipeline.produce.joining import Joining
from pipeline.produce.transport import Transported
from pipeline.tables import Floats
from tests.produce.followed import BOX, PROCESS, beam, follow, shower

LIGHT = 29979.2458  # cm/us
M_E, M_MU, M_PI, M_K, M_P = 0.51099895, 105.6583755, 139.57039, 493.677, 938.27209

#: PDG code, kinetic energy [MeV], number of primaries.
KINDS = [
    (13, 800.0, 60),
    (-13, 60.0, 60),
    (211, 300.0, 60),
    (-211, 120.0, 60),
    (321, 80.0, 60),
    (-321, 200.0, 60),
    (2212, 350.0, 60),
    (11, 150.0, 12),
    (-11, 5.0, 60),
    (22, 80.0, 20),
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}")
def raw(request: pytest.FixtureRequest) -> Transported:
    code, energy, n = request.param
    return follow(shower(code, energy, n, 3), BOX)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]}")
def joined(request: pytest.FixtureRequest) -> Transported:
    code, energy, n = request.param
    return follow(shower(code, energy, n, 3), BOX, Joining())


def _by_event(values: Floats, events: Floats) -> Floats:
    return np.bincount(events.astype(int), values, minlength=int(events.max()) + 1)


def _check_balance(made: Transported) -> None:
    t, s = made.trajectories, made.segments
    primary = t.parent_id < 0
    supplied = _by_event(np.where(primary, t.supply, 0.0), t.event_id)
    ended = _by_event(t.deposited + t.escaped + t.untracked, t.event_id)
    np.testing.assert_allclose(ended, supplied, rtol=1e-9)
    in_segments = np.bincount(s.event_id, s.dE, minlength=len(supplied))
    np.testing.assert_allclose(in_segments, _by_event(t.deposited, t.event_id), rtol=1e-9, atol=1e-12)
    for part in (t.deposited, t.escaped, t.untracked):
        assert part.min() > -1e-9


def test_energy_is_conserved_in_every_event(raw: Transported) -> None:
    _check_balance(raw)


def test_energy_is_conserved_when_deposits_are_joined(joined: Transported) -> None:
    _check_balance(joined)


def test_supply_is_what_decay_and_annihilation_can_set_free() -> None:
    """Kinetic energy, the mass of what decays, two electron masses with a positron; nothing with a proton."""
    masses = {13: M_MU, -13: M_MU, 211: M_PI, -321: M_K, 2212: 0.0, 11: 0.0, -11: 2 * M_E, 22: 0.0}
    made = follow(beam(list(masses), 1.0, len(masses)), seed=1).trajectories
    primary = made.parent_id < 0
    np.testing.assert_allclose(made.supply[primary], 1.0 + np.array(list(masses.values())), rtol=1e-6)


def test_particles_are_numbered_and_have_parents(raw: Transported) -> None:
    """From 0 in each event, primaries first, parents before children, every deposit by a particle of its kind."""
    t, s = raw.trajectories, raw.segments
    for event in np.unique(t.event_id):
        mine = t.event_id == event
        np.testing.assert_array_equal(t.traj_id[mine], np.arange(mine.sum()))
        assert (t.parent_id[mine] < t.traj_id[mine]).all() and t.parent_id[mine].min() == -1
        assert (t.parent_id[mine] == -1).sum() == 1
    key = {(e, i): code for e, i, code in zip(t.event_id, t.traj_id, t.pdg_id)}
    assert all(key[(e, i)] == code for e, i, code in zip(s.event_id, s.traj_id, s.pdg_id))
    np.testing.assert_array_equal(s.segment_id, np.arange(len(s.segment_id)))
    order = np.lexsort((s.t0_start, s.traj_id, s.event_id))
    np.testing.assert_array_equal(order, np.arange(len(order)))


def test_every_particle_begins_where_its_parent_was(raw: Transported) -> None:
    """Charged parents: on a step of theirs, to rounding; photons: not before they began, nor after they ended."""
    t, s = raw.trajectories, raw.segments
    born = np.flatnonzero(t.parent_id >= 0)
    row = {(e, i): k for k, (e, i) in enumerate(zip(t.event_id, t.traj_id))}
    parent = np.array([row[(t.event_id[k], t.parent_id[k])] for k in born])
    assert (t.t_start[born] >= t.t_start[parent] - 1e-12).all()
    assert (t.t_start[born] <= t.t_end[parent] + 1e-12).all()
    steps: dict[tuple[int, int], list[int]] = {}
    for k, who in enumerate(zip(s.event_id, s.traj_id)):
        steps.setdefault(who, []).append(k)
    for k, p in zip(born[:400], parent[:400]):
        if t.pdg_id[p] == 22:
            continue
        mine = steps.get((t.event_id[p], t.traj_id[p]), [])
        places = np.concatenate([t.start[p][None], t.end[p][None], s.end[mine]])
        assert np.linalg.norm(places - t.start[k], axis=1).min() < 2e-6


def test_every_particle_ends_as_its_kind_does(raw: Transported) -> None:
    t = raw.trajectories
    allowed = {
        11: {"stopped", "left the volume"},
        -11: {"annihilation", "left the volume"},
        22: {"photoelectric effect", "pair production", "left the volume"},
        13: {"decay", "capture at rest", "left the volume"},
        -13: {"decay", "left the volume"},
        211: {"decay", "nuclear interaction", "left the volume"},
        -211: {"decay", "nuclear interaction", "capture at rest", "left the volume"},
        321: {"decay", "left the volume"},
        -321: {"decay", "capture at rest", "left the volume"},
        2212: {"stopped", "nuclear interaction", "left the volume"},
    }
    for code in np.unique(t.pdg_id):
        ends = {t.PROCESSES[k] for k in np.unique(t.end_process[t.pdg_id == code])}
        assert ends <= allowed[int(code)]
    left = t.end_process == PROCESS["left the volume"]
    assert (t.escaped[~left] == 0).all() and (t.kinetic_end[~left] == 0).all()
    assert (t.untracked[left & (t.pdg_id != 2212) & (np.abs(t.pdg_id) != 211)] == 0).all()
    faces = np.minimum(np.abs(t.end[left] - BOX.low), np.abs(t.end[left] - BOX.high)).min(axis=1)
    np.testing.assert_allclose(faces, 0, atol=1e-6)
    assert (t.kinetic_end <= t.kinetic_start + 1e-12).all()


@pytest.mark.parametrize("joining", [Joining(0.0, 0.0, 0.0), Joining()])
def test_nothing_is_outside_or_crosses_a_plane(joining: Joining) -> None:
    for code in (13, 11, 211):
        s = follow(shower(code, 200.0, 40, 8), BOX, joining).segments
        for point in (s.start, s.end):
            assert (point >= BOX.low - 2e-6).all() and (point <= BOX.high + 2e-6).all()
        for plane in BOX.planes:
            before, after = s.start[:, 2] - plane, s.end[:, 2] - plane
            assert (before * after >= -1e-12).all()


def test_lengths_times_and_losses_belong_together(raw: Transported) -> None:
    s = raw.segments
    np.testing.assert_allclose(s.dx, np.linalg.norm(s.end - s.start, axis=1), rtol=1e-9)
    np.testing.assert_allclose(s.dEdx, s.dE / s.dx, rtol=1e-9)
    assert (s.dE > 0).all() and (s.dx > 0).all()
    np.testing.assert_allclose(s.t0, 0.5 * (s.t0_start + s.t0_end), rtol=1e-12)
    for f in fields(s):
        assert np.isfinite(getattr(s, f.name)).all()


def test_nothing_is_faster_than_light(raw: Transported) -> None:
    """A chord is no longer than light goes meanwhile; and time goes on along a track. Deposits that were given an
    extent of 10 nm are left out."""
    s = raw.segments
    real = s.dx > 1.1e-6
    assert (s.dx[real] <= LIGHT * (s.t0_end - s.t0_start)[real] * (1 + 1e-6) + 1e-9).all()
    same = (np.diff(s.event_id) == 0) & (np.diff(s.traj_id) == 0)
    assert (s.t0_start[1:][same] >= s.t0_end[:-1][same] - 1e-12).all()
    t = raw.trajectories
    assert (t.t_end >= t.t_start).all()
    charged = t.pdg_id != 22
    assert (np.linalg.norm(t.end - t.start, axis=1) <= t.path + 1e-6)[charged].all()


def test_steps_of_a_track_touch(raw: Transported) -> None:
    s = raw.segments
    same = (np.diff(s.event_id) == 0) & (np.diff(s.traj_id) == 0)
    gap = np.linalg.norm(s.start[1:] - s.end[:-1], axis=1)[same]
    # Those that were given an extent of 10 nm aside.
    assert gap.max(initial=0.0) < 2e-6


@pytest.mark.parametrize("step", [0.05, 0.5])
def test_no_step_is_longer_than_the_longest(step: float) -> None:
    for code in (13, 11, 2212):
        s = follow(beam(code, 60.0, 10), step=step).segments
        assert s.dx.max() <= step * (1 + 1e-9)


def test_equal_draws_give_equal_bytes() -> None:
    for code in (-13, 321, 22):
        one, two = (follow(shower(code, 120.0, 10, 2), BOX, Joining(), seed=9) for _ in range(2))
        for a, b in ((one.segments, two.segments), (one.trajectories, two.trajectories)):
            for f in fields(a):
                assert getattr(a, f.name).tobytes() == getattr(b, f.name).tobytes()
    other = follow(shower(22, 120.0, 10, 2), BOX, Joining(), seed=10)
    assert len(other.segments.dE) != len(two.segments.dE) or (other.segments.dE != two.segments.dE).any()


# Special primaries


def test_no_primaries() -> None:
    made = follow(beam(13, 100.0, 0), BOX, Joining())
    assert len(made.trajectories) == 0 and len(made.segments.dE) == 0
    assert made.segments.start.shape == (0, 3)


@pytest.mark.parametrize("code", [2112, 111, 12, -2212, 130])
def test_what_cannot_be_followed_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"PDG code {code} cannot be followed"):
        follow(beam([13, code], 100.0, 2))


@pytest.mark.parametrize("code", [13, -13, 211, -211, 321, -321, 2212, 11, -11, 22])
@pytest.mark.parametrize("energy", [1e-6, 1e-3, 0.1])
def test_primaries_of_little_energy(code: int, energy: float) -> None:
    """They stop within their range, 0.1 mm at most, and all energy is accounted for."""
    made = follow(beam(code, energy, 5), seed=3)
    _check_balance(made)
    primary = made.trajectories.parent_id < 0
    if code != 22:
        assert made.trajectories.path[primary].max() < 0.02


@pytest.mark.parametrize("code", [13, -211, 2212, 11, -11, 22])
def test_primaries_on_the_surface_that_look_outwards_leave(code: int) -> None:
    """At once, with all they have, and without a deposit; on faces, edges and corners."""
    faces = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [1, 1, 0], [1, -1, 1]])
    position = np.where(faces > 0, BOX.high, np.where(faces < 0, BOX.low, 0.5 * (BOX.low + BOX.high)))
    direction = faces / np.linalg.norm(faces, axis=1)[:, None]
    made = follow(beam(code, 100.0, len(faces), position, direction), BOX)
    assert len(made.segments.dE) == 0
    t = made.trajectories
    assert len(t) == len(faces) and (t.end_process == PROCESS["left the volume"]).all()
    np.testing.assert_array_equal(t.escaped, t.supply)
    np.testing.assert_array_equal(t.end, position)


def test_primaries_on_the_surface_that_look_inwards_enter() -> None:
    made = follow(beam(13, 1000.0, 20, (0.0, 0.0, float(BOX.low[2])), (0.0, 0.0, 1.0)), BOX)
    assert made.trajectories.path[made.trajectories.parent_id < 0].min() > 55
    _check_balance(made)


@pytest.mark.parametrize("direction", [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)])
def test_primaries_along_the_axes_and_on_planes(direction: tuple[float, float, float]) -> None:
    """Exactly along an axis, from a plane: through, or in the plane."""
    for start in (0.0, float(BOX.planes[0]), float(BOX.planes[1])):
        made = follow(beam(13, 300.0, 10, (0.0, 0.0, start), direction), BOX)
        _check_balance(made)
        first = made.segments.start[np.unique(made.segments.event_id, return_index=True)[1]]
        np.testing.assert_allclose(first, np.tile([0.0, 0.0, start], (10, 1)), atol=1e-9)
        primary = made.trajectories.parent_id < 0
        path = made.trajectories.path[primary]
        # 30.4 cm along z, 40.2 along y, 31.0 along x, and a little more for those that scatter.
        assert (path > 29).all() and (path < 60).all()
