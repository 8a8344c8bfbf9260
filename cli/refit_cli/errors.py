"""Errors that end a command, and their exit codes.

CommandError
├── RunFailed       1    the run or the request failed, or its outcome is not the requested one
├── Refused         1    the state of the model or stack does not allow it (409 of the API)
├── BadInput        2    an argument, a file or a value is invalid
├── NotReachable    3    no stack, no credentials, or no response
└── TimedOut        4    the --timeout has expired

130 is Ctrl-C. Any other exception (a traceback) is a defect in Refit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    NOT_REACHABLE = 3
    TIMED_OUT = 4
    INTERRUPTED = 130


class CommandError(Exception):
    """Base of the errors that end a command with one message instead of a traceback.

    Args:
        message: what happened, with the value that caused it and the values that are allowed.
        advice: what the user can do about it, as a separate sentence.
    """

    exit_code: ClassVar[ExitCode]

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class RunFailed(CommandError):
    """When a run, a request or the demo failed."""

    exit_code = ExitCode.FAILED


class Refused(CommandError):
    """When the state of the model or the stack does not allow what was requested."""

    exit_code = ExitCode.FAILED


class BadInput(CommandError):
    """When an argument, a file or a row is invalid."""

    exit_code = ExitCode.BAD_INPUT


def unknown_model(model: str, models: list[str], location: str) -> BadInput:
    """Return the error for a model that does not exist, with those that do."""
    return BadInput(
        f"there is no model {model!r} on {location}; models: {', '.join(models) or 'none'}",
        f"create it by uploading data: refit put {model} FILE",
    )


class NotReachable(CommandError):
    """When there is no stack, when credentials are missing or rejected, or nothing responds."""

    exit_code = ExitCode.NOT_REACHABLE


class TimedOut(CommandError):
    """When the timeout has expired."""

    exit_code = ExitCode.TIMED_OUT
