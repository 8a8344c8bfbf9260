"""AddTags, ListTags and DeleteTags, for every kind of resource held here."""

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
    """The tags of the resources; they travel in the events of their resource."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def add(self, request: dict[str, Any]) -> dict[str, Any]:
        """AddTags: a key that is there gets the new value."""
        with self._store.lock:
            kind, record = self._tagged(request["ResourceArn"])
            tags = {tag["Key"]: tag for tag in [*record["_tags"], *request["Tags"]]}
            if len(tags) > MAX_TAGS:
                raise ResourceLimitExceeded(f"A resource can have at most {MAX_TAGS} tags.")
            self._store.change(kind, record["_key"], _tags=list(tags.values()))
        return {"Tags": list(tags.values())}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTags: all in one page, 50 is the most there can be."""
        _, record = self._tagged(request["ResourceArn"])
        return {"Tags": record["_tags"]}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteTags: keys that are not there do no harm."""
        with self._store.lock:
            kind, record = self._tagged(request["ResourceArn"])
            kept = [tag for tag in record["_tags"] if tag["Key"] not in request["TagKeys"]]
            self._store.change(kind, record["_key"], _tags=kept)
        return {}

    def _tagged(self, arn: str) -> tuple[str, Record]:
        parsed = kind_and_name(arn)
        if parsed is None or parsed[0] not in KINDS:
            raise ValidationException(f"The resource {arn} cannot be tagged.")
        record = self._store.get(*parsed)
        if record is None:
            raise ResourceNotFound(f"Could not find resource {arn}.")
        return parsed[0], record
