"""The loop closes by itself: the world changes, one retraining starts, a better model is live.

The tests of this file follow one model and run in their order. Its camera is turned by a quarter.
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
EXAM = slice(1500, 1797)
SETTINGS = """
[data]
test_fraction = 0.2

[monitoring]
cohort_s = 2
label_age_s = 3
label_wait_s = 12
held_label_s = 60

[retraining]
min_labels = 300
cooldown_s = 60
"""


@dataclass
class World:
    """What the camera sees, what was answered, and a plain count of both."""

    user: User
    digits: Digits
    turned: bool = False
    place: int = 0
    predictions: dict[int, int] = field(default_factory=dict)
    truth: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def images(self, rows: slice) -> list[list[int]]:
        images = self.digits.images[rows]
        if self.turned:
            images = np.rot90(images.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
        found: list[list[int]] = images.tolist()
        return found

    def ask(self, rows: int = 20) -> list[dict[str, Any]]:
        """Ask about the next images; return a right label for each inference."""
        start = TRAFFIC.start + self.place % (TRAFFIC.stop - TRAFFIC.start - rows)
        self.place += rows
        chosen = slice(start, start + rows)
        answer = self.user.predict(MODEL, self.images(chosen)).json()
        version, labels = answer["modelVersion"], self.digits.texts(chosen)
        self.predictions[version] = self.predictions.get(version, 0) + rows
        for found, label in zip(answer["predictions"], labels, strict=True):
            self.truth[found["inferenceId"]] = (version, found["prediction"], label)
        return [
            {"inferenceId": found["inferenceId"], "label": label}
            for found, label in zip(answer["predictions"], labels, strict=True)
        ]

    def post(self, records: list[dict[str, Any]]) -> list[str]:
        return [result["status"] for result in self.user.label(MODEL, records)]

    def live(self, calls: int, pause_s: float = 0.2) -> None:
        for _ in range(calls):
            self.post(self.ask())
            time.sleep(pause_s)

    def plain_count(self, version: int, unlabelled: set[str] = frozenset()) -> dict[str, int]:
        known = [
            (said, label)
            for key, (by, said, label) in self.truth.items()
            if by == version and key not in unlabelled
        ]
        return {
            "predictions": self.predictions.get(version, 0),
            "labelled": len(known),
            "errors": sum(said != label for said, label in known),
        }

    def exam(self) -> float:
        answer = self.user.predict(MODEL, self.images(EXAM)).json()
        truth, version = self.digits.texts(EXAM), answer["modelVersion"]
        self.predictions[version] = self.predictions.get(version, 0) + len(truth)
        found = [row["prediction"] for row in answer["predictions"]]
        return sum(a == b for a, b in zip(found, truth, strict=True)) / len(truth)


@pytest.fixture(scope="module")
def world(user: User, digits: Digits) -> World:
    user.drop(MODEL, {"a.csv": digits.csv(DROPPED)}, SETTINGS)
    run = user.ended_run(MODEL)
    assert run["status"] == "DEPLOYED", run
    return World(user, digits)


def retrainings(user: User) -> list[dict[str, Any]]:
    return [run for run in user.runs(MODEL) if run["cause"] == "drift"]


def test_each_prediction_and_each_label_is_counted_once(world: World) -> None:
    world.live(5)
    world.user.wait_until_counted(MODEL, 1, world.plain_count(1))


def test_late_repeated_contradictory_and_orphan_labels_count_as_the_truth_says(
    world: World,
) -> None:
    late = world.ask()
    now = datetime.now(UTC)
    records = world.ask()
    wrong = [record | {"label": str((int(record["label"]) + 1) % 10)} for record in records]
    first = [record | {"observedAt": (now - timedelta(hours=1)).isoformat()} for record in wrong]
    last = [record | {"observedAt": now.isoformat()} for record in records]
    assert set(world.post(first[:10])) <= {"new", "held"}
    assert world.post(last[:10]) == ["corrected"] * 10 or set(world.post(last[:10])) == {"repeat"}
    assert set(world.post(last[10:])) <= {"new", "held"}
    assert world.post(last) == ["repeat"] * 20
    world.user.wait_until_counted(MODEL, 1, {"predictions": world.predictions[1]})
    assert world.post(first) == ["repeat"] * 20, "an older label does not win, however late it is"
    orphans = [{"inferenceId": f"nobody-{number}", "label": "1"} for number in range(5)]
    assert world.post(orphans) == ["held"] * 5
    refused = world.user.label(
        MODEL,
        [
            {"inferenceId": records[0]["inferenceId"], "label": "eleven"},
            {"inferenceId": " x", "label": "1"},
            {"inferenceId": "y", "label": "1", "observedAt": "1999-01-01T00:00:00Z"},
        ],
    )
    assert [result["status"] for result in refused] == ["rejected"] * 3
    assert "eleven" in refused[0]["reason"]
    time.sleep(4)  # a label age of three seconds passes: these are counted, and tested no more
    world.post(late)
    world.user.wait_until_counted(MODEL, 1, world.plain_count(1))
    counted = world.user.counted(MODEL, 1)
    assert counted["labelled"] - counted["t_labelled"] >= len(late)


def test_a_label_file_means_the_same_as_the_api(world: World) -> None:
    records = world.ask()
    lines = "inferenceId,label\n" + "".join(
        f"{record['inferenceId']},{record['label']}\n" for record in records
    )
    world.user.client("s3").put_object(
        Bucket=world.user.bucket, Key=f"{MODEL}/ground-truth/a.csv", Body=lines.encode()
    )
    world.user.wait_until_counted(MODEL, 1, world.plain_count(1))


def test_events_delivered_again_change_nothing(world: World) -> None:
    """Each capture and label file is written again under its key: its event comes once more."""
    s3 = world.user.client("s3")
    for folder in ("capture", "ground-truth"):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=world.user.bucket, Prefix=f"{MODEL}/{folder}/"
        )
        for entry in [entry for page in pages for entry in page.get("Contents", [])]:
            body = s3.get_object(Bucket=world.user.bucket, Key=entry["Key"])["Body"].read()
            s3.put_object(Bucket=world.user.bucket, Key=entry["Key"], Body=body)
    world.live(1)
    world.user.wait_until_counted(MODEL, 1, world.plain_count(1))
    time.sleep(5)  # a second count would come late: this waits for what must not happen
    assert world.user.counted(MODEL, 1)["labelled"] == world.plain_count(1)["labelled"]


def test_while_the_world_stays_nothing_is_retrained(world: World) -> None:
    world.live(15)
    assert world.exam() > 0.85
    assert retrainings(world.user) == []


def test_when_the_world_changes_one_retraining_starts_and_the_better_model_is_live(
    world: World,
) -> None:
    world.turned = True
    before = world.exam()
    assert before < 0.5
    deadline = time.monotonic() + 180
    while world.user.state(MODEL)["champion"]["version"] == 1:
        world.live(1)
        assert time.monotonic() < deadline, world.user.items(MODEL)
    after = world.exam()
    assert after > before + 0.25
    assert after > 0.75
    assert len(retrainings(world.user)) == 1


def test_the_new_model_says_which_labels_made_it(world: World) -> None:
    run = retrainings(world.user)[0]
    manifest = world.user.json_of(f"{MODEL}/runs/{run['run']}/manifest.json")
    assert manifest["cause"] == "drift"
    assert [file["key"] for file in manifest["files"]] == [f"{MODEL}/raw/a.csv"]
    given = sum(int(part["rows"]) for part in manifest["slices"])
    assert given >= 300
    for part in manifest["slices"]:
        world.user.client("s3").head_object(
            Bucket=world.user.bucket, Key=part["key"], VersionId=part["version"]
        )


def test_the_gate_compared_both_models_on_fresh_rows_nobody_trained_on(world: World) -> None:
    root = f"{MODEL}/runs/{retrainings(world.user)[0]['run']}"
    fresh = world.user.json_of(f"{root}/evaluation.json")["fresh"]
    assert fresh["rows"] >= 20
    assert fresh["comparisons"]["accuracy"]["advantage"] > 0
    s3 = world.user.client("s3")

    def lines(key: str) -> set[str]:
        body = s3.get_object(Bucket=world.user.bucket, Key=f"{root}/{key}")["Body"].read()
        return set(body.decode().splitlines())

    trained = {line.partition(",")[2] for line in lines("train/train.csv")}
    assert not trained & lines("evaluation/in/fresh.csv")


def test_the_new_model_is_counted_anew_and_no_second_retraining_starts(world: World) -> None:
    world.live(20)
    assert len(retrainings(world.user)) == 1
    assert world.user.counted(MODEL, 2)["labelled"] > 0
    for version in (1, 2):
        world.user.wait_until_counted(MODEL, version, world.plain_count(version))


def test_orphan_labels_are_given_up_with_their_reason(world: World) -> None:
    """They were held for a minute; each look gives up what is over."""

    def given_up() -> bool | None:
        labels = world.user.items(MODEL)["LABELS"]
        return (int(labels.get("expired", 0)) == 5 and int(labels["held"]) == 0) or None

    wait_for(given_up, "the end of the held labels", 180)
