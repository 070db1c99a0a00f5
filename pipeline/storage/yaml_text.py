"""YAML files read with the place of every key, so that errors can point at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError

Key = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlText:
    """The content of a YAML file and the line of every key."""

    origin: str
    content: dict[str, Any]
    lines: Mapping[Key, int] = field(default_factory=dict)

    def place(self, key: Key) -> str:
        """`file, line n` of `key`, or of the nearest key above it that has a line."""
        for depth in range(len(key), 0, -1):
            if key[:depth] in self.lines:
                return f"{self.origin}, line {self.lines[key[:depth]]}"
        return self.origin


def read_yaml(path: Path | str) -> YamlText:
    """Read a file that holds one YAML mapping; an empty file holds an empty one.

    Raises `ConfigError` for files that are missing, unreadable, not text, not YAML, not a mapping, or give a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file; give a YAML file.") from error
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; check the name of the file.") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path} is a folder; give a YAML file.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, origin: str) -> YamlText:
    """Parse one YAML mapping; `origin` names it in errors (see `read_yaml`)."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_lines(node, (), origin, ())) if node is not None else {}
        content = yaml.safe_load(text)
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{origin}, line {mark.line + 1}" if mark else origin
        raise ConfigError(f"{place}: this is not valid YAML ({error.problem or error.context}).") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{origin} is not a text file of YAML; check that it is the right file.") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{origin} must hold settings as `key: value`, not {_kind(content)}.")
    return YamlText(origin, _with_text_keys(content), lines)


def _lines(node: yaml.Node, key: Key, origin: str, above: tuple[yaml.Node, ...]) -> Iterator[tuple[Key, int]]:
    """The line of every key below `node`; refuses keys that are given twice and nodes that hold themselves."""
    if any(node is other for other in above):
        raise ConfigError(f"{origin}, line {node.start_mark.line + 1}: {dotted(key)} refers to itself; write it out.")
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        here: dict[str, int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            text = str(name.value)
            if text in here and text != "<<":
                twice = dotted((*key, text))
                raise ConfigError(f"{origin}, line {line}: {twice} stands in line {here[text]} already; keep one.")
            here[text] = line
            yield (*key, text), line
            yield from _lines(value, (*key, text), origin, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*key, index), value.start_mark.line + 1
            yield from _lines(value, (*key, index), origin, above)


def _with_text_keys(value: Any) -> Any:
    """`value` with every key as text: YAML reads the keys 1, yes and 2024-01-01 as other things."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(inner) for key, inner in value.items()}
    return [_with_text_keys(inner) for inner in value] if isinstance(value, list) else value


def dotted(key: Key) -> str:
    """`select.min_track_length_cm`; list entries as `tpcs[0].z_anode`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _kind(content: object) -> str:
    return "a list" if isinstance(content, list) else f"only {str(content)[:40]!r}"
