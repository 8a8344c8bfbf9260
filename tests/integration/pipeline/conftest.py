"""Every test here runs against the stack in moto."""

from tests.support.aws_stack import stack, started_moto

__all__ = ["stack", "started_moto"]
