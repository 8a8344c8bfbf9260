"""A container of one's own goes through the whole loop: examples/sklearn.

The tests of this file follow one model and run in their order. Its rows have a number, a category
and a text. Before the drift a few words say the label, and others, which are rare, do not; then
only these others are used, and say the label.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.e2e.conftest import EXAMPLES
from tests.e2e.driver import wait_for

if TYPE_CHECKING:
    from tests.e2e.driver import User

MODEL = "reviews"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/refit-sklearn:1"
SETTINGS = (EXAMPLES / "sklearn/model.toml").read_text("utf-8")
MONITORING = """
[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 1
label_wait_s = 12

[retraining]
min_labels = 160
cooldown_s = 60
"""
WORDS = {
    "old": {"good": ("great", "fine", "lovely"), "bad": ("poor", "broken", "awful")},
    "new": {"good": ("crisp", "solid", "neat"), "bad": ("blurry", "flimsy", "noisy")},
}
THINGS = ("screen", "handle", "motor")


class Reviews:
    """Generates rows with their labels."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(5)

    def rows(self, count: int, vocabulary: str) -> list[tuple[list[Any], str]]:
        return [self._row(vocabulary) for _ in range(count)]

    def _row(self, vocabulary: str) -> tuple[list[Any], str]:
        label = str(self.random.choice(["good", "bad"]))
        said = label
        words = WORDS[vocabulary]
        if vocabulary == "old" and self.random.random() < 0.15:
            words, said = WORDS["new"], str(self.random.choice(["good", "bad"]))
        note = f"{self.random.choice(words[said])} {self.random.choice(THINGS)}"
        shop = str(self.random.choice(["north", "south", "east"]))
        return [round(float(self.random.normal(20, 4)), 2), shop, note], label


@pytest.fixture(scope="module")
def reviews() -> Reviews:
    return Reviews()


def csv(rows: list[tuple[list[Any], str]]) -> bytes:
    lines = [",".join(map(str, [label, *cells])) for cells, label in rows]
    return "\n".join(["label,price,shop,note", *lines]).encode()


def predict_and_label(user: User, rows: list[tuple[list[Any], str]]) -> tuple[int, float]:
    """Post labels; return the version that predicted and its accuracy."""
    answer = user.predict(MODEL, [cells for cells, _ in rows])
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    pairs = list(zip(predictions, [label for _, label in rows], strict=True))
    user.label(MODEL, [{"inferenceId": p["inferenceId"], "label": label} for p, label in pairs])
    right = sum(p["prediction"] == label for p, label in pairs)
    return answer.json()["modelVersion"], right / len(rows)


def test_the_container_is_trained_gated_and_deployed(user: User, reviews: Reviews) -> None:
    user.drop(MODEL, {"a.csv": csv(reviews.rows(700, "old"))}, SETTINGS + MONITORING)
    run = user.wait_for_end(MODEL)
    assert run["status"] == "DEPLOYED", run
    job = user.client("sagemaker").describe_training_job(
        TrainingJobName=f"refit-{MODEL}-{run['run']}-0"
    )
    assert job["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert {m["MetricName"] for m in job["FinalMetricDataList"]} == {
        "train-logloss",
        "validation-logloss",
    }
    curves = user.read_json(f"{MODEL}/runs/{run['run']}/curves.json")["jobs"][0]
    assert curves["best"]["metric"] == "validation-logloss"


def test_its_predictions_are_captured_and_their_labels_counted(
    user: User, reviews: Reviews
) -> None:
    version, accuracy = predict_and_label(user, reviews.rows(60, "old"))
    assert accuracy > 0.8
    user.wait_until_counted(MODEL, version, {"predictions": 60, "labelled": 60})


def test_drift_retrains_it_and_the_better_version_becomes_live(
    user: User, reviews: Reviews
) -> None:
    _, before = predict_and_label(user, reviews.rows(40, "new"))
    assert before < 0.8

    def replaced() -> int | None:
        version, _ = predict_and_label(user, reviews.rows(20, "new"))
        time.sleep(user.pace.call_s)
        return version if version > 1 else None

    wait_for(replaced, "the retrained version", user.pace.run_s)
    _, after = predict_and_label(user, reviews.rows(100, "new"))
    assert after > 0.9
    assert [run["cause"] for run in user.runs(MODEL)] == ["drop", "drift"]


def test_an_image_that_the_operator_does_not_allow_is_refused_before_it_runs(
    user: User, reviews: Reviews
) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/another:1"
    rows = {"a.csv": csv(reviews.rows(60, "old"))}
    user.drop("reviews-refused", rows, f'[training]\nimage = "{image}"\n')
    run = user.wait_for_end("reviews-refused")
    assert (run["status"], run["error"]) == ("FAILED", "SettingsInvalid")
    assert "AllowedImages" in run["message"]
    jobs = user.client("sagemaker").list_training_jobs(NameContains=run["run"])
    assert jobs["TrainingJobSummaries"] == []
