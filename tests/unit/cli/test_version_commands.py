"""`refit approve`, `reject` and `rollback`: changes of approval in the registry, in safe order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.aws_clients import client_error
from tests.support.model_files import champion

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"


def arn(version: int) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:model-package/refit-digits/{version}"


class Registry:
    """Model packages with their approvals; `fails_at` is a version whose change is interrupted."""

    def __init__(self, **approvals: str) -> None:
        self.approvals = {int(name[1:]): status for name, status in approvals.items()}
        self.changes: list[tuple[int, str, str]] = []
        self.fails_at: int | None = None

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        version = int(ModelPackageName.rsplit("/", 1)[1])
        if version not in self.approvals:
            raise client_error("ValidationException")
        return {
            "ModelPackageVersion": version,
            "ModelApprovalStatus": self.approvals[version],
            "CustomerMetadataProperties": {"refit:run": f"r{version}"},
        }

    def update_model_package(
        self, ModelPackageArn: str, ModelApprovalStatus: str, ApprovalDescription: str
    ) -> None:
        version = int(ModelPackageArn.rsplit("/", 1)[1])
        if version == self.fails_at:
            self.fails_at = None
            raise KeyboardInterrupt
        self.approvals[version] = ModelApprovalStatus
        self.changes.append((version, ModelApprovalStatus, ApprovalDescription))


@pytest.fixture
def registry(stack, clients):
    """Five versions of digits, of which version 4 is live and version 5 waits."""
    fake = Registry(v1=REJECTED, v2=APPROVED, v3=APPROVED, v4=APPROVED, v5=PENDING)
    clients["sagemaker"] = fake
    for version in fake.approvals:
        item = {"version": version, "package_arn": arn(version)}
        stack.put_item("digits", f"VERSION#{version:010d}", item)
        started = datetime.now(UTC) - timedelta(hours=9 - version)
        status = "AWAITING_APPROVAL" if version == 5 else "DEPLOYED"
        run = f"r{version}"
        stack.add_run(
            "digits", run, status, version=version, package_arn=arn(version), started_at=started
        )
    stack.set_state("digits", champion(4, "r4"))
    return fake


def test_the_version_that_waits_is_approved_with_the_name_of_the_user(refit, registry):
    result = refit("approve", "digits")
    assert result.exit_code == 0, result.output
    assert registry.changes == [(5, APPROVED, "Approved by ada")]
    assert "approved  version 5 of digits, by ada" in result.stdout
    assert "refit watch digits" in result.stderr


def test_an_older_version_can_be_approved_and_is_said_not_to_be_deployed(refit, registry):
    result = refit("approve", "digits", 1)
    assert result.exit_code == 0
    assert registry.changes == [(1, APPROVED, "Approved by ada")]
    assert "version 4, which is newer, stays live" in result.stderr


def test_the_live_version_is_rejected_and_what_follows_is_said(refit, registry):
    result = refit("reject", "digits", 4)
    assert result.exit_code == 0
    assert registry.changes == [(4, REJECTED, "Rejected by ada")]
    assert "the newest approved version is deployed in its place" in result.stderr


def test_a_version_that_waits_is_rejected(refit, registry):
    result = refit("reject", "digits", 5)
    assert registry.changes == [(5, REJECTED, "Rejected by ada")]
    assert "it will not be deployed" in result.stderr


def test_a_rollback_rejects_the_newer_approved_versions_and_the_live_one_last(refit, registry):
    registry.approvals[5] = APPROVED
    result = refit("rollback", "digits", 2, "--json")
    assert result.exit_code == 0, result.output
    assert [change[0] for change in registry.changes] == [3, 5, 4]
    assert {change[1:] for change in registry.changes} == {
        (REJECTED, "Rolled back to version 2 by ada")
    }
    assert json.loads(result.stdout) == {
        "model": "digits",
        "action": "rollback",
        "by": "ada",
        "event": None,
        "version": 2,
        "run": "r2",
        "text": "Version 2: rejected for it: 3, 5, 4; it is deployed next.",
        "follow": {
            "path": "/models/digits",
            "until": "`champion.version` is 2",
            "command": "refit status digits",
        },
        "live": 4,
        "rejected": [3, 5, 4],
    }


def test_an_interrupted_rollback_leaves_the_live_version_and_is_completed_by_the_same_command(
    refit, registry
):
    registry.fails_at = 4
    assert refit("rollback", "digits", 2).exit_code == 130
    assert registry.approvals[4] == APPROVED
    assert refit("rollback", "digits", 2).exit_code == 0
    assert [change[0] for change in registry.changes] == [3, 4]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("approve", "digits", 4), 1, "version 4 of digits is approved already"),
        (("reject", "digits", 1), 1, "version 1 of digits is rejected already"),
        (("approve", "digits", 9), 2, "has no version 9; versions: 1, 2, 3, 4, 5"),
        (("reject", "digits", 9), 2, "has no version 9"),
        (("rollback", "digits", 9), 2, "has no version 9"),
        (("rollback", "digits", 4), 1, "is not older than the live version, 4"),
        (("rollback", "digits", 5), 1, "is not older than the live version, 4"),
        (("rollback", "digits", 1), 1, "is not approved, but Rejected"),
        (("approve", "roses"), 2, "there is no model 'roses'"),
    ],
)
def test_what_is_not_possible_is_refused_with_the_reason(
    refit, registry, arguments, exit_code, message
):
    result = refit(*arguments)
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert registry.changes == []


def test_nothing_is_approved_when_no_version_waits(refit, registry):
    registry.approvals[5] = APPROVED
    result = refit("approve", "digits")
    assert result.exit_code == 1
    assert "no version of 'digits' waits for an approval" in result.stderr


def test_during_a_deployment_nothing_is_rolled_back(refit, stack, registry):
    stack.set_state("digits", champion(4, "r4"), deployment="4-abc")
    result = refit("rollback", "digits", 3)
    assert result.exit_code == 1
    assert "is being deployed" in result.stderr
    assert registry.changes == []


def test_no_version_of_a_model_that_is_being_removed_is_changed(refit, stack, registry):
    stack.set_state("digits", champion(4, "r4"), removing_since=datetime.now(UTC))
    result = refit("approve", "digits")
    assert result.exit_code == 1
    assert "is being removed" in result.stderr
