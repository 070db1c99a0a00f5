"""The perturbations by name. Importing this imports no physics but their settings.

Adding one is a file with its settings and its function, and a line in `KINDS`: the configuration offers what stands
here. Nothing here may import `pipeline.config.models`, which imports this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from ..tables import Segments
from .base import Context, Perturbation, Perturbed
from .chord import Chord, chord
from .dedx_model import DedxModel, dedx_model
from .drop_segments import DropSegments, drop_segments
from .merge_segments import MergeSegments, merge_segments
from .resegment import Resegment, resegment
from .rotate import Rotate, rotate
from .scale_dedx import ScaleDedx, scale_dedx
from .shift import Shift, shift
from .shift_tracks import ShiftTracks, shift_tracks
from .smear_dedx import SmearDedx, smear_dedx
from .t0_offset import T0Offset, t0_offset


@dataclass(frozen=True)
class Kind:
    """A perturbation: its settings, and `apply(segments, settings, context)`."""

    settings: type[Perturbation]
    apply: Callable[[Segments, Any, Context], Perturbed]

    @property
    def name(self) -> str:
        """The value of `kind` in the configuration."""
        return str(self.settings.model_fields["kind"].default)


_ALL = (
    Kind(Shift, shift),
    Kind(ShiftTracks, shift_tracks),
    Kind(Rotate, rotate),
    Kind(Chord, chord),
    Kind(ScaleDedx, scale_dedx),
    Kind(SmearDedx, smear_dedx),
    Kind(Resegment, resegment),
    Kind(DedxModel, dedx_model),
    Kind(T0Offset, t0_offset),
    Kind(DropSegments, drop_segments),
    Kind(MergeSegments, merge_segments),
)

KINDS = {kind.name: kind for kind in _ALL}

if TYPE_CHECKING:
    AnyPerturbation: TypeAlias = Perturbation
else:
    #: The settings of any of them, told apart by `kind`.
    AnyPerturbation = Annotated[reduce(or_, (kind.settings for kind in _ALL)), Field(discriminator="kind")]
