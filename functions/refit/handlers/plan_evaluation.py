"""Plan the batch predictions over the held-out rows, by the challenger and by the champion alike.

Invoked by  TRAIN state machine, state PlanEvaluation
Input       {"model", "run", "comparable", "training": {the job's name, image, artifacts}}
            events/plan_evaluation.json
Output      {"model_request", "challenger", "champion"}: a CreateModel request, and one
            CreateTransformJob request without its name for each side (champion: null without one)
Raises      DatasetNotFound, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.naming import ResourceNames, RunKeys
from refit.environment import environment
from refit.stores import store
from refit.telemetry import logger

TRANSFORM_INSTANCE = "ml.m5.large"


class Training(BaseModel):
    """The finished training job."""

    model_config = ConfigDict(extra="ignore")

    name: str
    image: str
    artifacts: str


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    comparable: bool
    training: Training


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the requests that the next states send to SageMaker."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    names = ResourceNames(environment().name_prefix, request.model)
    store.update_run(request.model, request.run, status=store.RunStatus.EVALUATING)
    champion = store.load_champion(request.model) if request.comparable else None
    return {
        "model_request": {
            "ModelName": request.training.name,
            "ExecutionRoleArn": environment().sagemaker_role_arn,
            "PrimaryContainer": {
                "Image": request.training.image,
                "ModelDataUrl": request.training.artifacts,
            },
        },
        "challenger": _transform_job(keys, names, "challenger", request.training.name),
        "champion": champion and _transform_job(keys, names, "champion", champion.endpoint_config),
    }


def _transform_job(
    keys: RunKeys, names: ResourceNames, side: str, model_name: str
) -> dict[str, Any]:
    bucket = environment().bucket
    return {
        "stem": f"{names.job(keys.run)}-{side}",
        "request": {
            "ModelName": model_name,
            "BatchStrategy": "MultiRecord",
            "TransformInput": {
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/{keys.evaluation_input}",
                    }
                },
                "ContentType": "text/csv",
                "SplitType": "Line",
            },
            "TransformOutput": {
                "S3OutputPath": f"s3://{bucket}/{keys.evaluation_output(side)}",
                "AssembleWith": "None",
            },
            "TransformResources": {"InstanceType": TRANSFORM_INSTANCE, "InstanceCount": 1},
            "Tags": [
                {"Key": "refit:model", "Value": keys.model},
                {"Key": "refit:run", "Value": keys.run},
            ],
        },
    }
