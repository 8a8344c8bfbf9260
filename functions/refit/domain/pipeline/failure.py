"""Explain to a person the error that a state machine caught."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from refit.domain.pipeline.instance_quota import read_quota_error

# The program of a container failed. Its reason is often cut, or only an exit code.
_PROGRAM_FAILED = "AlgorithmError"


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
            job = str(details[f"{kind}Name"])
            has_log = kind == "TransformJob" or (
                kind == "TrainingJob" and _PROGRAM_FAILED in reason
            )
            advice = _log_advice(kind, job) if status == "Failed" and has_log else ""
            return Failure(f"{kind}{status}", f"{job}: {reason}{advice}")
    return Failure(name, cause)


def _log_advice(kind: str, job: str) -> str:
    return (
        f". More is in its log: aws logs tail /aws/sagemaker/{kind}s --log-stream-name-prefix "
        f"{job}/ --since 1d"
    )
