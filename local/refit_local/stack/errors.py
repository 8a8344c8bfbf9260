"""What can keep a local ground from standing. Each text says what to do about it.

StackError
├── PortTaken             another program listens on the port
├── StateFolderInUse      the folder for the state holds something else
├── GroundBusy            another `up` is starting the ground of this port
├── GroundNotStarted      the server ended, or did not answer in time
├── DeployFailed          `sam build` or `sam deploy` failed; holds their whole output
└── GroundNotEnded        a process of the ground could not be ended
"""

from __future__ import annotations


class StackError(Exception):
    """Base of every error of the ground's life. Its text is written for a person."""


class PortTaken(StackError):
    """When another program listens on the port."""


class StateFolderInUse(StackError):
    """When the folder for the state holds something that is no ground's."""


class GroundBusy(StackError):
    """When another process is starting the ground of this port."""


class GroundNotStarted(StackError):
    """When the server ended at once, or did not answer in time."""


class DeployFailed(StackError):
    """When the SAM CLI could not build or deploy the template."""


class GroundNotEnded(StackError):
    """When a process of the ground is still there after SIGKILL."""
