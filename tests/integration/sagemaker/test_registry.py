"""Package groups, versions, approval, tags and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from local_sagemaker import ACCOUNT, IMAGE, REGION, ROLE

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

CONTAINERS = [{"Image": IMAGE, "ModelDataUrl": "s3://refit-test/m/model.tar.gz"}]
SPECIFICATION = {
    "Containers": CONTAINERS,
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}
CHANGED = "SageMaker Model Package State Change"


def package(local: RunningSageMaker, group: str, **more: Any) -> str:
    return local.sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, **more
    )["ModelPackageArn"]


def group(local: RunningSageMaker, name: str) -> str:
    arn = local.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return arn["ModelPackageGroupArn"]


def test_versions_are_numbered_and_pending_approval(local: RunningSageMaker) -> None:
    group(local, "Digits-Versions")
    first, second = package(local, "Digits-Versions"), package(local, "Digits-Versions")
    root = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/digits-versions"
    assert (first, second) == (f"{root}/1", f"{root}/2")
    described = local.sagemaker.describe_model_package(ModelPackageName=second)
    assert described["ModelPackageVersion"] == 2
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelPackageStatus"] == "Completed"
    assert described["InferenceSpecification"] == SPECIFICATION


def test_the_number_of_a_deleted_version_is_not_used_again(local: RunningSageMaker) -> None:
    group(local, "digits-deleted")
    local.sagemaker.delete_model_package(ModelPackageName=package(local, "digits-deleted"))
    assert package(local, "digits-deleted").endswith("/2")


def test_two_requests_with_one_client_token_create_one_version(local: RunningSageMaker) -> None:
    group(local, "digits-token")
    token = "run-1"
    first = package(local, "digits-token", ClientToken=token)
    assert package(local, "digits-token", ClientToken=token) == first
    assert package(local, "digits-token", ClientToken="run-2") != first


def test_creation_and_each_change_of_approval_publish_an_event(local: RunningSageMaker) -> None:
    group(local, "digits-events")
    arn = package(local, "digits-events", CustomerMetadataProperties={"run": "r1"})
    for status in ("Approved", "Approved", "Rejected"):
        local.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
    details = [d for d in local.published.of(CHANGED) if d["ModelPackageArn"] == arn]
    approvals = [detail["ModelApprovalStatus"] for detail in details]
    assert approvals == ["PendingManualApproval", "Approved", "Rejected"]
    assert details[0]["ModelPackageGroupName"] == "digits-events"
    assert details[0]["ModelPackageVersion"] == 1
    assert details[0]["CreationTime"].endswith("Z")
    assert details[0]["CustomerMetadataProperties"] == {"run": "r1"}


def test_metadata_of_a_version_can_be_added_and_removed(local: RunningSageMaker) -> None:
    group(local, "digits-metadata")
    arn = package(local, "digits-metadata", CustomerMetadataProperties={"a": "1", "b": "2"})
    local.sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={"c": "3"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    described = local.sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["CustomerMetadataProperties"] == {"b": "2", "c": "3"}


def test_the_model_data_of_a_version_cannot_be_changed(local: RunningSageMaker) -> None:
    group(local, "digits-immutable")
    arn = package(local, "digits-immutable")
    other = [{"Image": IMAGE, "ModelDataUrl": "s3://refit-test/other.tar.gz"}]
    with pytest.raises(ClientError, match="cannot be changed"):
        local.sagemaker.update_model_package(
            ModelPackageArn=arn, InferenceSpecification={**SPECIFICATION, "Containers": other}
        )


def test_a_group_with_versions_cannot_be_deleted(local: RunningSageMaker) -> None:
    group(local, "digits-full")
    arn = package(local, "digits-full")
    with pytest.raises(local.sagemaker.exceptions.ConflictException):
        local.sagemaker.delete_model_package_group(ModelPackageGroupName="digits-full")
    local.sagemaker.delete_model_package(ModelPackageName=arn)
    local.sagemaker.delete_model_package_group(ModelPackageGroupName="digits-full")
    with pytest.raises(ClientError, match="does not exist"):
        local.sagemaker.describe_model_package_group(ModelPackageGroupName="digits-full")


def test_a_package_needs_its_group(local: RunningSageMaker) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        package(local, "no-such-group")


def test_a_model_needs_an_approved_package(local: RunningSageMaker) -> None:
    local.put("m/model.tar.gz", b"an archive")
    group(local, "digits-approval")
    arn = package(local, "digits-approval")
    request = {
        "ModelName": "digits-approval",
        "ExecutionRoleArn": ROLE,
        "Containers": [{"ModelPackageName": arn}],
    }
    with pytest.raises(ClientError, match="must be Approved"):
        local.sagemaker.create_model(**request)
    local.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    local.sagemaker.create_model(**request)
    described = local.sagemaker.describe_model(ModelName="digits-approval")
    assert described["Containers"] == [{"ModelPackageName": arn}]
    with pytest.raises(ClientError, match="already existing model"):
        local.sagemaker.create_model(**request)


def test_a_model_with_missing_data_is_refused(local: RunningSageMaker) -> None:
    with pytest.raises(ClientError, match="Could not access model data at s3://refit-test/no"):
        local.sagemaker.create_model(
            ModelName="no-data",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "s3://refit-test/no.tar.gz"},
        )


def test_versions_are_listed_by_approval_newest_first(local: RunningSageMaker) -> None:
    group(local, "digits-list")
    arns = [package(local, "digits-list", ModelApprovalStatus=s) for s in ("Approved",) * 3]
    package(local, "digits-list")
    listed = local.sagemaker.list_model_packages(
        ModelPackageGroupName="digits-list",
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
    )["ModelPackageSummaryList"]
    assert [item["ModelPackageArn"] for item in listed] == arns[::-1]


def test_lists_are_paginated(local: RunningSageMaker) -> None:
    for number in range(5):
        group(local, f"paged-{number}")
    pages = local.sagemaker.get_paginator("list_model_package_groups").paginate(
        NameContains="PAGED", SortBy="Name", PaginationConfig={"PageSize": 2}
    )
    names = [
        [item["ModelPackageGroupName"] for item in page["ModelPackageGroupSummaryList"]]
        for page in pages
    ]
    assert names == [["paged-0", "paged-1"], ["paged-2", "paged-3"], ["paged-4"]]


def test_an_invalid_page_token_is_refused(local: RunningSageMaker) -> None:
    with pytest.raises(ClientError, match="NextToken"):
        local.sagemaker.list_models(NextToken="made-up")


def test_tags_are_added_replaced_and_deleted(local: RunningSageMaker) -> None:
    arn = group(local, "Tagged-Group")
    local.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    )
    local.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    local.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["b", "never-there"])
    assert local.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "3"}]


@pytest.mark.parametrize("text", ["two\nlines", "two\rlines", "two\u2028lines"])
def test_the_description_of_an_approval_is_one_line(local: RunningSageMaker, text: str) -> None:
    group(local, f"one-line-{ord(text[3])}")
    arn = package(local, f"one-line-{ord(text[3])}")
    with pytest.raises(ClientError, match=r"regular expression pattern: \.\*") as caught:
        local.sagemaker.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription=text
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    described = local.sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "PendingManualApproval"


@pytest.mark.parametrize("text", ["a\ttab", "two\nlines", "a null\0"])
def test_the_description_of_a_package_has_no_control_characters(
    local: RunningSageMaker, text: str
) -> None:
    group(local, f"no-control-{ord(text[-4])}-{len(text)}")
    with pytest.raises(ClientError, match="regular expression pattern"):
        package(local, f"no-control-{ord(text[-4])}-{len(text)}", ModelPackageDescription=text)


def test_the_description_of_a_package_may_have_symbols_of_any_script(
    local: RunningSageMaker,
) -> None:
    text = "Genauigkeit 0,98 ≥ 0,95 – 数字 ✓"
    group(local, "any-script")
    arn = package(local, "any-script", ModelPackageDescription=text)
    described = local.sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelPackageDescription"] == text
