"""Measure the models of the folds on the rows that they have held out.

These out-of-fold rows serve the report of a run and the threshold of `[prediction] costs`. Whether
a version replaces another one is decided on the held-out rows of the run alone, because the final
model is trained on the rows of all folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.errors import EvaluationIncomplete, ObjectNotFound
from refit.domain.evaluation import batch_output
from refit.domain.evaluation.fold_scores import fold_scores
from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.metrics import row_weights
from refit.domain.evaluation.report import FoldMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.report import FoldScores
    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.naming import RunKeys
    from refit.domain.pipeline.algorithms import AnswerForm
    from refit.usecases.services import Services


_MOST_SCORED = 2_000_000
"""Rows on which a threshold is chosen, in 48 MB."""


@dataclass(frozen=True)
class ScoredRows:
    """Rows of two classes with the probability of the positive one.

    Attributes:
        labels: (n_rows,) class indexes.
        scores: (n_rows,) probability of the positive class.
        weights: (n_rows,) weights of the rows.
    """

    labels: Integers
    scores: Floats
    weights: Floats


@dataclass(frozen=True)
class FoldFiles:
    """Reads labels, weights and predictions of the out-of-fold rows of a run."""

    services: Services
    keys: RunKeys
    folds: int
    is_weighted: bool
    form: AnswerForm

    def scored(self, classes: Sequence[str], positive: int) -> ScoredRows:
        """Return the out-of-fold rows of all folds; of very many rows, a regular sample."""
        parts: list[tuple[Integers, Floats, Floats]] = []
        for fold in range(self.folds):
            labels = self._classes(fold, len(classes))
            outcome = self._outcome(fold, labels, classes, None)
            weights = row_weights(self._weights(fold, len(labels)), len(labels))
            every = -(-len(outcome.sample) * self.folds // _MOST_SCORED)
            rows = slice(None, None, outcome.step * every)
            scores = outcome.sample[::every, positive].copy()  # a view would keep the sample
            parts.append((labels[rows], scores, weights[rows]))
        of_folds, scored, weighted = zip(*parts, strict=True)
        return ScoredRows(
            np.concatenate(of_folds), np.concatenate(scored), np.concatenate(weighted)
        )

    def scores(
        self, classes: Sequence[str] | None, rule: DecisionRule | None, positive: int | None
    ) -> FoldScores:
        """Measure each fold; one fold is in memory at a time.

        Args:
            classes: texts of the classes; None for a regression.
            rule: how the version predicts a class.
            positive: index of the positive class, or None.
        """
        return fold_scores(
            [self._measured(fold, classes, rule, positive) for fold in range(self.folds)]
        )

    def _measured(
        self,
        fold: int,
        classes: Sequence[str] | None,
        rule: DecisionRule | None,
        positive: int | None,
    ) -> FoldMetrics:
        rows: ClassifiedRows | NumberRows
        if classes is None:
            numbers = self._labels(fold)
            count = len(numbers)
            key = self._output_key(fold)
            predictions = batch_output.read_numbers(self._open(key), key, count, self.form)
            weights = row_weights(self._weights(fold, count), count)
            rows = NumberRows(numbers, predictions, weights)
        else:
            labels = self._classes(fold, len(classes))
            count = len(labels)
            outcome = self._outcome(fold, labels, classes, rule)
            weights = row_weights(self._weights(fold, count), count)
            rows = ClassifiedRows(labels, outcome, len(classes), weights, positive)
        values = rows.statistics(weights[None])
        defined = {name: float(value[0]) for name, value in values.items() if value[0] == value[0]}
        return FoldMetrics(rows=count, metrics=defined)

    def _labels(self, fold: int) -> Floats:
        key = self.keys.fold_labels(fold)
        return batch_output.parse_labels(self._open(key).read(), key)

    def _classes(self, fold: int, n_classes: int) -> Integers:
        return batch_output.class_indices(
            self._labels(fold), n_classes, self.keys.fold_labels(fold)
        )

    def _weights(self, fold: int, count: int) -> Floats | None:
        if not self.is_weighted:
            return None
        key = self.keys.fold_weights(fold)
        return batch_output.parse_weights(self._open(key).read(), key, count)

    def _outcome(
        self, fold: int, labels: Integers, classes: Sequence[str], rule: DecisionRule | None
    ) -> ClassOutcome:
        key = self._output_key(fold)
        return batch_output.read_outcome(
            self._open(key), key, labels, classes, len(classes), rule, self.form
        )

    def _output_key(self, fold: int) -> str:
        return f"{self.keys.fold_output(fold)}rows.csv.out"

    def _open(self, key: str) -> IO[bytes]:
        try:
            return self.services.bucket.open(key)
        except ObjectNotFound as error:
            raise EvaluationIncomplete(f"the previous step did not write {key}") from error
