"""Measure the challenger, and beside it the champion, on rows that neither was trained on.

Invoked by  TRAIN state machine, state Evaluate, after the batch transform jobs
Input       {"model", "run", "champion": {"run", "version"} or null, "comparable"}
            events/evaluate.json
Output      {"metrics": {the challenger's on the new held-out rows, the champion's beside them}}
Raises      EvaluationIncomplete, ServiceThrottled

Writes evaluation.json (its form: domain/evaluation.py) and evaluation_statistics.json (Model
Monitor's form, for SageMaker Studio).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from refit.aws import s3
from refit.domain import batch_output, comparison, metrics, quality_statistics
from refit.domain.errors import DatasetNotFound, EvaluationIncomplete
from refit.domain.evaluation import ChampionRun, EvaluatedRows, Evaluation
from refit.domain.naming import RunKeys
from refit.domain.schema import Schema
from refit.domain.spec import ModelSettings
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.quality_statistics import Statistics
    from refit.domain.resampling import Floats

Rows = Literal["new", "base"]

_HEADLINES = frozenset({"accuracy", "log_loss", "macro_f1", "rmse", "mae", "r2"})


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str
    champion: ChampionRun | None
    comparable: bool


@dataclass(frozen=True)
class Held:
    """Where a set of held-out rows is, and how to read what was predicted for it."""

    keys: RunKeys
    rows: Rows
    schema: Schema
    champion_schema: Schema | None
    confidence: float


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Evaluate the run and return the headline metrics."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    schema = _schema(keys)
    champion = request.champion if request.comparable else None
    champion_schema = _schema(RunKeys(request.model, champion.run)) if champion else None
    confidence = ModelSettings.model_validate(
        s3.get_json(keys.manifest)["settings"]
    ).gate.confidence
    new, statistics = _evaluated(Held(keys, "new", schema, champion_schema, confidence))
    base = None
    if champion:
        base, _ = _evaluated(Held(keys, "base", schema, champion_schema, confidence))
    evaluation = Evaluation(
        model=request.model,
        run=request.run,
        task=schema.task,
        classes=schema.classes,
        confidence=confidence,
        champion=request.champion,
        comparable=request.comparable,
        new=new,
        base=base,
    )
    s3.put_json(keys.evaluation_statistics, statistics)
    s3.put_json(keys.evaluation, evaluation.model_dump(mode="json"))
    return {"metrics": _headline(evaluation)}


def _schema(keys: RunKeys) -> Schema:
    return Schema.model_validate_json(s3.get_bytes(keys.schema))


def _evaluated(held: Held) -> tuple[EvaluatedRows, Statistics]:
    if held.schema.classes is None:
        return _evaluated_regression(held)
    return _evaluated_classification(held, held.schema.classes)


def _evaluated_classification(
    held: Held, classes: Sequence[str]
) -> tuple[EvaluatedRows, Statistics]:
    key = held.keys.evaluation_labels(held.rows)
    labels = batch_output.class_indices(
        batch_output.parse_labels(_opened(key).read(), key), len(classes), key
    )

    def outcome(side: str, known: Sequence[str]) -> metrics.ClassOutcome:
        name = _output_key(held, side)
        return batch_output.read_outcome(_opened(name), name, labels, len(known), len(classes))

    challenger = outcome("challenger", classes)
    quality = metrics.classification_quality(labels, challenger, classes, held.confidence)
    statistics = quality_statistics.classification_statistics(labels, challenger, classes)
    evaluated = EvaluatedRows(
        rows=len(labels),
        baseline=metrics.classification_baseline(labels, classes),
        challenger=quality,
    )
    if held.champion_schema is None:
        return evaluated, statistics
    champion = outcome("champion", held.champion_schema.classes or ())
    return evaluated.model_copy(
        update={
            "champion": metrics.classification_quality(labels, champion, classes, held.confidence),
            "comparisons": comparison.compare_classifiers(
                labels, challenger, champion, held.confidence
            ),
        }
    ), statistics


def _evaluated_regression(held: Held) -> tuple[EvaluatedRows, Statistics]:
    key = held.keys.evaluation_labels(held.rows)
    labels = batch_output.parse_labels(_opened(key).read(), key)

    def predictions(side: str) -> Floats:
        name = _output_key(held, side)
        return batch_output.read_numbers(_opened(name), name, len(labels))

    challenger = predictions("challenger")
    statistics = quality_statistics.regression_statistics(labels, challenger)
    evaluated = EvaluatedRows(
        rows=len(labels),
        baseline=metrics.regression_baseline(labels),
        challenger=metrics.regression_quality(labels, challenger, held.confidence),
    )
    if held.champion_schema is None:
        return evaluated, statistics
    champion = predictions("champion")
    return evaluated.model_copy(
        update={
            "champion": metrics.regression_quality(labels, champion, held.confidence),
            "comparisons": comparison.compare_regressions(
                labels, challenger, champion, held.confidence
            ),
        }
    ), statistics


def _output_key(held: Held, side: str) -> str:
    return f"{held.keys.evaluation_output(side)}{held.rows}.csv.out"


def _opened(key: str) -> IO[bytes]:
    """Open a file that the steps before must have left.

    Raises:
        EvaluationIncomplete: when it is not there.
    """
    try:
        return s3.open_stream(key)
    except DatasetNotFound as error:
        raise EvaluationIncomplete(f"{key} was not written by the step before") from error


def _headline(evaluation: Evaluation) -> dict[str, float | int]:
    """Return the few numbers that run, registry and notices show."""
    headline: dict[str, float | int] = {"test_rows": evaluation.new.rows}
    sides = {"": evaluation.new.challenger, "champion_": evaluation.new.champion}
    if evaluation.base:
        sides |= {
            "base_": evaluation.base.challenger,
            "base_champion_": evaluation.base.champion,
        }
    for prefix, quality in sides.items():
        for name, estimate in quality.metrics.items() if quality else ():
            if name in _HEADLINES:
                headline[prefix + name] = estimate.value
    return headline
