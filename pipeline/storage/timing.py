"""What a command took, from the file beside its result."""

from __future__ import annotations

import json
from pathlib import Path


def seconds_of(result: Path) -> float | None:
    """Wall time of the command that wrote `result`, from `<stem>.timing.json` beside it; None where that tells none."""
    try:
        content = json.loads(result.with_suffix(".timing.json").read_text(encoding="utf-8"))
        return float(content["seconds"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
