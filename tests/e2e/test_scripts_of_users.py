"""A program of a user trains a model, which is deployed, drifts, and is trained by it again.

The program is that of examples/xgboost-script: too low a forecast costs four times as much. The
drift: the days become warmer than any training row.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.e2e.driver import User

MODEL = "demand"
PROGRAM = Path(__file__).parents[2] / "examples/xgboost-script/train.py"
SETTINGS = """
[data]
label = "sold"
test_fraction = 0.2

[training]
script = "train.py"
hyperparameters = { num_round = 100, max_depth = 3 }

[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 3
label_wait_s = 12
held_label_s = 60

[retraining]
min_labels = 200
cooldown_s = 60
base_margin = 0.2
"""
NOISE = 4.0
UNWANTED = ("FAILED", "REFUSED")


class Shop:
    """Days with a temperature, and how much was sold on them."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(3)

    def days(self, count: int, warmest: float = 25) -> tuple[NDArray[Any], NDArray[Any]]:
        generator = self.generator
        temperature = generator.uniform(warmest - 25, warmest, count).round(2)
        is_weekend = generator.integers(0, 2, count)
        rows = np.column_stack([temperature, is_weekend])
        sold = 20 + 3 * temperature + 10 * is_weekend + generator.normal(0, NOISE, count)
        return rows, sold.round(2)


def as_csv(rows: NDArray[Any], sold: NDArray[Any]) -> bytes:
    lines = [",".join(map(str, [label, *row])) for label, row in zip(sold, rows, strict=True)]
    return "\n".join(["sold,temperature,weekend", *lines]).encode()


def predict(user: User, rows: NDArray[Any]) -> list[dict[str, Any]]:
    answer = user.predict(MODEL, rows.tolist())
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="module")
def run(user: User, shop: Shop) -> dict[str, Any]:
    user.client("s3").put_object(
        Bucket=user.bucket, Key=f"{MODEL}/code/train.py", Body=PROGRAM.read_bytes()
    )
    user.drop(MODEL, {"sales.csv": as_csv(*shop.days(800))}, SETTINGS)
    return user.wait_for_end(MODEL)


def test_the_program_trains_the_model_that_goes_live(run: dict[str, Any]) -> None:
    assert run["status"] == "DEPLOYED", run.get("message")
    assert run["script"]["program"] == "train.py"


def test_the_upload_of_the_program_started_no_run_of_its_own(
    user: User, run: dict[str, Any]
) -> None:
    assert len(user.runs(MODEL)) == 1
    drop = user.read_json(f"{MODEL}/runs/{run['run']}/drop.json")
    assert [file["key"] for file in drop["files"]] == [f"{MODEL}/raw/sales.csv"]


def test_the_model_has_what_only_the_program_can_give_it(
    user: User, shop: Shop, run: dict[str, Any]
) -> None:
    rows, sold = shop.days(200)
    forecast = np.array([row["prediction"] for row in predict(user, rows)], dtype=float)
    # A quarter of the days, or fewer, would sell more than a forecast of this loss; half of them
    # than one of the squared error.
    assert 0.02 < np.mean(forecast < sold) < 0.4


def test_the_metrics_that_it_prints_are_the_curves_of_the_run(
    user: User, run: dict[str, Any]
) -> None:
    (job,) = user.read_json(f"{MODEL}/runs/{run['run']}/curves.json")["jobs"]
    assert (job["rounds"], job["best"]["metric"]) == (100, "validation-rmse")


def test_drift_starts_a_retraining_by_the_program_and_its_better_model_goes_live(
    user: User, shop: Shop, run: dict[str, Any]
) -> None:
    deadline = time.monotonic() + 180
    while user.state(MODEL)["champion"]["version"] == run["version"]:
        rows, sold = shop.days(40, warmest=50)
        records = [
            {"inferenceId": row["inferenceId"], "label": str(label)}
            for row, label in zip(predict(user, rows), sold, strict=True)
        ]
        user.label(MODEL, records)
        ended = [run.get("message") for run in user.runs(MODEL)[1:] if run["status"] in UNWANTED]
        assert not ended
        assert time.monotonic() < deadline
        time.sleep(1)
    first, second = user.runs(MODEL)
    assert (second["cause"], second["script"]) == ("drift", first["script"] | _packed(second))
    rows, sold = shop.days(100, warmest=50)
    forecast = np.array([row["prediction"] for row in predict(user, rows)], dtype=float)
    assert np.sqrt(np.mean((forecast - sold) ** 2)) < 3 * NOISE


def _packed(run: dict[str, Any]) -> dict[str, str]:
    digest = run["script"]["packed"].split("/")[-2]
    return {"packed": f"{MODEL}/runs/{run['run']}/code/{digest}/sourcedir.tar.gz"}
