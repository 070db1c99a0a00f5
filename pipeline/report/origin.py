"""Where numbers come from, in words: settings, inputs, code and packages, and links to the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .outcome import Fit

#: Characters of a hash that are shown; the whole stands in the tooltip.
_SHOWN = 12


def origin(name: str, provenance: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """The record of one file as rows of settings, inputs and code."""
    return {
        "name": name,
        "stage": provenance.get("stage", ""),
        "version": provenance.get("gradcal_version", ""),
        "settings": list(flat(provenance.get("config", {}))),
        "inputs": [_hash(k, v) for k, v in sorted(_mapping(provenance.get("inputs")).items())],
        "hashes": [
            _hash(label, str(provenance[key]))
            for label, key in (("settings", "config_hash"), ("code", "code_hash"))
            if key in provenance
        ],
        "files": list(files.items()),
    }


def flat(settings: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings as `section.name` and value, sorted."""
    if not isinstance(settings, Mapping) or not settings:
        if prefix:
            yield prefix, value_text(settings)
        return
    for name in sorted(settings):
        yield from flat(settings[name], f"{prefix}.{name}" if prefix else str(name))


def value_text(value: Any) -> str:
    """A setting as a person would write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value) if value != {} else "none"


def other_segments(fits: Sequence[Fit], used: str | None) -> list[str]:
    """Titles of fits that were made from other segments than the file with the hash `used`."""
    if used is None:
        return []
    made = [(fit.title, _mapping(fit.provenance.get("inputs")).get("segments")) for fit in fits]
    return [title for title, found in made if found is not None and found != used]


def packages(versions: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Packages and their versions, sorted by name."""
    return [(name, "not installed" if versions[name] is None else str(versions[name])) for name in sorted(versions)]


def _mapping(content: Any) -> Mapping[str, Any]:
    return content if isinstance(content, Mapping) else {}


def _hash(name: str, text: Any) -> dict[str, str]:
    return {"name": name, "short": str(text)[:_SHOWN], "whole": str(text)}
