"""What preparation learned from a drop: the record that people see before it matters.

`refit check` and `refit put` show it before data is uploaded. A run keeps it in its manifest and in
its item of the model table.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from refit.domain.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

LearnedType: TypeAlias = Literal["number", "category", "boolean", "date", "ignored"]

_PLURALS: dict[LearnedType, tuple[str, str]] = {
    "number": ("number", "numbers"),
    "category": ("category", "categories"),
    "boolean": ("truth value", "truth values"),
    "date": ("date", "dates"),
}
_LARGEST_STORED_COLUMNS = 200


class LearnedColumn(BaseModel):
    """A column of the drop other than the label.

    Attributes:
        type: how it is read; `ignored` if it is no feature.
        distinct: number of distinct values of a category.
        missing: number of cells without a value.
        example: a cell of the column; None if it has no value.
        reason: why the column is ignored, or how its cells are written.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: LearnedType
    distinct: int | None = None
    missing: int
    example: str | None = None
    reason: str | None = None


class Learned(BaseModel):
    """All that preparation learned.

    Attributes:
        label: name of the label column.
        classes: texts of the classes; None for a regression.
        columns: the other columns, in the order of the file.
        all_columns: number of all other columns by type, where `columns` has not all of them.
        header: whether names were found in the data.
        decimal: `,` if a column has decimal commas.
        rows: number of good rows.
        refused: number of rows that cannot be trained on.
        refused_reasons: how many rows were refused for which reason.
        doubts: what a person should check, as sentences.
        leaks: names of columns that alone give the label.
        notes: what was done with the files, as sentences.
    """

    model_config = ConfigDict(frozen=True)

    label: str
    task: Task
    classes: tuple[str, ...] | None
    columns: tuple[LearnedColumn, ...]
    all_columns: dict[LearnedType, int] = {}
    header: bool
    delimiter: str
    decimal: Literal[".", ","]
    rows: int
    refused: int
    refused_reasons: dict[str, int]
    doubts: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The record in one line."""
        predicted = "a number" if self.classes is None else f"{len(self.classes):,} classes"
        header = "yes" if self.header else "no"
        return (
            f"predicts {self.label!r} ({predicted}) from {self._features()} · header {header} · "
            f"{self.rows:,} rows, {self.refused:,} refused"
        )

    def _features(self) -> str:
        counts = self._types()
        parts = [
            f"{counts[kind]:,} {names[counts[kind] != 1]}"
            for kind, names in _PLURALS.items()
            if counts[kind]
        ]
        ignored = counts["ignored"]
        left_out = f" ({ignored:,} column{'s' * (ignored != 1)} left out)" if ignored else ""
        return (", ".join(parts) or "no column") + left_out

    def _types(self) -> Counter[LearnedType]:
        return Counter(self.all_columns or [column.type for column in self.columns])

    def with_doubts(self, doubts: Sequence[str]) -> Learned:
        """Return the record with further doubts."""
        return self.model_copy(update={"doubts": (*self.doubts, *doubts)})

    def with_notes(self, notes: Sequence[str]) -> Learned:
        """Return the record with further notes, which come first."""
        return self.model_copy(update={"notes": (*notes, *self.notes)})

    def with_leaks(self, leaks: Sequence[str]) -> Learned:
        """Return the record with the columns that alone give the label, each with a doubt."""
        found = self.model_copy(update={"leaks": tuple(leaks)})
        return found.with_doubts(found.leak_doubts)

    @property
    def leak_doubts(self) -> list[str]:
        """The doubts about the columns that alone give the label."""
        return [
            f"column {name!r} alone gives the label {self.label!r}, almost without an error: if it "
            "is only known together with the label, leave it out with [data] ignore"
            for name in self.leaks
        ]

    @property
    def text(self) -> str:
        """The record for a notice: the sentence, then a line for each thing to know."""
        refused = [f"refused: {count:,} × {why}" for why, count in self.refused_reasons.items()]
        doubts = [f"doubt: {doubt}" for doubt in self.doubts]
        return "\n".join([self.sentence, *doubts, *refused, *self.notes])

    def for_item(self) -> Learned:
        """Return the record as it is stored in the item of a run, whose size is limited.

        Of a wide table only the first columns and those that are ignored are kept there.
        """
        if len(self.columns) <= _LARGEST_STORED_COLUMNS:
            return self
        kept = [
            column
            for number, column in enumerate(self.columns)
            if number < _LARGEST_STORED_COLUMNS or column.type == "ignored"
        ]
        return self.model_copy(
            update={
                "columns": tuple(kept[: 2 * _LARGEST_STORED_COLUMNS]),
                "all_columns": dict(self._types()),
            }
        )
