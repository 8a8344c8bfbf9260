"""Every test here runs against the stack in moto."""

from tests.support.aws_stack import stack, started_moto
from tests.support.deployable_version import sagemaker

__all__ = ["sagemaker", "stack", "started_moto"]
