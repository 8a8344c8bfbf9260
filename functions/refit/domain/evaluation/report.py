"""The format of `evaluation.json`.

evaluation.json
├── model, run, task, classes, confidence, champion {run, version} or null, comparable
├── metric     the metric that decides at the gate
├── decision   positive class and threshold of the challenger, or null
├── folds      the models of the folds on their out-of-fold rows, or null
├── imbalance, lone_classes   what is unusual about the labels of the training rows, or null
├── new    all held-out rows of this run
├── base   the champion's held-out rows that the challenger was not trained on; null without any
├── notes  sentences on which held-out rows the two versions can be compared
└── fresh  those of `new` that were predicted and labelled since the champion; null without any
    each:
    ├── rows          number of rows
    ├── baseline      metrics of a prediction without skill, from the training rows
    ├── challenger    metrics, per class, confusion matrix; every estimate with its interval
    ├── champion      the same for the live model, or null
    ├── comparisons   by metric: advantage of the challenger, its interval and p value, or null
    └── chance        of `new`: whether the deciding metric is better than chance

domain/quality_metrics.py lists the metrics. A metric that is undefined on the rows is absent.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.decision_rule import DecisionRule
from refit.domain.vocabulary import Task


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
        is_always_certain: whether every probability is exactly 0 or 1, as where a container answers
            the numbers of two classes.
    """

    metrics: dict[str, Estimate]
    is_always_certain: bool = False
    per_class: dict[str, ClassQuality] | None = None
    confusion_matrix: list[list[int]] | None = None


class NaiveBaseline(ReportPart):
    """Metrics of a prediction without skill, which a model must beat.

    Attributes:
        answer: text of the most frequent class, or the mean label, of the training rows.
        metrics: by judging metric (evaluation/naive_baseline.py says what is predicted).
    """

    answer: str | float
    metrics: dict[str, float]


class Chance(ReportPart):
    """Whether the challenger is better than chance: evaluation/chance.py.

    Attributes:
        metric: the metric that decides at the gate.
        p_value: two-sided, of the hypothesis that labels do not depend on the features.
        orders: number of random orders of the labels that were tried.
    """

    metric: str
    p_value: float
    orders: int


class Imbalance(ReportPart):
    """A class is rare among the training rows; shares from 0 to 1."""

    rare: str
    rare_share: float
    common: str
    common_share: float


class LoneClasses(ReportPart):
    """Nearly all classes have one training row only: `lone` of `classes`, in `rows` rows."""

    classes: int
    lone: int
    rows: int


class Comparison(ReportPart):
    """Challenger and champion compared on the same rows, in the unit of the metric.

    Attributes:
        advantage: how much better the challenger is; negative if it is worse.
        low: lower bound of the advantage; None with fewer than two rows.
        high: upper bound.
        p_value: two-sided, of the hypothesis that both are equally good.
        one_row: the most by which one row can change the metric; None where that has no bound.
    """

    challenger: float
    champion: float
    advantage: float
    low: float | None
    high: float | None
    p_value: float
    method: Literal["mcnemar mid-p", "paired bootstrap"]
    one_row: float | None = None


class EvaluatedRows(ReportPart):
    """Both models on one set of held-out rows."""

    rows: int
    baseline: NaiveBaseline
    challenger: ModelQuality
    champion: ModelQuality | None = None
    comparisons: dict[str, Comparison] | None = None
    chance: Chance | None = None


class FoldMetrics(ReportPart):
    """The model of one fold on the rows that the fold holds out.

    Attributes:
        metrics: by name; without those that are undefined on these rows.
    """

    rows: int
    metrics: dict[str, float]


class FoldScores(ReportPart):
    """The models of all folds: evaluation/fold_scores.py.

    Attributes:
        rows: number of out-of-fold rows.
        mean: mean of each metric that is defined in every fold.
        spread: standard deviation of the same metrics over the folds.
        each: the folds in their order.
    """

    rows: int
    mean: dict[str, float]
    spread: dict[str, float]
    each: tuple[FoldMetrics, ...]


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
    metric: str | None = None
    decision: DecisionRule | None = None
    folds: FoldScores | None = None
    imbalance: Imbalance | None = None
    lone_classes: LoneClasses | None = None
    new: EvaluatedRows
    base: EvaluatedRows | None
    fresh: EvaluatedRows | None = None
    notes: tuple[str, ...] = ()
