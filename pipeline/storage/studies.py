"""Results of studies: JSON of plain numbers, and the figures with their tables that are drawn from them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class DrawnStudy:
    """What `gradcal draw` wrote: `figure` (SVG), `caption`, and the table `head` and `rows`."""

    name: str
    title: str
    caption: str
    figure: bytes
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def read_drawn_study(path: Path) -> DrawnStudy:
    """The figure of a study at `path` (.svg), with the caption and the table that stand beside it (.md, .csv).

    Raises `FileFormatError` if one of them is missing or no such file.
    """
    try:
        figure = path.read_bytes()
        title, _, caption, *_ = path.with_suffix(".md").read_text(encoding="utf-8").split("\n")
        with path.with_suffix(".csv").open(newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
    except (OSError, ValueError, csv.Error) as error:
        raise FileFormatError(
            f"{path}: this, with the .md and .csv beside it, is not what `gradcal draw` writes; make it anew."
        ) from error
    if b"<svg" not in figure or not title.startswith("# "):
        raise FileFormatError(f"{path}: this is no figure of `gradcal draw`; make it anew.")
    return DrawnStudy(path.stem, title.removeprefix("# "), caption, figure, head, rows)
