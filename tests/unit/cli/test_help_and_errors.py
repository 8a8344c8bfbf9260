"""Help, and the errors when a stack, credentials or a valid name is missing."""

from __future__ import annotations

import inspect
import json
import re
import signal
import subprocess
import sys

import pytest
from refit_cli.main import app

COMMANDS = (  # as registered
    "up",
    "check",
    "put",
    "watch",
    "predict",
    "batch",
    "label",
    "status",
    "logs",
    "report",
    "export",
    "retry",
    "retrain",
    "unblock",
    "approve",
    "reject",
    "rollback",
    "recount",
    "remove",
    "destroy",
    "cost",
    "doctor",
    "down",
    "demo",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_examples_and_exit_codes(refit, command):
    result = refit(command, "--help")
    assert result.exit_code == 0
    assert f"refit {command}" in result.output
    assert "Examples" in result.output
    assert "Exit codes" in result.output


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)])
def test_a_flag_is_not_shown_as_an_option_with_a_value(refit, command):
    output = refit(*command, "--help").output
    assert "--help" in output
    assert "bool" not in output


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("--port", "4641", "status"), "refit status --port 4641"),
        (("--port=4641", "watch", "digits", "--json"), "refit watch digits --json --port=4641"),
        (("--json",), "refit COMMAND --json"),
    ],
)
def test_an_option_before_the_command_is_refused_with_where_it_goes(refit, arguments, advice):
    result = refit(*arguments)
    assert result.exit_code == 2
    assert f"{arguments[0].partition('=')[0]} is an option of the commands" in result.stderr
    assert f"try:   {advice}\n" in result.stderr


@pytest.mark.parametrize("arguments", [("--bogus", "status"), ("--delete-data", "status")])
def test_an_option_that_the_command_does_not_have_is_unknown(refit, arguments):
    result = refit(*arguments)
    assert result.exit_code == 2
    assert f"No such option: {arguments[0]}" in result.stderr


@pytest.mark.parametrize("command", app.registered_commands, ids=COMMANDS)
def test_no_line_of_a_command_s_description_is_broken_on_a_narrow_terminal(command):
    for line in inspect.cleandoc(command.callback.__doc__).splitlines():
        assert len(re.sub(r"\[/?(bold)?\]", "", line)) <= 78, line


def test_the_overview_lists_the_commands_in_the_order_in_which_they_are_needed(refit):
    commands = refit("--help").output.partition("Commands")[2]
    rows = re.findall(r"^\W+(\w+)  ", commands, re.MULTILINE)
    positions = [rows.index(command) for command in COMMANDS]
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
def test_without_local_stack_and_credentials_a_command_says_what_to_start(refit, arguments):
    result = refit(*arguments)
    assert result.exit_code == 3
    assert "no local stack is running on port 4566" in result.stderr
    assert "refit up" in result.stderr
    assert "Traceback" not in result.output


def test_a_port_given_as_an_option_never_falls_through_to_aws(refit, stack):
    result = refit("status", "--port", "26001")
    assert result.exit_code == 3
    assert "no local stack is running on port 26001" in result.stderr
    assert "refit up --port 26001" in result.stderr


def test_without_a_local_stack_on_refit_port_aws_is_used_and_a_message_says_so(refit, stack):
    result = refit("status", env={"REFIT_PORT": "26001"})
    assert result.exit_code == 0
    assert "no local stack is running on port 26001 (REFIT_PORT): using AWS" in result.stderr


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--aws"], []])
def test_aws_can_be_selected_explicitly(refit, stack, arguments):
    environment = {} if arguments else {"REFIT_PORT": "0"}
    result = refit("status", *arguments, env=environment)
    assert result.exit_code == 0
    assert result.stderr == ""


def test_an_invalid_port_is_rejected(refit, stack):
    result = refit("status", env={"REFIT_PORT": "http"})
    assert result.exit_code == 2
    assert "REFIT_PORT is 'http'" in result.stderr


def test_an_unknown_stack_is_named(refit, stack):
    result = refit("status", "--stack-name", "other")
    assert result.exit_code == 3
    assert "'other'" in result.stderr
    assert "--stack-name" in result.stderr


def test_status_has_the_error_in_its_json(refit):
    result = refit("status", "--json")
    assert result.exit_code == 3
    description = json.loads(result.stdout)
    assert description["localStack"] is None
    assert "no local stack is running on port 4566" in description["error"]


@pytest.mark.parametrize("name", ["../etc", "two words", "Upper", "a" * 200, "ends-"])
@pytest.mark.parametrize("command", [["put"], ["predict"], ["status"]])
def test_an_invalid_model_name_is_rejected_before_anything_else(refit, command, name, tmp_path):
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


INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "refit_cli.main":
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.meta_path.insert(0, Interrupts())
from refit_cli.__main__ import main
main()
"""


def test_an_interrupt_while_the_command_is_imported_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
