"""Evaluations of models with known accuracies, as the gate reads them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from refit.domain.evaluation.chance import chance_of_classifier
from refit.domain.evaluation.comparison import compare_classifiers
from refit.domain.evaluation.measured_rows import ClassifiedRows
from refit.domain.evaluation.metrics import classification_quality
from refit.domain.evaluation.naive_baseline import classification_baseline
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.report import ChampionRun, EvaluatedRows, Evaluation
from refit.domain.evaluation.training_labels import TrainingLabels

if TYPE_CHECKING:
    from refit.domain.evaluation.gate import GateDecision

CLASSES = ("a", "b", "c", "d")
EVEN = TrainingLabels(classes=dict.fromkeys(CLASSES, 100))
"""Training rows in which every class is as frequent as the others."""

CHAMPION = ChampionRun(run="a1b2c3d4e5f6", version=3)


def class_probabilities(labels: np.ndarray, accuracy: float, seed: int) -> np.ndarray:
    """Return class probabilities with exactly this accuracy."""
    generator = np.random.default_rng(seed)
    predicted = labels.copy()
    wrong = generator.permutation(len(labels))[: round((1 - accuracy) * len(labels))]
    predicted[wrong] = (labels[wrong] + 1) % len(CLASSES)
    probabilities = np.full((len(labels), len(CLASSES)), 0.1)
    probabilities[np.arange(len(labels)), predicted] = 0.7
    return probabilities


@cache  # resampling takes time, and many tests have the same rows
def evaluated_rows(
    count: int, challenger: float, champion: float | None, metric: str = "accuracy"
) -> EvaluatedRows:
    """Return held-out rows on which the models have these accuracies."""
    labels = np.arange(count) % len(CLASSES)
    challenger_outcome = outcome_of(
        labels, class_probabilities(labels, challenger, 1), len(CLASSES)
    )
    evaluated = EvaluatedRows(
        rows=count,
        baseline=classification_baseline(labels, CLASSES, EVEN),
        challenger=classification_quality(labels, challenger_outcome, CLASSES, 0.95),
        chance=chance_of_classifier(
            metric,
            ClassifiedRows(labels, challenger_outcome, len(CLASSES), np.ones(count)),
            0.95,
        ),
    )
    if champion is None:
        return evaluated
    champion_outcome = outcome_of(labels, class_probabilities(labels, champion, 2), len(CLASSES))
    return evaluated.model_copy(
        update={
            "champion": classification_quality(labels, champion_outcome, CLASSES, 0.95),
            "comparisons": compare_classifiers(labels, challenger_outcome, champion_outcome, 0.95),
        }
    )


def evaluation(
    new: EvaluatedRows,
    base: EvaluatedRows | None = None,
    fresh: EvaluatedRows | None = None,
    comparable: bool | None = None,
) -> Evaluation:
    """Return the evaluation of a run; `comparable` is False if the champion has other columns."""
    return Evaluation(
        model="digits",
        run="0f1e2d3c4b5a",
        task="classification",
        classes=CLASSES,
        confidence=0.95,
        champion=CHAMPION if base or comparable is False else None,
        comparable=base is not None,
        new=new,
        base=base,
        fresh=fresh,
    )


def failed_checks(decision: GateDecision) -> list[str]:
    """Return the names of the checks of the gate that failed."""
    return [check.name for check in decision.checks if not check.passed]
