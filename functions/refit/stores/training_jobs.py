"""Describe SageMaker training jobs."""

from __future__ import annotations

from typing import Any, cast

from refit.stores.clients import translate_transient_errors

_OF_TUNING = "_tuning_objective_metric"
"""SageMaker adds it to the jobs of a tuning; it means nothing in another job."""


class TrainingJobs:
    """The training jobs of the account."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def hyperparameters(self, name: str) -> dict[str, str]:
        """Return the hyperparameters with which a job was created."""
        with translate_transient_errors():
            job = self._client.describe_training_job(TrainingJobName=name)
        values = cast("dict[str, str]", job["HyperParameters"])
        return {key: value for key, value in values.items() if key != _OF_TUNING}
