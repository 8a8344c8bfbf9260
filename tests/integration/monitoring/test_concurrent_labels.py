"""Labels that are sent concurrently with other labels and with captures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from refit.domain.inferences.label_records import LabelRecord
from refit.handlers import record_ground_truth
from refit.handlers.wiring import services
from refit.stores.retries import WRITE_CONFLICTS
from refit.usecases.record_labels import record_labels

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample
from tests.support.labelled_flowers import (
    ago,
    counted,
    holds,
    inference,
    item,
    meanwhile,
    post,
    predicted,
    record,
    statuses_of,
)
from tests.support.stores import dynamodb_events

pytestmark = pytest.mark.usefixtures("flowers")


def test_of_two_concurrent_labels_both_are_kept_and_the_second_is_a_correction() -> None:
    predicted("a")
    other = LabelRecord("a", "rose", ago(50))
    with meanwhile(lambda: record_labels(services(), "flowers", [other])):
        assert statuses_of(record("a", "iris", 40), record("b", "iris")) == ["corrected", "held"]
    assert [label.label for label in inference("a").labels] == ["rose", "iris"]
    assert inference("a").seq == 3
    assert counted() == {"new": 1, "corrected": 1, "held": 1, "held_total": 1}


def test_two_concurrent_held_labels_count_as_one_held_inference() -> None:
    other = LabelRecord("a", "rose", ago(50))
    with meanwhile(lambda: record_labels(services(), "flowers", [other])):
        assert statuses_of(record("a", "rose", 60)) == ["repeat"]
    assert counted() == {"held": 1, "held_total": 1, "repeat": 1}


def test_a_label_is_new_if_its_prediction_is_captured_concurrently() -> None:
    with meanwhile(lambda: predicted("a")):
        assert statuses_of(record("a", "rose")) == ["new"]
    assert holds("a") == "rose"
    assert counted() == {"new": 1}


def test_a_label_is_a_correction_if_a_held_label_is_joined_concurrently() -> None:
    statuses_of(record("a", "rose", 50))
    with meanwhile(lambda: predicted("a")):
        assert statuses_of(record("a", "iris", 40)) == ["corrected"]
    assert "held_model" not in item("a")


def test_a_label_is_rejected_if_its_id_becomes_ambiguous_concurrently() -> None:
    predicted("a")
    with meanwhile(lambda: predicted("a", ambiguous=True)):
        assert statuses_of(record("a", "rose")) == ["rejected"]


def test_an_inference_that_keeps_changing_gives_a_503() -> None:
    predicted("a")
    with meanwhile(lambda: changed("a"), times=WRITE_CONFLICTS.max_attempts):
        status, body = post(record("a", "rose"))
    assert (status, body["error"]["code"]) == (503, "ServiceThrottled")


def changed(inference_id: str) -> None:
    table = services().inference_table
    table.apply(table.update_request({"id": f"flowers#{inference_id}"}, add={"seq": 1}))


def cancelled(code: str, times: int) -> Any:
    """Return an event hook that cancels this number of transactions with a reason."""
    remaining = [times]

    def refuse(**_: Any) -> Any:
        if not remaining[0]:
            return None
        remaining[0] -= 1
        raise (
            services()
            .client("dynamodb")
            .exceptions.TransactionCanceledException(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": code},
                    "CancellationReasons": [{"Code": "None"}, {"Code": code}],
                },
                "TransactWriteItems",
            )
        )

    return refuse


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_a_transaction_that_conflicts_is_retried(code: str) -> None:
    dynamodb_events().register("before-call.dynamodb.TransactWriteItems", cancelled(code, 2))
    assert statuses_of(record("a", "rose")) == ["held"]
    assert counted() == {"held": 1, "held_total": 1}


def test_transactions_that_keep_conflicting_give_a_503_with_retry_after() -> None:
    dynamodb_events().register(
        "before-call.dynamodb.TransactWriteItems", cancelled("TransactionConflict", 99)
    )
    event = sample("record_ground_truth") | {"body": json.dumps({"labels": [record("a", "rose")]})}
    response = record_ground_truth.handler(event, CONTEXT)
    assert response["statusCode"] == 503
    assert int(response["headers"]["Retry-After"]) > 0
    assert counted() == {}


def test_an_unexpected_transaction_error_is_not_retried() -> None:
    dynamodb_events().register(
        "before-call.dynamodb.TransactWriteItems", cancelled("ValidationError", 1)
    )
    with pytest.raises(services().client("dynamodb").exceptions.TransactionCanceledException):
        post(record("a", "rose"))
