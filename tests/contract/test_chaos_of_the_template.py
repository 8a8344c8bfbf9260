"""The campaign of faults kills each function of the template."""

from __future__ import annotations

import tests.chaos.faults  # noqa: F401 (adds all faults to the list)
from tests.chaos.fault import FAULTS
from tests.support.template import FUNCTIONS

NOT_KILLED = {
    "CompactLedger": "runs by the hour",
    "Console": "answers with files of its package",
    "FailBatch": "runs when another function of a batch has failed twice",
    "RecordTuning": "runs after a search of many minutes",
    "ReportWait": "runs when AWS has no capacity, and says so only",
}


def test_each_function_is_killed_by_a_fault_or_has_a_reason() -> None:
    functions = {name.removesuffix("Function") for name in FUNCTIONS}
    killed = {
        "".join(part.title() for part in name.removeprefix("killed-").split("-"))
        for name in FAULTS
        if name.startswith("killed-")
    }
    assert functions - killed == set(NOT_KILLED)
