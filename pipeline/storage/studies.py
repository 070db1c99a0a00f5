"""Results of studies: JSON of plain numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..errors import FileFormatError

#: Samples name files of figures: no path may come in by them.
_SAMPLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def read_study(path: Path) -> dict[str, Any]:
    """The numbers of a study, with its name (`study`) and its sample (None for a study of none).

    Raises `FileFormatError` for other files.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path}: this is no result of `gradcal study` (not JSON); make it anew.") from error
    if not isinstance(content, dict) or not isinstance(content.get("study"), str) or "sample" not in content:
        raise FileFormatError(f"{path}: this is no result of `gradcal study`; make it anew.")
    sample = content["sample"]
    if sample is not None and not (isinstance(sample, str) and _SAMPLE.fullmatch(sample)):
        raise FileFormatError(f"{path}: {sample!r} cannot be the name of a sample; rename its file and make it anew.")
    return content
