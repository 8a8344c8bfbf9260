"""A version continues the training of the live one on new rows, and goes live."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import xgboost as xgb

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

MODEL = "continued"
SIDES = ("challenger", "champion")
FIRST, SECOND = slice(0, 600), slice(600, 1400)
SETTINGS = "[training]\ncontinue_from = 'champion'\n[training.hyperparameters]\nnum_round = 30\n"


def booster_of(user: User, run: dict[str, Any]) -> xgb.Booster:
    package = user.client("sagemaker").describe_model_package(ModelPackageName=run["package_arn"])
    (container,) = package["InferenceSpecification"]["Containers"]
    key = container["ModelDataUrl"].removeprefix(f"s3://{user.bucket}/")
    body = user.client("s3").get_object(Bucket=user.bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["xgboost-model"]
        file = archive.extractfile("xgboost-model")
        assert file is not None
        return xgb.Booster(model_file=bytearray(file.read()))


@pytest.fixture(scope="module")
def runs(user: User, digits: Digits) -> list[dict[str, Any]]:
    """Two runs with the same settings: when the first one begins, no version is live."""
    user.drop(MODEL, {"a.csv": digits.csv(FIRST)}, SETTINGS)
    first = user.wait_for_end(MODEL)
    user.drop(MODEL, {"b.csv": digits.csv(SECOND)})
    return [first, user.wait_for_end(MODEL, 2)]


def test_the_first_run_has_nothing_to_continue_and_says_so(runs: list[dict[str, Any]]) -> None:
    assert runs[0]["status"] == "DEPLOYED", runs[0].get("message")
    assert runs[0]["continued"]["version"] is None
    assert "no version is live yet" in runs[0]["continued"]["reason"]


def test_the_next_run_adds_rounds_to_the_live_model_and_goes_live(
    user: User, runs: list[dict[str, Any]]
) -> None:
    first, second = runs
    assert second["status"] == "DEPLOYED", second.get("message")
    assert (second["continued"]["version"], second["continued"]["times"]) == (first["version"], 1)
    before, after = booster_of(user, first), booster_of(user, second)
    rounds = before.num_boosted_rounds()
    assert rounds < after.num_boosted_rounds() <= rounds + 30
    assert after[:rounds].get_dump() == before.get_dump()


def test_its_curves_are_those_of_the_further_rounds(user: User, runs: list[dict[str, Any]]) -> None:
    (job,) = user.read_json(f"{MODEL}/runs/{runs[1]['run']}/curves.json")["jobs"]
    added = booster_of(user, runs[1]).num_boosted_rounds()
    added -= booster_of(user, runs[0]).num_boosted_rounds()
    assert job["best"]["round"] + 1 == added
    assert job["best"]["metric"] == "validation-mlogloss"


def test_it_is_compared_with_the_live_version_on_rows_that_neither_was_trained_on(
    user: User, runs: list[dict[str, Any]]
) -> None:
    root = f"{MODEL}/runs/{runs[1]['run']}"
    evaluation = user.read_json(f"{root}/evaluation.json")
    new = evaluation["new"]
    assert new["comparisons"]["accuracy"]
    loss = {side: float(new[side]["metrics"]["log_loss"]["value"]) for side in SIDES}
    assert loss["challenger"] < loss["champion"]


def test_it_answers_as_the_other_versions_do(
    user: User, digits: Digits, runs: list[dict[str, Any]]
) -> None:
    held_out = slice(1400, 1500)
    predicted = user.predicted_labels(MODEL, digits.rows(held_out))
    right = sum(a == b for a, b in zip(predicted, digits.texts(held_out), strict=True))
    assert right >= 90
