"""What a hostile run of the end-to-end tests adds: the end check, and the report of the faults.

REFIT_HOSTILE=SEED makes the local stack hostile (`make hostile`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer
from refit_local.ministack.hostile import SEED_VARIABLE
from refit_local.ministack.hostile.faults import REPORT

from tests.e2e.driver import ENDED, User, wait_for

if TYPE_CHECKING:
    from pathlib import Path

CHECK_TIMEOUT_S = 120
SHOWN = 30
"""Differences that the message of a failure lists."""


def is_wanted() -> bool:
    """Return whether the local stack of the tests is hostile."""
    return bool(os.environ.get(SEED_VARIABLE))


def check_that_nothing_is_lost_or_repeated(user: User) -> None:
    """Compare what was sent with what Refit recorded and counted, when it has come to rest.

    Every answered prediction is recorded, with the labels that were accepted for it; the counters
    agree with the recorded predictions and labels; no run is open, and no model is locked; every
    dropped file is in a run, and no two runs have the same files, unless a user has repeated a run.
    """
    try:
        wait_for(lambda: not differences(user) or None, "agreement", CHECK_TIMEOUT_S)
    except AssertionError:
        found = differences(user)
        assert not found, "\n".join([f"{len(found)} differences:", *found[:SHOWN]])


def show_faults(state: Path) -> None:
    """Print the faults that were injected."""
    report = json.loads((state / REPORT).read_text())
    print(f"\nfaults injected with seed {report['seed']}:")
    for title, number in report["faults"].items():
        print(f"{number:6d} of {report['occasions'][title]:6d}  {title}")


def show_failed_runs(user: User) -> None:
    """Print why runs have failed; some tests let them fail."""
    for model in user.models():
        for run in user.runs(model):
            if run["status"] == "FAILED":
                print(f"run {run['run']} of {model}: {run.get('error')}: {run.get('message')}")


def differences(user: User) -> list[str]:
    """Return what Refit has lost, counted wrongly or left open."""
    recorded = [item for item in _recorded(user) if "digest" in item]
    found = _lost_records(user, recorded) + _wrong_counters(user, recorded)
    for model in user.models():
        found += open_runs(user, model) + _wrong_drops(user, model)
    return found


def _recorded(user: User) -> list[dict[str, Any]]:
    pages = (
        user.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=user.outputs["InferenceTableName"],
            ProjectionExpression="id, digest, #model, #version, labels, counted",
            ExpressionAttributeNames={"#model": "model", "#version": "version"},
        )
    )
    reader = TypeDeserializer()
    return [
        {name: reader.deserialize(value) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    ]


def _lost_records(user: User, recorded: list[dict[str, Any]]) -> list[str]:
    names = {item["id"] for item in recorded}
    unlabelled = {item["id"] for item in recorded if not item.get("labels")}
    found = [f"prediction {name} is lost" for name in sorted(user.answered - names)]
    return found + [f"the label of {name} is lost" for name in sorted(user.labelled & unlabelled)]


def _wrong_counters(user: User, recorded: list[dict[str, Any]]) -> list[str]:
    predictions: Counter[tuple[str, int]] = Counter()
    labelled: Counter[tuple[str, int]] = Counter()
    for item in recorded:
        key = (item["model"], int(item["version"]))
        predictions[key] += 1
        labelled[key] += "shown" in item.get("counted", {})
    found = []
    for (model, version), number in predictions.items():
        counters = user.counters(model, version)
        for name, expected in (("predictions", number), ("labelled", labelled[model, version])):
            if counters[name] != expected:
                found.append(
                    f"{model} version {version}: {counters[name]} {name} are counted, "
                    f"and {expected} are recorded"
                )
    return found


def open_runs(user: User, model: str) -> list[str]:
    """Return the runs of a model that have not ended, and its locks."""
    found = [
        f"run {run['run']} of {model} is {run['status']}"
        for run in user.runs(model)
        if run["status"] not in ENDED
    ]
    state = user.state(model)
    locks = [name for name in ("active_run", "deployment") if name in state]
    return found + [f"{model} is locked by its {name} {state[name]}" for name in locks]


def _wrong_drops(user: User, model: str) -> list[str]:
    """Compare the dropped files with those of the runs."""
    runs_of: Counter[frozenset[tuple[str, str]]] = Counter()
    taken: set[str] = set()
    for run in user.runs(model):
        try:
            drop = user.read_json(f"{model}/runs/{run['run']}/drop.json")
        except user.client("s3").exceptions.NoSuchKey:
            continue
        files = frozenset((file["key"], file["version"]) for file in drop["files"])
        taken |= {key for key, _ in files}
        if drop["cause"] == "drop" and drop.get("retry_of") is None:
            runs_of[files] += 1
    found = [f"{n} runs have {sorted(files)}" for files, n in runs_of.items() if n > 1]
    dropped = {key for key in user.dropped if key.startswith(f"{model}/")}
    return found + [f"{key} is in no run" for key in sorted(dropped - taken)]
