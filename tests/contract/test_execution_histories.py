"""The longest history of each machine has less than 25,000 events, where an execution fails.

Upper bounds, computed from the definitions: every state is visited as often as its loop allows, and
every task fails as often as its Retry allows. What counters do not bound, the wait for an endpoint,
is bounded by its time. A deployment that AWS has failed is planned again: one attempt has this
bound, and all of them together that of calls which succeed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from refit.domain.training_settings import MAX_FOLDS

from tests.support.template import DEFINITIONS, TEMPLATE, branches_of, states_of

LIMIT = 25_000
TRAIN, DEPLOY = DEFINITIONS["train.asl.json"], DEFINITIONS["deploy.asl.json"]
POLLED = ("WaitForEndpoint", "DescribeEndpoint", "IsItInService")
POLLED_FOR_S = 120 * 60
FEWEST_POLL_S = TEMPLATE["Parameters"]["PollSeconds"]["MinValue"]


def retries_of(state: dict[str, Any]) -> int:
    return sum(rule["MaxAttempts"] for rule in state.get("Retry", []))


def events_of(state: dict[str, Any]) -> int:
    """Return the most events of one visit: Entered and Exited, and what the type adds."""
    match state["Type"]:
        case "Task":
            # Scheduled, Started, then Succeeded or Failed; a .sync task also Submitted.
            of_attempt = 4 if state["Resource"].endswith(".sync") else 3
            return 2 + of_attempt * (1 + retries_of(state))
        case "Parallel" | "Map":
            return 4  # also Started, and Succeeded or Failed
        case _:
            return 2


def bounds_of(machine: dict[str, Any]) -> dict[str, int]:
    """Return the bound of each counter that the conditions of a machine have: `$waits < 50`."""
    text = json.dumps(machine)
    bounds: dict[str, int] = {}
    for name, bound in re.findall(r"\$(\w*(?:attempt|waits|repeats)) < (\d+)", text):
        bounds[name] = max(bounds.get(name, 0), int(bound))
    return bounds


def followers(state: dict[str, Any]) -> set[str]:
    rules = [state, *state.get("Choices", []), *state.get("Catch", [])]
    return {rule[key] for rule in rules for key in ("Next", "Default") if key in rule}


def reached(machine: dict[str, Any], name: str) -> set[str]:
    """Return the states that can follow a state."""
    seen: set[str] = set()
    pending = [*followers(machine["States"][name])]
    while pending:
        following = pending.pop()
        if following not in seen:
            seen.add(following)
            pending += followers(machine["States"][following])
    return seen


def visits_of(machine: dict[str, Any]) -> dict[str, int]:
    """Return how often each state is visited, at most.

    A state of a loop is visited once, and again as often as the counters of this loop allow. Only
    states before the loop set them to 0, so what is only done while a counter is 0 is done once.
    """
    rules = [rule for state in machine["States"].values() for rule in state.get("Choices", [])]
    first = {rule["Next"] for rule in rules if re.search(r"\$\w*waits = 0", rule["Condition"])}
    after = {name: reached(machine, name) for name in machine["States"]}
    visits = {}
    for name in machine["States"]:
        loop = {other for other in after[name] if name in after[other]}
        counters = bounds_of({other: machine["States"][other] for other in loop})
        visits[name] = 1 if name in first else 1 + sum(counters.values())
    return visits


def longest(whole: dict[str, Any], left_out: tuple[str, ...] = ()) -> int:
    """Return the events of an execution that visits every state as often as it can."""
    return 2 + sum(
        events_of(machine["States"][name]) * visits
        for machine in [whole, *branches_of(whole)]
        for name, visits in visits_of(machine).items()
        if name not in left_out
    )


def test_a_loop_has_a_counter_and_every_counter_has_a_bound() -> None:
    for machine in (TRAIN, DEPLOY):
        assigned = set(re.findall(r'"(\w*(?:attempt|waits|repeats))": 0', json.dumps(machine)))
        assert assigned == bounds_of(machine).keys()


def events_of_training() -> int:
    """Return the most events of a training without those of its folds."""
    of_folds = states_of(TRAIN["States"]["RunFolds"]["ItemProcessor"])
    # The plan of a run, which does not change, decides whether it trains or tunes.
    return max(
        longest(TRAIN, left_out=(*of_folds, *never))
        for never in (("Train",), ("Tune", "RecordTuning"))
    )


def events_of_fold() -> int:
    """Return the most events of one fold, whose steps are repeated one after the other.

    A step that is repeated passes the Choice, a Wait and another Choice. The waits for a quota are
    counted over all steps, and the attempts of each step anew.
    """
    processor = TRAIN["States"]["RunFolds"]["ItemProcessor"]
    states, bounds = processor["States"], bounds_of(processor)
    steps = ("TrainFold", "CreateFoldModel", "PredictFold")
    visits = len(steps) * (1 + bounds["fold_attempt"]) + bounds["fold_waits"]
    visit = max(events_of(states[name]) for name in steps)
    visit += sum(events_of(states[name]) for name in ("CanFoldPass", "WaitForFold"))
    visit += events_of(states["WhichStepAgain"])
    once = ("BeginFold", "ReportFoldWait", "DeleteFoldModel", "FoldDone")
    iteration = 2  # MapIterationStarted, and Succeeded or Failed
    return iteration + visits * visit + sum(events_of(states[name]) for name in once)


def test_the_history_of_a_training_stays_far_below_the_limit() -> None:
    assert events_of_training() < LIMIT / 2, events_of_training()


def test_the_history_of_a_training_with_the_most_folds_stays_below_the_limit() -> None:
    whole = events_of_training() + MAX_FOLDS * events_of_fold()
    assert whole < LIMIT, (events_of_training(), events_of_fold())


def events_of_polling(poll_s: int, *, fails: bool = True) -> int:
    """Return the most events of the wait for an endpoint, which ends by its time.

    Each check that fails can be repeated, after waits that double from 5 seconds.
    """
    retries = 0 if fails else 3 * retries_of(DEPLOY["States"]["DescribeEndpoint"])
    check = sum(events_of(DEPLOY["States"][name]) for name in POLLED) - retries
    repeat = sum(
        events_of(DEPLOY["States"][name])
        for name in ("DescribeEndpoint", "CanItPass", "WaitToRepeat", "WhatIsRepeated")
    )
    most_repeats = bounds_of(DEPLOY)["repeats"] if fails else 0
    most = [0] * (POLLED_FOR_S + 1)
    for second in reversed(range(POLLED_FOR_S)):
        wait_s = max(poll_s, second // 60)
        for repeats in range(most_repeats + 1):
            end = min(POLLED_FOR_S, second + wait_s + 5 * (2**repeats - 1))
            most[second] = max(most[second], check + repeats * repeat + most[end])
    return most[0] + check


def test_the_history_of_one_attempt_of_a_deployment_stays_below_the_limit() -> None:
    states = {name: s for name, s in DEPLOY["States"].items() if name != "WaitToDeployAgain"}
    # Without the way back: the Choice state leads to the state that it has by default.
    decided = {**states["CanDeploymentPass"], "Choices": []}
    once = {**DEPLOY, "States": {**states, "CanDeploymentPass": decided}}
    polling = events_of_polling(FEWEST_POLL_S)
    rest = longest(once, left_out=POLLED)
    assert polling + rest < LIMIT, (polling, rest)


def test_the_history_of_all_attempts_of_a_deployment_stays_below_the_limit() -> None:
    attempts = 1 + bounds_of(DEPLOY)["attempt"]
    assert attempts * events_of_polling(FEWEST_POLL_S, fails=False) < LIMIT
