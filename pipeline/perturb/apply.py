"""Perturbations applied one after the other, and the record of what each did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError, SegmentError
from ..tables import Segments
from .base import Along, Context, Perturbation
from .losses import Losses
from .record import Step
from .registry import KINDS


@dataclass(frozen=True)
class Result:
    """The perturbed segments and a step for each perturbation, in order."""

    segments: Segments
    steps: tuple[Step, ...]


def perturb(
    segments: Segments,
    perturbations: Sequence[Perturbation],
    geometry: DetectorGeometry,
    *,
    where: str,
    key: str,
) -> Result:
    """Apply perturbations in order; `where` (the file) and `key` (the setting) are named in errors.

    Raises `ConfigError` for settings that the detector or the sample contradicts, `SegmentError` where a perturbation
    leaves nothing or makes numbers that are not finite.
    """
    check_perturbations(perturbations, geometry, key)
    steps = []
    for number, settings in enumerate(perturbations):
        name = f"{key}[{number}]"
        try:
            # What overflows is refused below.
            with np.errstate(over="ignore", invalid="ignore"):
                result = KINDS[settings.kind].apply(segments, settings, Context(geometry, Losses()))
        except ConfigError as error:
            raise ConfigError(f"{name}.{error}") from error
        segments = result.segments
        if not len(segments):
            raise SegmentError(f"{where}: {name} ({settings.kind}) leaves no deposit; make it milder or take it out.")
        bad = [f.name for f in fields(segments) if not np.isfinite(getattr(segments, f.name)).all()]
        if bad:
            raise SegmentError(
                f"{where}: {name} ({settings.kind}) makes {bad[0]} too large for a number; make it milder."
            )
        text = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
        steps.append(Step(text, result.drawn, result.notes))
    return Result(segments, tuple(steps))


def check_perturbations(perturbations: Sequence[Perturbation], geometry: DetectorGeometry, key: str) -> None:
    """Refuse shifts that are larger than the detector; raises `ConfigError`, naming the setting below `key`."""
    low, high = geometry.bounds
    sizes: dict[Along, float] = {
        "x": high[0] - low[0],
        "y": high[1] - low[1],
        "z": high[2] - low[2],
        "drift": max(tpc.drift_length for tpc in geometry.tpcs),
    }
    for number, settings in enumerate(perturbations):
        for setting, along, distance in settings.displacements():
            if abs(distance) > sizes[along]:
                raise ConfigError(
                    f"{key}[{number}].{setting}: a shift by {abs(distance):g} cm is larger than {geometry.name}, "
                    f"{sizes[along]:.1f} cm along {along}; mm instead of cm?"
                )
