"""Sentences for what is wrong with a file of settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..names import nearest
from ..storage.yaml_text import Key, dotted

_KINDS = {
    "int_": "a whole number",
    "float_": "a number",
    "string_type": "text",
    "bool_": "true or false",
    "tuple_": "a list",
    "dict_": "settings as `key: value`",
    "model_": "settings as `key: value`",
}

_BOUNDS = {
    "greater_than": "above {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "string_pattern_mismatch": "a name of letters, digits, `_`, `.`, `-` that starts with a letter or digit",
}


def describe(error: ValidationError, model: type[BaseModel], place: Callable[[Key], str]) -> str:
    """One sentence for a validation error of `model`; `place` gives file and line of a key."""
    problems = error.errors(include_url=False)
    first = problems[0]
    key, section = located(first["loc"], model)
    sentence = f"{place(key)}: {_problem(first, key, model, section)}"
    others = len(problems) - 1
    return f"{sentence} ({others} more to mend after this one)" if others else sentence


def describe_all(error: ValidationError, model: type[BaseModel], place: Callable[[Key], str]) -> list[str]:
    """A sentence for everything that a validation error of `model` complains about; arguments as for `describe`."""
    sentences = []
    for problem in error.errors(include_url=False):
        key, section = located(problem["loc"], model)
        sentences.append(f"{place(key)}: {_problem(problem, key, model, section)}")
    return sentences


def located(loc: Key, model: type[BaseModel]) -> tuple[Key, Any]:
    """Where in a file the location of an error in `model` is, and the model or type that holds its last key.

    pydantic puts into a location what no file has: the mark of a key, and the kind of an entry that has a choice.
    """
    key: list[str | int] = []
    here: Any = model
    above: Any = model
    for part in loc:
        choices = _choices(here)
        if part == "[key]":
            continue
        if part in choices:
            here = choices[str(part)]
            continue
        key.append(part)
        above, here = here, _below(here, part)
    return tuple(key), above


def _choices(annotation: Any) -> dict[str, type[BaseModel]]:
    """The models among which the value of one of their keys chooses, by this value; empty for any other annotation."""
    if get_origin(annotation) is not Annotated:
        return {}
    inner, *marks = get_args(annotation)
    names = [m.discriminator for m in marks if isinstance(m, FieldInfo) and isinstance(m.discriminator, str)]
    return {str(choice.model_fields[name].default): choice for name in names for choice in get_args(inner)}


def _below(annotation: Any, part: str | int) -> Any:
    """The annotation of an entry or a key of what has `annotation`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return None if field is None else field.annotation
    arguments = [a for a in get_args(annotation) if a not in (NoneType, Ellipsis)]
    if not arguments:
        return None
    if get_origin(annotation) in (dict, tuple, list):
        return arguments[-1]
    return _below(arguments[0], part)


def _problem(error: ErrorDetails, key: Key, model: type[BaseModel], section: Any) -> str:
    name, kind, context = dotted(key), error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        sentence = f"{name} is not a setting; did you mean {_meant(key, model, section)}?"
        # What an entry of a list may hold depends on its kind, so no file shows it.
        entry = len(key) > 1 and isinstance(key[-2], int) and _inner(section)
        return f"{sentence} There are {', '.join(entry.model_fields)}." if entry else sentence
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _kind(error, name, list(_choices(_below(section, key[-1]))))
    if kind == "missing":
        return f"{name} is missing; add it."
    if kind in ("value_error", "assertion_error"):
        return _told(str(context["error"]), name)
    if kind in ("too_short", "too_long"):
        bound = context.get("min_length") if kind == "too_short" else context.get("max_length")
        return f"{name} needs {bound} {'or more ' if kind == 'too_short' else ''}entries, not {_shown(error['input'])}."
    if kind in _BOUNDS:
        return f"{name} must be {_BOUNDS[kind].format(**context)}, not {_shown(error['input'])}."
    for prefix, expected in _KINDS.items():
        if kind.startswith(prefix):
            return f"{name} must be {expected}, not {_shown(error['input'])}."
    return f"{name} cannot be {_shown(error['input'])} ({error['msg'].lower()})."


def _told(reason: str, name: str) -> str:
    """What a validator says, behind the dotted name of the setting unless it names one below it itself."""
    place, colon, sentence = reason.partition(": ")
    if not name or reason.startswith(name):
        return reason
    return f"{name}: {sentence if colon and ' ' not in place else reason}"


def _kind(error: ErrorDetails, name: str, choices: list[str]) -> str:
    """What is wrong with the key that chooses among several kinds of entry."""
    context = error.get("ctx", {})
    key, given = str(context["discriminator"]).strip("'"), error["input"]
    if not isinstance(given, dict):
        return f"{name} must be settings as `key: value`, not {_shown(given)}."
    if key not in given:
        return f"{name}.{key} is missing; add it, one of {', '.join(choices)}."
    return (
        f"{name}.{key}: there is no {_shown(given[key])}; did you mean {nearest(str(given[key]), choices)!r}? "
        f"There are {', '.join(choices)}."
    )


def _meant(key: Key, model: type[BaseModel], section: Any) -> str:
    """The setting that an unknown key most likely stands for: the same name elsewhere, or the most alike beside it.

    `section` is the model that the key is unknown to. An entry of a list has nothing elsewhere that would fit.
    """
    wrong = str(key[-1])
    if not any(isinstance(part, int) for part in key):
        for found in _settings(model):
            if found[-1] == wrong:
                return dotted(found)
    section = _inner(section) or model
    return dotted((*key[:-1], nearest(wrong, section.model_fields)))


def _settings(model: type[BaseModel], above: Key = ()) -> Iterator[Key]:
    """Every fixed setting below `model` (entries of named sections, like methods, have no fixed name)."""
    for name, field in model.model_fields.items():
        yield (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, (*above, name))


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `dict[Name, Method]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if found := _inner(argument):
            return found
    return None


def _shown(value: object) -> str:
    """A value as the user wrote it, shortened."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return "a set of keys" if value else "an empty set"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
