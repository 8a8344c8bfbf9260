"""Show a run: its states and progress, its curves, the gate, the evaluation and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from refit.domain.answers.runs import (
    Curve,
    CurvePoint,
    EvaluatedAnswer,
    EvaluationAnswer,
    RunAnswer,
    StateVisit,
    TuningAnswer,
    TuningProgressAnswer,
)
from refit.domain.vocabulary import RunStatus
from refit.stores.clients import error_code
from refit.stores.execution_states import ExecutionStates
from refit.stores.tuning_progress import TuningFollower
from refit.usecases.example_answers import examples_answer
from refit.usecases.known_model import known_model, known_run
from refit.usecases.run_answers import data_answer, run_summary
from refit.usecases.run_records import read_run_records
from refit.usecases.training_status import curves_so_far, training_progress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit.domain.evaluation.report import EvaluatedRows, Evaluation, ModelQuality
    from refit.domain.evaluation.training_curves import JobCurves
    from refit.domain.pipeline.run import Run
    from refit.domain.pipeline.tuning_record import TuningRecord
    from refit.usecases.services import Services

_MAX_EVENTS = 2000  # of an execution's history
_MAX_VISITS = 500
_MAX_CURVES = 60
_MAX_POINTS = 200
_MAX_CLASSES = 100
_MAX_TRIALS = 100


def show_run(services: Services, model: str, run: str) -> RunAnswer:
    """Return all that is known of a run.

    Raises:
        ModelNotFound: when there is no such model.
        RunNotFound: when the model has no such run.
    """
    known_model(services, model)
    record = known_run(services, model, run)
    written = read_run_records(services, model, run)
    jobs = curves_so_far(services, record)
    return RunAnswer(
        **dict(run_summary(record)),
        model=model,
        learned=record.learned,
        tuning=record.tuning,
        features_from=record.features_from,
        script=record.script,
        continued=record.continued,
        states=tuple(_visits(services, record))[:_MAX_VISITS],
        training=training_progress(jobs),
        tuning_progress=_tuning_progress(services, record),
        curves=tuple(_curves(jobs))[:_MAX_CURVES],
        gate=written.decision,
        evaluation=_evaluation(written.evaluation) if written.evaluation else None,
        examples=examples_answer(services, record, written),
        trials=_trials(written.tuning) if written.tuning else None,
        data=data_answer(written.drop, written.manifest),
    )


def _visits(services: Services, run: Run) -> Iterable[StateVisit]:
    for machine, arn in (("train", run.train_execution_arn), ("deploy", run.deploy_execution_arn)):
        if arn is not None:
            yield from _visits_of(services, "train" if machine == "train" else "deploy", arn)


def _visits_of(
    services: Services, machine: Literal["train", "deploy"], arn: str
) -> list[StateVisit]:
    """Return the visits of an execution; none when Step Functions has deleted its history."""
    history = ExecutionStates(services.client("stepfunctions"), machine, arn, _MAX_EVENTS)
    try:
        history.poll()
    except ClientError as error:
        if error_code(error) != "ExecutionDoesNotExist":
            raise
        return []
    now = services.now()
    return [
        StateVisit(
            machine=machine,
            state=span.state,
            entered_at=span.entered_at,
            left_at=span.left_at,
            seconds=round(span.seconds(now), 3),
        )
        for span in history.spans
    ]


def _tuning_progress(services: Services, run: Run) -> TuningProgressAnswer | None:
    if run.status is not RunStatus.TRAINING:
        return None
    stem = services.names(run.model).tuning_job(run.run)
    progress = TuningFollower(services.client("sagemaker"), stem).poll()
    return TuningProgressAnswer(**progress.as_json()) if progress else None


def _curves(jobs: Iterable[JobCurves]) -> Iterable[Curve]:
    for job in jobs:
        for metric, values in job.metrics.items():
            step = -(-len(values) // _MAX_POINTS) or 1
            rounds = [*range(0, len(values), step)]
            if values and rounds[-1] != len(values) - 1:
                rounds[-1] = len(values) - 1  # the newest value is always there
            yield Curve(
                job=job.job,
                title=job.title,
                metric=metric,
                rounds=job.rounds,
                points=tuple(CurvePoint(round=at + 1, value=values[at]) for at in rounds),
            )


def _evaluation(evaluation: Evaluation) -> EvaluationAnswer:
    classes = evaluation.classes
    return EvaluationAnswer(
        task=evaluation.task,
        classes=classes if classes and len(classes) <= _MAX_CLASSES else None,
        confidence=evaluation.confidence,
        metric=evaluation.metric,
        champion_version=evaluation.champion and evaluation.champion.version,
        new=_evaluated(evaluation.new),
        base=evaluation.base and _evaluated(evaluation.base),
        fresh=evaluation.fresh and _evaluated(evaluation.fresh),
        folds=evaluation.folds,
        notes=evaluation.notes,
    )


def _evaluated(rows: EvaluatedRows) -> EvaluatedAnswer:
    return EvaluatedAnswer(
        rows=rows.rows,
        challenger=_quality(rows.challenger),
        champion=rows.champion and _quality(rows.champion),
        baseline=rows.baseline,
    )


def _quality(quality: ModelQuality) -> ModelQuality:
    if quality.confusion_matrix is None or len(quality.confusion_matrix) <= _MAX_CLASSES:
        return quality
    return quality.model_copy(update={"confusion_matrix": None, "per_class": None})


def _trials(record: TuningRecord) -> TuningAnswer:
    sign = -1 if record.maximize else 1

    def rank(objective: float | None) -> tuple[bool, float]:
        return objective is None, sign * (objective or 0.0)

    ordered = sorted(record.trials, key=lambda trial: rank(trial.objective))
    return TuningAnswer(
        metric=record.metric,
        maximize=record.maximize,
        total=len(ordered),
        trials=tuple(ordered[:_MAX_TRIALS]),
    )
