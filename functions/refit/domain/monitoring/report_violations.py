"""Turn the results of the drift checks into violations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.monitoring.violations import CheckType, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit.domain.monitoring.input_drift import Finding
    from refit.domain.monitoring.verdict import QualityVerdict


def violations_of_inputs(findings: Iterable[Finding]) -> list[Violation]:
    """Return a violation for each flagged finding of a cohort."""
    return [_violation_of(finding) for finding in findings if finding.flagged]


def violations_of_quality(verdict: QualityVerdict, metric: str) -> list[Violation]:
    """Return the violation that a quality alarm is; an empty list without an alarm.

    Args:
        verdict: quality verdict on the live version.
        metric: metric name that the violation reports, such as `accuracy` or `rmse`.
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
            threshold=verdict.tolerated_error_rate,
            n=verdict.counted,
        )
    ]


def _violation_of(finding: Finding) -> Violation:
    unseen = finding.category and finding.role == "feature"
    check_type: CheckType = "baseline_drift_check"
    if finding.check == "completeness":
        check_type = "categorical_values_check" if unseen else "completeness_check"
    return Violation(
        feature_name=finding.name,
        constraint_check_type=check_type,
        description=_description(finding, unseen),
        value=finding.value,
        threshold=finding.threshold,
        n=finding.n,
        critical=finding.critical,
    )


def _description(finding: Finding, unseen: bool) -> str:
    size = f"by {finding.value:.3f} (limit {finding.threshold:.3f} for {finding.n:,} values)."
    if finding.check == "completeness":
        what = "missing or never seen in training" if unseen else "missing"
        return (
            f"{finding.missing:.2%} of the values are {what}; the share differs from that of the "
            f"training data {size}"
        )
    if finding.role == "prediction":
        return f"The distribution of the predictions differs from that on the held-out rows {size}"
    if finding.role == "score":
        return (
            "The distribution of the largest probabilities differs from that on the held-out rows "
            f"{size}"
        )
    outside = (
        f" ({finding.outside:.2%} of the values lie outside the range of the training data)"
        if finding.outside
        else ""
    )
    return f"The distribution of the values differs from that of the training data {size}{outside}"
