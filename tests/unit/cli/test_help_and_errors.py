"""What a person meets first: help, and a clear word when something is missing."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys

import pytest
from refit_cli.main import app

COMMANDS = (  # as registered
    "up",
    "put",
    "watch",
    "predict",
    "label",
    "status",
    "retrain",
    "unblock",
    "down",
    "demo",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_examples_and_says_its_exit_codes(refit, command):
    result = refit(command, "--help")
    assert result.exit_code == 0
    assert f"refit {command}" in result.output
    assert "Examples" in result.output
    assert "Exit codes" in result.output


@pytest.mark.parametrize("command", app.registered_commands, ids=COMMANDS)
def test_no_line_of_a_command_s_description_is_broken_on_a_narrow_terminal(command):
    for line in inspect.cleandoc(command.callback.__doc__).splitlines():
        assert len(re.sub(r"\[/?(bold)?\]", "", line)) <= 78, line


def test_the_overview_lists_the_commands_in_the_order_in_which_they_are_needed(refit):
    commands = refit("--help").output.partition("Commands")[2]
    positions = [commands.index(f" {command} ") for command in COMMANDS]
    assert positions == sorted(positions)


def test_help_loads_nothing_that_is_slow_to_import():
    code = (
        "import sys, refit_cli.main; "
        "print(*({'boto3', 'botocore', 'numpy', 'matplotlib', 'sklearn', 'duckdb', 'requests', "
        "'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "arguments", [["status"], ["watch", "digits"], ["put", "digits", __file__]]
)
def test_without_ground_and_credentials_a_command_says_what_to_start(refit, arguments):
    result = refit(*arguments)
    assert result.exit_code == 3
    assert "no ground on port 4566" in result.stderr
    assert "refit up" in result.stderr
    assert "Traceback" not in result.output


def test_a_port_given_as_an_option_never_falls_through_to_aws(refit, stack):
    result = refit("status", "--port", "26001")
    assert result.exit_code == 3
    assert "no ground on port 26001" in result.stderr
    assert "refit up --port 26001" in result.stderr


def test_without_a_ground_on_refit_port_aws_is_spoken_to_and_that_is_said(refit, stack):
    result = refit("status", env={"REFIT_PORT": "26001"})
    assert result.exit_code == 0
    assert "no ground on port 26001 (REFIT_PORT): speaking to AWS" in result.stderr


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--aws"], []])
def test_aws_can_be_asked_for_by_name(refit, stack, arguments):
    environment = {} if arguments else {"REFIT_PORT": "0"}
    result = refit("status", *arguments, env=environment)
    assert result.exit_code == 0
    assert result.stderr == ""


def test_a_port_that_is_none_is_refused(refit, stack):
    result = refit("status", env={"REFIT_PORT": "http"})
    assert result.exit_code == 2
    assert "REFIT_PORT is 'http'" in result.stderr


def test_a_stack_that_is_not_there_is_named(refit, stack):
    result = refit("status", "--stack-name", "other")
    assert result.exit_code == 3
    assert "'other'" in result.stderr
    assert "--stack-name" in result.stderr


def test_status_in_json_says_the_same_when_nothing_is_there(refit):
    result = refit("status", "--json")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["ground"] is None
    assert "no ground on port 4566" in told["error"]


@pytest.mark.parametrize("name", ["../etc", "two words", "Upper", "a" * 200, "ends-"])
@pytest.mark.parametrize("command", [["put"], ["predict"], ["status"]])
def test_a_name_that_is_not_allowed_is_refused_before_anything_else(refit, command, name, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("1,2\n")
    files = [] if command == ["status"] else [rows]
    result = refit(*command, name, *files)
    assert result.exit_code == 2
    assert "is not allowed" in result.stderr
    assert len(result.stderr) < 400


def test_output_without_a_terminal_carries_no_escape_codes(refit, stack):
    stack.add_run("digits", "r1", "FAILED", message="[red]no[/] colour")
    result = refit("status", "digits")
    assert "\x1b" not in result.output
    assert "[red]no[/] colour" in result.output
