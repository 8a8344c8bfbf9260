"""`refit status`: what is there, for people and for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import boto3
import pytest


@pytest.fixture
def digits(stack):
    """A model with a live version and a run that failed after it."""
    before = datetime.now(UTC) - timedelta(minutes=90)
    stack.add_run(
        "digits",
        "r1",
        "DEPLOYED",
        version=1,
        started_at=before,
        finished_at=(before + timedelta(seconds=75)).isoformat(),
        metrics={"accuracy": Decimal("0.975"), "task": "classification"},
    )
    stack.add_run("digits", "r2", "FAILED", error="DatasetEmpty", message="no usable row")
    stack.set_state(
        "digits",
        champion={
            "version": 1,
            "run": "r1",
            "endpoint": "refit-digits",
            "promoted_at": before.isoformat(),
        },
    )
    return stack


def test_without_models_it_says_how_to_make_one(refit, stack):
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


def test_a_model_s_runs_are_told_newest_first_with_their_causes(refit, digits):
    output = refit("status", "digits").stdout
    assert output.index("r2  FAILED") < output.index("r1  DEPLOYED")
    assert "no usable row" in output
    assert "accuracy 0.975" in output
    assert "1 hour ago, took 1:15 min" in output


def test_json_holds_all_of_it(refit, digits):
    told = json.loads(refit("status", "--json").stdout)
    assert told["ground"] is None
    assert told["stack"]["bucket"] == "refit-data"
    (model,) = told["models"]
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
    told = json.loads(refit("status", "digits", "--json").stdout)
    assert told["models"][0]["champion"]["endpointStatus"] == "InService"


def test_a_model_that_is_not_there_is_refused_with_those_that_are(refit, digits):
    result = refit("status", "letters")
    assert result.exit_code == 2
    assert "known: digits" in result.stderr


def test_a_drop_that_waits_for_the_active_run_is_told(refit, digits):
    digits.set_state("digits", active_run="r2", owed=True)
    assert "a drop waits for the active run" in refit("status", "digits").stdout
