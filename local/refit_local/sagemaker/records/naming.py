"""Kinds of resources, their ARNs, and the forms of times."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

TRAINING_JOB = "training-job"
TRANSFORM_JOB = "transform-job"
TUNING_JOB = "hyper-parameter-tuning-job"
MODEL = "model"
MODEL_PACKAGE_GROUP = "model-package-group"
MODEL_PACKAGE = "model-package"
ENDPOINT_CONFIG = "endpoint-config"
ENDPOINT = "endpoint"
KINDS = (
    TRAINING_JOB,
    TRANSFORM_JOB,
    TUNING_JOB,
    MODEL,
    MODEL_PACKAGE_GROUP,
    MODEL_PACKAGE,
    ENDPOINT_CONFIG,
    ENDPOINT,
)
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:([a-z-]+)/(.+)")


def resource_arn(region: str, account_id: str, kind: str, name: str) -> str:
    """Return the ARN of a resource; it has the name in lower case, as on AWS."""
    return f"arn:aws:sagemaker:{region}:{account_id}:{kind}/{name.lower()}"


def kind_and_name(arn: str) -> tuple[str, str] | None:
    """Return kind and lower-case name of an ARN, or None when it is not an ARN of SageMaker."""
    match = _ARN.fullmatch(arn)
    return (match[1], match[2]) if match else None


def name_of(arn_or_name: str) -> str:
    """Return the name of a resource that is given by ARN or by name."""
    parsed = kind_and_name(arn_or_name)
    return parsed[1] if parsed else arn_or_name


def now() -> float:
    """Return the time in epoch seconds, rounded to milliseconds."""
    return round(time.time(), 3)


def epoch_ms(seconds: float) -> int:
    """Return epoch seconds as whole milliseconds."""
    return round(seconds * 1000)


def iso_time(seconds: float) -> str:
    """Return epoch seconds as ISO 8601 with milliseconds, in UTC with a Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
