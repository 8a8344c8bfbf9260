"""Evaluate the challenger and the champion on rows that neither was trained on.

The use case reads the predictions of the batch transform jobs and writes evaluation.json (format:
domain/evaluation/report.py), baseline.json (the baseline of the version:
domain/monitoring/baseline.py), evaluation_statistics.json (Model Monitor's format, for SageMaker
Studio), evaluation_examples.json (some held-out rows: domain/evaluation/examples.py) and, with
`[prediction]`, decision.json (domain/decision_rule.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from refit.domain.decision_rule import DecisionRule
from refit.domain.evaluation import (
    chance,
    comparison,
    metrics,
    naive_baseline,
    quality_statistics,
)
from refit.domain.evaluation.deciding_metric import deciding_metric, headline_metrics
from refit.domain.evaluation.example_choice import classified_examples, measured_examples
from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.positive_class import positive_class
from refit.domain.evaluation.report import EvaluatedRows, Evaluation
from refit.domain.evaluation.threshold_choice import cheapest_threshold
from refit.domain.monitoring.baseline import FEWEST_FRESH_ROWS
from refit.domain.monitoring.baseline_measures import (
    classification_baseline_of,
    regression_baseline_of,
)
from refit.domain.naming import RunKeys
from refit.domain.pipeline.algorithms import algorithm_of
from refit.domain.quality_metrics import METRICS
from refit.usecases.evaluate_folds import FoldFiles, ScoredRows
from refit.usecases.evaluation_files import EvaluationFiles
from refit.usecases.write_examples import readable_rows, write_examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.examples import ExampleRow
    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.quality_statistics import Statistics
    from refit.domain.evaluation.report import ChampionRun, Comparison, ModelQuality
    from refit.domain.evaluation.resampling import Floats
    from refit.domain.evaluation.training_labels import TrainingLabels
    from refit.domain.model_settings import ModelSettings
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.pipeline.algorithms import AnswerForm
    from refit.domain.pipeline.manifest import Manifest
    from refit.domain.schema import Schema
    from refit.usecases.evaluation_files import HeldOutSet
    from refit.usecases.services import Services


@dataclass(frozen=True)
class Measurement:
    """The results on one set of held-out rows.

    Attributes:
        examples: rows to look at, without their values.
    """

    evaluated: EvaluatedRows
    statistics: Statistics
    baseline: Baseline
    examples: list[ExampleRow]


@dataclass(frozen=True)
class Challenger:
    """The version to evaluate.

    Attributes:
        training: labels of its training rows.
        rule: how it predicts a class; None: the most probable one.
        positive: index of the positive class, or None.
        metric: the metric that decides at the gate.
        confidence: of all intervals and tests.
        is_weighted: whether the held-out rows have weights.
        form: of its batch predictions.
    """

    schema: Schema
    training: TrainingLabels
    rule: DecisionRule | None
    positive: int | None
    metric: str
    confidence: float
    is_weighted: bool
    form: AnswerForm


@dataclass(frozen=True)
class ComparedVersion:
    """The live version, as it predicts the same rows."""

    schema: Schema
    rule: DecisionRule | None
    form: AnswerForm


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
        SettingsInvalid: when the settings do not fit the classes of the data, or no threshold can
            be chosen on the validation or out-of-fold rows.
    """
    keys = RunKeys(model, run)
    manifest = services.artifacts.manifest(model, run)
    compared = champion if comparable else None
    challenger = _challenger(services, keys, manifest)
    live = None
    if compared:
        live = ComparedVersion(
            services.artifacts.schema(model, compared.run),
            services.artifacts.decision_rule(model, compared.run),
            algorithm_of(services.artifacts.settings(model, compared.run).training).batch_form,
        )
    rows = HeldOutRows(EvaluationFiles(services, keys), challenger, live)
    new = rows.measure("new")
    base = rows.measure("base") if compared and manifest.has_base else None
    fresh = rows.measure("fresh") if manifest.labelled.fresh_test else None
    folds = _fold_files(services, keys, manifest.settings)
    schema = challenger.schema
    evaluation = Evaluation(
        model=model,
        run=run,
        task=schema.task,
        classes=schema.classes,
        confidence=challenger.confidence,
        champion=champion,
        comparable=comparable,
        metric=challenger.metric,
        decision=challenger.rule,
        folds=folds and folds.scores(schema.classes, challenger.rule, challenger.positive),
        imbalance=challenger.training.imbalance(),
        lone_classes=challenger.training.lone_classes(),
        new=new.evaluated,
        base=base and base.evaluated,
        fresh=fresh and fresh.evaluated,
        notes=manifest.comparison_notes,
    )
    enough_fresh = fresh and fresh.evaluated.rows >= FEWEST_FRESH_ROWS
    latest = fresh if fresh and enough_fresh else new
    if challenger.rule is not None:
        services.bucket.put_json(keys.decision, challenger.rule.model_dump(mode="json"))
    services.bucket.put_json(keys.baseline, latest.baseline.model_dump(mode="json"))
    services.bucket.put_json(keys.evaluation_statistics, new.statistics)
    write_examples(services, keys, schema, new.examples)
    services.bucket.put_json(keys.evaluation, evaluation.model_dump(mode="json"))
    return _headline(evaluation, manifest)


def _challenger(services: Services, keys: RunKeys, manifest: Manifest) -> Challenger:
    schema = services.artifacts.schema(keys.model, keys.run)
    settings = manifest.settings
    training = services.artifacts.training_labels(keys.model, keys.run)
    positive = positive_class(settings.prediction, schema)
    rule = None
    if positive is not None and schema.classes is not None:
        rule = _rule(EvaluationFiles(services, keys), settings, schema.classes, positive)
    return Challenger(
        schema=schema,
        training=training,
        rule=rule,
        positive=positive,
        metric=deciding_metric(
            schema.task,
            settings.gate,
            len(schema.classes) if schema.classes else None,
            training.imbalance(),
        ),
        confidence=settings.gate.confidence,
        is_weighted=settings.data.weight is not None,
        form=algorithm_of(settings.training).batch_form,
    )


def _rule(
    files: EvaluationFiles, settings: ModelSettings, classes: Sequence[str], positive: int
) -> DecisionRule:
    """Return how the challenger predicts a class; costs choose the threshold."""
    prediction = settings.prediction
    rule = DecisionRule(
        positive=classes[positive],
        is_default=prediction.positive is None,
        threshold=prediction.threshold,
        chosen=None if prediction.threshold is None else "settings",
    )
    if prediction.costs is None:
        return rule
    rows, kind = _threshold_rows(files, settings, classes, positive)
    chosen = cheapest_threshold(
        rows.labels == positive, rows.scores, prediction.costs, rows.weights, kind
    )
    return rule.model_copy(
        update={
            "threshold": chosen.threshold,
            "chosen": "costs",
            "chosen_on": kind,
            "expected_cost": chosen.expected_cost,
        }
    )


def _threshold_rows(
    files: EvaluationFiles, settings: ModelSettings, classes: Sequence[str], positive: int
) -> tuple[ScoredRows, Literal["validation", "out-of-fold"]]:
    """Return the rows on which costs choose the threshold: the out-of-fold rows are more."""
    of_folds = _fold_files(files.services, files.keys, settings)
    if of_folds is not None:
        return of_folds.scored(classes, positive), "out-of-fold"
    labels = files.classes("validation", len(classes))
    form = algorithm_of(settings.training).batch_form
    outcome = files.outcome("validation", "challenger", labels, classes, len(classes), None, form)
    weights = files.weights("validation", len(labels)) if settings.data.weight else None
    rows = slice(None, None, outcome.step)
    weighted = metrics.row_weights(weights, len(labels))[rows]
    return ScoredRows(labels[rows], outcome.sample[:, positive], weighted), "validation"


def _fold_files(services: Services, keys: RunKeys, settings: ModelSettings) -> FoldFiles | None:
    folds = settings.training.folds
    is_weighted = settings.data.weight is not None
    form = algorithm_of(settings.training).batch_form
    return FoldFiles(services, keys, folds, is_weighted, form) if folds else None


class HeldOutRows:
    """Measures challenger and champion on sets of held-out rows."""

    def __init__(
        self,
        files: EvaluationFiles,
        challenger: Challenger,
        champion: ComparedVersion | None,
    ) -> None:
        self._files = files
        self._challenger = challenger
        self._champion = champion

    def measure(self, rows: HeldOutSet) -> Measurement:
        """Measure one set."""
        classes = self._challenger.schema.classes
        if classes is None:
            return self._measure_regression(rows)
        return self._measure_classification(rows, classes)

    def _measure_classification(self, rows: HeldOutSet, classes: Sequence[str]) -> Measurement:
        version, champion = self._challenger, self._champion
        labels = self._files.classes(rows, len(classes))
        weights = self._weights(rows, len(labels))
        outcome = self._files.outcome(
            rows, "challenger", labels, classes, len(classes), version.rule, version.form
        )

        def quality_of(outcome: ClassOutcome) -> ModelQuality:
            return metrics.classification_quality(
                labels, outcome, classes, version.confidence, weights, version.positive
            )

        quality = quality_of(outcome)
        evaluated = EvaluatedRows(
            rows=len(labels),
            baseline=naive_baseline.classification_baseline(
                labels, classes, version.training, weights, version.positive, outcome
            ),
            challenger=quality,
        )
        if rows == "new" and version.metric in quality.metrics:
            measured = ClassifiedRows(
                labels,
                outcome,
                len(classes),
                metrics.row_weights(weights, len(labels)),
                version.positive,
            )
            by_chance = chance.chance_of_classifier(version.metric, measured, version.confidence)
            evaluated = evaluated.model_copy(update={"chance": by_chance})
        live = None
        if champion is not None:
            known = champion.schema.classes or ()
            live = self._files.outcome(
                rows, "champion", labels, known, len(classes), champion.rule, champion.form
            )
            evaluated = _compared(
                evaluated,
                quality_of(live),
                comparison.compare_classifiers(
                    labels, outcome, live, version.confidence, weights, version.positive
                ),
            )
        baseline = classification_baseline_of(
            labels,
            outcome.predicted,
            outcome.largest,
            classes,
            _live_metrics(quality),
            "fresh" if rows == "fresh" else "new",
        )
        statistics = quality_statistics.classification_statistics(labels, outcome, classes)
        among = self._readable(rows, len(labels))
        examples = classified_examples(labels[:among], outcome, live, classes)
        return Measurement(evaluated, statistics, baseline, examples)

    def _measure_regression(self, rows: HeldOutSet) -> Measurement:
        version = self._challenger
        labels = self._files.labels(rows)
        weights = self._weights(rows, len(labels))
        predictions = self._files.numbers(rows, "challenger", len(labels), version.form)
        quality = metrics.regression_quality(labels, predictions, version.confidence, weights)
        evaluated = EvaluatedRows(
            rows=len(labels),
            baseline=naive_baseline.regression_baseline(labels, version.training, weights),
            challenger=quality,
        )
        if rows == "new" and version.metric in quality.metrics:
            measured = NumberRows(labels, predictions, metrics.row_weights(weights, len(labels)))
            by_chance = chance.chance_of_regression(version.metric, measured, version.confidence)
            evaluated = evaluated.model_copy(update={"chance": by_chance})
        live = None
        if self._champion is not None:
            live = self._files.numbers(rows, "champion", len(labels), self._champion.form)
            evaluated = _compared(
                evaluated,
                metrics.regression_quality(labels, live, version.confidence, weights),
                comparison.compare_regressions(
                    labels, predictions, live, version.confidence, weights
                ),
            )
        baseline = regression_baseline_of(
            labels,
            predictions,
            _live_metrics(quality),
            "fresh" if rows == "fresh" else "new",
        )
        statistics = quality_statistics.regression_statistics(labels, predictions)
        among = self._readable(rows, len(labels))
        examples = measured_examples(labels[:among], predictions[:among], live)
        return Measurement(evaluated, statistics, baseline, examples)

    def _readable(self, rows: HeldOutSet, count: int) -> int:
        """Return among how many of the first rows examples are chosen: only new rows are shown."""
        return readable_rows(self._files.services, self._files.keys, count) if rows == "new" else 0

    def _weights(self, rows: HeldOutSet, count: int) -> Floats | None:
        return self._files.weights(rows, count) if self._challenger.is_weighted else None


def _compared(
    evaluated: EvaluatedRows,
    champion: ModelQuality,
    comparisons: dict[str, Comparison],
) -> EvaluatedRows:
    return evaluated.model_copy(update={"champion": champion, "comparisons": comparisons})


def _live_metrics(quality: ModelQuality) -> dict[str, float]:
    """Return the metrics that are measured on live predictions too, for their baseline."""
    return {
        name: estimate.value for name, estimate in quality.metrics.items() if METRICS[name].is_live
    }


def _headline(evaluation: Evaluation, manifest: Manifest) -> dict[str, float | int]:
    """Return the metrics for the run, the model registry and notices."""
    headline: dict[str, float | int] = {"test_rows": evaluation.new.rows}
    if evaluation.fresh:
        headline["fresh_rows"] = evaluation.fresh.rows
    if evaluation.decision and evaluation.decision.threshold is not None:
        headline["threshold"] = evaluation.decision.threshold
    shown = headline_metrics(evaluation)
    if evaluation.folds and evaluation.metric in evaluation.folds.mean:
        headline["folds"] = len(evaluation.folds.each)
        headline[f"folds_{evaluation.metric}"] = evaluation.folds.mean[evaluation.metric]
        headline["folds_spread"] = evaluation.folds.spread[evaluation.metric]
    sets = {"": evaluation.new, "base_": evaluation.base, "fresh_": evaluation.fresh}
    for prefix, rows in sets.items():
        if rows is None:
            continue
        for side, quality in (("", rows.challenger), ("champion_", rows.champion)):
            measured = quality.metrics if quality else {}
            for name in shown:
                if name in measured:
                    headline[f"{prefix}{side}{name}"] = measured[name].value
    if manifest.slices:
        headline["labelled_rows"] = manifest.labelled.total
        headline["labelled_rows_lost"] = sum(manifest.lost().values())
    return headline
