"""PlanTraining plans a job that continues an earlier version, and refuses what cannot be."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import Any

import boto3
import pytest
from refit.domain.errors import SettingsInvalid
from refit.handlers import plan_training
from refit.handlers.wiring import services
from refit_local.sagemaker.integration_fields import unsupported_fields

from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample
from tests.support.model_files import manifest
from tests.support.sagemaker_requests import assert_valid_request

RUN, EARLIER = "0f1e2d3c4b5a", "aaaaaaaaaaaa"
CLASSES = list(map(str, range(10)))
MODEL_DATA = "s3://refit-bucket-1x2y3z/digits/runs/aaaaaaaaaaaa/training/j/output/model.tar.gz"
FROM_CHAMPION = '[training]\ncontinue_from = "champion"\n'


def write_run(stack: Stack, run: str, settings: str = "", classes: list[str] = CLASSES) -> None:
    schema = {"task": "classification", "label": "digit", "features": [], "classes": classes}
    stack.put(f"digits/runs/{run}/manifest.json", manifest(run, settings))
    stack.put(f"digits/runs/{run}/schema.json", schema)
    counts = {"label": {"classes": dict.fromkeys(classes, 144)}}
    stack.put(f"digits/runs/{run}/profile.json", counts)


@pytest.fixture
def active(stack: Stack) -> Stack:
    """Version 1 was made by an earlier run, and another run is to be planned."""
    models = services().models
    models.begin_run("digits", EARLIER, "drop", None)
    models.release_run("digits", EARLIER)
    models.begin_run("digits", RUN, "drop", None)
    write_run(stack, EARLIER)
    services().registry.ensure_group("refit-digits", "versions")
    container = {"Image": "1.dkr.ecr.us-east-1.amazonaws.com/x:1", "ModelDataUrl": MODEL_DATA}
    package = boto3.client("sagemaker", REGION).create_model_package(
        ModelPackageGroupName="refit-digits",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    models.record_version("digits", 1, EARLIER, package)
    return stack


def plan(champion: bool = True, **values: Any) -> dict[str, Any]:
    live = {"run": EARLIER, "version": 1} if champion else None
    event = sample("plan_training") | {"champion": live, "comparable": champion} | values
    return plan_training.handler(event, CONTEXT)


def channels(request: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {
        channel["ChannelName"]: (
            channel["DataSource"]["S3DataSource"]["S3Uri"],
            channel["ContentType"],
        )
        for channel in request["InputDataConfig"]
    }


@pytest.mark.parametrize("continue_from", ['"champion"', "1"])
def test_the_job_gets_the_earlier_model_and_the_script_that_continues_it(
    active: Stack, continue_from: str
) -> None:
    write_run(active, RUN, f"[training]\ncontinue_from = {continue_from}\n")
    planned = plan()
    request = planned["request"] | {"TrainingJobName": f"{planned['stem']}-0"}
    assert_valid_request("CreateTrainingJob", request)
    assert not unsupported_fields("createTrainingJob", request)
    assert request["EnableNetworkIsolation"]
    found = channels(request)
    assert set(found) == {"train", "validation", "model", "code"}
    assert found["model"] == (MODEL_DATA, "application/x-sagemaker-model")
    hyperparameters = request["HyperParameters"]
    assert hyperparameters["sagemaker_program"] == "refit_continue.py"
    assert hyperparameters["sagemaker_submit_directory"] == (
        "/opt/ml/input/data/code/sourcedir.tar.gz"
    )
    assert (hyperparameters["objective"], hyperparameters["num_round"]) == ("multi:softprob", "100")
    continuation = services().models.run("digits", RUN).continued
    assert (continuation.version, continuation.times) == (1, 1)


def test_the_code_is_in_the_runs_folder_under_a_key_of_its_content(active: Stack) -> None:
    write_run(active, RUN, FROM_CHAMPION)
    uri, content_type = channels(plan()["request"])["code"]
    assert content_type == "text/python"
    key = uri.removeprefix(f"s3://{active.bucket}/")
    assert key.startswith(f"digits/runs/{RUN}/code/")
    packed = active.read(key)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        assert archive.getnames() == ["refit_continue.py"]
    assert channels(plan()["request"])["code"][0] == uri, "planning again changes nothing"
    assert active.read(key) == packed


def test_the_container_installs_the_code_without_a_network(active: Stack) -> None:
    write_run(active, RUN, FROM_CHAMPION)
    environment = plan()["request"]["Environment"]
    assert environment == {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    write_run(active, RUN, f"{FROM_CHAMPION}network_isolation = false\n")
    services.cache_clear()
    assert "Environment" not in plan()["request"]


def test_num_round_of_the_settings_is_the_number_of_further_rounds(active: Stack) -> None:
    write_run(active, RUN, f"{FROM_CHAMPION}[training.hyperparameters]\nnum_round = 7\n")
    assert plan()["request"]["HyperParameters"]["num_round"] == "7"


def test_without_validation_rows_fewer_rounds_are_added(active: Stack) -> None:
    write_run(active, RUN, FROM_CHAMPION)
    request = plan(has_validation=False)["request"]
    assert int(request["HyperParameters"]["num_round"]) < 100
    assert set(channels(request)) == {"train", "model", "code"}


def test_without_a_live_version_the_training_begins_from_the_first_round_and_says_so(
    active: Stack,
) -> None:
    write_run(active, RUN, FROM_CHAMPION)
    request = plan(champion=False)["request"]
    assert list(channels(request)) == ["train", "validation"]
    assert "sagemaker_program" not in request["HyperParameters"]
    continuation = services().models.run("digits", RUN).continued
    assert continuation.sentence == (
        "was trained from the first round: no version is live yet that continue_from could mean"
    )


def test_after_the_most_continuations_in_a_row_the_training_begins_from_the_first_round(
    active: Stack,
) -> None:
    write_run(active, RUN, f"{FROM_CHAMPION}max_continuations = 2\n")
    before = {"version": 7, "times": 1, "reason": None, "notes": []}
    services().models.update_run("digits", EARLIER, continued=before)
    assert "sagemaker_program" in plan()["request"]["HyperParameters"]
    assert services().models.run("digits", RUN).continued.times == 2
    services().models.update_run("digits", EARLIER, continued=before | {"times": 2})
    assert "sagemaker_program" not in plan()["request"]["HyperParameters"]
    continuation = services().models.run("digits", RUN).continued
    assert (continuation.version, continuation.times) == (None, 0)
    assert "is continuation 2 in a row, and max_continuations is 2" in continuation.sentence


def test_a_version_that_does_not_exist_is_refused(active: Stack) -> None:
    write_run(active, RUN, "[training]\ncontinue_from = 9\n")
    with pytest.raises(
        SettingsInvalid, match="continue_from = 9: digits has no version 9; allowed"
    ):
        plan()


def test_a_version_with_other_classes_is_refused_before_the_job(active: Stack) -> None:
    write_run(active, RUN, FROM_CHAMPION, [*CLASSES, "x"])
    with pytest.raises(SettingsInvalid, match=r"version 1 has 10 classes, and this run has 11"):
        plan(classes=11)
    assert active.keys(f"digits/runs/{RUN}/code/") == []


def test_a_run_that_continues_nothing_has_no_code(active: Stack) -> None:
    write_run(active, RUN)
    request = plan()["request"]
    assert list(channels(request)) == ["train", "validation"]
    assert "Environment" not in request
    assert services().models.run("digits", RUN).continued is None


OWN = """[training]
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:2"
continue_from = "champion"
[training.container]
model_channel = true
"""


def test_a_container_of_ones_own_gets_the_earlier_model_and_no_script(
    active: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = "arn:aws:ecr:us-east-1:123456789012:repository/churn"
    monkeypatch.setenv("ALLOWED_IMAGES", repository)
    write_run(active, EARLIER, OWN.replace("churn:2", "churn:1"))
    write_run(active, RUN, OWN)
    request = plan()["request"]
    assert channels(request)["model"] == (MODEL_DATA, "application/x-sagemaker-model")
    assert "code" not in channels(request)
    assert request["HyperParameters"] == {}
    run = services().models.run("digits", RUN)
    assert run is not None
    assert run.continued is not None
    assert run.continued.version == 1


def test_a_container_of_another_repository_is_not_continued(
    active: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = "arn:aws:ecr:us-east-1:123456789012:repository/churn"
    monkeypatch.setenv("ALLOWED_IMAGES", repository)
    write_run(active, EARLIER, OWN.replace("churn:2", "risk:1"))
    write_run(active, RUN, OWN)
    with pytest.raises(SettingsInvalid, match="which is of another repository"):
        plan()
