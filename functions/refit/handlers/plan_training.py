"""Plan the training job: image, hyperparameters, instance, channels, stopping condition.

Invoked by  TRAIN state machine, state PlanTraining
Input       {"model", "run"} and the output of Prepare                events/plan_training.json
Output      {"stem", "request"}: a CreateTrainingJob request without its name, and the name's stem
Raises      SettingsInvalid, ServiceThrottled
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.evaluation.gate import deciding_metric
from refit.domain.model_settings import ModelSettings, Task, TrainingSettings
from refit.domain.naming import ResourceNames, RunKeys
from refit.domain.pipeline.images import xgboost_image_uri
from refit.domain.pipeline.training_plan import DataShape, TrainingPlan, plan_training
from refit.environment import environment
from refit.stores import s3, store
from refit.telemetry import logger


class Rows(BaseModel):
    """Rows per split."""

    model_config = ConfigDict(extra="ignore")

    train: int


class Request(BaseModel):
    """The event: what was prepared for which run."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    task: Task
    rows: Rows
    features: int
    classes: int | None
    train_bytes: int
    validation_bytes: int
    has_validation: bool


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the request that state Train sends to SageMaker."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    chosen = ModelSettings.model_validate(s3.get_json(keys.manifest)["settings"])
    deciding_metric(request.task, chosen.gate)  # refused here, not after the training is paid for
    shape = DataShape(
        task=request.task,
        train_rows=request.rows.train,
        features=request.features,
        classes=request.classes,
        train_bytes=request.train_bytes,
        validation_bytes=request.validation_bytes,
        has_validation=request.has_validation,
    )
    plan = plan_training(shape, chosen.training)
    store.update_run(request.model, request.run, status=store.RunStatus.TRAINING)
    return {
        "stem": ResourceNames(environment().name_prefix, request.model).job(request.run),
        "request": _training_job(keys, plan, chosen.training, request.has_validation),
    }


def _training_job(
    keys: RunKeys, plan: TrainingPlan, chosen: TrainingSettings, has_validation: bool
) -> dict[str, Any]:
    channels = {"train": keys.train} | ({"validation": keys.validation} if has_validation else {})
    stopping = {"MaxRuntimeInSeconds": chosen.max_runtime_s}
    if chosen.spot:
        stopping["MaxWaitTimeInSeconds"] = chosen.max_wait_s or 2 * chosen.max_runtime_s
    bucket = environment().bucket
    return {
        "AlgorithmSpecification": {
            "TrainingImage": xgboost_image_uri(environment().region, chosen.image_tag),
            "TrainingInputMode": "File",
        },
        "RoleArn": environment().sagemaker_role_arn,
        "HyperParameters": plan.hyperparameters,
        "InputDataConfig": [
            {
                "ChannelName": name,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{bucket}/{prefix}",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for name, prefix in channels.items()
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{keys.training_output}"},
        "ResourceConfig": {
            "InstanceType": plan.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": plan.volume_gb,
        },
        "StoppingCondition": stopping,
        "EnableManagedSpotTraining": chosen.spot,
        "Tags": [
            {"Key": "refit:model", "Value": keys.model},
            {"Key": "refit:run", "Value": keys.run},
        ],
    }
