"""Decide how each column of a drop is read, from what its cells look like.

The decisions of the live model's version are kept: what it leaves out stays out, and its features
stay features, whatever this drop looks like. The settings decide before everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from refit.domain.cells import MISSING_EVERYWHERE, MISSING_IN_NUMBERS, is_missing
from refit.domain.column_reading import ColumnReading, ColumnType, name_key
from refit.domain.date_forms import is_compact_dates, is_unix_time
from refit.domain.errors import DatasetInvalid
from refit.domain.number_forms import PLAIN, choose_form
from refit.tabular.column_evidence import ColumnEvidence
from refit.tabular.column_tally import MAX_TEXTS
from refit.tabular.date_choice import choose_date_form
from refit.tabular.left_out import (
    counts_down,
    counts_rows,
    descending_doubt,
    reason_to_leave_out,
)
from refit.tabular.number_choice import choose_number_form
from refit.tabular.number_doubts import affix_doubts, number_doubts
from refit.tabular.role_columns import REASONS, RoleColumn, role_indexes, role_reading
from refit.tabular.text_doubts import distinct_kind, example_of, text_doubts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.data_settings import DataSettings, RowRole
    from refit.domain.number_forms import Decimal
    from refit.domain.schema import Schema
    from refit.tabular.column_tally import ColumnTracker

LABEL = 0
_FEW_TEXT_LABELS = 0.1
"""Up to this share, texts among the numbers of a label are refused rows and not classes."""

_FEW_ODD_CELLS = 0.1
"""A column with a larger share of cells of another type has not this type, whatever share of bad
rows the settings allow."""

_MANY_ODD_TEXTS = 10
"""A column of more numbers than texts holds codes, not numbers, if it has more distinct texts."""

_DATES = "dates, of which those of the future differ from all that were learned"
_ALMOST_DISTINCT = "almost another in each row"
_DISTINCT_SHARE = 0.5
_FEWEST_DISTINCT = 20


@dataclass(frozen=True)
class ReadingPlan:
    """How the columns of a drop are read.

    Attributes:
        names: names of all columns, label first.
        label: how the label is read.
        features: index in `names` and reading of each feature, in the order of the schema.
        left_out: reason by index in `names`, for the columns that are no features.
        open_label: whether the label may still be a class, so that its distinct values are counted.
        missing: texts that the settings call missing.
        doubts: what a person should check, as sentences.
        roles: columns that hold the weight, the group or the time of the rows.
    """

    names: tuple[str, ...]
    label: ColumnReading
    features: tuple[tuple[int, ColumnReading], ...]
    left_out: Mapping[int, str]
    open_label: bool
    missing: frozenset[str]
    doubts: tuple[str, ...] = ()
    roles: tuple[RoleColumn, ...] = ()

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """Index in `names` of each column of a normal row, label first."""
        return (LABEL, *(column for column, _ in self.features))

    @cached_property
    def counted(self) -> tuple[tuple[int, int], ...]:
        """Index in a normal row, and in `names`, of each column whose cells are counted."""
        return tuple(
            (index, column)
            for index, (column, reading) in enumerate(self.readings())
            if reading.type in {"category", "boolean"} or (column == LABEL and self.open_label)
        )

    @cached_property
    def types(self) -> Mapping[int, ColumnType]:
        """Type of each column of a normal row, by its index in `names`."""
        return {column: reading.type for column, reading in self._readings}

    @property
    def is_plain(self) -> bool:
        """Whether the normal form of each good cell can be the cell itself."""
        return not self.label.missing_numbers and all(
            reading.type != "date" and reading.form.is_plain for _, reading in self.readings()
        )

    @cached_property
    def read(self) -> tuple[int, ...]:
        """Index in `names` of each column whose cells are read."""
        return tuple(dict.fromkeys([*self.kept, *(role.column for role in self.roles)]))

    def readings(self, normal: bool = False) -> Sequence[tuple[int, ColumnReading]]:
        """Return index in `names` and reading of each column of a normal row, label first.

        Args:
            normal: whether the cells are already in their normal form.
        """
        return self._normal_readings if normal else self._readings

    @cached_property
    def longest_missing(self) -> int:
        """Number of bytes of the longest text that means a missing value."""
        texts = self.missing | MISSING_EVERYWHERE | MISSING_IN_NUMBERS
        return max(len(text.encode()) for text in texts)

    def is_missing(self, cell: str) -> bool:
        """Return whether a cell of a column that is left out has no value."""
        return cell in self.missing or is_missing(cell)

    def same_reading(self, other: ReadingPlan) -> bool:
        """Return whether two plans give the same normal rows and counts."""
        mine = (self.label, self.features, self.left_out.keys(), self.roles)
        return mine == (other.label, other.features, other.left_out.keys(), other.roles)

    @cached_property
    def _readings(self) -> tuple[tuple[int, ColumnReading], ...]:
        return ((LABEL, self.label), *self.features)

    @cached_property
    def _normal_readings(self) -> tuple[tuple[int, ColumnReading], ...]:
        return tuple((column, _of_normal_cells(reading)) for column, reading in self._readings)


def _of_normal_cells(reading: ColumnReading) -> ColumnReading:
    kind: ColumnType = "number" if reading.type == "date" else reading.type
    return ColumnReading(name=reading.name, type=kind)


class Planner:
    """Decides how the columns of a drop are read."""

    def __init__(
        self,
        names: tuple[str, ...],
        settings: DataSettings,
        prior: Schema | None,
        index_columns: frozenset[str] = frozenset(),
        nameless: frozenset[str] = frozenset(),
        is_grid: bool = False,
    ) -> None:
        """Prepare to decide.

        Args:
            names: names of all columns, label first.
            settings: `[data]` of model.toml.
            prior: the live model's schema.
            index_columns: names of the columns that the format of the file calls an index.
            nameless: names that stand for columns whose header cell is empty.
            is_grid: whether the columns are positions of a grid, such as pixels, which are
                features even if they are constant.

        Raises:
            DatasetInvalid: if the settings name a column that does not exist.
        """
        self.names = names
        self._settings = settings
        self._prior = prior
        self._index_columns = index_columns
        self._nameless = nameless
        self._is_grid = is_grid
        self._features = {name_key(f.name): f for f in prior.features} if prior else {}
        self._prior_left_out = (
            {name_key(name): reason for name, reason in prior.left_out.items()} if prior else {}
        )
        self._missing = frozenset(text.strip() for text in settings.missing)
        self._asked = {name_key(name): kind for name, kind in settings.columns.items()}
        self._asked |= {name_key(name): "ignore" for name in settings.ignore}
        self._long: set[str] = set()
        self._has_decimal_point = False
        self._check_names()
        self._roles = role_indexes(names, settings)

    def _check_names(self) -> None:
        known = set(map(name_key, self.names)) | set(self._prior_left_out)
        for setting, names in (
            ("ignore", self._settings.ignore),
            ("columns", tuple(self._settings.columns)),
        ):
            for name in names:
                if name_key(name) not in known:
                    raise DatasetInvalid(
                        f"[data] {setting} names a column {name!r} that the drop does not have; it "
                        f"has {', '.join(map(repr, self.names[:40]))}",
                        advice=f"Correct [data] {setting} in model.toml",
                    )
                if name_key(name) == name_key(self.names[LABEL]):
                    raise DatasetInvalid(
                        f"[data] {setting} names {name!r}, which is the label",
                        advice="Remove it there, or choose another label",
                    )

    def plan(
        self,
        evidence: Mapping[int, ColumnEvidence],
        trackers: Mapping[int, ColumnTracker],
        rows: int,
    ) -> ReadingPlan:
        """Decide by the evidence.

        Args:
            evidence: by index of the column, as far as it is known.
            trackers: by index of the column.
            rows: number of rows that the trackers have seen.

        Raises:
            DatasetInvalid: if the numbers of a column can be read in two ways, if a column cannot
                have the type that the settings ask for, or if no feature is left.
        """
        doubts: list[str] = []
        decimal = self._decimal(evidence)
        label = self._label(evidence.get(LABEL, ColumnEvidence()), decimal)
        if evidence[LABEL].is_whole and counts_rows(trackers.get(LABEL), rows):
            raise DatasetInvalid(
                f"label {self.names[LABEL]!r}{self._nameless_text()} counts the rows (1, 2, 3, …), "
                "which cannot be predicted",
                advice=f"Choose another label, --label NAME. {self._listed()}",
            )
        features, left_out = [], {}
        for column, name in enumerate(self.names[1:], start=1):
            known = evidence.get(column, ColumnEvidence())
            reason = self._left_out(column, name, known, trackers.get(column), rows, doubts)
            if reason is not None:
                left_out[column] = reason
            else:
                features.append((column, self._feature(name, known, decimal, doubts)))
        if not features and not any(known.is_whole for known in evidence.values()):
            features = [
                (column, self._feature(name, evidence.get(column, ColumnEvidence()), decimal, []))
                for column, name in enumerate(self.names[1:], start=1)
            ]
            left_out = {}
        if not features:
            listed = "; ".join(f"{self.names[c]!r}: {why}" for c, why in left_out.items())
            first = min(left_out)
            kind = self._type_of(evidence[first]) if first in evidence else "number"
            if left_out[first] == _DATES and not is_unix_time(
                self.names[first], evidence[first].first
            ):
                kind = "date"
            raise DatasetInvalid(
                f"no column is left to predict {self.names[LABEL]!r} from ({listed})",
                advice="To use one, set its type: [data.columns] "
                f'{_key(self.names[first])} = "{kind}"',
            )
        return ReadingPlan(
            names=self.names,
            label=label,
            features=tuple(features),
            left_out=left_out,
            open_label=self._settings.task != "regression",
            missing=self._missing,
            doubts=tuple(doubts),
            roles=tuple(
                RoleColumn(role, column, self._role(role, column, evidence, decimal))
                for role, column in self._roles.items()
            ),
        )

    def _nameless_text(self) -> str:
        is_nameless = self.names[LABEL] in self._nameless
        return " (a column without a name)" if is_nameless else ""

    def _listed(self) -> str:
        return f"The other columns are {', '.join(map(repr, self.names[1:40]))}"

    def _role(
        self,
        role: RowRole,
        column: int,
        evidence: Mapping[int, ColumnEvidence],
        decimal: Decimal | None,
    ) -> ColumnReading:
        name, known = self.names[column], evidence.get(column, ColumnEvidence())
        form = partial(choose_number_form, name, known, decimal, None)
        return role_reading(role, name, known, form, self._missing)

    def _left_out(
        self,
        column: int,
        name: str,
        evidence: ColumnEvidence,
        tracker: ColumnTracker | None,
        rows: int,
        doubts: list[str],
    ) -> str | None:
        key = name_key(name)
        asked = self._asked.get(key)
        if asked is not None:
            return "the settings ignore it" if asked == "ignore" else None
        for role, role_column in self._roles.items():
            if column == role_column:
                return REASONS[role]
        if key in self._features:
            return None
        reason = reason_to_leave_out(
            name,
            is_index=name in self._index_columns,
            is_nameless=name in self._nameless,
            is_grid=self._is_grid,
            tracker=tracker,
            rows=rows,
        )
        if reason is None and (
            self._type_of(evidence) == "date"
            or is_compact_dates(evidence.first)
            or is_unix_time(name, evidence.first)
        ):
            reason = _DATES
        if reason is None and _is_mostly_distinct(evidence):
            reason = f"{_count(evidence.distinct)} distinct texts, {_ALMOST_DISTINCT}"
            kind = distinct_kind(evidence)
            use = f'. To use it, set [data.columns] {_key(name)} = "category"'
            doubts.append(
                f"column {name!r} is left out: it has {_count(evidence.distinct)} distinct texts "
                f"in {evidence.texts + evidence.numbers:,} cells, such as {example_of(evidence)} "
                f"({kind.noun if kind else 'names, identifiers or free text'})"
                f"{f': {kind.advice}' if kind else use}"
            )
        if key in self._prior_left_out:
            earlier = self._prior_left_out[key]
            if reason is None and not earlier.endswith(_ALMOST_DISTINCT):
                doubts.append(
                    f"column {name!r} stays left out, as in the live model ({earlier}), although "
                    f"this is no longer so. To use it, set [data.columns] {_key(name)} = "
                    f'"{self._type_of(evidence)}" and [data] schema_change = "accept"'
                )
            return earlier
        if reason is None and evidence.is_whole and counts_down(tracker, rows):
            doubts.append(descending_doubt(name, _key(name)))
        return reason

    def _feature(
        self, name: str, evidence: ColumnEvidence, decimal: Decimal | None, doubts: list[str]
    ) -> ColumnReading:
        key = name_key(name)
        asked, live = self._asked.get(key), self._features.get(key)
        natural = self._type_of(evidence)
        if asked is not None and asked != "ignore":
            kind: ColumnType = asked
        elif live is not None and _can_be(evidence, live.type, natural):
            kind = live.type
        else:
            kind = natural
        form, date_form = PLAIN, None
        if kind == "number":
            live_form = live.form if live else None
            form = choose_number_form(name, evidence, decimal, live_form)
            doubts.extend(affix_doubts(name, form, evidence, live_form))
        if kind == "date":
            setting = f'[data.columns] {_key(name)} = "date"'
            known = live.date_form if live else None
            date_form = choose_date_form(name, evidence, setting, known)
        if any(shape.digits == "long" for shape in evidence.number_shapes):
            self._long.add(name)
        if kind == "number" and asked is None:
            is_long = name in self._long
            doubts.extend(number_doubts(name, _key(name), evidence.first, is_long=is_long))
        if kind == "category" and asked is None:
            doubts.extend(text_doubts(name, evidence))
        return ColumnReading(
            name=live.name if live else name,
            type=kind,
            form=form,
            date_form=date_form,
            missing=self._missing,
        )

    def _label(self, evidence: ColumnEvidence, decimal: Decimal | None) -> ColumnReading:
        name = self.names[LABEL]
        kind = self._label_type(evidence)
        form = PLAIN
        if kind == "number":
            live = self._prior.label_form if self._prior and self._is_live_label else None
            form = choose_number_form(name, evidence, decimal, live)
        return ColumnReading(name=name, type=kind, form=form, missing=self._missing)

    @property
    def _is_live_label(self) -> bool:
        return self._prior is not None and name_key(self._prior.label) == name_key(
            self.names[LABEL]
        )

    def _label_type(self, evidence: ColumnEvidence) -> ColumnType:
        texts, numbers = evidence.texts, evidence.numbers
        task, live = self._settings.task, self._prior
        if task == "regression":
            return "number"
        is_text = live and self._is_live_label and live.classes and live.label_type != "number"
        if live and is_text and live.label_type is not None:
            return live.label_type
        if texts and not numbers and evidence.cells("boolean") == texts:
            return "boolean"
        if not numbers and evidence.cells("marker"):
            return "category"
        many = texts > (0 if task == "classification" else _FEW_TEXT_LABELS * (texts + numbers))
        return "category" if many else "number"

    def _type_of(self, evidence: ColumnEvidence) -> ColumnType:
        """Return the type that most cells have."""
        texts, numbers = evidence.texts, evidence.numbers
        share = min(self._settings.max_bad_fraction, _FEW_ODD_CELLS)
        few = share * (texts + numbers)
        if texts > numbers:
            for kind in ("boolean", "date"):
                if texts + numbers - evidence.cells(kind) <= few:
                    return kind
            return "category"
        if texts > few and len(evidence.odd) > _MANY_ODD_TEXTS:
            return "category"
        if not texts + numbers and evidence.cells("marker"):
            return "category"
        return "number"

    def _decimal(self, evidence: Mapping[int, ColumnEvidence]) -> Decimal | None:
        """Return the decimal separator of the settings, or that of columns without a doubt."""
        if self._settings.decimal != "auto":
            return self._settings.decimal
        has_comma = False
        for known in evidence.values():
            if known.numbers > known.texts:
                form, alternative = choose_form(known.number_shapes, None)
                has_comma |= form.decimal == "," and alternative is None
                # Remembered, because whole blocks of plain numbers are not looked at one by one.
                self._has_decimal_point |= form.decimal == "." and any(
                    shape.digits == "dot" for shape in known.number_shapes
                )
        if has_comma and self._has_decimal_point:
            return None
        return "," if has_comma else "." if self._has_decimal_point else None


def _can_be(evidence: ColumnEvidence, live: ColumnType, natural: ColumnType) -> bool:
    """Return whether a column can be read as the live model reads it."""
    if live in {natural, "category"} or not evidence.texts + evidence.numbers:
        return True
    return live == "boolean" and natural in {"number", "category"} and _only_truth(evidence)


def _only_truth(evidence: ColumnEvidence) -> bool:
    return not evidence.cells("date", "unit", "text", "infinite") and not any(
        shape.digits != "plain" for shape in evidence.number_shapes
    )


def _is_mostly_distinct(evidence: ColumnEvidence) -> bool:
    """Return whether almost each row has a text of its own; False before all rows are read."""
    if not evidence.is_whole or evidence.distinct is None:
        return False
    cells = evidence.texts + evidence.numbers + evidence.cells("marker")
    many = evidence.distinct > _FEWEST_DISTINCT and evidence.distinct > _DISTINCT_SHARE * cells
    return many or evidence.distinct > MAX_TEXTS


def _count(distinct: int | None) -> str:
    return f"more than {MAX_TEXTS:,}" if (distinct or 0) > MAX_TEXTS else f"{distinct:,}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
