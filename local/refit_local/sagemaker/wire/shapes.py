"""Check a value against a shape of botocore's service model, with the messages of SageMaker."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import regex
from botocore.model import ListShape, MapShape, Shape, StructureShape

from refit_local.sagemaker.wire.errors import SerializationException

_MAX_SHOWN_CHARACTERS = 200
_JSON_KIND = {str: "STRING_VALUE", bool: "TRUE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}


@cache
def _compiled(pattern: str) -> regex.Pattern[str] | None:
    """Compile a pattern of the model, which is written for Java.

    As in Java, `.` matches no line separator, hence WORD. None for patterns of surrogate pairs,
    which only Athena's names have.
    """
    try:
        return regex.compile(pattern, regex.WORD)
    except regex.error:
        return None


@dataclass
class ShapeValidator:
    """Walks over a value and its shape.

    Attributes:
        violations: what breaks a constraint, one sentence each.
    """

    violations: list[str] = field(default_factory=list)

    def value(self, shape: Shape, value: Any, path: str = "") -> Any:
        """Return the value without null members and with whole numbers as integers.

        Raises:
            SerializationException: when a value has the wrong JSON type.
        """
        if isinstance(shape, StructureShape):
            return self._structure(shape, value, path)
        if isinstance(shape, ListShape):
            return self._list(shape, value, path)
        if isinstance(shape, MapShape):
            return self._map(shape, value, path)
        return self._scalar(shape, value, path)

    def _structure(self, shape: StructureShape, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise SerializationException(_unexpected(value))
        present = {name: item for name, item in value.items() if item is not None}
        for name in present:
            if name not in shape.members:
                self._unknown(shape, name, path)
        for name in shape.required_members:
            if name not in present:
                self.violations.append(
                    f"Value null at '{_below(path, name)}' failed to satisfy constraint: "
                    "Member must not be null"
                )
        if getattr(shape, "is_tagged_union", False) and len(present) != 1:
            self.violations.append(
                f"Value at '{path}' failed to satisfy constraint: exactly one of "
                f"[{', '.join(shape.members)}] must be given"
            )
        return {
            name: self.value(shape.members[name], item, _below(path, name))
            for name, item in present.items()
            if name in shape.members
        }

    def _unknown(self, shape: StructureShape, name: str, path: str) -> None:
        near = difflib.get_close_matches(name, shape.members, n=1)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        self.violations.append(
            f"Value at '{_below(path, name)}' failed to satisfy constraint: "
            f"{shape.name} has no member {name}{suggestion}"
        )

    def _list(self, shape: ListShape, value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise SerializationException(_unexpected(value))
        self._length(shape, len(value), value, path)
        return [
            self.value(shape.member, item, f"{path}.{index}.member")
            for index, item in enumerate(value, 1)
        ]

    def _map(self, shape: MapShape, value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise SerializationException(_unexpected(value))
        self._length(shape, len(value), value, path)
        for key in value:
            self.value(shape.key, key, f"{path}.key")
        return {k: self.value(shape.value, v, f"{path}.{k}") for k, v in value.items()}

    def _scalar(self, shape: Shape, value: Any, path: str) -> Any:
        kind = shape.type_name
        if kind in ("string", "character"):
            if not isinstance(value, str):
                raise SerializationException(f"{_kind(value)} can not be converted to a String")
            self._text(shape, value, path)
            return value
        if kind == "boolean":
            if not isinstance(value, bool):
                raise SerializationException(f"{_kind(value)} can not be converted to a Boolean")
            return value
        if kind in ("integer", "long"):
            value = int(value) if isinstance(value, float) and value.is_integer() else value
            if not isinstance(value, int) or isinstance(value, bool):
                raise SerializationException(f"{_kind(value)} can not be converted to an Integer")
            self._range(shape, value, path)
            return value
        if kind in ("float", "double", "timestamp"):
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                expected = "a Timestamp" if kind == "timestamp" else "a Float"
                raise SerializationException(f"{_kind(value)} can not be converted to {expected}")
            self._range(shape, value, path)
        return value

    def _text(self, shape: Shape, value: str, path: str) -> None:
        allowed = shape.metadata.get("enum")
        if allowed and value not in allowed:
            self._violated(
                value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]"
            )
            return
        self._length(shape, len(value), value, path)
        pattern = shape.metadata.get("pattern")
        compiled = _compiled(pattern) if pattern else None
        if compiled is not None and not compiled.fullmatch(value):
            self._violated(
                value, path, f"Member must satisfy regular expression pattern: {pattern}"
            )

    def _length(self, shape: Shape, length: int, value: Any, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if high is not None and length > high:
            self._violated(value, path, f"Member must have length less than or equal to {high}")
        if low is not None and length < low:
            self._violated(value, path, f"Member must have length greater than or equal to {low}")

    def _range(self, shape: Shape, value: float, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if high is not None and value > high:
            self._violated(value, path, f"Member must have value less than or equal to {high}")
        if low is not None and value < low:
            self._violated(value, path, f"Member must have value greater than or equal to {low}")

    def _violated(self, value: Any, path: str, constraint: str) -> None:
        text = str(value)
        shown = (
            text
            if len(text) <= _MAX_SHOWN_CHARACTERS
            else f"{text[: _MAX_SHOWN_CHARACTERS - 3]}..."
        )
        self.violations.append(
            f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"
        )


def _below(path: str, name: str) -> str:
    camel = name[:1].lower() + name[1:]
    return f"{path}.{camel}" if path else camel


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return _unexpected(value)
    return _JSON_KIND.get(type(value), "NULL_VALUE")


def _unexpected(value: Any) -> str:
    if isinstance(value, list):
        return "Start of list found where not expected"
    if isinstance(value, dict):
        return "Start of structure or map found where not expected"
    return "Unexpected token received from parser"
