"""The columns of a model and their encoding: one definition for training and for serving.

A run writes its schema once (`schema.json`), and the predict API applies it again, so training and
serving cannot skew. Numbers keep their units. Texts become codes: the code of a category is its
index in `values`, that of a class its index in `classes`. A later run only appends to these lists,
so a code has the same meaning in every version of a model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import PayloadInvalid
from refit.domain.vocabulary import Task

MISSING_TEXTS = frozenset({"", "na", "nan", "null", "none", "?"})
"""Texts of a cell without a value, in lower case."""

FLOAT32_MAX = 3.4028234663852886e38
"""XGBoost computes in float32, where a larger number would be infinite."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_SHOWN_CHARACTERS = 60


def number_of(text: str) -> float | None:
    """Return the finite number in a cell, or None.

    Decimal notation only, with or without exponent; surrounding blanks are ignored. A number that
    float32 cannot hold is None.
    """
    text = text.strip(" \t")
    if not _NUMBER.match(text):
        return None
    value = float(text)
    return value if abs(value) <= FLOAT32_MAX else None


def is_missing(text: str) -> bool:
    """Say whether a cell has no value: blank, NA, NaN, null, None or ?, in any case."""
    return text.strip().lower() in MISSING_TEXTS


def number_text(value: float) -> str:
    """Return the shortest text that reads back as exactly this number: `5`, `0.1`, `1e+20`."""
    return repr(value).removesuffix(".0") if value else "0"


def class_text(text: str) -> str:
    """Return the canonical text of a class: `1`, `1.0` and `01` are the same class.

    Text that is not a number is returned without surrounding blanks.
    """
    value = number_of(text)
    return text.strip() if value is None else number_text(value)


def shown(value: object) -> str:
    """Return a value as an error message shows it: quoted and shortened."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


class Feature(BaseModel):
    """A feature column of the model.

    Attributes:
        name: from the header, or `f0`, `f1`, … without one.
        type: `number`, or `category` when its cells are texts.
        values: texts of a category, in the order of their codes; None for a number.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: Literal["number", "category"]
    values: tuple[str, ...] | None = None

    @cached_property
    def codes(self) -> dict[str, int]:
        """Codes of a category by text; empty for a number."""
        return {text: code for code, text in enumerate(self.values or ())}

    def encode(self, value: object) -> float | None:
        """Encode one value of a prediction request: a text, a number, a boolean or None.

        None, a blank and (for a category) a text that training has not seen are missing: None.

        Raises:
            PayloadInvalid: naming column and value, when a number is required and this is not a
                finite number, or when the value is a list or an object.
        """
        if value is None:
            return None
        if not isinstance(value, str | int | float):
            raise PayloadInvalid(f"column {self.name!r} holds one value, not {shown(value)}")
        return self._category_code(value) if self.type == "category" else self._number(value)

    def _number(self, value: str | int | float) -> float | None:
        if isinstance(value, str):
            # NaN in a request is more often a failed calculation than a missing value.
            if is_missing(value) and value.strip().lower() != "nan":
                return None
            number = number_of(value)
        elif isinstance(value, bool):
            number = None
        else:
            number = float(value) if abs(value) <= FLOAT32_MAX else None
        if number is None:
            raise PayloadInvalid(
                f"column {self.name!r} requires a finite number, not {shown(value)} "
                "(send null or an empty cell for a missing value)"
            )
        return number

    def _category_code(self, value: str | int | float) -> float | None:
        if isinstance(value, str):
            spellings = [value.strip()]
        elif isinstance(value, bool):
            spellings = [str(value).lower(), str(value), str(value).upper(), str(int(value))]
        elif not math.isfinite(value):
            raise PayloadInvalid(f"column {self.name!r} requires a value, not {shown(value)}")
        else:
            spellings = [number_text(float(value)), str(value)]
        if is_missing(spellings[0]):
            return None
        code = next((self.codes[text] for text in spellings if text in self.codes), None)
        return None if code is None else float(code)


class Schema(BaseModel):
    """The format of `schema.json`.

    Attributes:
        label: name of the label column in the header, or `label`.
        features: in the order in which the model reads them.
        classes: label texts in the order of their codes; None for a regression.
    """

    model_config = ConfigDict(frozen=True)

    task: Task
    label: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the value that is stored as schema.json."""
        value = self.model_dump(mode="json")
        for feature in value["features"]:
            if feature["values"] is None:
                del feature["values"]
        return value

    def encode_instance(self, instance: Sequence[Any] | Mapping[str, Any]) -> list[float | None]:
        """Encode one row of a prediction request.

        Args:
            instance: values without the label, in column order or by column name: texts (as in
                CSV), numbers or None.

        Returns:
            One number per feature, None where the value is missing.

        Raises:
            PayloadInvalid: when the width or the name of a column is wrong, or a value is not
                valid; names the column.
        """
        if isinstance(instance, Mapping):
            values: Sequence[Any] = self._in_order(instance)
        elif isinstance(instance, Sequence) and not isinstance(instance, str | bytes):
            values = instance
        else:
            raise PayloadInvalid(
                f"an instance is a list of values or an object of columns, not {shown(instance)}"
            )
        if len(values) != len(self.features):
            raise PayloadInvalid(
                f"an instance has {len(values)} values; the model requires {len(self.features)}"
                f" ({self._shown_columns()})"
            )
        if self._all_numbers and (numbers := _all_finite_numbers(values)) is not None:
            return numbers
        return [feature.encode(value) for feature, value in zip(self.features, values, strict=True)]

    def encode_label(self, text: str) -> float | None:
        """Return the code of a class, or the value of a regression; None for other texts."""
        if self.classes is None:
            return number_of(text)
        code = self._class_codes.get(text.strip())
        if code is None:
            code = self._class_codes.get(class_text(text))
        return None if code is None else float(code)

    def changes_to(self, other: Schema) -> list[str]:
        """Describe how the columns of another schema differ; empty when rows of each fit both.

        New categories and classes are not a difference, because codes are only appended.
        """
        if target := self.target_change(other):
            return [f"the live model {target}"]
        if len(self.features) != len(other.features):
            was, now = self._names(), other._names()
            gone = [name for name in was if name not in set(now)]
            new = [name for name in now if name not in set(was)]
            parts = [f"{len(was)} feature columns became {len(now)}"]
            parts += [f"gone: {_listed(gone)}"] if gone else []
            parts += [f"new: {_listed(new)}"] if new else []
            return parts
        return [
            f"column {index} was {_described(was)} and is {_described(now)}"
            for index, (was, now) in enumerate(zip(self.features, other.features, strict=True))
            if (was.name, was.type) != (now.name, now.type)
        ]

    def target_change(self, other: Schema) -> str | None:
        """Describe another label or task as the predicate of "the live model"; None if equal."""
        if self.label != other.label:
            return f"predicts {self.label!r}, and this drop's label is {other.label!r}"
        if self.task != other.task:
            return (
                f"is a {self.task} of {self.label!r}, and this drop was read as a {other.task} "
                f"([data] task decides)"
            )
        return None

    def extend(self, other: Schema) -> Schema:
        """Return this schema with the new categories and classes of another appended.

        Both have the same columns (`changes_to` is empty).
        """
        # Not model_copy, which would copy the cached codes of the shorter list too.
        features = tuple(
            Feature(name=mine.name, type=mine.type, values=_appended(mine.values, theirs.values))
            for mine, theirs in zip(self.features, other.features, strict=True)
        )
        classes = _appended(self.classes, other.classes)
        return Schema(task=self.task, label=other.label, features=features, classes=classes)

    @cached_property
    def _all_numbers(self) -> bool:
        return all(feature.type == "number" for feature in self.features)

    @cached_property
    def _class_codes(self) -> dict[str, int]:
        return {text: code for code, text in enumerate(self.classes or ())}

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {feature.name: index for index, feature in enumerate(self.features)}

    def _names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def _shown_columns(self) -> str:
        return _listed(self._names())

    def _in_order(self, instance: Mapping[str, Any]) -> list[Any]:
        unknown = [name for name in instance if name not in self._indices]
        if unknown:
            raise PayloadInvalid(
                f"unknown column {shown(unknown[0])}; the model has {self._shown_columns()}"
            )
        absent = [name for name in self._indices if name not in instance]
        if absent:
            raise PayloadInvalid(
                f"no value for column {_listed(absent)} (send null for a missing value)"
            )
        return [instance[name] for name in self._indices]


def csv_line(values: Sequence[float | None]) -> str:
    """Return encoded values as one CSV line without line end; missing values are empty cells."""
    if None in values:
        return ",".join("" if value is None else number_text(value) for value in values)
    # repr() ends whole floats in ".0", which is removed from the whole line at once.
    return (",".join(map(repr, values)) + ",").replace(".0,", ",")[:-1]


def _all_finite_numbers(values: Sequence[Any]) -> list[float | None] | None:
    """Return all values as floats if they need no check; None for all other rows."""
    kinds = set(map(type, values))
    if kinds == {str}:
        joined = "".join(values)
        if "_" in joined or not joined.isascii():  # float() accepts both, a CSV reader neither
            return None
    elif not kinds <= {int, float}:
        return None
    try:
        numbers: list[float | None] = list(map(float, values))
        largest = max(map(abs, numbers))  # type: ignore[arg-type]
        plain = largest <= FLOAT32_MAX and all(map(math.isfinite, numbers))  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
    return numbers if plain else None


def _appended(
    mine: tuple[str, ...] | None, theirs: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if mine is None or theirs is None:
        return mine
    known = set(mine)
    return mine + tuple(text for text in theirs if text not in known)


def _described(feature: Feature) -> str:
    return f"{feature.name!r} ({feature.type})"


def _listed(names: list[str], limit: int = 5) -> str:
    listed = ", ".join(repr(name) for name in names[:limit])
    return listed if len(names) <= limit else f"{listed}, … ({len(names)} in all)"
