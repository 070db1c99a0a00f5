"""What a study of unknown deposits fits: one measurement, what the fit is told of it, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..config.methods import Method
from ..config.models import Config
from ..errors import ConfigError
from ..tables import FitResult
from .experiment import Experiment


@dataclass(frozen=True)
class Task:
    """What a fit leaves open of the deposits.

    `dedx`: one nuisance per segment; `geometry`: where the tracks are; `particles`: which ones they are. `from_hits`:
    tracks are found in the hits, and nothing of the deposits that a trial believes is used.
    """

    dedx: bool = False
    geometry: bool = False
    particles: bool = False
    from_hits: bool = False

    @property
    def known(self) -> bool:
        """Whether the fit takes the deposits that it is told for true."""
        return not (self.dedx or self.geometry or self.particles or self.from_hits)


@dataclass(frozen=True)
class Trial:
    """One measurement: data are made with the deposits of `truth`; a fit is told those of `believed`."""

    truth: Experiment
    believed: Experiment


@dataclass(frozen=True)
class Draw:
    """True `values` of all parameters, the `noise` seed of the data, and the `seed` of the run."""

    values: Mapping[str, float]
    noise: int
    seed: int


class Estimator(Protocol):
    """One way to the parameters. Its result has the covariance with everything that it leaves open, and in its
    diagnostics `position_rms_um`, the rms distance of its tracks to the true ones, where it moves them.
    """

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """The fit of a method, called `name`; raises `FitError` or `ModelRangeError` where there is none."""
        ...


@dataclass(frozen=True)
class KnownDeposits:
    """The fit that takes the deposits that it is told for true."""

    def fit(self, trial: Trial, draw: Draw, method: Method, name: str) -> FitResult:
        """See `Estimator.fit`."""
        data = trial.truth.data(draw.values, draw.noise)
        return trial.believed.fit(method, name, data, draw.values, draw.seed)


def estimator(task: Task, config: Config, where: str) -> Estimator:
    """The estimator that leaves open what `task` says, as configured; raises `ConfigError` at `where` if there is none.

    What is needed for unknown deposits is looked for here, so that studies need not know how it is done.
    """
    if task.known:
        return KnownDeposits()
    raise ConfigError(f"{where}: there is no fit of unknown deposits in this version; leave it out.")
