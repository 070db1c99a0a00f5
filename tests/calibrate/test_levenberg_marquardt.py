"""The optimiser on classic problems; failure is an outcome with a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from pipeline.calibrate.levenberg_marquardt import Outcome, minimise
from pipeline.calibrate.objective import Evaluation
from pipeline.calibrate.progress import State
from pipeline.errors import ModelRangeError


@dataclass(frozen=True)
class Problem:
    """Least squares: residuals and their Jacobian, a start, and where the minimum is."""

    residuals: Callable[[np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray], np.ndarray]
    start: tuple[float, ...]
    solution: tuple[float, ...] | None = None

    def evaluate(self, x: np.ndarray) -> Evaluation:
        r, j = self.residuals(x), self.jacobian(x)
        return Evaluation(0.5 * float(r @ r), j.T @ r, j.T @ j, {})


T = np.linspace(0, 4, 30)
ROSENBROCK = Problem(
    lambda x: np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]),
    lambda x: np.array([[-20 * x[0], 10.0], [-1.0, 0.0]]),
    start=(-1.2, 1.0),
    solution=(1.0, 1.0),
)
DECAY = Problem(
    lambda x: x[0] * np.exp(-x[1] * T) - 5 * np.exp(-1.3 * T),
    lambda x: np.stack([np.exp(-x[1] * T), -x[0] * T * np.exp(-x[1] * T)], axis=1),
    start=(1.0, 0.2),
    solution=(5.0, 1.3),
)
# Powell (1962): the Jacobian is singular at the minimum, so that convergence is linear only.
POWELL = Problem(
    lambda x: np.array([x[0], 10 * x[0] / (x[0] + 0.1) + 2 * x[1] ** 2]),
    lambda x: np.array([[1.0, 0.0], [1 / (x[0] + 0.1) ** 2, 4 * x[1]]]),
    start=(3.0, 1.0),
    solution=(0.0, 0.0),
)
#: Columns of sizes 1 and 1e-9: units must not matter.
UNITS = Problem(
    lambda x: np.array([x[0] - 3, 1e-9 * x[1] - 2, x[0] - 1e-9 * x[1] - 1]),
    lambda x: np.array([[1, 0], [0, 1e-9], [1, -1e-9]]),
    start=(0.0, 0.0),
    solution=(3.0, 2e9),
)
#: Only the sum of two coordinates matters.
DEGENERATE = Problem(
    lambda x: np.array([x[0] + x[1] - 2, 3 * (x[0] + x[1]) - 6, x[2] - 1]),
    lambda x: np.array([[1.0, 1, 0], [3, 3, 0], [0, 0, 1]]),
    start=(0.0, 0.5, 0.0),
)
#: A coordinate that nothing depends on.
IDLE = Problem(lambda x: np.array([x[0] - 2]), lambda x: np.array([[1.0, 0.0]]), start=(0.0, 7.0), solution=(2.0, 7.0))
#: Data that no point describes exactly.
NOISY = Problem(
    lambda x: x[0] * np.exp(-x[1] * T) - 5 * np.exp(-1.3 * T) - np.sin(50 * T),
    DECAY.jacobian,
    start=(1.0, 0.2),
)
WELL_POSED = {"rosenbrock": ROSENBROCK, "decay": DECAY, "units": UNITS, "idle": IDLE}
ALL = {**WELL_POSED, "powell": POWELL, "degenerate": DEGENERATE, "noisy": NOISY}


def unlimited(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(len(x), -np.inf), np.full(len(x), np.inf)


def solve(
    evaluate: Callable[[np.ndarray], Evaluation],
    start: tuple[float, ...],
    tolerance: float = 1e-10,
    precision: float = 0.0,
    max_iterations: int = 200,
    room: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] = unlimited,
    resume: State | None = None,
) -> tuple[Outcome, list[tuple[State, Evaluation]]]:
    seen: list[tuple[State, Evaluation]] = []
    outcome = minimise(
        evaluate,
        room,
        np.array(start),
        tolerance=tolerance,
        precision=precision,
        max_iterations=max_iterations,
        record=lambda state, evaluation: seen.append((state, evaluation)),
        resume=resume,
    )
    return outcome, seen


@pytest.mark.parametrize("name", WELL_POSED)
def test_minimum_is_found(name):
    problem = WELL_POSED[name]
    outcome, _ = solve(problem.evaluate, problem.start)
    assert outcome.converged
    np.testing.assert_allclose(outcome.state.x, problem.solution, rtol=1e-8)
    assert outcome.state.iteration <= 60


def test_singular_minimum_is_approached():
    outcome, _ = solve(POWELL.evaluate, POWELL.start)
    assert np.abs(outcome.state.x).max() < 0.05
    assert outcome.evaluation.cost < 1e-6


def test_degenerate_direction_is_left_alone():
    """Only the sum is known; what the sum does not need is not moved."""
    outcome, _ = solve(DEGENERATE.evaluate, DEGENERATE.start)
    assert outcome.converged
    assert outcome.state.x[0] + outcome.state.x[1] == pytest.approx(2, abs=1e-9)
    assert outcome.state.x[1] - outcome.state.x[0] == pytest.approx(0.5, abs=1e-3)
    assert outcome.state.x[2] == pytest.approx(1, abs=1e-9)


def test_gradient_vanishes_at_a_minimum_with_residuals():
    outcome, _ = solve(NOISY.evaluate, NOISY.start)
    e = outcome.evaluation
    assert outcome.converged and e.cost > 1
    assert np.abs(e.gradient / np.sqrt(np.diag(e.curvature))).max() < 1e-6 * np.sqrt(e.cost)


@pytest.mark.parametrize("name", ["rosenbrock", "decay", "units"])
def test_start_at_the_minimum_stays_there(name):
    problem = WELL_POSED[name]
    outcome, _ = solve(problem.evaluate, problem.solution)
    assert outcome.converged
    assert outcome.state.iteration <= 2
    np.testing.assert_array_equal(outcome.state.x, problem.solution)


@pytest.mark.parametrize("name", ALL)
def test_cost_never_rises_and_every_iteration_is_recorded_once(name):
    problem = ALL[name]
    outcome, seen = solve(problem.evaluate, problem.start)
    assert [state.iteration for state, _ in seen] == list(range(outcome.state.iteration + 1))
    assert seen[0][0].x.tolist() == list(problem.start)
    costs = [evaluation.cost for _, evaluation in seen]
    assert (np.diff(costs) <= 0).all()
    assert seen[-1] == (outcome.state, outcome.evaluation)
    assert all(problem.evaluate(state.x).cost == evaluation.cost for state, evaluation in seen)


def test_too_few_iterations_are_a_verdict_not_an_error():
    outcome, seen = solve(ROSENBROCK.evaluate, ROSENBROCK.start, max_iterations=3)
    assert not outcome.converged
    assert outcome.state.iteration == 3 and len(seen) == 4
    assert outcome.status == "did not converge: 3 iterations were not enough (max_iterations)"


def test_region_where_the_model_cannot_go_is_walked_around():
    """From here the first step overshoots; the model refuses what lies there."""
    refused = []

    def evaluate(x):
        if x[1] < 0:
            refused.append(x)
            raise ModelRangeError("growth")
        return DECAY.evaluate(x)

    outcome, _ = solve(evaluate, (1.0, 2.0))
    assert refused
    assert outcome.converged
    np.testing.assert_allclose(outcome.state.x, DECAY.solution, rtol=1e-8)


def test_minimum_where_the_model_cannot_go_ends_in_a_sentence():
    def evaluate(x):
        if x[1] > 1.0:
            raise ModelRangeError("too fast")
        return DECAY.evaluate(x)

    outcome, _ = solve(evaluate, DECAY.start)
    assert not outcome.converged
    assert outcome.status.startswith("did not converge: no step lowers the objective although a step of ")
    assert outcome.state.x[1] <= 1.0


def test_start_where_the_model_cannot_go_is_the_models_error():
    def evaluate(x):
        raise ModelRangeError("longitudinal_diffusion is too large.")

    with pytest.raises(ModelRangeError, match="longitudinal_diffusion"):
        solve(evaluate, (1.0,))


def test_steps_to_points_without_a_number_are_not_taken():
    broken = []

    def evaluate(x):
        e = DECAY.evaluate(x)
        if x[1] >= 0:
            return e
        broken.append(x)
        # The cost of the second such point is the lowest of all, but its derivatives are no numbers.
        return Evaluation(0.0 if len(broken) == 2 else np.nan, e.gradient * np.nan, e.curvature, {})

    outcome, _ = solve(evaluate, (1.0, 2.0))
    assert len(broken) > 1
    assert outcome.converged
    np.testing.assert_allclose(outcome.state.x, DECAY.solution, rtol=1e-8)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["cost", "gradient", "curvature"])
def test_start_without_a_number_ends_in_a_sentence(part, number):
    def evaluate(x):
        e = DECAY.evaluate(x)
        parts = {"cost": e.cost, "gradient": e.gradient, "curvature": e.curvature}
        return Evaluation(**{**parts, part: parts[part] * number}, counts={})

    outcome, seen = solve(evaluate, DECAY.start)
    assert not outcome.converged
    assert "not a finite number at the start" in outcome.status
    assert outcome.state.x.tolist() == list(DECAY.start)
    assert len(seen) == outcome.state.iteration + 1


@pytest.mark.parametrize("tolerance", [1e-10, 1e-8, 1e-4])
def test_cliff_before_the_minimum_is_not_called_converged(tolerance):
    """Hits that vanish make the cost jump up beyond a line short of where the gradient leads."""

    def evaluate(x):
        e = DECAY.evaluate(x)
        return Evaluation(e.cost + 1e6 * (x[1] > 1.0), e.gradient, e.curvature, {})

    outcome, _ = solve(evaluate, DECAY.start, tolerance)
    assert not outcome.converged
    assert "no step lowers the objective" in outcome.status


def test_rounding_at_the_minimum_is_convergence():
    """A cost that is noisy in its last digits lets no small step through; that is as good as it gets."""
    rng = np.random.default_rng(1)

    def evaluate(x):
        e = NOISY.evaluate(x)
        return Evaluation(e.cost * (1 + 1e-9 * rng.random()), e.gradient, e.curvature, {})

    outcome, _ = solve(evaluate, NOISY.start, tolerance=1e-7)
    assert outcome.converged
    np.testing.assert_allclose(outcome.state.x, solve(NOISY.evaluate, NOISY.start)[0].state.x, atol=1e-3)


def test_no_step_leaves_its_room():
    outcome, seen = solve(
        DECAY.evaluate, DECAY.start, max_iterations=20, room=lambda x: (np.full(2, -0.01), np.full(2, 0.02))
    )
    steps = np.diff([state.x for state, _ in seen], axis=0)
    assert steps.min() >= -0.01 * (1 + 1e-12) and steps.max() <= 0.02 * (1 + 1e-12)
    assert steps.max() >= 0.019
    assert not outcome.converged


def test_bound_that_is_active_leaves_the_others_at_their_best():
    """Correlated coordinates, the first not below 0, where it would go: the others are those of a fit at 0."""
    a = np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 2], [2, 1, 0], [0, 3, 1]])
    b = a @ [-0.5, 2.0, 1.0] + [0.1, -0.2, 0.1, 0.0, 0.05]
    problem = Problem(lambda x: a @ x - b, lambda x: a, start=(1.0, 0.0, 0.0))
    outcome, _ = solve(problem.evaluate, problem.start, room=lambda x: (np.array([-0.9 * x[0], -9, -9]), np.full(3, 9)))
    assert outcome.converged
    assert 0 < outcome.state.x[0] < 1e-9
    expected = np.linalg.lstsq(a[:, 1:], b, rcond=None)[0]
    np.testing.assert_allclose(outcome.state.x[1:], expected, atol=1e-8)


@pytest.mark.parametrize("name", ALL)
def test_going_on_from_any_recorded_state_ends_the_same_to_the_last_bit(name):
    problem = ALL[name]
    whole, seen = solve(problem.evaluate, problem.start)
    for at, (state, _) in enumerate(seen):
        again, rest = solve(problem.evaluate, problem.start, resume=state)
        np.testing.assert_array_equal(again.state.x, whole.state.x)
        assert (again.status, again.converged, again.state.iteration, again.state.control) == (
            whole.status,
            whole.converged,
            whole.state.iteration,
            whole.state.control,
        )
        assert len(rest) == len(seen) - at - 1


@pytest.mark.parametrize("max_iterations", [1, 4])
def test_going_on_where_the_iterations_had_run_out_adds_none(max_iterations):
    whole, seen = solve(ROSENBROCK.evaluate, ROSENBROCK.start, max_iterations=max_iterations)
    again, rest = solve(ROSENBROCK.evaluate, ROSENBROCK.start, max_iterations=max_iterations, resume=seen[-1][0])
    assert again.status == whole.status and not rest


@pytest.mark.parametrize("name", ALL)
def test_status_is_a_clause_that_says_which_way_it_ended(name):
    problem = ALL[name]
    outcome, _ = solve(problem.evaluate, problem.start)
    assert re.match(r"(converged|did not converge): [a-zA-Z0-9].*[^.]$", outcome.status)
    assert outcome.status.startswith("converged") == outcome.converged


def test_bounds_that_cut_a_step_short_are_no_minimum() -> None:
    """Where the step within the bounds of a quadratic would raise it, as here from the start, the search goes on."""
    j = np.array([[1.0, -0.1, 0.4], [-0.4, 0.1, -0.3], [0.3, -1.5, 0.6]])
    r = np.array([-0.6, 1.2, -0.9])
    problem = Problem(lambda x: j @ x + r, lambda x: j, start=(0.0, 0.0, 0.0))

    def box(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -0.5 - x, 0.5 - x

    found = minimise(
        problem.evaluate,
        box,
        np.zeros(3),
        tolerance=1e-10,
        precision=1e-12,
        max_iterations=200,
        record=lambda state, evaluation: None,
    )
    assert found.state.iteration > 1
    assert found.evaluation.cost < problem.evaluate(np.zeros(3)).cost
    if found.converged:  # then nothing that the bounds allow goes down
        x, gradient = found.state.x, found.evaluation.gradient
        free = np.abs(x) < 0.5 - 1e-9
        assert np.abs(gradient[free]).max(initial=0.0) < 1e-6
