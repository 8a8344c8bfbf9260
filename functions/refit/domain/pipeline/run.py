"""One run of a model, as its RUN item records it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.feature_source import FeatureSource
from refit.domain.learned import Learned
from refit.domain.moments import Moment
from refit.domain.pipeline.continuation import Continuation
from refit.domain.pipeline.failure import Failure
from refit.domain.pipeline.failures_of_aws import is_failure_of_aws
from refit.domain.pipeline.script_record import ScriptRecord
from refit.domain.pipeline.tuning_record import TuningSummary
from refit.domain.vocabulary import RunCause, RunStatus


class Run(BaseModel):
    """The RUN item of a model. An attribute that the item does not have (yet) is None.

    Attributes:
        reason: why a retraining began, for a person.
        retry_of: the run whose files this run repeats; None if it is no retry.
        train_execution_arn: execution of the TRAIN state machine.
        deploy_execution_arn: latest execution of the DEPLOY state machine for this run.
        error: name of the error that failed the run.
        message: why the run ended as it did, for a person.
        metrics: headline metrics of the evaluation.
        learned: what preparation learned; of a wide table without most of its columns.
        tuning: the best trial of its tuning job; None without one.
        features_from: the version whose predictions are features; None without one.
        continued: the version that its training continued; None if it was not asked to.
        script: the program of the user that trained its model; None without one.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    model: str
    cause: RunCause
    status: RunStatus
    started_at: Moment
    updated_at: Moment
    finished_at: Moment | None = None
    reason: str | None = None
    retry_of: str | None = None
    train_execution_arn: str | None = None
    deploy_execution_arn: str | None = None
    version: int | None = None
    package_arn: str | None = None
    error: str | None = None
    message: str | None = None
    metrics: dict[str, Any] = {}
    learned: Learned | None = None
    tuning: TuningSummary | None = None
    features_from: FeatureSource | None = None
    continued: Continuation | None = None
    script: ScriptRecord | None = None

    @property
    def may_be_deployed_again(self) -> bool:
        """Whether the run has a version whose deployment failed for reasons of AWS's own."""
        return (
            self.status is RunStatus.FAILED
            and self.package_arn is not None
            and self.deploy_execution_arn is not None
            and self.error is not None
            and is_failure_of_aws(Failure(self.error, self.message or ""))
        )
