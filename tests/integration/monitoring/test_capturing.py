"""Ingestion of capture files: inferences and the counters of their cohorts."""

from __future__ import annotations

import base64
import json
import struct
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from refit.domain.inferences.capture_reader import VERIFICATION_ID
from refit.domain.schema import Feature, Schema
from refit.handlers.wiring import services

from tests.support.captured_digits import (
    AT,
    FOLDER,
    MONITORING,
    add_digits,
    captured,
    counted_plainly,
    counters,
    input_counts,
    items,
    line,
    predictions,
    published,
    quarantined,
)
from tests.support.versions import plain_baseline

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack


def test_a_captured_row_becomes_an_inference(digits: Stack) -> None:
    captured(digits, b"\n", line("call", "0.5", "0.25"))
    (item,) = items(digits).values()
    packed = item.pop("probabilities")
    assert struct.unpack("<2f", packed) == (0.75, 0.25)
    assert len(item.pop("digest")) == 16
    assert item == {
        "id": "digits#call",
        "model": "digits",
        "inference_id": "call",
        "seq": 1,
        "prediction": "cat",
        "confidence": Decimal("0.75"),
        "version": 1,
        "predicted_at": AT.isoformat(timespec="milliseconds"),
        "source_key": f"{FOLDER}a.jsonl",
        "source_line": 1,
        "source_row": 0,
        "rows": 1,
        "expires_at": int((AT + timedelta(seconds=7_776_000)).timestamp()),
    }


def test_the_stored_inference_is_read_back(digits: Stack) -> None:
    captured(digits, line("call"))
    inference = services().inferences.load("digits", ["call"])["call"]
    assert inference.prediction is not None
    assert (inference.prediction.text, inference.prediction.at) == ("cat", AT)
    assert inference.labels == ()


def test_each_row_of_an_event_is_a_separate_inference(digits: Stack) -> None:
    captured(digits, line("call", "0.1\n0.2\n0.3", "0.1\n0.9\n0.1"))
    found = items(digits)
    assert sorted(found) == ["digits#call-0", "digits#call-1", "digits#call-2"]
    assert [found[key]["prediction"] for key in sorted(found)] == ["cat", "dog", "cat"]
    assert [found[key]["source_row"] for key in sorted(found)] == [0, 1, 2]
    assert {item["rows"] for item in found.values()} == {3}


def test_a_cohort_counts_its_predictions_and_files(digits: Stack) -> None:
    captured(digits, line("a"), line("b"), name="a.jsonl")
    captured(digits, line("c"), name="b.jsonl")
    (cohort,) = services().monitoring.cohorts("digits", 1)
    assert (cohort.predictions, cohort.seconds, len(cohort.files)) == (3, 86_400 * 7, 2)
    assert cohort.start <= AT < cohort.end


def test_the_length_of_cohorts_is_that_of_the_versions_settings(digits: Stack) -> None:
    add_digits(1, {"cohort_s": 60})
    captured(digits, *(line(f"c{n}", at=AT + timedelta(minutes=n)) for n in range(5)))
    assert predictions() == [1] * 5
    assert len(digits.keys("digits/monitoring/v1/")) == 5


def test_the_time_of_the_newest_capture_is_kept_when_older_ones_arrive(digits: Stack) -> None:
    newest = (AT + timedelta(seconds=5)).isoformat(timespec="milliseconds")
    captured(digits, line("a", at=AT), line("b", at=AT + timedelta(seconds=5)), line("c", at=AT))
    assert counters()["last_capture_at"] == newest
    captured(digits, line("d", at=AT - timedelta(hours=1)), name="b.jsonl")
    assert counters()["last_capture_at"] == newest


def test_the_prediction_of_a_regression_is_stored_without_probabilities(digits: Stack) -> None:
    prices = Schema(task="regression", label="price", features=(Feature(name="f0", type="number"),))
    add_digits(1, schema=prices, baseline=plain_baseline(prices))
    captured(digits, line("call", "0.5", "12.50"))
    (item,) = items(digits).values()
    assert item["prediction"] == "12.5"
    assert not {"confidence", "probabilities"} & item.keys()


def test_lines_of_sagemakers_own_data_capture_are_ingested(digits: Stack) -> None:
    def side(data: str, content_type: str) -> dict[str, str]:
        encoded = base64.b64encode(data.encode()).decode()
        return {"observedContentType": content_type, "data": encoded, "encoding": "BASE64"}

    record = {
        "captureData": {
            "endpointInput": side("0.5", "text/csv"),
            "endpointOutput": side('{"predictions": [{"score": 0.9}]}', "application/json"),
        },
        "eventMetadata": {"eventId": "e1", "inferenceTime": AT.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "eventVersion": "0",
    }
    captured(digits, json.dumps(record).encode())
    assert items(digits)["digits#e1"]["prediction"] == "dog"


def test_the_held_out_rows_that_verify_a_deployment_are_not_ingested(digits: Stack) -> None:
    captured(digits, line(VERIFICATION_ID, "0.1\n0.2", "0.1\n0.2"), line("call"))
    assert sorted(items(digits)) == ["digits#call"]
    assert quarantined(digits) == []


@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_second_prediction_with_the_same_id_makes_it_ambiguous_and_overwrites_nothing(
    digits: Stack, in_one_file: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (line("call", asked) for asked in ("0.1", "0.2", "0.3"))
    if in_one_file:
        captured(digits, first, second, third)
    else:
        captured(digits, first, name="a.jsonl")
        captured(digits, second, name="b.jsonl")
        captured(digits, third, name="c.jsonl")
    (item,) = items(digits).values()
    assert (item["ambiguous"], item["seq"], item["uncounted"]) == (True, 2, 1)
    assert (item["source_key"], item["source_line"]) == (f"{FOLDER}a.jsonl", 0)
    assert predictions() == [1]
    assert published(capsys.readouterr().out)["AmbiguousInferences"] == 1
    expected = counted_plainly([0.1], [0.25])
    assert input_counts(digits).slots.tolist() == expected.slots.tolist()
    captured(digits, first, name="d.jsonl")
    assert items(digits)["digits#call"] == item


def test_the_same_input_answered_by_another_version_is_another_prediction(digits: Stack) -> None:
    add_digits(2)
    captured(digits, line("call"))
    folder = FOLDER.replace("/v1/", "/v2/")
    captured(digits, line("call", variant="v2"), folder=folder)
    assert items(digits)["digits#call"]["ambiguous"] is True


@pytest.mark.parametrize("capture", ["api", "endpoint"])
def test_the_recorded_prediction_is_that_of_the_versions_rule(stack: Stack, capture: str) -> None:
    add_digits(1, MONITORING | {"capture": capture})
    stored = stack.get("digits/runs/run1/manifest.json")
    stored["settings"]["prediction"] = {"threshold": 0.25}
    stack.put("digits/runs/run1/manifest.json", stored)
    stack.put("digits/runs/run1/decision.json", {"positive": "dog", "threshold": 0.25})
    services.cache_clear()
    captured(stack, line("at", "0.5", "0.25"), line("below", "0.5", "0.24"))
    found = {item["inference_id"]: item for item in items(stack).values()}
    assert (found["at"]["prediction"], found["at"]["confidence"]) == ("dog", Decimal("0.25"))
    assert found["below"]["prediction"] == "cat"
    assert struct.unpack("<2f", found["at"]["probabilities"]) == (0.75, 0.25)
