"""The roles of SageMaker may pull SageMaker's own images, and those of the allowed repositories."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.template import FUNCTIONS, TEMPLATE, of_type

PULLING = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def statements(role: str) -> list[dict[str, Any]]:
    policies = of_type("AWS::IAM::Role")[role]["Policies"]
    return [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]


@pytest.mark.parametrize("role", ["JobsRole", "EndpointRole"])
def test_jobs_and_endpoints_pull_only_from_sagemakers_and_the_allowed_repositories(
    role: str,
) -> None:
    (own,) = [s["Fn::If"] for s in statements(role) if "Fn::If" in s]
    assert own[0] == "HasAllowedImages"
    assert (own[1]["Action"], own[1]["Resource"]) == (PULLING, {"Ref": "AllowedImages"})
    assert own[2] == {"Ref": "AWS::NoValue"}
    others = [s for s in statements(role) if s.get("Action") == PULLING]
    names = [arn["Fn::Sub"].rpartition("/")[2] for s in others for arn in s["Resource"]]
    assert names == ["sagemaker-xgboost", "linear-learner"]


def test_no_image_is_allowed_unless_the_operator_says_so() -> None:
    assert TEMPLATE["Parameters"]["AllowedImages"]["Default"] == ""


def test_every_function_that_starts_code_or_deploys_it_knows_the_allowed_images() -> None:
    knowing = {
        name
        for name, function in FUNCTIONS.items()
        if "ALLOWED_IMAGES" in function.get("Environment", {}).get("Variables", {})
    }
    assert knowing == {"PlanTrainingFunction", "RegisterFunction", "PlanDeploymentFunction"}
