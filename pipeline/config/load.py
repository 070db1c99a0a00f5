"""Reading the configuration: every mistake becomes one sentence that says where it is and what is meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..errors import ConfigError
from ..storage.yaml_text import Key, YamlText, read_yaml
from .models import Config
from .problems import describe, describe_all, located


def load_config(path: Path | str | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration in a YAML file (None: the defaults), with `overrides` merged into it.

    Mappings merge key by key, anything else replaces. Raises `ConfigError`.
    """
    text = YamlText("configuration", {}) if path is None else read_yaml(path)
    return _validated(text, overrides or {})


def examine_config(text: YamlText) -> tuple[Config | None, list[str]]:
    """The configuration in a YAML file, or None and a sentence for every mistake in it."""
    try:
        return _lenient(text.content), []
    except ValidationError as error:
        return None, describe_all(error, Config, text.place)


def config_from_json(text: str) -> Config:
    """A configuration from JSON text; sections that are missing take their defaults. Raises `ConfigError`."""
    origin = "--config-json"
    try:
        content = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{origin}: this is not valid JSON ({error}).") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{origin} must be a JSON object of settings.")
    return _validated(YamlText(origin, content), {})


def config_slice(config: Config, *sections: str) -> dict[str, Any]:
    """The named settings as plain JSON-able data, laid out as in the configuration.

    A name is dotted: `seed`, `select`, `methods.gauss_newton`. Raises `KeyError` for names that do not exist.
    """
    everything = config.model_dump(mode="json")
    found: dict[str, Any] = {}
    for section in sections:
        *above, last = section.split(".")
        source, target = everything, found
        for name in above:
            source, target = source[name], target.setdefault(name, {})
        target[last] = deepcopy(source[last])
    return found


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `extra` merged into it, mapping by mapping."""
    result = dict(base)
    for name, value in extra.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _validated(text: YamlText, overrides: Mapping[str, Any]) -> Config:
    content = merged(text.content, overrides)
    try:
        return _lenient(content)
    except ValidationError as error:
        raise ConfigError(describe(error, Config, lambda key: _place(text, overrides, key))) from error


def _lenient(content: dict[str, Any]) -> Config:
    try:
        return _strict(content)
    except ValidationError as error:
        # Numbers that YAML or a command line hands over as text (4e-6, "5") are read again as what they look like.
        return _strict(
            _reread(content, [located(e["loc"], Config)[0] for e in error.errors() if isinstance(e["input"], str)])
        )


def _strict(content: Mapping[str, Any]) -> Config:
    # JSON has no tuples, so strict JSON takes lists for them, but neither `yes` nor "1" for a number.
    return Config.model_validate_json(json.dumps(content, default=str), strict=True)


def _reread(content: dict[str, Any], keys: list[Key]) -> dict[str, Any]:
    changed = deepcopy(content)
    for key in keys:
        parent: Any = changed
        try:
            for name in key[:-1]:
                parent = parent[name]
            value = parent[key[-1]]
            if isinstance(value, str):
                parent[key[-1]] = _scalar(value)
        except (KeyError, IndexError, TypeError):
            continue  # the error is about a key, or lies deeper than the content
    return changed


def _scalar(text: str) -> object:
    try:
        value = yaml.safe_load(text)
        return float(value) if isinstance(value, str) else value
    except (ValueError, yaml.YAMLError):
        return text


def _place(text: YamlText, overrides: Mapping[str, Any], key: Key) -> str:
    value: Any = overrides
    for name in key:
        if isinstance(value, list | tuple):  # a list replaces the one in the file, so it is this one
            return "command line"
        if not isinstance(value, Mapping) or name not in value:
            return text.place(key)
        value = value[name]
    return "command line" if key else text.origin


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"key {name!r} is given twice")
        result[name] = value
    return result
