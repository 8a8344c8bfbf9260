"""`refit up` and `refit down`: what they ask of the ground's life, and what they tell."""

from __future__ import annotations

import json
import os

import pytest
from cli_stack import API_KEY, API_URL
from refit_local.stack import errors, lifecycle
from refit_local.stack.record import StackInfo


class Ground:
    """Stands in for the ground's life: what was asked of it, and a stack in moto behind it."""

    def __init__(self, state_dir) -> None:
        self.calls: list[tuple] = []
        self.standing: StackInfo | None = None
        self.fails: Exception | None = None
        self.state_dir = state_dir

    def info(self, port: int = 4566) -> StackInfo | None:
        return self.standing if self.standing and self.standing.port == port else None

    def up(self, port, state_dir, *, keep, detach, log) -> StackInfo:
        self.calls.append(("up", port, state_dir, keep, detach))
        if self.fails:
            raise self.fails
        log("MiniStack answers")
        self.standing = StackInfo(
            port=port,
            pid=4242,
            state_dir=self.state_dir,
            endpoint_url=None,
            region="us-east-1",
            access_key_id="testing",
            secret_access_key="testing",
            stack_name="refit",
            api_url=API_URL,
            api_key=API_KEY,
        )
        return self.standing

    def down(self, port, *, discard, log) -> bool:
        self.calls.append(("down", port, discard))
        if self.fails:
            raise self.fails
        log("ended")
        self.standing = None
        return True


@pytest.fixture
def ground(monkeypatch, stack, tmp_path):
    standing = Ground(tmp_path)
    for name in ("info", "up", "down"):
        monkeypatch.setattr(lifecycle, name, getattr(standing, name))
    return standing


def test_detached_it_returns_when_the_ground_is_ready_and_says_what_is_where(refit, ground):
    result = refit("up", "--detach", "--port", "26002", "--keep")
    assert result.exit_code == 0
    assert ground.calls == [("up", 26002, None, True, True)]
    for text in (API_URL, API_KEY, "refit-data", "REFIT_PORT=26002 refit put MODEL FILE"):
        assert text in result.stdout
    assert "MiniStack answers" in result.stderr


def test_json_is_one_object_that_a_script_can_connect_with(refit, ground):
    told = json.loads(refit("up", "--detach", "--json").stdout)
    assert told["port"] == 4566
    assert told["apiUrl"] == API_URL
    assert told["apiKey"] == API_KEY
    assert told["bucket"] == "refit-data"
    assert {"endpointUrl", "accessKeyId", "secretAccessKey", "region"} <= set(told)


def test_refit_port_says_which_ground(refit, ground):
    refit("up", "--detach", env={"REFIT_PORT": "26003"})
    assert ground.calls[0][:2] == ("up", 26003)


def test_in_the_foreground_ctrl_c_ends_the_ground(refit, ground, monkeypatch):
    def interrupted(port: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("refit_cli.local_stack._show_log", interrupted)
    result = refit("up")
    assert result.exit_code == 0
    assert [call[0] for call in ground.calls] == ["up", "down"]


def test_a_ground_that_stood_before_is_neither_attended_nor_ended(refit, ground):
    refit("up", "--detach")
    result = refit("up")
    assert result.exit_code == 0
    assert "is running" in result.stdout
    assert [call[0] for call in ground.calls] == ["up", "up"]


def test_a_taken_port_is_the_caller_s_to_change(refit, ground):
    ground.fails = errors.PortTaken("port 4566 is taken; choose another with --port N")
    result = refit("up", "--detach")
    assert result.exit_code == 2
    assert "--port N" in result.stderr


def test_a_ground_that_cannot_be_deployed_is_a_failure_with_its_cause(refit, ground):
    ground.fails = errors.DeployFailed("sam deploy failed: [no such thing]")
    result = refit("up", "--detach")
    assert result.exit_code == 1
    assert "sam deploy failed: [no such thing]" in result.stderr


def test_down_can_be_repeated(refit, ground):
    assert refit("down", "--port", "26002", "--discard").exit_code == 0
    assert refit("down", "--port", "26002").exit_code == 0
    assert ground.calls == [("down", 26002, True), ("down", 26002, False)]


def test_with_a_ground_the_commands_speak_to_it_and_not_to_aws(refit, ground, monkeypatch):
    refit("up", "--detach")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    told = json.loads(refit("status", "--json").stdout)
    assert told["ground"]["port"] == 4566
    assert told["stack"]["apiUrl"] == API_URL
    assert refit("status", "--aws").exit_code == 3


def test_what_jobs_must_leave_free_is_passed_on_to_the_ground(refit, ground, monkeypatch):
    monkeypatch.setenv("REFIT_RESERVE_MEMORY_MB", "1")
    monkeypatch.setenv("REFIT_RESERVE_CORES", "0")
    refit("up", "--detach", "--reserve-memory", "4096", "--reserve-cores", "1")
    assert os.environ["REFIT_RESERVE_MEMORY_MB"] == "4096"
    assert os.environ["REFIT_RESERVE_CORES"] == "1"
