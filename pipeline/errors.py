"""Errors that are the user's to mend: one sentence each, never a traceback."""

from __future__ import annotations


class GradcalError(Exception):
    """Base of every error that a command reports in one sentence and exit status 2.

    The sentence says what is wrong, where (file, key, row), and what to do.
    """


class ConfigError(GradcalError, ValueError):
    """The configuration cannot be used; a ValueError too, so that pydantic adds the place if a validator raises it."""


class FileFormatError(GradcalError):
    """A file is missing, truncated, foreign or lacks what is needed."""


class SegmentError(GradcalError):
    """The energy deposits in a file are unusable (numbers or geometry)."""


class SelectionError(GradcalError):
    """A selection leaves nothing to work on."""


class ReconstructionError(GradcalError):
    """Hits hold nothing that can be reconstructed."""


class ModelRangeError(GradcalError):
    """Parameter values lie outside what the forward model can compute."""


class MemoryLimitError(GradcalError):
    """The work would need more memory than the configuration allows."""


class FitError(GradcalError):
    """A fit cannot be set up (nothing free, nothing matched, wrong names)."""


class ExternalProgramError(GradcalError):
    """A program that is run from here, such as edep-sim, failed or wrote nothing that can be used."""


class HitsError(GradcalError):
    """Hits that were recorded elsewhere are unusable (numbers, pixels, times)."""
