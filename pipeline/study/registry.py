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
    `table(result) -> str`.

    `input` says which segments of a sample `run` gets; None: none, it gets None. `sections` are the parts of the
    configuration that its numbers depend on. Where `every_sample` is false, the workflow runs it for the first sample
    of a scenario only: it takes minutes, and another sample would tell little more.
    """

    name: str
    module: str
    summary: str
    input: Input | None = "selected"
    sections: tuple[str, ...] = ("seed", "checks", "select", "detector", "simulate")
    every_sample: bool = True

    def function(self, name: str) -> Callable[..., Any]:
        """`run` or `table` of the study's module."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return found


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
        sections=("seed", "checks", "select", "detector", "simulate", "methods", "study"),
        every_sample=False,
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
        "noise_in_the_model",
        "pipeline.study.noise_in_the_model",
        "noisy data fitted by models that know the noise, and by some that do not",
        input="segments",
        sections=(*_ON_DATA, "select"),
        figure="pipeline.report.studies.noise_in_the_model",
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
