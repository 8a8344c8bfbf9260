"""SageMaker's linear learner: planned by AWS's documents, and read by their examples.

Source of the answers: SageMaker Developer Guide, "Linear learner response formats".
"""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation.batch_output import read_numbers, read_outcome
from refit.domain.inferences.payload import decoded_predictions
from refit.domain.model_settings import parse_settings
from refit.domain.pipeline.algorithms import LINEAR_LEARNER
from refit.domain.pipeline.deployment import scores
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.schema import Schema

BINARY = {"score": 0.4, "predicted_label": 0}
MANY = {"score": [0.1, 0.2, 0.4, 0.3], "predicted_label": 2}
NUMBER = {"score": 0.4}
FORM = LINEAR_LEARNER.batch_form


def planned(settings: str = "", **shape: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "task": "classification",
        "train_rows": 50_000,
        "features": 7,
        "classes": 2,
        "train_bytes": 1000,
        "validation_bytes": 100,
        "has_validation": True,
    }
    text = f'[training]\nalgorithm = "linear-learner"\n[training.hyperparameters]\n{settings}'
    plan = plan_training(DataShape(**given | shape), parse_settings(text).training, "accuracy")
    return plan.hyperparameters


def schema(classes: tuple[str, ...] | None) -> Schema:
    task = "regression" if classes is None else "classification"
    return Schema(task=task, label="y", features=(), classes=classes)


def test_the_required_hyperparameters_come_from_the_data() -> None:
    assert planned() == {
        "predictor_type": "binary_classifier",
        "feature_dim": "7",
        "mini_batch_size": "1000",
        "epochs": "15",
    }
    many = planned(classes=4)
    assert (many["predictor_type"], many["num_classes"]) == ("multiclass_classifier", "4")
    assert planned(task="regression", classes=None)["predictor_type"] == "regressor"


def test_a_mini_batch_has_no_more_rows_than_there_are() -> None:
    assert planned(train_rows=60)["mini_batch_size"] == "6"
    assert planned(train_rows=3)["mini_batch_size"] == "1"


def test_settings_take_precedence() -> None:
    hyperparameters = planned("epochs = 3\nl1 = 0.1\nuse_bias = true")
    assert (hyperparameters["epochs"], hyperparameters["l1"]) == ("3", "0.1")
    assert hyperparameters["use_bias"] == "true"


@pytest.mark.parametrize(
    ("shape", "loss"),
    [({}, "softmax_loss"), ({"classes": 3}, "logistic"), ({"task": "regression"}, "logistic")],
)
def test_a_loss_without_probabilities_for_the_task_is_refused(
    shape: dict[str, Any], loss: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"loss = '{loss}' does not fit a .*; allowed: auto"):
        planned(f'loss = "{loss}"', **shape)


def test_documented_answers_of_a_transform_job_are_read() -> None:
    binary = io.BytesIO(json.dumps(BINARY).encode())
    outcome = read_outcome(binary, "out", np.array([0]), ("a", "b"), 2, form=FORM)
    assert outcome.predicted.tolist() == [0]
    many = io.BytesIO(json.dumps(MANY).encode())
    outcome = read_outcome(many, "out", np.array([1]), ("a", "b", "c", "d"), 4, form=FORM)
    assert outcome.predicted.tolist() == [2]
    numbers = io.BytesIO(f"{json.dumps(NUMBER)}\n{json.dumps(NUMBER)}\n".encode())
    assert read_numbers(numbers, "out", 2, FORM).tolist() == [0.4, 0.4]


@pytest.mark.parametrize(
    ("answer", "classes", "prediction"),
    [(BINARY, ("a", "b"), "a"), (MANY, ("a", "b", "c", "d"), "c"), (NUMBER, None, 0.4)],
)
def test_documented_answers_of_an_endpoint_are_decoded(
    answer: dict[str, Any], classes: tuple[str, ...] | None, prediction: str | float
) -> None:
    lines = json.dumps(answer).encode()
    document = json.dumps({"predictions": [answer]}).encode()
    for body, kind in ((lines, "application/jsonlines"), (document, "application/json")):
        (decoded,) = decoded_predictions(body, schema(classes), ["id"], None, kind)
        assert decoded["prediction"] == prediction


def test_an_endpoint_and_a_transform_job_are_compared_by_their_scores() -> None:
    assert scores(f"{json.dumps(BINARY)}\n{json.dumps(MANY)}") == [[0.4], [0.1, 0.2, 0.4, 0.3]]
