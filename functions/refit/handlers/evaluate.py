"""Measure the challenger, and beside it the champion, on rows that neither was trained on.

Invoked by  TRAIN state machine, state Evaluate, after the batch transform jobs
Input       {"model", "run", "champion": {"run", "version"} or null, "comparable"}
            events/evaluate.json
Output      {"metrics": {the challenger's on the new held-out rows, the champion's beside them}}
Raises      EvaluationIncomplete, ServiceThrottled

Writes evaluation.json (its form: domain/evaluation/report.py), baseline.json (what the version is
held against once it is live: domain/monitoring/baseline.py) and evaluation_statistics.json (Model
Monitor's form, for SageMaker Studio).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import DatasetNotFound, EvaluationIncomplete
from refit.domain.evaluation import batch_output, comparison, metrics, quality_statistics
from refit.domain.evaluation.report import ChampionRun, EvaluatedRows, Evaluation
from refit.domain.monitoring import baseline
from refit.domain.naming import RunKeys
from refit.domain.pipeline.manifest import Manifest
from refit.domain.schema import Schema
from refit.stores import s3
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.quality_statistics import Statistics
    from refit.domain.evaluation.report import Quality
    from refit.domain.evaluation.resampling import Floats

Rows = Literal["new", "base", "fresh"]

_HEADLINES = frozenset({"accuracy", "log_loss", "macro_f1", "rmse", "mae", "r2"})
_OF_BASELINE = ("accuracy", "log_loss", "rmse", "mae", "bias")


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


@dataclass(frozen=True)
class Measured:
    """What a set of held-out rows says."""

    evaluated: EvaluatedRows
    statistics: Statistics
    baseline: baseline.Baseline


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Evaluate the run and return the headline metrics."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    manifest = Manifest.model_validate(s3.get_json(keys.manifest))
    schema = _schema(keys)
    champion = request.champion if request.comparable else None
    champion_schema = _schema(RunKeys(request.model, champion.run)) if champion else None
    confidence = manifest.settings.gate.confidence

    def measured(rows: Rows) -> Measured:
        return _measured(Held(keys, rows, schema, champion_schema, confidence))

    new = measured("new")
    base = measured("base") if champion else None
    fresh = measured("fresh") if manifest.labelled.fresh_test else None
    evaluation = Evaluation(
        model=request.model,
        run=request.run,
        task=schema.task,
        classes=schema.classes,
        confidence=confidence,
        champion=request.champion,
        comparable=request.comparable,
        new=new.evaluated,
        base=base and base.evaluated,
        fresh=fresh and fresh.evaluated,
    )
    enough = fresh and fresh.evaluated.rows >= baseline.FEWEST_FRESH_ROWS
    of_today = fresh if fresh and enough else new
    s3.put_json(keys.baseline, of_today.baseline.model_dump(mode="json"))
    s3.put_json(keys.evaluation_statistics, new.statistics)
    s3.put_json(keys.evaluation, evaluation.model_dump(mode="json"))
    return {"metrics": _headline(evaluation, manifest)}


def _schema(keys: RunKeys) -> Schema:
    return Schema.model_validate_json(s3.get_bytes(keys.schema))


def _measured(held: Held) -> Measured:
    if held.schema.classes is None:
        return _measured_regression(held)
    return _measured_classification(held, held.schema.classes)


def _measured_classification(held: Held, classes: Sequence[str]) -> Measured:
    key = held.keys.evaluation_labels(held.rows)
    labels = batch_output.class_indices(
        batch_output.parse_labels(_opened(key).read(), key), len(classes), key
    )

    def outcome(side: str, known: Sequence[str]) -> metrics.ClassOutcome:
        name = _output_key(held, side)
        return batch_output.read_outcome(_opened(name), name, labels, len(known), len(classes))

    challenger = outcome("challenger", classes)
    quality = metrics.classification_quality(labels, challenger, classes, held.confidence)
    evaluated = EvaluatedRows(
        rows=len(labels),
        baseline=metrics.classification_baseline(labels, classes),
        challenger=quality,
    )
    if held.champion_schema is not None:
        champion = outcome("champion", held.champion_schema.classes or ())
        evaluated = evaluated.model_copy(
            update={
                "champion": metrics.classification_quality(
                    labels, champion, classes, held.confidence
                ),
                "comparisons": comparison.compare_classifiers(
                    labels, challenger, champion, held.confidence
                ),
            }
        )
    return Measured(
        evaluated,
        quality_statistics.classification_statistics(labels, challenger, classes),
        baseline.classification_baseline_of(
            labels,
            challenger.predicted,
            challenger.largest,
            classes,
            _values(quality),
            _rows_of(held),
        ),
    )


def _measured_regression(held: Held) -> Measured:
    key = held.keys.evaluation_labels(held.rows)
    labels = batch_output.parse_labels(_opened(key).read(), key)

    def predictions(side: str) -> Floats:
        name = _output_key(held, side)
        return batch_output.read_numbers(_opened(name), name, len(labels))

    challenger = predictions("challenger")
    quality = metrics.regression_quality(labels, challenger, held.confidence)
    evaluated = EvaluatedRows(
        rows=len(labels),
        baseline=metrics.regression_baseline(labels),
        challenger=quality,
    )
    if held.champion_schema is not None:
        champion = predictions("champion")
        evaluated = evaluated.model_copy(
            update={
                "champion": metrics.regression_quality(labels, champion, held.confidence),
                "comparisons": comparison.compare_regressions(
                    labels, challenger, champion, held.confidence
                ),
            }
        )
    return Measured(
        evaluated,
        quality_statistics.regression_statistics(labels, challenger),
        baseline.regression_baseline_of(labels, challenger, _values(quality), _rows_of(held)),
    )


def _values(quality: Quality) -> dict[str, float]:
    return {name: quality.metrics[name].value for name in _OF_BASELINE if name in quality.metrics}


def _rows_of(held: Held) -> baseline.RowsOf:
    return "fresh" if held.rows == "fresh" else "new"


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


def _headline(evaluation: Evaluation, manifest: Manifest) -> dict[str, float | int]:
    """Return the few numbers that run, registry and notices show."""
    headline: dict[str, float | int] = {"test_rows": evaluation.new.rows}
    sides = {"": evaluation.new.challenger, "champion_": evaluation.new.champion}
    if evaluation.base:
        sides |= {
            "base_": evaluation.base.challenger,
            "base_champion_": evaluation.base.champion,
        }
    if evaluation.fresh:
        headline["fresh_rows"] = evaluation.fresh.rows
        sides |= {
            "fresh_": evaluation.fresh.challenger,
            "fresh_champion_": evaluation.fresh.champion,
        }
    for prefix, quality in sides.items():
        for name, estimate in quality.metrics.items() if quality else ():
            if name in _HEADLINES:
                headline[prefix + name] = estimate.value
    if manifest.slices:
        headline["labelled_rows"] = manifest.labelled.total
        headline["labelled_rows_lost"] = sum(manifest.lost().values())
    return headline
