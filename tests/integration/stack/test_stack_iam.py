from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from stack_under_test import LocalAws, allow, policy, until


def user(aws: LocalAws, name: str, action: str, resource: str) -> dict[str, str]:
    """Create a user with permission for one action; return its credentials."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="p",
        PolicyDocument=policy(allow(action, resource)),
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }


def test_alarms_are_described_by_whom_a_policy_lets_describe_all_alarms_and_no_other(
    aws: LocalAws,
) -> None:
    arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"
    keys = user(aws, "some-alarms", "cloudwatch:DescribeAlarms", f"{arn}mine-*")
    with pytest.raises(ClientError) as refused:
        aws.client("cloudwatch", **keys).describe_alarms(AlarmNames=["mine-1"])
    assert "AccessDenied" in refused.value.response["Error"]["Code"]
    keys = user(aws, "all-alarms", "cloudwatch:DescribeAlarms", f"{arn}*")
    answer = aws.client("cloudwatch", **keys).describe_alarms(AlarmNames=["mine-1"])
    assert answer["MetricAlarms"] == []


ENDPOINT = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/mine-*"


def test_sagemaker_operations_and_invocations_reach_the_registered_service(aws: LocalAws) -> None:
    described = aws.client("sagemaker").describe_endpoint(EndpointName="live")
    assert described["EndpointStatus"] == "InService"
    response = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="live", Body=b"1,2\n", ContentType="text/csv"
    )
    assert response["Body"].read() == b"1,2\n"
    assert (response["ContentType"], response["InvokedProductionVariant"]) == ("text/csv", "v1")


def test_an_error_of_the_registered_service_reaches_boto3_with_its_code(aws: LocalAws) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("sagemaker").describe_endpoint(EndpointName="none")
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_user_may_call_only_the_action_on_the_resource_that_the_policy_allows(
    aws: LocalAws,
) -> None:
    keys = user(aws, "describer", "sagemaker:DescribeEndpoint", ENDPOINT)
    sagemaker = aws.client("sagemaker", **keys)
    assert sagemaker.describe_endpoint(EndpointName="mine-1")["EndpointName"] == "mine-1"
    for call in (
        lambda: sagemaker.describe_endpoint(EndpointName="yours"),
        lambda: sagemaker.delete_endpoint(EndpointName="mine-1"),
        lambda: aws.client("sagemaker-runtime", **keys).invoke_endpoint(
            EndpointName="mine-1", Body=b"1"
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert "AccessDenied" in refused.value.response["Error"]["Code"]
        assert "is not authorized to perform: sagemaker:" in str(refused.value)


def test_a_deleted_user_policy_takes_effect_within_two_seconds(aws: LocalAws) -> None:
    keys = user(aws, "leaver", "sagemaker:DescribeEndpoint", ENDPOINT)
    sagemaker = aws.client("sagemaker", **keys)
    sagemaker.describe_endpoint(EndpointName="mine-1")
    aws.client("iam").delete_user_policy(UserName="leaver", PolicyName="p")

    def refused() -> bool:
        try:
            sagemaker.describe_endpoint(EndpointName="mine-1")
        except ClientError as error:
            return "AccessDenied" in error.response["Error"]["Code"]
        return False

    until(refused, 2)


def test_each_item_of_a_transaction_requires_permission_on_its_table(aws: LocalAws) -> None:
    tables = aws.client("dynamodb")
    for name in ("mine", "yours"):
        aws.table(name)
    resource = "arn:aws:dynamodb:us-east-1:000000000000:table/mine"
    writer = aws.client("dynamodb", **user(aws, "writer", "dynamodb:PutItem", resource))

    def write_to(*names: str) -> None:
        puts = [
            {"Put": {"TableName": name, "Item": {"id": {"S": str(index)}}}}
            for index, name in enumerate(names)
        ]
        writer.transact_write_items(TransactItems=puts)

    write_to("mine", "mine")
    with pytest.raises(ClientError, match="is not authorized to perform: dynamodb:PutItem"):
        write_to("mine", "yours")
    assert tables.scan(TableName="yours")["Count"] == 0


def test_a_user_may_invoke_the_endpoint_that_the_policy_allows(aws: LocalAws) -> None:
    keys = user(aws, "invoker", "sagemaker:InvokeEndpoint", ENDPOINT)
    runtime = aws.client("sagemaker-runtime", **keys)
    assert runtime.invoke_endpoint(EndpointName="mine-1", Body=b"x")["Body"].read() == b"x"


def test_create_endpoint_requires_permission_on_the_endpoint_config_as_well(aws: LocalAws) -> None:
    keys = user(aws, "creator", "sagemaker:CreateEndpoint", ENDPOINT)
    with pytest.raises(ClientError, match="endpoint-config/other") as refused:
        aws.client("sagemaker", **keys).create_endpoint(
            EndpointName="mine-1", EndpointConfigName="other"
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_create_model_requires_iam_pass_role(aws: LocalAws) -> None:
    keys = user(aws, "trainer", "sagemaker:CreateModel", "*")
    with pytest.raises(ClientError, match="iam:PassRole"):
        aws.client("sagemaker", **keys).create_model(
            ModelName="m", ExecutionRoleArn="arn:aws:iam::000000000000:role/model"
        )


def test_a_tuning_job_requires_iam_pass_role_for_the_role_of_its_trials(aws: LocalAws) -> None:
    keys = user(aws, "tuner", "sagemaker:CreateHyperParameterTuningJob", "*")
    with pytest.raises(ClientError, match="iam:PassRole"):
        aws.client("sagemaker", **keys).create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="t",
            HyperParameterTuningJobConfig={
                "Strategy": "Random",
                "ResourceLimits": {"MaxParallelTrainingJobs": 1},
            },
            TrainingJobDefinition={
                "AlgorithmSpecification": {"TrainingInputMode": "File"},
                "RoleArn": "arn:aws:iam::000000000000:role/jobs",
                "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            },
        )


def test_a_bucket_policy_that_requires_tls_allows_requests_on_the_loopback_interface(
    aws: LocalAws,
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="tls-only")
    require_tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="tls-only", Policy=policy(require_tls))
    keys = user(aws, "putter", "s3:PutObject", "arn:aws:s3:::tls-only/*")
    aws.client("s3", **keys).put_object(Bucket="tls-only", Key="k", Body=b"1")
    assert s3.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"1"
