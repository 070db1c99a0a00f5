"""What all perturbations share: how one is declared, what it gets and what it returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ..config.section import Section
from ..detector.geometry import DetectorGeometry
from ..tables import Floats, Segments
from .record import Drawn

if TYPE_CHECKING:
    from .losses import Losses

Finite = Annotated[float, Field(allow_inf_nan=False)]

#: Along what a shift moves: an axis of the simulation frame, or the drift, away from the anode of each deposit.
Along = Literal["x", "y", "z", "drift"]


class Perturbation(Section):
    """Settings of one perturbation; `kind` is its name in the configuration."""

    kind: str

    @property
    def stream(self) -> str | None:
        """Which numbers it draws, beside its seed; None where it draws none."""
        return self.kind if "seed" in type(self).model_fields else None

    def displacements(self) -> Iterator[tuple[str, Along, float]]:
        """Settings that move deposits: key, along what and how far [cm]; to be held against the detector."""
        yield from ()


def check_independent(steps: Sequence[Perturbation]) -> None:
    """Refuse two perturbations that would draw the same numbers; raises `ValueError`."""
    drawn: dict[tuple[str, int], int] = {}
    for number, step in enumerate(steps):
        if step.stream is None:
            continue
        seed = getattr(step, "seed", 0)
        earlier = drawn.setdefault((step.stream, seed), number)
        if earlier != number:
            raise ValueError(
                f"entries {earlier} and {number} are both {step.kind} with seed {seed} and draw the same numbers; give "
                "one of them another seed"
            )


@dataclass(frozen=True)
class Context:
    """What a perturbation may need beside the segments."""

    geometry: DetectorGeometry
    losses: Losses


@dataclass(frozen=True)
class Perturbed:
    """The perturbed segments, what was drawn for it, and sentences about what it did beside its purpose."""

    segments: Segments
    drawn: Drawn | None = None
    notes: tuple[str, ...] = ()


def consistent(segments: Segments) -> Segments:
    """The segments with `dx` set to |end - start| and `dEdx` to dE/dx.

    A segment of no length, or so short that dE/dx would overflow, keeps its dE/dx.
    """
    length = segments.length
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        dEdx = segments.dE / length
    return segments.replace(dx=length, dEdx=np.where(np.isfinite(dEdx), dEdx, segments.dEdx))


def moved(before: Segments, after: Segments, geometry: DetectorGeometry) -> tuple[str, ...]:
    """Sentences for deposits (the same rows before and after) that a move took where they do not belong."""
    notes = []
    through = np.count_nonzero(geometry.nearest_tpc(before.centre[:, 2]) != geometry.nearest_tpc(after.centre[:, 2]))
    if through:
        notes.append(f"{through} of {len(after)} deposits went through a cathode into another drift volume")
    left = np.count_nonzero(geometry.active(before) & ~geometry.active(after))
    if left:
        notes.append(f"{left} of {len(after)} deposits left the active volume")
    return tuple(notes)


def directions(segments: Segments, along: Along, geometry: DetectorGeometry) -> Floats:
    """`(n, 3)` unit vectors along an axis, or away from the anode of the drift volume that holds the centre."""
    unit = np.zeros((len(segments), 3))
    if along == "drift":
        unit[:, 2] = geometry.outward(geometry.nearest_tpc(segments.centre[:, 2]))
    else:
        unit[:, "xyz".index(along)] = 1.0
    return unit


def shifted(segments: Segments, shift: Floats) -> Segments:
    """Segments moved by `shift` `(n, 3)` [cm]."""
    return consistent(segments.replace(start=segments.start + shift, end=segments.end + shift))
