"""Check requests against botocore's service model, with the error messages of AWS.

The service model also says which members of a record an answer has, and which of them are times.

Source  docs/sagemaker-contract.md, "Errors and limits"
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from refit_local.sagemaker.wire.errors import ValidationException
from refit_local.sagemaker.wire.shapes import ShapeValidator

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """Return botocore's model of the service."""
    return botocore.session.get_session().get_service_model(service)


@cache
def operation_names() -> frozenset[str]:
    """Return the names of all operations of SageMaker on AWS."""
    return frozenset(service_model().operation_names)


def checked_request(operation: str, payload: Any) -> dict[str, Any]:
    """Return the request without null members and with whole numbers as integers.

    Raises:
        ValidationException: when members are missing, unknown or break a constraint.
        SerializationException: when a value has the wrong JSON type.
    """
    shape = service_model().operation_model(operation).input_shape
    if shape is None:
        return {}
    validator = ShapeValidator()
    checked = validator.value(shape, payload)
    if violations := validator.violations:
        noun = "error" if len(violations) == 1 else "errors"
        raise ValidationException(
            f"{len(violations)} validation {noun} detected: {'; '.join(violations)}"
        )
    return dict(checked)


def members_of(operation: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a record that the answer of the operation has."""
    shape = service_model().operation_model(operation).output_shape
    names = shape.members if isinstance(shape, StructureShape) else {}
    return {name: record[name] for name in names if name in record}


def summaries_of(operation: str, records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the list in the answer of a List operation, with the members of its summaries."""
    shape = service_model().operation_model(operation).output_shape
    members = shape.members.items() if isinstance(shape, StructureShape) else ()
    for answer_member, member_shape in members:
        if isinstance(member_shape, ListShape) and isinstance(member_shape.member, StructureShape):
            names = member_shape.member.members
            return {
                answer_member: [
                    {name: record[name] for name in names if name in record} for record in records
                ]
            }
    raise ValueError(f"{operation} is not a List operation")


def with_timestamps(
    operation: str, answer: dict[str, Any], form: Callable[[float], Any]
) -> dict[str, Any]:
    """Return the answer with each timestamp converted by `form`, which gets epoch seconds."""
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
