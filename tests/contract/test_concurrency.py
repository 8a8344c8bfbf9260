"""How many executions of a function run at the same time is bounded by its event source."""

from __future__ import annotations

import pytest

from tests.support.template import FUNCTIONS, RESOURCES, TEMPLATE

NEW_ACCOUNT = 10
"""Concurrent executions of a new account, of which none can be reserved."""

QUEUES = {
    name: event["Properties"]
    for name, function in FUNCTIONS.items()
    for event in function.get("Events", {}).values()
    if event["Type"] == "SQS"
}


def test_no_function_reserves_concurrency() -> None:
    assert "ReservedConcurrentExecutions" not in TEMPLATE["Globals"]["Function"]
    for name, function in FUNCTIONS.items():
        assert "ReservedConcurrentExecutions" not in function, name


@pytest.mark.parametrize("name", QUEUES)
def test_the_consumers_of_a_queue_are_limited_so_that_a_new_account_can_answer_requests(
    name: str,
) -> None:
    limit = QUEUES[name]["ScalingConfig"]["MaximumConcurrency"]
    assert 2 <= limit <= NEW_ACCOUNT / 2, "2 is the smallest that Lambda takes"


@pytest.mark.parametrize("name", QUEUES)
def test_a_message_stays_invisible_for_longer_than_its_function_may_run(name: str) -> None:
    queue = RESOURCES[QUEUES[name]["Queue"]["Fn::GetAtt"][0]]["Properties"]
    timeout = FUNCTIONS[name].get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
    assert queue["VisibilityTimeout"] > timeout


def test_labels_of_a_minute_become_one_slice_for_each_shard_of_the_stream() -> None:
    (source,) = FUNCTIONS["CountLabelsFunction"]["Events"].values()
    stream = source["Properties"]
    assert stream["ParallelizationFactor"] == 1
    assert stream["BatchSize"] == 10_000
    assert stream["MaximumBatchingWindowInSeconds"] == {"Ref": "CountLabelsWindowSeconds"}
    assert TEMPLATE["Parameters"]["CountLabelsWindowSeconds"]["Default"] == 60


def test_no_function_needs_more_memory_than_a_new_account_gives_it() -> None:
    sizes = {name: function.get("MemorySize") for name, function in FUNCTIONS.items()}
    for name in ("PrepareFunction", "PrepareBatchFunction"):
        assert sizes[name] == {"Ref": "PrepareMemoryMB"}
        sizes[name] = TEMPLATE["Parameters"]["PrepareMemoryMB"]["Default"]
    assert max(size for size in sizes.values() if size is not None) <= 3008
