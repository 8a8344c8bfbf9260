"""The verification of an account: what it asks before it spends, and what it never touches."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from refit_cli.errors import BadInput, RunFailed
from refit_cli.readiness.findings import Finding, Status
from refit_cli.runtime import CommandRuntime
from refit_local.stack.record import StackInfo

from tests.verify import cleaning, journey, limits, own_stack, progress, verification
from tests.verify.__main__ import main
from tests.verify.target import STACK, Target
from tests.verify.verification import Options, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
STACK_ID = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{STACK}/1"


@dataclass
class World:
    """An account in memory: the stack of the verification, and what was done in order."""

    stack: dict[str, Any] | None = None
    done: list[str] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/ada"}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if self.stack is None:
            error = {"Error": {"Code": "ValidationError", "Message": "does not exist"}}
            raise ClientError(error, "DescribeStacks")
        return {"Stacks": [self.stack]}


@dataclass
class FakeTarget(Target):
    world: World = field(default_factory=World)

    def client(self, service: str, **credentials: str) -> Any:
        return self.world


def stack_of(identity: str | None, stack_id: str = STACK_ID) -> dict[str, Any]:
    tags = [{"Key": own_stack.TAG, "Value": identity}] if identity else []
    return {"StackId": stack_id, "StackStatus": "CREATE_COMPLETE", "Tags": tags}


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeTarget:
    """An account that is ready; deploying, testing, asking and removing are only recorded."""
    info = StackInfo(0, 0, Path(), None, "us-east-1", None, None, STACK, "", {})
    fake = FakeTarget("aws", info, CommandRuntime(can_ask=lambda: True))
    world = fake.world

    def deploy(target: Target, begun: progress.Progress) -> None:
        if world.stack:
            own_stack.check_owned(world.stack, begun)
        world.done.append("deploy")
        world.stack = stack_of(begun.id)

    def test(target: Target, begun: progress.Progress, log: Any) -> dict[str, Any]:
        world.done.append("test")
        results = {"passed": ["a"], "failed": [], "measured": {}, "stopped": None}
        return {**results, "exit_code": 0, "runs": 3}

    def clean(target: Target, begun: progress.Progress, log: Any) -> dict[str, list[str]]:
        if world.stack:
            own_stack.check_owned(world.stack, begun)
        world.done.append("clean")
        world.stack = None
        return world.left

    monkeypatch.setattr(verification, "FOLDER", tmp_path)
    monkeypatch.setattr(verification.progress_path, "__defaults__", (tmp_path,))
    monkeypatch.setattr(verification, "PROBES", ())
    monkeypatch.setattr(verification, "requirements", lambda target: [])
    monkeypatch.setattr(own_stack, "deploy", deploy)
    monkeypatch.setattr(journey, "run", test)
    monkeypatch.setattr(journey, "count_runs", lambda target: 0)
    monkeypatch.setattr(cleaning, "clean", clean)
    monkeypatch.setattr(cleaning, "remove_models", lambda *arguments: None)
    monkeypatch.setattr(Target, "with_api", lambda self: self)
    monkeypatch.setattr(verification.terminal, "ask", lambda question: ACCOUNT)
    return fake


def begun(target: FakeTarget, hours_ago: float = 0.5) -> progress.Progress:
    """Leave an interrupted verification with a deployed stack."""
    started_at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    path = verification.progress_path(target)
    former = progress.Progress(path, ACCOUNT, "us-east-1", id="abc", started_at=started_at)
    former.save()
    target.world.stack = stack_of("abc")
    return former


def test_a_verification_deploys_tests_and_removes(target: FakeTarget) -> None:
    assert verify(target, Options())
    assert target.world.done == ["deploy", "test", "clean"]
    assert not verification.progress_path(target).exists()


@pytest.mark.parametrize("typed", ["", "111111111111", "yes"])
def test_nothing_is_created_until_the_id_of_the_account_is_typed(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr(verification.terminal, "ask", lambda question: typed)
    with pytest.raises(BadInput, match=f"{ACCOUNT}, not of"):
        verify(target, Options())
    assert target.world.done == []
    assert not verification.progress_path(target).exists()


def test_without_a_terminal_the_account_must_be_named(target: FakeTarget) -> None:
    target.runtime = CommandRuntime(can_ask=lambda: False)
    with pytest.raises(BadInput, match="no terminal"):
        verify(target, Options())
    assert verify(target, Options(account="1234-5678-9012"))


def test_an_account_that_is_not_ready_is_left_alone(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Finding("quota", Status.MISSING, "2", "0", "ask for it")
    monkeypatch.setattr(verification, "requirements", lambda target: [missing])
    with pytest.raises(RunFailed, match="nothing was created"):
        verify(target, Options(account=ACCOUNT))
    assert target.world.done == []


@pytest.mark.parametrize("tag", [None, "another"])
def test_a_stack_that_it_did_not_make_is_never_touched(target: FakeTarget, tag: str | None) -> None:
    target.world.stack = stack_of(tag)
    for action in (lambda: verify(target, Options(account=ACCOUNT)), lambda: clean(target)):
        with pytest.raises(BadInput, match="did not make"):
            action()
    assert target.world.done == []


def clean(target: Target) -> bool:
    return verification.clean(target)


def test_a_stack_with_the_tag_but_another_arn_is_not_touched(target: FakeTarget) -> None:
    former = begun(target)
    former.stack_id = STACK_ID
    former.save()
    target.world.stack = stack_of("abc", f"{STACK_ID}-made-again")
    with pytest.raises(BadInput, match="did not make"):
        clean(target)


@pytest.mark.parametrize(("hours", "ours"), [(0.4, True), (0.6, False)])
def test_a_stack_that_a_deployment_left_in_review_is_cleaned_up_if_it_is_newer(
    target: FakeTarget, hours: float, ours: bool
) -> None:
    begun(target)
    created_at = datetime.now(UTC) - timedelta(hours=hours)
    review = {"StackStatus": "REVIEW_IN_PROGRESS", "CreationTime": created_at}
    target.world.stack = {**stack_of(None), **review}
    if ours:
        assert clean(target)
    else:
        with pytest.raises(BadInput, match="did not make"):
            clean(target)


def test_an_interrupted_verification_goes_on_with_what_is_not_done(target: FakeTarget) -> None:
    former = begun(target)
    results = {"passed": [], "failed": [], "measured": {}, "stopped": None}
    former.journey = {**results, "exit_code": 0, "runs": 3}
    former.save()
    assert verify(target, Options(choice="continue"))
    assert target.world.done == ["deploy", "clean"]


def test_an_interrupted_verification_can_be_cleaned_up_instead(target: FakeTarget) -> None:
    begun(target)
    assert verify(target, Options(choice="clean"))
    assert target.world.done == ["clean"]


def test_after_an_interruption_somebody_must_decide(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(target)
    monkeypatch.setattr(verification.terminal, "ask", lambda question: "perhaps")
    with pytest.raises(BadInput, match="neither continue nor clean"):
        verify(target, Options())
    target.runtime = CommandRuntime(can_ask=lambda: False)
    with pytest.raises(BadInput, match="no terminal"):
        verify(target, Options())
    assert target.world.done == []


def test_after_the_time_limit_an_interrupted_verification_is_only_cleaned_up(
    target: FakeTarget,
) -> None:
    begun(target, hours_ago=limits.HOURS + 0.1)
    assert verify(target, Options(choice="continue"))
    assert target.world.done == ["clean"]


@pytest.mark.parametrize("reason", [KeyboardInterrupt, RunFailed("sam deploy failed")])
def test_an_interruption_keeps_the_progress_and_says_how_to_go_on(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch, capsys: Any, reason: Any
) -> None:
    def fail(*arguments: Any) -> None:
        raise reason

    monkeypatch.setattr(journey, "run", fail)
    with pytest.raises((KeyboardInterrupt, RunFailed)):
        verify(target, Options(account=ACCOUNT))
    assert "make verify-aws CHOICE=clean" in capsys.readouterr().err
    assert verification.progress_path(target).exists()
    assert clean(target)
    assert target.world.done == ["deploy", "clean"]


def test_what_is_left_fails_the_verification_and_keeps_the_progress(target: FakeTarget) -> None:
    target.world.left = {"bucket": ["refit-verify-bucket"]}
    assert not verify(target, Options(account=ACCOUNT))
    assert verification.progress_path(target).exists()


def test_a_failed_test_fails_the_verification_after_everything_is_removed(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {"passed": [], "failed": ["a"], "measured": {}, "stopped": None}
    monkeypatch.setattr(journey, "run", lambda *arguments: {**results, "exit_code": 1, "runs": 1})
    assert not verify(target, Options(account=ACCOUNT))
    assert target.world.done == ["deploy", "clean"]


def test_the_limits_of_instances_and_hours_keep_the_cost_below_the_limit() -> None:
    assert limits.worst_cost() <= limits.DOLLARS


@pytest.fixture
def _no_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the account of the machine, and restore the handler that the command sets."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("_no_account")
@pytest.mark.parametrize(("region", "word"), [(None, "region"), ("us-east-1", "credentials")])
@pytest.mark.parametrize("command", ["aws", "clean"])
def test_without_a_region_or_credentials_the_command_says_how_to_set_them(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, command: str, region: str | None, word: str
) -> None:
    if region:
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert main([command]) == 3
    message = capsys.readouterr().err
    assert word in message
    assert "AWS_PROFILE" in message


class Tests:
    """A process of tests that does not end."""

    def poll(self) -> None:
        return None


@pytest.mark.parametrize(
    ("runs_before", "runs", "hours", "reason"),
    [(0, limits.RUNS + 1, 0, "9 runs"), (6, 3, 0, "9 runs"), (0, 1, 3.1, "3 hours")],
)
def test_the_tests_are_stopped_at_the_limits(
    target: FakeTarget,
    monkeypatch: pytest.MonkeyPatch,
    runs_before: int,
    runs: int,
    hours: float,
    reason: str,
) -> None:
    monkeypatch.setattr(journey, "count_runs", lambda target: runs)
    former = replace(begun(target, hours), runs=runs_before)
    assert reason in str(journey._watch(Tests(), target, former))
