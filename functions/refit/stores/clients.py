"""The boto3 clients, made when first used, and their errors in Refit's own words."""

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
_IMPATIENT = Config(
    retries={"mode": "standard", "max_attempts": 2}, connect_timeout=1, read_timeout=2
)
_CONFIGS = {"firehose": _IMPATIENT}
"""A caller waits for an answer while it is captured, and there is another way than the stream."""

_THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "TransactionInProgressException",
    }
)


@cache
def client(service: str) -> Any:
    """Return the one client of a service in this process."""
    return boto3.client(service, config=_CONFIGS.get(service, _CONFIG))  # type: ignore[call-overload]


def error_code(error: ClientError) -> str:
    """Return AWS's name of the error, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def passing_troubles_named() -> Iterator[None]:
    """Turn throttling, 5xx answers and lost connections into `ServiceThrottled`.

    Everything else passes as it is: an error nobody named is a defect, and must fail loudly.
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
