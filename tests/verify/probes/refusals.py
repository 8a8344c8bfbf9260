"""SageMaker: how it refuses requests for what does not exist. The requests create nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.verify.probes.base import DIFFERS, HOLDS, Answer, Lab, Probe
from tests.verify.target import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING = f"{PREFIX}-nothing"
_MISSING = "ValidationException"
_MISSING_CONFIG = "Could not find endpoint configuration"


class MissingResources(Probe):
    name = "missing-resources"
    assumption = (
        "The description or deletion of an endpoint, endpoint config or model that does not exist "
        "is a ValidationException."
    )
    question = "With which error are the description and the deletion of nothing refused?"

    def ask(self, lab: Lab) -> Answer:
        sagemaker = lab.client("sagemaker")
        codes = {}
        for kind, member in (
            ("endpoint", "EndpointName"),
            ("endpoint_config", "EndpointConfigName"),
            ("model", "ModelName"),
        ):
            for operation in (f"describe_{kind}", f"delete_{kind}"):
                call = getattr(sagemaker, operation)
                codes[operation] = lab.attempt(operation, call, **{member: _NOTHING})
        others = {operation: code for operation, code in codes.items() if code != _MISSING}
        if others:
            return Answer(DIFFERS, f"Not all with {_MISSING}: {others}.")
        return Answer(HOLDS, f"All {len(codes)} with {_MISSING}.")


class MissingEndpointConfig(Probe):
    name = "missing-endpoint-config"
    assumption = (
        "CreateEndpoint refuses a config that it does not find with a message that has `Could not "
        "find endpoint configuration`."
    )
    question = "With which message is an endpoint refused whose config does not exist?"

    def ask(self, lab: Lab) -> Answer:
        request = {"EndpointName": lab.name("nothing"), "EndpointConfigName": _NOTHING}
        message = message_of(lab, lab.client("sagemaker").create_endpoint, **request)
        verdict = HOLDS if _MISSING_CONFIG in message else DIFFERS
        return Answer(verdict, f"With: {message}")


def message_of(lab: Lab, call: Callable[..., Any], **request: Any) -> str:
    """Send a request that AWS should refuse; return the message of its error."""
    try:
        call(**request)
    except ClientError as error:
        lab.evidence.append(f"{error.operation_name}: {error}")
        return str(error.response["Error"]["Message"])
    return "it is accepted"
