"""What the checks found, in the shape of SageMaker Model Monitor's `constraint_violations.json`.

There the number stands only inside the English text; here `value`, `threshold` and `n` stand beside
it, so that what reads the original's shape reads this one, too. `critical` is this system's own.

Source: Amazon SageMaker Developer Guide, "Schema for Violations (constraint_violations.json file)".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from refit.domain.monitoring.input_drift import Finding, InputVerdict
    from refit.domain.monitoring.quality_drift import QualityVerdict

CheckType = Literal["baseline_drift_check", "completeness_check", "categorical_values_check"]
"""Model Monitor's others cannot break here: a captured row of another width, or with a text for a
number, is put into quarantine with its reason and never counted."""


class Violation(BaseModel):
    """One broken constraint.

    Attributes:
        feature_name: the column's, or `prediction`, `score`, or the metric's.
        constraint_check_type: one of Model Monitor's.
        description: for a person.
        value: what was measured.
        threshold: what it had to stay within.
        n: how many values or rows it was measured on.
        critical: whether a person named the feature so.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    feature_name: str
    constraint_check_type: CheckType
    description: str
    value: float
    threshold: float
    n: int
    critical: bool = False


class Violations(BaseModel):
    """All of constraint_violations.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    violations: tuple[Violation, ...]


def violations_of_inputs(verdict: InputVerdict) -> list[Violation]:
    """Return a violation for each flagged check of a cohort."""
    return [_of_finding(finding) for finding in verdict.flagged]


def violations_of_quality(verdict: QualityVerdict, metric: str) -> list[Violation]:
    """Return the violation of a quality alarm, none without one.

    Args:
        verdict: of the live version.
        metric: what it is named after, such as `accuracy` or `rmse`.
    """
    if not verdict.drifted or verdict.error_rate is None:
        return []
    name = metric if verdict.class_name is None else f"recall of {verdict.class_name}"
    return [
        Violation(
            feature_name=name,
            constraint_check_type="baseline_drift_check",
            description=verdict.sentence,
            value=verdict.error_rate,
            threshold=verdict.bar,
            n=verdict.counted,
        )
    ]


def _of_finding(finding: Finding) -> Violation:
    unseen = finding.category and finding.role == "feature"
    kind: CheckType = "baseline_drift_check"
    if finding.check == "completeness":
        kind = "categorical_values_check" if unseen else "completeness_check"
    return Violation(
        feature_name=finding.name,
        constraint_check_type=kind,
        description=_described(finding, unseen),
        value=finding.value,
        threshold=finding.threshold,
        n=finding.n,
        critical=finding.critical,
    )


def _described(finding: Finding, unseen: bool) -> str:
    beyond = f"by {finding.value:.3f}; {finding.threshold:.3f} is allowed for {finding.n:,} values."
    if finding.check == "completeness":
        what = "missing, or a text never seen in training," if unseen else "missing"
        return (
            f"{finding.missing:.2%} of the values are {what} which differs from training {beyond}"
        )
    if finding.role == "prediction":
        return f"The answers are distributed unlike those on the held-out rows {beyond}"
    if finding.role == "score":
        return f"The largest probabilities differ from those on the held-out rows {beyond}"
    outside = f" ({finding.outside:.2%} lie outside of all training)" if finding.outside else ""
    return f"The values are distributed unlike those of training{outside} {beyond}"
