"""The predictions of one model are features of another, by a version that stays the same."""

from __future__ import annotations

import csv
import io
import tarfile
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_wine

from tests.e2e.driver import User, wait_for

KINDS, GRADES = "wine-kinds", "wine-grades"
READ = [0, 6, 9, 12]
"""Columns of the wines that the first model reads."""
ALL = [*READ, 10, 11]
NAMES = [f"w{column}" for column in ALL]
SETTINGS = f"""
[data]
label = "grade"
features_from = "{KINDS}"
[training.hyperparameters]
num_round = 20
[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 3
label_wait_s = 12
"""


class Wines:
    """The wines of scikit-learn, four times with noise: their kinds, and if they are strong."""

    def __init__(self) -> None:
        data, random = load_wine(), np.random.default_rng(7)
        order = random.permutation(4 * len(data.target))
        noise = 1 + random.normal(0, 0.02, (4 * len(data.target), 13))
        self.values = (np.vstack([data.data] * 4) * noise).round(3)[order][:, ALL]
        self.kinds = data.target[np.tile(np.arange(len(data.target)), 4)[order]]
        self.grades = np.where(self.kinds == 1, "light", "strong")

    def csv(self, rows: slice, label: str, columns: int = len(ALL)) -> bytes:
        labels = [f"k{kind}" for kind in self.kinds] if label == "kind" else self.grades
        lines = [",".join([label, *NAMES[:columns]])]
        for values, text in zip(self.values[rows].tolist(), labels[rows], strict=True):
            lines.append(",".join([str(text), *map(str, values[:columns])]))
        return "\n".join(lines).encode() + b"\n"


def deployed(user: User, model: str, number: int = 1) -> dict[str, Any]:
    run = user.wait_for_end(model, number)
    assert run["status"] == "DEPLOYED", run
    return run


@pytest.fixture(scope="module")
def wines(user: User) -> Wines:
    wines = Wines()
    kinds = {"a.csv": wines.csv(slice(0, 300), "kind", len(READ))}
    user.drop(KINDS, kinds, "[data]\nlabel = 'kind'\n")
    deployed(user, KINDS)
    user.drop(GRADES, {"a.csv": wines.csv(slice(300, 650), "grade")}, SETTINGS)
    deployed(user, GRADES)
    # Its run goes on while the tests predict; the last one waits for it.
    user.drop(KINDS, {"b.csv": wines.csv(slice(300, 650), "kind", len(READ))})
    return wines


def booster(user: User, package: str) -> xgboost.Booster:
    """Download the model of a version from the place that the registry names."""
    described = user.client("sagemaker").describe_model_package(ModelPackageName=package)
    uri = described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content = user.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        file = archive.extractfile("xgboost-model")
        assert file is not None
        return xgboost.Booster(model_file=bytearray(file.read()))


def by_hand(user: User, rows: np.ndarray, version: int) -> list[float]:
    """Compute the probability of `strong` with the files of both models."""
    items = user.items(KINDS)
    kinds = booster(user, items[f"VERSION#{version:010d}"]["package_arn"])
    grades = booster(user, user.state(GRADES)["champion"]["package_arn"])
    joined = np.column_stack([rows, kinds.inplace_predict(rows[:, : len(READ)])])
    return grades.inplace_predict(joined).tolist()


def strong(user: User, rows: np.ndarray) -> list[dict[str, Any]]:
    answer = user.predict(GRADES, rows.tolist())
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def test_a_prediction_is_that_of_both_model_files_one_after_the_other(
    user: User, wines: Wines
) -> None:
    (run,) = user.runs(GRADES)
    assert (run["features_from"]["model"], run["features_from"]["version"]) == (KINDS, 1)
    schema = user.read_json(f"{GRADES}/runs/{run['run']}/schema.json")
    added = [f"{KINDS}_probability_k{kind}" for kind in range(3)]
    assert [feature["name"] for feature in schema["features"]] == [*NAMES, *added]
    rows = wines.values[650:]
    answers = strong(user, rows)
    assert [row["probabilities"]["strong"] for row in answers] == pytest.approx(
        by_hand(user, rows, 1), abs=1e-6
    )
    grades = wines.grades[650:].tolist()
    user.label(
        GRADES,
        [
            {"inferenceId": row["inferenceId"], "label": grade}
            for row, grade in zip(answers, grades, strict=True)
        ],
    )
    user.wait_until_counted(GRADES, 1, {"predictions": len(rows), "labelled": len(rows)})
    models = user.client("sagemaker").list_models(NameContains=f"{GRADES}-")["Models"]
    left = [model["ModelName"] for model in models]
    assert not [name for name in left if name.endswith(f"{run['run']}-features")]


def test_a_batch_is_predicted_as_the_api_predicts(user: User, wines: Wines) -> None:
    rows = wines.values[650:]
    lines = [",".join(NAMES), *(",".join(map(str, row)) for row in rows.tolist())]
    key = f"{GRADES}/batch/in/rest.csv"
    user.client("s3").put_object(Bucket=user.bucket, Key=key, Body="\n".join(lines).encode())

    def ended() -> dict[str, Any] | None:
        batches = [item for sk, item in user.items(GRADES).items() if sk.startswith("BATCH#")]
        return next((each for each in batches if each["status"] in {"SUCCEEDED", "FAILED"}), None)

    batch = wait_for(ended, "the end of the batch", user.pace.run_s, user.pace.poll_s)
    assert batch["status"] == "SUCCEEDED", batch
    body = user.client("s3").get_object(Bucket=user.bucket, Key=batch["output"])["Body"].read()
    table = list(csv.DictReader(io.StringIO(body.decode())))
    online = [row["probabilities"]["strong"] for row in strong(user, rows)]
    offline = [float(row["probability_strong"]) for row in table]
    assert offline == pytest.approx(online, abs=1e-6)
    models = user.client("sagemaker").list_models(NameContains=f"{GRADES}-")["Models"]
    assert not [model for model in models if model["ModelName"].endswith("-batch")]


def test_a_new_version_of_the_other_model_changes_no_answer(user: User, wines: Wines) -> None:
    assert deployed(user, KINDS, 2)["version"] == 2
    rows = wines.values[650:]
    answers = [row["probabilities"]["strong"] for row in strong(user, rows)]
    assert answers == pytest.approx(by_hand(user, rows, 1), abs=1e-6)
    assert answers != pytest.approx(by_hand(user, rows, 2), abs=1e-6)
