"""The columns of a model's data and their encoding: one definition for training and for serving.

A schema is written once per run (`schema.json`) and applied again by the predict API, so the two
cannot skew. Numbers stay in the units in which they were dropped. Texts become codes: a category's
code is its index in `values`, a class's its index in `classes`. A later run only ever appends to
these lists, so a code means the same for every version of a model.
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
"""What a dropped cell says when it has no value, in lower case."""

FLOAT32_MAX = 3.4028234663852886e38
"""XGBoost computes in float32: a larger number would be infinite there."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_SHOWN_CHARACTERS = 60


def number_of(text: str) -> float | None:
    """Return the finite number that a cell holds, or None when it holds none.

    Decimal notation only, with or without exponent; blanks around it do not count. What float32
    cannot hold is none.
    """
    text = text.strip(" \t")
    if not _NUMBER.match(text):
        return None
    value = float(text)
    return value if abs(value) <= FLOAT32_MAX else None


def is_missing(text: str) -> bool:
    """Say whether a cell holds no value: blank, NA, NaN, null, None or ?, in any case."""
    return text.strip().lower() in MISSING_TEXTS


def number_text(value: float) -> str:
    """Return the shortest text that reads back as exactly this number: `5`, `0.1`, `1e+20`."""
    return repr(value).removesuffix(".0") if value else "0"


def class_text(text: str) -> str:
    """Return the one text for all spellings of a numeric class (`1`, `1.0`, `01`).

    Text that is no number is returned without the blanks around it.
    """
    value = number_of(text)
    return text.strip() if value is None else number_text(value)


def shown(value: object) -> str:
    """Return a value as an error message may show it: quoted, and never long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"


class Feature(BaseModel):
    """A column that the model reads.

    Attributes:
        name: from the header, or `f0`, `f1`, … without one.
        type: `number`, or `category` when its cells are texts.
        values: the texts of a category, in the order of their codes; None for a number.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    type: Literal["number", "category"]
    values: tuple[str, ...] | None = None

    @cached_property
    def codes(self) -> dict[str, int]:
        """Return each category text's code; empty for a number."""
        return {text: code for code, text in enumerate(self.values or ())}

    def encode(self, value: object) -> float | None:
        """Encode one value of a prediction request: a text, a number, a truth value or None.

        None, a blank and (for a category) a text never seen in training are missing: None.

        Raises:
            PayloadInvalid: naming column and value, when a number is wanted and this is none or
                is not finite, or when the value is a list or an object.
        """
        if value is None:
            return None
        if not isinstance(value, str | int | float):
            raise PayloadInvalid(f"column {self.name!r} holds one value, not {shown(value)}")
        return self._category_code(value) if self.type == "category" else self._number(value)

    def _number(self, value: str | int | float) -> float | None:
        if isinstance(value, str):
            # A caller's NaN is a calculation that went wrong more often than a value not known.
            if is_missing(value) and value.strip().lower() != "nan":
                return None
            number = number_of(value)
        elif isinstance(value, bool):
            number = None
        else:
            number = float(value) if abs(value) <= FLOAT32_MAX else None
        if number is None:
            raise PayloadInvalid(
                f"column {self.name!r} wants a finite number, not {shown(value)} "
                "(send null, or an empty cell, where a value is missing)"
            )
        return number

    def _category_code(self, value: str | int | float) -> float | None:
        if isinstance(value, str):
            spellings = [value.strip()]
        elif isinstance(value, bool):
            spellings = [str(value).lower(), str(value), str(value).upper(), str(int(value))]
        elif not math.isfinite(value):
            raise PayloadInvalid(f"column {self.name!r} wants a value, not {shown(value)}")
        else:
            spellings = [number_text(float(value)), str(value)]
        if is_missing(spellings[0]):
            return None
        code = next((self.codes[text] for text in spellings if text in self.codes), None)
        return None if code is None else float(code)


class Schema(BaseModel):
    """What a run's rows are made of: `schema.json`.

    Attributes:
        task: `classification` or `regression`.
        label: the label column's name in the header, or `label`.
        features: in the order in which the model reads them.
        classes: the label texts in the order of their codes; None for a regression.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Task
    label: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the plain value that is stored as schema.json."""
        value = self.model_dump(mode="json")
        for feature in value["features"]:
            if feature["values"] is None:
                del feature["values"]
        return value

    def encode_instance(self, instance: Sequence[Any] | Mapping[str, Any]) -> list[float | None]:
        """Encode one row of a prediction request.

        Args:
            instance: the values in column order, or by column name; texts (as from CSV), numbers
                or None. Label not included.

        Returns:
            One number per feature, None where the value is missing.

        Raises:
            PayloadInvalid: when the width or a column's name is wrong, or a value does not fit;
                names the column.
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
                f"an instance has {len(values)} values; the model wants {len(self.features)}"
                f" ({self._shown_columns()})"
            )
        if self._all_numbers and (numbers := _all_finite_numbers(values)) is not None:
            return numbers
        return [feature.encode(value) for feature, value in zip(self.features, values, strict=True)]

    def encode_label(self, text: str) -> float | None:
        """Return a class's code or a regression's value; None when the text is neither."""
        if self.classes is None:
            return number_of(text)
        code = self._class_codes.get(text.strip())
        if code is None:
            code = self._class_codes.get(class_text(text))
        return None if code is None else float(code)

    def changes_to(self, other: Schema) -> list[str]:
        """Name what differs in another schema's columns; empty when rows of both fit both.

        Categories and classes that are new are no difference: codes are appended.
        """
        if self.task != other.task:
            return [f"the task was {self.task} and is {other.task}"]
        if len(self.features) != len(other.features):
            was, now = self._names(), other._names()
            gone = [name for name in was if name not in set(now)]
            new = [name for name in now if name not in set(was)]
            parts = [f"{len(was)} feature columns became {len(now)}"]
            parts += [f"gone: {_listed(gone)}"] if gone else []
            parts += [f"new: {_listed(new)}"] if new else []
            return parts
        return [
            f"column {place} was {_described(was)} and is {_described(now)}"
            for place, (was, now) in enumerate(zip(self.features, other.features, strict=True))
            if (was.name, was.type) != (now.name, now.type)
        ]

    def extend(self, other: Schema) -> Schema:
        """Return this schema with the categories and classes that are new in another.

        Codes given here stay; new texts are appended in the other's order. Both have the same
        columns (`changes_to` is empty).
        """
        features = tuple(
            mine.model_copy(update={"values": _appended(mine.values, theirs.values)})
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
    def _places(self) -> dict[str, int]:
        return {feature.name: place for place, feature in enumerate(self.features)}

    def _names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def _shown_columns(self) -> str:
        return _listed(self._names())

    def _in_order(self, instance: Mapping[str, Any]) -> list[Any]:
        unknown = [name for name in instance if name not in self._places]
        if unknown:
            raise PayloadInvalid(
                f"unknown column {shown(unknown[0])}; the model's are {self._shown_columns()}"
            )
        absent = [name for name in self._places if name not in instance]
        if absent:
            raise PayloadInvalid(
                f"no value for column {_listed(absent)} (send null where a value is missing)"
            )
        return [instance[name] for name in self._places]


def csv_line(values: Sequence[float | None]) -> str:
    """Return encoded values as one CSV line without line end; a missing value is an empty cell."""
    if None in values:
        return ",".join("" if value is None else number_text(value) for value in values)
    # repr() ends every whole float in ".0": taken off for the whole line at once.
    return (",".join(map(repr, values)) + ",").replace(".0,", ",")[:-1]


def _all_finite_numbers(values: Sequence[Any]) -> list[float | None] | None:
    """Return all values as floats where that is plain; None sends the row to the checked path."""
    kinds = set(map(type, values))
    if kinds == {str}:
        joined = "".join(values)
        if "_" in joined or not joined.isascii():  # float() reads both, a CSV reader neither
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
