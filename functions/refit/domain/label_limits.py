"""Which labels can be trained on, beyond being numbers or texts.

XGBoost ends a training with a label that its objective does not allow, and names no row. The name
of a class is an attribute of many items, and goes into every answer.

Source  xgboost 3.0.5, src/objective/regression_obj.cu, whose refusals
        tests/integration/algorithms/test_label_limits.py repeats
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.cells import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.column_reading import ColumnType

MAX_CLASS_CHARACTERS = 256


@dataclass(frozen=True)
class LabelFault:
    """What is wrong with a label.

    Attributes:
        reason: for the refused row.
        kind: the reason without the value of this row.
    """

    reason: str
    kind: str


@dataclass(frozen=True)
class LabelLimits:
    """The labels that an objective allows; by default all numbers.

    Attributes:
        is_open: whether the lower bound itself is not allowed.
    """

    objective: str = ""
    lower: float | None = None
    upper: float | None = None
    is_open: bool = False

    @property
    def has_bounds(self) -> bool:
        return self.lower is not None

    def fault(self, label: str, kind: ColumnType, cell: str) -> LabelFault | None:
        """Return what is wrong with the label of a row.

        Args:
            label: name of the label column.
            kind: type of that column.
            cell: the label in its normal form, which is not empty.
        """
        if kind == "number":
            return self._outside(label, cell) if self.is_outside(cell) else None
        if len(cell) <= MAX_CLASS_CHARACTERS:
            return None
        rule = f"the name of a class has at most {MAX_CLASS_CHARACTERS} characters"
        return LabelFault(
            f"label {label!r}: {cell[:40]}… has {len(cell):,} characters; {rule}",
            f"label {label!r} is too long: {rule}",
        )

    def is_outside(self, cell: str) -> bool:
        """Return whether a number is not a label of the objective."""
        value = number_of(cell) if self.has_bounds else None
        if value is None or self.lower is None:
            return False
        is_low = value <= self.lower if self.is_open else value < self.lower
        return is_low or (self.upper is not None and value > self.upper)

    def _outside(self, label: str, cell: str) -> LabelFault:
        rule = f"the objective {self.objective} takes {self._allowed}"
        return LabelFault(f"label {label!r} is {cell}; {rule}", f"label {label!r}: {rule}")

    @property
    def _allowed(self) -> str:
        if self.upper is not None:
            return f"numbers from {self.lower:g} to {self.upper:g}"
        return f"numbers {'>' if self.is_open else '≥'} {self.lower:g}"


_OF_OBJECTIVES = {
    limits.objective: limits
    for limits in (
        LabelLimits("reg:logistic", lower=0, upper=1),
        LabelLimits("reg:gamma", lower=0, is_open=True),
        LabelLimits("reg:tweedie", lower=0),
        LabelLimits("count:poisson", lower=0),
        LabelLimits("reg:squaredlogerror", lower=-1, is_open=True),
    )
}


def label_limits(algorithm: str, hyperparameters: Mapping[str, object]) -> LabelLimits:
    """Return the labels that a training with these settings allows.

    Args:
        algorithm: `[training] algorithm`, or its default.
        hyperparameters: `[training.hyperparameters]`.
    """
    if algorithm != "xgboost":
        return LabelLimits()
    return _OF_OBJECTIVES.get(str(hyperparameters.get("objective")), LabelLimits())
