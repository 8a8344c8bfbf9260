"""The bucket: objects in and out, whole or as a stream."""

from __future__ import annotations

import json
import shutil
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from refit.domain.errors import DatasetNotFound
from refit.environment import environment
from refit.stores.clients import client, error_code, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

PART_BYTES = 8 * 1024 * 1024  # S3 takes parts of 5 MB and more
_FETCHED_AHEAD = 8  # botocore keeps 10 connections


@dataclass(frozen=True)
class S3Object:
    """One object's current version, as a listing gives it."""

    key: str
    size: int
    version: str
    etag: str
    last_modified: datetime


@contextmanager
def _missing_named(key: str, version: str | None = None) -> Iterator[None]:
    try:
        with passing_troubles_named():
            yield
    except ClientError as error:
        if error_code(error) in {"NoSuchKey", "NoSuchVersion", "404", "405", "MethodNotAllowed"}:
            what = f"{key} (version {version})" if version else key
            raise DatasetNotFound(
                f"s3://{environment().bucket}/{what} is not there (any more): drop the file again"
            ) from error
        raise


def _request(key: str, version: str | None) -> dict[str, str]:
    request = {"Bucket": environment().bucket, "Key": key}
    return request | {"VersionId": version} if version and version != "null" else request


def open_stream(key: str, version: str | None = None) -> IO[bytes]:
    """Open an object for reading without loading it.

    Raises:
        DatasetNotFound: when the object or this version of it does not exist.
    """
    with _missing_named(key, version):
        return cast("IO[bytes]", client("s3").get_object(**_request(key, version))["Body"])


def last_modified(key: str, version: str | None = None) -> datetime:
    """Return when an object was written. Raises DatasetNotFound when it does not exist."""
    with _missing_named(key, version):
        answer = client("s3").head_object(**_request(key, version))
    return cast("datetime", answer["LastModified"])


def get_bytes(key: str, version: str | None = None) -> bytes:
    """Return a whole object. Raises DatasetNotFound when it does not exist."""
    with _missing_named(key, version):
        return cast("bytes", client("s3").get_object(**_request(key, version))["Body"].read())


def get_json(key: str) -> Any:
    """Return a JSON object, parsed. Raises DatasetNotFound when it does not exist."""
    return json.loads(get_bytes(key))


def put_bytes(key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
    """Write a whole object."""
    with passing_troubles_named():
        client("s3").put_object(
            Bucket=environment().bucket, Key=key, Body=data, ContentType=content_type
        )


def put_json(key: str, value: Any) -> None:
    """Write a value as JSON that a person can read."""
    put_bytes(key, json.dumps(value, indent=1, default=str).encode(), "application/json")


def upload(path: Path, key: str, content_type: str = "application/octet-stream") -> None:
    """Copy a file to an object, in constant memory."""
    with passing_troubles_named():
        client("s3").upload_file(
            str(path), environment().bucket, key, ExtraArgs={"ContentType": content_type}
        )


def copy(source: str, target: str) -> None:
    """Copy an object within the bucket. Raises DatasetNotFound when the source is missing."""
    bucket = environment().bucket
    with _missing_named(source):
        client("s3").copy({"Bucket": bucket, "Key": source}, bucket, target)


def list_keys(prefix: str) -> list[S3Object]:
    """Return the current objects below a prefix, in the order of their keys."""
    found: list[S3Object] = []
    with passing_troubles_named():
        pages = client("s3").get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=environment().bucket, Prefix=prefix):
            found += [
                S3Object(
                    key=entry["Key"],
                    size=entry["Size"],
                    version=entry["VersionId"],
                    etag=entry["ETag"].strip('"'),
                    last_modified=entry["LastModified"],
                )
                for entry in page.get("Versions", [])
                if entry["IsLatest"]
            ]
    return sorted(found, key=lambda entry: entry.key)


def fetched(objects: Sequence[tuple[str, str | None]], folder: Path) -> Iterator[Path | None]:
    """Yield each object as a file in the folder, in the order given; None for one that is gone.

    A few are fetched side by side, ahead of what is read: thousands of small ones would else wait
    for each other. A file is there until the next one is asked for.

    Args:
        objects: keys, each with the version that is wanted or None for the newest.
        folder: takes the files, a few at a time.
    """
    client("s3")  # made before there are threads
    wanted = enumerate(objects)
    waiting: deque[tuple[Path, Future[bool]]] = deque()
    with ThreadPoolExecutor(_FETCHED_AHEAD) as pool:

        def begin(count: int) -> None:
            for number, (key, version) in islice(wanted, count):
                path = folder / f"fetched-{number}"
                waiting.append((path, pool.submit(_fetch, key, version, path)))

        begin(_FETCHED_AHEAD)
        while waiting:
            path, fetch = waiting.popleft()
            found = fetch.result()
            begin(1)
            yield path if found else None
            path.unlink(missing_ok=True)


def _fetch(key: str, version: str | None, path: Path) -> bool:
    try:
        stream = open_stream(key, version)
    except DatasetNotFound:
        return False
    with path.open("wb") as out, passing_troubles_named():
        shutil.copyfileobj(stream, out, PART_BYTES)
    return True


class MultipartWriter:
    """Write an object in parts as its bytes are made; an error leaves nothing behind.

    A context manager. An object that stays below one part is written in a single put.
    """

    def __init__(self, key: str, content_type: str = "text/csv") -> None:
        self._key = key
        self._content_type = content_type
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self.size_bytes = 0

    def __enter__(self) -> MultipartWriter:
        return self

    def write(self, data: bytes) -> None:
        """Append bytes; full parts go out at once."""
        self._buffer += data
        self.size_bytes += len(data)
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]

    def _target(self) -> dict[str, str]:
        return {"Bucket": environment().bucket, "Key": self._key}

    def _send(self, part: bytes) -> None:
        with passing_troubles_named():
            if self._upload_id is None:
                answer = client("s3").create_multipart_upload(
                    **self._target(), ContentType=self._content_type
                )
                self._upload_id = answer["UploadId"]
            number = len(self._parts) + 1
            answer = client("s3").upload_part(
                **self._target(), UploadId=self._upload_id, PartNumber=number, Body=part
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            if self._upload_id is not None:
                client("s3").abort_multipart_upload(**self._target(), UploadId=self._upload_id)
            return
        if self._upload_id is None:
            put_bytes(self._key, bytes(self._buffer), self._content_type)
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        with passing_troubles_named():
            client("s3").complete_multipart_upload(
                **self._target(),
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
            )
