"""Answers of a study that was interrupted, kept beside its output so that the next run need not find them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .atomic import atomic_output
from .provenance import Provenance


class KeptAnswers:
    """The answers of one output: `.<name>.checkpoint.jsonl` in its folder, a line for each.

    A line is only believed where it is undamaged, and where settings, inputs and code are those of the present run.
    """

    def __init__(self, output: Path, provenance: Provenance) -> None:
        self.path = output.with_name(f".{output.name}.checkpoint.jsonl")
        self._provenance = provenance.attributes()
        self._clean = False

    def found(self) -> Mapping[int, dict[str, Any]]:
        """Answers by the number of their job; floating-point numbers to the last bit."""
        return {number: answer for number, answer in map(self._read, self._lines()) if number is not None}

    def keep(self, number: int, answer: Mapping[str, Any]) -> None:
        """Add an answer, made of plain numbers, texts and lists."""
        if not self._clean:
            # What was not believed goes, above all the half of a line that the next would be written behind.
            with atomic_output(self.path) as temporary:
                temporary.write_text("".join(line + "\n" for line in self._believed()), encoding="utf-8")
            self._clean = True
        text = json.dumps({"job": number, "answer": answer})
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{self._key(text)} {text}\n")

    def remove(self) -> None:
        """Forget the answers of a finished study."""
        self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return []

    def _believed(self) -> list[str]:
        return [line for line in self._lines() if self._read(line)[0] is not None]

    def _read(self, line: str) -> tuple[int | None, dict[str, Any]]:
        key, _, text = line.partition(" ")
        if key != self._key(text):
            return None, {}
        content = json.loads(text)
        return int(content["job"]), dict(content["answer"])

    def _key(self, text: str) -> str:
        """SHA-256 of what made the answer and of the answer."""
        return hashlib.sha256(json.dumps([self._provenance, text], sort_keys=True).encode()).hexdigest()
