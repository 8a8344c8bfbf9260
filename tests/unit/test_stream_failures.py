"""Which stream batches follow a failed one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from refit_local.ministack.stream_failures import (
    Batch,
    Discarded,
    after_failure,
    first_failed,
)

NOW = 1_800_000_000.0


def batch_of(count: int, arrived: float = NOW) -> Batch:
    records = [
        {"dynamodb": {"SequenceNumber": f"{place:05d}", "ApproximateCreationDateTime": arrived}}
        for place in range(count)
    ]
    return Batch(records, range(0, 2 * count, 2), 2 * count)


def numbers(batch: Batch) -> list[int]:
    return [int(record["dynamodb"]["SequenceNumber"]) for record in batch.records]


def deliver(
    batch: Batch, bad: set[int], mapping: dict[str, Any], reports: bool
) -> tuple[list[list[int]], list[list[int]]]:
    """Deliver a batch to the end; return the batches that succeeded and that were discarded."""
    pending, succeeded, discarded = [batch], list[list[int]](), list[list[int]]()
    while pending:
        batch = pending.pop(0)
        failed = [number for number in numbers(batch) if number in bad]
        identifiers = [{"itemIdentifier": f"{number:05d}"} for number in failed]
        outcome: dict[str, Any] = {"body": {"batchItemFailures": identifiers}}
        if not reports:
            outcome = {"error": bool(failed)}
        first = first_failed(batch, outcome, mapping)
        if first is None:
            succeeded.append(numbers(batch))
            continue
        following = after_failure(batch, first, mapping, NOW)
        if isinstance(following, Discarded):
            discarded.append(numbers(batch))
        else:
            assert following[-1].end == batch.end
            pending = following + pending
    return succeeded, discarded


@given(
    count=st.integers(1, 60),
    bad=st.sets(st.integers(0, 59), max_size=6),
    retries=st.integers(0, 3),
    reports=st.booleans(),
)
def test_with_splitting_only_the_bad_records_are_discarded_each_alone(
    count: int, bad: set[int], retries: int, reports: bool
) -> None:
    mapping = {
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": retries,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    succeeded, discarded = deliver(batch_of(count), bad, mapping, reports)
    assert discarded == [[number] for number in range(count) if number in bad]
    if not reports:  # otherwise what is before a reported record has succeeded with it
        counted = [number for batch in succeeded for number in batch]
        assert counted == [number for number in range(count) if number not in bad]


def test_without_splitting_the_whole_batch_is_discarded() -> None:
    mapping = {"MaximumRetryAttempts": 2}
    assert deliver(batch_of(3), {1}, mapping, reports=False) == ([], [[0, 1, 2]])


def test_a_batch_that_is_too_old_is_discarded_without_a_retry() -> None:
    mapping = {"MaximumRetryAttempts": 5, "MaximumRecordAgeInSeconds": 60}
    assert after_failure(batch_of(2, NOW - 61), 0, mapping, NOW) is Discarded.TOO_OLD
    (again,) = after_failure(batch_of(2, NOW - 59), 0, mapping, NOW)
    assert again.retries == 1


def test_without_a_limit_a_batch_is_retried_until_its_records_expire() -> None:
    batch = batch_of(1)
    for retries in range(1, 200):
        (batch,) = after_failure(batch, 0, {"MaximumRetryAttempts": -1}, NOW)
        assert batch.retries == retries


def test_an_identifier_that_names_no_record_fails_the_whole_batch() -> None:
    mapping = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
    for failure in ({"itemIdentifier": ""}, {"itemIdentifier": None}, {"other": "00001"}):
        outcome = {"body": {"batchItemFailures": [failure]}}
        assert first_failed(batch_of(2), outcome, mapping) == 0


def test_an_empty_answer_is_a_success() -> None:
    mapping = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
    for body in (None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}):
        assert first_failed(batch_of(2), {"body": body}, mapping) is None
