"""Drift starts one retraining, and its better model becomes live.

The tests of this file follow one model and run in their order. The drift: all images are rotated by
90 degrees.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

MODEL = "camera"
DROPPED = slice(0, 900)
TRAFFIC = slice(900, 1500)
HELD_OUT = slice(1500, 1797)
SETTINGS = """
[data]
test_fraction = 0.2

[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 3
label_wait_s = 12
held_label_s = 60

[retraining]
min_labels = 300
cooldown_s = 60
"""


@dataclass
class Traffic:
    """Predictions and labels sent to the model, and the counts that Refit should have of them."""

    user: User
    digits: Digits
    rotated: bool = False
    position: int = 0
    predictions: dict[int, int] = field(default_factory=dict)
    labelled: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def images(self, rows: slice) -> list[list[int]]:
        images = self.digits.images[rows]
        if self.rotated:
            images = np.rot90(images.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
        rows_of_pixels: list[list[int]] = images.tolist()
        return rows_of_pixels

    def predict(self, rows: int = 20) -> list[dict[str, Any]]:
        """Request predictions for the next images; return the correct label of each."""
        start = TRAFFIC.start + self.position % (TRAFFIC.stop - TRAFFIC.start - rows)
        self.position += rows
        images = slice(start, start + rows)
        answer = self.user.predict(MODEL, self.images(images))
        assert answer.status_code == 200, answer.text
        response = answer.json()
        version, labels = response["modelVersion"], self.digits.texts(images)
        self.predictions[version] = self.predictions.get(version, 0) + rows
        for row, label in zip(response["predictions"], labels, strict=True):
            self.labelled[row["inferenceId"]] = (version, row["prediction"], label)
        return [
            {"inferenceId": row["inferenceId"], "label": label}
            for row, label in zip(response["predictions"], labels, strict=True)
        ]

    def send_labels(self, records: list[dict[str, Any]]) -> list[str]:
        return [result["status"] for result in self.user.label(MODEL, records)]

    def predict_and_label(self, calls: int, pause_s: float = 0.2) -> None:
        for _ in range(calls):
            self.send_labels(self.predict())
            time.sleep(pause_s)

    def expected_counts(self, version: int) -> dict[str, int]:
        labelled = [
            (prediction, label)
            for labelled_version, prediction, label in self.labelled.values()
            if labelled_version == version
        ]
        return {
            "predictions": self.predictions.get(version, 0),
            "labelled": len(labelled),
            "errors": sum(prediction != label for prediction, label in labelled),
        }

    def accuracy(self) -> float:
        """Return the accuracy of the live model on held-out images."""
        answer = self.user.predict(MODEL, self.images(HELD_OUT))
        assert answer.status_code == 200, answer.text
        response = answer.json()
        labels, version = self.digits.texts(HELD_OUT), response["modelVersion"]
        self.predictions[version] = self.predictions.get(version, 0) + len(labels)
        predictions = [row["prediction"] for row in response["predictions"]]
        return sum(a == b for a, b in zip(predictions, labels, strict=True)) / len(labels)


@pytest.fixture(scope="module")
def traffic(user: User, digits: Digits) -> Traffic:
    user.drop(MODEL, {"a.csv": digits.csv(DROPPED)}, SETTINGS)
    run = user.wait_for_end(MODEL)
    assert run["status"] == "DEPLOYED", run
    return Traffic(user, digits)


def retrainings(user: User) -> list[dict[str, Any]]:
    return [run for run in user.runs(MODEL) if run["cause"] == "drift"]


def test_each_prediction_and_each_label_is_counted_once(traffic: Traffic) -> None:
    traffic.predict_and_label(5)
    traffic.user.wait_until_counted(MODEL, 1, traffic.expected_counts(1))


def test_late_repeated_corrected_and_orphan_labels_are_counted_correctly(
    traffic: Traffic,
) -> None:
    late = traffic.predict()
    now = datetime.now(UTC)
    records = traffic.predict()
    wrong = [record | {"label": str((int(record["label"]) + 1) % 10)} for record in records]
    first = [record | {"observedAt": (now - timedelta(hours=1)).isoformat()} for record in wrong]
    last = [record | {"observedAt": now.isoformat()} for record in records]
    assert set(traffic.send_labels(first[:10])) <= {"new", "held"}
    assert traffic.send_labels(last[:10]) == ["corrected"] * 10 or set(
        traffic.send_labels(last[:10])
    ) == {"repeat"}
    assert set(traffic.send_labels(last[10:])) <= {"new", "held"}
    assert traffic.send_labels(last) == ["repeat"] * 20
    traffic.user.wait_until_counted(MODEL, 1, {"predictions": traffic.predictions[1]})
    assert traffic.send_labels(first) == ["repeat"] * 20, (
        "an older observation does not replace a newer one"
    )
    orphans = [{"inferenceId": f"unknown-{number}", "label": "1"} for number in range(5)]
    assert traffic.send_labels(orphans) == ["held"] * 5
    rejected = traffic.user.label(
        MODEL,
        [
            {"inferenceId": records[0]["inferenceId"], "label": "eleven"},
            {"inferenceId": " x", "label": "1"},
            {"inferenceId": "y", "label": "1", "observedAt": "1999-01-01T00:00:00Z"},
        ],
    )
    assert [result["status"] for result in rejected] == ["rejected"] * 3
    assert "eleven" in rejected[0]["reason"]
    time.sleep(4)  # longer than label_age_s: these labels are counted but not tested for drift
    traffic.send_labels(late)
    traffic.user.wait_until_counted(MODEL, 1, traffic.expected_counts(1))
    counted = traffic.user.counters(MODEL, 1)
    assert counted["labelled"] - counted["t_labelled"] >= len(late)


def test_labels_of_a_file_are_counted_like_those_of_the_api(traffic: Traffic) -> None:
    records = traffic.predict()
    lines = "inferenceId,label\n" + "".join(
        f"{record['inferenceId']},{record['label']}\n" for record in records
    )
    traffic.user.client("s3").put_object(
        Bucket=traffic.user.bucket, Key=f"{MODEL}/ground-truth/a.csv", Body=lines.encode()
    )
    traffic.user.wait_until_counted(MODEL, 1, traffic.expected_counts(1))


def test_events_that_are_delivered_again_change_no_count(traffic: Traffic) -> None:
    """Each capture and label file is written again under its key, which sends its event again."""
    s3 = traffic.user.client("s3")
    for folder in ("capture", "ground-truth"):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=traffic.user.bucket, Prefix=f"{MODEL}/{folder}/"
        )
        for entry in [entry for page in pages for entry in page.get("Contents", [])]:
            body = s3.get_object(Bucket=traffic.user.bucket, Key=entry["Key"])["Body"].read()
            s3.put_object(Bucket=traffic.user.bucket, Key=entry["Key"], Body=body)
    traffic.predict_and_label(1)
    traffic.user.wait_until_counted(MODEL, 1, traffic.expected_counts(1))
    time.sleep(5)  # a second count would take a moment to arrive
    assert traffic.user.counters(MODEL, 1)["labelled"] == traffic.expected_counts(1)["labelled"]


def test_without_drift_no_retraining_starts(traffic: Traffic) -> None:
    traffic.predict_and_label(15)
    assert traffic.accuracy() > 0.85
    assert retrainings(traffic.user) == []


def test_drift_starts_one_retraining_and_its_better_model_becomes_live(
    traffic: Traffic,
) -> None:
    traffic.rotated = True
    before = traffic.accuracy()
    assert before < 0.5
    deadline = time.monotonic() + 180
    while traffic.user.state(MODEL)["champion"]["version"] == 1:
        traffic.predict_and_label(1)
        assert time.monotonic() < deadline, traffic.user.items(MODEL)
    after = traffic.accuracy()
    assert after > before + 0.25
    assert after > 0.75
    assert len(retrainings(traffic.user)) == 1


def test_the_manifest_of_the_retraining_lists_its_labelled_rows(traffic: Traffic) -> None:
    run = retrainings(traffic.user)[0]
    manifest = traffic.user.read_json(f"{MODEL}/runs/{run['run']}/manifest.json")
    assert manifest["cause"] == "drift"
    assert [file["key"] for file in manifest["files"]] == [f"{MODEL}/raw/a.csv"]
    assert sum(int(entry["rows"]) for entry in manifest["slices"]) >= 300
    for entry in manifest["slices"]:
        traffic.user.client("s3").head_object(
            Bucket=traffic.user.bucket, Key=entry["key"], VersionId=entry["version"]
        )


def test_the_gate_compared_both_models_on_fresh_rows_that_were_not_trained_on(
    traffic: Traffic,
) -> None:
    root = f"{MODEL}/runs/{retrainings(traffic.user)[0]['run']}"
    fresh = traffic.user.read_json(f"{root}/evaluation.json")["fresh"]
    assert fresh["rows"] >= 20
    assert fresh["comparisons"]["accuracy"]["advantage"] > 0
    s3 = traffic.user.client("s3")

    def lines(key: str) -> set[str]:
        body = s3.get_object(Bucket=traffic.user.bucket, Key=f"{root}/{key}")["Body"].read()
        return set(body.decode().splitlines())

    trained = {line.partition(",")[2] for line in lines("train/train.csv")}
    assert not trained & lines("evaluation/in/fresh.csv")


def test_the_new_version_has_its_own_counts_and_no_second_retraining_starts(
    traffic: Traffic,
) -> None:
    traffic.predict_and_label(20)
    assert len(retrainings(traffic.user)) == 1
    assert traffic.user.counters(MODEL, 2)["labelled"] > 0
    for version in (1, 2):
        traffic.user.wait_until_counted(MODEL, version, traffic.expected_counts(version))


def test_labels_without_a_prediction_expire(traffic: Traffic) -> None:
    """They are held for held_label_s; each drift check discards those that are overdue."""

    def have_expired() -> bool | None:
        labels = traffic.user.label_counters(MODEL)
        return (labels["expired"] == 5 and labels["held"] == 0) or None

    wait_for(have_expired, "the expiry of the held labels")
