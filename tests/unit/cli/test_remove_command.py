"""`refit remove`: what it shows, removes and leaves, and how it goes on after an interruption."""

from __future__ import annotations

import json
from dataclasses import replace

import boto3
import pytest
from refit.domain.monitoring.alarms import AlarmKind

from tests.support.aws_clients import RepeatingClient
from tests.support.cli import BATCH, BUCKET, CHAMPION, DEPLOY, TRAIN
from tests.support.model_files import manifest
from tests.support.removable_model import FakeExecutions, FakeRegistry, Sts

RUN = "0123456789ab"


@pytest.fixture
def sagemaker(clients):
    """A SageMaker that serves digits and digits-2, and trains both."""
    fake = FakeRegistry()
    for model in ("digits", "digits-2", "digits-v1"):
        stem = f"refit-{model}"
        fake.names["list_training_jobs"][f"{stem}-{RUN}-0"] = "InProgress"
        for side in ("challenger", "batch", "features", "f-batch"):
            fake.names["list_transform_jobs"][f"{stem}-{RUN}-{side}-0"] = "InProgress"
        fake.names["list_endpoint_configs"][f"{stem}-v1-01234567"] = ""
        own = ("v1-01234567", f"{RUN}-0", f"{RUN}-batch")
        asked = ("v1-01234567-features", f"{RUN}-features", f"{RUN}-f-batch")
        for kind in own + asked:
            fake.names["list_models"][f"{stem}-{kind}"] = ""
        fake.packages[stem] = [f"arn:package/{stem}/1"]
    fake.endpoints["refit-digits"] = ["Updating", "InService"]
    clients.update(sagemaker=fake)
    return fake


@pytest.fixture
def executions(clients):
    """Running executions of digits and of digits-2."""
    fake = FakeExecutions()
    for model in ("digits", "digits-2"):
        fake.running[TRAIN][f"train-{model}"] = {"model": model, "run": RUN}
        detail = {"ModelPackageGroupName": f"refit-{model}"}
        fake.running[DEPLOY][f"deploy-{model}"] = {"detail": detail}
        fake.running[BATCH][f"batch-{model}"] = {"model": model, "batch": RUN}
    clients.update(stepfunctions=fake)
    return fake


@pytest.fixture
def digits(stack, sagemaker, executions, clients, local_stacks):
    """A local stack with the models digits, which is live, and digits-2."""
    local_stacks.up(4566, None, keep=False, detach=True, log=lambda _: None)
    clients.update(sts=Sts())
    stack.create_inference_table()
    for model in ("digits", "digits-2"):
        stack.add_run(model, RUN, "TRAINING")
        stack.set_state(model, CHAMPION, active_run=RUN)
        stack.put(f"{model}/model.toml", "")
        stack.put(f"{model}/raw/a.csv", "1,2\n")
        stack.put(f"{model}/raw/a.csv", "1,2\n3,4\n")
        stack.s3.delete_object(Bucket=BUCKET, Key=f"{model}/raw/a.csv")
        stack.s3.create_multipart_upload(Bucket=BUCKET, Key=f"{model}/raw/big.csv")
        stack.add_inferences(model, 60)
        for kind in AlarmKind:
            boto3.client("cloudwatch").put_metric_alarm(
                AlarmName=f"refit-{model}-{kind}",
                MetricName="m",
                Namespace="n",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
                Statistic="Sum",
            )
    return stack


@pytest.fixture
def quickly(runtime):
    return replace(runtime, settle_s=0.05, poll_s=0.01)


def test_what_will_be_removed_is_shown_first_and_refused_without_a_terminal(refit, digits):
    result = refit("remove", "digits")
    assert result.exit_code == 2
    for line in (
        "1 endpoint  refit-digits",
        "3 running executions",
        "1 running training job  refit-digits-0123456789ab-0",
        "9 alarms",
        "6 SageMaker models",
        "1 model package ",
        "4 object versions, 12 B",
        "1 unfinished upload",
        "60 predictions and held labels",
    ):
        assert line in result.stderr, line
    assert "refit remove digits --yes" in result.stderr
    assert len(digits.keys()) == 2


def test_a_model_whose_predictions_are_features_of_a_live_model_is_not_removed(refit, digits):
    source = {"model": "digits", "version": 1, "run": RUN, "columns": 10}
    digits.put(
        f"digits-2/runs/{CHAMPION.run}/manifest.json",
        manifest(CHAMPION.run, model="digits-2", features_from=source),
    )
    result = refit("remove", "digits", "--yes")
    assert result.exit_code == 1
    assert f"version {CHAMPION.version} of 'digits-2', which is live" in result.stderr
    assert "reads predictions of version 1 of 'digits'" in result.stderr
    assert "first remove digits-2" in result.stderr
    assert len(digits.keys()) == 3


def test_everything_of_the_model_is_removed_and_nothing_of_another_one(
    refit, digits, sagemaker, executions, quickly
):
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert "nothing is left" in result.stdout
    again = refit("remove", "digits", "--yes", runtime=quickly)
    assert again.exit_code == 2
    assert "models: digits-2" in again.stderr
    assert executions.stopped == ["train-digits", "deploy-digits", "batch-digits"]
    assert sorted(sagemaker.names["list_endpoint_configs"]) == [
        "refit-digits-2-v1-01234567",
        "refit-digits-v1-v1-01234567",
    ]
    assert len(sagemaker.names["list_models"]) == 12
    assert sorted(sagemaker.packages) == ["refit-digits-2", "refit-digits-v1"]
    assert sagemaker.names["list_training_jobs"]["refit-digits-2-0123456789ab-0"] == "InProgress"
    assert digits.keys() == ["digits-2/model.toml"]
    assert digits.inference_ids() == {f"digits-2#{number}" for number in range(60)}
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == {f"refit-digits-2-{k}" for k in AlarmKind}
    assert digits.item_keys("digits") == []
    assert digits.item_keys("digits-2") == [f"RUN#{RUN}", "STATE"]


def test_the_endpoint_is_deleted_before_its_config_and_the_packages_before_their_group(
    refit, digits, sagemaker, quickly
):
    refit("remove", "digits", "--yes", runtime=quickly)
    order = [
        "refit-digits",
        "refit-digits-v1-01234567",
        "arn:package/refit-digits/1",
    ]
    positions = [sagemaker.deleted.index(name) for name in order]
    assert positions == sorted(positions)
    assert sagemaker.deleted[-1] == "refit-digits"


def test_a_deletion_whose_answer_was_lost_is_repeated_without_an_error(
    refit, digits, sagemaker, clients, quickly
):
    sagemaker.endpoints.clear()
    clients.update(sagemaker=RepeatingClient(sagemaker))
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert "nothing is left" in result.stdout


def test_the_jobs_and_models_of_folds_are_removed_with_their_model(
    refit, digits, sagemaker, quickly
):
    training, transform = f"refit-digits-{RUN}-f10-0", f"refit-digits-{RUN}-f10-oof-0"
    sagemaker.names["list_training_jobs"][training] = "InProgress"
    sagemaker.names["list_transform_jobs"][transform] = "InProgress"
    models = {training: "", f"refit-digits-{RUN}-ensemble": ""}
    sagemaker.names["list_models"] |= models
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert sagemaker.names["list_training_jobs"][training] == "Stopped"
    assert sagemaker.names["list_transform_jobs"][transform] == "Stopped"
    assert not models.keys() & sagemaker.names["list_models"].keys()


def test_json_says_what_was_found_and_that_nothing_is_left(refit, digits, quickly):
    result = refit("remove", "digits", "--yes", "--json", runtime=quickly)
    description = json.loads(result.stdout)
    assert description["model"] == "digits"
    assert description["found"]["object_versions"] == 4
    assert description["found"]["endpoints"] == 1
    assert description["bytes"] == 12
    assert description["left"] == {}


def test_what_is_left_is_named_and_the_command_fails(refit, digits, sagemaker, quickly):
    sagemaker.undeletable = "refit-digits-v1-01234567"
    result = refit("remove", "digits", "--yes", "--json", runtime=quickly)
    assert result.exit_code == 1
    left = json.loads(result.stdout)["left"]
    assert left["models"] == ["refit-digits-v1-01234567"]
    assert "are left" in result.stderr
    sagemaker.undeletable = None
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output


class InterruptedOnce:
    """SageMaker, whose user presses Ctrl-C when the packages are deleted."""

    def __init__(self, sagemaker: FakeRegistry) -> None:
        self._sagemaker = sagemaker
        self._interrupted = False

    def __getattr__(self, name: str) -> object:
        if name == "delete_model_package" and not self._interrupted:
            self._interrupted = True
            raise KeyboardInterrupt
        return getattr(self._sagemaker, name)


def test_after_ctrl_c_the_model_is_not_live_and_the_same_command_finishes(
    refit, digits, sagemaker, clients, quickly, tmp_path
):
    clients["sagemaker"] = InterruptedOnce(sagemaker)
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 130
    assert "the same command finishes it" in result.stderr
    assert "being removed" in refit("status", "digits").stdout
    file = tmp_path / "a.csv"
    file.write_text("1,2\n")
    put = refit("put", "digits", file)
    assert put.exit_code == 1
    assert "finish it with `refit remove digits`" in put.stderr
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert digits.keys() == ["digits-2/model.toml"]


def test_what_arrives_during_the_removal_is_swept(refit, digits, clients, quickly):
    written = []

    def write_late() -> None:
        digits.put("digits/capture/refit-digits/v1/late.jsonl", "{}")
        digits.put_item("digits", "LABELS", {"held": 1})
        written.append("late")

    clients["s3"] = _AfterDeletion(digits.s3, write_late)
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert written == ["late"]
    assert digits.keys() == ["digits-2/model.toml"]


class _AfterDeletion:
    """S3, after whose first deletion something is written."""

    def __init__(self, s3, write) -> None:
        self._s3, self._write, self._lists = s3, write, 0

    def __getattr__(self, name):
        return getattr(self._s3, name)

    def list_object_versions(self, **request):
        answer = self._s3.list_object_versions(**request)
        if not answer.get("Versions") and not answer.get("DeleteMarkers") and not self._lists:
            self._lists = 1
            self._write()
        return answer


def test_a_tuning_job_of_the_model_is_stopped_and_the_model_of_its_best_trial_deleted(
    refit, digits, sagemaker, quickly
):
    digits.add_run("digits", "a" * 12, "TRAINING")
    jobs = sagemaker.names["list_hyper_parameter_tuning_jobs"]
    for run in ("a" * 12, "b" * 12):
        jobs[f"refit-{run}-0"] = "InProgress"
        sagemaker.names["list_models"][f"refit-{run}-0-003-01234567"] = ""
    result = refit("remove", "digits", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert jobs == {f"refit-{'a' * 12}-0": "Stopped", f"refit-{'b' * 12}-0": "InProgress"}
    trials = [name for name in sagemaker.names["list_models"] if "-003-" in name]
    assert trials == [f"refit-{'b' * 12}-0-003-01234567"], "that of another model"
