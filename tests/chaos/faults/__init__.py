"""All faults, a module for each family. Importing this package adds them to the list."""

from tests.chaos.faults import (
    deleted_by_hand,
    killed_functions,
    killed_jobs_and_endpoints,
    killed_stack,
    redelivered,
    started_badly,
)

__all__ = [
    "deleted_by_hand",
    "killed_functions",
    "killed_jobs_and_endpoints",
    "killed_stack",
    "redelivered",
    "started_badly",
]
