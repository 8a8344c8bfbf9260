"""Events that several handlers receive from the state machines."""

from __future__ import annotations

from pydantic import BaseModel


class RunRequest(BaseModel):
    """A step of a run; its other keys are not read."""

    model: str
    run: str


class BatchRequest(BaseModel):
    """A step of a batch prediction; its other keys are not read."""

    model: str
    batch: str


class DeploymentPlan(RunRequest):
    """The output of PlanDeployment, which the later steps of a deployment receive.

    Attributes:
        name: of the SageMaker model and endpoint config of this deployment.
    """

    version: int
    package_arn: str
    name: str
    endpoint: str
    variant: str
