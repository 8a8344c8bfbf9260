"""What can end a command early, and the exit code each ending has.

CommandError
├── RunFailed       1    the work was done or tried, and its outcome is not the one asked for
├── BadInput        2    an argument, a file or a value is wrong; nothing was changed
├── NotReachable    3    no ground, no stack, no credentials, or no answer
└── TimedOut        4    the time given with --timeout is over

130 is Ctrl-C. Anything else (a traceback) is a defect of Refit.
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
    """Base of what ends a command with one clear message instead of a traceback.

    Args:
        message: what happened, with the value that caused it and what is allowed.
        advice: what to do about it, as a sentence of its own.
    """

    exit_code: ClassVar[ExitCode]

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class RunFailed(CommandError):
    """When a run, a request or the demo did not end as it was asked to."""

    exit_code = ExitCode.FAILED


class BadInput(CommandError):
    """When an argument, a file or a row cannot be used as it is."""

    exit_code = ExitCode.BAD_INPUT


class NotReachable(CommandError):
    """When there is nobody to talk to: no ground, stack, credentials or answer."""

    exit_code = ExitCode.NOT_REACHABLE


class TimedOut(CommandError):
    """When the deadline that was given has passed."""

    exit_code = ExitCode.TIMED_OUT
