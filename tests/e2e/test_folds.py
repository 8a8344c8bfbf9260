"""A model is measured by folds of its training rows, and an ensemble of their models goes live."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xgboost as xgb
from sklearn.datasets import load_breast_cancer

if TYPE_CHECKING:
    from tests.e2e.driver import User

FOLDS = 3
WHOLE, ENSEMBLE = "folds-all", "folds-ensemble"
SETTINGS = f"[training]\nfolds = {FOLDS}\nfolds_at_a_time = 2\n"
# Two trainings on the same rows in another order differ by a row or two of the 57 test rows.
MARGIN = "[gate]\nmargin = 0.05\n"
COSTS = "[prediction]\npositive = '0'\ncosts = { false_positive = 1, false_negative = 20 }\n"


def tumours() -> bytes:
    """Return the 569 rows of the breast cancer data, label first."""
    data = load_breast_cancer()
    rows = np.column_stack([data.target, data.data])
    return "".join(
        f"{int(row[0])},{','.join(map(repr, row[1:].tolist()))}\n" for row in rows
    ).encode()


def root_of(model: str, run: dict[str, Any]) -> str:
    return f"{model}/runs/{run['run']}"


@pytest.fixture(scope="module")
def runs(user: User) -> dict[str, dict[str, Any]]:
    """Both models, trained at the same time."""
    user.drop(WHOLE, {"a.csv": tumours()}, SETTINGS + MARGIN)
    user.drop(ENSEMBLE, {"a.csv": tumours()}, f"{SETTINGS}final = 'ensemble'\n{COSTS}")
    return {model: user.wait_for_end(model) for model in (WHOLE, ENSEMBLE)}


@pytest.mark.parametrize("model", [WHOLE, ENSEMBLE])
def test_every_training_row_is_predicted_out_of_fold(
    user: User, runs: dict[str, dict[str, Any]], model: str
) -> None:
    run = runs[model]
    assert run["status"] == "DEPLOYED", run
    root = root_of(model, run)
    folds = user.read_json(f"{root}/evaluation.json")["folds"]
    assert len(folds["each"]) == FOLDS
    assert folds["rows"] == user.read_json(f"{root}/manifest.json")["rows"]["train"]
    accuracies = [float(fold["metrics"]["accuracy"]) for fold in folds["each"]]
    assert float(folds["mean"]["accuracy"]) == pytest.approx(np.mean(accuracies))
    assert float(folds["spread"]["accuracy"]) == pytest.approx(np.std(accuracies, ddof=1))
    assert 0.8 < np.mean(accuracies) < 1
    line = f"Over {FOLDS} folds of the training rows, the accuracy is"
    assert line in " ".join(user.read_json(f"{root}/gate.json")["reasons"])
    assert float(run["metrics"]["folds_accuracy"]) == pytest.approx(np.mean(accuracies))


@pytest.mark.parametrize(("model", "titles"), [(WHOLE, ["training"]), (ENSEMBLE, [])])
def test_every_training_job_of_a_run_with_folds_has_its_curves(
    user: User, runs: dict[str, dict[str, Any]], model: str, titles: list[str]
) -> None:
    jobs = user.read_json(f"{root_of(model, runs[model])}/curves.json")["jobs"]
    expected = [*titles, *(f"fold {number}" for number in range(1, FOLDS + 1))]
    assert [job["title"] for job in jobs] == expected
    assert all(job["rounds"] > 1 and not job["missing"] for job in jobs), jobs


def test_costs_choose_the_threshold_on_the_rows_of_the_folds(
    user: User, runs: dict[str, dict[str, Any]]
) -> None:
    rule = user.read_json(f"{root_of(ENSEMBLE, runs[ENSEMBLE])}/decision.json")
    assert (rule["chosen"], rule["chosen_on"]) == ("costs", "out-of-fold")


def test_an_ensemble_answers_with_the_mean_of_the_models_of_the_folds(
    user: User, runs: dict[str, dict[str, Any]]
) -> None:
    root = root_of(ENSEMBLE, runs[ENSEMBLE])
    jobs = user.client("sagemaker").list_training_jobs(NameContains=runs[ENSEMBLE]["run"])
    names = sorted(job["TrainingJobName"] for job in jobs["TrainingJobSummaries"])
    assert [name.split("-")[-2] for name in names] == [f"f{fold}" for fold in range(FOLDS)]
    rows = load_breast_cancer().data[:50]
    scores = []
    for name in names:
        key = f"{root}/training/{name}/output/model.tar.gz"
        body = user.client("s3").get_object(Bucket=user.bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            file = archive.extractfile("xgboost-model")
            assert file is not None
            booster = xgb.Booster(model_file=bytearray(file.read()))
        scores.append(booster.predict(xgb.DMatrix(rows)))
    answers = user.predict(ENSEMBLE, rows.tolist()).json()["predictions"]
    served = [row["probabilities"]["1"] for row in answers]
    assert served == pytest.approx(np.mean(scores, axis=0), abs=1e-5)
    assert np.ptp(scores, axis=0).max() > 1e-3, "the models differ"


def test_an_ensemble_is_registered_with_the_variable_that_makes_it_one(
    user: User, runs: dict[str, dict[str, Any]]
) -> None:
    package = user.client("sagemaker").describe_model_package(
        ModelPackageName=runs[ENSEMBLE]["package_arn"]
    )
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["Environment"] == {"SAGEMAKER_INFERENCE_ENSEMBLE": "true"}


def test_no_model_of_a_fold_is_left(user: User, runs: dict[str, dict[str, Any]]) -> None:
    for model in (WHOLE, ENSEMBLE):
        listed = user.client("sagemaker").list_models(NameContains=runs[model]["run"])
        assert listed["Models"] == []


def test_the_same_drop_again_is_not_refused(user: User, runs: dict[str, dict[str, Any]]) -> None:
    user.drop(WHOLE, {"a.csv": tumours()})
    again = user.wait_for_end(WHOLE, 2)
    assert again["status"] == "DEPLOYED", again
    evaluation = user.read_json(f"{root_of(WHOLE, again)}/evaluation.json")
    test_rows = user.read_json(f"{root_of(WHOLE, again)}/manifest.json")["rows"]["test"]
    assert evaluation["new"]["rows"] == evaluation["base"]["rows"] == test_rows
    assert evaluation["new"]["comparisons"]["accuracy"]
