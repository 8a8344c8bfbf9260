"""Tuning: a run searches, keeps its best trial, and says why when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.stores.tuning_progress import TuningFollower
from sklearn.datasets import load_diabetes

from tests.e2e.driver import wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

TRIALS = 12
# One trial at a time: then the search is the same in every run of this test.
LABEL = '[data]\nlabel = "progression"\n'
TUNED = f"""{LABEL}
[tuning]
max_jobs = {TRIALS}
seed = 1
"""
# The image does not know this: the settings allow it, and every trial fails.
UNTRAINABLE = "[tuning]\nmax_jobs = 2\n[training.hyperparameters]\ntree_method = 'gpu_hist'\n"
PATIENCE_S = 900


def diabetes() -> bytes:
    """Return 442 patients with ten measurements, and how far the disease is a year later."""
    data = load_diabetes()
    lines = ["progression," + ",".join(data.feature_names)]
    for label, row in zip(data.target, data.data, strict=True):
        lines.append(f"{label:.0f}," + ",".join(f"{value:.5f}" for value in row))
    return "\n".join(lines).encode()


def best_validation_rmse(user: User, model: str, run: dict[str, Any]) -> float:
    """Return the value on which both stop early; the test rows are too few to tell them apart."""
    (job,) = user.read_json(f"{model}/runs/{run['run']}/curves.json")["jobs"]
    assert job["best"]["metric"] == "validation-rmse"
    return float(job["best"]["value"])


@pytest.fixture(scope="module", autouse=True)
def drops(user: User, digits: Digits) -> None:
    """Drop all models at once; their runs take a minute of mostly starting containers."""
    user.drop("tuned", {"patients.csv": diabetes()}, TUNED)
    user.drop("untuned", {"patients.csv": diabetes()}, LABEL)
    user.drop("untrainable", {"a.csv": digits.csv(slice(0, 200))}, UNTRAINABLE)


def test_twelve_trials_find_a_better_model_than_the_default(user: User) -> None:
    sagemaker = user.client("sagemaker")

    def progress() -> str | None:
        runs = user.runs("tuned")
        assert not runs or runs[0]["status"] != "FAILED", runs[0]["message"]
        if not runs or runs[0]["status"] != "TRAINING":
            return None
        found = TuningFollower(sagemaker, f"refit-{runs[0]['run']}").poll()
        return found.sentence if found and found.best is not None else None

    sentence = wait_for(progress, "the first result of a trial", PATIENCE_S)
    assert sentence.startswith("trial ")
    assert ", best validation:rmse " in sentence
    default = user.wait_for_end("untuned", timeout_s=PATIENCE_S)
    run = user.wait_for_end("tuned", timeout_s=PATIENCE_S)
    assert run["status"] == "DEPLOYED", run.get("message")
    tuned = best_validation_rmse(user, "tuned", run)
    assert tuned < best_validation_rmse(user, "untuned", default)

    record = user.read_json(f"tuned/runs/{run['run']}/tuning.json")
    assert len(record["trials"]) == TRIALS
    objectives = [trial["objective"] for trial in record["trials"]]
    best = record["trials"][objectives.index(min(objectives))]
    assert record["best"] == best["name"] == run["tuning"]["trial"]
    assert run["tuning"]["hyperparameters"] == best["hyperparameters"]
    package = sagemaker.describe_model_package(ModelPackageName=run["package_arn"])
    (container,) = package["InferenceSpecification"]["Containers"]
    assert f"/{best['name']}/" in container["ModelDataUrl"]


def test_a_tuning_without_a_usable_trial_fails_with_the_reason_of_one(user: User) -> None:
    run = user.wait_for_end("untrainable", timeout_s=PATIENCE_S)
    assert (run["status"], run["error"]) == ("FAILED", "TuningFailed")
    assert "No training job succeeded after 2 attempts" in run["message"]
    assert "Reason of the first trial that failed: AlgorithmError" in run["message"]
    record = user.read_json(f"untrainable/runs/{run['run']}/tuning.json")
    assert [trial["status"] for trial in record["trials"]] == ["Failed", "Failed"]
    assert record["best"] is None
