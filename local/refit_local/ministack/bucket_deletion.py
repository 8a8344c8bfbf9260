"""CloudFormation: a stack does not delete a bucket that is not empty.

AWS        fails to delete the bucket ("The bucket you tried to delete is not empty"), also if it
           has old versions or delete markers only; the stack is then DELETE_FAILED
MiniStack  deletes the bucket with all its objects
Source     CloudFormation User Guide, AWS::S3::Bucket ("You can only delete empty buckets. Deletion
           fails for buckets that have contents."); F5Networks/f5-aws-cloudformation, issue 52 (the
           text)
"""

from __future__ import annotations

import re
from typing import Any

from refit_local.ministack.names import Hook

_MESSAGE = re.compile(rb"<Message>(.*?)</Message>")


def install() -> None:
    """Install this patch into MiniStack."""
    bucket = Hook.RESOURCE_HANDLERS.get()["AWS::S3::Bucket"]
    delete = bucket["delete"]

    def checked_delete(physical_id: str, properties: dict[str, Any]) -> None:
        status, _, body = Hook.DELETE_BUCKET.get()(physical_id)
        if status == 409:
            found = _MESSAGE.search(body)
            raise ValueError(found[1].decode() if found else "BucketNotEmpty")
        delete(physical_id, properties)

    bucket["delete"] = checked_delete
