"""Plan the jobs of each fold: one trains on the other rows, and one predicts the fold's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.naming import RunKeys
from refit.domain.pipeline.algorithms import algorithm_of
from refit.usecases.plan_evaluation import transform_request

if TYPE_CHECKING:
    from refit.usecases.services import Services


def plan_folds(
    services: Services, model: str, run: str, request: dict[str, Any], trained: str | None
) -> dict[str, Any]:
    """Return the requests of each fold, and how many folds are trained at a time.

    The training jobs of the folds differ from that of the run only in their rows. They stop early
    on the same validation rows, so the rows of a fold decide nothing about its model.

    Args:
        services: the AWS services of this process.
        model: name of the model.
        run: id of the run.
        request: the planned CreateTrainingJob request of the run, without its name.
        trained: the training job of the run, whose hyperparameters count; None if there is none.

    Returns:
        `at_a_time` and `items`: for each fold `stem`, the beginning of the names, and `train` and
        `predict`, a CreateTrainingJob and a CreateTransformJob request without their names.
    """
    settings = services.artifacts.settings(model, run).training
    algorithm = algorithm_of(settings)
    keys, names = RunKeys(model, run), services.names(model)
    if trained is not None:
        request = request | {"HyperParameters": services.training_jobs.hyperparameters(trained)}
    bucket = services.environment.bucket
    return {
        "at_a_time": settings.folds_at_a_time,
        "items": [
            {
                "stem": names.fold_job(run, fold),
                "train": _trained_on(request, f"s3://{bucket}/{keys.fold_train(fold)}"),
                "predict": transform_request(
                    services, keys, keys.fold_input(fold), keys.fold_output(fold), algorithm
                ),
            }
            for fold in range(settings.folds)
        ],
    }


def _trained_on(request: dict[str, Any], uri: str) -> dict[str, Any]:
    """Return a training request with another training channel."""
    channels = []
    for channel in request["InputDataConfig"]:
        source = channel["DataSource"]["S3DataSource"]
        is_train = channel["ChannelName"] == "train"
        of_fold = {"DataSource": {"S3DataSource": source | {"S3Uri": uri}}} if is_train else {}
        channels.append(channel | of_fold)
    return request | {"InputDataConfig": channels}
