"""Tables of texts, as files that people and programs read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of texts; `stem` names its files."""

    stem: str
    title: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def csv(self) -> str:
        """As comma-separated values."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.head, *self.rows])
        return stream.getvalue()

    def markdown(self) -> str:
        """As a table of Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
