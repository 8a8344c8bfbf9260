"""Explain what is wrong in settings: each key, its value and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from refit.domain.allowed_values import Schema, allowed_values, definition_of, forms
from refit.domain.nearest_names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_SHOWN_CHARACTERS = 60


class _Place(NamedTuple):
    """A setting: its path, and the schema of its values."""

    path: tuple[str, ...]
    schema: Schema

    @property
    def where(self) -> str:
        *tables, key = self.path
        return f"[{'.'.join(tables)}] {key}" if tables else key


def shown_value(value: object) -> str:
    """Return a value as TOML writes it, shortened if it is long."""
    text = _toml(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        members = (f"{key} = {_toml(member)}" for key, member in value.items())
        return f"{{ {', '.join(members)} }}"
    return repr(value) if isinstance(value, str | int | float) else str(value)


def setting_messages(
    error: ValidationError,
    settings: type[BaseModel],
    document: Mapping[str, Any],
    gone: Mapping[tuple[str, str], str] | None = None,
) -> list[str]:
    """Return a message for each setting that is wrong.

    Args:
        error: of the validation of the document.
        settings: the class that the document was validated by.
        document: what was validated.
        gone: keys of earlier versions, by section and key, and why they are gone.
    """
    schema = _schema_of(settings)
    lines: dict[tuple[str, ...], str] = {}
    for problem in error.errors(include_url=False):
        loc = tuple(map(str, problem["loc"]))
        reason = (gone or {}).get((".".join(loc[:-1]), loc[-1] if loc else ""))
        if reason is not None:
            lines[loc] = f"[{'.'.join(loc[:-1])}] {loc[-1]} is no setting any more: {reason}; "
            lines[loc] += "delete the line"
        elif problem["type"] == "extra_forbidden":
            lines[loc] = _unknown_key(loc, schema, document)
        else:
            place = _place(loc, schema)
            lines.setdefault(place.path, _wrong_value(problem, place, schema, document))
    return list(lines.values())


@cache
def _schema_of(settings: type[BaseModel]) -> Schema:
    return settings.model_json_schema()


def _place(loc: Sequence[str], schema: Schema) -> _Place:
    """Return the setting of a problem, without the parts of its value and the kinds that it has."""
    definitions, node = schema.get("$defs", {}), schema
    path: list[str] = []
    for part in loc:
        if part in node.get("properties", {}):
            node = node["properties"][part]
        elif node.get("type") == "object":
            return _Place((*path, part), node.get("additionalProperties", {}))
        else:
            break
        path.append(part)
        if "properties" in (table := definition_of(node, definitions)):
            node = table
    return _Place(tuple(path), node)


def _wrong_value(
    problem: ErrorDetails, place: _Place, schema: Schema, document: Mapping[str, Any]
) -> str:
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and "properties" in place.schema:
        return _of_several_keys(text, place)
    if problem["type"] == "missing":
        return f"{place.where} is missing"
    value = _value_at(place.path, document)
    if problem["type"] == "model_type" and len(place.path) == 1:
        return (
            f"{place.where} = {shown_value(value)}: {place.where} is a section; write "
            f"[{place.where}] once, and its keys below it"
        )
    if problem["type"] != "value_error":
        text = _allowed(value, place, schema)
    return f"{place.where} = {shown_value(value)}: {text}"


def _of_several_keys(text: str, place: _Place) -> str:
    """Return a message about keys that do not fit together; it names them itself."""
    if not place.path or text.startswith("["):
        return text
    return f"[{'.'.join(place.path)}] {text}"


def _allowed(value: object, place: _Place, schema: Schema) -> str:
    definitions = schema.get("$defs", {})
    words = allowed_values(place.schema, definitions)
    if isinstance(value, str):
        choices = [c for form in forms(place.schema) for c in form.get("enum", ())]
        question = did_you_mean(value, choices)
        if place.schema.get("type") == "array":
            words += f", such as [{json.dumps(value, ensure_ascii=False)}]"
        elif not words.startswith(("text", "'", "table")):
            words += ", without quotes"
        return f"{question}allowed: {words}"
    return f"allowed: {words}"


def _value_at(path: Sequence[str], document: Mapping[str, Any]) -> object:
    value: object = document
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else value
    return value


def _unknown_key(loc: Sequence[str], schema: Schema, document: Mapping[str, Any]) -> str:
    *tables, key = loc
    sections = _keys_of_sections(schema)
    if not tables:
        return _unknown_section(key, sections, document)
    keys = _place(tables, schema).schema
    known = list(definition_of(keys, schema.get("$defs", {})).get("properties", ()))
    question = did_you_mean(key, known)
    if not question and (of := [name for name, own in sections.items() if key in own]):
        question = f"it is a key of {_sections(of)}. "
    return f"[{'.'.join(tables)}] {key} is not a known key; {question}allowed: {', '.join(known)}"


def _unknown_section(
    key: str, sections: Mapping[str, Sequence[str]], document: Mapping[str, Any]
) -> str:
    value = document[key]
    of = [name for name, keys in sections.items() if key in keys]
    written = f"{key} = {shown_value(value)}"
    if of and not isinstance(value, Mapping):
        return f"{written} is above any section; put it below {_sections(of)}"
    question = did_you_mean(key, sections)
    if not isinstance(value, Mapping):
        question = question or did_you_mean(key, [k for keys in sections.values() for k in keys])
        return (
            f"{written} is above any section, and no section has such a key; {question}sections: "
            f"{', '.join(sections)}"
        )
    return f"[{key}] is not a known key; {question}allowed: {', '.join(sections)}"


def _keys_of_sections(schema: Schema) -> dict[str, list[str]]:
    definitions = schema.get("$defs", {})
    return {
        name: list(definition_of(section, definitions).get("properties", ()))
        for name, section in schema["properties"].items()
    }


def _sections(names: Sequence[str]) -> str:
    return " or ".join(f"[{name}]" for name in names)
