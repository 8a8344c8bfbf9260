"""Captures of predictions whose labels arrived first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from refit.handlers.wiring import services

from tests.support.captured_digits import (
    AT,
    NOW,
    captured,
    counters,
    items,
    label,
    line,
    predictions,
    published,
    quarantined,
)
from tests.support.stores import dynamodb_events

if TYPE_CHECKING:
    import pytest

    from tests.support.aws_stack import Stack


def test_a_label_that_was_held_is_joined(digits: Stack) -> None:
    label("call")
    assert counters()["held"] == 1
    captured(digits, line("call"))
    item = items(digits)["digits#call"]
    assert (item["prediction"], item["labels"][0]["label"]) == ("cat", "dog")
    assert not {"held_model", "held_until"} & item.keys()
    assert counters()["held"] == 0
    assert predictions() == [1]
    assert item["uncounted"] == 1, "this attribute invokes CountLabels"
    assert item["expires_at"] == int((AT + timedelta(seconds=7_776_000)).timestamp())
    assert list(services().labels.overdue("digits", NOW + timedelta(days=30))) == []


def test_labels_of_a_whole_event_are_joined_with_its_rows(digits: Stack) -> None:
    label("call-0", "cat", event_size=2)
    label("call-1", "dog", event_size=2)
    captured(digits, line("call", "0.1\n0.2", "0.1\n0.2"))
    found = items(digits)
    assert [found[f"digits#call-{row}"]["labels"][0]["label"] for row in (0, 1)] == ["cat", "dog"]
    assert counters()["held"] == 0


def test_labels_of_an_event_with_another_number_of_rows_are_not_joined(
    digits: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    label("call-0", "cat", event_size=3)
    captured(digits, line("call", "0.1\n0.2", "0.1\n0.2"))
    item = items(digits)["digits#call-0"]
    assert item["prediction"] == "cat"
    assert not {"labels", "uncounted", "held_model"} & item.keys()
    (entry,) = quarantined(digits, "ground-truth")
    assert entry["reason"] == "3 labels were listed for its event, which has 2 rows"
    assert entry["record"]["inferenceId"] == "call-0"
    assert entry["record"]["label"] == "cat"
    assert (counters()["held"], counters()["rejected"]) == (0, 1)
    assert published(capsys.readouterr().out)["LabelsRejected"] == 1


def test_a_label_that_arrives_while_its_prediction_is_written_is_joined(digits: Stack) -> None:
    arrived: list[str] = []

    def label_once(**_: Any) -> None:
        if not arrived:
            arrived.append("b")
            label("b")

    dynamodb_events().register("before-call.dynamodb.TransactWriteItems", label_once)
    captured(digits, line("a"), line("b"), line("c"))
    item = items(digits)["digits#b"]
    assert (item["prediction"], len(item["labels"])) == ("cat", 1)
    assert predictions() == [3]
    assert counters()["held"] == 0
