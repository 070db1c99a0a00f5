"""The record of what perturbations did; it goes into files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..tables import Floats, Ints


@dataclass(frozen=True)
class Drawn:
    """What was drawn for each track, or for each event where `traj_id` is None: `values` `(tracks,)` by name.

    `units` of those values that have one; x, y and z are those of the simulation frame.
    """

    event_id: Ints
    traj_id: Ints | None
    values: Mapping[str, Floats]
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """What one perturbation did: its settings as JSON text, what was drawn, and sentences about it."""

    settings: str
    drawn: Drawn | None
    notes: tuple[str, ...]
