"""`refit status`: the stack, its models and their runs, as text and as JSON."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from refit.stores.training_logs import LOG_GROUP
from refit_cli import terminal
from rich.console import Console
from rich.text import Text

from tests.support.cli import API_URL, CHAMPION, OUTPUTS
from tests.support.learned import LEARNED
from tests.support.model_files import manifest


@pytest.fixture
def digits(stack):
    stack.add_digits()
    return stack


def test_without_models_it_says_how_to_create_one(refit, stack):
    result = refit("status")
    assert result.exit_code == 0
    assert "refit-data" in result.stdout
    assert "refit put MODEL FILE" in result.stdout


def test_each_model_is_a_line_with_its_live_version_and_newest_run(refit, digits):
    line = next(line for line in refit("status").stdout.splitlines() if line.startswith("digits"))
    assert "version 1" in line
    assert "missing" in line  # its endpoint, which moto does not have
    assert "r2" in line
    assert "FAILED" in line


@pytest.fixture
def on_a_terminal(monkeypatch):
    """Return a function that makes the output a terminal of a number of columns."""

    def of(columns: int) -> None:
        monkeypatch.setattr(
            terminal,
            "results",
            lambda: Console(force_terminal=True, width=columns, highlight=False),
        )

    return of


def test_on_a_narrow_terminal_what_is_copied_is_never_cut(refit, digits, on_a_terminal):
    name, run = "a-model-of-24-characters", "0123456789ab"
    digits.add_run(name, run, "AWAITING_APPROVAL", version=2)
    digits.put_item(name, "STATE", {"active_run": run})
    on_a_terminal(60)
    output = refit("status").stdout
    assert "…" not in output
    for whole in (name, run, "AWAITING_APPROVAL", "digits", "version 1", "r2", "FAILED"):
        assert whole in output, whole
    assert max(len(Text.from_ansi(line)) for line in output.splitlines()) <= 60


def test_on_a_wide_terminal_a_model_is_one_line(refit, digits, on_a_terminal):
    on_a_terminal(100)
    (line,) = (line for line in refit("status").stdout.splitlines() if "digits" in line)
    assert "version 1" in line
    assert "FAILED" in line


def test_the_runs_of_a_model_are_printed_newest_first_with_their_messages(refit, digits):
    output = refit("status", "digits").stdout
    assert output.index("r2  FAILED") < output.index("r1  DEPLOYED")
    assert "no usable row" in output
    assert "accuracy 0.975" in output
    assert "1 hour ago, took 1:15 min" in output


def test_the_version_is_shown_whose_predictions_are_features_of_a_run(refit, digits):
    source = {"model": "segments", "version": 3, "run": "r9", "columns": 4}
    digits.add_run("digits", "r3", "DEPLOYED", features_from=source)
    assert "features from version 3 of 'segments' (4 columns)" in refit("status", "digits").stdout
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    assert [run["featuresFrom"] for run in model["runs"]] == [source, None, None]


def test_json_has_the_stack_the_live_version_and_all_runs(refit, digits):
    description = json.loads(refit("status", "--json").stdout)
    assert description["localStack"] is None
    assert description["stack"]["bucket"] == "refit-data"
    purposes = ("predict", "label", "operate")
    assert description["stack"]["apiKeyIds"] == {name: f"{name}-id" for name in purposes}
    assert description["stack"]["consoleUrl"] == f"{API_URL}/"
    assert description["stack"]["dashboardUrl"] == OUTPUTS["DashboardUrl"]
    (model,) = description["models"]
    assert model["champion"]["version"] == 1
    assert model["champion"]["endpointStatus"] == "missing"
    assert [run["run"] for run in model["runs"]] == ["r2", "r1"]
    assert model["runs"][1]["metrics"] == {"accuracy": 0.975, "task": "classification"}


def test_the_endpoint_s_status_is_sagemaker_s(refit, digits):
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model(
        ModelName="m", ExecutionRoleArn="arn:aws:iam::123456789012:role/FakeRole"
    )
    variant = {"VariantName": "v1", "ModelName": "m", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="c", ProductionVariants=[variant | {"InstanceType": "ml.m5.large"}]
    )
    sagemaker.create_endpoint(EndpointName="refit-digits", EndpointConfigName="c")
    description = json.loads(refit("status", "digits", "--json").stdout)
    assert description["models"][0]["champion"]["endpointStatus"] == "InService"


def test_an_unknown_model_is_rejected_with_the_known_ones(refit, digits):
    result = refit("status", "letters")
    assert result.exit_code == 2
    assert "models: digits" in result.stderr


def test_data_that_waits_for_the_active_run_is_reported(refit, digits):
    digits.set_state("digits", CHAMPION, active_run="r2", pending=True)
    assert "new data is waiting for the active run to end" in refit("status", "digits").stdout


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_what_the_live_version_and_the_newest_run_learned_is_shown(refit, stack):
    learned = LEARNED.model_dump(mode="json")
    stack.set_state("digits", CHAMPION)
    stack.add_run("digits", "r1", "DEPLOYED", version=1, learned=learned)
    newer = LEARNED.model_copy(update={"rows": 99}).model_dump(mode="json")
    later = datetime.now(UTC) + timedelta(seconds=9)
    stack.add_run("digits", "r2", "FAILED", learned=newer, started_at=later)
    lines = [line.strip() for line in refit("status", "digits").stdout.splitlines()]
    assert f"version 1, live  {LEARNED.sentence}" in lines
    assert any(line.startswith("run r2  predicts 'kind'") and "99 rows" in line for line in lines)
    assert lines.count("refused  25 × the label 'kind' is missing") == 2
    assert any(line.startswith("doubt    column 'code' alone gives") for line in lines)
    runs = json.loads(refit("status", "digits", "--json").stdout)["models"][0]["runs"]
    assert [run["learned"]["rows"] for run in runs] == [99, 75]


CURVES = {
    "model": "digits",
    "run": "r2",
    "jobs": [
        {
            "job": "refit-digits-r2-0",
            "title": "training",
            "rounds": 3,
            "metrics": {"train-auc": [0.7, 0.8, 0.9], "validation-auc": [0.6, 0.8, 0.75]},
            "best": {"metric": "validation-auc", "round": 1, "value": 0.8},
        },
        {"job": "refit-digits-r2-1", "title": "fold 1", "missing": "its log did not arrive"},
    ],
}


def test_the_newest_run_shows_the_last_value_of_its_training(refit, digits):
    digits.put("digits/runs/r2/curves.json", CURVES)
    assert (
        "training: round 3, validation-auc 0.75, best 0.8 in round 2"
        in refit("status", "digits").stdout
    )
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    (training,) = model["training"]
    assert (training["rounds"], training["metric"], training["value"]) == (
        3,
        "validation-auc",
        0.75,
    )


def test_while_a_training_runs_its_last_value_comes_from_its_log(refit, digits):
    digits.add_run("digits", "r3", "TRAINING", started_at=datetime.now(UTC))
    digits.put("digits/runs/r3/manifest.json", manifest("r3"))
    assert "training:" not in refit("status", "digits").stdout
    logs = boto3.client("logs", region_name="us-east-1")
    logs.create_log_group(logGroupName=LOG_GROUP)
    stream = "refit-digits-r3-0/algo-1-170"
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": "[0]#011validation-rmse:3.25"}
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=[event])
    assert "training: round 1, validation-rmse 3.25" in refit("status", "digits").stdout


def test_a_run_without_curves_shows_none(refit, digits):
    (model,) = json.loads(refit("status", "digits", "--json").stdout)["models"]
    assert model["training"] == []
