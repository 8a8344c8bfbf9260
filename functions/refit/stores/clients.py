"""Create boto3 clients, and translate transient errors of AWS."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from refit.domain.errors import ServiceThrottled

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=70
)
_SHORT_TIMEOUTS = Config(
    retries={"mode": "standard", "max_attempts": 2}, connect_timeout=1, read_timeout=2
)
_CONFIGS = {"firehose": _SHORT_TIMEOUTS}
"""Firehose has short timeouts, because callers of the predict API wait and S3 is the fallback."""

_THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)


@cache
def lambda_client(service: str) -> Any:
    """Return the client of a service, which is created once per process."""
    return boto3.client(service, config=_CONFIGS.get(service, _CONFIG))  # type: ignore[call-overload]


def error_code(error: ClientError) -> str:
    """Return the error code of AWS, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_write_conflict(error: ServiceThrottled) -> bool:
    """Return whether a single write met a running transaction on its item."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and error_code(cause) == "TransactionConflictException"


@contextmanager
def translate_transient_errors() -> Iterator[None]:
    """Raise `ServiceThrottled` for throttling, 5xx responses and lost connections.

    All other errors are defects and are not caught.
    """
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if error_code(error) in _THROTTLES or status >= 500:
            raise ServiceThrottled(str(error)) from error
        raise
    except (ConnectionError, HTTPClientError) as error:
        raise ServiceThrottled(str(error)) from error
