"""Columns that say something about their rows: the weight, the group or the time.

They are named by the settings and are no features, unless `[data.columns]` makes the group or the
time a feature as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.cells import shown
from refit.domain.column_reading import ColumnReading, name_key
from refit.domain.date_forms import TIME
from refit.domain.errors import DatasetInvalid
from refit.domain.number_forms import PLAIN
from refit.tabular.date_choice import choose_date_form, date_example

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit.domain.data_settings import DataSettings, RowRole
    from refit.domain.number_forms import NumberForm
    from refit.tabular.column_evidence import ColumnEvidence

LABEL = 0
_SHOWN_NAMES = 40

REASONS: dict[RowRole, str] = {
    "weight": "it is the row weight ([data] weight)",
    "group": "it is the group by which rows are split ([data] group)",
    "time": "it is the time by which rows are split ([data] time)",
}
"""Why a column with a role is no feature."""


@dataclass(frozen=True)
class RoleColumn:
    """A column with a role.

    Attributes:
        column: index of the column in the names of the drop.
        reading: how its cells are read: a weight as a number, a group as a text, a time as a number
            or a date.
    """

    role: RowRole
    column: int
    reading: ColumnReading


def role_indexes(names: Sequence[str], settings: DataSettings) -> dict[RowRole, int]:
    """Return the index of each column with a role.

    Args:
        names: names of all columns of the drop, label first.
        settings: `[data]` of model.toml.

    Raises:
        DatasetInvalid: if there is no such column, or it is the label.
    """
    keys = [name_key(name) for name in names]
    indexes: dict[RowRole, int] = {}
    for role, name in settings.roles.items():
        if name_key(name) not in keys:
            listed = ", ".join(map(repr, names[:_SHOWN_NAMES]))
            more = f", … ({len(names)} in all)" if len(names) > _SHOWN_NAMES else ""
            raise DatasetInvalid(
                f"[data] {role} names a column {name!r} that the drop does not have; it has "
                f"{listed}{more}"
            )
        indexes[role] = keys.index(name_key(name))
        if indexes[role] == LABEL:
            raise DatasetInvalid(
                f"[data] {role} names {name!r}, which is the label: name another column, or choose "
                "another label"
            )
    return indexes


def role_reading(
    role: RowRole,
    name: str,
    evidence: ColumnEvidence,
    number_form: Callable[[], NumberForm],
    missing: frozenset[str],
) -> ColumnReading:
    """Decide how the cells of a column with a role are read.

    Args:
        role: what the column says about its rows.
        name: name of the column.
        evidence: what is known of its cells.
        number_form: returns how its numbers are written.
        missing: texts that the settings call missing.

    Raises:
        DatasetInvalid: if the cells do not fit the role, or can be read in two ways.
    """
    if role == "group":
        return ColumnReading(name=name, type="category", missing=missing)
    dates = evidence.cells("date")
    if role == "time" and dates > evidence.numbers:
        _check(role, name, evidence, dates)
        form = _date_form(name, evidence)
        return ColumnReading(name=name, type="date", date_form=form, missing=missing)
    _check(role, name, evidence, evidence.numbers)
    form_of_numbers = number_form() if evidence.numbers else PLAIN
    return ColumnReading(name=name, type="number", form=form_of_numbers, missing=missing)


def _check(role: RowRole, name: str, evidence: ColumnEvidence, fitting: int) -> None:
    """Refuse a column in which most cells do not fit its role."""
    cells = evidence.numbers + evidence.texts
    if 2 * fitting >= cells:
        return
    example = next((shown(text) for text in evidence.odd), "''")
    allowed = "numbers of 0 or more"
    if role == "time":
        allowed = "dates of one form, such as 2025-12-31 (ISO 8601), or numbers that increase"
    raise DatasetInvalid(
        f"[data] {role} names column {name!r}, whose cells are texts such as {example}; allowed: "
        f"{allowed}"
    )


def _date_form(name: str, evidence: ColumnEvidence) -> str:
    form = choose_date_form(name, evidence, "[data] time")
    if form == TIME:
        raise DatasetInvalid(
            f"[data] time names column {name!r}, which holds times of day without a date, such as "
            f"{date_example(evidence)}; allowed: dates, with or without a time, or numbers"
        )
    return form
