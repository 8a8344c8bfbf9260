"""A dropped file is predicted once, row by row, and a sample of it is captured."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import (
    ColumnsUnfit,
    DatasetEmpty,
    EvaluationIncomplete,
    ModelNotFound,
    TooManyBadRows,
)
from refit.domain.inferences.label_records import record_of
from refit.domain.model_settings import ModelSettings
from refit.domain.naming import BatchKeys, RunKeys
from refit.handlers import fail_batch
from refit.usecases import prepare_batch as preparing
from refit.usecases.ingest_captures import ingest_captures
from refit.usecases.record_labels import record_labels

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.flower_batches import (
    FILE,
    THREE,
    deliver,
    drop,
    finish,
    make_live,
    predict,
    prepare,
    rows_of,
    schema,
    transform,
)
from tests.support.versions import promote_version, put_manifest, register_version

if TYPE_CHECKING:
    from datetime import datetime


def test_a_file_starts_one_execution_however_often_its_event_is_delivered(stack: Stack) -> None:
    version = stack.put("flowers/batch/in/january.csv", FILE)
    for _ in range(3):
        deliver("flowers/batch/in/january.csv", version)
    (batch,) = stack.services.batches.of_model("flowers")
    assert stack.executions(stack.batch) == [f"flowers-{batch.batch}"]
    assert (batch.file, batch.file_version, batch.status) == ("january.csv", version, "STARTED")


def test_each_version_of_a_file_is_a_batch_of_its_own(stack: Stack) -> None:
    assert drop(stack) != drop(stack)
    assert len(stack.executions(stack.batch)) == 2


@pytest.mark.parametrize("key", ["flowers/batch/in/", "flowers/batch/in/_SUCCESS"])
def test_a_marker_of_a_folder_starts_nothing(stack: Stack, key: str) -> None:
    deliver(key, stack.put(key, b""))
    assert stack.executions(stack.batch) == []


def test_nothing_starts_for_a_model_that_is_being_removed(stack: Stack) -> None:
    stack.services.models.begin_removal("flowers", stack.services.now())
    deliver("flowers/batch/in/a.csv", stack.put("flowers/batch/in/a.csv", FILE))
    assert stack.executions(stack.batch) == []


def test_every_row_gets_its_prediction_with_its_id_and_the_version(stack: Stack) -> None:
    make_live()
    rows = predict(stack, THREE)
    assert [(row["row"], row["id"], row["prediction"]) for row in rows] == [
        ("1", "a7", "iris"),
        ("2", "b8", "rose"),
        ("3", "c9", "tulip"),
    ]
    assert [row["probability_rose"] for row in rows] == ["0.25", "0.75", "0.25"]
    assert {row["version"] for row in rows} == {"3"}
    assert list(rows[0]) == [
        "row",
        "id",
        "prediction",
        "probability_iris",
        "probability_rose",
        "probability_tulip",
        "version",
        "inference_id",
    ]


def test_the_job_reads_what_the_predict_api_sends_to_an_endpoint(stack: Stack) -> None:
    make_live()
    batch = drop(stack)
    request = prepare(batch)
    keys = BatchKeys("flowers", batch)
    assert stack.read(keys.part(0)) == b"1.5,1\n2.5,0\n,\n"
    assert request["stem"] == request["request"]["ModelName"] == f"refit-flowers-{batch}-batch"
    source = request["request"]["TransformInput"]["DataSource"]["S3DataSource"]
    assert source["S3Uri"] == f"s3://{stack.bucket}/{keys.input}"


def test_a_batch_has_a_model_of_its_own_with_the_role_of_jobs(stack: Stack) -> None:
    make_live()
    batch = drop(stack)
    request = prepare(batch)["model_request"]
    assert request["ModelName"] == f"refit-flowers-{batch}-batch"
    assert request["Containers"] == [{"ModelPackageName": "arn:package/3"}]
    assert request["EnableNetworkIsolation"] is True
    assert request["ExecutionRoleArn"].endswith(":role/jobs")


def test_a_promotion_during_a_batch_changes_nothing_for_it(stack: Stack) -> None:
    make_live()
    batch = drop(stack)
    prepare(batch)
    transform(stack, batch, THREE)
    other = register_version("flowers", 4, schema(["iris", "rose"]))
    promote_version("flowers", 4, other)
    assert finish(batch)["version"] == 3
    rows = rows_of(stack.read("flowers/batch/out/january.csv"))
    assert [row["prediction"] for row in rows] == ["iris", "rose", "tulip"]


def test_order_and_number_of_rows_are_kept_over_parts(stack: Stack) -> None:
    make_live()
    body = b"width,colour\n" + b"".join(b"%d,red\n" % number for number in range(100))
    batch = drop(stack, body)
    preparing.prepare_batch(stack.services, "flowers", batch, part_bytes=40)
    parts = [stack.read(key) for key in stack.keys(BatchKeys("flowers", batch).input)]
    assert len(parts) > 5
    assert b"".join(parts) == b"".join(b"%d,1\n" % number for number in range(100))
    answers = [f"[{(number % 3 == 0) * 1.0}, 0.5, 0.25]" for number in range(100)]
    transform(stack, batch, answers)
    assert finish(batch)["rows"] == 100
    rows = rows_of(stack.read("flowers/batch/out/january.csv"))
    assert [int(row["row"]) for row in rows] == list(range(1, 101))
    assert [row["prediction"] for row in rows] == [
        "rose" if number % 3 else "iris" for number in range(100)
    ]


def test_refused_rows_are_quarantined_with_their_reasons_and_keep_their_numbers(
    stack: Stack,
) -> None:
    stack.put("flowers/model.toml", "[data]\nmax_bad_fraction = 0.7\n")
    make_live()
    rows = predict(stack, THREE[:1], b"width,colour\nbroad,red\n2,red\n3\n")
    assert [row["row"] for row in rows] == ["2"]
    (batch,) = stack.services.batches.of_model("flowers")
    assert (batch.rows, batch.refused) == (1, 2)
    assert batch.quarantine is not None
    refused = [json.loads(line) for line in stack.read(batch.quarantine).splitlines()]
    assert [(entry["line"], entry["text"]) for entry in refused] == [(2, "broad,red"), (4, "3")]
    assert "requires a finite number" in refused[0]["reason"]
    assert refused[1]["reason"] == "1 cells, not 2"


def test_a_file_with_too_many_bad_rows_is_refused(stack: Stack) -> None:
    make_live()
    batch = drop(stack, b"width,colour\nbroad,red\n2,red\n")
    with pytest.raises(TooManyBadRows, match=r"1 of 2 rows were refused"):
        prepare(batch)


def test_columns_of_another_model_are_refused_by_name(stack: Stack) -> None:
    make_live()
    with pytest.raises(ColumnsUnfit, match=r"unknown column 'depth'.*\[batch\] id"):
        prepare(drop(stack, b"width,colour,depth\n1,red,2\n"))
    with pytest.raises(ColumnsUnfit, match="Rename the column to 'width'"):
        prepare(drop(stack, b"Width,colour\n1,red\n"))
    with pytest.raises(ColumnsUnfit, match="lacks the column 'colour'"):
        prepare(drop(stack, b"id,width\na,1\nb,2\n"))


def test_the_settings_name_the_column_that_identifies_the_rows(stack: Stack) -> None:
    stack.put("flowers/model.toml", '[batch]\nid = "Order"\n')
    make_live()
    rows = predict(stack, THREE[:2], b'Order,width,colour\n"x,1",1,red\ny2,2,red\n')
    assert [row["Order"] for row in rows] == ["x,1", "y2"]


def test_the_label_column_of_a_file_is_not_read(stack: Stack) -> None:
    make_live()
    rows = predict(stack, THREE[:2], b"width,colour,kind\n1,red,iris\n2,red,rose\n")
    assert [row["prediction"] for row in rows] == ["iris", "rose"]


def test_an_empty_file_is_refused(stack: Stack) -> None:
    make_live()
    with pytest.raises(DatasetEmpty):
        prepare(drop(stack, b"\n"))


def test_a_gzip_file_has_a_gzip_result(stack: Stack) -> None:
    make_live()
    batch = drop(stack, gzip.compress(FILE), "january.csv.gz")
    prepare(batch)
    transform(stack, batch, THREE)
    assert finish(batch)["output"] == "flowers/batch/out/january.csv.gz"
    rows = rows_of(gzip.decompress(stack.read("flowers/batch/out/january.csv.gz")))
    assert [row["id"] for row in rows] == ["a7", "b8", "c9"]


def test_a_regression_gives_the_number(stack: Stack) -> None:
    make_live(classes=None)
    rows = predict(stack, ["1.5", "2.25", "-3.0"])
    assert [row["prediction"] for row in rows] == ["1.5", "2.25", "-3.0"]
    assert list(rows[0]) == ["row", "id", "prediction", "version", "inference_id"]


def test_the_decision_rule_of_the_version_decides_as_in_the_predict_api(stack: Stack) -> None:
    run = register_version("flowers", 3, schema(["iris", "rose"]))
    put_manifest("flowers", 3, {})
    manifest = json.loads(stack.read(RunKeys("flowers", run).manifest))
    settings = ModelSettings.model_validate({"prediction": {"threshold": 0.2}})
    manifest["settings"] = settings.model_dump(mode="json")
    stack.put(RunKeys("flowers", run).manifest, manifest)
    stack.put(RunKeys("flowers", run).decision, {"positive": "rose", "threshold": 0.2})
    promote_version("flowers", 3, run)
    rows = predict(stack, ["0.25", "0.125", "0.5"])
    assert [row["prediction"] for row in rows] == ["rose", "iris", "rose"]
    assert [row["probability_iris"] for row in rows] == ["0.75", "0.875", "0.5"]


@pytest.mark.parametrize("answers", [THREE[:2], [*THREE, THREE[0]]])
def test_predictions_that_do_not_match_the_rows_are_refused(
    stack: Stack, answers: list[str]
) -> None:
    make_live()
    batch = drop(stack)
    prepare(batch)
    stack.put(BatchKeys("flowers", batch).part_output(0), "\n".join(answers) + "\n")
    with pytest.raises(EvaluationIncomplete, match=f"{len(answers)} predictions for 3 rows"):
        finish(batch)
    assert stack.keys("flowers/batch/out/") == []


def test_without_a_live_version_the_batch_fails_and_says_what_to_do(stack: Stack) -> None:
    batch = drop(stack)
    with pytest.raises(ModelNotFound, match="put it again when a version is live"):
        prepare(batch)


def test_nothing_is_written_for_a_model_that_is_removed_meanwhile(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_live()
    batch = drop(stack)
    prepare(batch)
    transform(stack, batch, THREE)
    began = stack.services.batches.finished_rows_at

    def remove(model: str, batch: str) -> datetime:
        at = began(model, batch)
        stack.services.models.delete_items(model)
        return at

    monkeypatch.setattr(stack.services.batches, "finished_rows_at", remove)
    with pytest.raises(ModelNotFound, match="flowers was removed"):
        finish(batch)
    assert stack.keys("flowers/batch/out/") == []
    assert captured_keys(stack) == []


def test_a_failed_batch_is_recorded_and_reported_once(stack: Stack) -> None:
    batch = drop(stack)
    event = sample("fail_batch") | {"model": "flowers", "batch": batch}
    assert fail_batch.handler(event, CONTEXT) == {"failed": True}
    assert fail_batch.handler(event, CONTEXT) == {"failed": False}
    (record,) = stack.services.batches.of_model("flowers")
    assert (record.status, record.error) == ("FAILED", "DatasetEmpty")
    (notice,) = stack.messages(stack.notices_queue)
    assert "january.csv has no row to predict" in notice["Message"]


def test_a_batch_whose_execution_was_stopped_fails(stack: Stack) -> None:
    batch = drop(stack)
    event = sample("fail_batch_stopped")
    event["detail"]["input"] = json.dumps({"model": "flowers", "batch": batch})
    fail_batch.handler(event, CONTEXT)
    (record,) = stack.services.batches.of_model("flowers")
    assert (record.status, record.error) == ("FAILED", "ExecutionAborted")


def captured_keys(stack: Stack) -> list[str]:
    return stack.keys("flowers/capture/")


def test_a_sample_of_the_rows_is_captured_as_the_api_captures(stack: Stack) -> None:
    stack.put("flowers/model.toml", "[batch]\ncapture_rows = 2\n")
    make_live()
    rows = predict(stack, THREE)
    (batch,) = stack.services.batches.of_model("flowers")
    (key,) = captured_keys(stack)
    assert key.startswith("flowers/capture/refit-flowers/v3/")
    lines = [json.loads(line) for line in stack.read(key).splitlines()]
    ids = [line["eventMetadata"]["inferenceId"] for line in lines]
    assert ids == [row["inference_id"] for row in rows if row["inference_id"]]
    assert len(ids) == 2
    assert all(name.startswith(f"{batch.batch}-") for name in ids)


def test_a_captured_row_can_be_labelled(stack: Stack) -> None:
    make_live()
    rows = predict(stack, THREE)
    (key,) = captured_keys(stack)
    ingest_captures(stack.services, key)
    ids = [row["inference_id"] for row in rows]
    stored = stack.services.inferences.load("flowers", ids)
    predictions = [stored[name].prediction for name in ids]
    assert [found and found.text for found in predictions] == ["iris", "rose", "tulip"]
    record = {"inferenceId": ids[1], "label": "tulip"}
    (outcome,) = record_labels(
        stack.services, "flowers", [record_of(record, "the label")], stack.services.now()
    )
    assert outcome.status == "new"


def test_finishing_a_batch_again_writes_the_same(stack: Stack) -> None:
    stack.put("flowers/model.toml", "[batch]\ncapture_rows = 1\n")
    make_live()
    batch = drop(stack)
    prepare(batch)
    transform(stack, batch, THREE)
    finish(batch)
    result, (key,) = stack.read("flowers/batch/out/january.csv"), captured_keys(stack)
    capture = stack.read(key)
    finish(batch)
    assert stack.read("flowers/batch/out/january.csv") == result
    assert captured_keys(stack) == [key]
    assert stack.read(key) == capture


@pytest.mark.parametrize(
    ("settings", "monitoring"), [("[batch]\ncapture_rows = 0\n", {}), ("", {"capture": "off"})]
)
def test_nothing_is_captured_if_the_settings_disable_it(
    stack: Stack, settings: str, monitoring: dict[str, Any]
) -> None:
    stack.put("flowers/model.toml", settings)
    make_live(**monitoring)
    rows = predict(stack, THREE)
    assert captured_keys(stack) == []
    assert {row["inference_id"] for row in rows} == {""}
