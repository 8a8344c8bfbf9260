"""S3 with the permissions of a role; errors become the FailureReason of a job."""

from __future__ import annotations

import json
import posixpath
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from refit_local.sagemaker.wire.errors import JobFailed, ValidationException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_local.sagemaker.host import HostServices

_S3_URI = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split an S3 URI.

    Raises:
        ValidationException: when the URI is not `s3://bucket/key`.
    """
    match = _S3_URI.fullmatch(uri)
    if match is None:
        raise ValidationException(f"The S3 URI {uri!r} is not of the form s3://bucket/key.")
    return match[1], match[2]


def joined(uri: str, *parts: str) -> str:
    """Join a URI and further parts with one slash between them."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


@dataclass(frozen=True)
class ListedObject:
    """An object and its path below the prefix that was listed."""

    bucket: str
    key: str
    size: int
    relative_path: str

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class RoleStorage:
    """S3 with the permissions of a role."""

    host: HostServices
    role_arn: str

    def objects(self, uri: str, data_type: str) -> list[ListedObject]:
        """Return the objects of an S3 data source, in key order.

        Args:
            uri: a key prefix, or the URI of a manifest.
            data_type: `S3Prefix` or `ManifestFile`.

        Raises:
            JobFailed: when there are none, or the role may not list them.
        """
        bucket, key = bucket_and_key(uri)
        if data_type == "ManifestFile":
            return self._listed_in_manifest(bucket, key)
        objects = list(self._below(bucket, key))
        if not objects:
            raise JobFailed(
                f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" '
                "given in input data source. Please ensure that the bucket exists in the "
                f"selected region ({self.host.region}), that objects exist under that S3 "
                f'prefix, and that the role "{self.role_arn}" has "s3:ListBucket" permissions '
                f'on bucket "{bucket}".'
            )
        return objects

    def existing(self, uri: str) -> list[ListedObject]:
        """Return the objects below a prefix; there may be none.

        Raises:
            JobFailed: when the role may not list them.
        """
        return list(self._below(*bucket_and_key(uri)))

    def download(self, item: ListedObject, path: Path) -> None:
        """Write an object to a file; the folder of the file is created.

        Raises:
            JobFailed: when the object does not exist or the role may not read it.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._as_job_failure("Data download", item.uri):
            self._s3().download_file(item.bucket, item.key, str(path))

    def upload(self, path: Path, uri: str) -> None:
        """Write a file to S3.

        Raises:
            JobFailed: when the role may not write the object.
        """
        bucket, key = bucket_and_key(uri)
        with self._as_job_failure("Artifact upload", uri):
            self._s3().upload_file(str(path), bucket, key)

    def put(self, body: bytes, uri: str, content_type: str) -> None:
        """Write bytes to S3.

        Raises:
            JobFailed: when the role may not write the object.
        """
        bucket, key = bucket_and_key(uri)
        with self._as_job_failure("Upload", uri):
            self._s3().put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def object_at(self, uri: str) -> ListedObject:
        """Return the object at a URI.

        Raises:
            JobFailed: when the object does not exist or the role may not read it.
        """
        bucket, key = bucket_and_key(uri)
        with self._as_job_failure("Data download", uri):
            size = self._s3().head_object(Bucket=bucket, Key=key)["ContentLength"]
        return ListedObject(bucket, key, size, posixpath.basename(key))

    def _below(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        with self._as_job_failure("Data download", f"s3://{bucket}/{prefix}"):
            pages = self._s3().get_paginator("list_objects_v2")
            for listed in pages.paginate(Bucket=bucket, Prefix=prefix):
                for entry in listed.get("Contents", []):
                    key = entry["Key"]
                    if not key.endswith("/"):
                        yield ListedObject(bucket, key, entry["Size"], _below_prefix(key, prefix))

    def _listed_in_manifest(self, bucket: str, key: str) -> list[ListedObject]:
        uri = f"s3://{bucket}/{key}"
        with self._as_job_failure("Data download", uri):
            text = self._s3().get_object(Bucket=bucket, Key=key)["Body"].read()
        try:
            head, *names = json.loads(text)
            prefix = head["prefix"]
            objects = [self.object_at(f"{prefix}{name}") for name in names]
        except (ValueError, TypeError, KeyError) as error:
            raise JobFailed(
                f"ClientError: Data download failed: the manifest {uri} is not a JSON array of "
                f'{{"prefix": "s3://…"}} and key names ({error})'
            ) from error
        return [
            ListedObject(item.bucket, item.key, item.size, str(name))
            for item, name in zip(objects, names, strict=True)
        ]

    def _s3(self) -> Any:
        return self.host.s3_as(self.role_arn)

    @contextmanager
    def _as_job_failure(self, action: str, uri: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            answer = error.response["Error"]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
            code = answer.get("Code", "")
            # The answer to HEAD has no body, so the error code is the HTTP status there.
            code = {"404": "NoSuchKey", "403": "AccessDenied"}.get(code, code)
            raise JobFailed(
                f"ClientError: {action} failed: {code} ({status}): {answer.get('Message', '')} "
                f"[{uri}, as role {self.role_arn}]"
            ) from error
        except (BotoCoreError, OSError) as error:
            raise JobFailed(f"InternalServerError: {action} failed: {error} [{uri}]") from error


def local_path(folder: Path, relative_path: str) -> Path:
    """Return the path of an object in a folder.

    Args:
        folder: the folder.
        relative_path: the path of the object below the listed prefix.

    Raises:
        JobFailed: when the path would leave the folder.
    """
    path = PurePosixPath(relative_path)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise JobFailed(
            f"ClientError: Data download failed: the key {relative_path!r} is not a safe path"
        )
    return folder.joinpath(*path.parts)


def _below_prefix(key: str, prefix: str) -> str:
    """Return the path below the prefix; a name that the prefix cuts is kept whole."""
    rest = key[len(prefix) :]
    if rest and (prefix.endswith("/") or rest.startswith("/") or not prefix):
        return rest.lstrip("/")
    return key[prefix.rfind("/") + 1 :]
