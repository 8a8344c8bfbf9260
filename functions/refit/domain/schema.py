"""The columns of a model and their encoding: one definition for training and for serving.

A run writes its schema once (`schema.json`), and the predict API applies it again, so training and
serving cannot skew. Numbers keep their units. Texts become codes: the code of a category is its
index in `values`, that of a class its index in `classes`. A later run only appends to these lists,
so a code has the same meaning in every version of a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict

from refit.domain.cells import FLOAT32_MAX, class_text, number_of, number_text, shown
from refit.domain.column_reading import (
    TRUTH_TEXTS,
    CellRefused,
    ColumnReading,
    ColumnType,
    name_key,
    similar_name,
)
from refit.domain.date_forms import COMPACT, date_text
from refit.domain.errors import PayloadInvalid
from refit.domain.feature_source import FeatureSource
from refit.domain.number_forms import PLAIN, NumberForm
from refit.domain.vocabulary import Task

_HOW_MISSING = "(send null or an empty cell for a missing value)"
_SMALLEST_IMAGE = 16  # columns


class Feature(BaseModel):
    """A feature column of the model.

    Attributes:
        name: from the header, or `f0`, `f1`, … without one.
        type: what its cells are.
        values: texts of a category, in the order of their codes; None for other types.
        form: how its numbers are written.
        date_form: how its dates are written; None for other types.
        missing: texts that the settings of the version call missing.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    values: tuple[str, ...] | None = None
    form: NumberForm = PLAIN
    date_form: str | None = None
    missing: frozenset[str] = frozenset()

    @cached_property
    def codes(self) -> dict[str, int]:
        """Codes of the normal texts of a category or of truth values; empty for numbers."""
        texts = TRUTH_TEXTS if self.type == "boolean" else self.values or ()
        return {text: code for code, text in enumerate(texts)}

    @cached_property
    def reading(self) -> ColumnReading:
        """How cells of this column are read."""
        return ColumnReading(
            name=self.name,
            type=self.type,
            form=self.form,
            date_form=self.date_form,
            missing=self.missing,
        )

    def encode(self, value: object) -> float | None:
        """Encode one value of a prediction request: a text, a number, a boolean or None.

        None, a missing cell and (for a category) a text that training has not seen are missing:
        None.

        Raises:
            PayloadInvalid: naming column and value, when the column cannot hold the value, or when
                it is a list or an object.
        """
        if value is None:
            return None
        if not isinstance(value, str | int | float):
            raise PayloadInvalid(f"column {self.name!r} holds one value, not {shown(value)}")
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, bool) and value in self.reading.missing_numbers:
            return None
        return self._category_code(value) if self.type == "category" else self._number(value)

    def decode(self, cell: str) -> str | None:
        """Return an encoded cell as a file of this column has it; None if it is missing."""
        if not cell:
            return None
        if self.type == "number":
            return cell.replace(".", self.form.decimal)
        if self.type == "date":
            return date_text(float(cell), self.date_form or "")
        texts = TRUTH_TEXTS if self.type == "boolean" else self.values or ()
        return texts[int(float(cell))]

    def _text(self, value: str) -> float | None:
        try:
            normal = self.reading.normal(value)
        except CellRefused as error:
            if self.form.is_plain and self.type != "date":
                raise self._invalid(value) from None
            raise PayloadInvalid(f"{error} {_HOW_MISSING}") from None
        if not normal:
            return None
        if self.type in {"category", "boolean"}:
            code = self.codes.get(normal)
            return None if code is None else float(code)
        return float(normal)

    def _number(self, value: int | float) -> float | None:
        if self.type == "boolean" and value in {0, 1}:
            return float(value)
        if self.type == "number" and not isinstance(value, bool) and abs(value) <= FLOAT32_MAX:
            return float(value)
        if self.date_form == COMPACT and type(value) is int:
            return self._text(str(value))  # 20251231 is a number in JSON
        raise self._invalid(value)

    def _invalid(self, value: object) -> PayloadInvalid:
        expected = {"number": "a finite number", "boolean": "true or false", "date": "a date"}
        return PayloadInvalid(
            f"column {self.name!r} requires {expected[self.type]}, not {shown(value)} "
            f"{_HOW_MISSING}"
        )

    def _category_code(self, value: int | float) -> float | None:
        if isinstance(value, bool):
            spellings = [str(value).lower(), str(value), str(value).upper(), str(int(value))]
        elif not math.isfinite(value):
            raise PayloadInvalid(f"column {self.name!r} requires a value, not {shown(value)}")
        else:
            spellings = [number_text(float(value)), str(value)]
        code = next((self.codes[text] for text in spellings if text in self.codes), None)
        return None if code is None else float(code)


class Schema(BaseModel):
    """The format of `schema.json`.

    Attributes:
        label: name of the label column in the header, or `label`.
        features: in the order in which the model reads them.
        classes: label texts in the order of their codes; None for a regression.
        label_type: what the cells of the label column are; None if the classes tell.
        label_form: how the numbers of the label column are written.
        columns: names of all columns of the file but the label, in its order, with those that are
            left out. Empty if they are the features.
        left_out: reason by name, for each column that is no feature.
        missing: texts that the settings call missing.
        features_from: the version of another model whose predictions are the last features, which
            no file and no request has; None without one.
    """

    model_config = ConfigDict(frozen=True)

    task: Task
    label: str
    features: tuple[Feature, ...]
    classes: tuple[str, ...] | None = None
    label_type: ColumnType | None = None
    label_form: NumberForm = PLAIN
    columns: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    missing: frozenset[str] = frozenset()
    features_from: FeatureSource | None = None

    @cached_property
    def own(self) -> Schema:
        """The schema of the rows as they arrive: without the columns that another model adds."""
        if self.features_from is None:
            return self
        kept = self.model_dump(exclude={"features", "features_from"})
        return Schema(**kept, features=self.features[: -self.features_from.columns])

    def as_json(self) -> dict[str, Any]:
        """Return the value that is stored as schema.json."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @cached_property
    def label_reading(self) -> ColumnReading:
        """How cells of the label column are read."""
        return ColumnReading(
            name=self.label, type=self._label_type, form=self.label_form, missing=self.missing
        )

    @cached_property
    def _label_type(self) -> ColumnType:
        if self.label_type is not None:
            return self.label_type
        texts = self.classes or ()
        return "number" if all(number_of(text) is not None for text in texts) else "category"

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Names of the columns of a row without its label, in the order of the file."""
        return self.columns or tuple(feature.name for feature in self.own.features)

    @property
    def image_side(self) -> int | None:
        """Side of the square picture that a row can be, also if columns are left out, or None."""
        side = math.isqrt(len(self.all_columns))
        is_square = side * side == len(self.all_columns) >= _SMALLEST_IMAGE
        is_numeric = all(feature.type == "number" for feature in self.own.features)
        return side if is_square and is_numeric and self.features_from is None else None

    def decode_line(self, line: str) -> tuple[str | None, ...]:
        """Return the cells of a line of encoded features as a file of rows has them.

        Predictions of another model, which no file has, are left out.
        """
        cells = line.rstrip("\r\n").split(",")
        return tuple(
            feature.decode(cell) for feature, cell in zip(self.own.features, cells, strict=False)
        )

    def encode_instance(self, instance: Sequence[Any] | Mapping[str, Any]) -> list[float | None]:
        """Encode one row of a prediction request.

        Args:
            instance: values without the label, in the order of the file's columns or by column
                name: texts (as in CSV), numbers or None. Values of columns that are left out are
                not read, and can be omitted if the columns are named.

        Returns:
            One number per feature, None where the value is missing.

        Raises:
            PayloadInvalid: when the width or the name of a column is wrong, or a value is not
                valid; names the column.
        """
        if isinstance(instance, Mapping):
            values: Sequence[Any] = self._in_order(instance)
        elif isinstance(instance, Sequence) and not isinstance(instance, str | bytes):
            values = self._of_features(instance)
        else:
            raise PayloadInvalid(
                f"an instance is a list of values or an object of columns, not {shown(instance)}"
            )
        return self.encode_features(values)

    def encode_features(self, values: Sequence[Any]) -> list[float | None]:
        """Encode the values of one row, one for each feature in their order.

        Raises:
            PayloadInvalid: when a value is not valid; names the column.
        """
        if self._all_numbers and (numbers := _all_finite_numbers(values)) is not None:
            return numbers
        return [feature.encode(value) for feature, value in zip(self.features, values, strict=True)]

    def encode_label(self, text: str) -> float | None:
        """Return the code of a class, or the value of a regression; None for other texts."""
        try:
            normal = self.label_reading.normal(text)
        except CellRefused:
            return None
        if self.classes is None:
            return number_of(normal)
        return self.class_code(normal)

    def class_code(self, normal: str) -> float | None:
        """Return the code of a class by the normal form of its label; None if it is unknown."""
        code = self._class_codes.get(class_text(normal) if self._label_type == "number" else normal)
        return None if code is None else float(code)

    def changes_to(self, other: Schema) -> list[str]:
        """Describe how the columns of another schema differ; empty when rows of each fit both.

        New categories and classes are not a difference, because codes are only appended.
        """
        if target := self.target_change(other):
            return [f"the live model {target}"]
        if self.features_from != other.features_from:
            change = f"was {self._features_from} and is {other._features_from}"
            return [f"[data] features_from {change}"]
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
        if name_key(self.label) != name_key(other.label):
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
            Feature(**theirs.model_dump(exclude={"values"}), values=_appended(mine, theirs))
            for mine, theirs in zip(self.features, other.features, strict=True)
        )
        known = set(self.classes or ())
        new = tuple(text for text in other.classes or () if text not in known)
        classes = None if self.classes is None else self.classes + new
        kept = other.model_dump(exclude={"features", "classes", "left_out"})
        left_out = self.left_out | other.left_out
        return Schema(**kept, features=features, classes=classes, left_out=left_out)

    @cached_property
    def _all_numbers(self) -> bool:
        return not self.missing and all(
            feature.type == "number" and feature.form.is_plain for feature in self.features
        )

    @cached_property
    def _class_codes(self) -> dict[str, int]:
        return {text: code for code, text in enumerate(self.classes or ())}

    @cached_property
    def _feature_names(self) -> dict[str, str]:
        """Names of the features by the key by which names are compared."""
        return {name_key(feature.name): feature.name for feature in self.features}

    @cached_property
    def _picks(self) -> tuple[int, ...] | None:
        """Index of each feature in a row of the file without its label; None if it is the same."""
        if not self.columns:
            return None
        indices = {name: index for index, name in enumerate(self.columns)}
        picks = tuple(indices[feature.name] for feature in self.features)
        return None if picks == tuple(range(len(self.columns))) else picks

    @property
    def _features_from(self) -> str:
        source = self.features_from
        return "not set" if source is None else f"{source.text} (run {source.run})"

    def _names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def _of_features(self, values: Sequence[Any]) -> Sequence[Any]:
        width = len(self.all_columns)
        if len(values) != width:
            left_out = ""
            if self.left_out:
                left_out = (
                    f"; a row by position has every column of the file but the label, also those "
                    f"that the model leaves out: {_listed(list(self.left_out))}"
                )
            raise PayloadInvalid(
                f"an instance has {len(values)} values; the model requires {width}"
                f" ({_listed(list(self.all_columns))}){left_out}"
            )
        return values if self._picks is None else [values[pick] for pick in self._picks]

    def _in_order(self, instance: Mapping[str, Any]) -> list[Any]:
        values: dict[str, Any] = {}
        for name, value in instance.items():
            known = self._known_name(name)
            if known and known in values:
                raise PayloadInvalid(f"a row has the column {known!r} twice")
            values[known] = value
        absent = [feature.name for feature in self.features if feature.name not in values]
        if absent:
            raise PayloadInvalid(
                f"no value for column {_listed(absent)} (send null for a missing value)"
            )
        return [values[feature.name] for feature in self.features]

    def _known_name(self, name: str) -> str:
        known = self._feature_names.get(name_key(name))
        if known is not None:
            return known
        if name_key(name) in map(name_key, self.left_out):
            return ""
        if name_key(name) == name_key(self.label):
            raise PayloadInvalid(f"{shown(name)} is the label, which is predicted: leave it out")
        similar = similar_name(name, self.all_columns)
        raise PayloadInvalid(
            f"unknown column {shown(name)}; the model has {_listed(self._names())}",
            advice=None if similar is None else f"Rename it to {similar!r}",
        )


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


def _appended(mine: Feature, theirs: Feature) -> tuple[str, ...] | None:
    if mine.values is None or theirs.values is None:
        return mine.values
    known = set(mine.values)
    return mine.values + tuple(text for text in theirs.values if text not in known)


def _described(feature: Feature) -> str:
    return f"{feature.name!r} ({feature.type})"


def _listed(names: list[str], limit: int = 5) -> str:
    listed = ", ".join(repr(name) for name in names[:limit])
    return listed if len(names) <= limit else f"{listed}, … ({len(names)} in all)"
