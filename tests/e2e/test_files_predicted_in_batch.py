"""Files dropped in batch/in/ are predicted row by row, and labels of captured rows are counted."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from sklearn.datasets import load_iris

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "batched"
COLUMNS = ["plant_id", "sepal_length", "sepal_width", "petal_length", "petal_width"]
CAPTURED = 40
SETTINGS = f"""
[data]
label = "kind"
[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 3
label_wait_s = 12
[batch]
capture_rows = {CAPTURED}
cache_rows = 150
"""


class Flowers:
    """Iris, six times with noise, each row with an id that the model leaves out."""

    def __init__(self) -> None:
        data, random = load_iris(), np.random.default_rng(7)
        order = random.permutation(6 * len(data.target))
        noise = random.normal(0, 0.05, (6 * len(data.target), 4))
        self.values = (np.vstack([data.data] * 6) + noise).round(3)[order]
        self.kinds = [str(data.target_names[kind]) for kind in np.tile(data.target, 6)[order]]
        self.ids = [f"P{7919 * number % 100_000:05d}" for number in range(len(order))]

    def rows(self, rows: slice) -> list[list[Any]]:
        return [
            [name, *values]
            for name, values in zip(self.ids[rows], self.values[rows].tolist(), strict=True)
        ]

    def csv(self, rows: slice, *, labelled: bool = False) -> bytes:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow([*COLUMNS, "kind"] if labelled else COLUMNS)
        for row, kind in zip(self.rows(rows), self.kinds[rows], strict=True):
            writer.writerow([*row, kind] if labelled else row)
        return buffer.getvalue().encode()

    def parquet(self, rows: slice, path: Path) -> bytes:
        source = path.with_suffix(".csv")
        source.write_bytes(self.csv(rows))
        duckdb.sql(f"COPY (FROM '{source}') TO '{path}' (FORMAT parquet)")
        return path.read_bytes()


@pytest.fixture(scope="module")
def flowers(user: User) -> Flowers:
    flowers = Flowers()
    user.drop(MODEL, {"a.csv": flowers.csv(slice(0, 600), labelled=True)}, SETTINGS)
    run = user.wait_for_end(MODEL)
    assert run["status"] == "DEPLOYED", run
    return flowers


def put(user: User, name: str, body: bytes) -> None:
    user.client("s3").put_object(Bucket=user.bucket, Key=f"{MODEL}/batch/in/{name}", Body=body)


def wait_for_batch(user: User, file: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        for sk, item in user.items(MODEL).items():
            is_wanted = sk.startswith("BATCH#") and item["file"] == file
            if is_wanted and item["status"] in {"SUCCEEDED", "FAILED"}:
                return item
        return None

    return wait_for(ended, f"the end of the batch of {file}", user.pace.run_s, user.pace.poll_s)


def result(user: User, batch: dict[str, Any]) -> list[dict[str, str]]:
    assert batch["status"] == "SUCCEEDED", batch
    body = user.client("s3").get_object(Bucket=user.bucket, Key=batch["output"])["Body"].read()
    return list(csv.DictReader(io.StringIO(body.decode())))


def cached_rows(user: User) -> float:
    """Return how many rows the API has answered without the endpoint."""
    points = user.client("cloudwatch").get_metric_statistics(
        Namespace="Refit",
        MetricName="CachedPredictions",
        Dimensions=[{"Name": "Model", "Value": MODEL}],
        StartTime=time.time() - 3600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def test_csv_and_parquet_are_predicted_as_the_api_predicts_and_labels_of_captured_rows_count(
    user: User, flowers: Flowers, tmp_path: Path
) -> None:
    as_csv, as_parquet = slice(600, 750), slice(750, 900)
    put(user, "new.csv", flowers.csv(as_csv))
    put(user, "new.parquet", flowers.parquet(as_parquet, tmp_path / "new.parquet"))
    batches = [wait_for_batch(user, name) for name in ("new.csv", "new.parquet")]
    assert [batch["output"] for batch in batches] == [
        f"{MODEL}/batch/out/new.csv",
        f"{MODEL}/batch/out/new.parquet.predictions.csv",
    ]
    rows = result(user, batches[0])
    assert [row["plant_id"] for row in rows] == flowers.ids[as_csv]
    more = result(user, batches[1])
    assert [row["plant_id"] for row in more] == flowers.ids[as_parquet]
    assert [int(row["row"]) for row in more] == list(range(1, 151))

    answer = user.predict(MODEL, flowers.rows(as_csv))
    assert answer.status_code == 200, answer.text
    for online, row in zip(answer.json()["predictions"], rows, strict=True):
        assert row["prediction"] == online["prediction"]
        for kind, probability in online["probabilities"].items():
            assert float(row[f"probability_{kind}"]) == pytest.approx(probability, abs=1e-6)

    again = user.predict(MODEL, flowers.rows(slice(600, 650))).json()["predictions"]
    assert [row["prediction"] for row in again] == [row["prediction"] for row in rows[:50]]
    assert wait_for(lambda: cached_rows(user) or None, "the metric of cached answers") == 50

    captured = {row["inference_id"]: row["plant_id"] for row in rows + more if row["inference_id"]}
    assert len(captured) == 2 * CAPTURED
    kinds = dict(zip(flowers.ids, flowers.kinds, strict=True))
    user.label(
        MODEL,
        [{"inferenceId": name, "label": kinds[plant]} for name, plant in captured.items()],
    )
    user.wait_until_counted(MODEL, 1, {"predictions": 200 + 2 * CAPTURED, "labelled": 2 * CAPTURED})
    models = user.client("sagemaker").list_models(NameContains=f"{MODEL}-")["Models"]
    assert not [model for model in models if model["ModelName"].endswith("-batch")]


def test_rows_that_cannot_be_read_are_quarantined_and_the_others_predicted(
    user: User, flowers: Flowers
) -> None:
    lines = flowers.csv(slice(600, 700)).splitlines()
    lines[3] = b"P1,broad,1,2,3"
    put(user, "bad-row.csv", b"\n".join(lines) + b"\n")
    batch = wait_for_batch(user, "bad-row.csv")
    rows = result(user, batch)
    assert [int(row["row"]) for row in rows] == [n for n in range(1, 101) if n != 3]
    s3 = user.client("s3")
    stored = s3.get_object(Bucket=user.bucket, Key=batch["quarantine"])["Body"].read()
    (refused,) = map(json.loads, stored.splitlines())
    assert refused["line"] == 4
    assert "requires a finite number, not 'broad'" in refused["reason"]
    summary = user.read_json(f"{batch['output']}.summary.json")
    assert (summary["rows"], summary["refused"], summary["version"]) == (99, 1, 1)


def test_a_file_of_other_columns_fails_and_says_which(user: User, flowers: Flowers) -> None:
    put(user, "other.csv", b"length,width\n1,2\n3,4\n")
    batch = wait_for_batch(user, "other.csv")
    assert (batch["status"], batch["error"]) == ("FAILED", "ColumnsUnfit")
    assert "unknown column" in batch["message"]


def test_a_batch_that_is_stopped_fails_and_leaves_no_model(user: User, flowers: Flowers) -> None:
    states = user.client("stepfunctions")
    machine = user.outputs["BatchStateMachineArn"]
    put(user, "stopped.csv", flowers.csv(slice(0, 600)))

    def running() -> str | None:
        page = states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
        return next((each["executionArn"] for each in page["executions"]), None)

    states.stop_execution(executionArn=wait_for(running, "the start of the batch"))
    batch = wait_for_batch(user, "stopped.csv")
    assert (batch["status"], batch["error"]) == ("FAILED", "ExecutionAborted")
