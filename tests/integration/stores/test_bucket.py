"""Bucket: objects are read, written, listed and downloaded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from refit.domain.errors import ObjectNotFound, ServiceThrottled
from refit.stores.bucket import PART_BYTES, Bucket

from tests.support.aws_clients import FailingClient, client_error
from tests.support.aws_stack import REGION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.aws_stack import Stack

KEY = "digits/runs/0f1e2d3c4b5a/train/train.csv"
THROTTLED = client_error("SlowDown")
PART = b"1,2,3\n" * (PART_BYTES // 6 + 1)


@pytest.fixture
def bucket(stack: Stack) -> Bucket:
    return stack.services.bucket


def failing(bucket: Bucket, **errors: Exception) -> Bucket:
    return Bucket(FailingClient(bucket.client, **errors), bucket.name)


def unfinished_uploads(bucket: Bucket) -> list[Any]:
    return bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])


def content_type(bucket: Bucket, key: str = KEY) -> str:
    return str(bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"])


def test_an_object_is_read_as_it_was_put(bucket: Bucket) -> None:
    bucket.put(KEY, b"1,2\n", "text/csv")
    assert bucket.read(KEY) == b"1,2\n"
    assert content_type(bucket) == "text/csv"
    assert abs(bucket.last_modified(KEY) - datetime.now(UTC)) < timedelta(minutes=1)


def test_json_is_written_and_read(bucket: Bucket) -> None:
    bucket.put_json(KEY, {"rows": 3, "at": datetime(2025, 1, 2, tzinfo=UTC)})
    assert bucket.read_json(KEY) == {"rows": 3, "at": "2025-01-02 00:00:00+00:00"}
    assert content_type(bucket) == "application/json"


def test_an_object_is_read_in_pieces(bucket: Bucket) -> None:
    bucket.put(KEY, b"0123456789")
    stream = bucket.open(KEY)
    assert [stream.read(4), stream.read(4), stream.read()] == [b"0123", b"4567", b"89"]
    stream.close()


def test_an_older_version_can_be_read(stack: Stack, bucket: Bucket) -> None:
    version = stack.put(KEY, b"old")
    stack.put(KEY, b"new")
    assert bucket.read(KEY) == b"new"
    assert bucket.read(KEY, version) == b"old"
    assert bucket.open(KEY, version).read() == b"old"
    assert bucket.last_modified(KEY, version) <= bucket.last_modified(KEY)


def test_the_null_version_of_an_unversioned_bucket_is_its_object(stack: Stack) -> None:
    client = boto3.client("s3", REGION)
    client.create_bucket(Bucket="unversioned")
    bucket = Bucket(client, "unversioned")
    bucket.put(KEY, b"1,2\n")
    (entry,) = bucket.list("digits/")
    assert entry.version == "null"
    assert bucket.read(KEY, entry.version) == b"1,2\n"


MISSING: dict[str, Callable[[Bucket], Any]] = {
    "read": lambda bucket: bucket.read(KEY),
    "read_json": lambda bucket: bucket.read_json(KEY),
    "open": lambda bucket: bucket.open(KEY),
    "last_modified": lambda bucket: bucket.last_modified(KEY),
    "copy": lambda bucket: bucket.copy(KEY, "target"),
}


@pytest.mark.parametrize("operation", MISSING)
def test_a_missing_object_is_named(bucket: Bucket, operation: str) -> None:
    with pytest.raises(ObjectNotFound, match=f"s3://{bucket.name}/{KEY} does not exist"):
        MISSING[operation](bucket)


@pytest.mark.parametrize("operation", MISSING)
def test_a_deleted_object_is_missing(bucket: Bucket, operation: str) -> None:
    bucket.put(KEY, b"1,2\n")
    bucket.client.delete_object(Bucket=bucket.name, Key=KEY)
    with pytest.raises(ObjectNotFound):
        MISSING[operation](bucket)


def test_a_deleted_version_and_a_delete_marker_are_missing(stack: Stack, bucket: Bucket) -> None:
    version = stack.put(KEY, b"old")
    stack.put(KEY, b"new")
    marker = bucket.client.delete_object(Bucket=bucket.name, Key=KEY)["VersionId"]
    bucket.client.delete_object(Bucket=bucket.name, Key=KEY, VersionId=version)
    for missing in (version, marker):
        with pytest.raises(ObjectNotFound, match=f"version {missing}"):
            bucket.read(KEY, missing)


def test_an_error_that_is_not_a_missing_object_is_raised_as_it_is(bucket: Bucket) -> None:
    denied = failing(bucket, get_object=client_error("AccessDenied"))
    with pytest.raises(ClientError, match="AccessDenied"):
        denied.read(KEY)


def test_a_connection_that_breaks_while_an_object_is_read_is_a_transient_error(
    bucket: Bucket,
) -> None:
    class BrokenBody:
        def read(self, size: int = -1) -> bytes:
            raise ReadTimeoutError(endpoint_url="https://s3")

    class BrokenClient:
        def get_object(self, **_: Any) -> Any:
            return {"Body": BrokenBody()}

    broken = Bucket(BrokenClient(), bucket.name)
    with pytest.raises(ServiceThrottled):
        broken.read(KEY)
    with pytest.raises(ServiceThrottled):
        broken.open(KEY).read(10)


def test_an_object_is_copied(bucket: Bucket) -> None:
    bucket.put(KEY, b"1,2\n")
    bucket.copy(KEY, "target")
    assert bucket.read("target") == b"1,2\n"


def test_a_file_is_uploaded(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"1,2\n")
    bucket.upload(path, KEY, "text/csv")
    assert bucket.read(KEY) == b"1,2\n"
    assert content_type(bucket) == "text/csv"


def test_a_throttled_upload_is_a_transient_error(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"1,2\n")

    def throttle(**_: Any) -> None:
        raise THROTTLED

    events = bucket.client.meta.events
    events.register("before-call.s3.PutObject", throttle)
    try:
        with pytest.raises(ServiceThrottled, match="SlowDown"):
            bucket.upload(path, KEY)
    finally:
        events.unregister("before-call.s3.PutObject", throttle)


def test_a_list_has_the_current_versions_below_a_prefix_in_the_order_of_their_keys(
    stack: Stack, bucket: Bucket
) -> None:
    stack.put("digits/raw/b.csv", b"old")
    versions = {name: stack.put(f"digits/raw/{name}", b"12345") for name in ("b.csv", "a.csv")}
    stack.put("digits/raw/gone.csv")
    bucket.client.delete_object(Bucket=bucket.name, Key="digits/raw/gone.csv")
    stack.put("letters/raw/c.csv")
    objects = bucket.list("digits/")
    assert [entry.key for entry in objects] == ["digits/raw/a.csv", "digits/raw/b.csv"]
    assert [entry.version for entry in objects] == [versions["a.csv"], versions["b.csv"]]
    assert [entry.size for entry in objects] == [5, 5]


def test_a_small_object_is_written_in_one_request(bucket: Bucket) -> None:
    no_multipart = failing(bucket, create_multipart_upload=AssertionError("a single put is enough"))
    with no_multipart.writer(KEY) as writer:
        writer.write(b"1,2\n")
        writer.write(b"3,4\n")
        assert writer.size_bytes == 8
    assert bucket.read(KEY) == b"1,2\n3,4\n"
    assert content_type(bucket) == "text/csv"


def test_a_large_object_is_written_in_parts(bucket: Bucket) -> None:
    with bucket.writer(KEY, "application/jsonlines") as writer:
        for _ in range(2):
            writer.write(PART)
        writer.write(b"last")
    assert writer.size_bytes == 2 * len(PART) + 4
    assert bucket.read(KEY) == PART + PART + b"last"
    assert content_type(bucket) == "application/jsonlines"
    head = bucket.client.head_object(Bucket=bucket.name, Key=KEY)
    assert head["ETag"].endswith('-3"')


def test_an_object_of_exactly_one_part_is_complete(bucket: Bucket) -> None:
    with bucket.writer(KEY) as writer:
        writer.write(PART[:PART_BYTES])
    assert bucket.read(KEY) == PART[:PART_BYTES]


def test_an_object_without_bytes_is_written(bucket: Bucket) -> None:
    with bucket.writer(KEY):
        pass
    assert bucket.read(KEY) == b""


@pytest.mark.parametrize("data", [b"1,2\n", PART])
def test_an_error_while_an_object_is_written_leaves_no_object_and_no_parts(
    bucket: Bucket, data: bytes
) -> None:
    def write_and_fail() -> None:
        with bucket.writer(KEY) as writer:
            writer.write(data)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert bucket.list(KEY) == []
    assert unfinished_uploads(bucket) == []


def test_an_error_at_the_end_of_an_upload_leaves_no_parts(bucket: Bucket) -> None:
    throttled = failing(bucket, complete_multipart_upload=THROTTLED)
    with pytest.raises(ServiceThrottled), throttled.writer(KEY) as writer:
        writer.write(PART)
    assert bucket.list(KEY) == []
    assert unfinished_uploads(bucket) == []


@pytest.mark.parametrize(
    "error", [client_error("NoSuchUpload"), EndpointConnectionError(endpoint_url="https://s3")]
)
def test_a_failed_abort_does_not_hide_the_error_that_led_to_it(
    bucket: Bucket, error: Exception
) -> None:
    broken = failing(bucket, abort_multipart_upload=error, upload_part=THROTTLED)
    with pytest.raises(ServiceThrottled, match="SlowDown"), broken.writer(KEY) as writer:
        writer.write(PART)


def test_objects_are_downloaded_in_the_given_order_and_missing_ones_are_none(
    stack: Stack, bucket: Bucket, tmp_path: Path
) -> None:
    keys = [f"digits/capture/{number:02d}" for number in range(20)]
    for key in keys:
        stack.put(key, key)
    objects: list[tuple[str, str | None]] = [(key, None) for key in reversed(keys)]
    objects.insert(3, ("digits/capture/missing", None))
    contents = [
        path.read_text() if path else None for path in bucket.download_each(objects, tmp_path)
    ]
    expected: list[str | None] = list(reversed(keys))
    expected.insert(3, None)
    assert contents == expected


def test_the_requested_versions_are_downloaded(
    stack: Stack, bucket: Bucket, tmp_path: Path
) -> None:
    version = stack.put(KEY, b"old")
    stack.put(KEY, b"new")
    paths = bucket.download_each([(KEY, version), (KEY, None)], tmp_path)
    assert [path and path.read_bytes() for path in paths] == [b"old", b"new"]


def test_a_downloaded_file_is_deleted_when_the_next_one_is_requested(
    stack: Stack, bucket: Bucket, tmp_path: Path
) -> None:
    for name in "abc":
        stack.put(name)
    downloaded = [
        path for path in bucket.download_each([("a", None), ("b", None), ("c", None)], tmp_path)
    ]
    assert len(downloaded) == 3
    assert list(tmp_path.iterdir()) == []


def test_objects_that_are_downloaded_together_stay_in_order_and_may_be_missing(
    stack: Stack, bucket: Bucket, tmp_path: Path
) -> None:
    version = stack.put("a", b"old")
    stack.put("a", b"new")
    wanted = [("a", version), ("missing", None), ("a", None)]
    paths = bucket.download_all(wanted, tmp_path)
    assert [path and path.read_bytes() for path in paths] == [b"old", None, b"new"]
    assert bucket.download_all([], tmp_path) == []


def test_a_download_that_is_throttled_is_a_transient_error(bucket: Bucket, tmp_path: Path) -> None:
    throttled = failing(bucket, get_object=THROTTLED)
    with pytest.raises(ServiceThrottled):
        list(throttled.download_each([(KEY, None)], tmp_path))


def test_without_objects_nothing_is_downloaded(bucket: Bucket, tmp_path: Path) -> None:
    assert list(bucket.download_each([], tmp_path)) == []


def test_json_that_is_put_is_indented(bucket: Bucket) -> None:
    bucket.put_json(KEY, {"a": 1})
    assert bucket.read(KEY).decode() == json.dumps({"a": 1}, indent=1)
