"""Checks requests to SageMaker against the service model of botocore."""

from __future__ import annotations

from typing import Any

import botocore.session
from botocore.validate import ParamValidator

SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")


def assert_valid_request(operation: str, request: dict[str, Any]) -> None:
    """Fail if the request has an unknown, missing or invalid parameter."""
    shape = SAGEMAKER.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
