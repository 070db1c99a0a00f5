"""Adam: the published rule, its schedule, its limits, and when a walk is called settled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pipeline.calibrate.adam import minimise, settlement
from pipeline.calibrate.levenberg_marquardt import Outcome
from pipeline.calibrate.objective import Evaluation
from pipeline.calibrate.progress import State
from pipeline.config.methods import Adam
from pipeline.errors import ModelRangeError
from pipeline.tables import Floats

NOWHERE_NEAR = (np.full(2, -1e9), np.full(2, 1e9))
HESSIANS = np.array([[[30.0, 5.0], [5.0, 2.0]], [[10.0, -3.0], [-3.0, 4.0]], [[20.0, 0.0], [0.0, 0.5]]])
CENTRES = np.array([[1.2, 0.7], [1.0, 0.9], [1.3, 0.8]])


def bowls(x: Floats, batch: int | None) -> Evaluation:
    """Three quadratic bowls, one per batch; their sum for None."""
    chosen = range(3) if batch is None else [batch]
    parts = [(HESSIANS[b] @ (x - CENTRES[b]), 0.5 * (x - CENTRES[b]) @ HESSIANS[b] @ (x - CENTRES[b])) for b in chosen]
    return Evaluation(sum(p[1] for p in parts), sum(p[0] for p in parts), None, {"matched": 1})


def walk(
    settings: Adam,
    iterations: int,
    evaluate: Callable[[Floats, int | None], Evaluation] = bowls,
    *,
    batches: int = 3,
    room: tuple[Floats, Floats] = NOWHERE_NEAR,
    resume: State | None = None,
    before: list[Floats] | None = None,
) -> tuple[list[State], Outcome]:
    """All recorded states, and the outcome; `before` are the points recorded before a `resume`."""
    states: list[State] = []
    path = list(before or [])

    def record(state: State, e: Evaluation) -> None:
        states.append(state)
        path.append(state.x)

    outcome = minimise(
        evaluate, batches, lambda x: room, np.ones(2), lambda: np.array(path), settings,
        iterations=iterations, record=record, resume=resume,
    )  # fmt: skip
    return states, outcome


def test_steps_are_those_of_the_rule_in_torch():
    """Independent: torch's own Adam, clipping and exponential schedule by epochs of ten steps, in float64."""
    settings = Adam(learning_rate=0.03, decay=0.8, decay_iterations=10, clip_norm=1.0)
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([x], lr=0.03)
    schedule = torch.optim.lr_scheduler.StepLR(adam, step_size=10, gamma=0.8)
    expected = [x.detach().numpy().copy()]
    for iteration in range(60):
        x.grad = torch.from_numpy(bowls(x.detach().numpy(), iteration % 3).gradient)
        torch.nn.utils.clip_grad_norm_([x], 1.0)
        adam.step()
        schedule.step()
        expected.append(x.detach().numpy().copy())
    states, _ = walk(settings, 60)
    np.testing.assert_allclose([s.x for s in states], expected, rtol=0, atol=2e-6)  # torch adds 1e-6 to the norm
    assert max(np.abs(expected[-1] - expected[0])) > 0.1


def test_the_learning_rate_falls_by_iteration_not_by_batch():
    def same(x: Floats, batch: int | None) -> Evaluation:
        return bowls(x, 0)

    settings = Adam(decay=0.5, decay_iterations=7)
    one, three = (walk(settings, 30, same, batches=n)[0] for n in (1, 3))
    np.testing.assert_array_equal([s.x for s in one], [s.x for s in three])
    rates = [s.control for s in one[1:]]
    assert rates == pytest.approx([0.05 * 0.5 ** (i // 7) for i in range(30)], rel=1e-15)


def test_no_step_leaves_its_room():
    room = (np.full(2, -1e-3), np.full(2, 2e-3))
    states, _ = walk(Adam(), 40, room=room)
    steps = np.diff([s.x for s in states], axis=0)
    assert (steps.min(), steps.max()) == pytest.approx((-1e-3, 2e-3), rel=1e-9)


@pytest.mark.parametrize("at", [0, 1, 17, 49])
def test_going_on_from_any_recorded_state_ends_the_same_to_the_last_bit(at):
    states, whole = walk(Adam(), 50)
    rest, again = walk(Adam(), 50, resume=states[at], before=[s.x for s in states[: at + 1]])
    np.testing.assert_array_equal(again.state.x, whole.state.x)
    assert (again.status, again.converged) == (whole.status, whole.converged)
    assert [s.iteration for s in rest] == list(range(at + 1, 51))


def test_the_outcome_is_that_of_all_batches():
    states, outcome = walk(Adam(), 20)
    assert outcome.state.iteration == states[-1].iteration == 20
    assert outcome.evaluation.cost == bowls(outcome.state.x, None).cost


@pytest.mark.parametrize(("passes", "count"), [(1.0, 3), (2.0, 6), (0.0, 1), (100.0, 12)])
def test_the_result_is_the_mean_over_the_last_passes_but_not_over_the_way_there(passes, count):
    states, outcome = walk(Adam(average_passes=passes), 60)
    np.testing.assert_array_equal(outcome.state.x, np.mean([s.x for s in states[-count:]], axis=0))
    assert outcome.averaged == count
    moved = states[-1].x != states[-2].x
    assert moved.all(), "else the mean would be the last point, too"


def test_a_gradient_beyond_floating_point_is_a_direction_like_any_other():
    def steep(x: Floats, batch: int | None) -> Evaluation:
        return Evaluation(1.0, np.array([3e200, -4e200]), None, {})

    def gentle(x: Floats, batch: int | None) -> Evaluation:
        return Evaluation(1.0, np.array([3.0, -4.0]), None, {})

    one, other = (walk(Adam(), 5, f)[0][-1].x for f in (steep, gentle))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_loss_that_is_not_a_number_ends_the_walk_with_a_sentence():
    def broken(x: Floats, batch: int | None) -> Evaluation:
        e = bowls(x, batch)
        return Evaluation(np.nan if x[0] > 1.02 else e.cost, e.gradient, None, {})

    _, outcome = walk(Adam(), 100, broken)
    assert not outcome.converged
    assert "not a finite number" in outcome.status


def test_a_walk_out_of_the_range_of_the_model_ends_at_its_last_point():
    def bounded(x: Floats, batch: int | None) -> Evaluation:
        if x[0] > 1.02:
            raise ModelRangeError("birks_ab = 1.02 is too much.")
        return bowls(x, batch)

    states, outcome = walk(Adam(), 100, bounded)
    assert not outcome.converged
    assert "birks_ab = 1.02 is too much" in outcome.status
    np.testing.assert_array_equal(outcome.state.x, states[-1].x)
    assert outcome.state.iteration == len(states) - 1
    with pytest.raises(ModelRangeError):
        walk(Adam(), 100, lambda x, batch: bounded(x + 1, batch))


def jitter(size: float, seed: int = 1, length: int = 1001) -> Floats:
    return 1 + size * np.random.default_rng(seed).normal(size=(length, 3))


def test_a_walk_that_jitters_about_a_point_has_settled():
    settled, status = settlement(jitter(2e-3), Adam())
    assert settled and status.startswith("settled: in the last 199 iterations")


def test_a_walk_that_still_drifts_has_not():
    settled, status = settlement(jitter(2e-3) + np.linspace(0, 0.1, 1001)[:, None] * [0, 1, 0], Adam())
    assert not settled and "drifted by up to 1.5e-02" in status


def test_a_walk_that_was_stopped_by_its_learning_rate_has_not():
    """Steps that shrink by half every 200 iterations, all in one direction: little drift, and still a way to go."""
    path = np.stack([0.1 * 0.5 ** (np.arange(1001) / 200), np.ones(1001)], axis=1)
    settled, status = settlement(path, Adam(settle_tolerance=5e-3))
    assert not settled and "still in one direction" in status


def test_few_iterations_are_judged_without_a_fault():
    for length in (1, 2, 3, 5):
        assert isinstance(settlement(jitter(1e-5, length=length), Adam())[0], bool)
