"""Decode labelled predictions into training rows, or state why a row cannot be used for training.

A model version reads encoded rows, and encoded rows are captured. This module decodes them, by the
schema of that version, into the texts of a dropped row. Data preparation then treats them like
dropped rows. Rows that cannot be used are counted by reason.

Numbers are written in their shortest form. The split of a row is decided by a hash of its text, so
a row that was dropped as `5.0` and is later predicted as `5` can be in another split. A row that is
predicted several times is in the same split each time.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from refit.domain.cells import FLOAT32_MAX, number_text
from refit.domain.column_reading import TRUTH_TEXTS
from refit.domain.schema import Schema, csv_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from refit.domain.pipeline.manifest import Slice

FILE_GONE = "whose capture file is gone"
NO_SUCH_ROW = "not found in the capture file"
VERSION_UNKNOWN = "of an unknown version"
OTHER_COLUMNS = "with other columns"
LABEL_UNKNOWN = "with a label that is unknown now"
NO_VALUE = "without any value"
BAD_VALUE = "with a value that the column cannot hold"


class RowUnusable(Exception):
    """Raised when a labelled row cannot be used for training; the text is the reason."""


def reading_order(slices: Sequence[Slice]) -> list[int]:
    """Return the indexes of ledger slices in the order in which they must be read.

    If two lines are equal, the first one is used. Slices that are not fresh are read first, so a
    row of such a slice is not fresh, even if a fresh slice repeats it.
    """
    return sorted(range(len(slices)), key=lambda index: (slices[index].fresh, index))


def is_fresh(slice_is_fresh: bool, fresh_since: datetime | None, predicted_at: datetime) -> bool:
    """Return whether a row counts as new to the live model.

    Args:
        slice_is_fresh: whether the row's slice was not in the live model's training data.
        fresh_since: rows predicted before this time are not fresh; None if there is no limit.
        predicted_at: when the row was predicted.
    """
    return slice_is_fresh and (fresh_since is None or predicted_at >= fresh_since)


def decoders(
    schema_of: Callable[[int], Schema | None], live: Schema
) -> Callable[[int], RowDecoder]:
    """Return a function that returns the decoder of a version.

    The function raises RowUnusable if there is no such version, or if it has other columns.

    Args:
        schema_of: returns a version's schema; None if there is no such version.
        live: the live model's schema.
    """

    @cache
    def decoder_or_reason(version: int) -> RowDecoder | str:
        schema = schema_of(version)
        if schema is None:
            return VERSION_UNKNOWN
        # What another model added is not read back: the run asks it again.
        return OTHER_COLUMNS if live.own.changes_to(schema.own) else RowDecoder(schema, live)

    def decoder(version: int) -> RowDecoder:
        result = decoder_or_reason(version)
        if isinstance(result, str):
            raise RowUnusable(result)
        return result

    return decoder


class RowDecoder:
    """Writes the encoded rows that one version read as CSV lines like those of a dropped file."""

    def __init__(self, schema: Schema, live: Schema) -> None:
        """Prepare to decode.

        Args:
            schema: schema of the version that predicted.
            live: schema of the live model, which has the same columns and defines the labels.
        """
        self._width = len(schema.features)
        self._own_width = len(schema.own.features)
        self._categories = {
            column: TRUTH_TEXTS if feature.type == "boolean" else feature.values or ()
            for column, feature in enumerate(schema.features)
            if feature.type in {"category", "boolean"}
        }
        self._live = live
        self._label_text = cache(self._label)

    def line(self, label: str, values: Sequence[float | None]) -> bytes:
        """Return a CSV line, label first.

        Args:
            label: the recorded label.
            values: (n_features,) the encoded row; None where a value is missing.

        Raises:
            RowUnusable: if the model does not have this label or these values.
        """
        if len(values) != self._width:
            raise RowUnusable(OTHER_COLUMNS)
        values = values[: self._own_width]
        numbers = [value for value in values if value is not None]
        if not numbers:
            raise RowUnusable(NO_VALUE)
        if not _all_in_float32(numbers):
            raise RowUnusable(BAD_VALUE)
        if self._categories:
            features = ",".join(self._cell(column, value) for column, value in enumerate(values))
        else:
            features = csv_line(values)
        return f"{self._label_text(label)},{features}\n".encode()

    def _cell(self, column: int, value: float | None) -> str:
        if value is None:
            return ""
        texts = self._categories.get(column)
        return number_text(value) if texts is None else _quoted(_category(texts, value))

    def _label(self, text: str) -> str:
        code = self._live.encode_label(text)
        if code is None:
            raise RowUnusable(LABEL_UNKNOWN)
        classes = self._live.classes
        return number_text(code) if classes is None else _quoted(classes[int(code)])


def _all_in_float32(numbers: Sequence[float]) -> bool:
    # A NaN always makes the sum NaN, while minimum and maximum may ignore it.
    low, high = min(numbers), max(numbers)
    return math.isfinite(sum(numbers)) and low >= -FLOAT32_MAX and high <= FLOAT32_MAX


def _category(texts: Sequence[str], code: float) -> str:
    if not code.is_integer() or not 0 <= code < len(texts):
        raise RowUnusable(BAD_VALUE)
    return texts[int(code)]


def _quoted(text: str) -> str:
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
