"""The format of `evaluation.json`.

evaluation.json
├── model, run, task, classes, confidence, champion {run, version} or null, comparable
├── new    all held-out rows of this run
├── base   the champion's held-out rows that the challenger was not trained on; null without any
├── notes  sentences on which held-out rows the two versions can be compared
└── fresh  those of `new` that were predicted and labelled since the champion; null without any
    each:
    ├── rows          number of rows
    ├── baseline      metrics of a constant prediction: the most frequent class, or the mean
    ├── challenger    metrics, per class, confusion matrix; every estimate with its interval
    ├── champion      the same for the live model, or null
    └── comparisons   by metric: advantage of the challenger, its interval and p value, or null

Metrics of a classification: accuracy, log_loss, macro_ and weighted_ precision, recall and f1.
Metrics of a regression: rmse, mae, r2 (absent when all labels are the same), bias.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.vocabulary import Task

HIGHER_IS_BETTER = frozenset({"accuracy"})
"""Of the compared metrics; the others are losses."""


class ReportPart(BaseModel):
    """A part of evaluation.json."""

    model_config = ConfigDict(frozen=True)


class Estimate(ReportPart):
    """The value of a metric on the held-out rows, with its two-sided confidence interval.

    The bounds are None where the rows are too few for an interval (one row, by bootstrap).
    """

    value: float
    low: float | None
    high: float | None
    method: Literal["wilson", "bootstrap"]


class ClassQuality(ReportPart):
    """Quality of the predictions of one class.

    Attributes:
        support: held-out rows of this class.
        predicted: held-out rows that were predicted to be of this class.
        precision: None when it was never predicted.
        recall: None when no held-out row is of it.
        f1: None when neither.
    """

    support: int
    predicted: int
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


class ModelQuality(ReportPart):
    """One model on one set of rows.

    Attributes:
        metrics: by name.
        per_class: by the text of the class; classification only.
        confusion_matrix: rows actual, columns predicted, in the order of `classes`.
    """

    metrics: dict[str, Estimate]
    per_class: dict[str, ClassQuality] | None = None
    confusion_matrix: list[list[int]] | None = None


class NaiveBaseline(ReportPart):
    """Metrics of a constant prediction, which a model must beat.

    Attributes:
        answer: text of the most frequent class, or the mean label.
        metrics: accuracy of the most frequent class and log loss of the class frequencies; or RMSE
            and MAE of the mean.
    """

    answer: str | float
    metrics: dict[str, float]


class Comparison(ReportPart):
    """Challenger and champion compared on the same rows, in the unit of the metric.

    Attributes:
        advantage: how much better the challenger is; negative if it is worse.
        low: lower bound of the advantage; None with fewer than two rows.
        high: upper bound.
        p_value: two-sided, of the hypothesis that both are equally good.
    """

    challenger: float
    champion: float
    advantage: float
    low: float | None
    high: float | None
    p_value: float
    method: Literal["mcnemar mid-p", "paired bootstrap"]


class EvaluatedRows(ReportPart):
    """Both models on one set of held-out rows."""

    rows: int
    baseline: NaiveBaseline
    challenger: ModelQuality
    champion: ModelQuality | None = None
    comparisons: dict[str, Comparison] | None = None


class ChampionRun(ReportPart):
    """The live version at the time of the evaluation."""

    run: str
    version: int


class Evaluation(ReportPart):
    """All of evaluation.json."""

    model: str
    run: str
    task: Task
    classes: tuple[str, ...] | None
    confidence: float
    champion: ChampionRun | None
    comparable: bool
    new: EvaluatedRows
    base: EvaluatedRows | None
    fresh: EvaluatedRows | None = None
    notes: tuple[str, ...] = ()
