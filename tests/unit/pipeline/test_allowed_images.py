"""Which images may run: SageMaker's own, and those of the repositories that the operator allows."""

from __future__ import annotations

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.pipeline.allowed_images import AllowedImages

REGION = "eu-central-1"
ARN = f"arn:aws:ecr:{REGION}:123456789012:repository/team/churn"
REPOSITORY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/team/churn"


@pytest.mark.parametrize("tag", [":1", ":latest", f"@sha256:{'0' * 64}"])
def test_every_image_of_an_allowed_repository_may_run(tag: str) -> None:
    AllowedImages.parse(f" {ARN} , ").check(f"{REPOSITORY}{tag}", REGION)


@pytest.mark.parametrize(
    "image",
    [
        "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5",
        "664544806723.dkr.ecr.eu-central-1.amazonaws.com/linear-learner:1",
    ],
)
def test_sagemakers_own_algorithms_need_no_permission(image: str) -> None:
    AllowedImages.parse("").check(image, REGION)


@pytest.mark.parametrize(
    "image",
    [
        f"{REPOSITORY}2:1",
        f"{REPOSITORY}/evil:1",
        f"210987654321.dkr.ecr.{REGION}.amazonaws.com/team/churn:1",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/churn:1",
        f"123456789012.dkr.ecr.{REGION}.example.com/team/churn:1",
        f"123456789012.dkr.ecr.{REGION}.amazonaws.com.cn/team/churn:1",
        f"{REPOSITORY}:1\n",
        REPOSITORY,
        # XGBoost's repository of another account, tag or region is no image of SageMaker's.
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5",
        "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:9.9-9",
        "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5",
        "",
    ],
)
def test_any_other_image_is_refused(image: str) -> None:
    with pytest.raises(SettingsInvalid, match="AllowedImages") as refused:
        AllowedImages.parse(ARN).check(image, REGION)
    assert repr(image) in str(refused.value)
    assert REPOSITORY in str(refused.value)


@pytest.mark.parametrize(
    "image",
    [
        "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5",
        "664544806723.dkr.ecr.eu-central-1.amazonaws.com/linear-learner:1",
    ],
)
def test_an_image_of_sagemaker_is_no_image_of_ones_own(image: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"named by \[training\] algorithm"):
        AllowedImages.parse(ARN).check_own(image)


def test_the_refusal_names_the_arn_to_allow() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        AllowedImages.parse("").check(f"{REPOSITORY}:1", REGION)
    assert f"AllowedImages={ARN}" in str(refused.value)
    assert "refit up --images" in str(refused.value)


@pytest.mark.parametrize(
    "arn",
    [
        "*",
        f"arn:aws:ecr:{REGION}:123456789012:repository/*",
        f"arn:aws:ecr:{REGION}:*:repository/churn",
        f"{ARN}:1",
        REPOSITORY,
    ],
)
def test_a_wildcard_a_tag_and_an_image_are_no_repository(arn: str) -> None:
    with pytest.raises(SettingsInvalid, match="without wildcards and tags") as refused:
        AllowedImages.parse(arn)
    assert repr(arn) in str(refused.value)


def test_a_repository_in_china_has_the_registry_of_that_partition() -> None:
    allowed = AllowedImages.parse("arn:aws-cn:ecr:cn-north-1:123456789012:repository/churn")
    allowed.check("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/churn:1", "cn-north-1")
