"""Pulls: honest fits pass, and fits that are biased or say too little or too much of their uncertainty do not."""

from __future__ import annotations

import json
import math
import multiprocessing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from pipeline.config.methods import Method
from pipeline.parameters import nominal_values
from pipeline.storage.kept_answers import KeptAnswers
from pipeline.storage.provenance import Provenance
from pipeline.study import pulls
from pipeline.study.processes import work_through
from pipeline.study.pull_fits import Job, PullFits
from tests.study.gaussian import GaussianExperiment

FREE = ("birks_ab", "electric_field", "electron_lifetime")
METHOD = Method(free=FREE, tolerance=1e-4)
TARGETS = {
    "one": {**nominal_values(), "birks_ab": 0.83, "electron_lifetime": 1500.0},
    "other": {**nominal_values(), "electric_field": 0.52, "birks_kb": 0.06},
}
DRAWS = 50
#: Hits enough for 1/tau to be far from 0: uncertainty 4 %.
EXPERIMENT = GaussianExperiment(1500)


def fits_of(experiment: GaussianExperiment = EXPERIMENT, hold: dict[str, float] | None = None) -> PullFits:
    held = {"birks_kb": 1.0} if hold is None else hold
    return PullFits(experiment, METHOD, "toy", TARGETS, held, seed=3)


def made(work: PullFits, draws: int = DRAWS, **more: Any) -> list[dict[str, Any]]:
    return work_through(
        work, pulls.jobs_of(TARGETS, draws), more.pop("processes", 1), lambda text: None, "fits", **more
    )


def summary(work: PullFits) -> dict[str, Any]:
    return pulls.summary(made(work), FREE, TARGETS)


@pytest.fixture(scope="module")
def honest() -> dict[str, Any]:
    return summary(fits_of())


def test_honest_fits_keep_every_limit(honest: dict[str, Any]) -> None:
    for name in FREE:
        found = honest["parameters"][name]
        assert found["pulls"]["kept"], found
        assert found["pulls"]["fits"] == 2 * DRAWS and found["pulls"]["without"] == 0
        assert all(one["kept"] and one["fits"] == DRAWS for one in found["by_target"].values())
        stated, spread = found["uncertainty_percent"], found["errors_percent"]["spread"]
        assert spread == pytest.approx(stated, rel=4 / math.sqrt(4 * DRAWS))
    assert honest["distance"]["mean"] == pytest.approx(3.0, abs=3 * honest["distance"]["error"])
    for name in ("t", "q"):
        count = honest["scores"][name]["count"]
        assert count == 2 * DRAWS * EXPERIMENT.hits
        assert abs(honest["scores"][name]["mean"]) < 3 / math.sqrt(count)
        # The parameters follow some of the noise.
        assert honest["scores"][name]["width"] == pytest.approx(1, abs=3 / math.sqrt(2 * count) + 2 / EXPERIMENT.hits)


@pytest.mark.parametrize("stated", [1.5, 1 / 1.5])
def test_a_wrong_uncertainty_is_found(stated: float) -> None:
    found = summary(fits_of(GaussianExperiment(1500, stated=stated)))
    for name in FREE:
        p = found["parameters"][name]["pulls"]
        assert not p["kept"]
        assert p["width"] == pytest.approx(1 / stated, abs=3 * p["width_error"])
        assert abs(p["coverage"] - math.erf(stated / math.sqrt(2))) < 3.5 * p["coverage_error"]
        assert abs(p["mean"]) < p["limits"]["mean"]


def test_a_bias_of_one_standard_deviation_is_found(honest: dict[str, Any]) -> None:
    """Times that are too late by dt are a field that is too weak by E dt / t: one sigma of the fitted E."""
    sigma = honest["parameters"]["electric_field"]["uncertainty_percent"] / 100
    late = sigma * float(np.mean(EXPERIMENT.chamber.distance)) / (0.32 * 0.5)
    found = summary(fits_of(GaussianExperiment(1500, bias=late)))["parameters"]["electric_field"]["pulls"]
    assert not found["kept"]
    # Early and late hits do not weigh the same, so that it is not exactly one.
    assert -2.0 < found["mean"] < -0.5
    assert found["width"] == pytest.approx(1, abs=3 * found["width_error"])


def test_a_parameter_held_at_a_wrong_value_biases_its_partner() -> None:
    """k_B too large by 10 %: A_B (1 + k_B x / E)^-1 stays what it was at the mean dE/dx, which asks for more A_B."""
    found = summary(fits_of(hold={"birks_kb": 1.1}))["parameters"]["birks_ab"]
    assert found["pulls"]["mean"] > 3 and not found["pulls"]["kept"]
    chamber = EXPERIMENT.chamber
    x = 0.0486 * chamber.dedx / (0.5 * nominal_values()["density"])
    expected = 100 * (np.mean((1 + 1.1 * x) / (1 + x)) - 1)
    assert found["errors_percent"]["bias"] == pytest.approx(expected, rel=0.25)


class Interrupted(Exception):
    """Stands for Ctrl-C."""


class BreaksOff(KeptAnswers):
    """Keeps three answers."""

    def keep(self, number: int, answer: Any) -> None:
        if len(self.found()) == 3:
            raise Interrupted
        super().keep(number, answer)


class Counting(PullFits):
    """Counts the fits that are made."""

    done: ClassVar[list[Job]] = []

    def do(self, job: Job) -> dict[str, Any]:
        self.done.append(job)
        return super().do(job)


def test_the_same_from_one_and_two_processes_and_after_an_interruption(tmp_path: Path) -> None:
    work, draws = fits_of(GaussianExperiment(60)), 4
    once = made(work, draws)

    provenance = Provenance("study pulls", {"seed": 3}, {}, "0" * 64)
    with pytest.raises(Interrupted):
        made(work, draws, processes=2, kept=BreaksOff(tmp_path / "pulls.json", provenance))
    assert not multiprocessing.active_children()
    kept = KeptAnswers(tmp_path / "pulls.json", provenance)
    assert len(kept.found()) == 3
    resumed = made(Counting(**work.__dict__), draws, kept=kept)
    assert len(Counting.done) == 2 * draws - 3
    assert json.dumps(resumed) == json.dumps(once)


def test_noise_of_draws_and_targets_is_their_own() -> None:
    answers = made(fits_of(GaussianExperiment(60)), 3)
    values = [a["values"]["electric_field"] / TARGETS[a["target"]]["electric_field"] for a in answers]
    assert len({round(v, 12) for v in values}) == 6


def test_every_fit_is_counted() -> None:
    """A fit that was refused has no pull, covers nothing, and no limit is kept."""
    rng = np.random.default_rng(1)
    whole = pulls.pull_statistics(rng.normal(size=200), 200)
    assert whole["kept"]
    short = pulls.pull_statistics(rng.normal(size=199), 200)
    assert short["without"] == 1 and not short["kept"]
    assert pulls.pull_statistics(np.zeros(1), 200)["kept"] is False
    answers = made(fits_of(GaussianExperiment(60)), 2)
    refused = [*answers[:3], {**answers[3], "converged": False, "values": {}, "uncertainties": {}, "pulls": {}}]
    found = pulls.summary(refused, FREE, TARGETS)
    assert found["converged"] == 3 and found["without_uncertainty"] == 1
    assert found["parameters"]["birks_ab"]["pulls"]["without"] == 1


def test_limits_are_three_standard_errors_of_honest_pulls() -> None:
    """Of 3000 sets of 200 normal deviates each of the three limits is missed by some 0.3 % of sets."""
    rng = np.random.default_rng(2)
    sets = [pulls.pull_statistics(p, 200) for p in rng.normal(size=(3000, 200))]
    for what, zero in (("mean", 0.0), ("width", 1.0), ("coverage", pulls.COVERAGE)):
        missed = np.mean([abs(s[what] - zero) > s["limits"][what] for s in sets])
        assert 0.0005 < missed < 0.007
    assert np.std([s["mean"] for s in sets]) == pytest.approx(np.mean([s["mean_error"] for s in sets]), rel=0.05)
    assert np.std([s["width"] for s in sets]) == pytest.approx(np.mean([s["width_error"] for s in sets]), rel=0.05)


def test_errors_of_errors_are_those_of_many_sets() -> None:
    rng = np.random.default_rng(3)
    sets = [pulls.error_statistics(e) for e in rng.normal(0.5, 2.0, size=(2000, 100))]
    assert np.mean([s["total"] for s in sets]) == pytest.approx(math.hypot(0.5, 2.0), rel=0.02)
    for what in ("bias", "spread", "total"):
        assert np.std([s[what] for s in sets]) == pytest.approx(np.mean([s[f"{what}_error"] for s in sets]), rel=0.08)
        assert all(s["total"] == pytest.approx(math.hypot(s["bias"], s["spread"])) for s in sets[:5])
