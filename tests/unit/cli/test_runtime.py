"""The real surroundings of a command: the local stacks of this machine, and boto3."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from botocore.exceptions import ProfileNotFound
from refit_cli.runtime import CommandRuntime, LocalStacks
from refit_local.stack.errors import PortTaken


@pytest.fixture
def used_port():
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_where_no_stack_runs_there_is_no_info_and_nothing_to_stop(used_port):
    assert LocalStacks().info(used_port) is None
    assert LocalStacks().down(used_port, discard=False, log=print) is False


def test_a_stack_is_not_started_on_a_used_port(used_port, tmp_path):
    with pytest.raises(PortTaken):
        LocalStacks().up(used_port, tmp_path / "state", keep=False, detach=True, log=print)


def test_each_port_has_its_own_log():
    assert LocalStacks().log_path(4566) != LocalStacks().log_path(4600)


def test_a_session_has_the_given_credentials():
    session = CommandRuntime().open_session(
        aws_access_key_id="id", aws_secret_access_key="secret", region_name="eu-west-1"
    )
    assert session.region_name == "eu-west-1"
    assert session.get_credentials().access_key == "id"


@pytest.mark.parametrize("command", [("status",), ("retrain", "digits"), ("status", "--json")])
def test_a_profile_that_does_not_exist_is_named_in_a_sentence(refit, runtime, command):
    def open_session(**_credentials):
        raise ProfileNotFound(profile="nosuch")

    result = refit(*command, "--aws", runtime=replace(runtime, open_session=open_session))
    assert result.exit_code == 3
    assert "The config profile (nosuch) could not be found" in result.stderr
    assert "unset AWS_PROFILE" in result.stderr
    assert isinstance(result.exception, SystemExit)
