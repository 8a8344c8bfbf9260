"""Read what the batch transform jobs predicted, and the labels and weights of the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

from refit.domain.errors import EvaluationIncomplete, ObjectNotFound
from refit.domain.evaluation import batch_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.evaluation.outcomes import ClassOutcome
    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.naming import RunKeys
    from refit.domain.pipeline.algorithms import AnswerForm
    from refit.usecases.services import Services

HeldOutSet: TypeAlias = Literal["new", "base", "fresh"]
"""Held-out rows of the run's data, of the champion's data, and of the labels that arrived since."""


@dataclass(frozen=True)
class EvaluationFiles:
    """Reads labels, weights and predictions of the rows that were predicted in batch."""

    services: Services
    keys: RunKeys

    def labels(self, rows: str) -> Floats:
        """Return the labels as numbers: of a classification, the codes of the classes."""
        key = self.keys.evaluation_labels(rows)
        return batch_output.parse_labels(self._open(key).read(), key)

    def classes(self, rows: str, n_classes: int) -> Integers:
        """Return the labels as class indices."""
        key = self.keys.evaluation_labels(rows)
        return batch_output.class_indices(self.labels(rows), n_classes, key)

    def weights(self, rows: str, count: int) -> Floats | None:
        """Return the weights of the rows.

        Base rows whose run had no `[data] weight` have none, and count the same.
        """
        key = self.keys.evaluation_weights(rows)
        try:
            stream = self.services.bucket.open(key)
        except ObjectNotFound as error:
            if rows == "base":
                return None
            raise EvaluationIncomplete(f"the previous step did not write {key}") from error
        return batch_output.parse_weights(stream.read(), key, count)

    def outcome(
        self,
        rows: str,
        side: str,
        labels: Integers,
        known: Sequence[str],
        n_classes: int,
        rule: DecisionRule | None,
        form: AnswerForm,
    ) -> ClassOutcome:
        """Return what a classifier predicted."""
        key = self._output_key(rows, side)
        return batch_output.read_outcome(self._open(key), key, labels, known, n_classes, rule, form)

    def numbers(self, rows: str, side: str, count: int, form: AnswerForm) -> Floats:
        """Return what a regression predicted."""
        key = self._output_key(rows, side)
        return batch_output.read_numbers(self._open(key), key, count, form)

    def _output_key(self, rows: str, side: str) -> str:
        return f"{self.keys.evaluation_output(side)}{rows}.csv.out"

    def _open(self, key: str) -> IO[bytes]:
        try:
            return self.services.bucket.open(key)
        except ObjectNotFound as error:
            raise EvaluationIncomplete(f"the previous step did not write {key}") from error
