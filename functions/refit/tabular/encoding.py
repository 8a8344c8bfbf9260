"""Encode normal rows for XGBoost: replace texts by codes, and classes by their indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.cells import number_text
from refit.tabular.row_reader import LABEL, unescaped

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from refit.domain.schema import Feature, Schema


class RowEncoder:
    """Encodes rows in normal form by a schema."""

    def __init__(self, schema: Schema, values: Mapping[int, Counter[bytes]]) -> None:
        """Look up the code of every text.

        Args:
            schema: a schema with every class and category in `values`.
            values: distinct cells by index in a normal row, for the columns that may hold texts.
        """
        self._labels = _label_codes(schema, values[LABEL]) if schema.classes else {}
        if all(text == code for text, code in self._labels.items()):
            self._labels = {}
        self._categories = {
            index: _codes(feature, values.get(index, ()))
            for index, feature in enumerate(schema.features, start=1)
            if feature.type in {"category", "boolean"}
        }

    def encode(self, lines: list[bytes]) -> list[bytes]:
        """Return rows of numbers, label first, with an empty cell for a missing value."""
        if self._categories:
            return [self._categories_coded(line) for line in lines]
        if self._labels:
            return [self._label_coded(line) for line in lines]
        return lines

    def _label_coded(self, line: bytes) -> bytes:
        label, comma, features = line.partition(b",")
        return self._labels[label] + comma + features

    def _categories_coded(self, line: bytes) -> bytes:
        cells = line.split(b",")
        if self._labels:
            cells[LABEL] = self._labels[cells[LABEL]]
        for index, codes in self._categories.items():
            cells[index] = codes[cells[index]]
        return b",".join(cells)


def _codes(feature: Feature, cells: Counter[bytes] | tuple[()]) -> dict[bytes, bytes]:
    codes = {cell: str(feature.codes[unescaped(cell)]).encode() for cell in cells}
    return codes | {b"": b""}


def _label_codes(schema: Schema, labels: Counter[bytes]) -> dict[bytes, bytes]:
    codes = {}
    for cell in labels:
        code = schema.class_code(unescaped(cell))
        assert code is not None, cell  # the schema was learned from these labels
        codes[cell] = number_text(code).encode()
    return codes
