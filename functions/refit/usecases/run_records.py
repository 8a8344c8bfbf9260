"""Read what a run wrote to the bucket. What it has not written (yet) is None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from refit.domain.errors import ObjectNotFound
from refit.domain.naming import RunKeys
from refit.domain.pipeline.tuning_record import TuningRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.evaluation.examples import ExampleRows
    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import Evaluation
    from refit.domain.evaluation.training_curves import Curves
    from refit.domain.pipeline.manifest import Drop, Manifest
    from refit.usecases.services import Services

Read = TypeVar("Read")


@dataclass(frozen=True)
class RunRecords:
    """What a run wrote."""

    drop: Drop | None
    manifest: Manifest | None
    evaluation: Evaluation | None
    examples: ExampleRows | None
    decision: GateDecision | None
    curves: Curves | None
    tuning: TuningRecord | None


def read_run_records(services: Services, model: str, run: str) -> RunRecords:
    """Return all that a run has written."""
    artifacts = services.artifacts

    def of_run(read: Callable[[str, str], Read]) -> Read | None:
        return if_written(lambda: read(model, run))

    return RunRecords(
        drop=of_run(artifacts.drop),
        manifest=of_run(artifacts.manifest),
        evaluation=of_run(artifacts.evaluation),
        examples=of_run(artifacts.examples),
        decision=of_run(artifacts.decision),
        curves=of_run(artifacts.curves),
        tuning=if_written(lambda: _tuning(services, model, run)),
    )


def if_written(read: Callable[[], Read]) -> Read | None:
    """Return what is read, or None if the object does not exist."""
    try:
        return read()
    except ObjectNotFound:
        return None


def _tuning(services: Services, model: str, run: str) -> TuningRecord:
    return TuningRecord.model_validate_json(services.bucket.read(RunKeys(model, run).tuning))
