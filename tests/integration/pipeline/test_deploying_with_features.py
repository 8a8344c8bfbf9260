"""The endpoint serves the pinned version of another model beside the new version."""

from __future__ import annotations

from typing import Any

import pytest
from refit.domain.errors import DeploymentRejected
from refit.domain.naming import RunKeys
from refit.handlers import plan_deployment, roll_back, verify_deployment
from refit.handlers.wiring import services
from refit.stores.endpoints import EndpointState
from refit.stores.registry import PackageVersion

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.feature_models import put_version
from tests.support.model_files import manifest
from tests.support.sagemaker_requests import assert_valid_request

RUN = RunKeys("digits", "0f1e2d3c4b5a")
BESIDE = "features-segments-3"
CHANGE = {"version": 1, "package_arn": "arn:package/1", "approval": "Approved"}


class TwoVariants(FakeSageMaker):
    """An endpoint whose variants answer differently."""

    def __init__(self, answers: dict[str | None, str]) -> None:
        super().__init__()
        self.answers = answers

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        target = request.get("TargetVariant")
        self.answer = (self.answers[target], target or "v1")
        return super().invoke_endpoint(**request)


@pytest.fixture
def sagemaker(stack: Stack) -> TwoVariants:
    for version in (3, 4):  # the pinned one, and the one that is live
        put_version("segments", version)
    services().models.begin_run("digits", RUN.run, "drop", None)
    source = {"model": "segments", "version": 3, "run": "run3", "columns": 2}
    stack.put(RUN.manifest, manifest(RUN.run, features_from=source))
    stack.put(f"{RUN.evaluation_input}new.csv", "1,2,0.75,0.25\n")
    stack.put(f"{RUN.evaluation_output('challenger')}new.csv.out", "0.9\n")
    stack.put(f"{RUN.features_input}test.csv", "2,1\n")
    stack.put(f"{RUN.features_output}test.csv.out", "0.25\n")
    fake = TwoVariants({None: "0.9\n", BESIDE: "0.25\n"})
    fake.approved = PackageVersion(1, "arn:package/1", RUN.run)
    stack.replace_clients(sagemaker=fake, sagemaker_runtime=fake)
    return fake


def planned() -> dict[str, Any]:
    return dict(plan_deployment.handler(sample("plan_deployment") | CHANGE, CONTEXT))


def verified(sagemaker: TwoVariants) -> Any:
    plan = planned()
    sagemaker.endpoint = EndpointState("InService", plan["name"], None)
    return verify_deployment.handler(plan, CONTEXT)


def test_the_pinned_version_is_a_variant_without_traffic(sagemaker: TwoVariants) -> None:
    plan = planned()
    model, config = plan["requests"]["features_model"], plan["requests"]["config"]
    assert_valid_request("CreateModel", model)
    assert_valid_request("CreateEndpointConfig", config)
    assert model["ModelName"] == f"{plan['name']}-features"
    assert model["Containers"] == [{"ModelPackageName": "arn:package/3"}]
    assert [
        (variant["VariantName"], variant["ModelName"], variant["InitialVariantWeight"])
        for variant in config["ProductionVariants"]
    ] == [("v1", plan["name"], 1.0), (BESIDE, model["ModelName"], 0.0)]


def test_both_variants_are_compared_with_their_transform_jobs(sagemaker: TwoVariants) -> None:
    assert verified(sagemaker)


@pytest.mark.parametrize("variant", [None, BESIDE])
def test_a_variant_that_answers_otherwise_is_rejected(
    sagemaker: TwoVariants, variant: str | None
) -> None:
    sagemaker.answers[variant] = "0.5\n"
    with pytest.raises(DeploymentRejected, match=r"with \[0.5\], but the evaluation has"):
        verified(sagemaker)


def test_a_rollback_deletes_both_models(sagemaker: TwoVariants) -> None:
    plan = planned()
    sagemaker.endpoint = None
    roll_back.handler(plan | {"error": {"Error": "X", "Cause": "it failed"}}, CONTEXT)
    deleted = [request for operation, request in sagemaker.changes if operation == "delete_model"]
    names = (plan["name"], f"{plan['name']}-features")
    assert deleted == [{"ModelName": name} for name in names]
