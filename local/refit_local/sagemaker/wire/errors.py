"""The errors of the local SageMaker, in the wire form of AWS.

ApiError                    base of all errors that a client receives
├── ValidationException         the request breaks a rule; SageMaker's answer to most mistakes
│   └── NotImplementedLocally       AWS supports the request, the local SageMaker does not
├── SerializationException      a value has the wrong JSON type
├── ResourceInUse               the name of a job is taken
├── ResourceNotFound            the resource does not exist
├── ResourceLimitExceeded       a limit of the service forbids the request
├── ConflictException           the state of the resource forbids the request
└── InvocationError             the errors of InvokeEndpoint, each with an HTTP status
JobFailed                   ends a job or a deployment; its text becomes the FailureReason

Source  docs/sagemaker-contract.md, "Errors and limits"
"""

from __future__ import annotations

from typing import Any

MAX_FAILURE_REASON = 1024


class ApiError(Exception):
    """Base of all errors that a client receives."""

    status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def code(self) -> str:
        """The error type, which SDKs raise as an exception of that name."""
        return type(self).__name__

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the answer."""
        return {"__type": self.code, "message": self.message}


class ValidationException(ApiError):
    """When a request breaks a rule of the service."""


class NotImplementedLocally(ValidationException):
    """When AWS supports the request and the local SageMaker does not.

    Args:
        what: the unsupported feature, as the object of the sentence.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"The local SageMaker does not implement {what}.")

    @property
    def code(self) -> str:
        """AWS has no code for this case; SDKs raise a ClientError."""
        return "ValidationException"


class SerializationException(ApiError):
    """When a value of the request has the wrong JSON type."""


class ResourceInUse(ApiError):
    """When the name of a job is taken."""


class ResourceNotFound(ApiError):
    """When the resource does not exist."""


class ResourceLimitExceeded(ApiError):
    """When a limit of the service forbids the request."""


class ConflictException(ApiError):
    """When the state of a resource of the model registry forbids the request."""


class InvocationError(ApiError):
    """An error of InvokeEndpoint.

    Args:
        code: the error type, also sent in the header `x-amzn-ErrorType`.
        status: the HTTP status.
        extra: further members of the body; a ModelError has the answer of the container.
    """

    def __init__(self, code: str, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self._code = code
        self.status = status
        self.extra = extra

    @property
    def code(self) -> str:
        """The error type."""
        return self._code

    def body(self) -> dict[str, Any]:
        """Return the JSON body; the runtime API writes `Message` with a capital letter."""
        return {"Message": self.message, **self.extra}


class JobFailed(Exception):
    """When a job or a deployment cannot go on; the text is its FailureReason."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))

    @property
    def reason(self) -> str:
        """The FailureReason, at most 1,024 characters."""
        return str(self)


def shortened(reason: str, suffix: str = "") -> str:
    """Return reason and suffix in at most 1,024 characters; only the reason is cut."""
    available = MAX_FAILURE_REASON - len(suffix)
    text = reason if len(reason) <= available else f"{reason[: available - 1]}…"
    return text + suffix
