"""Say in words which values a setting allows, by its JSON schema.

docs/settings.md and the messages about wrong settings say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Schema = dict[str, Any]

_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true/false",
    "array": "list of texts",
    "null": "none",
}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def allowed_values(
    schema: Schema, definitions: Mapping[str, Schema], quoted: Callable[[str], str] = repr
) -> str:
    """Return what a setting allows, such as `whole number, ≥ 0, ≤ 20`.

    Args:
        schema: of the setting.
        definitions: the schemas of tables, by name.
        quoted: how a text is shown that may be written.
    """
    if "anyOf" in schema:
        kinds = list(
            dict.fromkeys(allowed_values(part, definitions, quoted) for part in forms(schema))
        )
        *others, last = [kind for kind in kinds if kind != "whole number" or "number" not in kinds]
        return f"{', '.join(others)} or {last}" if others else last
    if "$ref" in schema:
        return allowed_values(definition_of(schema, definitions), definitions, quoted)
    if "properties" in schema:
        return f"table of {', '.join(schema['properties'])}"
    if "enum" in schema:
        return ", ".join(map(quoted, schema["enum"]))
    if "const" in schema:
        return quoted(schema["const"])
    kind = _WORDS.get(schema.get("type", ""), "table of names and values")
    limits = [f"{sign} {schema[key]:,}" for key, sign in _BOUNDS.items() if key in schema]
    if "maxLength" in schema:
        kind = f"text of {schema.get('minLength', 0)} to {schema['maxLength']} characters"
    limits += [f"such as {quoted(example)}" for example in schema.get("examples", ())]
    return ", ".join([kind, *limits])


def forms(schema: Schema) -> list[Schema]:
    """Return the schemas of which a value may fit one, without that of a missing value."""
    return [part for part in schema.get("anyOf", [schema]) if part != {"type": "null"}]


def definition_of(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema that another one refers to, also if the value may be missing."""
    only, *others = forms(schema)
    if others or "$ref" not in only:
        return schema if others else only
    return definitions[only["$ref"].rpartition("/")[2]]
