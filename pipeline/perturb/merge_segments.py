"""Perturbation `merge_segments`: neighbouring deposits taken for one."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ..tables import Floats, Segments
from .base import Context, Perturbation, Perturbed
from .pieces import recut


class MergeSegments(Perturbation):
    """Every so many consecutive deposits of a track joined into a straight one."""

    kind: Literal["merge_segments"] = "merge_segments"
    count: Annotated[int, Field(ge=2)] = Field(description="deposits that become one")


def merge_segments(segments: Segments, settings: MergeSegments, context: Context) -> Perturbed:
    """Deposits 1 to n, n + 1 to 2 n, ... of each uninterrupted part of a track become the line from the first start to
    the last end with the sum of dE; what is left over at the end becomes one as well."""

    def edges(old: Floats) -> Floats:
        return np.append(old[: -1 : settings.count], old[-1])

    result = recut(segments, edges)
    return Perturbed(result, notes=(f"{len(segments)} deposits became {len(result)}",))
