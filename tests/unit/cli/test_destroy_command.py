"""`refit destroy`: its order, its guard, what it leaves, and how it goes on when interrupted."""

from __future__ import annotations

import json
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.cli import BUCKET, TABLE, TRAIN
from tests.support.removable_model import ACCOUNT, FakeRegistry, Sts
from tests.support.removable_stack import (
    INFERENCES,
    Formation,
    Machines,
    Mappings,
)

RUN = "0123456789ab"


@pytest.fixture
def mappings(clients):
    clients["lambda"] = Mappings()
    return clients["lambda"]


@pytest.fixture
def sagemaker(clients):
    """A SageMaker that serves digits, with what another user and another stack have."""
    fake = FakeRegistry()
    fake.names["list_training_jobs"] |= {
        f"refit-digits-{RUN}-0": "InProgress",
        f"other-digits-{RUN}-0": "InProgress",
    }
    fake.names["list_hyper_parameter_tuning_jobs"][f"refit-{RUN}-0"] = "InProgress"
    fake.names["list_endpoint_configs"] |= dict.fromkeys(
        ("refit-digits-v1-01234567", "my-refit-digits-v1-01234567", "refit-Demo"), ""
    )
    fake.names["list_models"] |= dict.fromkeys(("refit-digits-v1-01234567", "refit-Demo"), "")
    fake.packages |= {"refit-digits": ["arn:package/1"], "other-digits": []}
    fake.endpoints["refit-digits"] = ["Updating", "InService"]
    clients.update(sagemaker=fake)
    return fake


@pytest.fixture
def machines(clients):
    fake = Machines()
    fake.running[TRAIN]["train-digits"] = {"model": "digits"}
    clients.update(stepfunctions=fake)
    return fake


@pytest.fixture
def formation(stack, sagemaker, machines, mappings, clients, local_stacks):
    """A stack in moto, on a local stack that runs."""
    local_stacks.up(4566, None, keep=False, detach=True, log=lambda _: None)
    stack.create_inference_table()
    stack.put("digits/raw/a.csv", "1,2\n")
    stack.put("digits/raw/a.csv", "1,2\n3,4\n")
    stack.s3.delete_object(Bucket=BUCKET, Key="digits/raw/a.csv")
    stack.s3.create_multipart_upload(Bucket=BUCKET, Key="digits/raw/big.csv")
    events, logs = boto3.client("events"), boto3.client("logs")
    iam, cloudwatch = boto3.client("iam"), boto3.client("cloudwatch")
    events.put_rule(Name="refit-DropRule-1", ScheduleExpression="rate(1 minute)")
    for group in ("refit-FunctionLogs-1", "/aws/sagemaker/Endpoints/refit-digits", "other"):
        logs.create_log_group(logGroupName=group)
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    for job in (f"refit-digits-{RUN}-0", f"other-digits-{RUN}-0"):
        logs.create_log_stream(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=f"{job}/algo-1-1"
        )
    iam.create_role(RoleName="refit-JobsRole-1", AssumeRolePolicyDocument="{}")
    for alarm in ("refit-ApiErrorsAlarm-1", "refit-digits-latency", "refit-digits-of-mine"):
        cloudwatch.put_metric_alarm(
            AlarmName=alarm,
            MetricName="m",
            Namespace="n",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Statistic="Sum",
        )
    fake = Formation(
        when_deleted=[
            lambda: events.delete_rule(Name="refit-DropRule-1"),
            lambda: iam.delete_role(RoleName="refit-JobsRole-1"),
            lambda: cloudwatch.delete_alarms(AlarmNames=["refit-ApiErrorsAlarm-1"]),
            machines.machines.clear,
            mappings.states.clear,
        ]
    )
    clients.update(cloudformation=fake, sts=Sts())
    return fake


@pytest.fixture
def quickly(runtime):
    return replace(runtime, settle_s=0.05, poll_s=0.01)


def tables() -> list[str]:
    return boto3.client("dynamodb").list_tables()["TableNames"]


def buckets() -> list[str]:
    return [bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]]


def log_groups() -> set[str]:
    groups = boto3.client("logs").describe_log_groups()["logGroups"]
    return {group["logGroupName"] for group in groups}


def test_counts_and_names_are_shown_first_and_nothing_is_deleted_without_a_terminal(
    refit, formation
):
    result = refit("destroy", "--delete-data")
    assert result.exit_code == 2
    for line in (
        "1 running execution  train-digits",
        f"1 running training job  refit-digits-{RUN}-0",
        f"1 running tuning job  refit-{RUN}-0",
        "1 alarm of a model  refit-digits-latency",
        "1 endpoint  refit-digits",
        "1 endpoint configuration  refit-digits-v1-01234567",
        "1 model package ",
        "1 log group of an endpoint",
        "1 log stream of a job",
        "2 state machines",
        "1 role  refit-JobsRole-1",
        "1 unfinished upload",
        "3 object versions, 12 B",
        f"1 bucket  {BUCKET}",
        "2 tables  ",
    ):
        assert line in result.stderr, line
    assert "refit destroy --delete-data --yes" in result.stderr
    assert formation.status == "UPDATE_COMPLETE"
    assert boto3.client("events").list_rules()["Rules"][0]["State"] == "ENABLED"


def test_long_names_do_not_hide_what_stays(refit, stack, formation):
    key = f"digits/runs/{RUN}/{'x' * 120}.json"
    stack.put(key, "1")
    lines = refit("destroy").stderr.splitlines()
    assert max(map(len, lines)) < 120
    assert not any("xxx" in line for line in lines)
    stays = lines.index("stays, because --delete-data is not given:")
    assert lines[stays + 1].startswith("  1 unfinished upload")
    assert lines[stays + 2].startswith("  4 object versions, ")
    assert lines[stays + 3] == f"  1 bucket  {BUCKET}"
    assert lines[stays + 4].startswith("  2 tables  ")


def test_a_stack_that_was_destroyed_is_destroyed_again_without_an_effect(
    refit, formation, sagemaker, quickly
):
    assert refit("destroy", "--yes", runtime=quickly).exit_code == 0
    deleted = list(sagemaker.deleted)
    again = refit("destroy", "--yes", runtime=quickly)
    assert again.exit_code == 0
    assert "nothing to destroy  stack refit" in again.stdout
    assert "to be deleted" not in again.stderr
    assert sagemaker.deleted == deleted


def test_everything_but_the_data_is_deleted_and_nothing_of_others(
    refit, formation, sagemaker, machines, quickly
):
    result = refit("destroy", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert "nothing of it is left that costs, except for its data" in result.stdout
    assert formation.status == "DELETE_COMPLETE"
    assert machines.stopped == ["train-digits"]
    assert sagemaker.names["list_training_jobs"] == {
        f"refit-digits-{RUN}-0": "Stopped",
        f"other-digits-{RUN}-0": "InProgress",
    }
    assert set(sagemaker.names["list_endpoint_configs"]) == {
        "my-refit-digits-v1-01234567",
        "refit-Demo",
    }
    assert set(sagemaker.names["list_models"]) == {"refit-Demo"}
    assert set(sagemaker.packages) == {"other-digits"}
    assert not sagemaker.endpoints
    assert log_groups() == {"other", "/aws/sagemaker/TrainingJobs"}
    streams = boto3.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs")
    assert [each["logStreamName"] for each in streams["logStreams"]] == [
        f"other-digits-{RUN}-0/algo-1-1"
    ]
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in alarms] == ["refit-digits-of-mine"]
    assert buckets() == [BUCKET]
    assert sorted(tables()) == [INFERENCES, TABLE]


def test_the_data_is_deleted_too_if_it_is_asked_for(refit, formation, quickly):
    result = refit("destroy", "--delete-data", "--yes", "--json", runtime=quickly)
    assert result.exit_code == 0, result.output
    description = json.loads(result.stdout)
    assert description["left"] == description["kept"] == {}
    assert description["found"]["object_versions"] == {
        "count": 3,
        "names": [f"s3://{BUCKET}/digits/raw/a.csv"] * 3,
    }
    assert "system backups of the tables" in description["of_the_account"]
    assert buckets() == tables() == []


def test_the_data_of_a_stack_that_is_gone_is_deleted_later(refit, formation, quickly):
    assert refit("destroy", "--yes", runtime=quickly).exit_code == 0
    result = refit("destroy", "--delete-data", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert buckets() == tables() == []
    again = refit("destroy", "--delete-data", "--yes", runtime=quickly)
    assert again.exit_code == 0
    assert "nothing to destroy" in again.stdout


def test_nothing_starts_while_the_models_are_removed(
    refit, formation, sagemaker, mappings, quickly
):
    states = []
    sagemaker.stop_training_job = lambda TrainingJobName: (
        states.append(boto3.client("events").describe_rule(Name="refit-DropRule-1")["State"]),
        states.extend(mappings.states.values()),
        FakeRegistry.stop_training_job(sagemaker, TrainingJobName),
    )
    assert refit("destroy", "--yes", runtime=quickly).exit_code == 0
    assert states == ["DISABLED", "Disabled", "Disabled"]


def test_what_starts_during_the_deletion_of_the_stack_is_removed_after_it(
    refit, formation, sagemaker, quickly
):
    late = f"refit-digits-{RUN}-1"
    formation.when_deleted.append(
        lambda: sagemaker.names["list_training_jobs"].update({late: "InProgress"})
    )
    formation.when_deleted.append(
        lambda: sagemaker.names["list_models"].update({"refit-digits-v2-01234567": ""})
    )
    assert refit("destroy", "--yes", runtime=quickly).exit_code == 0
    assert sagemaker.names["list_training_jobs"][late] == "Stopped"
    assert set(sagemaker.names["list_models"]) == {"refit-Demo"}


def test_an_interrupted_destruction_is_continued_by_the_same_command(
    refit, formation, sagemaker, quickly
):
    def interrupt() -> None:
        formation.when_deleted.remove(interrupt)
        raise KeyboardInterrupt

    formation.when_deleted.append(interrupt)
    result = refit("destroy", "--delete-data", "--yes", runtime=quickly)
    assert result.exit_code == 130
    assert "the same command finishes it" in result.stderr
    assert buckets() == [BUCKET]
    formation.when_deleted.clear()
    result = refit("destroy", "--delete-data", "--yes", runtime=quickly)
    assert result.exit_code == 0, result.output
    assert buckets() == tables() == []


def test_what_is_left_is_named_and_the_command_fails(refit, formation, sagemaker, quickly):
    sagemaker.undeletable = "refit-digits-v1-01234567"
    result = refit("destroy", "--yes", "--json", runtime=quickly)
    assert result.exit_code == 1
    left = json.loads(result.stdout)["left"]
    assert left["models"] == {"count": 1, "names": ["refit-digits-v1-01234567"]}
    assert "are left, such as refit-digits-v1-01234567" in result.stderr


def test_a_resource_that_cloudformation_cannot_delete_is_named_with_the_reason(
    refit, formation, quickly
):
    formation.failures["JobsRole"] = "must detach all policies first"
    result = refit("destroy", "--delete-data", "--yes", runtime=quickly)
    assert result.exit_code == 1
    assert "JobsRole: must detach all policies first" in result.stderr
    assert buckets() == [BUCKET]
    formation.failures.clear()
    assert refit("destroy", "--delete-data", "--yes", runtime=quickly).exit_code == 0


def test_an_object_that_is_written_while_the_bucket_is_emptied_is_deleted_too(
    refit, formation, stack, clients, quickly
):
    s3 = boto3.client("s3")
    delete, late = s3.delete_bucket, ["digits/late.csv"]

    def delete_bucket(Bucket: str) -> None:
        if late:
            stack.put(late.pop(), "1")
            code = {"Error": {"Code": "BucketNotEmpty", "Message": ""}}
            raise ClientError(code, "DeleteBucket")
        delete(Bucket=Bucket)

    s3.delete_bucket = delete_bucket
    clients.update(s3=s3)
    assert refit("destroy", "--delete-data", "--yes", runtime=quickly).exit_code == 0
    assert buckets() == []


@pytest.mark.parametrize(
    ("change", "exit_code", "message"),
    [
        ({"protected": True}, 1, "is protected against its deletion"),
        ({"status": "UPDATE_IN_PROGRESS"}, 1, "is being changed (UPDATE_IN_PROGRESS)"),
        ({"parameters": {}}, 2, "is not a Refit stack"),
    ],
)
def test_a_stack_that_cannot_be_deleted_now_is_left_as_it_is(
    refit, formation, sagemaker, change, exit_code, message
):
    for name, value in change.items():
        setattr(formation, name, value)
    result = refit("destroy", "--yes")
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert sagemaker.deleted == []


def test_on_a_terminal_the_name_of_the_stack_must_be_typed(refit, formation, quickly):
    on_terminal = replace(quickly, can_ask=lambda: True)
    result = refit("destroy", runtime=on_terminal, input="yes\n")
    assert result.exit_code == 2
    assert "nothing was destroyed: 'yes' is not 'refit'" in result.stderr
    assert refit("destroy", runtime=on_terminal, input="refit\n").exit_code == 0


def test_without_a_local_stack_nothing_is_destroyed_on_aws(refit, formation, local_stacks):
    local_stacks.running = None
    result = refit("destroy", "--yes")
    assert result.exit_code == 3
    assert "never uses AWS instead" in result.stderr
    result = refit("destroy", "--yes", "--aws")
    assert result.exit_code == 2
    assert "requires the name of the stack" in result.stderr
    result = refit("destroy", "--yes", "--aws", "--stack-name", "refit")
    assert "requires the id of the account" in result.stderr
    other = ("--aws", "--stack-name", "refit", "--account", "999999999999")
    result = refit("destroy", "--yes", *other)
    assert f"the credentials are of the AWS account {ACCOUNT}" in result.stderr
    assert formation.status == "UPDATE_COMPLETE"


def test_on_aws_the_named_stack_is_destroyed(refit, formation, local_stacks, quickly):
    local_stacks.running = None
    named = ("--aws", "--stack-name", "refit", "--account", ACCOUNT)
    result = refit("destroy", "--yes", *named, runtime=quickly)
    assert result.exit_code == 0, result.output
    assert formation.status == "DELETE_COMPLETE"


def test_a_stack_that_never_was_is_named(refit, formation, local_stacks):
    local_stacks.running = None
    named = ("--aws", "--stack-name", "refit-2", "--account", ACCOUNT)
    result = refit("destroy", "--yes", *named)
    assert result.exit_code == 3
    assert "there is no stack named 'refit-2'" in result.stderr
