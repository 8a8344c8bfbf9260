"""The errors that the local SageMaker answers, in AWS's wire form.

ApiError                    anything a client gets instead of an answer
├── ValidationException         the request breaks a rule; SageMaker's answer to most mistakes
│   └── NotImplementedLocally       AWS could do it, this machine does not; names what
├── SerializationException      a value has the wrong JSON type
├── ResourceInUse               the name is taken
├── ResourceNotFound            no such job, package or group
├── ResourceLimitExceeded       more than the limit allows
├── ConflictException           the state of the resource forbids it
└── InvocationError             InvokeEndpoint's errors, with a status of their own
JobFailed                   ends a job; its text becomes the job's FailureReason
"""

from __future__ import annotations

from typing import Any

MAX_FAILURE_REASON = 1024


class ApiError(Exception):
    """Base of what a client gets instead of an answer."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        """The error code on the wire."""
        return type(self).__name__

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        return {"__type": self.code, "message": self.message}


class ValidationException(ApiError):
    """When a request breaks a rule of the service."""


class NotImplementedLocally(ValidationException):
    """When AWS's SageMaker can do what was asked and the local one cannot."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The local SageMaker does not implement {what}.")

    @property
    def code(self) -> str:
        """AWS has no code for it; SDKs raise it as a plain ClientError."""
        return "ValidationException"


class SerializationException(ApiError):
    """When a value of the request has the wrong JSON type."""


class ResourceInUse(ApiError):
    """When the name of a job is taken."""


class ResourceNotFound(ApiError):
    """When the named job does not exist."""


class ResourceLimitExceeded(ApiError):
    """When the machine or a limit of the service does not allow it."""


class ConflictException(ApiError):
    """When the state of a registry entry forbids the change."""


class InvocationError(ApiError):
    """An error of InvokeEndpoint.

    Args:
        code: AWS's error type, also sent as header `x-amzn-ErrorType`.
        status: the HTTP status.
        extra: further members of the body (ModelError has the container's answer).
    """

    def __init__(self, code: str, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self._code = code
        self.status = status
        self.extra = extra

    @property
    def code(self) -> str:
        """The error type that was given."""
        return self._code

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer; the runtime says `Message` with a capital."""
        return {"Message": self.message, **self.extra}


class JobFailed(Exception):
    """When a job or a fleet cannot go on; the text is the FailureReason a person reads."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))

    @property
    def reason(self) -> str:
        """At most 1024 characters."""
        return str(self)


def shortened(reason: str, suffix: str = "") -> str:
    """Return reason and suffix in at most 1024 characters; the suffix is never cut."""
    room = MAX_FAILURE_REASON - len(suffix)
    text = reason if len(reason) <= room else f"{reason[: room - 1]}…"
    return text + suffix
