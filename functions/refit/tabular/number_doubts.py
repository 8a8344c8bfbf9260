"""Numbers that may not be what they look like: codes, identifiers, and stand-ins for a gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.cells import number_of
from refit.domain.number_forms import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.number_forms import NumberForm
    from refit.tabular.column_evidence import ColumnEvidence

_STAND_INS = frozenset(
    sign + digits for digits in ("99", "999", "9999", "99999", "999999") for sign in ("", "-")
)
_FAR = 5
"""A stand-in is this many times as large as all other values."""

_FEWEST_VALUES = 3


def number_doubts(
    name: str, toml_name: str, cells: Sequence[str], *, is_long: bool
) -> Iterator[str]:
    """Yield what a person should check about a column of numbers.

    Args:
        name: name of the column.
        toml_name: the name as model.toml writes it.
        cells: the first distinct cells with a value.
        is_long: whether the column has whole numbers that a 64-bit float does not keep.
    """
    if is_long:
        yield (
            f"column {name!r} has whole numbers of more than 15 digits, which XGBoost rounds: for "
            f'identifiers, set [data.columns] {toml_name} = "category" or "ignore"'
        )
    code = next(
        (cell for cell in cells if len(cell) > 1 and cell[0] == "0" and cell.isdigit()), None
    )
    if code is not None and not is_long:
        yield (
            f"column {name!r} has numbers with leading zeros, such as {code!r}, and is read as "
            f'numbers: if they are codes, set [data.columns] {toml_name} = "category"'
        )
    stand_in = next(filter(may_be_stand_in, cells), None)
    if stand_in is not None and _is_far(stand_in, cells):
        yield (
            f"column {name!r} has the value {stand_in}, far from all others: if it stands for a "
            f'missing value, set [data] missing = ["{stand_in}"]'
        )


def may_be_stand_in(cell: str) -> bool:
    """Return whether a cell is a number that often stands for a missing value, such as -999."""
    return cell.removesuffix(".0") in _STAND_INS


def may_be_thousands(cells: Sequence[str], delimiter: str, decimal: str) -> bool:
    """Return whether points in numbers can separate thousands, as in German files.

    Args:
        cells: the first distinct cells of a column of numbers with a value.
        delimiter: of the file. Where decimals have a comma, cells are separated by semicolons.
        decimal: `[data] decimal` of model.toml.
    """
    shapes = {shape.digits for cell in cells if (shape := shape_of(cell)) is not None}
    return (
        delimiter == ";" and decimal == "auto" and "dot3" in shapes and shapes <= {"plain", "dot3"}
    )


def affix_doubts(
    name: str, form: NumberForm, evidence: ColumnEvidence, live: NumberForm | None
) -> Iterator[str]:
    """Yield what a person should check about the percent sign or the currency of a column."""
    bare = sum(
        count for shape, count in evidence.number_shapes.items() if shape.affix != form.affix
    )
    if form.affix and bare:
        yield (
            f"{bare:,} cells of column {name!r} are without the {form.affix} of the others, and "
            "are read as numbers of the same unit"
        )
    if live is not None and live.affix != form.affix:
        was, now = (affix or "numbers without a sign" for affix in (live.affix, form.affix))
        yield f"column {name!r} had {was} in the live model's data and has {now} in this drop"


def _is_far(stand_in: str, cells: Sequence[str]) -> bool:
    others = [
        abs(value) for cell in cells if cell != stand_in and (value := number_of(cell)) is not None
    ]
    limit = abs(number_of(stand_in) or 0.0)
    return len(others) >= _FEWEST_VALUES and max(others) * _FAR < limit
