"""Labels while others label, and while captures come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from refit.domain.inferences.ground_truth_records import LabelRecord
from refit.domain.inferences.inference import item_id
from refit.environment import environment
from refit.handlers import record_ground_truth
from refit.stores import clients, transactions
from refit.usecases import record_labels as labelling

from tests.integration.monitoring.labelled_flowers import (
    ago,
    counted,
    holds,
    inference,
    item,
    meanwhile,
    post,
    predicted,
    record,
    told,
)
from tests.support.aws_stack import CONTEXT
from tests.support.events import sample

pytestmark = pytest.mark.usefixtures("flowers")


def test_of_two_who_label_at_once_both_are_kept_and_the_second_corrects() -> None:
    predicted("a")
    other = LabelRecord("a", "rose", ago(50))
    with meanwhile(lambda: labelling.record_labels("flowers", [other])):
        assert told(record("a", "iris", 40), record("b", "iris")) == ["corrected", "held"]
    assert [label.label for label in inference("a").labels] == ["rose", "iris"]
    assert inference("a").seq == 3
    assert counted() == {"new": 1, "corrected": 1, "held": 1, "held_total": 1}


def test_of_two_who_hold_a_label_at_once_one_waits() -> None:
    other = LabelRecord("a", "rose", ago(50))
    with meanwhile(lambda: labelling.record_labels("flowers", [other])):
        assert told(record("a", "rose", 60)) == ["repeat"]
    assert counted() == {"held": 1, "held_total": 1, "repeat": 1}


def test_a_capture_that_comes_between_makes_the_label_new() -> None:
    with meanwhile(lambda: predicted("a")):
        assert told(record("a", "rose")) == ["new"]
    assert holds("a") == "rose"
    assert counted() == {"new": 1}


def test_a_capture_that_joins_a_held_label_meanwhile_is_noticed() -> None:
    told(record("a", "rose", 50))
    with meanwhile(lambda: predicted("a")):
        assert told(record("a", "iris", 40)) == ["corrected"]
    assert "held_model" not in item("a")


def test_an_id_that_becomes_ambiguous_meanwhile_takes_no_label() -> None:
    predicted("a")
    with meanwhile(lambda: predicted("a", ambiguous=True)):
        assert told(record("a", "rose")) == ["rejected"]


def test_an_inference_that_never_stands_still_is_left_to_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labelling, "_ROUNDS", 3)
    predicted("a")
    with meanwhile(lambda: changed("a"), times=3):
        status, body = post(record("a", "rose"))
    assert (status, body["error"]["code"]) == (503, "ServiceThrottled")


def changed(inference_id: str) -> None:
    clients.client("dynamodb").update_item(
        TableName=environment().inference_table,
        Key={"id": {"S": item_id("flowers", inference_id)}},
        UpdateExpression="ADD seq :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def cancelled(code: str, times: int) -> Any:
    """Refuse so many transactions with a reason."""
    left = [times]

    def refuse(**_: Any) -> Any:
        if not left[0]:
            return None
        left[0] -= 1
        raise clients.client("dynamodb").exceptions.TransactionCanceledException(
            {
                "Error": {"Code": "TransactionCanceledException", "Message": code},
                "CancellationReasons": [{"Code": "None"}, {"Code": code}],
            },
            "TransactWriteItems",
        )

    return refuse


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_a_transaction_that_meets_another_is_tried_again(code: str) -> None:
    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled(code, 2))
    assert told(record("a", "rose")) == ["held"]
    assert counted() == {"held": 1, "held_total": 1}


def test_where_all_are_in_each_others_way_the_sender_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactions.time, "sleep", lambda _: None)
    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled("TransactionConflict", 99))
    event = sample("record_ground_truth") | {"body": json.dumps({"labels": [record("a", "rose")]})}
    response = record_ground_truth.handler(event, CONTEXT)
    assert response["statusCode"] == 503
    assert int(response["headers"]["Retry-After"]) > 0
    assert counted() == {}


def test_a_defect_is_no_conflict() -> None:
    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled("ValidationError", 1))
    with pytest.raises(clients.client("dynamodb").exceptions.TransactionCanceledException):
        post(record("a", "rose"))
