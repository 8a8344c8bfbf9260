"""Check requests against botocore's own model of SageMaker, and say what is wrong as AWS does.

The same walk over a shape checks the service's own answers in the tests, keeps the members that an
answer may have, and turns timestamps into the form that events carry.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from refit_local.sagemaker.wire.errors import SerializationException, ValidationException

if TYPE_CHECKING:
    from collections.abc import Callable

# Python's `re` knows no Unicode categories. Each is replaced by what holds at least as much.
_CATEGORIES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{M}": r"\u0300-\u036f",
    r"\p{Z}": r" \u00a0\u2000-\u200b\u2028\u2029\u3000",
    r"\p{S}": r"\W",
    r"\p{P}": r"\W",
}
_JSON_KIND = {str: "STRING_VALUE", bool: "TRUE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """Return botocore's model of the service."""
    return botocore.session.get_session().get_service_model(service)


@cache
def operation_names() -> frozenset[str]:
    """Every operation that AWS's SageMaker has."""
    return frozenset(service_model().operation_names)


def checked_request(operation: str, payload: Any) -> dict[str, Any]:
    """Return the request with whole floats as integers and null members left out.

    Raises:
        ValidationException: when members are missing, unknown or break a constraint.
        SerializationException: when a value has the wrong JSON type.
    """
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        return {}
    walk = _ShapeValidator()
    checked = walk.value(shape, payload, "")
    walk.raise_found()
    return dict(checked)


def answer_violations(operation: str, answer: dict[str, Any]) -> list[str]:
    """Return what in an answer does not fit the operation's output shape; [] means it fits."""
    shape = service_model().operation_model(operation).output_shape
    if shape is None:
        return [f"unexpected member {name}" for name in answer]
    walk = _ShapeValidator()
    walk.value(shape, answer, "")
    return walk.found


def members_of(operation: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a stored record that the operation's answer has members for."""
    shape = service_model().operation_model(operation).output_shape
    names = shape.members if isinstance(shape, StructureShape) else {}
    return {name: record[name] for name in names if name in record}


def with_timestamps(
    operation: str, answer: dict[str, Any], form: Callable[[float], Any]
) -> dict[str, Any]:
    """Return the answer with each timestamp (epoch seconds) put in another form."""
    shape = service_model().operation_model(operation).output_shape
    return dict(_mapped(shape, answer, form))


def _mapped(shape: Shape | None, value: Any, form: Callable[[float], Any]) -> Any:
    if shape is None:
        return value
    if isinstance(shape, StructureShape):
        return {k: _mapped(shape.members.get(k), v, form) for k, v in value.items()}
    if isinstance(shape, ListShape):
        return [_mapped(shape.member, item, form) for item in value]
    if isinstance(shape, MapShape):
        return {k: _mapped(shape.value, v, form) for k, v in value.items()}
    return form(value) if shape.type_name == "timestamp" else value


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    for category, replacement in _CATEGORIES.items():
        pattern = pattern.replace(category, replacement)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


@dataclass
class _ShapeValidator:
    """One pass over a value and its shape, collecting everything that is wrong."""

    found: list[str] = field(default_factory=list)

    def raise_found(self) -> None:
        if self.found:
            count = len(self.found)
            noun = "error" if count == 1 else "errors"
            raise ValidationException(
                f"{count} validation {noun} detected: {'; '.join(self.found)}"
            )

    def value(self, shape: Shape, value: Any, path: str) -> Any:
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
        given = {name: item for name, item in value.items() if item is not None}
        for name in given:
            if name not in shape.members:
                self._unknown(shape, name, path)
        for name in shape.required_members:
            if name not in given:
                self.found.append(
                    f"Value null at '{_below(path, name)}' failed to satisfy constraint: "
                    "Member must not be null"
                )
        if getattr(shape, "is_tagged_union", False) and len(given) != 1:
            self.found.append(
                f"Value at '{path}' failed to satisfy constraint: exactly one of "
                f"[{', '.join(shape.members)}] must be given"
            )
        return {
            name: self.value(shape.members[name], item, _below(path, name))
            for name, item in given.items()
            if name in shape.members
        }

    def _unknown(self, shape: StructureShape, name: str, path: str) -> None:
        near = difflib.get_close_matches(name, shape.members, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        self.found.append(
            f"Value at '{_below(path, name)}' failed to satisfy constraint: "
            f"{shape.name} has no member {name}{meant}"
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
                wanted = "a Timestamp" if kind == "timestamp" else "a Float"
                raise SerializationException(f"{_kind(value)} can not be converted to {wanted}")
            self._range(shape, value, path)
        return value

    def _text(self, shape: Shape, value: str, path: str) -> None:
        allowed = shape.metadata.get("enum")
        if allowed and value not in allowed:
            self._broken(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
            return
        self._length(shape, len(value), value, path)
        pattern = shape.metadata.get("pattern")
        compiled = _compiled(pattern) if pattern else None
        if compiled is not None and not compiled.fullmatch(value):
            self._broken(value, path, f"Member must satisfy regular expression pattern: {pattern}")

    def _length(self, shape: Shape, length: int, value: Any, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if high is not None and length > high:
            self._broken(value, path, f"Member must have length less than or equal to {high}")
        if low is not None and length < low:
            self._broken(value, path, f"Member must have length greater than or equal to {low}")

    def _range(self, shape: Shape, value: float, path: str) -> None:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if high is not None and value > high:
            self._broken(value, path, f"Member must have value less than or equal to {high}")
        if low is not None and value < low:
            self._broken(value, path, f"Member must have value greater than or equal to {low}")

    def _broken(self, value: Any, path: str, constraint: str) -> None:
        text = str(value)
        shown = text if len(text) <= 200 else f"{text[:197]}..."
        self.found.append(f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}")


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
