"""Tuning: a run searches, keeps its best trial, and says why when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_cli.watching.tuning import TuningFollower

from tests.e2e.driver import wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

TRIALS = 12
TUNED = f"""
[tuning]
max_jobs = {TRIALS}
max_parallel = 2
seed = 1
"""
ROWS = slice(0, 700)


def held_out_log_loss(user: User, model: str, run: dict[str, Any]) -> float:
    evaluation = user.read_json(f"{model}/runs/{run['run']}/evaluation.json")
    return float(evaluation["new"]["challenger"]["metrics"]["log_loss"]["value"])


def test_twelve_trials_find_a_better_model_than_the_default(user: User, digits: Digits) -> None:
    files = {"a.csv": digits.csv(ROWS)}
    user.drop("untuned", files)
    user.drop("tuned", files, TUNED)
    sagemaker = user.client("sagemaker")

    def seen() -> str | None:
        runs = user.runs("tuned")
        if not runs or runs[0]["status"] != "TRAINING":
            return None
        progress = TuningFollower(sagemaker, f"refit-{runs[0]['run']}").poll()
        return progress.sentence if progress and progress.best is not None else None

    assert wait_for(seen, "a trial with a result").startswith("trial ")
    run = user.wait_for_end("tuned")
    assert run["status"] == "DEPLOYED", run.get("message")
    default = user.wait_for_end("untuned")
    assert held_out_log_loss(user, "tuned", run) < held_out_log_loss(user, "untuned", default)

    record = user.read_json(f"tuned/runs/{run['run']}/tuning.json")
    assert len(record["trials"]) == TRIALS
    objectives = [trial["objective"] for trial in record["trials"]]
    best = record["trials"][objectives.index(min(objectives))]
    assert record["best"] == best["name"] == run["tuning"]["trial"]
    assert run["tuning"]["hyperparameters"] == best["hyperparameters"]
    package = sagemaker.describe_model_package(ModelPackageName=run["package_arn"])
    (container,) = package["InferenceSpecification"]["Containers"]
    assert f"/{best['name']}/" in container["ModelDataUrl"]
    assert len(user.predicted_labels("tuned", digits.rows(slice(1000, 1010)))) == 10


def test_a_tuning_without_a_usable_trial_fails_with_the_reason_of_one(
    user: User, digits: Digits
) -> None:
    # The image does not know this: the settings allow it, and every trial fails.
    settings = "[tuning]\nmax_jobs = 2\n[training.hyperparameters]\ntree_method = 'gpu_hist'\n"
    user.drop("untrainable", {"a.csv": digits.csv(slice(0, 200))}, settings)
    run = user.wait_for_end("untrainable")
    assert (run["status"], run["error"]) == ("FAILED", "TuningFailed")
    assert "No training job succeeded after 2 attempts" in run["message"]
    assert "gpu_hist" in run["message"]
    record = user.read_json(f"untrainable/runs/{run['run']}/tuning.json")
    assert [trial["status"] for trial in record["trials"]] == ["Failed", "Failed"]
    assert record["best"] is None
