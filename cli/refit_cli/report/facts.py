"""Read all that is known of a run, for its report. What the run has not written is None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.naming import RunKeys
from refit.usecases.run_records import RunRecords, if_written, read_run_records

from refit_cli.errors import BadInput, unknown_model
from refit_cli.report.importance import Importance, read_importance

if TYPE_CHECKING:
    from refit.domain.evaluation.training_curves import Curves
    from refit.domain.pipeline.model_state import Champion
    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection


@dataclass(frozen=True)
class RunFacts(RunRecords):
    """What a run wrote, and all else that is known of it.

    Attributes:
        champion: the version that is live now.
        profile: profile.json.
        hyperparameters: those of the job that trained the model; empty if not known.
    """

    run: Run
    champion: Champion | None
    profile: dict[str, Any] | None
    importance: Importance
    hyperparameters: dict[str, str]


def read_facts(connection: StackConnection, model: str, run_id: str | None) -> RunFacts:
    """Read a run, by default the newest.

    Raises:
        BadInput: when there is no such model or run.
    """
    run = _run(connection, model, run_id)
    keys = RunKeys(model, run.run)
    artifacts, bucket = connection.artifacts, connection.bucket
    written = read_run_records(connection.services, model, run.run)
    schema = if_written(lambda: artifacts.schema(model, run.run))
    return RunFacts(
        **vars(written),
        run=run,
        champion=connection.models.champion(model),
        profile=if_written(lambda: bucket.read_json(keys.profile)),
        importance=read_importance(connection, run, [f.name for f in schema.features])
        if schema
        else Importance(missing="the run has not prepared its data"),
        hyperparameters=_hyperparameters(connection, written.curves),
    )


def _run(connection: StackConnection, model: str, run_id: str | None) -> Run:
    runs = connection.models.runs(model)
    if not runs:
        raise unknown_model(model, connection.models.models(), connection.location)
    if run_id is None:
        return runs[0]
    for run in runs:
        if run.run == run_id:
            return run
    raise BadInput(
        f"the model {model!r} has no run {run_id!r}", f"list its runs with `refit status {model}`"
    )


def _hyperparameters(connection: StackConnection, curves: Curves | None) -> dict[str, str]:
    from botocore.exceptions import ClientError  # noqa: PLC0415 (slow)

    if curves is None or not curves.jobs:
        return {}
    try:
        job = connection.client("sagemaker").describe_training_job(
            TrainingJobName=curves.jobs[0].job
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
            raise
        return {}
    return dict(sorted(job.get("HyperParameters", {}).items()))
