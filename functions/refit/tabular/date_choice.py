"""Choose the form in which the dates of a column are written, or refuse to guess."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from refit.domain.cells import shown
from refit.domain.date_forms import COMPACT, is_compact_dates, is_unix_time
from refit.domain.errors import DatasetInvalid

if TYPE_CHECKING:
    from refit.tabular.column_evidence import ColumnEvidence

_WRITE_ISO = "Write them as 2025-12-31 (ISO 8601)"


def choose_date_form(
    name: str, evidence: ColumnEvidence, setting: str, live: str | None = None
) -> str:
    """Return the form that most dates have.

    A form is refused if another one fits as well, or if some dates have only the one and some only
    the other, such as 31/12/2025 and 12/31/2025, because the rest can then be either. Before all
    rows were read, nothing is refused.

    Args:
        name: name of the column.
        evidence: what is known of its cells.
        setting: the setting that asks for dates, for messages.
        live: the form in the live model, which settles what the dates do not.

    Raises:
        DatasetInvalid: if there is no date, or if the dates can be read in two ways.
    """
    counts: Counter[str] = Counter()
    for forms, count in evidence.date_forms.items():
        for form in forms:
            counts[form] += count
    if not counts:
        return _without_dates(name, evidence, setting, live)
    most = max(counts.values())
    if live is not None and counts[live] == most:
        return live
    best = max(sorted(counts), key=counts.__getitem__)
    rivals = sorted(
        form
        for form in counts
        if form != best
        and any({form, best} <= forms for forms in evidence.date_forms)
        and (counts[form] == most or _alone(form, best, evidence))
    )
    if rivals and evidence.is_whole:
        raise DatasetInvalid(
            f"the dates of column {name!r} ({setting}), such as {date_example(evidence)}, can be "
            f"read as {' or '.join([best, *rivals])}",
            advice=_WRITE_ISO,
        )
    return best


def _without_dates(name: str, evidence: ColumnEvidence, setting: str, live: str | None) -> str:
    if is_compact_dates(evidence.first):
        return COMPACT
    if live is not None:
        return live
    advice = _WRITE_ISO
    if is_unix_time(name, evidence.first):
        advice = 'Seconds since 1970 are numbers: set "number" in place of "date"'
    raise DatasetInvalid(
        f"column {name!r} ({setting}) has no dates: its cells are such as {date_example(evidence)}",
        advice=advice,
    )


def date_example(evidence: ColumnEvidence) -> str:
    """Return a cell of the column as a message shows it."""
    return next((shown(text) for text in (*evidence.odd, *evidence.first)), "''")


def _alone(form: str, best: str, evidence: ColumnEvidence) -> bool:
    """Return whether some dates have this form and not the best one."""
    return any(form in forms and best not in forms for forms in evidence.date_forms)
