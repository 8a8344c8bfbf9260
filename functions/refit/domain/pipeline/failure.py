"""Explain to a person the error that a state machine caught."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from refit.domain.pipeline.instance_quota import read_quota_error


@dataclass(frozen=True)
class Failure:
    """The public name of an error, and its message."""

    name: str
    message: str


def explain_failure(caught: dict[str, Any]) -> Failure:
    """Read the error output of a state: `{"Error", "Cause"}`.

    The Cause of a Lambda is JSON with errorMessage; that of a SageMaker job is the job's
    description as JSON with FailureReason; anything else is text. A quota is explained.
    """
    name = str(caught.get("Error") or "Unknown")
    cause = str(caught.get("Cause") or "no cause was given")
    try:
        details = json.loads(cause)
    except ValueError:
        quota = read_quota_error(cause)
        return Failure(name, quota.explanation if quota else cause)
    if not isinstance(details, dict):
        return Failure(name, cause)
    if "errorMessage" in details:
        return Failure(str(details.get("errorType") or name), str(details["errorMessage"]))
    for kind in ("TrainingJob", "TransformJob", "HyperParameterTuningJob"):
        if f"{kind}Name" in details:
            status = str(details.get(f"{kind}Status", "Failed"))
            reason = str(details.get("FailureReason") or f"the job is {status}")
            return Failure(f"{kind}{status}", f"{details[f'{kind}Name']}: {reason}")
    return Failure(name, cause)
