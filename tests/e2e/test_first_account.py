"""The way of one model: drop, deploy, predict, label, drift, retrain, second version, roll back.

These tests follow one model, and run in their order. They use what AWS has, and nothing of the
local stack, and three runs at most. `make verify-local` and `make verify-aws` run them.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

pytestmark = [pytest.mark.aws, pytest.mark.timeout(7200)]

# Events of all Refit stacks of an account are on one bus: the name is one that no other stack has.
MODEL = "verification-journey"
DROPPED = slice(0, 900)
TRAFFIC = slice(900, 1500)
HELD_OUT = slice(1500, 1797)
ROWS = 20


@dataclass
class Journey:
    """The model, its traffic, and the counts that Refit should have of it."""

    user: User
    digits: Digits
    rotated: bool = False
    calls: int = 0
    counts: dict[int, Counter[str]] = field(default_factory=dict)

    def images(self, rows: slice) -> list[list[int]]:
        images = self.digits.images[rows]
        if self.rotated:
            images = np.rot90(images.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
        pixels: list[list[int]] = images.tolist()
        return pixels

    def predict(self, rows: slice) -> dict[str, Any]:
        """Request predictions; none may fail, whatever is being deployed."""
        response = self.user.predict(MODEL, self.images(rows))
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        counts = self.counts.setdefault(answer["modelVersion"], Counter())
        counts["predictions"] += len(answer["predictions"])
        return answer

    def predict_and_label(self) -> int:
        """Send one request and the labels of its rows; return the version that answered."""
        start = TRAFFIC.start + self.calls * ROWS % (TRAFFIC.stop - TRAFFIC.start - ROWS)
        self.calls += 1
        rows = slice(start, start + ROWS)
        answer = self.predict(rows)
        truth = self.digits.texts(rows)
        records = [
            {"inferenceId": row["inferenceId"], "label": label}
            for row, label in zip(answer["predictions"], truth, strict=True)
        ]
        statuses = {result["status"] for result in self.user.label(MODEL, records)}
        assert statuses <= {"new", "held"}, statuses
        counts = self.counts[answer["modelVersion"]]
        counts["labelled"] += ROWS
        counts["errors"] += sum(
            row["prediction"] != label
            for row, label in zip(answer["predictions"], truth, strict=True)
        )
        time.sleep(self.user.pace.call_s)
        return int(answer["modelVersion"])

    def accuracy(self) -> float:
        predictions = self.predict(HELD_OUT)["predictions"]
        truth = self.digits.texts(HELD_OUT)
        return sum(a["prediction"] == b for a, b in zip(predictions, truth, strict=True)) / len(
            truth
        )

    def champion(self) -> int:
        return int(self.user.state(MODEL)["champion"]["version"])


@pytest.fixture(scope="module")
def journey(user: User, digits: Digits) -> Journey:
    return Journey(user, digits)


def test_a_drop_becomes_a_live_model(journey: Journey, record_property: Any) -> None:
    lines = journey.digits.csv(DROPPED).splitlines(keepends=True)
    began = time.monotonic()
    journey.user.drop(
        MODEL,
        {"a.csv": b"".join(lines[:450]), "b.csv": b"".join(lines[450:])},
        f"[data]\ntest_fraction = 0.2\n\n[monitoring]\n{journey.user.pace.monitoring}\n\n"
        "[retraining]\nmin_labels = 300\ncooldown_s = 86400\n",
    )
    run = journey.user.wait_for_end(MODEL)
    record_property("seconds from drop to live", round(time.monotonic() - began))
    assert run["status"] == "DEPLOYED", run
    assert (journey.champion(), len(journey.user.runs(MODEL))) == (1, 1)
    assert journey.accuracy() > 0.85


def test_an_answer_names_its_version_and_bad_requests_are_refused(journey: Journey) -> None:
    answer = journey.predict(slice(1500, 1503))
    assert answer["modelVersion"] == 1
    assert all(set(row["probabilities"]) == set("0123456789") for row in answer["predictions"])
    narrow = journey.user.predict(MODEL, [[1] * 63])
    assert (narrow.status_code, narrow.json()["error"]["code"]) == (400, "PayloadInvalid")
    assert journey.user.predict("unknown", [[1]]).status_code == 404
    wrong = journey.user.predict(MODEL, [[1] * 64], headers={"x-api-key": "wrong"})
    assert wrong.status_code == 403


def test_each_prediction_and_each_label_is_counted_once(journey: Journey) -> None:
    for _ in range(10):
        journey.predict_and_label()
    journey.user.wait_until_counted(MODEL, 1, dict(journey.counts[1]))


def test_drift_starts_one_retraining_and_its_version_replaces_the_first(
    journey: Journey, record_property: Any
) -> None:
    journey.rotated = True
    before = journey.accuracy()
    assert before < 0.5
    began = time.monotonic()
    versions = []
    while journey.champion() == 1:
        versions.append(journey.predict_and_label())
        if time.monotonic() > began + 2 * journey.user.pace.run_s:
            pytest.fail(f"no second version: {journey.user.runs(MODEL)}")
    record_property("seconds from drift to the second version", round(time.monotonic() - began))
    assert versions == sorted(versions)
    assert [run["cause"] for run in journey.user.runs(MODEL)] == ["drop", "drift"]
    wait_for(
        lambda: journey.predict(slice(1500, 1501))["modelVersion"] == 2 or None,
        "an answer of version 2",
        journey.user.pace.change_s,
        journey.user.pace.poll_s,
    )
    assert journey.accuracy() > before + 0.25


def test_rejecting_the_second_version_brings_the_first_back(
    journey: Journey, record_property: Any
) -> None:
    package = journey.user.runs(MODEL)[1]["package_arn"]
    began = time.monotonic()
    journey.user.client("sagemaker").update_model_package(
        ModelPackageArn=package, ModelApprovalStatus="Rejected"
    )
    answers: list[int] = []

    def first_answers() -> bool | None:
        answers.append(journey.predict(slice(1500, 1501))["modelVersion"])
        return (answers[-1] == 1 and journey.champion() == 1) or None

    pace = journey.user.pace
    wait_for(first_answers, "version 1 as champion", pace.change_s, pace.poll_s)
    record_property("seconds from rejection to roll back", round(time.monotonic() - began))
    assert answers == sorted(answers, reverse=True)


def test_all_counts_are_right_in_the_end(journey: Journey) -> None:
    for version, counts in journey.counts.items():
        journey.user.wait_until_counted(MODEL, version, dict(counts))


def test_a_drop_whose_label_is_not_clear_is_refused(user: User) -> None:
    random = np.random.default_rng(3)
    lines = ["length,width,species"]
    for index in range(90):
        kind = index // 30
        length, width = random.normal(5 + 2 * kind, 0.3), random.normal(1 + kind, 0.2)
        lines.append(f"{length:.2f},{width:.2f},{('setosa', 'versicolor', 'virginica')[kind]}")
    user.drop("verification-unclear", {"flowers.csv": "\n".join(lines).encode()})
    run = user.wait_for_end("verification-unclear")
    assert (run["status"], run["error"]) == ("FAILED", "LabelUnclear"), run
    assert "--label species" in run["message"]
