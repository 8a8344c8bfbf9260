"""Choose the form in which the numbers of a column are written, or refuse to guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid
from refit.domain.number_forms import PLAIN, NumberForm, NumberShape, choose_form, fits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.number_forms import Decimal
    from refit.tabular.column_evidence import ColumnEvidence


def choose_number_form(
    name: str,
    evidence: ColumnEvidence,
    decimal: Decimal | None,
    live: NumberForm | None,
) -> NumberForm:
    """Return the form that reads most numbers. Before all rows were read, nothing is refused.

    Args:
        name: name of the column.
        evidence: what is known of its cells.
        decimal: the decimal separator of the settings or of other columns, if it is known.
        live: the form in the live model.

    Raises:
        DatasetInvalid: if the numbers can be read in two ways.
    """
    shapes = evidence.number_shapes
    if not shapes:
        return live or PLAIN
    choice = choose_form(shapes, None)
    if live is not None and fits(live, shapes) >= fits(choice.form, shapes):
        return live  # so that 1.234 does not change its meaning from drop to drop
    ambiguous = {shape.digits for shape in shapes} & {"comma3", "dot3"}
    if decimal is not None and ambiguous and not _is_settled(shapes):
        choice = choose_form(shapes, decimal)
    if choice.alternative is None or not evidence.is_whole:
        return choice.form
    raise DatasetInvalid(
        f"column {name!r} has numbers with a comma, such as "
        f"{_example_of(evidence)}, which can be a decimal comma (1,234 is about one) or a "
        "thousands separator (1,234 is more than a thousand)",
        advice='Set [data] decimal = "," or "." in model.toml',
    )


def _is_settled(shapes: Mapping[NumberShape, int]) -> bool:
    """Return whether a cell shows by itself which separator is the decimal one."""
    return bool({shape.digits for shape in shapes} - {"plain", "long", "comma3", "dot3"})


def _example_of(evidence: ColumnEvidence) -> str:
    digits = {shape.digits for shape in evidence.number_shapes}
    return "'1,234'" if "comma3" in digits else "'1.234'"
