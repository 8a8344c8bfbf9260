"""boto3 clients that record requests or fail, and a record of the waits between retries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError
from refit.stores.retries import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable


def client_error(code: str, operation: str = "Operation", **details: Any) -> ClientError:
    """Return the ClientError that boto3 raises for an AWS error code."""
    response: Any = {"Error": {"Code": code, "Message": f"({code})"}, **details}
    return ClientError(response, operation)


class RequestLog:
    """Records the parameters of some operations of a client while the context is open."""

    def __init__(self, client: Any, service: str, *operations: str) -> None:
        self._events = client.meta.events
        self._names = [f"provide-client-params.{service}.{name}" for name in operations]
        self.requests: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        for name in self._names:
            self._events.register(name, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self._events.unregister(name, self._record)

    def _record(self, params: dict[str, Any], **_: Any) -> None:
        self.requests.append(params)


class RecordingClient:
    """A client that keeps the latest request of each operation."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.requests: dict[str, dict[str, Any]] = {}

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.requests[operation] = request
            return getattr(self._client, operation)(**request)

        return call


class FailingClient:
    """A client whose given operations raise an error; all other operations work."""

    def __init__(self, client: Any, **errors: Exception) -> None:
        self._client = client
        self._errors = errors

    def __getattr__(self, operation: str) -> Any:
        if operation in self._errors:
            return _raising(self._errors[operation])
        return getattr(self._client, operation)


class RepeatingClient:
    """A client that sends each deletion twice, as botocore does after a lost answer."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)
        if not operation.startswith("delete_"):
            return call

        def twice(**request: Any) -> Any:
            call(**request)
            return call(**request)

        return twice


def _raising(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


class CancelledTransactions:
    """A client whose first transactions are cancelled for the given reasons."""

    def __init__(self, client: Any, *cancellations: list[str | None]) -> None:
        self._client = client
        self._cancellations = list(cancellations)
        self.calls = 0

    def transact_write_items(self, **request: Any) -> Any:
        self.calls += 1
        if not self._cancellations:
            return self._client.transact_write_items(**request)
        reasons = [{"Code": code} for code in self._cancellations.pop(0)]
        raise client_error("TransactionCanceledException", CancellationReasons=reasons)


@dataclass
class Waits:
    """Records how long a retry policy would have waited."""

    seconds: list[float] = field(default_factory=list)

    def policy(self, max_attempts: int = 4) -> RetryPolicy:
        return RetryPolicy(max_attempts, initial_backoff_s=0.1, sleep=self.seconds.append)
