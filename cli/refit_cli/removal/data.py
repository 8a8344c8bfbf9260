"""Objects of the bucket and items of the tables of one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_cli.errors import RunFailed
from refit_cli.removal.kinds import Kind, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.stores.labels import LabelStore
    from refit.stores.models import ModelStore

    from refit_cli.connection import StackConnection

_DELETED_AT_ONCE = 1000  # the limit of DeleteObjects
_SHOWN_ERRORS = 3


class ObjectVersions(Kind):
    """All versions and delete markers of the objects below a prefix."""

    key = "object_versions"
    noun = ("object version", "object versions")

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._request = {"Bucket": bucket, "Prefix": prefix}
        self._bucket = bucket

    def resources(self) -> Iterator[Resource]:
        """Yield each version and each delete marker by its key."""
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(**self._request):
            for entry in _entries(page):
                yield Resource(f"s3://{self._bucket}/{entry['Key']}", entry.get("Size", 0))

    def remove(self) -> None:
        """Delete all versions and delete markers.

        Raises:
            RunFailed: when S3 does not delete one of them.
        """
        while entries := _entries(
            self._client.list_object_versions(**self._request, MaxKeys=_DELETED_AT_ONCE)
        ):
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in entries]
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
            )
            if errors := answer.get("Errors"):
                shown = "; ".join(
                    f"{error['Key']}: {error.get('Message', error.get('Code'))}"
                    for error in errors[:_SHOWN_ERRORS]
                )
                raise RunFailed(
                    f"S3 did not delete {len(errors)} object versions of {self._bucket}: {shown}",
                    "s3:DeleteObject and s3:DeleteObjectVersion are required; an object lock or a "
                    "bucket policy also prevents the deletion",
                )


class Uploads(Kind):
    """Multipart uploads below a prefix that were not completed."""

    key = "uploads"
    noun = ("unfinished upload", "unfinished uploads")

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    def resources(self) -> Iterator[Resource]:
        """Yield the uploads by their keys."""
        for upload in self._uploads():
            yield Resource(f"s3://{self._bucket}/{upload['Key']}")

    def remove(self) -> None:
        """Abort the uploads."""
        for upload in list(self._uploads()):
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    def _uploads(self) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
            yield from page.get("Uploads", [])


class Inferences(Kind):
    """Captured predictions with their labels, and held labels. Finding them scans the table."""

    key = "inferences"
    noun = ("prediction or held label", "predictions and held labels")

    def __init__(self, labels: LabelStore, model: str) -> None:
        self._labels = labels
        self._model = model

    def resources(self) -> Iterator[Resource]:
        """Yield the ids of the predictions and held labels."""
        yield from map(Resource, self._labels.ids(self._model))

    def remove(self) -> None:
        """Delete the items."""
        self._labels.delete_all(self._model)


class ModelItems(Kind):
    """Runs, versions, counters, verdicts and the state of the model."""

    key = "table_items"
    noun = ("item of ModelTable", "items of ModelTable")

    def __init__(self, models: ModelStore, model: str) -> None:
        self._models = models
        self._model = model

    def resources(self) -> Iterator[Resource]:
        """Yield the sort keys of the items."""
        for item in self._models.item_keys(self._model):
            yield Resource(item["sk"])
        if self._models.is_known(self._model):
            yield Resource("STATE")

    def remove(self) -> None:
        """Delete the items, except for the state, which marks the model as being removed."""
        self._models.delete_items(self._model)


def _entries(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [*page.get("Versions", []), *page.get("DeleteMarkers", [])]


def data_kinds(connection: StackConnection, model: str) -> list[Kind]:
    """Return the kinds in the order in which they are removed."""
    s3, bucket = connection.client("s3"), connection.stack.bucket
    return [
        Uploads(s3, bucket, f"{model}/"),
        ObjectVersions(s3, bucket, f"{model}/"),
        Inferences(connection.labels, model),
        ModelItems(connection.models, model),
    ]
