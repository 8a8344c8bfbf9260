"""Read and explain the refusal of a job or an endpoint that exceeds a quota of instances."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REFUSAL = re.compile(
    r"account-level service limit '([^']+)' is (\d+) Instances, with current utilization of (\d+) "
    r"Instances and a request delta of (\d+) Instances"
)


@dataclass(frozen=True)
class QuotaExceeded:
    """A quota of SageMaker that leaves too few instances.

    Attributes:
        quota: its name in Service Quotas.
        limit: instances that the account may have.
        in_use: instances that the account had when the request was refused.
        requested: further instances that the request needs.
    """

    quota: str
    limit: int
    in_use: int
    requested: int

    @property
    def increase(self) -> str:
        """How to get a larger quota."""
        return (
            "Request an increase in Service Quotas (`refit doctor --aws` prints the command if "
            "the quota is too small for one model)."
        )

    @property
    def explanation(self) -> str:
        """What was refused, and what to do. A deployment adds how to repeat it."""
        again = "" if "endpoint" in self.quota else " Then run the same data again: refit retry."
        return (
            f"SageMaker's quota {self.quota!r} of this account is {self.limit}; in use: "
            f"{self.in_use}, needed in addition: {self.requested}. {self.increase}{again}"
        )

    def waiting(self, since: str) -> str:
        """Return the notice that a run waits for instances that others use.

        It stays with the run until the run ends, so it is true of a run that has waited, too.

        Args:
            since: when the wait began, for people.
        """
        return (
            f"At {since} SageMaker's quota {self.quota!r} of this account, which is {self.limit}, "
            f"was used up; in use: {self.in_use}, needed in addition: {self.requested}. The run "
            "tries again for a day, at least every half hour, and continues by itself when other "
            f"jobs or endpoints of the account have ended. {self.increase}"
        )


def read_quota_error(cause: str) -> QuotaExceeded | None:
    """Return the quota that the cause of an error names; None if it is another limit."""
    match = _REFUSAL.search(cause)
    if match is None:
        return None
    quota, *numbers = match.groups()
    limit, in_use, requested = map(int, numbers)
    return QuotaExceeded(quota, limit, in_use, requested)
