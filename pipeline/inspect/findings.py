"""What is said about a file: facts, and findings about what is wrong or suspicious in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..tables import Bools, Floats, Ints

#: From worst to least: a command refuses the file; its numbers may mislead; worth knowing.
Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One sentence: what, where, how many, first row, what to do.

    `rule` names what was looked at; `share` is the part of all rows that it is about, 1 where it is about the file.
    """

    severity: Severity
    rule: str
    text: str
    share: float = 1.0


@dataclass(frozen=True)
class Summary:
    """A file in words: what `kind` it is, facts as (name, text) in the order to show them, and findings."""

    kind: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether no command would refuse the file."""
        return all(finding.severity != "error" for finding in self.findings)


@contextmanager
def quiet() -> Iterator[None]:
    """Absurd numbers are findings; that they overflow or lose digits on the way is no news."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def event_numbers(numbers: Ints) -> str:
    """The numbers of events `(n,)`, sorted, in words."""
    return f"number {numbers[0]}" if len(numbers) == 1 else f"numbers {numbers[0]} to {numbers[-1]}"


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings, the worst first, of those alike what concerns most of the file, otherwise as they came."""
    return tuple(sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), -finding.share)))


def faults(sentences: Iterable[str], path: str, rule: str = "format") -> list[Finding]:
    """Errors from the sentences of a reader, which begin with the name of the file that the reader knows already."""
    return [Finding("error", rule, without(path, sentence)) for sentence in sentences]


def without(path: str, sentence: str) -> str:
    """A sentence about a file without its name, which the reader knows already."""
    rest = sentence.removeprefix(f"{path}: ").removeprefix(f"{path}, ")
    return f"it {rest[len(path) + 1 :]}" if rest.startswith(f"{path} ") else rest


def of_rows(
    severity: Severity, rule: str, bad: Bools, rows: Sequence[int] | Any, things: str, what: str, advice: str
) -> list[Finding]:
    """A finding about the rows `bad` `(n,)` of `things`, of which `rows` are the numbers in the file; none if none are.

    Reads "3 of 120 segments WHAT, first in row 17; ADVICE".
    """
    found = np.flatnonzero(bad)
    if not len(found):
        return []
    where = f"first in row {rows[found[0]]}" if len(found) > 1 else f"in row {rows[found[0]]}"
    text = f"{len(found)} of {len(bad)} {things} {what}, {where}; {advice}"
    return [Finding(severity, rule, text, len(found) / len(bad))]


def verdict(findings: Sequence[Finding]) -> str:
    """One line: whether the file can be used, and how much there is to say about it."""
    counts = {severity: sum(f.severity == severity for f in findings) for severity in SEVERITIES}
    said = [counted(n, severity) for severity, n in counts.items() if n]
    if counts["error"]:
        return f"not usable: {' and '.join(said) if len(said) < 3 else ', '.join(said)}."
    if not said:
        return "usable; nothing wrong or suspicious was found."
    return f"usable, with {' and '.join(said)}."


def counted(n: int, thing: str) -> str:
    """A number and what is counted, in the plural where there is not one of it: `2 errors`, `1,000 hits`."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def spread(values: Floats, unit: str = "", form: str = ".4g") -> str:
    """Range and median of the finite numbers: `0.1 to 12, median 2.1 MeV`."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "no finite number"
    low, middle, high = (format(float(v), form) for v in np.percentile(finite, (0, 50, 100)))
    text = low if low == high else f"{low} to {high}, median {middle}"
    return f"{text} {unit}".rstrip()


def numbered(values: Any, most: int = 5) -> str:
    """The first of some numbers in words: `3, 7, 9 and 12 more`."""
    shown = ", ".join(str(int(value)) for value in values[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most:,} more"
