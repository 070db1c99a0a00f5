"""Segments as the rules of `pipeline.inspect` see them."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.models import Checks
from ..detector.geometry import DetectorGeometry
from ..tables import Bools, Ints, Segments
from .findings import Finding, Severity, of_rows


@dataclass(frozen=True)
class View:
    """The segments whose numbers mean something, with the `rows` of the file that they are, and what to hold them to.

    `late` is the limit on delays [us].
    """

    segments: Segments
    rows: Ints
    checks: Checks
    geometry: DetectorGeometry | None
    late: float

    def take(self, keep: Bools) -> View:
        """The same with fewer segments."""
        return View(self.segments.take(keep), self.rows[keep], self.checks, self.geometry, self.late)

    def rows_that(self, severity: Severity, rule: str, bad: Bools, what: str, advice: str) -> list[Finding]:
        """A finding about the segments marked `bad`."""
        return of_rows(severity, rule, bad, self.rows, "segments", what, advice)

    def settled(self, setting: str, bad: Bools, what: str, cause: str = "") -> list[Finding]:
        """A finding about segments with which commands deal as an entry of `checks` says."""
        action = getattr(self.checks, setting)
        done = {
            "refuse": f"commands refuse the file, as checks.{setting} is refuse",
            "drop": f"commands drop them (checks.{setting})",
            "repair": f"commands set them right from start, end and dE (checks.{setting})",
        }[action]
        severity: Severity = "error" if action == "refuse" else "warning"
        return self.rows_that(severity, setting, bad, what, f"{done}{cause}" + "." * (not cause.endswith("?")))
