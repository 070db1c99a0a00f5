"""Perturbation `resegment`: tracks cut into deposits of another length."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from ..config.section import Positive
from ..errors import ConfigError
from ..tables import Floats, Segments
from .base import Context, Perturbation, Perturbed
from .pieces import recut

#: Most pieces in all: what is finer would not fit into memory.
_MOST = 20_000_000


class Resegment(Perturbation):
    """Deposits of another length along the same path."""

    kind: Literal["resegment"] = "resegment"
    length_cm: Positive = Field(description="longest new deposit; those of a track are equally long")


def resegment(segments: Segments, settings: Resegment, context: Context) -> Perturbed:
    """Every uninterrupted part of a track, of length S, cut into the smallest number of equal pieces up to `length_cm`.

    dE and the two ends are conserved, and so is the length where the path is straight; a piece across a bend is its
    chord.
    """

    def edges(old: Floats) -> Floats:
        whole = float(old[-1])
        # A length that goes into the whole a whole number of times must not make one piece more by rounding.
        pieces = max(1, int(np.ceil(whole / settings.length_cm * (1 - 1e-9))))
        new = np.linspace(0.0, whole, pieces + 1)
        return old if len(new) == len(old) and np.allclose(new, old, rtol=0, atol=1e-9 * whole) else new

    pieces = segments.length.sum() / settings.length_cm
    if pieces > _MOST:
        raise ConfigError(
            f"length_cm: {settings.length_cm:g} cm makes {pieces:.0e} deposits, above {_MOST:.0e}; choose a longer one."
        )
    result = recut(segments, edges)
    change = float(result.length.sum() - segments.length.sum())
    note = f"{len(segments)} deposits became {len(result)}, which changes the length of the path by {change:.3g} cm"
    return Perturbed(result, notes=(note,))
