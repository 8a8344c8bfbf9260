"""Labels sent to the API: the response, what is stored, and what is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from refit.handlers import record_ground_truth
from refit.handlers.http import request_body
from refit.stores.labels import MAX_CHANGES

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.labelled_flowers import (
    DAY,
    FIRST,
    HELD_S,
    MAX_AGE_S,
    SECOND,
    counted,
    counters,
    holds,
    inference,
    item,
    now,
    post,
    predicted,
    published,
    quarantined,
    record,
    rejections_published,
    statuses_of,
)

pytestmark = pytest.mark.usefixtures("flowers")


@pytest.mark.parametrize("name", ["record_ground_truth", "record_ground_truth_base64"])
def test_a_call_returns_a_status_per_record(stack: Stack, name: str) -> None:
    predicted(FIRST)
    then = stack.at(datetime(2026, 11, 20, 12, tzinfo=UTC))
    body = request_body(sample(name))
    assert record_ground_truth.answer(then, "flowers", body) == {
        "model": "flowers",
        "results": [
            {"inferenceId": FIRST, "status": "new"},
            {"inferenceId": SECOND, "status": "held"},
        ],
        "counts": {"new": 1, "repeat": 0, "corrected": 0, "held": 1, "rejected": 0},
    }
    assert inference(SECOND).labels[0].observed_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_each_record_has_its_own_outcome_and_every_kind_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "b", "c"):
        predicted(name)
    assert statuses_of(record("a", "rose", 50), record("b", "rose", 50)) == ["new", "new"]
    capsys.readouterr()
    status, body = post(
        record("a", "rose", 50),
        record("h", "rose"),
        record("b", "iris", 40),
        record("c", "mauve"),
        record(" c", "rose"),
        record("c", "tulip"),
        record("a", "iris", 60),
    )
    assert status == 202
    assert [result["status"] for result in body["results"]] == [
        *("repeat", "held", "corrected", "rejected", "rejected", "new", "repeat")
    ]
    assert body["counts"] == {"new": 1, "repeat": 2, "corrected": 1, "held": 1, "rejected": 2}
    reasons = [result.get("reason") for result in body["results"]]
    assert reasons[3] == "unknown class 'mauve'; known: 'iris', 'rose', 'tulip'"
    assert "another label is effective: 'rose'" in reasons[6]
    assert reasons[:3] == [None] * 3
    assert published(capsys.readouterr().out) == [
        *[("LabelsCorrected", 1), ("LabelsHeld", 1), ("LabelsNew", 1)],
        *[("LabelsRejected", 2), ("LabelsRepeated", 2)],
    ]
    assert counted() == {
        **{"new": 3, "repeat": 2, "corrected": 1, "rejected": 2},
        **{"held": 1, "held_total": 1},
    }


def test_a_stored_label_is_marked_uncounted_and_its_time_of_receipt_is_recorded() -> None:
    predicted("a")
    before = now()
    statuses_of(record("a", "rose"))
    assert item("a")["uncounted"] == 1
    assert inference("a").seq == 2
    assert before <= datetime.fromisoformat(counters()["last_label_at"]) <= now()


def test_known_labels_are_not_written_again() -> None:
    predicted("a")
    statuses_of(record("a", "rose", 50), record("h", "rose", 50))
    before = item("a"), item("h"), counters()["last_label_at"]
    again = record("a", "rose", 50) | {"observedAt": item("a")["labels"][0]["observed_at"]}
    held = record("h", "rose", 55)
    assert statuses_of(again, held) == ["repeat", "repeat"]
    assert (item("a"), item("h"), counters()["last_label_at"]) == before
    assert counted() == {"new": 1, "repeat": 2, "held": 1, "held_total": 1}


def test_records_of_one_inference_take_effect_in_their_order() -> None:
    predicted("a")
    sent = [record("a", "rose", 50), record("a", "iris", 40), record("a", "tulip", 45)]
    assert statuses_of(*sent) == ["new", "corrected", "repeat"]
    assert [label.label for label in inference("a").labels] == ["rose", "iris", "tulip"]
    assert (holds("a"), inference("a").seq) == ("iris", 4)
    assert counted() == {"new": 1, "corrected": 1, "repeat": 1}


def test_a_held_label_is_indexed_and_held_as_long_as_the_settings_allow() -> None:
    before = now()
    statuses_of(record("h", "rose"))
    found = item("h")
    until = datetime.fromisoformat(found["held_until"])
    assert found["held_model"] == "flowers"
    assert before <= until - timedelta(seconds=HELD_S) <= now()
    assert found["expires_at"] == int((until + 30 * DAY).timestamp())
    assert (found["model"], found["inference_id"], found["seq"]) == ("flowers", "h", 1)
    assert inference("h").prediction is None


def test_another_label_for_a_held_inference_is_held_and_counts_as_one_held_inference() -> None:
    assert statuses_of(record("h", "rose", 50), record("h", "iris", 40)) == ["held", "held"]
    assert statuses_of(record("h", "tulip", 30)) == ["held"]
    assert (holds("h"), len(inference("h").labels)) == ("tulip", 3)
    assert counted() == {"held": 1, "held_total": 3}


def test_a_label_is_compared_with_the_held_one_after_the_prediction_arrived() -> None:
    statuses_of(record("h", "rose", 50))
    predicted("h")
    assert statuses_of(record("h", "iris", 40)) == ["corrected"]


def test_a_label_is_checked_against_the_version_that_predicted() -> None:
    predicted("old", version=3)
    predicted("new", version=4)
    status, body = post(record("old", "tulip"), record("new", "tulip"), record("none", "tulip"))
    assert status == 202
    assert [result["status"] for result in body["results"]] == ["rejected", "new", "held"]
    assert body["results"][0]["reason"] == "unknown class 'tulip'; known: 'iris', 'rose'"


def test_a_label_for_an_unregistered_version_must_be_sent_again() -> None:
    predicted("a", version=9)
    status, body = post(record("a", "rose"))
    assert (status, body["error"]["code"]) == (503, "VersionNotRegistered")
    assert holds("a") is None


def test_a_label_for_an_ambiguous_id_is_rejected() -> None:
    predicted("a", ambiguous=True)
    status, body = post(record("a", "rose"))
    assert status == 202
    assert body["results"][0]["status"] == "rejected"
    assert "two different predictions" in body["results"][0]["reason"]
    assert "labels" not in item("a")


def test_the_settings_define_the_maximum_age_of_a_label() -> None:
    predicted("a")
    assert statuses_of(record("a", "rose", MAX_AGE_S + 9), record("a", "rose", MAX_AGE_S - 9)) == [
        *("rejected", "new")
    ]


def test_rejected_labels_are_quarantined_and_published_once_with_counts_by_reason(
    stack: Stack,
) -> None:
    half = record("a", "\ud800")
    post(record("a", "mauve"), record("", "rose"), half, record("b", "rose"), record("a", [1]))
    lines = quarantined(stack)
    assert [line["record"] for line in lines] == [
        {"inferenceId": "a", "label": "mauve"},
        {"inferenceId": "", "label": "rose"},
        {"inferenceId": "a", "label": "\ud800"},
        {"inferenceId": "a", "label": "[1]"},
    ]
    assert "unknown class 'mauve'" in lines[0]["reason"]
    (detail,) = rejections_published(stack)
    assert (detail["model"], detail["file"], detail["rejected"]) == ("flowers", None, 4)
    assert detail["reasons"] == {
        **{"unknown class": 2, "inferenceId malformed": 1, "label malformed": 1}
    }
    assert stack.keys(detail["quarantine"]) == [detail["quarantine"]]
    assert f"/{now():%Y-%m-%d}/" in detail["quarantine"]


def test_without_rejected_labels_no_event_is_published(stack: Stack) -> None:
    statuses_of(record("a", "rose"))
    assert (quarantined(stack), rejections_published(stack)) == ([], [])


def test_a_malformed_body_is_rejected_as_a_whole(stack: Stack) -> None:
    refused = [
        sample("record_ground_truth_unknown_key"),
        *[sample("record_ground_truth") | {"body": body} for body in (None, "", "{", "[]")],
        sample("record_ground_truth") | {"body": json.dumps({"labels": [record("a", 1)] * 501})},
    ]
    for event in refused:
        response = record_ground_truth.handler(event, CONTEXT)
        assert response["statusCode"] == 400
        assert json.loads(response["body"])["error"]["code"] == "PayloadInvalid"
    assert (counted(), quarantined(stack), item("a")) == ({}, [], {})


def test_an_empty_body_says_what_to_send() -> None:
    assert 'send {"labels": [' in post(body=None)[1]["error"]["message"]


def test_one_call_records_more_labels_than_fit_in_one_transaction() -> None:
    for n in range(3):
        predicted(f"id-{n}")
    held = MAX_CHANGES
    records = [record(f"id-{n}", "rose") for n in range(3 + held)]
    assert statuses_of(*records) == ["new"] * 3 + ["held"] * held
    assert {holds(f"id-{n}") for n in range(3 + held)} == {"rose"}
    assert counted() == {"new": 3, "held": held, "held_total": held}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"pathParameters": {"model": "trees"}}, 404, "ModelNotFound"),
        ({"pathParameters": {"model": "Flowers"}}, 400, "ModelNameInvalid"),
        ({"pathParameters": None}, 404, "RouteNotFound"),
        ({"httpMethod": "GET"}, 405, "MethodNotAllowed"),
        ({"body": "1" * 7_000_000}, 413, "PayloadTooLarge"),
    ],
)
def test_an_error_is_returned_in_the_format_of_the_api(
    changes: dict[str, Any], status: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, body = post(**changes)
    assert (got, body["error"]["code"]) == (status, code)
    assert published(capsys.readouterr().out) == []


def test_a_prediction_that_has_expired_and_is_not_deleted_yet_takes_its_label() -> None:
    predicted(FIRST)
    assert item(FIRST)["expires_at"] < now().timestamp()
    assert statuses_of(record(FIRST, "rose")) == ["new"]
    assert inference(FIRST).labels[0].label == "rose"
