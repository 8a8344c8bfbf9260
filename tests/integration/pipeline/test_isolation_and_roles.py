"""Containers are isolated from the network, and jobs and endpoints have roles of their own."""

from __future__ import annotations

import pytest
from refit.handlers import plan_deployment, plan_evaluation, plan_training
from refit.handlers.wiring import services
from refit.stores.registry import PackageVersion

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.model_files import manifest, trained_model

RUN = "0f1e2d3c4b5a"
CLASSES = list(map(str, range(10)))


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", None)
    root = f"digits/runs/{RUN}"
    stack.put(f"{root}/manifest.json", manifest(RUN))
    stack.put(*trained_model(RUN))
    schema = {"task": "classification", "label": "digit", "features": [], "classes": CLASSES}
    stack.put(f"{root}/schema.json", schema)
    stack.put(f"{root}/profile.json", {"label": {"classes": dict.fromkeys(CLASSES, 144)}})
    return stack


def test_a_training_job_is_isolated_and_has_the_role_of_jobs(active: Stack) -> None:
    request = plan_training.handler(sample("plan_training"), CONTEXT)["request"]
    assert request["EnableNetworkIsolation"] is True
    assert request["RoleArn"].endswith(":role/jobs")


def test_the_settings_can_leave_the_isolation_of_a_training_job_out(active: Stack) -> None:
    settings = manifest(RUN, "[training]\nnetwork_isolation = false")
    active.put(f"digits/runs/{RUN}/manifest.json", settings)
    request = plan_training.handler(sample("plan_training"), CONTEXT)["request"]
    assert "EnableNetworkIsolation" not in request


def test_the_model_of_a_challenger_is_isolated_and_has_the_role_of_jobs(active: Stack) -> None:
    request = plan_evaluation.handler(sample("plan_evaluation"), CONTEXT)["model_request"]
    assert request["EnableNetworkIsolation"] is True
    assert request["ExecutionRoleArn"].endswith(":role/jobs")


def test_a_deployed_model_is_isolated_and_has_the_role_of_endpoints(active: Stack) -> None:
    fake = FakeSageMaker()
    fake.approved = PackageVersion(2, "arn:package/2", RUN)
    active.replace_clients(sagemaker=fake, sagemaker_runtime=fake)
    plan = plan_deployment.handler(sample("plan_deployment"), CONTEXT)
    request = plan["requests"]["model"]
    assert request["EnableNetworkIsolation"] is True
    assert request["ExecutionRoleArn"].endswith(":role/endpoints")
