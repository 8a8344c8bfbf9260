"""The template's policies, roles and names are as narrow as AWS allows, and do not collide."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.template import FUNCTIONS, RESOURCES, ROOT, STATE_MACHINES, of_type

ROLES = of_type("AWS::IAM::Role")
THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def statements(role: str) -> list[dict[str, Any]]:
    return [
        statement.get("Fn::If", (None, statement))[1]
        for policy in ROLES[role]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def written_by(role: str) -> set[str]:
    """Return the keys that a role may write, below the bucket."""
    keys: set[str] = set()
    for statement in statements(role):
        actions = statement["Action"]
        if "s3:PutObject" in ([actions] if isinstance(actions, str) else actions):
            resources = statement["Resource"]
            for resource in resources if isinstance(resources, list) else [resources]:
                keys.add(resource["Fn::Sub"].removeprefix("${Bucket.Arn}/"))
    return keys


def passed_roles(machine: str) -> list[Any]:
    return [
        statement["Resource"]
        for policy in STATE_MACHINES[machine]["Policies"]
        for statement in policy["Statement"]
        if statement["Action"] == "iam:PassRole"
    ]


def use_cases_of(function: str) -> set[str]:
    """Return the modules of use cases that a function's handler imports, directly or not."""
    pending = [FUNCTIONS[function]["Handler"].removesuffix(".handler")]
    seen: set[str] = set()
    while pending:
        module = pending.pop()
        if module in seen:
            continue
        seen.add(module)
        path = ROOT / "functions" / f"{module.replace('.', '/')}.py"
        pending += re.findall(r"from (refit\.usecases\.\w+) import", path.read_text("utf-8"))
    return {module for module in seen if ".usecases." in module}


def expects_missing_objects(module: str) -> bool:
    text = (ROOT / "functions" / f"{module.replace('.', '/')}.py").read_text("utf-8")
    return "except ObjectNotFound" in text or "current_settings" in text


def may_list(function: str) -> bool:
    return any(
        "s3:ListBucket" in statement["Action"]
        for policy in FUNCTIONS[function].get("Policies", [])
        for statement in policy["Statement"]
    )


def test_a_function_that_tells_a_missing_object_from_a_forbidden_one_may_list_the_bucket() -> None:
    expecting = {
        name
        for name in FUNCTIONS
        if any(expects_missing_objects(module) for module in use_cases_of(name))
    }
    assert {"PrepareFunction", "EvaluateFunction", "IngestGroundTruthFunction"} <= expecting
    assert [name for name in sorted(expecting) if not may_list(name)] == []


def test_a_statement_of_a_queue_policy_names_no_queue() -> None:
    for name, policy in of_type("AWS::SQS::QueuePolicy").items():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Resource"] == "*", f"{name}: SQS refuses a list of queues"
            source = statement["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Sub"]
            assert source.endswith(":${AWS::AccountId}:rule/*")


@pytest.mark.parametrize("name", ["JobsRole", "EndpointRole"])
def test_a_role_of_a_service_is_used_for_this_account_only(name: str) -> None:
    for statement in ROLES[name]["AssumeRolePolicyDocument"]["Statement"]:
        assert statement["Condition"] == THIS_ACCOUNT


def test_jobs_cannot_write_captures_and_endpoints_cannot_write_models() -> None:
    assert written_by("JobsRole") == {
        "*/runs/*/training/*",
        "*/runs/*/evaluation/challenger/*",
        "*/runs/*/folds/*/out/*",
        "*/runs/*/features/out/*",
        "*/batch/runs/*/out/*",
    }
    assert written_by("EndpointRole") == {"*/capture/*", "*/runs/*/evaluation/champion/*"}


def test_each_state_machine_passes_only_the_role_of_what_it_creates() -> None:
    assert passed_roles("TrainStateMachine") == [{"Fn::GetAtt": ["JobsRole", "Arn"]}]
    assert passed_roles("BatchStateMachine") == [{"Fn::GetAtt": ["JobsRole", "Arn"]}]
    assert passed_roles("DeployStateMachine") == [{"Fn::GetAtt": ["EndpointRole", "Arn"]}]


def test_what_holds_data_stays_with_the_stack_only_after_it_was_created() -> None:
    kept = {name: it for name, it in RESOURCES.items() if "DeletionPolicy" in it}
    assert kept.keys() == {"Bucket", "ModelTable", "InferenceTable"}
    for resource in kept.values():
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_the_dashboard_and_the_log_group_collide_with_no_other_stack() -> None:
    # Dashboards are global in an account; a function can create its log group again.
    name = RESOURCES["Dashboard"]["Properties"]["DashboardName"]
    assert name == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}
    assert "LogGroupName" not in RESOURCES["FunctionLogs"]["Properties"]


def test_the_tables_use_the_key_that_costs_nothing() -> None:
    # SSEEnabled without a key selects AWS's managed KMS key, whose requests are billed.
    for table in of_type("AWS::DynamoDB::Table").values():
        assert "SSESpecification" not in table


def test_a_rule_for_events_of_refit_takes_those_of_its_own_stack_only() -> None:
    patterns = [
        rule["EventPattern"]
        for rule in of_type("AWS::Events::Rule").values()
        if rule.get("EventPattern", {}).get("source") == ["refit"]
    ]
    assert patterns
    assert all(pattern["detail"]["prefix"] == [{"Ref": "NamePrefix"}] for pattern in patterns)


def test_the_capture_stream_has_the_rights_on_its_bucket_that_awss_guide_lists() -> None:
    actions = {
        action for statement in statements("CaptureStreamRole") for action in statement["Action"]
    }
    assert actions == {
        "s3:AbortMultipartUpload",
        "s3:GetBucketLocation",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:PutObject",
    }
