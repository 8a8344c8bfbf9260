"""Actions of the API do what the commands do, or say why the state does not allow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.moments import utc_now
from refit.domain.naming import retry_id
from refit.domain.retraining.state import RetrainingState, RetrainingStatus, run_of_episode
from refit.domain.vocabulary import RunStatus
from refit.handlers import operate_models
from refit.handlers.retrain import RetrainEvent
from refit.handlers.wiring import services

from tests.integration.monitoring.live_model import MODEL, go_live
from tests.integration.monitoring.operated import KEY, act, event_of, refused, send
from tests.support.aws_stack import CONTEXT
from tests.support.registered_versions import FakeRegistry

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

BY = f"API key {KEY}"
ACTIONS = (
    "/models/digits/retrain",
    "/models/digits/unblock",
    "/models/digits/retry",
    "/models/digits/rollback",
    "/models/digits/versions/1/approve",
    "/models/digits/versions/1/reject",
)


@pytest.fixture
def registry(stack: Stack) -> FakeRegistry:
    """Versions 1 to 4 are registered and approved, and version 3 is live."""
    for version in (1, 2, 4, 3):
        go_live(version)
    stack.messages(stack.bus_queue)
    registry = FakeRegistry()
    registry.approvals = {f"arn:{version}": "Approved" for version in (1, 2, 3, 4)}
    registry.approvals["arn:4"] = "Rejected"
    stack.replace_clients(sagemaker=registry)
    return registry


def published(stack: Stack) -> list[dict[str, Any]]:
    return stack.messages(stack.bus_queue)


def fail(run: str = "run3", error: str = "TrainingJobFailed") -> None:
    services().models.update_run(MODEL, run, status=RunStatus.FAILED, error=error)


def test_a_retraining_is_requested_as_the_command_requests_it(
    stack: Stack, registry: FakeRegistry
) -> None:
    answer = act("/models/digits/retrain")
    (event,) = published(stack)
    assert event["detail-type"] == "Retraining Requested"
    told = {"expected_run": run_of_episode(MODEL, "run3", 3, 1)}
    assert event["detail"] == {"prefix": "refit", "model": MODEL, "by": BY} | told
    assert (answer["event"], answer["by"], answer["version"]) == (event["id"], BY, 3)
    assert RetrainEvent.model_validate(event).detail.by == BY
    assert answer["run"] == run_of_episode(MODEL, "run3", 3, 1)
    assert answer["follow"]["path"] == f"/models/digits/runs/{answer['run']}"


def test_two_who_ask_at_once_are_told_the_same_run(stack: Stack, registry: FakeRegistry) -> None:
    first, second = act("/models/digits/retrain"), act("/models/digits/retrain", {"again": True})
    assert first["run"] == second["run"]
    details = [event["detail"] for event in published(stack)]
    assert [detail.get("again", False) for detail in details] == [False, True]


def test_who_asks_while_another_run_is_active_is_told_to_wait_for_it(
    stack: Stack, registry: FakeRegistry
) -> None:
    services().models.begin_run(MODEL, "run9", "drop", None)
    answer = act("/models/digits/retrain")
    assert (answer["run"], answer["follow"]["path"]) == (None, "/models/digits")
    assert answer["text"] == "A retraining starts when run run9 has ended."


def test_who_asks_without_anything_new_is_told_how_to_retrain_all_the_same(
    stack: Stack, registry: FakeRegistry
) -> None:
    go_live(3, settings={})
    text = act("/models/digits/retrain")["text"]
    assert "starts when a label arrives or a setting changes" in text
    assert "since run run3 began" in text
    again = act("/models/digits/retrain", {"again": True})
    assert "starts, on the data of version 3" in again["text"]


def test_without_a_live_version_there_is_nothing_to_retrain(stack: Stack) -> None:
    services().models.begin_run(MODEL, "run1", "drop", None)
    assert refused("POST", "/models/digits/retrain") == (409, "NothingToRetrain")
    assert not published(stack)


def test_only_a_blocked_model_is_unblocked(stack: Stack, registry: FakeRegistry) -> None:
    status, content = send(event_of("POST", "/models/digits/unblock"))
    assert (status, content["error"]["code"]) == (409, "NotBlocked")
    assert "healthy" in content["error"]["message"]
    blocked = RetrainingState(state=RetrainingStatus.BLOCKED, since=utc_now(), failures=3)
    assert services().monitoring.save_retraining(MODEL, blocked)
    act("/models/digits/unblock")
    (event,) = published(stack)
    assert (event["detail-type"], event["detail"]["by"]) == ("Retraining Unblocked", BY)


def test_unblocking_ends_the_wait_of_a_retraining_for_an_approval(
    stack: Stack, registry: FakeRegistry
) -> None:
    waits = RetrainingState(state=RetrainingStatus.RETRAINING, since=utc_now(), run="run4")
    assert services().monitoring.save_retraining(MODEL, waits)
    assert refused("POST", "/models/digits/unblock") == (409, "NotBlocked")
    services().models.update_run(MODEL, "run4", status=RunStatus.AWAITING_APPROVAL)
    registry.approvals["arn:4"] = "PendingManualApproval"
    act("/models/digits/unblock")
    assert [event["detail-type"] for event in published(stack)] == ["Retraining Unblocked"]


def test_unblocking_frees_a_model_without_a_live_version_and_says_what_was_done(
    stack: Stack,
) -> None:
    stack.replace_clients(sagemaker=FakeRegistry())
    services().models.begin_run(MODEL, "run1", "drop", None)
    services().models.update_run(MODEL, "run1", train_execution_arn=f"{stack.train}:gone")
    services().models.update_run(MODEL, "run1", status=RunStatus.FAILED)
    answer = act("/models/digits/unblock")
    assert answer["text"] == "Run run1 does not hold the model any more."
    assert (answer["event"], answer["version"]) == (None, None)
    assert refused("POST", "/models/digits/unblock") == (409, "NotBlocked")


def test_a_run_that_is_worked_on_is_named_when_nothing_can_be_freed(stack: Stack) -> None:
    stack.replace_clients(sagemaker=FakeRegistry())
    services().models.begin_run(MODEL, "run1", "drop", None)
    status, content = send(event_of("POST", "/models/digits/unblock"))
    assert (status, content["error"]["code"]) == (409, "NotBlocked")
    assert "run run1, which holds the model" in content["error"]["message"]


@pytest.mark.parametrize("body", [None, {}, {"run": None}, {"run": "run3"}])
def test_a_failed_run_is_retried(stack: Stack, registry: FakeRegistry, body: Any) -> None:
    fail()
    answer = act("/models/digits/retry", body)
    (event,) = published(stack)
    assert event["detail-type"] == "Run Retry Requested"
    assert (event["detail"]["run"], event["detail"]["by"]) == ("run3", BY)
    assert answer["run"] == retry_id(MODEL, "run3")
    assert answer["follow"]["path"] == f"/models/digits/runs/{answer['run']}"


def test_a_run_is_not_retried_without_a_reason(stack: Stack, registry: FakeRegistry) -> None:
    assert refused("POST", "/models/digits/retry") == (409, "NothingToRetry")
    unknown = refused("POST", "/models/digits/retry", body={"run": "nobody"})
    assert unknown == (404, "RunNotFound")
    services().models.begin_run(MODEL, "run9", "drop", None)
    assert refused("POST", "/models/digits/retry") == (409, "RunActive")
    assert not published(stack)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/models/digits/retrain", "{"),
        ("/models/digits/retrain", {"again": "yes"}),
        ("/models/digits/retry", "{"),
        ("/models/digits/retry", "[]"),
        ("/models/digits/retry", {"run": 7}),
        ("/models/digits/retry", {"runs": "run3"}),
        ("/models/digits/rollback", None),
        ("/models/digits/rollback", ""),
        ("/models/digits/rollback", {}),
        ("/models/digits/rollback", {"version": "2"}),
        ("/models/digits/rollback", {"version": 0}),
        ("/models/digits/rollback", {"version": 2.5}),
        ("/models/digits/rollback", {"version": 10**30}),
    ],
)
def test_a_bad_body_is_refused_with_what_is_expected(
    registry: FakeRegistry, path: str, body: Any
) -> None:
    status, content = send(event_of("POST", path, body=body))
    assert (status, content["error"]["code"]) == (400, "PayloadInvalid")
    assert '{"' in content["error"]["message"]


def test_a_version_is_approved_in_the_registry_with_the_name_of_who_asked(
    registry: FakeRegistry,
) -> None:
    answer = act("/models/digits/versions/4/approve")
    assert registry.changes == [("arn:4", "Approved", f"Approved by {BY}")]
    assert (answer["version"], answer["run"], answer["event"]) == (4, "run4", None)
    again = refused("POST", "/models/digits/versions/4/approve")
    assert again == (409, "AlreadyApproved")


def test_a_version_is_rejected_in_the_registry(registry: FakeRegistry) -> None:
    answer = act("/models/digits/versions/3/reject")
    assert registry.changes == [("arn:3", "Rejected", f"Rejected by {BY}")]
    assert "deployed in its place" in answer["text"]
    assert refused("POST", "/models/digits/versions/3/reject") == (409, "AlreadyRejected")


@pytest.mark.parametrize("action", ["approve", "reject"])
@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("9", (404, "VersionNotFound")),
        ("0", (400, "ParameterInvalid")),
        ("-1", (400, "ParameterInvalid")),
        ("one", (400, "ParameterInvalid")),
        ("1" * 30, (400, "ParameterInvalid")),
    ],
)
def test_an_unknown_or_malformed_version_is_refused(
    registry: FakeRegistry, action: str, version: str, expected: tuple[int, str]
) -> None:
    assert refused("POST", f"/models/digits/versions/{version}/{action}") == expected


def test_a_rollback_rejects_all_newer_approved_versions_and_the_live_one_last(
    registry: FakeRegistry,
) -> None:
    answer = act("/models/digits/rollback", {"version": 1})
    reason = f"Rolled back to version 1 by {BY}"
    assert registry.changes == [("arn:2", "Rejected", reason), ("arn:3", "Rejected", reason)]
    assert (answer["version"], answer["run"]) == (1, "run1")
    assert answer["follow"]["until"] == "`champion.version` is 1"


def test_an_interrupted_rollback_leaves_the_live_version_and_is_completed_by_the_same_request(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = registry.update_model_package, []

    def die_on_the_second_call(**request: Any) -> None:
        calls.append(request)
        if len(calls) == 2:
            raise RuntimeError("the function died")
        original(**request)

    monkeypatch.setattr(registry, "update_model_package", die_on_the_second_call)
    with pytest.raises(RuntimeError):
        send(event_of("POST", "/models/digits/rollback", body={"version": 1}))
    assert registry.approvals["arn:3"] == "Approved", "the live version is rejected last"
    act("/models/digits/rollback", {"version": 1})
    assert [registry.approvals[f"arn:{number}"] for number in (1, 2, 3)] == [
        "Approved",
        "Rejected",
        "Rejected",
    ]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (3, (409, "AlreadyLive")),
        (4, (409, "NotOlderThanLive")),
        (9, (404, "VersionNotFound")),
    ],
)
def test_a_rollback_goes_to_an_older_version_only(
    registry: FakeRegistry, version: int, expected: tuple[int, str]
) -> None:
    assert refused("POST", "/models/digits/rollback", body={"version": version}) == expected
    assert not registry.changes


def test_a_rollback_goes_to_an_approved_version_only(registry: FakeRegistry) -> None:
    registry.approvals["arn:2"] = "Rejected"
    expected = (409, "VersionNotApproved")
    assert refused("POST", "/models/digits/rollback", body={"version": 2}) == expected
    assert not registry.changes


def test_a_whole_number_with_a_fraction_of_zero_is_a_version(registry: FakeRegistry) -> None:
    assert act("/models/digits/rollback", '{"version": 1.0}')["version"] == 1


def test_a_rollback_waits_for_a_deployment(registry: FakeRegistry) -> None:
    assert services().models.begin_deployment(MODEL, "d", "arn")
    expected = (409, "DeploymentActive")
    assert refused("POST", "/models/digits/rollback", body={"version": 1}) == expected


@pytest.mark.parametrize("path", ACTIONS)
def test_no_action_is_taken_on_a_model_that_is_being_removed(
    registry: FakeRegistry, path: str
) -> None:
    services().models.begin_removal(MODEL, utc_now())
    assert refused("POST", path, body={"version": 1} if "rollback" in path else None) == (
        409,
        "ModelBeingRemoved",
    )


@pytest.mark.parametrize("path", ACTIONS)
def test_no_action_is_taken_on_an_unknown_model(registry: FakeRegistry, path: str) -> None:
    body = {"version": 1} if "rollback" in path else None
    expected = (404, "ModelNotFound")
    assert refused("POST", path.replace("digits", "nobody"), body=body) == expected


@pytest.mark.parametrize("path", ACTIONS)
def test_only_the_operate_key_opens_an_action(registry: FakeRegistry, path: str) -> None:
    event = event_of("POST", path)
    event["requestContext"]["identity"]["apiKeyId"] = "predict00id"
    status, content = send(event)
    assert (status, content["error"]["code"]) == (403, "KeyNotAllowed")


@pytest.mark.parametrize("path", ACTIONS)
def test_an_action_accepts_post_only(registry: FakeRegistry, path: str) -> None:
    answer = operate_models.handler(event_of("GET", path), CONTEXT)
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "POST")


def test_an_action_has_no_query_parameters(registry: FakeRegistry) -> None:
    assert refused("POST", "/models/digits/retrain", {"x": "1"}) == (400, "ParameterInvalid")
