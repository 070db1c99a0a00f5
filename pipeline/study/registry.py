"""The studies by name: what each does and what it needs. Importing this imports no physics."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Study:
    """One study: `module` holds `run(config, segments, geometry, progress) -> dict` of plain numbers, and
    `table(result) -> str`.
    """

    name: str
    module: str
    summary: str

    def function(self, name: str) -> Callable[..., Any]:
        """`run` or `table` of the study's module."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        return found


_ALL = (Study("benchmark", "pipeline.study.benchmark", "time and memory of the forward model per cm of track"),)

STUDIES = {study.name: study for study in _ALL}
