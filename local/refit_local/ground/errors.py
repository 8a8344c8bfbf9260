"""What can keep a local ground from standing. Each text says what to do about it.

GroundError
├── PortTaken             another program listens on the port
├── StateFolderInUse      the folder for the state holds something else
├── GroundBusy            another `up` is starting the ground of this port
├── GroundNotStarted      the server ended, or did not answer in time
├── DeployFailed          `sam build` or `sam deploy` failed; holds their whole output
└── GroundNotEnded        a process of the ground could not be ended
"""

from __future__ import annotations


class GroundError(Exception):
    """Base of every error of the ground's life. Its text is written for a person."""


class PortTaken(GroundError):
    """When another program listens on the port."""


class StateFolderInUse(GroundError):
    """When the folder for the state holds something that is no ground's."""


class GroundBusy(GroundError):
    """When another process is starting the ground of this port."""


class GroundNotStarted(GroundError):
    """When the server ended at once, or did not answer in time."""


class DeployFailed(GroundError):
    """When the SAM CLI could not build or deploy the template."""


class GroundNotEnded(GroundError):
    """When a process of the ground is still there after SIGKILL."""
