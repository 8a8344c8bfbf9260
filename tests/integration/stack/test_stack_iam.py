from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from stack_under_test import Ground, until


def user(ground: Ground, name: str, action: str, resource: str) -> dict[str, str]:
    """Make a user who may do one thing; return its credentials."""
    iam = ground.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="p",
        PolicyDocument=f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", '
        f'"Action": "{action}", "Resource": "{resource}"}}]}}',
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "aws_access_key_id": key["AccessKeyId"],
        "aws_secret_access_key": key["SecretAccessKey"],
    }


ENDPOINT = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/mine-*"


def test_control_plane_and_invocations_reach_the_registered_service(ground: Ground) -> None:
    described = ground.client("sagemaker").describe_endpoint(EndpointName="live")
    assert described["EndpointStatus"] == "InService"
    answer = ground.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="live", Body=b"1,2\n", ContentType="text/csv"
    )
    assert answer["Body"].read() == b"1,2\n"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "v1")


def test_an_error_of_the_service_arrives_with_its_code(ground: Ground) -> None:
    with pytest.raises(ClientError) as refused:
        ground.client("sagemaker").describe_endpoint(EndpointName="none")
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_user_may_do_what_the_policy_names_and_nothing_else(ground: Ground) -> None:
    keys = user(ground, "describer", "sagemaker:DescribeEndpoint", ENDPOINT)
    sagemaker = ground.client("sagemaker", **keys)
    assert sagemaker.describe_endpoint(EndpointName="mine-1")["EndpointName"] == "mine-1"
    for call in (
        lambda: sagemaker.describe_endpoint(EndpointName="yours"),
        lambda: sagemaker.delete_endpoint(EndpointName="mine-1"),
        lambda: ground.client("sagemaker-runtime", **keys).invoke_endpoint(
            EndpointName="mine-1", Body=b"1"
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert "AccessDenied" in refused.value.response["Error"]["Code"]
        assert "is not authorized to perform: sagemaker:" in str(refused.value)


def test_what_a_user_may_no_longer_do_is_refused_soon(ground: Ground) -> None:
    keys = user(ground, "leaver", "sagemaker:DescribeEndpoint", ENDPOINT)
    sagemaker = ground.client("sagemaker", **keys)
    sagemaker.describe_endpoint(EndpointName="mine-1")
    ground.client("iam").delete_user_policy(UserName="leaver", PolicyName="p")

    def refused() -> bool:
        try:
            sagemaker.describe_endpoint(EndpointName="mine-1")
        except ClientError as error:
            return "AccessDenied" in error.response["Error"]["Code"]
        return False

    until(refused, 2)


def test_each_item_of_a_transaction_needs_its_own_permission(ground: Ground) -> None:
    tables = ground.client("dynamodb")
    for name in ("mine", "yours"):
        tables.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    resource = "arn:aws:dynamodb:us-east-1:000000000000:table/mine"
    writer = ground.client("dynamodb", **user(ground, "writer", "dynamodb:PutItem", resource))

    def written(*names: str) -> None:
        puts = [
            {"Put": {"TableName": name, "Item": {"id": {"S": str(place)}}}}
            for place, name in enumerate(names)
        ]
        writer.transact_write_items(TransactItems=puts)

    written("mine", "mine")
    with pytest.raises(ClientError, match="is not authorized to perform: dynamodb:PutItem"):
        written("mine", "yours")
    assert tables.scan(TableName="yours")["Count"] == 0


def test_a_user_invokes_the_endpoint_the_policy_names(ground: Ground) -> None:
    keys = user(ground, "invoker", "sagemaker:InvokeEndpoint", ENDPOINT)
    runtime = ground.client("sagemaker-runtime", **keys)
    assert runtime.invoke_endpoint(EndpointName="mine-1", Body=b"x")["Body"].read() == b"x"


def test_creating_an_endpoint_asks_for_its_config_as_well(ground: Ground) -> None:
    keys = user(ground, "creator", "sagemaker:CreateEndpoint", ENDPOINT)
    with pytest.raises(ClientError, match="endpoint-config/other") as refused:
        ground.client("sagemaker", **keys).create_endpoint(
            EndpointName="mine-1", EndpointConfigName="other"
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_passing_a_role_needs_permission(ground: Ground) -> None:
    keys = user(ground, "trainer", "sagemaker:CreateModel", "*")
    with pytest.raises(ClientError, match="iam:PassRole"):
        ground.client("sagemaker", **keys).create_model(
            ModelName="m", ExecutionRoleArn="arn:aws:iam::000000000000:role/model"
        )


def test_a_bucket_for_tls_only_answers_on_the_loopback_interface(ground: Ground) -> None:
    s3 = ground.client("s3")
    s3.create_bucket(Bucket="tls-only")
    s3.put_bucket_policy(
        Bucket="tls-only",
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", '
        '"Action": "s3:*", "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"], '
        '"Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}',
    )
    keys = user(ground, "putter", "s3:PutObject", "arn:aws:s3:::tls-only/*")
    ground.client("s3", **keys).put_object(Bucket="tls-only", Key="k", Body=b"1")
    assert s3.get_object(Bucket="tls-only", Key="k")["Body"].read() == b"1"
