"""The predictions of a classifier, reduced to what the metrics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.decision_rule import predicted_classes
from refit.domain.errors import EvaluationIncomplete
from refit.domain.vocabulary import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.evaluation.resampling import Floats, Integers


@dataclass(frozen=True)
class ClassOutcome:
    """The predictions of a classifier, reduced to what the metrics need.

    Attributes:
        predicted: (n_rows,) index of the predicted class (domain/decision_rule.py).
        losses: (n_rows,) −ln of the probability of the true class, ≥ 0.
        squares: (n_rows,) squared distance of the probabilities from the truth: 0 to 1 of two
            classes (that of one class), 0 to 2 of more (the sum over the classes).
        largest: (n_rows,) the probability of the predicted class.
        second_class: (n_rows,) probability of class 1 where there are two classes, else None.
        sample: (n_sampled, n_classes) all probabilities of every `step`-th row, for the test
            against chance.
        step: 1 unless the rows times the classes are very many.
    """

    predicted: Integers
    losses: Floats
    squares: Floats
    largest: Floats
    second_class: Floats | None
    sample: Floats
    step: int = 1


def outcome_of(
    labels: Integers,
    probabilities: Floats,
    n_classes: int,
    known: Sequence[str] = (),
    rule: DecisionRule | None = None,
) -> ClassOutcome:
    """Reduce class probabilities to predicted class and loss.

    A model that knows fewer classes gives the others a probability of 0.

    Args:
        labels: (n_rows,) class index of each row, 0 to n_classes − 1.
        probabilities: (n_rows, n_known), n_known ≤ n_classes, each row adding up to 1.
        n_classes: number of classes.
        known: texts of the classes that the model knows; needed with a rule only.
        rule: decision rule of the model; None: the most probable class.

    Raises:
        EvaluationIncomplete: when they are not probabilities: not finite, outside 0 to 1, or not
            adding up to 1 (the objective returns classes or raw scores).
    """
    n_known = probabilities.shape[1]
    # not(...) so that a NaN, for which every comparison is false, is refused as well.
    wrong = ~(
        (probabilities.min(axis=1) >= -1e-6) & (np.abs(probabilities.sum(axis=1) - 1) <= 1e-3)
    )
    if wrong.any():
        shown = ", ".join(f"{value:.6g}" for value in probabilities[int(wrong.argmax())][:5])
        raise EvaluationIncomplete(
            f"{int(wrong.sum())} of {len(wrong)} predictions are not class probabilities, such as "
            f"[{shown}]: train with the objective multi:softprob or binary:logistic"
        )
    rows = np.arange(len(labels))
    predicted = predicted_classes(probabilities, known, rule)
    of_truth = probabilities[rows, np.minimum(labels, n_known - 1)]
    of_truth = np.where(labels < n_known, of_truth, 0.0)
    return ClassOutcome(
        predicted=predicted,
        losses=log_losses(of_truth),
        squares=square_losses(probabilities, of_truth, n_classes),
        largest=probabilities[rows, predicted],
        second_class=probabilities[:, 1].copy() if n_known == n_classes == 2 else None,
        sample=_padded(probabilities, n_classes),
    )


def _padded(probabilities: Floats, n_classes: int) -> Floats:
    """Return a copy with a probability of 0 for the classes that the model does not know."""
    padded = np.zeros((len(probabilities), n_classes))
    padded[:, : probabilities.shape[1]] = probabilities
    return padded


def joined(parts: Sequence[ClassOutcome]) -> ClassOutcome:
    """Return the outcome of the rows of all parts, one after the other."""
    seconds = [part.second_class for part in parts if part.second_class is not None]
    return ClassOutcome(
        predicted=np.concatenate([part.predicted for part in parts]),
        losses=np.concatenate([part.losses for part in parts]),
        squares=np.concatenate([part.squares for part in parts]),
        largest=np.concatenate([part.largest for part in parts]),
        second_class=np.concatenate(seconds) if seconds else None,
        sample=np.concatenate([part.sample for part in parts]),
        step=parts[0].step,
    )


def log_losses(of_truth: Floats) -> Floats:
    """Return −ln of the probabilities of the true classes, which are at least 1e-15."""
    return -np.log(np.clip(of_truth, SMALLEST_PROBABILITY, 1.0))


def square_losses(probabilities: Floats, of_truth: Floats, n_classes: int) -> Floats:
    """Return the squared distance of probabilities from the truth (Brier score).

    Args:
        probabilities: (n_rows, n_known).
        of_truth: (n_rows,) probability of the true class of each row.
        n_classes: number of classes; the distance of two classes is that of one of them.

    Source: Brier (1950), Monthly Weather Review 78:1; scikit-learn's `brier_score_loss`.
    """
    if n_classes == 2:
        return (1 - of_truth) ** 2
    squares: Floats = (probabilities**2).sum(axis=1) - 2 * of_truth + 1
    return squares
