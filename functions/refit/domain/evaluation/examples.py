"""Held-out rows for people to look at: what each row really is, and what was predicted.

`ExampleRows` is the format of evaluation_examples.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_CHARACTERS = 200_000
"""Of all values together: a row has the values of all columns, which can be thousands."""


class ExampleRow(BaseModel):
    """A held-out row.

    Attributes:
        number: its place among the held-out rows, from 0.
        values: of the features as a file has them; None if missing. Empty until they were read.
        truth: its label.
        predicted: what the version of the run predicts.
        probability: of the predicted class; None for a regression.
        live: what the live version predicted; None without one that predicted these rows.
        wrong: whether the predicted class is not the label; None for a regression.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    values: tuple[str | None, ...] = ()
    truth: str | float
    predicted: str | float
    probability: float | None = None
    live: str | float | None = None
    wrong: bool | None = None


class ExampleRows(BaseModel):
    """The rows, those with a wrong prediction first, or those with the largest error."""

    model_config = ConfigDict(frozen=True)

    rows: tuple[ExampleRow, ...]


def with_values(
    chosen: Sequence[ExampleRow], values: Mapping[int, tuple[str | None, ...]]
) -> ExampleRows:
    """Return the rows with their values, as far as they are not too long together.

    Args:
        chosen: the rows.
        values: of the features, by the number of the row.
    """
    left, rows = _MOST_CHARACTERS, []
    for row in chosen:
        size = sum(len(value or "") + 1 for value in values[row.number])
        if size <= left:
            left -= size
            rows.append(row.model_copy(update={"values": values[row.number]}))
    return ExampleRows(rows=tuple(rows))
