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
        """What was refused, and what to do."""
        return (
            f"SageMaker's quota {self.quota!r} of this account is {self.limit}; {self.in_use} "
            f"of it are in use, and {self.requested} more are needed. {self.increase} Then run the "
            "same data again with `refit retry`."
        )

    def waiting(self, began: str) -> str:
        """Return the notice that a run waits for instances that others use.

        Args:
            began: when the wait began, for people.
        """
        return (
            f"Since {began} the run waits, because SageMaker's quota {self.quota!r} of this "
            f"account is {self.limit}, and {self.in_use} of it are in use. It is tried again for "
            "a day, at least every half hour; when other jobs or endpoints of the account end, it "
            f"continues by itself. {self.increase}"
        )


def read_quota_error(cause: str) -> QuotaExceeded | None:
    """Return the quota that the cause of an error names; None if it is another limit."""
    match = _REFUSAL.search(cause)
    if match is None:
        return None
    quota, *numbers = match.groups()
    limit, in_use, requested = map(int, numbers)
    return QuotaExceeded(quota, limit, in_use, requested)
