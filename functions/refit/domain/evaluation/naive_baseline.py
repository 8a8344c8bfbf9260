"""What a prediction without skill reaches on the held-out rows.

Its constants come from the training rows, as those of a model do. The commonest class or the mean
of the held-out rows themselves would be chosen by what they are measured on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.metrics import row_weights
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.report import NaiveBaseline
from refit.domain.evaluation.resampling import measured_once
from refit.domain.quality_metrics import JUDGING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.evaluation.training_labels import TrainingLabels


def classification_baseline(
    labels: Integers,
    classes: Sequence[str],
    training: TrainingLabels,
    weights: Floats | None = None,
    positive: int | None = None,
    challenger: ClassOutcome | None = None,
) -> NaiveBaseline:
    """Measure predictions without skill on held-out rows.

    Losses are those of the class frequencies; ROC AUC and average precision those of one score for
    all rows (0.5, the share of the positive class). The other metrics are those of the most
    frequent class. With a positive class, the F1 is that of always predicting it, which is the best
    without skill, and precision and recall are those of predicting it at random for as many rows as
    the challenger does: the share of the positive rows, and the share of the rows so predicted.

    Args:
        labels: (n_rows,) class indices, n_rows ≥ 1.
        classes: texts of the classes, by index.
        training: labels of the training rows.
        weights: (n_rows,) weights of the rows, or None.
        positive: index of the positive class, or None.
        challenger: the challenger on the same rows; needed with a positive class.
    """
    counts = np.array([(training.classes or {}).get(text, 0) for text in classes], dtype=np.float64)
    frequent = int(counts.argmax())
    shares = np.broadcast_to(counts / counts.sum(), (len(labels), len(classes)))
    outcome = outcome_of(labels, shares, len(classes))
    rows = ClassifiedRows(
        labels,
        replace(outcome, predicted=np.full(len(labels), frequent)),
        len(classes),
        row_weights(weights, len(labels)),
    )
    values = measured_once(rows)
    if positive is not None and challenger is not None:
        values |= _of_positive(rows, positive, challenger)
    return NaiveBaseline(answer=classes[frequent], metrics=_judging(values))


def _of_positive(
    rows: ClassifiedRows, positive: int, challenger: ClassOutcome
) -> dict[str, Floats]:
    always = replace(rows.outcome, predicted=np.full(len(rows.labels), positive))
    values = measured_once(replace(rows, outcome=always, positive=positive))
    is_predicted = challenger.predicted == positive
    guessed = np.average(is_predicted, weights=rows.row_weights)
    return {
        "average_precision": values["average_precision"],
        "f1": values["f1"],
        "precision": values["precision"],
        "recall": np.asarray(guessed, dtype=np.float64),
    }


def regression_baseline(
    labels: Floats, training: TrainingLabels, weights: Floats | None = None
) -> NaiveBaseline:
    """Measure always predicting the mean of the training rows.

    Args:
        labels: (n_rows,) held-out labels, n_rows ≥ 1.
        training: labels of the training rows.
        weights: (n_rows,) weights of the rows, or None.
    """
    mean = float(training.mean or 0.0)
    constant = NumberRows(labels, np.full(len(labels), mean), row_weights(weights, len(labels)))
    return NaiveBaseline(answer=mean, metrics=_judging(measured_once(constant)))


def _judging(values: Mapping[str, Floats]) -> dict[str, float]:
    return {
        name: float(values[name]) + 0.0
        for name in JUDGING
        if name in values and np.isfinite(values[name])
    }
