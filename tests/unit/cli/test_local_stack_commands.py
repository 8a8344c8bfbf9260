"""`refit up` and `refit down`: how they start and stop the local stack, and what they print."""

from __future__ import annotations

import json
import os

from refit_local.stack import errors

from tests.support.cli import API_KEYS, API_URL


def test_detached_it_returns_when_the_stack_is_ready_and_prints_its_addresses(
    refit, stack, local_stacks
):
    result = refit("up", "--detach", "--port", "26002", "--keep")
    assert result.exit_code == 0
    assert local_stacks.calls == [("up", 26002, None, True, True)]
    for text in (
        API_URL,
        *API_KEYS.values(),
        f"{API_URL}/  sign in with the operate key",
        "refit-data",
        "REFIT_PORT=26002 refit put MODEL FILE",
    ):
        assert text in result.stdout
    assert "MiniStack responds" in result.stderr


def test_ctrl_c_during_the_start_says_that_nothing_keeps_running(refit, local_stacks, monkeypatch):
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local_stacks, "up", interrupted)
    result = refit("up", "--detach")
    assert result.exit_code == 130
    assert "nothing keeps running" in result.stderr


def test_json_has_all_that_a_script_needs_to_connect(refit, stack, local_stacks):
    description = json.loads(refit("up", "--detach", "--json").stdout)
    assert description["port"] == 4566
    assert description["apiUrl"] == API_URL
    assert description["consoleUrl"] == f"{API_URL}/"
    assert description["apiKeys"] == API_KEYS
    assert description["bucket"] == "refit-data"
    assert {"endpointUrl", "accessKeyId", "secretAccessKey", "region"} <= set(description)


def test_a_seed_makes_the_stack_hostile(refit, stack, local_stacks, monkeypatch):
    monkeypatch.setenv("REFIT_HOSTILE", "")  # restored after the test
    assert refit("up", "--detach", "--hostile", "3").exit_code == 0
    assert os.environ["REFIT_HOSTILE"] == "3"


def test_an_option_allows_scripts_of_users(refit, stack, local_stacks, monkeypatch):
    monkeypatch.setenv("REFIT_ALLOW_SCRIPTS", "")  # restored after the test
    assert refit("up", "--detach").exit_code == 0
    assert os.environ["REFIT_ALLOW_SCRIPTS"] == ""
    assert refit("up", "--detach", "--allow-scripts").exit_code == 0
    assert os.environ["REFIT_ALLOW_SCRIPTS"] == "yes"


def test_a_file_of_images_is_read_from_any_folder(
    refit, stack, local_stacks, monkeypatch, tmp_path
):
    monkeypatch.setenv("REFIT_IMAGES", "")  # restored after the test
    path = tmp_path / "images.toml"
    repository = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn"
    path.write_text(f"[images.'{repository}']\ntrain = 'python train'\nserve = 'python serve'\n")
    monkeypatch.chdir(tmp_path)
    assert refit("up", "--detach", "--images", "images.toml").exit_code == 0
    assert os.environ["REFIT_IMAGES"] == str(path)


def test_a_file_of_images_that_cannot_be_used_starts_nothing(
    refit, stack, local_stacks, monkeypatch, tmp_path
):
    monkeypatch.setenv("REFIT_IMAGES", "")  # restored after the test
    path = tmp_path / "images.toml"
    path.write_text("[images.churn]\ntrain = 'python train'\n")
    result = refit("up", "--detach", "--images", str(path))
    assert result.exit_code == 2
    assert "is a repository of Amazon ECR without tag" in result.stderr
    assert local_stacks.calls == []


def test_refit_port_selects_the_port(refit, stack, local_stacks):
    refit("up", "--detach", env={"REFIT_PORT": "26003"})
    assert local_stacks.calls[0][:2] == ("up", 26003)


def test_in_the_foreground_ctrl_c_stops_the_stack(refit, stack, local_stacks):
    result = refit("up")
    assert result.exit_code == 0
    assert [call[0] for call in local_stacks.calls] == ["up", "down"]


def test_a_stack_that_was_running_before_is_neither_followed_nor_stopped(
    refit, stack, local_stacks
):
    refit("up", "--detach")
    result = refit("up")
    assert result.exit_code == 0
    assert "is running" in result.stdout
    assert [call[0] for call in local_stacks.calls] == ["up", "up"]


def test_a_port_in_use_is_invalid_input(refit, stack, local_stacks):
    local_stacks.error = errors.PortTaken("port 4566 is taken; choose another with --port N")
    result = refit("up", "--detach")
    assert result.exit_code == 2
    assert "--port N" in result.stderr


def test_a_failed_deployment_is_a_failure_with_its_cause(refit, stack, local_stacks):
    local_stacks.error = errors.DeployFailed("sam deploy failed: [no such thing]")
    result = refit("up", "--detach")
    assert result.exit_code == 1
    assert "sam deploy failed: [no such thing]" in result.stderr


def test_down_can_be_repeated(refit, stack, local_stacks):
    assert refit("down", "--port", "26002", "--discard").exit_code == 0
    assert refit("down", "--port", "26002").exit_code == 0
    assert local_stacks.calls == [("down", 26002, True), ("down", 26002, False)]


def test_while_a_local_stack_is_running_the_commands_use_it_and_not_aws(
    refit, stack, local_stacks, monkeypatch
):
    refit("up", "--detach")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    description = json.loads(refit("status", "--json").stdout)
    assert description["localStack"]["port"] == 4566
    assert description["stack"]["apiUrl"] == API_URL
    assert refit("status", "--aws").exit_code == 3


def test_reserved_memory_and_cores_are_passed_on_to_the_stack(
    refit, stack, local_stacks, monkeypatch
):
    monkeypatch.setenv("REFIT_RESERVE_MEMORY_MB", "1")
    monkeypatch.setenv("REFIT_RESERVE_CORES", "0")
    refit("up", "--detach", "--reserve-memory", "4096", "--reserve-cores", "1")
    assert os.environ["REFIT_RESERVE_MEMORY_MB"] == "4096"
    assert os.environ["REFIT_RESERVE_CORES"] == "1"
