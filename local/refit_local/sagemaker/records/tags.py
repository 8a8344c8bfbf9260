"""AddTags, ListTags and DeleteTags, for all kinds of resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.naming import KINDS, kind_and_name
from refit_local.sagemaker.wire.errors import (
    ResourceLimitExceeded,
    ResourceNotFound,
    ValidationException,
)

if TYPE_CHECKING:
    from refit_local.sagemaker.records.store import Record, RecordStore

MAX_TAGS = 50


class ResourceTags:
    """The tags of resources. Events contain the tags of their resource."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def add(self, request: dict[str, Any]) -> dict[str, Any]:
        """AddTags: an existing key gets the new value."""
        with self._store.lock:
            kind, record = self._tagged(request["ResourceArn"])
            tags = {tag["Key"]: tag for tag in [*record["_tags"], *request["Tags"]]}
            if len(tags) > MAX_TAGS:
                raise ResourceLimitExceeded(f"A resource can have at most {MAX_TAGS} tags.")
            self._store.change(kind, record["_key"], _tags=list(tags.values()))
        return {"Tags": list(tags.values())}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTags: always one page, because a resource has at most 50 tags."""
        _, record = self._tagged(request["ResourceArn"])
        return {"Tags": record["_tags"]}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteTags: keys that do not exist are ignored."""
        with self._store.lock:
            kind, record = self._tagged(request["ResourceArn"])
            remaining = [tag for tag in record["_tags"] if tag["Key"] not in request["TagKeys"]]
            self._store.change(kind, record["_key"], _tags=remaining)
        return {}

    def _tagged(self, arn: str) -> tuple[str, Record]:
        parsed = kind_and_name(arn)
        if parsed is None or parsed[0] not in KINDS:
            raise ValidationException(f"The resource {arn} cannot be tagged.")
        record = self._store.get(*parsed)
        if record is None:
            raise ResourceNotFound(f"Could not find resource {arn}.")
        return parsed[0], record
