"""What one check needed, what it found, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_ACCESS_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


class Status(StrEnum):
    """The result of a check; only `MISSING` prevents a deployment or a run."""

    READY = "ready"
    NOTE = "note"
    UNCHECKED = "unchecked"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was checked.
        advice: what to do; None if there is nothing to do.
    """

    check: str
    status: Status
    needed: str
    found: str
    advice: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the finding as an object of JSON."""
        return {**asdict(self), "status": str(self.status)}


def is_denied(error: ClientError) -> bool:
    """Return whether AWS refused a request because a permission is missing."""
    return error.response["Error"]["Code"] in _ACCESS_DENIED


def not_allowed(check: str, needed: str, action: str) -> Finding:
    """Return the finding of a check for which the caller lacks a permission."""
    return Finding(
        check, Status.UNCHECKED, needed, f"not checked: {action} is not allowed", f"allow {action}"
    )
