"""Label files: each line is recorded once, or quarantined with the reason."""

from __future__ import annotations

import gzip
import json
from typing import Any

import boto3
import pytest
from refit.handlers import ingest_ground_truth
from refit.usecases.ingest_label_file import ingest_label_file

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.labelled_flowers import (
    ago,
    counted,
    counters,
    holds,
    inference,
    item,
    predicted,
    published,
    quarantined,
    rejections_published,
)

pytestmark = pytest.mark.usefixtures("flowers")


def deliver(stack: Stack, content: str | bytes, key: str = "flowers/ground-truth/a.csv") -> Any:
    return handed_over(key, stack.put(key, content))


def handed_over(key: str, version: str, name: str = "ingest_ground_truth") -> Any:
    event = sample(name)
    message = json.loads(event["Records"][0]["body"])
    message["detail"]["object"] |= {"key": key, "version-id": version}
    event["Records"][0]["body"] = json.dumps(message)
    return ingest_ground_truth.handler(event, CONTEXT)


ALL_TAKEN: dict[str, Any] = {"batchItemFailures": []}


def test_the_labels_of_a_file_have_the_time_at_which_it_was_written(stack: Stack) -> None:
    predicted("a")
    assert deliver(stack, f"a,rose\nb,iris,{ago(50)}\n") == ALL_TAKEN
    written_at = boto3.client("s3").head_object(
        Bucket=stack.bucket, Key="flowers/ground-truth/a.csv"
    )["LastModified"]
    assert inference("a").labels[0].observed_at == written_at
    assert inference("b").labels[0].observed_at < written_at
    assert counted() == {"new": 1, "held": 1, "held_total": 1}


def test_of_several_labels_of_one_prediction_in_a_file_the_last_holds(stack: Stack) -> None:
    for inference_id in ("a", "b"):
        predicted(inference_id)
    assert deliver(stack, "a,tulip\na,rose\na,iris\nb,iris\nb,tulip\n") == ALL_TAKEN
    assert (holds("a"), holds("b")) == ("iris", "tulip")
    assert counted() == {"new": 2, "repeat": 3}


def test_the_last_label_holds_also_in_a_later_batch_of_the_file(stack: Stack) -> None:
    predicted("a")
    key = "flowers/ground-truth/a.csv"
    version = stack.put(key, "a,tulip\nx,rose\ny,rose\na,iris\n")
    for _ in range(2):  # delivered twice
        ingest_label_file(stack.services, key, version, batch_records=2)
        assert holds("a") == "iris"


def test_a_last_label_that_is_not_valid_does_not_hold(stack: Stack) -> None:
    predicted("a")
    assert deliver(stack, "a,tulip\na,rose\na,mauve\n") == ALL_TAKEN
    assert holds("a") == "rose"


def test_a_file_delivered_twice_changes_nothing(stack: Stack) -> None:
    predicted("a")
    key = "flowers/ground-truth/a.csv"
    version = stack.put(key, "inferenceId,label\na,rose\nh,iris\nbroken\n")
    assert handed_over(key, version) == ALL_TAKEN
    before = item("a"), item("h"), quarantined(stack), counters()["last_label_at"]
    assert handed_over(key, version) == ALL_TAKEN
    assert (item("a"), item("h"), quarantined(stack), counters()["last_label_at"]) == before
    assert counted() == {
        **{"new": 1, "held": 1, "held_total": 1, "repeat": 2},
        "rejected": 2,
    }


def test_a_bad_line_is_quarantined_with_its_number_and_the_others_are_used(stack: Stack) -> None:
    predicted("a")
    key = "flowers/ground-truth/a.csv"
    assert deliver(stack, 'x,mauve\n"b,rose\na,rose\n', key) == ALL_TAKEN
    assert holds("a") == "rose"
    lines = quarantined(stack)
    assert [(line["file"], line["line"], line["record"]) for line in lines] == [
        (key, 1, {"inferenceId": "x", "label": "mauve"}),
        (key, 2, '"b,rose'),
    ]
    assert "unknown class" in lines[0]["reason"]
    assert "not CSV" in lines[1]["reason"]
    (detail,) = rejections_published(stack)
    assert (detail["file"], detail["rejected"]) == (key, 2)
    assert detail["reasons"] == {"unknown class": 1, "unreadable record": 1}


def truth(event_id: str, *found: str) -> str:
    return json.dumps(
        {
            "groundTruthData": {"data": ",".join(found), "encoding": "CSV"},
            "eventMetadata": {"eventId": event_id},
            "eventVersion": "0",
        }
    )


def test_sagemakers_records_label_the_rows_of_their_events(stack: Stack) -> None:
    for row in range(2):
        predicted(f"pair-{row}", rows=2)
        predicted(f"other-{row}", rows=2)
    predicted("single")
    content = "\n".join(
        [
            truth("pair", "rose", "iris"),
            truth("single", "tulip"),
            truth("other", "rose", "iris", "rose"),
            truth("single", "rose", "iris"),
            truth("pair", "rose"),
            truth("unborn", "rose", "iris"),
        ]
    )
    deliver(stack, content, "flowers/ground-truth/truth.jsonl")
    assert [holds(name) for name in ("pair-0", "pair-1", "single")] == ["rose", "iris", "tulip"]
    assert [label.event_size for label in inference("unborn-1").labels] == [2]
    assert [holds(f"other-{row}") for row in range(2)] == [None, None]
    assert [line["line"] for line in quarantined(stack)] == [3, 3, 3, 4, 4, 5]
    assert {line["reason"] for line in quarantined(stack)} == {
        "event 'other' has 2 row(s), and the record lists 3 label(s)",
        "event 'single' has 1 row(s), and the record lists 2 label(s)",
        "event 'pair' has 2 row(s), and the record lists 1 label(s)",
    }


def test_a_compressed_file_with_several_batches_is_read_completely(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    content = "".join(f"id-{n},rose\n" for n in range(5))
    key = "flowers/ground-truth/a/b.csv.gz"
    version = stack.put(key, gzip.compress(content.encode()))
    ingest_label_file(stack.services, key, version, batch_records=2)
    assert counted() == {"held": 5, "held_total": 5}
    assert published(capsys.readouterr().out) == [
        *[("LabelsHeld", 1), ("LabelsHeld", 2), ("LabelsHeld", 2)]
    ]


def test_a_file_of_an_invalid_model_name_is_reported_and_skipped(stack: Stack) -> None:
    event = sample("ingest_ground_truth_bad_name")
    assert ingest_ground_truth.handler(event, CONTEXT) == ALL_TAKEN
    (refused,) = [stack.get(key) for key in stack.keys("_refused/")]
    assert refused["key"] == "My Flowers/ground-truth/november.csv"
    assert "'My Flowers' is not allowed" in refused["reason"]


@pytest.mark.parametrize(
    "key", ["flowers/quarantine/ground-truth/2026-11-20/a.jsonl", "flowers/ground-truth/"]
)
def test_objects_that_are_not_label_files_are_ignored(stack: Stack, key: str) -> None:
    assert deliver(stack, "a,rose\n", key) == ALL_TAKEN
    assert (item("a"), stack.keys("_refused/")) == ({}, [])


def test_a_file_that_does_not_exist_is_skipped() -> None:
    assert handed_over("flowers/ground-truth/gone.csv", "null") == ALL_TAKEN


def test_only_the_file_of_a_model_that_is_not_live_has_failed(stack: Stack) -> None:
    event = sample("ingest_ground_truth")
    first = event["Records"][0]
    records = []
    for number, key in enumerate(("trees/ground-truth/a.csv", "flowers/ground-truth/a.csv")):
        message = json.loads(first["body"])
        version = stack.put(key, "a,rose\n")
        message["detail"]["object"] |= {"key": key, "version-id": version}
        records.append(first | {"messageId": f"m{number}", "body": json.dumps(message)})
    answer = ingest_ground_truth.handler({"Records": records}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert holds("a") == "rose"
