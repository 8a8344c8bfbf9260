"""A state machine whose tasks wait for jobs needs rights on rules and on the jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import MANAGED_RULES, allow

if TYPE_CHECKING:
    from stack_under_test import LocalAws

TRAIN = "arn:aws:states:::sagemaker:createTrainingJob.sync"
JOBS = "arn:aws:sagemaker:us-east-1:000000000000:training-job/*"
RIGHTS = ("CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags", "ListTags")
TEMPLATE = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {Service: states.amazonaws.com}, Action: sts:AssumeRole}
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      RoleArn: !GetAtt Role.Arn
      DefinitionString: '%s'
"""


def definition(resource: str = TRAIN) -> dict[str, Any]:
    arguments = {"TrainingJobName": "{% $states.input.name %}"}
    job = {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}
    inside = {"StartAt": "Job", "States": {"Job": job}}
    both = {"Type": "Parallel", "Branches": [inside], "End": True}
    return {"StartAt": "Both", "States": {"Both": both}}


def test_a_machine_that_waits_for_jobs_is_not_created_without_rights_on_the_managed_rule(
    aws: LocalAws,
) -> None:
    rights = allow("sagemaker:*")
    with pytest.raises(ClientError) as refused:
        aws.machine("no-rules", definition(), rights)
    assert refused.value.response["Error"] == {
        "Code": "AccessDeniedException",
        "Message": (
            "'arn:aws:iam::000000000000:role/no-rules-role' is not authorized to create "
            "managed-rule."
        ),
    }
    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMaker"
    with pytest.raises(ClientError, match="managed-rule"):
        aws.machine(
            "wrong-rule", definition(), rights, allow("events:*", f"{rule}TransformJobsRule")
        )
    aws.machine("right-rule", definition(), rights, allow("events:*", f"{rule}TrainingJobsRule"))


def test_a_machine_that_waits_for_tuning_jobs_needs_their_rule(aws: LocalAws) -> None:
    tune = definition("arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync")
    rule = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMaker"
    with pytest.raises(ClientError, match="managed-rule"):
        aws.machine("tunes-without", tune, allow("events:*", f"{rule}TrainingJobsRule"))
    aws.machine("tunes", tune, allow("events:*", f"{rule}TuningJobsRule"))


def test_a_machine_is_not_updated_to_wait_for_jobs_without_the_rights(aws: LocalAws) -> None:
    machine = aws.machine("updated", definition(TRAIN.removesuffix(".sync")))
    states = aws.client("stepfunctions")
    text = json.dumps({"QueryLanguage": "JSONata", **definition()})
    with pytest.raises(ClientError, match="managed-rule"):
        states.update_state_machine(stateMachineArn=machine, definition=text)
    described = states.describe_state_machine(stateMachineArn=machine)
    assert ".sync" not in described["definition"]


def test_a_stack_whose_machine_lacks_the_rights_is_not_created(aws: LocalAws) -> None:
    formation = aws.client("cloudformation")
    text = json.dumps({"QueryLanguage": "JSONata", **definition()})
    formation.create_stack(
        StackName="no-rules", TemplateBody=TEMPLATE % text, Capabilities=["CAPABILITY_IAM"]
    )
    with pytest.raises(Exception, match=r"ROLLBACK|FAILED"):
        formation.get_waiter("stack_create_complete").wait(
            StackName="no-rules", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
    events = formation.describe_stack_events(StackName="no-rules")["StackEvents"]
    assert any("managed-rule" in event.get("ResourceStatusReason", "") for event in events)


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_task_that_waits_for_a_job_needs_every_right_on_it(aws: LocalAws, missing: str) -> None:
    having = [f"sagemaker:{right}" for right in RIGHTS if right != missing]
    name = f"lacks-{missing.lower()}"
    lacking = aws.machine(name, definition(), MANAGED_RULES, allow(having, JOBS))
    assert aws.run(lacking, {"name": name}) == "SageMaker.AmazonSageMakerException"
    complete = aws.machine(
        f"has-{missing.lower()}",
        definition(),
        MANAGED_RULES,
        allow([f"sagemaker:{right}" for right in RIGHTS], JOBS),
    )
    assert aws.run(complete, {"name": f"has-{name}"})[0]["TrainingJobName"] == f"has-{name}"
