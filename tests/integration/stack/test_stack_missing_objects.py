"""Only who may list a bucket is told that an object of it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import allow, policy

if TYPE_CHECKING:
    from stack_under_test import LocalAws

BUCKET = "missing-objects"
READ = allow("s3:GetObject", f"arn:aws:s3:::{BUCKET}/*")
LIST = allow("s3:ListBucket", f"arn:aws:s3:::{BUCKET}")


@pytest.fixture(scope="module")
def bucket(aws: LocalAws) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="there", Body=b"x")
    return BUCKET


def s3_of(aws: LocalAws, user: str, *statements: dict[str, Any]) -> Any:
    """Return the S3 client of a user with these permissions."""
    iam = aws.client("iam")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return aws.client(
        "s3",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def statuses(s3: Any, bucket: str, key: str) -> list[int]:
    """Return the statuses of GetObject and HeadObject."""
    found = []
    for call in (s3.get_object, s3.head_object):
        try:
            answer = call(Bucket=bucket, Key=key)
        except ClientError as error:
            answer = error.response
        found.append(answer["ResponseMetadata"]["HTTPStatusCode"])
    return found


def test_a_missing_object_is_forbidden_without_the_right_to_list_the_bucket(
    aws: LocalAws, bucket: str
) -> None:
    reader, lister = s3_of(aws, "reader-only", READ), s3_of(aws, "lister", READ, LIST)
    assert statuses(reader, bucket, "there") == [200, 200]
    assert statuses(reader, bucket, "gone") == [403, 403]
    assert statuses(lister, bucket, "gone") == [404, 404]
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.get_object(Bucket=bucket, Key="gone")


def test_the_error_of_another_resource_than_an_object_stays(aws: LocalAws, bucket: str) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        aws.client("s3").get_object(Bucket="no-such-bucket", Key="x")
