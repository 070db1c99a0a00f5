"""Where a fit has got to: all that it needs to go on. Imports no physics, so that storage can keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..tables import Floats


@dataclass(frozen=True)
class State:
    """All that the next iteration depends on: point `x` `(P,)`, what `control`s the size of a step (the damping of
    Levenberg-Marquardt, the learning rate of Adam), and whether the search has `settled`.

    `step` is the largest change of a coordinate that the last iteration tried, taken or not; `moments` `(2, P)` are
    running means of the gradient and its square, where the optimiser keeps them. `stage` counts the objectives that an
    optimiser goes through; `memory` holds whatever else one must remember.
    """

    x: Floats
    control: float
    step: float = np.inf
    iteration: int = 0
    settled: bool = False
    moments: Floats | None = None
    stage: int = 0
    memory: Floats | None = None


@dataclass(frozen=True)
class Finished:
    """One start that came to an end: its result (the mean of `averaged` last iterations), verdict, and history."""

    state: State
    converged: bool
    status: str
    history: Mapping[str, list[float]]
    averaged: int = 1


@dataclass(frozen=True)
class Progress:
    """A fit under way: the starts that are done, and the state and history of the present one.

    A fit resumed from here ends with the same result, to the last bit.
    """

    finished: tuple[Finished, ...]
    state: State
    history: Mapping[str, list[float]]
