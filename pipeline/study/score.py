"""The score test: the derivative of the log-likelihood at the truth over many noise draws.

Where a likelihood is that of the data, the mean score is zero and its covariance is the expected information (R. A.
Fisher, Phil. Trans. A 222 (1922) 309); both hold for any amount of data, before any fit. The covariance is estimated
twice: from the scores of whole draws, to sqrt(2 / N), and as the sum of the squares of the scores of pixels, whose
noise is independent, which N draws give much better. Scores are those of the coordinates in which fits move (1 at the
nominal point).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..calibrate.information import chain
from ..config.methods import Method
from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..parameters import table as parameter_table
from ..tables import Floats, Segments
from ..targets import study_targets
from .experiment import Experiment, deposits_of, experiment_of, noise_seed
from .processes import Kept, work_through
from .pulls import method_of

#: Draws of one job: enough that handing it over costs nothing, few enough that little is lost by an interruption.
DRAWS_AT_ONCE = 5


@runtime_checkable
class ScoringObjective(Protocol):
    """An objective that is a likelihood (`calibrate.likelihood.Likelihood`)."""

    def scores(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(g, P)` derivatives of the log-probability of each independent group of data."""
        ...

    def information(self, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected information."""
        ...


@dataclass(frozen=True)
class Job:
    """Some draws at a target; `informed` of them tell the information, too."""

    target: int
    first: int
    draws: int
    informed: int


@dataclass(frozen=True)
class Scores:
    """What all draws share."""

    experiment: Experiment
    method: Method
    targets: Mapping[str, Mapping[str, float]]
    seed: int

    def do(self, job: Job) -> dict[str, Any]:
        """Scores of the draws `(draws, P)`, sums over pixels of their squares and informations `(draws, P, P)`."""
        names, target = self.method.free, list(self.targets.values())[job.target]
        values = {**self.method.fixed, **target}
        table = parameter_table()
        slopes = chain([table[n] for n in names], values)
        totals, squares, informations = [], [], []
        for draw in range(job.first, job.first + job.draws):
            data = self.experiment.data(target, noise_seed(self.seed, job.target, draw))
            objective = self.experiment.objective(self.method, data)
            assert isinstance(objective, ScoringObjective), "run refuses other methods"
            scores = objective.scores(values, names) * slopes
            totals.append(scores.sum(axis=0).tolist())
            squares.append((scores.T @ scores).tolist())
            if draw < job.informed:
                informations.append((objective.information(values, names) * np.outer(slopes, slopes)).tolist())
        return {"totals": totals, "squares": squares, "informations": informations}


def run(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    progress: Callable[[str], None],
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Scores at every target, and what they should be.

    Raises `ConfigError` where the method or a target does not exist or the method is no likelihood, and
    `SelectionError` where a cut leaves nothing.
    """
    settings = config.study.score
    method = method_of(config, settings.method, "study.score.method")
    if method.objective != "likelihood":
        raise ConfigError(
            f"study.score.method: {settings.method} makes {method.objective} small, which is no likelihood and has no "
            "score; name a method whose objective is likelihood."
        )
    targets = study_targets(config, settings.targets, settings.named_targets, "study.score")
    experiment = experiment_of(config, segments, geometry, settings.length_cm)
    work = Scores(experiment, method, targets, config.seed)
    jobs = jobs_of(targets, settings.draws, settings.draws_of_information)
    answers = work_through(work, jobs, config.simulate.threads, progress, "groups of draws", kept)
    return {
        "settings": settings.model_dump(mode="json"),
        "noise": config.readout.noise.model_dump(mode="json"),
        "deposits": deposits_of(experiment),
        "targets": targets,
        "names": list(method.free),
        "by_target": {
            name: statistics([a for j, a in zip(jobs, answers, strict=True) if j.target == number])
            for number, name in enumerate(targets)
        },
    }


def jobs_of(targets: Mapping[str, Any], draws: int, informed: int) -> list[Job]:
    """All draws, target by target."""
    return [
        Job(target, first, min(DRAWS_AT_ONCE, draws - first), informed)
        for target in range(len(targets))
        for first in range(0, draws, DRAWS_AT_ONCE)
    ]


def statistics(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the scores of one target tell.

    `mean` `(P,)` in standard errors; `mean_chi2`: the same of all parameters together, P where there is no bias;
    `draws` and `pixels` compare the covariance with the information, from whole draws and summed over pixels:
    `diagonal` `(P,)` and `eigenvalues` `(P,)` (ascending) of I^-1/2 C I^-1/2, all 1 where the likelihood is right.
    """
    totals, squares, informations = (
        np.concatenate([np.array(a[key]) for a in answers if len(a[key])])
        for key in ("totals", "squares", "informations")
    )
    draws, count = totals.shape
    information = informations.mean(axis=0)
    mean = totals.mean(axis=0)
    covariance = np.cov(totals, rowvar=False).reshape(count, count)
    own = np.diag(information)
    scatter = np.diagonal(squares, axis1=1, axis2=2).std(axis=0, ddof=1) / own / math.sqrt(draws)
    return {
        "draws": draws,
        "mean": (mean / np.sqrt(np.diag(covariance) / draws)).tolist(),
        "mean_chi2": float(draws * mean @ np.linalg.solve(covariance, mean)),
        "information": information.tolist(),
        "information_error": _error_of_information(informations),
        "of_draws": {**_compared(covariance, information), "error": math.sqrt(2 / draws)},
        "of_pixels": {**_compared(squares.mean(axis=0), information), "error": float(scatter.max())},
    }


def _error_of_information(informations: Floats) -> float | None:
    """Largest relative standard error of a diagonal element; None where there is one draw only."""
    if len(informations) < 2:
        return None
    own = np.diagonal(informations, axis1=1, axis2=2)
    return float((own.std(axis=0, ddof=1) / own.mean(axis=0)).max() / math.sqrt(len(own)))


def _compared(covariance: Floats, information: Floats) -> dict[str, Any]:
    """Diagonal and eigenvalues of a covariance in units of the information, and the largest deviations from 1."""
    # Unit diagonal first: the information spans many orders of magnitude.
    scale = np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    root = vectors / np.sqrt(values) / scale[:, None]
    whitened = root.T @ covariance @ root
    eigenvalues = np.linalg.eigvalsh(whitened)
    diagonal = np.diag(covariance) / np.diag(information)
    return {
        "diagonal": diagonal.tolist(),
        "eigenvalues": eigenvalues.tolist(),
        "largest_of_diagonal": float(np.abs(diagonal - 1).max()),
        "largest_of_eigenvalues": float(np.abs(eigenvalues - 1).max()),
    }


def table(result: Mapping[str, Any]) -> str:
    """The result as lines of text."""
    names, sample = result["names"], result["deposits"]
    lines = [f"score at the truth, {sample['length_cm']:.0f} cm of track"]
    for target, found in result["by_target"].items():
        lines.append(
            f"{target}: {found['draws']} draws; mean score of all parameters together: chi2 {found['mean_chi2']:.1f} "
            f"of {len(names)}"
        )
        lines.append(f"{'':<24}{'mean / error':>14}{'variance / information':>24}{'of pixels':>12}")
        for k, name in enumerate(names):
            lines.append(
                f"{name:<24}{found['mean'][k]:>14.2f}{found['of_draws']['diagonal'][k]:>24.3f}"
                f"{found['of_pixels']['diagonal'][k]:>12.3f}"
            )
        for what, text in (("of_draws", "of draws"), ("of_pixels", "of pixels")):
            values = "  ".join(f"{v:.3f}" for v in found[what]["eigenvalues"])
            lines.append(f"eigenvalues {text}: {values} (error of one {found[what]['error']:.3f})")
    return "\n".join(lines)
