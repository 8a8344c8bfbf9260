"""Read and write the objects of the bucket, whole or as a stream."""

from __future__ import annotations

import json
import shutil
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from refit.domain.errors import ObjectNotFound, ServiceThrottled
from refit.domain.pipeline.manifest import NO_VERSION, ObjectVersion
from refit.stores.clients import error_code, translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

PART_BYTES = 8 * 1024 * 1024
"""S3 requires parts of at least 5 MiB, except for the last part."""

_CONCURRENT_DOWNLOADS = 8  # botocore keeps 10 connections
_MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "405", "MethodNotAllowed"})


class Bucket:
    """The objects of one bucket. Each method translates transient errors of S3."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        """Open an object for reading as a stream.

        Raises:
            ObjectNotFound: when the object or the given version of it does not exist.
        """
        with self._translate_errors(key, version):
            body = self.client.get_object(**self._request(key, version))["Body"]
        return cast("IO[bytes]", _Stream(body))

    def last_modified(self, key: str, version: str | None = None) -> datetime:
        """Return when an object was written. Raises ObjectNotFound when it does not exist."""
        with self._translate_errors(key, version):
            answer = self.client.head_object(**self._request(key, version))
        return cast("datetime", answer["LastModified"])

    def latest_version(self, key: str) -> str:
        """Return the version of an object. Raises ObjectNotFound when it does not exist."""
        with self._translate_errors(key):
            answer = self.client.head_object(Bucket=self.name, Key=key)
        return str(answer.get("VersionId", NO_VERSION))

    def size_bytes(self, key: str, version: str | None = None) -> int:
        """Return the size of an object. Raises ObjectNotFound when it does not exist."""
        with self._translate_errors(key, version):
            answer = self.client.head_object(**self._request(key, version))
        return int(answer["ContentLength"])

    def read(self, key: str, version: str | None = None) -> bytes:
        """Return a whole object. Raises ObjectNotFound when it does not exist."""
        with self._translate_errors(key, version):
            answer = self.client.get_object(**self._request(key, version))
            return cast("bytes", answer["Body"].read())

    def read_latest(self, key: str, max_bytes: int) -> tuple[bytes, str]:
        """Return the first bytes of an object and its version.

        Raises:
            ObjectNotFound: when it does not exist.
        """
        with self._translate_errors(key):
            answer = self.client.get_object(Bucket=self.name, Key=key)
            return answer["Body"].read(max_bytes), answer.get("VersionId", NO_VERSION)

    def read_json(self, key: str) -> Any:
        """Return a JSON object, parsed. Raises ObjectNotFound when it does not exist."""
        return json.loads(self.read(key))

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Write a whole object."""
        with translate_transient_errors():
            self.client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=content_type)

    def put_json(self, key: str, value: Any) -> None:
        """Write a value as indented JSON."""
        self.put(key, json.dumps(value, indent=1, default=str).encode(), "application/json")

    def upload(self, path: Path, key: str, content_type: str = "application/octet-stream") -> None:
        """Copy a local file to an object, in constant memory."""
        from boto3.s3.transfer import (  # noqa: PLC0415 (only Prepare uploads files)
            TransferConfig,
            create_transfer_manager,
        )

        # client.upload_file is not used, because its exception hides the error code.
        with (
            translate_transient_errors(),
            create_transfer_manager(self.client, TransferConfig()) as transfers,
        ):
            transfers.upload(
                str(path), self.name, key, extra_args={"ContentType": content_type}
            ).result()

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket. Raises ObjectNotFound when the source is missing."""
        with self._translate_errors(source):
            self.client.copy({"Bucket": self.name, "Key": source}, self.name, target)

    def list(self, prefix: str, after: str | None = None) -> list[ObjectVersion]:
        """Return the current versions of the objects below a prefix, in the order of their keys.

        Args:
            prefix: beginning of the keys.
            after: only keys after this one; None for all.
        """
        objects: list[ObjectVersion] = []
        begin = {"KeyMarker": after} if after else {}
        with translate_transient_errors():
            pages = self.client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.name, Prefix=prefix, **begin):
                objects += [
                    ObjectVersion(
                        key=entry["Key"],
                        version=entry["VersionId"],
                        size=entry["Size"],
                        last_modified=entry["LastModified"],
                        # The ETag of an upload in parts ends in their number.
                        is_multipart="-" in entry["ETag"],
                    )
                    for entry in page.get("Versions", [])
                    if entry["IsLatest"]
                ]
        return sorted(objects, key=lambda entry: entry.key)

    def download_each(
        self, objects: Sequence[tuple[str, str | None]], folder: Path
    ) -> Iterator[Path | None]:
        """Yield each object as a local file, in the given order; None for a missing object.

        Eight downloads run at a time, because downloading thousands of small objects one after the
        other would be slow.

        Args:
            objects: keys, each with a version, or None for the latest version.
            folder: folder for the files. A file exists until the next one is requested.
        """
        wanted = enumerate(objects)
        pending: deque[tuple[Path, Future[bool]]] = deque()
        with ThreadPoolExecutor(_CONCURRENT_DOWNLOADS) as pool:

            def start(count: int) -> None:
                for number, (key, version) in islice(wanted, count):
                    path = folder / f"download-{number}"
                    pending.append((path, pool.submit(self._download, key, version, path)))

            start(_CONCURRENT_DOWNLOADS)
            while pending:
                path, download = pending.popleft()
                exists = download.result()
                start(1)
                yield path if exists else None
                path.unlink(missing_ok=True)

    def download_all(
        self, objects: Sequence[tuple[str, str | None]], folder: Path
    ) -> Sequence[Path | None]:
        """Return each object as a local file, in the given order; None for a missing object.

        Eight downloads run at a time, as in `download_each`, and the files stay.
        """

        def download(item: tuple[int, tuple[str, str | None]]) -> Path | None:
            number, (key, version) = item
            path = folder / f"object-{number}"
            return path if self._download(key, version, path) else None

        with ThreadPoolExecutor(_CONCURRENT_DOWNLOADS) as pool:
            return [*pool.map(download, enumerate(objects))]

    def _download(self, key: str, version: str | None, path: Path) -> bool:
        try:
            stream = self.open(key, version)
        except ObjectNotFound:
            return False
        with path.open("wb") as out:
            shutil.copyfileobj(stream, out, PART_BYTES)
        return True

    @contextmanager
    def writer(self, key: str, content_type: str = "text/csv") -> Iterator[ObjectWriter]:
        """Write an object while its bytes are produced; after an error no object is created."""
        writer = ObjectWriter(self, key, content_type)
        try:
            yield writer
            writer.complete()
        except BaseException:  # also on Ctrl-C: S3 charges for the parts of open uploads
            writer.abort()
            raise

    def _request(self, key: str, version: str | None) -> dict[str, str]:
        request = {"Bucket": self.name, "Key": key}
        return request | {"VersionId": version} if version and version != NO_VERSION else request

    @contextmanager
    def _translate_errors(self, key: str, version: str | None = None) -> Iterator[None]:
        try:
            with translate_transient_errors():
                yield
        except ClientError as error:
            if error_code(error) not in _MISSING:
                raise
            name = f"{key} (version {version})" if version else key
            raise ObjectNotFound(f"s3://{self.name}/{name} does not exist (any more)") from error


class _Stream:
    """The body of an object. A connection that is lost while reading is a transient error."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body

    def read(self, size: int = -1) -> bytes:
        with translate_transient_errors():
            return self._body.read() if size < 0 else self._body.read(size)

    def close(self) -> None:
        self._body.close()


class ObjectWriter:
    """Writes an object in parts. An object smaller than a part is written by one PutObject.

    Attributes:
        size_bytes: number of bytes written so far.
    """

    def __init__(self, bucket: Bucket, key: str, content_type: str) -> None:
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append bytes and upload the parts that are full."""
        self._buffer += data
        self.size_bytes += len(data)
        while len(self._buffer) >= PART_BYTES:
            self._upload_part(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]

    def complete(self) -> None:
        """Upload the rest and complete the object."""
        if self._upload_id is None:
            self._bucket.put(self._key, bytes(self._buffer), self._content_type)
            return
        if self._buffer:
            self._upload_part(bytes(self._buffer))
        with translate_transient_errors():
            self._bucket.client.complete_multipart_upload(
                **self._target(),
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
            )

    def abort(self) -> None:
        """Discard the parts that were uploaded.

        An error is ignored, so that the original error is reported. The bucket's lifecycle rule
        removes the parts later.
        """
        if self._upload_id is not None:
            with suppress(ClientError, ServiceThrottled), translate_transient_errors():
                self._bucket.client.abort_multipart_upload(
                    **self._target(), UploadId=self._upload_id
                )

    def _target(self) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": self._key}

    def _upload_part(self, part: bytes) -> None:
        with translate_transient_errors():
            if self._upload_id is None:
                answer = self._bucket.client.create_multipart_upload(
                    **self._target(), ContentType=self._content_type
                )
                self._upload_id = answer["UploadId"]
            number = len(self._parts) + 1
            answer = self._bucket.client.upload_part(
                **self._target(), UploadId=self._upload_id, PartNumber=number, Body=part
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
