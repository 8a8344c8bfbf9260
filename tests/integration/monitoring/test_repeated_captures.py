"""Each prediction counts once when capture files are delivered again, fail or run concurrently."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from refit.handlers.wiring import services

from tests.support.captured_digits import (
    FOLDER,
    captured,
    counted_plainly,
    counters,
    delivered,
    input_counts,
    items,
    label,
    line,
    predictions,
    published,
    quarantined,
)
from tests.support.stores import dynamodb_events

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack


def test_a_file_of_many_rows_is_written_in_transactions_within_dynamodbs_limit(
    digits: Stack,
) -> None:
    sizes: list[int] = []
    dynamodb_events().register(
        "provide-client-params.dynamodb.TransactWriteItems",
        lambda params, **_: sizes.append(len(params["TransactItems"])),
    )
    captured(digits, *(line(f"c{number}") for number in range(250)))
    assert len(items(digits)) == 250
    assert predictions() == [250]
    assert max(sizes) <= 100
    assert len(sizes) == 3


def test_a_file_delivered_again_changes_nothing(
    digits: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(f"c{number}", "0.1\n0.9", "0.2\n0.7") for number in range(60)]
    captured(digits, *lines, b'{"cut')
    before = items(digits), predictions(), input_counts(digits), quarantined(digits)
    objects = digits.keys("digits/")
    capsys.readouterr()
    captured(digits, *lines, b'{"cut')
    after = items(digits), predictions(), input_counts(digits), quarantined(digits)
    assert before[0] == after[0]
    assert before[1] == after[1] == [120]
    assert before[2].slots.tolist() == after[2].slots.tolist()
    assert before[3] == after[3]
    assert digits.keys("digits/") == objects
    assert published(capsys.readouterr().out) == {"CapturesQuarantined": 1}


def test_a_line_that_is_delivered_in_two_files_is_counted_with_the_first(digits: Stack) -> None:
    captured(digits, line("a", "0.1"), line("b", "0.9"))
    captured(digits, line("b", "0.9"), line("c", "0.4"), name="b.jsonl")
    assert predictions() == [3]
    assert items(digits)["digits#b"]["source_key"] == f"{FOLDER}a.jsonl"
    expected = counted_plainly([0.1, 0.9, 0.4], [0.25] * 3)
    assert input_counts(digits).slots.tolist() == expected.slots.tolist()


def test_ten_thousand_repetitions_of_one_prediction_count_once(digits: Stack) -> None:
    captured(digits, *[line("a")] * 10_000)
    assert predictions() == [1]
    assert input_counts(digits).rows == 1


def test_the_inputs_and_predictions_of_a_cohort_are_counted(digits: Stack) -> None:
    values, p_dog = [0.01, 0.5, 7, float("nan")], [0.1, 0.2, 0.7, 0.99]
    captured(digits, line("a", "\n".join(map(str, values)), "\n".join(map(str, p_dog))))
    expected = counted_plainly(values, p_dog)
    found = input_counts(digits)
    assert (found.layout, found.rows) == (expected.layout, 4)
    assert found.slots.tolist() == expected.slots.tolist()


def test_two_concurrent_deliveries_count_once(digits: Stack) -> None:
    lines = [line(f"c{number}") for number in range(150)]
    digits.put(f"{FOLDER}a.jsonl", b"".join(lines))
    concurrent: list[str] = []

    def deliver_once(**_: Any) -> None:
        if not concurrent:
            concurrent.append("a.jsonl")
            assert delivered(f"{FOLDER}a.jsonl") == []

    dynamodb_events().register("before-call.dynamodb.TransactWriteItems", deliver_once)
    assert delivered(f"{FOLDER}a.jsonl") == []
    assert predictions() == [150]
    assert input_counts(digits).rows == 150


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_a_file_whose_ingestion_failed_half_way_is_completed_by_the_next_delivery(
    digits: Stack, when: str
) -> None:
    digits.put(f"{FOLDER}a.jsonl", b"".join(line(f"c{number}") for number in range(250)))
    calls = 0

    def break_off(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("the function has timed out")

    events = dynamodb_events()
    events.register(f"{when}.dynamodb.TransactWriteItems", break_off)
    assert delivered(f"{FOLDER}a.jsonl") == [f"{FOLDER}a.jsonl"]
    assert items(digits)
    assert delivered(f"{FOLDER}a.jsonl") == []
    assert len(items(digits)) == 250
    assert predictions() == [250]
    assert input_counts(digits).rows == 250


def test_a_transaction_whose_response_is_lost_counts_once(digits: Stack) -> None:
    calls = 0

    def lose(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")

    dynamodb_events().register("after-call.dynamodb.TransactWriteItems", lose)
    captured(digits, *(line(f"c{number}") for number in range(50)))
    assert predictions() == [50]
    assert input_counts(digits).rows == 50


def test_transactions_that_conflict_are_retried(digits: Stack) -> None:
    calls = 0

    def conflict(model: Any, **_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls <= 12:
            reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
            code = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError(code | reasons, model.name)

    dynamodb_events().register("before-call.dynamodb.TransactWriteItems", conflict)
    captured(digits, line("a"))
    assert calls == 13
    assert predictions() == [1]


def test_a_message_that_fails_does_not_affect_the_others(digits: Stack) -> None:
    digits.put(f"{FOLDER}a.jsonl", line("a"))
    digits.put(f"{FOLDER}c.jsonl", line("c"))
    gone = f"{FOLDER}b.jsonl"
    assert delivered(f"{FOLDER}a.jsonl", gone, f"{FOLDER}c.jsonl") == [gone]
    assert sorted(items(digits)) == ["digits#a", "digits#c"]


@pytest.mark.parametrize("seed", range(8))
def test_each_inference_counts_once_despite_repeated_and_failed_deliveries(
    digits: Stack, seed: int
) -> None:
    random = Random(seed)
    ids = [f"i{number}" for number in range(30)]
    asked_by_id: dict[str, set[str]] = {}
    files = [f"{FOLDER}{number}.jsonl" for number in range(4)]
    for key in files:
        rows = [(random.choice(ids), random.choice(["0.1", "0.1", "0.2"])) for _ in range(40)]
        digits.put(key, b"".join(line(call, asked) for call, asked in rows))
        for call, asked in rows:
            asked_by_id.setdefault(call, set()).add(asked)
    waiting = ids[:10]
    injects_failures = True

    def before(model: Any, **_: Any) -> None:
        kind = random.random() if injects_failures else 1
        if kind < 0.2:
            reasons = {"CancellationReasons": [{"Code": "TransactionConflict"}]}
            code = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError(code | reasons, model.name)
        if kind < 0.35 and waiting:
            label_unless_predicted(waiting.pop())
        elif kind < 0.5:
            break_off()

    def break_off(**_: Any) -> None:
        kind = random.random() if injects_failures else 1
        if kind < 0.1:
            raise RuntimeError("the function has timed out")
        if kind < 0.2:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")

    events = dynamodb_events()
    events.register("before-call.dynamodb.TransactWriteItems", before)
    events.register("after-call.dynamodb.TransactWriteItems", break_off)
    for _ in range(6):
        delivered(*random.choices(files, k=2))
    injects_failures = False
    assert delivered(*random.sample(files, len(files))) == []

    found = items(digits)
    assert {key.partition("#")[2] for key in found if "digest" in found[key]} == asked_by_id.keys()
    assert predictions() == [len(asked_by_id)]
    assert input_counts(digits).rows == len(asked_by_id)
    contradicted = {call for call, asked in asked_by_id.items() if len(asked) > 1}
    assert {
        item["inference_id"] for item in found.values() if item.get("ambiguous")
    } == contradicted
    held = sum("held_model" in item for item in found.values())
    assert counters().get("held", 0) == held
    assert not [item for item in found.values() if {"digest", "held_model"} <= item.keys()]


def label_unless_predicted(inference_id: str) -> None:
    if inference_id not in services().inferences.load("digits", [inference_id]):
        label(inference_id)
