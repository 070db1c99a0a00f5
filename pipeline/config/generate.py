"""The commented `config.yaml` and the JSON schema, generated from the models so that they cannot disagree."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from .models import Config

_WIDTH = 120

_HEAD = """\
# The settings of gradcal and their defaults; what a file leaves out takes its default.
# Written by `gradcal config > config.yaml` from pipeline/config/models.py.
"""


def config_yaml() -> str:
    """The default configuration as YAML, with the explanation, unit and allowed values of every setting."""
    return _HEAD + "\n".join(_section(Config(), "")) + "\n"


def config_schema() -> str:
    """The JSON schema of the configuration."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(schema, indent=2, allow_nan=False) + "\n"


def _section(section: BaseModel, indent: str) -> Iterator[str]:
    schemas = type(section).model_json_schema()["properties"]
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        nested = isinstance(value, BaseModel) or _is_named_sections(value)
        if nested and not indent:
            yield ""
        if isinstance(value, BaseModel):
            yield from _line(f"{indent}{name}:", type(value).__doc__ or "", indent)
            yield from _section(value, indent + "  ")
        elif nested:
            yield from _line(f"{indent}{name}:", info.description or "", indent)
            for key, entry in value.items():
                yield from _line(f"{indent}  {key}:", type(entry).__doc__ or "", indent + "  ")
                yield from _section(entry, indent + "    ")
        else:
            allowed = ", ".join(_allowed(schemas[name]))
            comment = " ".join(filter(None, [info.description, f"({allowed})" if allowed else ""]))
            yield from _line(f"{indent}{name}: {_scalar(section, name)}", comment, indent)


def _is_named_sections(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(v, BaseModel) for v in value.values())


def _line(text: str, comment: str, indent: str) -> Iterator[str]:
    """A setting with its comment behind it, or above it where the line would be too long."""
    comment = " ".join(comment.split())
    if len(text) + len(comment) + 4 <= _WIDTH:
        yield f"{text}  # {comment}" if comment else text
        return
    yield from textwrap.wrap(comment, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    yield text


def _scalar(section: BaseModel, name: str) -> str:
    value = section.model_dump(mode="json", include={name})[name]
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _allowed(schema: dict[str, Any]) -> Iterator[str]:
    """The values that the JSON schema of a setting allows, in words."""
    for choice in schema.get("anyOf", [schema]):
        if "enum" in choice:
            yield " | ".join(str(value) for value in choice["enum"])
        bounds = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
        yield from (f"{sign} {choice[key]:g}" for key, sign in bounds.items() if key in choice)
