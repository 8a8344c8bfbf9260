"""Plan the batch transform jobs in which challenger and champion predict the held-out rows.

The jobs predict every file of the run's evaluation input. With `[prediction] costs` that includes
validation rows, on which the threshold of the challenger is chosen.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit.domain.errors import ModelNotSaved, ObjectNotFound
from refit.domain.naming import RunKeys
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.pipeline.algorithms import Algorithm
    from refit.usecases.services import Services

TRANSFORM_INSTANCE = "ml.m5.large"


@dataclass(frozen=True)
class TrainedModel:
    """The model of a finished training job, or of several that answer together.

    Attributes:
        name: name of the job, or of the ensemble.
        image: URI of the container image.
        artifacts: S3 URI of model.tar.gz.
        environment: environment variables that the container needs to serve it.
    """

    name: str
    image: str
    artifacts: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def container(self) -> dict[str, Any]:
        """The container of a SageMaker model or model package that serves it."""
        container = {"Image": self.image, "ModelDataUrl": self.artifacts}
        return container | ({"Environment": self.environment} if self.environment else {})


def plan_evaluation(
    services: Services, model: str, run: str, challenger: TrainedModel, comparable: bool
) -> dict[str, Any]:
    """Return a CreateModel request for the challenger, and a transform job for each model.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        run: id of the run.
        challenger: the trained model.
        comparable: whether the champion can predict the same rows.

    Returns:
        `model_request`, `challenger` and `champion`. The last two are a CreateTransformJob request
        without its name, and the beginning of the name. `champion` is None if there is no champion
        to compare with.

    Raises:
        ModelNotSaved: when the model.tar.gz of the challenger holds no file.
    """
    _check_saved(services, challenger)
    services.models.update_run(model, run, status=RunStatus.EVALUATING)
    champion = services.models.champion(model) if comparable else None
    keys = RunKeys(model, run)
    challenging = algorithm_of(services.artifacts.settings(model, run).training)
    living = champion and algorithm_of(services.artifacts.settings(model, champion.run).training)
    return {
        "model_request": {
            "ModelName": challenger.name,
            "ExecutionRoleArn": services.environment.jobs_role_arn,
            "PrimaryContainer": challenger.container,
            "EnableNetworkIsolation": True,
        },
        "challenger": _evaluation_job(services, keys, "challenger", challenger.name, challenging),
        "champion": champion
        and living
        and _evaluation_job(services, keys, "champion", champion.endpoint_config, living),
    }


def _check_saved(services: Services, trained: TrainedModel) -> None:
    """Check that there is a model to serve, whose container would fail without saying why."""
    key = trained.artifacts.removeprefix(f"s3://{services.environment.bucket}/")
    try:
        stream = services.bucket.open(key)
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            if any(member.isfile() for member in archive):
                return
    except (ObjectNotFound, tarfile.ReadError) as error:
        raise ModelNotSaved(f"{key} of {trained.name} cannot be read: {error}") from error
    raise ModelNotSaved(
        f"the training job {trained.name} ended without an error and saved no model: its "
        "model.tar.gz holds no file. The program must write the model below /opt/ml/model"
    )


def _evaluation_job(
    services: Services, keys: RunKeys, side: str, model_name: str, algorithm: Algorithm
) -> dict[str, Any]:
    return {
        "stem": f"{services.names(keys.model).job(keys.run)}-{side}",
        "request": {"ModelName": model_name}
        | transform_request(
            services, keys, keys.evaluation_input, keys.evaluation_output(side), algorithm
        ),
    }


def transform_request(
    services: Services, keys: RunKeys, source: str, target: str, algorithm: Algorithm
) -> dict[str, Any]:
    """Return a CreateTransformJob request without the names of the job and of its model.

    Args:
        services: the AWS services of this process.
        keys: of the run.
        source: prefix of the CSV files, which hold only features.
        target: prefix of the predictions.
        algorithm: of the model that predicts.
    """
    bucket = services.environment.bucket
    accept = algorithm.batch_accept
    return {
        "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://{bucket}/{source}",
                }
            },
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{bucket}/{target}",
            # XGBoost ends each line itself; another container may not end the last one.
            **({"Accept": accept, "AssembleWith": "Line"} if accept else {"AssembleWith": "None"}),
        },
        "TransformResources": {"InstanceType": TRANSFORM_INSTANCE, "InstanceCount": 1},
        "Tags": [
            {"Key": "refit:model", "Value": keys.model},
            {"Key": "refit:run", "Value": keys.run},
        ],
    }
