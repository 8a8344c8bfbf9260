"""Batch transform predicts the records of each object."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from local_sagemaker import (
    ACCOUNT,
    BUCKET,
    REGION,
    feature_rows,
    make_model,
    put_training_data,
    training_request,
    until,
)

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

CHANGED = "SageMaker Transform Job State Change"


@pytest.fixture(scope="module", autouse=True)
def model(local: RunningSageMaker) -> str:
    put_training_data(local)
    local.sagemaker.create_training_job(**training_request("for-transform"))
    job = local.trained("for-transform")
    return make_model(local, "transformed", job["ModelArtifacts"]["S3ModelArtifacts"])


def request(name: str, **more: Any) -> dict[str, Any]:
    """A request over s3://…/batch/<name>/in/."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/{name}/in/"}
    made = {
        "TransformJobName": name,
        "ModelName": "transformed",
        "TransformInput": {
            "DataSource": {"S3DataSource": source},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/batch/{name}/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "MultiRecord",
    }
    return {**made, **more}


def run(local: RunningSageMaker, name: str, **more: Any) -> dict[str, Any]:
    local.sagemaker.create_transform_job(**request(name, **more))
    return local.transformed(name)


def test_every_object_has_an_output(local: RunningSageMaker) -> None:
    rows = feature_rows(30)
    local.put("batch/all/in/new.csv", rows)
    local.put("batch/all/in/sub/base.csv", feature_rows(5))
    job = run(local, "all")
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    assert job["TransformJobArn"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:transform-job/all"
    assert job["TransformStartTime"] <= job["TransformEndTime"]
    assert local.keys("batch/all/out/") == [
        "batch/all/out/new.csv.out",
        "batch/all/out/sub/base.csv.out",
    ]
    predictions = local.get("batch/all/out/new.csv.out").decode().splitlines()
    assert len(predictions) == 30
    right = [
        (float(prediction) > 0.5) == (float(row.split(",")[0]) > float(row.split(",")[1]))
        for row, prediction in zip(rows.splitlines(), predictions, strict=True)
    ]
    assert sum(right) >= 27


def test_predictions_do_not_depend_on_the_batches(local: RunningSageMaker) -> None:
    rows = feature_rows(40)
    for name in ("multi", "single"):
        local.put(f"batch/{name}/in/rows.csv", rows)
    run(local, "multi")
    run(local, "single", BatchStrategy="SingleRecord", MaxConcurrentTransforms=4)
    single = local.get("batch/single/out/rows.csv.out")
    assert single == local.get("batch/multi/out/rows.csv.out")


def test_gzip_input_is_decompressed(local: RunningSageMaker) -> None:
    local.put("batch/gzip/in/rows.csv.gz", gzip.compress(feature_rows(7).encode()))
    source = request("gzip")["TransformInput"] | {"CompressionType": "Gzip"}
    run(local, "gzip", TransformInput=source)
    assert len(local.get("batch/gzip/out/rows.csv.gz.out").splitlines()) == 7


def test_filters_and_join_work_on_csv_columns(local: RunningSageMaker) -> None:
    rows = feature_rows(6).splitlines()
    numbered = "".join(f"id-{number},{row}\n" for number, row in enumerate(rows))
    local.put("batch/joined/in/rows.csv", numbered)
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    job = run(local, "joined", DataProcessing=processing)
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    lines = local.get("batch/joined/out/rows.csv.out").decode().splitlines()
    assert [line.split(",")[0] for line in lines] == [f"id-{number}" for number in range(6)]
    assert all(0 <= float(line.split(",")[1]) <= 1 for line in lines)


def test_a_bad_object_fails_the_job_and_the_other_outputs_are_written(
    local: RunningSageMaker,
) -> None:
    local.put("batch/mixed/in/a.csv", "text,where,numbers belong\n")
    local.put("batch/mixed/in/b.csv", feature_rows(3))
    job = run(local, "mixed")
    assert job["TransformJobStatus"] == "Failed"
    assert "Bad HTTP status received from algorithm: 415" in job["FailureReason"]
    assert f"s3://{BUCKET}/batch/mixed/in/a.csv" in job["FailureReason"]
    assert local.keys("batch/mixed/out/") == ["batch/mixed/out/b.csv.out"]


def test_a_record_larger_than_the_payload_fails_the_job(local: RunningSageMaker) -> None:
    local.put("batch/large/in/rows.csv", "1," * 600_000 + "1\n")
    job = run(local, "large", MaxPayloadInMB=1)
    assert "a record is larger than the maximum payload" in job["FailureReason"]


def test_every_state_change_publishes_an_event(local: RunningSageMaker) -> None:
    local.put("batch/events/in/rows.csv", feature_rows(2))
    run(local, "events")

    def details() -> list[dict[str, Any]]:
        return [d for d in local.published.of(CHANGED) if d["TransformJobName"] == "events"]

    until(lambda: len(details()) == 2, "two events")
    assert [detail["TransformJobStatus"] for detail in details()] == ["InProgress", "Completed"]
    assert isinstance(details()[-1]["TransformEndTime"], int)


def test_a_stopped_job_ends_stopped(local: RunningSageMaker) -> None:
    local.put("batch/stopped/in/rows.csv", feature_rows(20_000))
    local.sagemaker.create_transform_job(
        **request("stopped", BatchStrategy="SingleRecord", MaxConcurrentTransforms=1)
    )
    until(
        lambda: (
            "TransformStartTime"
            in local.sagemaker.describe_transform_job(TransformJobName="stopped")
        ),
        "the start",
    )
    local.sagemaker.stop_transform_job(TransformJobName="stopped")
    assert local.transformed("stopped")["TransformJobStatus"] == "Stopped"
    assert local.keys("batch/stopped/out/") == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"DataProcessing": {"InputFilter": "$.features"}}, "the filter $.features"),
        ({"ModelName": "never-made"}, "Could not find model"),
        ({"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "must not exceed 100 MB"),
    ],
)
def test_an_unsupported_request_is_refused_at_once(
    local: RunningSageMaker, change: dict[str, Any], part: str
) -> None:
    with pytest.raises(local.sagemaker.exceptions.ClientError) as caught:
        local.sagemaker.create_transform_job(**request("refused", **change))
    assert part in str(caught.value)
