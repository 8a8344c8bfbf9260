"""Failed checks in the format of SageMaker Model Monitor's `constraint_violations.json`.

Readers of Model Monitor's format can read this one. Model Monitor states the numbers only in the
description; here `value`, `threshold` and `n` are additional fields, and so is `critical`.

Source: Amazon SageMaker Developer Guide, "Schema for Violations (constraint_violations.json file)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable

CheckType = Literal["baseline_drift_check", "completeness_check", "categorical_values_check"]
"""Model Monitor's other types cannot occur: a captured row with another number of values, or with
text in place of a number, is quarantined and not counted."""


class Violation(BaseModel):
    """One failed check.

    Attributes:
        feature_name: a feature, `prediction`, `score`, or a metric.
        constraint_check_type: one of Model Monitor's types.
        description: summary for people.
        value: measured value.
        threshold: the limit that the value exceeds.
        n: number of measured values or rows.
        critical: whether the feature is one of `critical_features`.
    """

    model_config = ConfigDict(frozen=True)

    feature_name: str
    constraint_check_type: CheckType
    description: str
    value: float
    threshold: float
    n: int
    critical: bool = False


class Violations(BaseModel):
    """The content of constraint_violations.json."""

    model_config = ConfigDict(frozen=True)

    violations: tuple[Violation, ...] = ()

    def replaced_by(self, newer: Iterable[Violation]) -> Violations:
        """Return the violations with newer ones added; each replaces that of the same check."""
        by_check = {
            (violation.feature_name, violation.constraint_check_type): violation
            for violation in newer
        }
        kept = tuple(
            violation
            for violation in self.violations
            if (violation.feature_name, violation.constraint_check_type) not in by_check
        )
        return Violations(violations=(*kept, *by_check.values()))
