"""What is expected of the gradient of a fit, from tracks that are simulated along those that were found."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.calibrate.joint import expected, run
from pipeline.calibrate.joint import simulated as module
from pipeline.calibrate.joint.expected import Likeness, _scatter
from pipeline.calibrate.joint.parts import parts_of
from pipeline.calibrate.joint.problem import Expected, Problem
from pipeline.calibrate.joint.run import fit_unknown
from pipeline.calibrate.joint.simulated import Thrown, simulated
from pipeline.calibrate.joint.structure import Structure, structure_of
from pipeline.calibrate.joint.tracks import Chains
from pipeline.calibrate.progress import Progress
from pipeline.config.methods import STANDARD_METHODS
from pipeline.config.priors import Prior
from pipeline.config.unknown import Hypothesis, Unknown
from pipeline.errors import FitError
from pipeline.parameters import lookup
from pipeline.simulate.model import ForwardModel
from pipeline.tables import FitResult, Floats, Ints, Segments
from pipeline.workers import processes

from ...simulate.deposits import MODULE0
from .toys import SETTINGS, TRUTH, data_of, tracks

MUON = Unknown(production_cut_mev=0.273, stray_above_mev=0.273, min_track_cm=5.0, simulated=2.0)
FREE = ("birks_ab", "electric_field", "transverse_diffusion")


def test_particles_follow_the_tracks_that_were_found(monkeypatch: pytest.MonkeyPatch) -> None:
    segments = tracks(3)
    model = ForwardModel(segments, MODULE0, SETTINGS)
    found = [Chains.of(segments, loose=True, sliding=False)]
    like = simulated(model, found, MUON, 2.0, seed=(1, 99))
    assert np.unique(like.tracks.event_id).tolist() == list(range(6))
    # One particle per event, from where its track began, as a muon of 1 GeV hardly scatters.
    first = [np.flatnonzero(like.tracks.event_id == event)[0] for event in range(6)]
    begin = np.tile(segments.start[::12], (2, 1))
    assert like.tracks.start[first] == pytest.approx(begin, abs=0.01)
    assert like.segments.traj_id[like.own].max() == 0 and (like.segments.pdg_id[like.own] == 13).all()
    # Electrons above the cut are not the particle's own; 0.4 of them are struck per cm.
    electrons = np.unique(np.stack([like.segments.event_id, like.segments.traj_id], axis=1)[~like.own], axis=0)
    assert 0.2 < len(electrons) / like.tracks.length.sum() < 0.6
    # Segments hold what the particle lost, and are those of a fit.
    assert like.tracks.dE.sum() == pytest.approx(like.segments.dE[like.own].sum())
    assert like.tracks.length.max() < 0.51
    # Groups are of one copy each, and all that there is.
    monkeypatch.setattr(module, "_TOGETHER_CM", 20.0)
    thrown = Thrown.along(found, model, MUON, 2.0, (1, 99))
    assert thrown.different == 3 and [g.event_id.tolist() for g in thrown.groups] == [[0, 1], [2], [3, 4], [5]]
    assert np.unique(thrown.followed(2).tracks.event_id).tolist() == [3, 4]
    a, b = (simulated(model, found, MUON, 2.0, seed=(1, 99)).data(TRUTH) for _ in range(2))
    assert a.values.tolist() == b.values.tolist()
    # Errors of what is simulated are not shared by fits of other seeds.
    other = simulated(model, found, MUON, 2.0, seed=(2, 99))
    assert other.noise != like.noise and other.segments.dE.sum() != like.segments.dE.sum()
    # A file of whole numbers is simulated as one.
    whole = like.data(TRUTH, integer=True)
    assert whole.integer and (whole.values[:, 0] == np.rint(whole.values[:, 0])).all() and not a.integer
    # Tracks that were found to begin outside begin at the border.
    out = segments.replace(start=segments.start - [[40.0, 0.0, 0.0]], end=segments.end - [[40.0, 0.0, 0.0]])
    beyond = simulated(model, [Chains.of(out, loose=True, sliding=False)], MUON, 1.0, seed=(1, 99))
    assert beyond.tracks.start[:, 0].min() == pytest.approx(MODULE0.bounds[0][0], abs=0.01)
    with pytest.raises(FitError, match=r"can be fitted: all are too short"):
        simulated(model, found, MUON.model_copy(update={"min_track_cm": 500.0}), 1.0, seed=(1, 99))


def test_nothing_of_struck_nuclei_is_about_a_simulated_track() -> None:
    """A fit has tracks of what comes out of a nucleus, or has not seen it: it is no charge about the pion's own."""
    segments = tracks(6, pieces=30)
    unknown = MUON.model_copy(update={"hypotheses": (Hypothesis(species="pion", kinetic_mev=1000.0),)})
    found = [Chains.of(segments, loose=True, sliding=False)]
    like = simulated(ForwardModel(segments, MODULE0, SETTINGS), found, unknown, 10.0, seed=(1, 99))
    assert (np.abs(like.segments.pdg_id[like.own]) == 211).all()
    assert (np.abs(like.segments.pdg_id[~like.own]) == 11).all()
    # A pion is stopped by a nucleus every 80 cm or so: of tracks of 30 cm a third would end early.
    length = np.bincount(like.tracks.event_id, like.tracks.length, 60).reshape(10, 6)
    assert (length > 0.8 * np.median(length, axis=0)).mean() > 0.95


def test_particles_that_stop_begin_with_the_energy_of_their_range() -> None:
    segments = tracks(2)
    unknown = Unknown(hypotheses=(Hypothesis(species="proton"),))
    like = simulated(
        ForwardModel(segments, MODULE0, SETTINGS), [Chains.of(segments, loose=True)], unknown, 20.0, seed=(1, 99)
    )
    length = np.bincount(like.tracks.event_id, like.tracks.length)
    # Ranges of protons straggle by 1 to 2 %; none is stopped by a nucleus on the way.
    assert np.median(length) == pytest.approx(12.0, rel=0.03)
    assert (length < 11.0).mean() < 0.05


def test_scatter_is_that_of_equal_tracks_about_their_mean() -> None:
    rng = np.random.default_rng(7)
    cov = np.array([[4.0, 1.0], [1.0, 2.0]])
    mean = rng.normal(scale=30.0, size=(4000, 2))
    twice = np.tile(mean, (2, 1)) + rng.multivariate_normal(np.zeros(2), cov, size=8000)
    found, pairs = _scatter(twice, np.tile(np.arange(4000), 2))
    assert found / 8000 == pytest.approx(cov, rel=0.08)
    assert pairs == 4000
    # Tracks that are there once scatter about the mean of all.
    found, pairs = _scatter(twice[:4000] - mean, np.arange(4000))
    assert found / 4000 == pytest.approx(cov, rel=0.1)
    assert pairs == 3999


def test_the_covariance_is_that_of_scattering_gradients() -> None:
    information = np.array([[5.0, 1.0], [1.0, 3.0]])
    inverse, nothing = np.linalg.inv(information), np.zeros((2, 2))
    # Gradients that scatter as the information says: its inverse, from however few.
    for pairs in (1, 10_000):
        found = Expected(np.zeros(2), 1.5 * information, pairs).covariance(information, nothing)
        assert found == pytest.approx(1.5 * inverse)
    scatter = np.array([[9.0, 2.0], [2.0, 4.0]])
    found = Expected(np.zeros(2), scatter, 10**9).covariance(information, nothing)
    assert found == pytest.approx(inverse @ scatter @ inverse, rel=1e-6)


def test_external_measurements_scatter_as_they_say() -> None:
    """What data hardly tell is known as well as it was measured, however data scatter, and no better."""
    own, measured = np.array([[5.0, 0.1], [0.1, 0.01]]), np.diag([0.0, 100.0])
    for pairs in (1, 10_000):
        found = Expected(np.zeros(2), 1.5 * own, pairs).covariance(own + measured, measured)
        assert found[1, 1] == pytest.approx(0.01, rel=1e-3) and found[0, 0] == pytest.approx(0.3, rel=1e-3)
    # Mean of two measurements, one of which scatters twice as much as it says.
    found = Expected(np.zeros(1), np.array([[8.0]]), 5).covariance(np.array([[10.0]]), np.array([[6.0]]))
    assert found[0, 0] == pytest.approx((0.4**2) * 8 / 16 + 0.6**2 / 6)


def test_few_tracks_are_simulated_until_their_scatter_is_known() -> None:
    for count, asked, times in ((2, 2.0, 16), (7, 2.0, 6), (3, 20.0, 20)):
        thrown = likeness_of(tracks(count), MUON.model_copy(update={"simulated": asked})).thrown
        assert thrown.different == count
        assert sum(len(group.event_id) for group in thrown.groups) == times * count


def test_what_is_expected_is_for_the_length_of_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected, "_PAIRS", 0)
    segments = tracks(2)
    unknown = MUON.model_copy(update={"simulated": 1.0})
    model = ForwardModel(segments, MODULE0, SETTINGS)
    free = [lookup(n, "test") for n in FREE]
    x = np.array([p.to_internal(TRUTH[p.name]) for p in free])
    parts = parts_of(model, data_of(segments, 1), unknown)
    structure = structure_of(model, [p.found for p in parts], unknown, TRUTH, 1, 300.0)
    likeness = Likeness.of(model, parts, unknown, structure, TRUTH, 1)
    problem = Problem(parts, free, {k: v for k, v in TRUTH.items() if k not in FREE}, stray=structure.stray)
    steps = np.abs(x) * np.array([0.02, 0.001, 0.05])
    one = likeness.expected(problem, x, steps)
    half = Likeness(likeness.thrown, likeness.length / 2, structure, TRUTH, unknown).expected(problem, x, steps)
    assert half.gradient == pytest.approx(one.gradient / 2, rel=1e-9)
    # Half the data scatter by half as much in variance, and know what is expected better.
    ratio = likeness.length / sum(
        g.tracks.length.sum() for g in map(likeness.thrown.followed, range(len(likeness.thrown.groups)))
    )
    assert half.scatter == pytest.approx(0.5 * one.scatter * (1 + ratio / 2) / (1 + ratio), rel=0.02)


def test_a_rough_answer_is_of_every_track_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOGETHER_CM", 40.0)
    segments, asked = tracks(3), MUON.model_copy(update={"simulated": 12.0})
    likeness = likeness_of(segments, asked)
    events: list[list[int]] = []

    def of_parts(self: Problem, work: object, groups: Sequence[int]) -> list[tuple[Floats, Ints, float]]:
        events.append([int(e) for k in groups for e in likeness.thrown.groups[k].event_id])
        return [(np.ones((len(e), 3)), e, 1.0) for e in (likeness.thrown.groups[k].event_id for k in groups)]

    monkeypatch.setattr(Problem, "of_parts", of_parts)
    for rough in (True, False):
        likeness.expected(Problem([], [], {}), np.ones(3), np.ones(3), rough)
    assert events == [[0, 1, 2], list(range(36))]
    # Other groups are as long, whichever tracks begin alike in them.
    assert [len(g.event_id) for g in likeness.thrown.groups[:3]] == [3, 4, 3]


def test_simulated_tracks_that_cannot_be_fitted_are_not_there_and_if_none_can_it_is_said() -> None:
    along = np.array([1.0, 0.0, 1.0])
    row = tracks(1).replace(start=tracks(1).start * along, end=tracks(1).end * along)
    for segments, unknown in ((row, MUON), (tracks(1), MUON.model_copy(update={"min_track_cm": 500.0}))):
        likeness = likeness_of(segments, unknown)
        problem = Problem([], [lookup(n, "test") for n in FREE], {k: v for k, v in TRUTH.items() if k not in FREE})
        x = np.array([p.to_internal(TRUTH[p.name]) for p in problem.free])
        gradients, events, length = likeness.gradients(problem, x, 0.1 * x, 0)
        assert gradients.shape == (0, 3) and events.shape == (0,) and length == 0
        with pytest.raises(FitError, match=r"can be fitted: all are too short .* row of pixels"):
            likeness.expected(problem, x, 0.1 * x, rough=True)


def likeness_of(segments: Segments, unknown: Unknown) -> Likeness:
    model, chains = ForwardModel(segments, MODULE0, SETTINGS), Chains.of(segments, loose=True, sliding=False)
    part = SimpleNamespace(found=chains, data=SimpleNamespace(integer=False))
    return Likeness.of(model, [part], unknown, Structure(), TRUTH, 1)  # type: ignore[list-item]


def test_what_other_processes_get_is_small() -> None:
    """Of a model, no tables: they have their own."""
    assert len(pickle.dumps(likeness_of(tracks(3), MUON))) < 100_000


@pytest.mark.parametrize("free", [FREE, ("birks_ab", "birks_kb", "transverse_diffusion")])
def test_a_fit_that_is_broken_off_simulates_the_same_again(
    free: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on to the same end in processes of its own, of which it had none before."""
    monkeypatch.setattr(expected, "_PAIRS", 0)
    monkeypatch.setattr(run, "structure_of", partial(structure_of, length=300.0))
    monkeypatch.setattr(module, "_TOGETHER_CM", 5.0)
    segments = tracks(2, pieces=8)
    data = data_of(segments, 1)
    unknown = MUON.model_copy(update={"part_length_cm": 5.0})
    known = {"birks_kb": Prior(value=TRUTH["birks_kb"], uncertainty=0.1 * TRUTH["birks_kb"])}
    method = STANDARD_METHODS["unknown_segments"].model_copy(
        update={
            "free": free,
            "unknown": unknown,
            "priors": {n: p for n, p in known.items() if n in free},
            "initial": {n: 0.8 * p.value for n, p in known.items() if n in free},
        }
    )
    kept: list[Progress] = []

    def fitted(threads: int, **more: object) -> FitResult:
        model = ForwardModel(segments, MODULE0, replace(SETTINGS, threads=threads))
        return fit_unknown(model, data, method, "m", target=TRUTH, seed=1, extra={}, **more)  # type: ignore[arg-type]

    found = fitted(1, on_iteration=kept.append)
    assert found.converged and found.uncertainty is not None
    # Simulated tracks make it wider: they are as many again as there are data, twice.
    certain = np.diag(found.uncertainty.others["segments known"])
    assert (np.diag(found.uncertainty.covariance) > certain).all()
    by_name = {p.name: p for p in found.parameters}
    if "birks_kb" in free:  # the measurement of it tells more than 16 cm
        assert by_name["birks_kb"].uncertainty == pytest.approx(0.1 * TRUTH["birks_kb"], rel=0.2)
        assert by_name["birks_kb"].value == pytest.approx(TRUTH["birks_kb"], rel=0.1)
        assert by_name["birks_kb"].initial == pytest.approx(0.8 * TRUTH["birks_kb"])
    # After the first simulation, before the second.
    begun = []

    def counted(number: int) -> AbstractContextManager[ProcessPoolExecutor]:
        begun.append(number)
        return processes(number)

    monkeypatch.setattr(run, "_MANY_HITS", 0)
    monkeypatch.setattr(run, "processes", counted)
    resumed = fitted(2, resume=next(p for p in kept if p.state.memory is not None and p.state.memory[1] == 1))
    assert begun == [2] and resumed.diagnostics["parts"] == 2
    assert [p.value for p in resumed.parameters] == [p.value for p in found.parameters]
    assert resumed.history["objective"].tolist() == found.history["objective"].tolist()
