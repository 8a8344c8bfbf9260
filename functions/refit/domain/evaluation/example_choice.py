"""Choose the held-out rows that people look at (domain/evaluation/examples.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refit.domain.evaluation.examples import ExampleRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.resampling import Floats, Integers

MOST_EXAMPLES = 12
_MOST_WRONG = 6


def classified_examples(
    labels: Integers, outcome: ClassOutcome, live: ClassOutcome | None, classes: Sequence[str]
) -> list[ExampleRow]:
    """Choose rows of a classification: up to half of them wrong, the others of different classes.

    Args:
        labels: (n_rows,) class index of each of the first rows, among which is chosen.
        outcome: what the version of the run predicts.
        live: what the live version predicts, if it predicted these rows.
        classes: texts of the classes.
    """
    is_wrong = outcome.predicted[: len(labels)] != labels
    wrong = np.flatnonzero(is_wrong)
    surest = wrong[np.argsort(-outcome.largest[wrong], kind="stable")]
    right = _by_turns(np.flatnonzero(~is_wrong), labels)
    many = max(_MOST_WRONG, MOST_EXAMPLES - len(right))
    shown = surest[:many]
    others = right[: MOST_EXAMPLES - len(shown)]
    chosen = np.concatenate([shown, others[np.argsort(labels[others], kind="stable")]])
    return [
        ExampleRow(
            number=int(row),
            truth=classes[labels[row]],
            predicted=classes[outcome.predicted[row]],
            probability=float(outcome.largest[row]),
            live=None if live is None else classes[live.predicted[row]],
            wrong=bool(is_wrong[row]),
        )
        for row in chosen
    ]


def measured_examples(labels: Floats, predicted: Floats, live: Floats | None) -> list[ExampleRow]:
    """Choose rows of a regression: half with the largest errors, the others evenly over all errors.

    Args:
        labels: (n_rows,) label of each of the first rows, among which is chosen.
        predicted: (n_rows,) what the version of the run predicts.
        live: what the live version predicts, if it predicted these rows.
    """
    ranked = np.argsort(-np.abs(predicted - labels), kind="stable")
    largest, others = ranked[:_MOST_WRONG], ranked[_MOST_WRONG:]
    count = min(len(others), MOST_EXAMPLES - len(largest))
    places = np.linspace(0, len(others) - 1, count).round().astype(int)
    return [
        ExampleRow(
            number=int(row),
            truth=float(labels[row]),
            predicted=float(predicted[row]),
            live=None if live is None else float(live[row]),
        )
        for row in (*largest, *others[places])
    ]


def _by_turns(rows: Integers, labels: Integers) -> Integers:
    """Order rows so that each class has its turn: the first of each, then the second."""
    by_class = rows[np.argsort(labels[rows], kind="stable")]
    classes, starts = np.unique(labels[by_class], return_index=True)
    turns = np.arange(len(by_class)) - starts[np.searchsorted(classes, labels[by_class])]
    ordered: Integers = by_class[np.lexsort((labels[by_class], turns))]
    return ordered
