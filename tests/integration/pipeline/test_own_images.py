"""An image of one's own is trained and deployed as XGBoost is, if the operator allows it."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.training_settings import TrainingSettings
from refit.handlers import (
    gate,
    plan_deployment,
    plan_evaluation,
    plan_folds,
    plan_training,
    register,
)
from refit.handlers.wiring import services
from refit.stores.registry import PackageVersion
from refit_local.sagemaker.integration_fields import unsupported_fields

from tests.support.aws_clients import RecordingClient
from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.evaluations import evaluated_rows, evaluation
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.model_files import make_champion_live, manifest, trained_model
from tests.support.sagemaker_requests import assert_valid_request

RUN = "0f1e2d3c4b5a"
CLASSES = list(map(str, range(10)))
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/churn:1"
ARN = f"arn:aws:ecr:{REGION}:123456789012:repository/churn"
OWN = f"""[training]
image = "{IMAGE}"
[training.hyperparameters]
depth = 3
shuffle = true
[training.container]
accept = "application/jsonlines"
[training.container.metrics]
loss = 'loss=(.*)'
"""

REVIEWED = {"image", "instance_type", "hyperparameters", "script"}
"""Texts of [training]: allowed by the operator, or of a closed list for SageMaker's images."""


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", None)
    write_settings(stack, OWN)
    stack.put(*trained_model(RUN))
    root = f"digits/runs/{RUN}"
    schema = {"task": "classification", "label": "digit", "features": [], "classes": CLASSES}
    stack.put(f"{root}/schema.json", schema)
    stack.put(f"{root}/profile.json", {"label": {"classes": dict.fromkeys(CLASSES, 144)}})
    return stack


@pytest.fixture
def allowed(active: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("ALLOWED_IMAGES", ARN)
    return active


def write_settings(stack: Stack, text: str) -> None:
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, text))


def plan() -> dict[str, Any]:
    return plan_training.handler(sample("plan_training"), CONTEXT)


def test_the_planned_training_job_runs_the_image_in_isolation(allowed: Stack) -> None:
    planned = plan()
    request = planned["request"] | {"TrainingJobName": f"{planned['stem']}-0"}
    assert_valid_request("CreateTrainingJob", request)
    assert not unsupported_fields("createTrainingJob", request)
    algorithm = request["AlgorithmSpecification"]
    assert algorithm["TrainingImage"] == IMAGE
    assert algorithm["MetricDefinitions"] == [{"Name": "loss", "Regex": "loss=(.*)"}]
    assert request["HyperParameters"] == {"depth": "3", "shuffle": "true"}
    assert request["EnableNetworkIsolation"] is True


def test_it_gets_the_schema_in_a_channel_of_its_own(allowed: Stack) -> None:
    channels = {c["ChannelName"]: c for c in plan()["request"]["InputDataConfig"]}
    assert channels.keys() == {"train", "validation", "schema"}
    uri = channels["schema"]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.endswith(f"/digits/runs/{RUN}/schema.json")


def test_its_transform_job_answers_in_the_type_of_the_settings(allowed: Stack) -> None:
    make_champion_live()
    allowed.put("digits/runs/aaaaaaaaaaaa/manifest.json", manifest("aaaaaaaaaaaa"))
    planned = plan_evaluation.handler(sample("plan_evaluation"), CONTEXT)
    outputs = {
        side: planned[side]["request"]["TransformOutput"] for side in ("challenger", "champion")
    }
    assert outputs["challenger"]["Accept"] == "application/jsonlines"
    assert "Accept" not in outputs["champion"], "the live version is of XGBoost"


def test_the_jobs_of_its_folds_answer_in_that_type_too(allowed: Stack) -> None:
    write_settings(allowed, OWN.replace("[training]", "[training]\nfolds = 3", 1))
    planned = plan()
    event = {"model": "digits", "run": RUN, "job": planned, "training": None}
    items = plan_folds.handler(event, CONTEXT)["items"]
    assert {item["predict"]["TransformOutput"]["Accept"] for item in items} == {
        "application/jsonlines"
    }
    assert items[0]["train"]["AlgorithmSpecification"]["TrainingImage"] == IMAGE


def registered(image: str = IMAGE) -> dict[str, Any]:
    event = sample("register")
    event["training"]["image"] = image
    return register.handler(event, CONTEXT)


def test_its_package_says_what_it_answers(allowed: Stack) -> None:
    recorder = RecordingClient(boto3.client("sagemaker", REGION))
    allowed.replace_clients(sagemaker=recorder)
    registered()
    specification = recorder.requests["create_model_package"]["InferenceSpecification"]
    assert specification["SupportedResponseMIMETypes"] == ["application/jsonlines"]
    assert specification["Containers"][0]["Image"] == IMAGE


def test_an_image_that_is_not_allowed_is_refused_before_the_training(active: Stack) -> None:
    with pytest.raises(SettingsInvalid, match=f"AllowedImages={ARN}"):
        plan()


def test_sagemakers_own_image_gets_no_free_hyperparameters_as_an_image_of_ones_own(
    active: Stack,
) -> None:
    """With these, XGBoost's image would run a script, or evaluate text as Python."""
    image = sample("register")["training"]["image"]
    settings = f"""[training]
    image = "{image}"
    hyperparameters = {{ sagemaker_program = "train.py", monotone_constraints = "exit()" }}
    """
    write_settings(active, settings)
    with pytest.raises(SettingsInvalid, match=r"sagemaker-xgboost.* is not allowed to run"):
        plan()


def test_a_model_of_an_image_that_is_not_allowed_any_more_is_not_registered(
    active: Stack,
) -> None:
    with pytest.raises(SettingsInvalid, match="AllowedImages"):
        registered()
    assert services().models.run("digits", RUN).version is None


def deployment_of(active: Stack, image: str) -> dict[str, Any]:
    fake = FakeSageMaker()
    fake.approved = PackageVersion(2, "arn:package/2", RUN, image=image)
    active.replace_clients(sagemaker=fake, sagemaker_runtime=fake)
    return plan_deployment.handler(sample("plan_deployment"), CONTEXT)


def test_a_version_is_deployed_only_with_an_allowed_image(active: Stack) -> None:
    with pytest.raises(SettingsInvalid, match="AllowedImages"):
        deployment_of(active, IMAGE)


def test_a_version_of_an_allowed_image_is_deployed(allowed: Stack) -> None:
    assert deployment_of(allowed, IMAGE)["action"] == "create"


def test_model_toml_alone_runs_no_code(active: Stack) -> None:
    """Whatever the settings say, the image is SageMaker's, unless the operator allows another.

    No other key of a request names code: the container gets data, hyperparameters of a closed list
    and nothing else.
    """
    texts = {
        name
        for name, field in TrainingSettings.model_fields.items()
        if "str" in str(field.annotation) and "Literal" not in str(field.annotation)
    }
    assert texts == REVIEWED, "can the new text name code? If not, add it to REVIEWED"
    write_settings(active, "")
    request = plan()["request"]
    assert "sagemaker-xgboost" in request["AlgorithmSpecification"]["TrainingImage"]
    assert request["AlgorithmSpecification"].keys() == {"TrainingImage", "TrainingInputMode"}
    assert {channel["ChannelName"] for channel in request["InputDataConfig"]} == {
        "train",
        "validation",
    }
    assert not any(name.startswith("sagemaker_") for name in request["HyperParameters"])
    assert "Environment" not in request


def test_a_run_with_the_linear_learner_says_that_it_has_never_run(active: Stack) -> None:
    write_settings(active, '[training]\nalgorithm = "linear-learner"\n')
    request = plan()["request"]
    assert request["AlgorithmSpecification"]["TrainingImage"].endswith("/linear-learner:1")
    assert request["HyperParameters"]["predictor_type"] == "multiclass_classifier"
    evaluated = evaluation(evaluated_rows(200, 0.9, None)).model_dump(mode="json")
    active.put(f"digits/runs/{RUN}/evaluation.json", evaluated)
    decided = gate.handler({"model": "digits", "run": RUN}, CONTEXT)
    assert decided["reasons"][-1].endswith("has never run.")
