"""Record the trials of a tuning job, and return its best model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import TuningFailed
from refit.domain.naming import RunKeys
from refit.domain.pipeline.tuning_record import failure_text, summary_of
from refit.usecases.plan_evaluation import TrainedModel

if TYPE_CHECKING:
    from refit.usecases.services import Services


def record_tuning(services: Services, model: str, run: str, job: str) -> TrainedModel:
    """Write tuning.json, also if the tuning job failed; return the best trial.

    Raises:
        TuningFailed: when the job did not complete, or no trial has a model.
    """
    record = services.tuning_jobs.read(job)
    best = record.best
    services.bucket.put_json(
        RunKeys(model, run).tuning,
        record.model_dump(mode="json") | {"best": best and best.name},
    )
    if best is None or record.status != "Completed":
        raise TuningFailed(failure_text(record))
    summary = summary_of(record, best)
    services.models.update_run(model, run, tuning=summary.model_dump(mode="json"))
    image, artifacts = services.tuning_jobs.model_of(best)
    return TrainedModel(best.name, image, artifacts)
