"""Steps joined to deposits by edep-sim's rule: lengths, bows, planes, and electrons that go nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pipeline.produce.flight import Flock
from pipeline.produce.joining import RAW, Joining, join_steps
from pipeline.produce.transport import Steps
from pipeline.tables import Floats, Ints, Segments
from tests.produce.followed import BOX, PROCESS, follow, shower

EDEP_SIM = Joining(0.3, 0.1, 0.1)


@dataclass
class Track:
    """Corners `(n + 1, 3)` [cm] of a track; energies `(n,)` [MeV]; the track that struck it and after which of its
    steps."""

    corners: Floats
    energy: Floats
    parent: int = -1
    after: int = -1
    volume: Ints | None = None


def _join(tracks: list[Track], joining: Joining) -> Segments:
    """Deposits of tracks in one event, the first a muon, others electrons; steps noted track after track."""
    first = np.cumsum([0] + [len(t.energy) for t in tracks])
    number = np.arange(len(tracks))
    lengths = [np.linalg.norm(np.diff(t.corners, axis=0), axis=1) for t in tracks]
    times = [np.concatenate([[0.0], np.cumsum(x)]) for x in lengths]
    steps = Steps(
        np.repeat(number, np.diff(first)),
        np.concatenate([t.corners[:-1] for t in tracks]),
        np.concatenate([t.corners[1:] for t in tracks]),
        np.concatenate([t[:-1] for t in times]),
        np.concatenate([t[1:] for t in times]),
        np.concatenate([np.asarray(t.energy, dtype=float) for t in tracks]),
        np.concatenate([np.zeros(len(t.energy), dtype=int) if t.volume is None else t.volume for t in tracks]),
        np.concatenate(lengths),
    )
    n = len(tracks)
    born = Flock(
        number,
        np.zeros(n, dtype=int),
        np.zeros(n, dtype=int),
        np.array([13] + [11] * (n - 1)),
        np.stack([t.corners[0] for t in tracks]),
        np.tile([0.0, 0, 1], (n, 1)),
        np.ones(n),
        np.zeros(n),
    )
    parent = np.array([t.parent for t in tracks])
    birth = np.array([first[t.parent] + t.after if t.parent >= 0 else -1 for t in tracks])
    return join_steps(steps, born, number, parent, birth, joining)


def straight(steps: int, length: float, start: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Floats:
    return np.asarray(start) + np.outer(np.arange(steps + 1) * length, [0.0, 0.0, 1.0])


def test_a_straight_track_is_cut_where_the_next_step_would_be_too_far() -> None:
    """Nine steps of 0.09 cm: three each, 0.27 cm, as a fourth would make 0.36 cm."""
    found = _join([Track(straight(9, 0.09), np.arange(1.0, 10))], EDEP_SIM)
    np.testing.assert_allclose(found.dx, 0.27)
    np.testing.assert_allclose(found.dE, [6, 15, 24])
    np.testing.assert_allclose(found.start[:, 2], [0, 0.27, 0.54])
    np.testing.assert_allclose(found.end[:, 2], [0.27, 0.54, 0.81])
    np.testing.assert_allclose(found.t0_start, [0, 0.27, 0.54])
    np.testing.assert_allclose(found.t0_end, [0.27, 0.54, 0.81])


def test_a_step_longer_than_the_limit_stays_alone() -> None:
    corners = np.array([[0, 0, 0], [0, 0, 0.1], [0, 0, 0.9], [0, 0, 1.0]], dtype=float)
    found = _join([Track(corners, np.ones(3))], EDEP_SIM)
    np.testing.assert_allclose(found.dx, [0.1, 0.8, 0.1])


def test_a_bend_is_kept() -> None:
    """A path of 0.5 cm between ends 0.25 cm apart may bow by `sqrt(0.5^2 - 0.25^2) / 2` = 0.2 cm; a slight bend by
    less than 0.1 cm is joined."""
    there_and_back = np.array([[0, 0, 0], [0, 0, 0.25], [0.25, 0, 0.25]])
    assert len(_join([Track(there_and_back, np.ones(2))], EDEP_SIM).dE) == 2
    slight = np.array([[0, 0, 0], [0, 0, 0.14], [0.05, 0, 0.27]])
    assert len(_join([Track(slight, np.ones(2))], EDEP_SIM).dE) == 1
    assert len(_join([Track(slight, np.ones(2))], Joining(0.3, 0.01, 0.1)).dE) == 2


def test_no_deposit_spans_a_plane_or_a_gap() -> None:
    crossing = Track(straight(4, 0.05), np.ones(4), volume=np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(_join([crossing], EDEP_SIM).dE, [2, 2])
    # A step that lost nothing leaves a gap.
    gap = Track(straight(4, 0.05), np.array([1.0, 1.0, 0.0, 1.0]))
    np.testing.assert_allclose(_join([gap], EDEP_SIM).dE, [2, 1])


def test_raw_steps_are_deposits_as_they_are() -> None:
    corners = straight(6, 0.01)
    found = _join([Track(corners, np.ones(6)), Track(straight(2, 0.01, (0, 0, 0.03)), np.ones(2), 0, 2)], RAW)
    assert len(found.dE) == 8
    np.testing.assert_array_equal(found.traj_id, [0] * 6 + [1] * 2)


def test_an_electron_that_stays_near_belongs_to_the_deposit_where_it_began() -> None:
    """Its energy is that of the step at whose end it was struck, not of a later one."""
    muon = Track(straight(4, 0.2), np.array([1.0, 1.0, 1.0, 1.0]))
    electron = Track(straight(2, 0.04, (0, 0, 0.4)), np.array([0.2, 0.1]), 0, 1)
    found = _join([muon, electron], EDEP_SIM)
    np.testing.assert_array_equal(found.traj_id, 0)
    np.testing.assert_allclose(found.dE, [1, 1.3, 1, 1])


def test_an_electron_that_goes_further_is_a_particle() -> None:
    """Further than 0.1 cm from where it began, at any moment: also if it comes back."""
    muon = Track(straight(4, 0.2), np.ones(4))
    there = np.array([[0, 0, 0.4], [0.11, 0, 0.4], [0.01, 0, 0.4]])
    found = _join([muon, Track(there, np.array([0.2, 0.1]), 0, 1)], EDEP_SIM)
    assert set(found.traj_id) == {0, 1}
    assert found.dE[found.traj_id == 1].sum() == pytest.approx(0.3)
    near = Track(np.array([[0, 0, 0.4], [0.09, 0, 0.4]]), np.array([0.2]), 0, 1)
    assert set(_join([muon, near], EDEP_SIM).traj_id) == {0}


def test_electrons_of_electrons_are_passed_on() -> None:
    """A chain of three that stay near ends in the muon's deposit; one far one keeps those that made it."""
    muon = Track(straight(2, 0.25), np.ones(2))
    one = Track(straight(1, 0.02, (0, 0, 0.25)), np.array([0.3]), 0, 0)
    two = Track(straight(1, 0.02, (0, 0, 0.27)), np.array([0.2]), 1, 0)
    found = _join([muon, one, two], EDEP_SIM)
    np.testing.assert_allclose(found.dE, [1.5, 1.0])
    far = Track(straight(1, 0.5, (0, 0, 0.27)), np.array([0.2]), 1, 0)
    found = _join([muon, one, far], EDEP_SIM)
    np.testing.assert_array_equal(found.traj_id, [0, 0, 1, 2])
    assert found.dE.sum() == pytest.approx(2.5)


def test_a_step_without_loss_keeps_what_it_took_in() -> None:
    """A thin step may lose nothing; the electron struck at its end is not lost with it."""
    muon = Track(straight(3, 0.2), np.array([1.0, 0.0, 1.0]))
    electron = Track(straight(1, 0.04, (0, 0, 0.4)), np.array([0.3]), 0, 1)
    found = _join([muon, electron], EDEP_SIM)
    assert found.dE.sum() == pytest.approx(2.3)
    np.testing.assert_allclose(found.dE, [1, 0.3, 1])


def test_nothing_to_join() -> None:
    found = _join([Track(straight(3, 0.2), np.zeros(3))], EDEP_SIM)
    assert len(found.dE) == 0 and found.start.shape == (0, 3)


def test_a_deposit_without_length_gets_one() -> None:
    found = _join([Track(np.zeros((2, 3)), np.array([1e-6]))], EDEP_SIM)
    assert 0 < found.dx[0] < 1e-5
    assert np.isfinite(found.dEdx[0])


@pytest.mark.parametrize(("code", "energy"), [(13, 500.0), (11, 60.0), (2212, 250.0)])
def test_deposits_of_a_sample_obey_the_numbers(code: int, energy: float) -> None:
    """With steps of 0.1 cm, none is longer than 0.3 cm, and no electron deposit is of one that stayed near, unless it
    struck one that went further; energy by event is that of raw steps."""
    primaries = shower(code, energy, 20, 5)
    raw, made = (follow(primaries, BOX, joining, 6, step=0.1) for joining in (RAW, EDEP_SIM))
    s, t = made.segments, made.trajectories
    assert s.dx.max() <= 0.3 + 1e-9
    assert len(s.dE) < 0.8 * len(raw.segments.dE)
    by_event = [np.bincount(x.event_id, x.dE, minlength=20) for x in (raw.segments, s)]
    np.testing.assert_allclose(by_event[0], by_event[1], rtol=1e-10)
    # The same particles, whatever is joined.
    np.testing.assert_array_equal(raw.trajectories.traj_id, t.traj_id)
    np.testing.assert_array_equal(raw.trajectories.deposited, t.deposited)
    row = {key: k for k, key in enumerate(zip(t.event_id, t.traj_id))}
    with_deposits = set(zip(s.event_id, s.traj_id))
    parents = {(e, p) for e, p, i in zip(t.event_id, t.parent_id, t.traj_id) if (e, i) in with_deposits}
    furthest: dict[tuple[int, int], float] = {}
    r = raw.segments
    for e, i, point in zip(r.event_id, r.traj_id, r.end):
        away = float(np.linalg.norm(point - t.start[row[(e, i)]]))
        furthest[(e, i)] = max(furthest.get((e, i), 0.0), away)
    struck = {key for key in with_deposits if t.start_process[row[key]] == PROCESS["knock-on"]}
    assert all(furthest[key] > 0.1 - 1e-9 or key in parents for key in struck)
    assert len(struck) > 0


def test_joining_hardly_moves_the_charge() -> None:
    """The middle of each event's energy moves by less than a millimetre."""
    primaries = shower(13, 500.0, 20, 5)
    raw, made = (follow(primaries, BOX, joining, 6).segments for joining in (RAW, EDEP_SIM))
    for axis in range(3):
        middle = [
            np.bincount(s.event_id, s.dE * 0.5 * (s.start + s.end)[:, axis]) / np.bincount(s.event_id, s.dE)
            for s in (raw, made)
        ]
        assert np.abs(middle[0] - middle[1]).max() < 0.1
