"""Evaluate the challenger and the champion on rows that neither was trained on.

The use case reads the predictions of the batch transform jobs and writes three files:
evaluation.json (format: domain/evaluation/report.py), baseline.json (the baseline of the version:
domain/monitoring/baseline.py) and evaluation_statistics.json (Model Monitor's format, for SageMaker
Studio).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from refit.domain.errors import EvaluationIncomplete, ObjectNotFound
from refit.domain.evaluation import batch_output, comparison, metrics, quality_statistics
from refit.domain.evaluation.report import EvaluatedRows, Evaluation
from refit.domain.monitoring.baseline import FEWEST_FRESH_ROWS
from refit.domain.monitoring.baseline_measures import (
    classification_baseline_of,
    regression_baseline_of,
)
from refit.domain.naming import RunKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.quality_statistics import Statistics
    from refit.domain.evaluation.report import ChampionRun, Comparison, ModelQuality
    from refit.domain.evaluation.resampling import Floats
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.pipeline.manifest import Manifest
    from refit.domain.schema import Schema
    from refit.usecases.services import Services

HeldOutSet: TypeAlias = Literal["new", "base", "fresh"]
"""Held-out rows of the run's data, of the champion's data, and of the labels that arrived since."""

_HEADLINE_METRICS = frozenset({"accuracy", "log_loss", "macro_f1", "rmse", "mae", "r2"})
_BASELINE_METRICS = ("accuracy", "log_loss", "rmse", "mae", "bias")


@dataclass(frozen=True)
class Measurement:
    """The results on one set of held-out rows."""

    evaluated: EvaluatedRows
    statistics: Statistics
    baseline: Baseline


def evaluate_challenger(
    services: Services, model: str, run: str, champion: ChampionRun | None, comparable: bool
) -> dict[str, float | int]:
    """Evaluate a run; return its headline metrics.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        run: id of the run.
        champion: the live version; None when no version is live.
        comparable: whether the champion has predicted the same rows.

    Raises:
        EvaluationIncomplete: when predictions are missing or do not match the rows.
    """
    keys = RunKeys(model, run)
    manifest = services.artifacts.manifest(model, run)
    schema = services.artifacts.schema(model, run)
    compared = champion if comparable else None
    champion_schema = services.artifacts.schema(model, compared.run) if compared else None
    confidence = manifest.settings.gate.confidence
    rows = HeldOutRows(services, keys, schema, champion_schema, confidence)
    new = rows.measure("new")
    base = rows.measure("base") if compared and manifest.has_base else None
    fresh = rows.measure("fresh") if manifest.labelled.fresh_test else None
    evaluation = Evaluation(
        model=model,
        run=run,
        task=schema.task,
        classes=schema.classes,
        confidence=confidence,
        champion=champion,
        comparable=comparable,
        new=new.evaluated,
        base=base and base.evaluated,
        fresh=fresh and fresh.evaluated,
        notes=manifest.comparison_notes,
    )
    enough_fresh = fresh and fresh.evaluated.rows >= FEWEST_FRESH_ROWS
    latest = fresh if fresh and enough_fresh else new
    services.bucket.put_json(keys.baseline, latest.baseline.model_dump(mode="json"))
    services.bucket.put_json(keys.evaluation_statistics, new.statistics)
    services.bucket.put_json(keys.evaluation, evaluation.model_dump(mode="json"))
    return _headline(evaluation, manifest)


@dataclass(frozen=True)
class HeldOutRows:
    """Reads labels and predictions of held-out rows from the bucket, and measures them."""

    services: Services
    keys: RunKeys
    schema: Schema
    champion_schema: Schema | None
    confidence: float

    def measure(self, rows: HeldOutSet) -> Measurement:
        """Measure one set."""
        if self.schema.classes is None:
            return self._measure_regression(rows)
        return self._measure_classification(rows, self.schema.classes)

    def _measure_classification(self, rows: HeldOutSet, classes: Sequence[str]) -> Measurement:
        key = self.keys.evaluation_labels(rows)
        texts = batch_output.parse_labels(self._open(key).read(), key)
        labels = batch_output.class_indices(texts, len(classes), key)

        def outcome(side: str, known_classes: Sequence[str]) -> metrics.ClassOutcome:
            name = self._output_key(rows, side)
            return batch_output.read_outcome(
                self._open(name), name, labels, len(known_classes), len(classes)
            )

        challenger = outcome("challenger", classes)
        quality = metrics.classification_quality(labels, challenger, classes, self.confidence)
        evaluated = EvaluatedRows(
            rows=len(labels),
            baseline=metrics.classification_baseline(labels, classes),
            challenger=quality,
        )
        if self.champion_schema is not None:
            champion = outcome("champion", self.champion_schema.classes or ())
            evaluated = _compared(
                evaluated,
                metrics.classification_quality(labels, champion, classes, self.confidence),
                comparison.compare_classifiers(labels, challenger, champion, self.confidence),
            )
        baseline = classification_baseline_of(
            labels,
            challenger.predicted,
            challenger.largest,
            classes,
            _baseline_metrics(quality),
            "fresh" if rows == "fresh" else "new",
        )
        statistics = quality_statistics.classification_statistics(labels, challenger, classes)
        return Measurement(evaluated, statistics, baseline)

    def _measure_regression(self, rows: HeldOutSet) -> Measurement:
        key = self.keys.evaluation_labels(rows)
        labels = batch_output.parse_labels(self._open(key).read(), key)

        def predictions(side: str) -> Floats:
            name = self._output_key(rows, side)
            return batch_output.read_numbers(self._open(name), name, len(labels))

        challenger = predictions("challenger")
        quality = metrics.regression_quality(labels, challenger, self.confidence)
        evaluated = EvaluatedRows(
            rows=len(labels),
            baseline=metrics.regression_baseline(labels),
            challenger=quality,
        )
        if self.champion_schema is not None:
            champion = predictions("champion")
            evaluated = _compared(
                evaluated,
                metrics.regression_quality(labels, champion, self.confidence),
                comparison.compare_regressions(labels, challenger, champion, self.confidence),
            )
        baseline = regression_baseline_of(
            labels,
            challenger,
            _baseline_metrics(quality),
            "fresh" if rows == "fresh" else "new",
        )
        statistics = quality_statistics.regression_statistics(labels, challenger)
        return Measurement(evaluated, statistics, baseline)

    def _output_key(self, rows: HeldOutSet, side: str) -> str:
        return f"{self.keys.evaluation_output(side)}{rows}.csv.out"

    def _open(self, key: str) -> IO[bytes]:
        try:
            return self.services.bucket.open(key)
        except ObjectNotFound as error:
            raise EvaluationIncomplete(f"the previous step did not write {key}") from error


def _compared(
    evaluated: EvaluatedRows,
    champion: ModelQuality,
    comparisons: dict[str, Comparison],
) -> EvaluatedRows:
    return evaluated.model_copy(update={"champion": champion, "comparisons": comparisons})


def _baseline_metrics(quality: ModelQuality) -> dict[str, float]:
    return {
        name: quality.metrics[name].value for name in _BASELINE_METRICS if name in quality.metrics
    }


def _headline(evaluation: Evaluation, manifest: Manifest) -> dict[str, float | int]:
    """Return the metrics for the run, the model registry and notices."""
    headline: dict[str, float | int] = {"test_rows": evaluation.new.rows}
    if evaluation.fresh:
        headline["fresh_rows"] = evaluation.fresh.rows
    sets = {"": evaluation.new, "base_": evaluation.base, "fresh_": evaluation.fresh}
    for prefix, rows in sets.items():
        if rows is None:
            continue
        for side, quality in (("", rows.challenger), ("champion_", rows.champion)):
            for name, estimate in quality.metrics.items() if quality else ():
                if name in _HEADLINE_METRICS:
                    headline[f"{prefix}{side}{name}"] = estimate.value
    if manifest.slices:
        headline["labelled_rows"] = manifest.labelled.total
        headline["labelled_rows_lost"] = sum(manifest.lost().values())
    return headline
