"""The studies by name: what each does and what it needs. Importing this imports no physics."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ConfigError
from ..names import nearest

if TYPE_CHECKING:
    from ..config.models import Config

#: What a study takes: `selected` segments, all `segments` (it applies the configured cuts itself), or nothing.
Input = Literal["selected", "segments"]


@dataclass(frozen=True)
class Study:
    """One study: `module` holds `run(config, segments, geometry, progress) -> dict` of plain numbers, and
    `table(result) -> str`; `figure`, if it has one, `draw(result) -> (Figure, caption)` and `rows(result) -> (head,
    rows)` of texts.

    `input` says which segments of a sample `run` gets; None: none, it gets None. `sections` are the parts of the
    configuration that its numbers depend on, besides its own settings (`study.<name>`, if it has any) and the methods
    that these name. Where `every_sample` is false, the workflow runs it for the first sample of a scenario only: it
    takes minutes, and another sample would tell little more. The `run` of a `resumable` one takes the answers of an
    interrupted run besides (`study.processes.Kept`).
    """

    name: str
    module: str
    summary: str
    input: Input | None = "selected"
    sections: tuple[str, ...] = ("seed", "checks", "select", "detector", "readout.pixels", "simulate")
    every_sample: bool = True
    figure: str | None = None
    resumable: bool = False

    def function(self, name: str) -> Callable[..., Any]:
        """`run` or `table` of the study's module."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return found


#: What the numbers of studies depend on that simulate data of their own.
_ON_DATA = ("seed", "checks", "detector", "simulate", "readout")
#: What repeated experiments depend on.
_OF_REPEATED = ("seed", "checks", "select", "detector", "readout", "simulate", "targets")

_ALL = (
    Study("benchmark", "pipeline.study.benchmark", "time and memory of the forward model per cm of track"),
    Study(
        "scaling",
        "pipeline.study.scaling",
        "time and memory against track length, batches and block size",
        every_sample=False,
    ),
    Study("relaxations", "pipeline.study.relaxations", "discrete operations, relaxed and exact", input=None),
    Study("track_lengths", "pipeline.study.track_lengths", "lengths of tracks by species and cut", input="segments"),
    Study(
        "basin",
        "pipeline.study.basin",
        "from how far fits find the target, for each method and loss",
        input="segments",
        every_sample=False,
    ),
    Study(
        "landscape",
        "pipeline.study.landscape",
        "an objective over two parameters, its gradients and the paths of fits",
        sections=_ON_DATA,
        figure="pipeline.report.studies.landscape",
    ),
    Study(
        "interdependence",
        "pipeline.study.interdependence",
        "one parameter held wrong at a time: the bias of every other",
        sections=_ON_DATA,
        figure="pipeline.report.studies.interdependence",
    ),
    Study(
        "recombination_lines",
        "pipeline.study.recombination_lines",
        "what each dE/dx tells about recombination and the field",
        sections=_ON_DATA,
        figure="pipeline.report.studies.recombination_lines",
    ),
    Study(
        "sensitivity",
        "pipeline.study.sensitivity",
        "an objective against each parameter, over batches and draws of noise",
        sections=_ON_DATA,
        figure="pipeline.report.studies.sensitivity",
    ),
    Study(
        "taylor",
        "pipeline.study.taylor",
        "how far first derivatives predict charges, times and residuals",
        sections=_ON_DATA,
        figure="pipeline.report.studies.taylor",
    ),
    Study(
        "bootstrap",
        "pipeline.study.bootstrap",
        "the uncertainty of a fit beside Minuit's and the spread of fits to simulated data",
        sections=_ON_DATA,
        figure="pipeline.report.studies.bootstrap",
    ),
    Study(
        "pseudo_correlation",
        "pipeline.study.pseudo_correlation",
        "inverse of the second derivatives of a loss, beside the correlation of a fit",
        input="segments",
        sections=(*_ON_DATA, "select"),
        figure="pipeline.report.studies.pseudo_correlation",
    ),
    Study(
        "pulls",
        "pipeline.study.pulls",
        "whether fits of noisy data are as far from the truth as they say",
        input="segments",
        sections=_OF_REPEATED,
        every_sample=False,
        resumable=True,
        figure="pipeline.report.studies.pulls",
    ),
    Study(
        "score",
        "pipeline.study.score",
        "mean and covariance of the derivative of the likelihood at the truth",
        input="segments",
        sections=_OF_REPEATED,
        every_sample=False,
        resumable=True,
        figure="pipeline.report.studies.score",
    ),
    Study(
        "ladder",
        "pipeline.study.ladder",
        "errors of fits from known deposits to hits alone, beside published ones and the bound",
        input="segments",
        sections=_OF_REPEATED,
        every_sample=False,
        resumable=True,
        figure="pipeline.report.studies.ladder",
    ),
    Study(
        "robustness",
        "pipeline.study.robustness",
        "what wrong beliefs about the deposits do to a fit, with and without its nuisances",
        input="segments",
        sections=(*_OF_REPEATED, "sample.transport"),
        every_sample=False,
        resumable=True,
        figure="pipeline.report.studies.robustness",
    ),
    Study(
        "bound",
        "pipeline.study.bound",
        "smallest possible uncertainties where deposits are known, or not, beside what fits reach",
        input="segments",
        sections=(*_ON_DATA, "select"),
        resumable=True,
        figure="pipeline.report.studies.bound",
    ),
    Study(
        "expected_uncertainty",
        "pipeline.study.expected_uncertainty",
        "smallest possible uncertainties against length of track and mix of species",
        input="segments",
        sections=(*_ON_DATA, "select"),
        figure="pipeline.report.studies.expected_uncertainty",
    ),
    Study(
        "lifetime_baseline",
        "pipeline.study.lifetime_baseline",
        "the electron lifetime from dQ/dx against drift time, beside the fit of all hits",
        input="segments",
        sections=(*_ON_DATA, "select"),
        figure="pipeline.report.studies.lifetime_baseline",
    ),
    Study(
        "identity",
        "pipeline.study.identity",
        "which particle reconstructed tracks are taken for, and whether the probabilities are true",
        input="segments",
        sections=(*_ON_DATA, "reconstruct", "sample.transport"),
        every_sample=False,
        figure="pipeline.report.studies.identity",
    ),
    Study(
        "noise_in_the_model",
        "pipeline.study.noise_in_the_model",
        "noisy data fitted by models that know the noise, and by some that do not",
        input="segments",
        sections=(*_ON_DATA, "select"),
        figure="pipeline.report.studies.noise_in_the_model",
    ),
    Study(
        "reconstruction",
        "pipeline.study.reconstruction",
        "tracks from hits alone beside the true particles, against angle and drift",
        input="segments",
        sections=(*_ON_DATA, "reconstruct"),
        figure="pipeline.report.studies.reconstruction",
    ),
)

STUDIES = {study.name: study for study in _ALL}


def study_names(config: Config) -> tuple[str, ...]:
    """The studies of the configured scenario; raises `ConfigError` for one that there is not."""
    names = config.scenarios[config.scenario].studies
    for name in names:
        if name not in STUDIES:
            where = f"scenarios.{config.scenario}.studies"
            raise ConfigError(f"{where}: there is no study {name!r}; did you mean {nearest(name, STUDIES)!r}?")
    return names
