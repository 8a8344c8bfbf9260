"""The tables of a report, as rows of values that the template formats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import (
        ClassQuality,
        Comparison,
        Estimate,
        EvaluatedRows,
        Evaluation,
        FoldScores,
    )
    from refit.domain.learned import LearnedColumn
    from refit.domain.pipeline.manifest import Manifest
    from refit.domain.pipeline.tuning_record import TuningRecord

MOST_CLASSES = 30
"""Classes of a confusion matrix that a page can show; of more, the largest confusions are shown."""

MOST_CONFUSIONS = 20
MOST_ROWS = 300


@dataclass(frozen=True)
class MetricRow:
    """One metric of the challenger and of what it is compared with; None where there is none."""

    name: str
    challenger: Estimate
    baseline: float | None
    champion: Estimate | None
    comparison: Comparison | None


@dataclass(frozen=True)
class QualityTable:
    """The metrics on one set of held-out rows."""

    title: str
    rows: int
    metrics: Sequence[MetricRow]
    has_champion: bool


@dataclass(frozen=True)
class Confusion:
    """A cell of the confusion matrix outside its diagonal."""

    actual: str
    predicted: str
    rows: int


@dataclass(frozen=True)
class ConfusionMatrix:
    """Held-out rows by actual and predicted class.

    Attributes:
        rows: of each actual class the counts, and their shares (0 to 1) in the rows of the class;
            empty for too many classes.
        confusions: the largest confusions.
    """

    classes: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[int, float]]]]
    confusions: Sequence[Confusion]


@dataclass(frozen=True)
class ValueTable:
    """A table whose columns depend on the run: folds or trials."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


_TITLES = {
    "new": "The held-out rows of this run",
    "base": "The held-out rows of the live version",
    "fresh": "Rows predicted and labelled since the live version was trained",
}


def quality_tables(evaluation: Evaluation) -> list[QualityTable]:
    """Return a table for each set of held-out rows."""
    sets = {"new": evaluation.new, "base": evaluation.base, "fresh": evaluation.fresh}
    return [_quality(_TITLES[name], rows) for name, rows in sets.items() if rows is not None]


def _quality(title: str, rows: EvaluatedRows) -> QualityTable:
    champion = rows.champion.metrics if rows.champion else {}
    comparisons = rows.comparisons or {}
    metrics = [
        MetricRow(
            name,
            estimate,
            rows.baseline.metrics.get(name),
            champion.get(name),
            comparisons.get(name),
        )
        for name, estimate in rows.challenger.metrics.items()
    ]
    return QualityTable(title, rows.rows, metrics, rows.champion is not None)


def confusion_of(evaluation: Evaluation) -> ConfusionMatrix | None:
    """Return the confusion matrix on the held-out rows of the run; None for a regression."""
    counts, classes = evaluation.new.challenger.confusion_matrix, evaluation.classes
    if counts is None or classes is None:
        return None
    confusions = [
        Confusion(classes[actual], classes[predicted], count)
        for actual, row in enumerate(counts)
        for predicted, count in enumerate(row)
        if count and actual != predicted
    ]
    confusions.sort(key=lambda confusion: -confusion.rows)
    shown = []
    if len(classes) <= MOST_CLASSES:
        shown = [
            (name, [(count, count / (sum(row) or 1)) for count in row])
            for name, row in zip(classes, counts, strict=True)
        ]
    return ConfusionMatrix(classes, shown, confusions[:MOST_CONFUSIONS])


def class_rows(evaluation: Evaluation) -> list[tuple[str, ClassQuality]]:
    """Return the quality of each class on the held-out rows of the run."""
    return list((evaluation.new.challenger.per_class or {}).items())[:MOST_ROWS]


def gate_notes(decision: GateDecision) -> list[str]:
    """Return the reasons of the gate that belong to no check."""
    reasons = {check.reason for check in decision.checks}
    return [reason for reason in decision.reasons if reason not in reasons]


def fold_table(folds: FoldScores) -> ValueTable:
    """Return the metrics of each fold, with mean and spread below them."""
    names = list(dict.fromkeys(name for fold in folds.each for name in fold.metrics))
    rows: list[list[Any]] = [
        [f"fold {number}", fold.rows, *(fold.metrics.get(name) for name in names)]
        for number, fold in enumerate(folds.each, start=1)
    ]
    rows.append(["mean", folds.rows, *(folds.mean.get(name) for name in names)])
    rows.append(["standard deviation", None, *(folds.spread.get(name) for name in names)])
    note = "Each training row is predicted by the model of the fold that was not trained on it."
    return ValueTable(["fold", "rows", *names], rows, note)


def trial_table(tuning: TuningRecord) -> ValueTable | None:
    """Return the trials of a tuning, the best first; None if there are none."""
    if not tuning.trials:
        return None
    names = list(dict.fromkeys(name for it in tuning.trials for name in it.hyperparameters))
    sign = -1 if tuning.maximize else 1
    ranked = sorted(
        tuning.trials, key=lambda it: (it.objective is None, sign * (it.objective or 0.0))
    )
    rows = [
        [
            trial.name,
            trial.status,
            trial.objective,
            trial.seconds,
            *(trial.hyperparameters.get(name) for name in names),
        ]
        for trial in ranked
    ]
    note = ""
    if tuning.best:
        note = f"The best trial is {tuning.best.name}, by the metric of the last round."
    return ValueTable(["trial", "status", tuning.metric, "seconds", *names], rows[:MOST_ROWS], note)


def column_rows(profile: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the training rows have in each column."""
    rows = []
    for column in profile.get("columns", [])[:MOST_ROWS]:
        counts = column.get("counts")
        common = max(counts, key=counts.get) if counts else None
        rows.append(
            {
                "name": column["name"],
                "type": column["type"],
                "missing": 1 - column["completeness"],
                "min": _moment(column, "min"),
                "max": _moment(column, "max"),
                "mean": _moment(column, "mean"),
                "std": column.get("std"),
                "distinct": len(counts) if counts else None,
                "common": common,
            }
        )
    return rows


def label_rows(profile: dict[str, Any]) -> list[tuple[str, int, float]]:
    """Return the classes of the training rows: text, number of rows, and their share."""
    classes: dict[str, int] = profile.get("label", {}).get("classes") or {}
    total = sum(classes.values()) or 1
    return [(name, count, count / total) for name, count in classes.items()][:MOST_ROWS]


def ignored_columns(manifest: Manifest) -> list[LearnedColumn]:
    """Return the columns that were left out."""
    learned = manifest.learned
    return [c for c in learned.columns if c.type == "ignored"][:MOST_ROWS] if learned else []


def _moment(column: dict[str, Any], name: str) -> float | str | None:
    """Return a statistic of a column; of dates, which are days since 1970, as a date."""
    value: float | None = column.get(name)
    if value is None or column["type"] != "date":
        return value
    return f"{datetime.fromtimestamp(0, UTC) + timedelta(days=value):%Y-%m-%d}"
