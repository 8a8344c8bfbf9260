"""ARNs, times and the kinds of resources the local SageMaker holds."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

TRAINING_JOB = "training-job"
TRANSFORM_JOB = "transform-job"
MODEL = "model"
MODEL_PACKAGE_GROUP = "model-package-group"
MODEL_PACKAGE = "model-package"
ENDPOINT_CONFIG = "endpoint-config"
ENDPOINT = "endpoint"
KINDS = (
    TRAINING_JOB,
    TRANSFORM_JOB,
    MODEL,
    MODEL_PACKAGE_GROUP,
    MODEL_PACKAGE,
    ENDPOINT_CONFIG,
    ENDPOINT,
)
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:([a-z-]+)/(.+)")


def resource_arn(region: str, account_id: str, kind: str, name: str) -> str:
    """Return the ARN of a resource; AWS writes the name in lower case there."""
    return f"arn:aws:sagemaker:{region}:{account_id}:{kind}/{name.lower()}"


def kind_and_name(arn: str) -> tuple[str, str] | None:
    """Return (kind, lower-cased name) of an ARN, or None when it is not one of SageMaker's."""
    match = _ARN.fullmatch(arn)
    return (match[1], match[2]) if match else None


def name_of(arn_or_name: str) -> str:
    """Return the name where the API takes an ARN or a name."""
    parsed = kind_and_name(arn_or_name)
    return parsed[1] if parsed else arn_or_name


def now() -> float:
    """The time in epoch seconds, to the millisecond as AWS answers it."""
    return round(time.time(), 3)


def epoch_ms(seconds: float) -> int:
    """Epoch seconds as the whole milliseconds of an event."""
    return round(seconds * 1000)


def iso_time(seconds: float) -> str:
    """Epoch seconds as ISO 8601 with milliseconds and a Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
