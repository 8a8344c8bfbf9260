"""The table `[data]` of `model.toml`: how dropped files become rows."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from refit.domain.cells import number_text
from refit.domain.column_reading import name_key
from refit.domain.feature_source import named_model

ColumnSetting: TypeAlias = Literal["number", "category", "boolean", "date", "ignore"]
RowRole: TypeAlias = Literal["weight", "group", "time"]
"""What a column says about its rows: how much they count, or in which split they are."""
Fraction = Annotated[float, Field(ge=0, le=1)]


MAX_COLUMN_NAME = 1000
MAX_COLUMN_INDEX = 1_000_000


def _column_name(name: str) -> str:
    """Check what no header of a file can contain, so that a column is never found by it."""
    if not name.strip() or len(name) > MAX_COLUMN_NAME or "\x00" in name:
        raise ValueError(
            f"the name of a column has 1 to {MAX_COLUMN_NAME:,} characters, not only blanks, and "
            "no NUL"
        )
    return name


ColumnName = Annotated[str, AfterValidator(_column_name)]
ColumnNames = Annotated[tuple[ColumnName, ...], Field(strict=False)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]
"""Also read from a list, as TOML and JSON have it; its items are texts."""


class Section(BaseModel):
    """A table of `model.toml`. An unknown key is an error, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DataSettings(Section):
    """How dropped files become training, validation and test rows."""

    task: Literal["auto", "classification", "regression"] = Field(
        "auto",
        description="`auto`: labels that are texts, truth values or at most 50 distinct whole "
        "numbers, with two rows each on average, are classes.",
    )
    label: ColumnName | Annotated[int, Field(le=MAX_COLUMN_INDEX)] | None = Field(
        None,
        description="Label column: its name in the header, its index from 0, or `last` (also -1). "
        "Not set: [found by the live model and the names](data.md#the-label), or refused.",
    )
    ignore: ColumnNames = Field(
        (),
        description="Names of columns that are no features. Requests that name their columns may "
        "lack them.",
    )
    columns: dict[ColumnName, ColumnSetting] = Field(
        default_factory=dict,
        description="How columns are read, by name: `number`, `category` (texts), `boolean` "
        "(also yes/no, t/f, 1/0), `date` (becomes the days since 1970-01-01) or `ignore`. Also "
        "takes back a column that Refit leaves out. Without a header the names are f0, f1, ….",
    )
    missing: Texts = Field(
        (),
        description="Texts or numbers that mean a missing value in every column, such as `-999` "
        "(also where it is written `-999.0`), in addition to [blank cells, `NaN` and the "
        "like](data.md#cells).",
    )
    decimal: Literal["auto", ".", ","] = Field(
        "auto",
        description="Decimal separator of numbers; `auto` detects it for each column, and refuses "
        "`1,234` if no other number tells what it is.",
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto",
        description="Whether the first line has the names of the columns. `auto` decides by the "
        "first lines, and refuses a line that can be names as well as a row.",
    )
    delimiter: Literal["auto", ",", ";", "|", "\t"] = Field(
        "auto",
        description="Delimiter of CSV files; `auto` detects it from the first lines, also blanks.",
    )
    scope: Literal["drop", "all"] = Field(
        "drop",
        description="`drop`: a run trains on the files dropped together; `all`: on all of raw/.",
    )
    max_bad_fraction: Fraction = Field(
        0.01,
        description="Largest share of refused rows, not counting those that lack only their label; "
        "a larger share fails the run.",
    )
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="Share of the rows used for early stopping."
    )
    test_fraction: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.1,
        description="Share of the rows held out for evaluation; no model is ever trained on them.",
    )
    weight: ColumnName | None = Field(
        None,
        description="Column of row weights: numbers of 0 or more by which rows count in training "
        "and in every metric.",
    )
    group: ColumnName | None = Field(
        None,
        description="Column of which all rows with the same value are in the same split, such as "
        "the customer. Not together with `time`.",
    )
    time: ColumnName | None = Field(
        None,
        description="Column of dates or numbers by which the newest rows are held out: the newest "
        "`test_fraction` for evaluation, those before them for early stopping.",
    )
    features_from: str | None = Field(
        None,
        description="Another model, whose predictions become [feature columns](features.md): its "
        "name, such as `segments`, or one of its versions, such as `segments@4`. Without a version "
        "the first run pins the live one, and later runs keep it.",
    )
    schema_change: Literal["refuse", "accept"] = Field(
        "refuse",
        description="What to do when label, task or columns differ from those of the live model. "
        "`accept` is valid for one run: until a version with other columns goes live. To accept "
        "again, upload model.toml again.",
    )

    @field_validator("features_from")
    @classmethod
    def _names_a_model(cls, name: str | None) -> str | None:
        if name is not None:
            named_model(name)
        return name

    @field_validator("label", mode="before")
    @classmethod
    def _label_is_a_column(cls, label: object) -> object:
        if isinstance(label, bool | float):
            raise ValueError("a column is named by a text, or counted from 0 by a whole number")
        if isinstance(label, int) and label < -1:
            raise ValueError(
                "a column is counted from 0; of the negative numbers only -1 is allowed, which is "
                "the last column"
            )
        return label

    @field_validator("missing", mode="before")
    @classmethod
    def _numbers_are_texts(cls, missing: object) -> object:
        """Accept numbers without quotes, such as -999."""
        if not isinstance(missing, list | tuple):
            return missing
        return tuple(map(_as_text, missing))

    @field_validator("columns")
    @classmethod
    def _ignored_columns_have_no_type(
        cls, columns: dict[str, ColumnSetting], info: ValidationInfo
    ) -> dict[str, ColumnSetting]:
        ignored = set(map(name_key, info.data.get("ignore", ())))
        for name, kind in columns.items():
            if kind != "ignore" and name_key(name) in ignored:
                raise ValueError(
                    f"[data] ignore names {name!r} too, which is read as {kind} here; remove it in "
                    "one of them"
                )
        return columns

    @model_validator(mode="after")
    def _some_rows_are_left_for_training(self) -> DataSettings:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"validation_fraction = {self.validation_fraction:g} and test_fraction = "
                f"{self.test_fraction:g} together must be less than 1, so that rows are left for "
                "training"
            )
        return self

    @property
    def roles(self) -> dict[RowRole, str]:
        """Names of the columns that say something about their rows, by role."""
        named: dict[RowRole, str | None] = {
            "weight": self.weight,
            "group": self.group,
            "time": self.time,
        }
        return {role: name for role, name in named.items() if name is not None}

    @field_validator("weight", "group", "time")
    @classmethod
    def _role_is_a_column_of_its_own(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None:
            return None
        for other in ("label", "weight", "group"):
            known = info.data.get(other)
            if other != info.field_name and isinstance(known, str) and _same(name, known):
                raise ValueError(
                    f"[data] {other} = {known!r} names the same column; choose another one"
                )
        columns: dict[str, ColumnSetting] = info.data.get("columns", {})
        asked = {name_key(column): kind for column, kind in columns.items()}
        asked |= {name_key(column): "ignore" for column in info.data.get("ignore", ())}
        kind = asked.get(name_key(name))
        if kind == "ignore":
            raise ValueError(
                "[data] ignore or [data.columns] also ignores this column; remove it there, "
                "because a column with a role is no feature anyway"
            )
        if kind is not None and info.field_name == "weight":
            raise ValueError(
                f"[data.columns] makes this column a feature ({kind}), and a row weight is no "
                "feature; remove one of them"
            )
        group = info.data.get("group")
        if info.field_name == "time" and group is not None:
            raise ValueError(
                f"[data] group = {group!r} is set too, but rows are split either by their group or "
                "by their time; remove one of them"
            )
        return name


def _same(name: str, other: str) -> bool:
    return name_key(name) == name_key(other)


def _as_text(value: object) -> object:
    """Return a number as its text, and everything else unchanged."""
    if isinstance(value, float):
        return number_text(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
