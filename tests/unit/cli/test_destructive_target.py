"""`refit remove` destroys only on a stack that the user named: it never falls back to AWS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.removable_model import ACCOUNT, FakeExecutions, FakeRegistry, Sts

ON_AWS = ("--aws", "--stack-name", "refit")


@pytest.fixture
def aws(stack, clients):
    """A stack on AWS with the model digits, which has only settings."""
    clients.update(sagemaker=FakeRegistry(), stepfunctions=FakeExecutions(), sts=Sts())
    stack.create_inference_table()
    stack.put("digits/model.toml", "")
    return stack


@pytest.fixture
def asked(refit, runtime):
    """Run the command on a terminal on which the lines are typed."""

    def run(*arguments, typed):
        on_terminal = replace(runtime, can_ask=lambda: True)
        return refit(*arguments, runtime=on_terminal, input="".join(f"{line}\n" for line in typed))

    return run


@pytest.mark.parametrize(
    ("options", "environment", "port"),
    [
        ((), {}, 4566),
        ((), {"REFIT_PORT": "4620"}, 4620),
        (("--port", "4621"), {}, 4621),
        (("--port", "4621"), {"REFIT_PORT": "4620"}, 4621),
        ((), {"AWS_PROFILE": "production"}, 4566),
        ((), {"REFIT_STACK": "refit"}, 4566),
    ],
)
def test_without_the_local_stack_nothing_is_removed_on_aws(refit, aws, options, environment, port):
    result = refit("remove", "digits", "--yes", *options, env=environment)
    assert result.exit_code == 3
    assert f"no local stack is running on port {port}" in result.stderr
    assert "never uses AWS instead" in result.stderr
    usage = "refit remove digits --aws --stack-name NAME --account ID"
    assert usage in result.stderr
    assert aws.keys() == ["digits/model.toml"]


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--aws",), {}, "requires the name of the stack"),
        (("--aws",), {"REFIT_STACK": "refit"}, "requires the name of the stack"),
        (ON_AWS, {}, "requires the id of the account, also with --yes"),
        (("--aws", "--account", ACCOUNT), {}, "requires the name of the stack"),
        ((*ON_AWS, "--account", ACCOUNT, "--port", "4620"), {}, "name two stacks"),
        (("--stack-name", "refit"), {}, "--aws is missing"),
        (("--account", ACCOUNT), {}, "--aws is missing"),
        (("--port", "0"), {}, "--port is 0, which selects AWS for other commands"),
        ((), {"REFIT_PORT": "0"}, "REFIT_PORT is 0, which selects AWS for other commands"),
    ],
)
def test_aws_that_is_not_fully_named_is_refused_also_with_yes(
    refit, aws, options, environment, message
):
    result = refit("remove", "digits", "--yes", *options, env=environment)
    assert result.exit_code == 2
    assert message in result.stderr
    assert aws.keys() == ["digits/model.toml"]


def test_another_account_is_refused_and_both_ids_are_named(refit, aws):
    result = refit("remove", "digits", "--yes", *ON_AWS, "--account", "999999999999")
    assert result.exit_code == 2
    assert ACCOUNT in result.stderr
    assert "999999999999" in result.stderr
    assert aws.keys() == ["digits/model.toml"]


@pytest.mark.parametrize("account", [ACCOUNT, "1234-5678-9012"])
def test_on_aws_the_named_stack_and_account_are_used(refit, aws, account):
    result = refit("remove", "digits", "--yes", *ON_AWS, "--account", account)
    assert result.exit_code == 0, result.output
    assert aws.keys() == []


def test_without_yes_and_without_a_terminal_the_whole_command_is_shown(refit, aws):
    options = (*ON_AWS, "--account", ACCOUNT)
    result = refit("remove", "digits", *options)
    assert result.exit_code == 2
    assert f"refit remove digits {' '.join(options)} --yes" in result.stderr
    assert aws.keys() == ["digits/model.toml"]


def test_on_a_terminal_the_account_and_the_model_are_typed(asked, aws):
    result = asked("remove", "digits", *ON_AWS, typed=[ACCOUNT, "digits"])
    assert result.exit_code == 0, result.output
    assert "Type the id of the AWS account" in result.stderr
    assert aws.keys() == []


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["999999999999", "digits"], f"of the AWS account {ACCOUNT}, not of 999999999999"),
        (["", "digits"], f"of the AWS account {ACCOUNT}, not of none"),
        ([ACCOUNT, "y"], "nothing was removed: 'y' is not 'digits'"),
        ([ACCOUNT], "nothing was removed: '' is not 'digits'"),
    ],
)
def test_on_a_terminal_anything_else_removes_nothing(asked, aws, typed, message):
    result = asked("remove", "digits", *ON_AWS, typed=typed)
    assert result.exit_code == 2
    assert message in result.stderr
    assert aws.keys() == ["digits/model.toml"]


def test_yes_does_not_replace_the_account_on_a_terminal(asked, aws):
    result = asked("remove", "digits", "--yes", *ON_AWS, typed=["wrong"])
    assert result.exit_code == 2
    assert aws.keys() == ["digits/model.toml"]


def test_a_local_stack_that_runs_is_used_and_no_account_is_asked_for(refit, aws, local_stacks):
    local_stacks.up(4620, None, keep=False, detach=True, log=lambda _: None)
    result = refit("remove", "digits", "--yes", env={"REFIT_PORT": "4620"})
    assert result.exit_code == 0, result.output
    assert "the local stack on port 4620" in result.stderr
    assert aws.keys() == []
