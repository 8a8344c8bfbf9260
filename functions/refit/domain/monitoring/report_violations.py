"""Turn the results of the drift checks into violations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.monitoring.violations import CheckType, Violation
from refit.domain.season_lengths import season_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit.domain.monitoring.input_drift import Finding
    from refit.domain.monitoring.verdict import QualityVerdict


def violations_of_inputs(findings: Iterable[Finding], season_s: int = 0) -> list[Violation]:
    """Return a violation for each flagged finding of a cohort.

    Of two findings with the same type of violation, such as numbers out of range in the cohort and
    a shift over the season, the one that exceeds its threshold more is returned.

    Args:
        findings: of all checks of a cohort and its season.
        season_s: length of the season; 0 if the cohort alone was compared.
    """
    largest: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        if finding.flagged:
            key = finding.role, finding.name, _check_type(finding)
            largest[key] = max(
                largest.get(key, finding), finding, key=lambda it: it.value / it.threshold
            )
    return [_violation_of(finding, season_s) for finding in largest.values()]


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


def _check_type(finding: Finding) -> CheckType:
    if finding.check in {"distribution", "unseen numbers"}:
        return "baseline_drift_check"
    return "categorical_values_check" if finding.category else "completeness_check"


def _violation_of(finding: Finding, season_s: int) -> Violation:
    describe = _unseen_text if finding.is_unseen else _shift_text
    return Violation(
        feature_name=finding.name,
        constraint_check_type=_check_type(finding),
        description=describe(finding, season_s),
        value=finding.value,
        threshold=finding.threshold,
        n=finding.n,
        critical=finding.critical,
    )


def _unseen_text(finding: Finding, season_s: int) -> str:
    limit = f"(limit {finding.threshold:.2%} for {finding.n:,} values)"
    share = f"{finding.value:.2%} of the values of this cohort"
    which = f"No part of a {season_name(season_s)} explains it: the training data"
    if finding.check == "unseen numbers":
        return (
            f"{share} lie below, or above, all values of the training data {limit}. {which} has "
            "none of them."
        )
    what = "missing or never seen in training" if finding.category else "missing"
    return f"{share} are {what} {limit}. {which} has no missing value."


def _shift_text(finding: Finding, season_s: int) -> str:
    size = f"by {finding.value:.3f} (limit {finding.threshold:.3f} for {finding.n:,} values)."
    over = f" over the last {season_name(season_s)}" if season_s else ""
    if finding.check == "completeness":
        what = "missing or never seen in training" if finding.category else "missing"
        return (
            f"{finding.missing:.2%} of the values{over} are {what}; the share differs from that of "
            f"the training data {size}"
        )
    if finding.role == "prediction":
        return (
            f"The distribution of the predictions{over} differs from that on the held-out rows "
            f"{size}"
        )
    if finding.role == "score":
        return (
            f"The distribution of the largest probabilities{over} differs from that on the "
            f"held-out rows {size}"
        )
    outside = (
        f" ({finding.outside:.2%} of the values lie outside the range of the training data)"
        if finding.outside
        else ""
    )
    return (
        f"The distribution of the values{over} differs from that of the training data "
        f"{size}{outside}"
    )
