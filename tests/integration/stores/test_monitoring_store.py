"""MonitoringStore: counters of cohorts, and the verdicts and retraining states with revisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.inferences.cohort_key import CohortKey
from refit.domain.monitoring.verdict import DriftAlarm, LiveQuality, QualityVerdict, Verdict
from refit.domain.retraining.state import RetrainingState, RetrainingStatus
from refit.stores.dynamodb import transact
from refit.stores.monitoring import MonitoringStore

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def monitoring(stack: Stack) -> MonitoringStore:
    return MonitoringStore(stack.services.model_table, stack.services.shards)


def cohort(version: int = 1, start: datetime = NOON, model: str = "digits") -> CohortKey:
    return CohortKey(model, version, start, 3600)


def add(stack: Stack, key: CohortKey, *files: int, **sums: int) -> None:
    """Add to the counters of a cohort in a transaction."""
    writes = stack.services.monitoring.additions(key.model, {key: sums}, files)
    assert transact(stack.services.client("dynamodb"), writes) == []


def drift_alarm(raised_at: datetime = NOON) -> DriftAlarm:
    return DriftAlarm(
        version=1, raised_at=raised_at, claimed_at=raised_at, notified=False, sentence="Drift."
    )


def verdict(**changes: Any) -> Verdict:
    quality = QualityVerdict(
        drifted=True,
        log10_evidence=4.5,
        threshold=8760,
        labels=500,
        cohorts=5,
        since=NOON,
        counted=500,
        errors=40,
        error_rate=0.08,
        tolerated_error_rate=0.06,
        baseline_error=0.05,
        coverage=None,
        selectivity=1.0,
        class_name=None,
        alarm_cohort=NOON,
        held_back=None,
        sentence="Drift.",
    )
    live = LiveQuality(
        since=None,
        until=None,
        cohorts=0,
        predictions=0,
        labelled=0,
        coverage=None,
        label_delay_s=None,
        metrics={"accuracy": 0.92},
        baseline={},
    )
    values: dict[str, Any] = {"version": 1, "run": "a", "checked_at": NOON, "quality": quality}
    values |= {"live": live, "inputs": None, "alarm": drift_alarm()}
    return Verdict(**values | changes)


def test_additions_to_a_cohort_are_summed(stack: Stack, monitoring: MonitoringStore) -> None:
    add(stack, cohort(), 7, predictions=10)
    add(stack, cohort(), 7, 8, predictions=5, labelled=3)
    add(stack, cohort(), labelled=1)
    (counters,) = monitoring.cohorts("digits", 1)
    assert (counters.start, counters.seconds, counters.predictions) == (NOON, 3600, 15)
    assert counters.files == {7, 8}
    assert monitoring.labelled_rows("digits") == 4


def test_the_cohorts_of_a_version_are_in_the_order_of_time(
    stack: Stack, monitoring: MonitoringStore
) -> None:
    for hours in (2, 0, 1):
        add(stack, cohort(start=NOON + hours * HOUR), predictions=hours + 1)
    add(stack, cohort(version=11), predictions=100)
    add(stack, cohort(model="letters"), predictions=100)
    assert [entry.predictions for entry in monitoring.cohorts("digits", 1)] == [1, 2, 3]
    assert monitoring.cohorts("digits", 2) == []


def test_labelled_rows_are_counted_over_all_versions_or_for_one_since_a_moment(
    stack: Stack, monitoring: MonitoringStore
) -> None:
    for version, hours, labelled in ((1, 0, 1), (1, 1, 10), (1, 2, 100), (2, 2, 1000)):
        add(stack, cohort(version, NOON + hours * HOUR), labelled=labelled)
    add(stack, cohort(1, NOON + 3 * HOUR), predictions=1)
    assert monitoring.labelled_rows("digits") == 1111
    assert monitoring.labelled_rows_since("digits", 1, NOON + HOUR) == 110
    assert monitoring.labelled_rows("letters") == 0


def test_a_check_is_claimed_once_per_period(monitoring: MonitoringStore) -> None:
    moments = [NOON, NOON + timedelta(seconds=59), NOON + timedelta(seconds=60)]
    claims = [monitoring.claim_check("digits", moment, every_s=60) for moment in moments]
    assert claims == [True, False, True]
    assert monitoring.claim_check("letters", NOON, every_s=60)


def test_a_verdict_is_stored_and_read_with_the_next_revision(monitoring: MonitoringStore) -> None:
    assert monitoring.verdict("digits") is None
    assert monitoring.save_verdict("digits", verdict())
    assert monitoring.verdict("digits") == verdict(revision=1)


def test_a_verdict_does_not_replace_one_that_was_stored_concurrently(
    monitoring: MonitoringStore,
) -> None:
    assert monitoring.save_verdict("digits", verdict(run="a"))
    assert not monitoring.save_verdict("digits", verdict(run="b"))
    assert monitoring.save_verdict("digits", verdict(run="c", revision=1))
    assert not monitoring.save_verdict("digits", verdict(run="d", revision=1))
    stored = monitoring.verdict("digits")
    assert stored is not None
    assert (stored.run, stored.revision) == ("c", 2)


def test_a_claim_and_a_verdict_do_not_replace_each_other(monitoring: MonitoringStore) -> None:
    monitoring.claim_check("digits", NOON, every_s=60)
    assert monitoring.verdict("digits") is None
    assert monitoring.save_verdict("digits", verdict())
    assert not monitoring.claim_check("digits", NOON, every_s=60)


def test_an_alarm_is_marked_as_notified_with_a_new_revision(monitoring: MonitoringStore) -> None:
    monitoring.save_verdict("digits", verdict())
    monitoring.mark_notified("digits", drift_alarm())
    stored = monitoring.verdict("digits")
    assert stored is not None
    assert stored.alarm is not None
    assert (stored.alarm.notified, stored.revision) == (True, 2)


def test_an_alarm_that_was_replaced_is_not_marked_as_notified(monitoring: MonitoringStore) -> None:
    monitoring.mark_notified("digits", drift_alarm())
    monitoring.save_verdict("digits", verdict(alarm=drift_alarm(NOON + HOUR)))
    monitoring.mark_notified("digits", drift_alarm(NOON))
    stored = monitoring.verdict("digits")
    assert stored is not None
    assert stored.alarm is not None
    assert (stored.alarm.notified, stored.revision) == (False, 1)


def test_an_unknown_model_is_healthy(monitoring: MonitoringStore) -> None:
    assert monitoring.retraining("digits") == RetrainingState()


def test_a_retraining_state_does_not_replace_one_that_was_stored_concurrently(
    monitoring: MonitoringStore,
) -> None:
    first = monitoring.retraining("digits")
    drifting = first.with_changes(state=RetrainingStatus.DRIFTING, since=NOON, started=(NOON,))
    assert monitoring.save_retraining("digits", drifting)
    assert not monitoring.save_retraining("digits", first)
    second = monitoring.retraining("digits")
    assert second == drifting.with_changes(revision=1)
    assert monitoring.save_retraining("digits", second.with_changes(note="x"))
    assert not monitoring.save_retraining("digits", second)
    assert monitoring.retraining("digits").note == "x"
