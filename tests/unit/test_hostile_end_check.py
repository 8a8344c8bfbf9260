"""The end check of a hostile run finds what is lost, counted twice or left open."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from tests.e2e.hostility import differences

FILE = {"key": "digits/raw/a.csv", "version": "v1"}
DROP = {"cause": "drop", "files": [FILE]}
SOUND: dict[str, Any] = {
    "answered": {"digits#1", "digits#2"},
    "labelled": {"digits#1", "digits#3"},
    "dropped": {FILE["key"]},
    "inferences": [
        {
            "id": "digits#1",
            "model": "digits",
            "version": 1,
            "digest": "d",
            "labels": ["3"],
            "counted": {"shown": "3"},
        },
        {"id": "digits#2", "model": "digits", "version": 1, "digest": "d"},
        {"id": "digits#3", "model": "digits", "labels": ["held"]},
    ],
    "counters": {"predictions": 2, "labelled": 1},
    "state": {"champion": 1},
    "runs": [{"run": "r1", "status": "DEPLOYED"}],
    "drops": {"r1": DROP},
}


class RecordedUser:
    """A user whose stack has what the test says."""

    class NoSuchKey(Exception):
        pass

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.outputs = {"InferenceTableName": "inferences"}
        self.labelled = facts["labelled"]
        self.answered, self.dropped = facts["answered"], facts["dropped"]
        self.exceptions = self

    def client(self, service: str) -> Any:
        return self

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, **request: Any) -> Any:
        writer = TypeSerializer()
        items = self.facts["inferences"]
        return [{"Items": [{k: writer.serialize(v) for k, v in item.items()} for item in items]}]

    def counters(self, model: str, version: int) -> Counter[str]:
        return Counter(self.facts["counters"])

    def models(self) -> list[str]:
        return ["digits"]

    def runs(self, model: str) -> Any:
        return self.facts["runs"]

    def state(self, model: str) -> Any:
        return self.facts["state"]

    def read_json(self, key: str) -> Any:
        return self.facts["drops"][key.split("/")[2]]


def found(**changes: Any) -> list[str]:
    user: Any = RecordedUser(copy.deepcopy(SOUND) | changes)
    return differences(user)


def test_a_stack_that_has_lost_and_repeated_nothing_has_no_differences() -> None:
    assert found() == []


RETRY = DROP | {"retry_of": "r1"}
TWO_RUNS = [{"run": name, "status": "FAILED"} for name in ("r1", "r2")]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"labelled": {"digits#2"}}, "the label of digits#2 is lost"),
        ({"answered": {"digits#4"}}, "prediction digits#4 is lost"),
        (
            {"counters": {"predictions": 3, "labelled": 1}},
            "digits version 1: 3 predictions are counted, and 2 are recorded",
        ),
        (
            {"counters": {"predictions": 2, "labelled": 2}},
            "digits version 1: 2 labelled are counted, and 1 are recorded",
        ),
        ({"runs": [{"run": "r1", "status": "TRAINING"}]}, "run r1 of digits is TRAINING"),
        ({"state": {"active_run": "r1"}}, "digits is locked by its active_run r1"),
        ({"dropped": {FILE["key"], "digits/raw/b.csv"}}, "digits/raw/b.csv is in no run"),
        (
            {"runs": TWO_RUNS, "drops": {"r1": DROP, "r2": DROP}},
            "2 runs have [('digits/raw/a.csv', 'v1')]",
        ),
    ],
)
def test_each_difference_is_named(changes: dict[str, Any], difference: str) -> None:
    assert found(**changes) == [difference]


def test_a_run_that_a_user_has_repeated_may_have_the_same_files() -> None:
    assert found(runs=TWO_RUNS, drops={"r1": DROP, "r2": RETRY}) == []
