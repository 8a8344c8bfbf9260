"""Lines of a capture file that cannot be used are quarantined, and the others are ingested."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from refit.handlers import ingest_captures as handler
from refit.usecases.ingest_captures import ingest_captures

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.captured_digits import (
    AT,
    FOLDER,
    NOW,
    SCHEMA,
    add_digits,
    captured,
    items,
    line,
    predictions,
    published,
    quarantined,
)
from tests.support.events import sample


def test_a_bad_line_is_quarantined_and_the_others_are_ingested(
    digits: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    captured(
        digits,
        line("a"),
        b"no json\n",
        line("b", "0.1\n0.2", "0.1"),
        line("c", "0.1,0.2", "0.1"),
        line("d", answered="0.1,0.2,0.7"),
        line("e", at=NOW - timedelta(days=91)),
        line("f", at=NOW + timedelta(hours=1)),
        line("g"),
        line("h")[:-40],
    )
    assert sorted(items(digits)) == ["digits#a", "digits#g"]
    found = quarantined(digits)
    assert [entry["line"] for entry in found] == [2, 3, 4, 5, 6, 7, 9]
    assert {entry["file"] for entry in found} == {f"{FOLDER}a.jsonl"}
    assert found[0]["record"] == "no json"
    reasons = [
        "Invalid JSON",
        "there are 2 rows and 1 answers",
        "a row has 2 values, but the version reads 1",
        "not 2 probabilities",
        "predictions are kept for 7776000 s",
        "predicted at",
        "Invalid JSON: EOF",
    ]
    assert all(reason in entry["reason"] for reason, entry in zip(reasons, found, strict=True))
    metrics = published(capsys.readouterr().out)
    assert metrics["CapturesQuarantined"] == 7
    assert metrics["Captured"] == 2
    lag = (datetime.now(UTC) - AT).total_seconds()
    assert lag - 60 < metrics["CaptureLagSeconds"] <= lag


def test_predictions_of_a_removed_model_of_the_same_name_are_quarantined(digits: Stack) -> None:
    began_at = AT + timedelta(seconds=1)
    digits.at(began_at).models.begin_run("digits", "run1", "drop", None)
    captured(digits, line("old", at=AT), line("new", at=began_at))
    assert sorted(items(digits)) == ["digits#new"]
    (refused,) = quarantined(digits)
    assert "by a removed model of the same name" in refused["reason"]


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("AllTraffic", "variant 'AllTraffic' is not the name of a version"),
        ("v9", "version 9 of digits is not registered"),
    ],
)
def test_the_lines_of_a_file_of_an_unknown_version_are_quarantined(
    digits: Stack, variant: str, reason: str
) -> None:
    captured(digits, line("a"), line("b"), folder=FOLDER.replace("/v1/", f"/{variant}/"))
    assert items(digits) == {}
    assert [(entry["line"], reason in entry["reason"]) for entry in quarantined(digits)] == [
        (1, True),
        (2, True),
    ]


@pytest.mark.parametrize("name", ["ingest_captures_no_model", "ingest_captures_foreign_variant"])
def test_objects_that_are_not_capture_files_are_ignored(digits: Stack, name: str) -> None:
    event = sample(name)
    key = json.loads(event["Records"][0]["body"])["detail"]["object"]["key"]
    digits.put(key, line("a"))
    body = json.loads(event["Records"][0]["body"])
    del body["detail"]["object"]["version-id"]
    event["Records"][0]["body"] = json.dumps(body)
    assert handler.handler(event, CONTEXT) == {"batchItemFailures": []}
    assert items(digits) == {}


def test_a_line_that_is_too_long_is_not_read_and_the_rest_is_ingested(digits: Stack) -> None:
    key = f"{FOLDER}a.jsonl"
    digits.put(key, line("a") + b"x" * 3_000_000 + b"\n" + line("b"))
    ingest_captures(digits.services, key, max_line_bytes=2_000_000)
    assert sorted(items(digits)) == ["digits#a", "digits#b"]
    assert items(digits)["digits#b"]["source_line"] == 2
    (entry,) = quarantined(digits)
    assert entry["reason"] == "the line has 3,000,000 bytes; the limit is 2,000,000 bytes"
    assert len(entry["record"]) == 1000


def test_a_line_of_twelve_megabytes_is_ingested(digits: Stack) -> None:
    asked = "\n".join([f"0.{'1' * 150_000}"] * 40)
    captured(digits, line("a", asked, "\n".join([f"0.{'1' * 150_000}"] * 40)))
    assert len(items(digits)) == 40
    assert predictions() == [40]


def test_rows_are_read_by_the_schema_of_their_version_and_not_of_the_live_one(
    digits: Stack,
) -> None:
    add_digits(2, schema=SCHEMA.model_copy(update={"classes": ("cat", "dog", "owl")}))
    captured(digits, line("old", answered="0.9"))
    folder = FOLDER.replace("/v1/", "/v2/")
    captured(digits, line("new", answered="0.1,0.2,0.7", variant="v2"), folder=folder)
    assert items(digits)["digits#old"]["prediction"] == "dog"
    assert items(digits)["digits#new"]["prediction"] == "owl"
