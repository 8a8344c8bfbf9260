"""Plan the training job of a run: image, hyperparameters, instance, channels, time limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from refit.domain.naming import RunKeys
from refit.domain.pipeline.algorithms import algorithm_of, image_of
from refit.domain.pipeline.continuation import further_rounds
from refit.domain.pipeline.tuning_request import tuning_request
from refit.domain.vocabulary import RunStatus
from refit.usecases.check_image import check_own_image
from refit.usecases.continue_training import continue_training
from refit.usecases.plan_jobs import plan_jobs
from refit.usecases.plan_script import plan_script

if TYPE_CHECKING:
    from refit.domain.pipeline.algorithms import Algorithm
    from refit.domain.pipeline.training_plan import DataShape, TrainingPlan
    from refit.domain.training_settings import TrainingSettings
    from refit.usecases.continue_training import ChampionRun
    from refit.usecases.plan_script import ScriptJob
    from refit.usecases.services import Services


def plan_training(
    services: Services, model: str, run: str, shape: DataShape, champion: ChampionRun | None
) -> dict[str, Any]:
    """Return a CreateTrainingJob request without its name, the beginning of the name, and folds.

    With `[tuning] max_jobs` the answer has `tuning`, too: the same of a tuning job.

    Raises:
        SettingsInvalid: when the settings do not fit the prepared data, or the image is not allowed
            to run. This is checked before the training job, which costs money.
    """
    settings = services.artifacts.settings(model, run)
    algorithm = algorithm_of(settings.training)
    image = image_of(settings.training, services.environment.aws_region)
    if settings.training.image is not None:
        check_own_image(services, image)
    schema = services.artifacts.schema(model, run)
    labels = services.artifacts.training_labels(model, run)
    jobs = plan_jobs(settings, schema, labels, shape)
    plan = jobs.training
    keys = RunKeys(model, run)
    earlier = continue_training(services, keys, shape, champion)
    if earlier.model_data is not None and algorithm.name == "xgboost":
        rounds = further_rounds(settings.training, shape.has_validation)
        plan = replace(plan, hyperparameters=plan.hyperparameters | rounds)
    script = plan_script(services, keys, settings.training, algorithm, earlier.model_data)
    services.models.update_run(
        model,
        run,
        status=RunStatus.TRAINING,
        continued=earlier.record and earlier.record.model_dump(mode="json"),
        script=script.record and script.record.model_dump(mode="json"),
    )
    channels = {"train": keys.train}
    if shape.has_validation:
        channels["validation"] = keys.validation
    if algorithm.takes_schema_channel:
        channels["schema"] = keys.schema
    request = _request(services, keys, plan, settings.training, channels, script, image, algorithm)
    planned = {
        "stem": services.names(model).job(run),
        "request": request,
        "folds": settings.training.folds,
        "final": settings.training.final,
    }
    if jobs.tuning is not None:
        planned["tuning"] = {
            "stem": services.names(model).tuning_job(run),
            "request": tuning_request(request, jobs.tuning, settings.tuning),
        }
    return planned


def _request(
    services: Services,
    keys: RunKeys,
    plan: TrainingPlan,
    settings: TrainingSettings,
    channels: dict[str, str],
    script: ScriptJob,
    image: str,
    algorithm: Algorithm,
) -> dict[str, Any]:
    environment = services.environment
    metrics = [{"Name": name, "Regex": regex} for name, regex in algorithm.metrics]
    return {
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            **({"MetricDefinitions": metrics} if metrics else {}),
        },
        "RoleArn": environment.jobs_role_arn,
        "HyperParameters": plan.hyperparameters | script.hyperparameters,
        "InputDataConfig": [
            *(
                _channel(
                    name,
                    f"s3://{environment.bucket}/{prefix}",
                    "application/json" if name == "schema" else algorithm.channel_type,
                )
                for name, prefix in channels.items()
            ),
            *(_channel(name, *source) for name, source in script.channels.items()),
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{environment.bucket}/{keys.training_output}"},
        "ResourceConfig": {
            "InstanceType": plan.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": plan.volume_gb,
        },
        "StoppingCondition": _stopping_condition(settings),
        "Tags": [
            {"Key": "refit:model", "Value": keys.model},
            {"Key": "refit:run", "Value": keys.run},
        ],
        # Sent only if asked for: that `.sync` takes them is unverified (docs/aws-assumptions.md).
        **({"EnableManagedSpotTraining": True} if settings.spot else {}),
        **({"EnableNetworkIsolation": True} if settings.network_isolation else {}),
        **({"Environment": script.environment} if script.environment else {}),
    }


def _channel(name: str, uri: str, content_type: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def _stopping_condition(settings: TrainingSettings) -> dict[str, int]:
    condition = {"MaxRuntimeInSeconds": settings.max_runtime_s}
    if settings.spot:
        condition["MaxWaitTimeInSeconds"] = settings.max_wait_s or 2 * settings.max_runtime_s
    return condition
