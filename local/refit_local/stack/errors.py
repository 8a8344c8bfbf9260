"""Errors of starting, deploying and stopping the local stack. Each text says what to do.

StackError
├── PortTaken             another program listens on the port
├── StateFolderInUse      the state folder belongs to another stack or holds other files
├── StateFolderUnusable   the state folder cannot be read, written or deleted
├── StackBusy             another `up` or `down` is at work on this port
├── StackNotStarted       the server ended, or did not respond in time
├── DeployFailed          `sam build` or `sam deploy` failed; the text contains their output
└── StackNotStopped       a process of the local stack did not end
"""

from __future__ import annotations


class StackError(Exception):
    """Base of the errors of this package. The text is shown to the user."""


class PortTaken(StackError):
    """When another program listens on the port."""


class StateFolderInUse(StackError):
    """When the state folder belongs to a running local stack or holds other files."""


class StateFolderUnusable(StackError):
    """When the state folder, or the folder of the port, cannot be read, written or deleted."""


class StackBusy(StackError):
    """When another process is starting or ending the local stack of this port."""


class StackNotStarted(StackError):
    """When the server ended at once, or did not respond in time."""


class DeployFailed(StackError):
    """When the SAM CLI could not build or deploy the template."""


class StackNotStopped(StackError):
    """When a process of the local stack still runs after SIGKILL."""
