"""`refit doctor`: what an account lacks, what to do, and what it could not check."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from refit.domain.model_settings import ModelSettings, parse_settings
from refit_cli.readiness.machine import GB, Machine, Memory
from refit_cli.readiness.needs import quotas_needed
from refit_cli.readiness.permissions import DEPLOY_ACTIONS

from tests.support.template import RESOURCES, TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDPOINT = "ml.m5.large for endpoint usage"
USER = "arn:aws:iam::123456789012:user/ada"


def denied(operation: str, code: str = "AccessDeniedException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


class Pages:
    """A paginator that returns the given pages, or raises."""

    def __init__(self, pages: list[dict[str, Any]], error: ClientError | None) -> None:
        self.pages, self.error = pages, error

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        if self.error:
            raise self.error
        yield from self.pages


class Account:
    """Fakes of all clients that the doctor uses; the account of a test that lacks nothing."""

    def __init__(self) -> None:
        self.quotas = {need.quota: 4.0 for need in quotas_needed(ModelSettings())}
        self.defaults: dict[str, float] = {}
        self.concurrency = 1000
        self.arn = USER
        self.refused: set[str] = set()
        self.lacking: set[str] = set()
        self.stack_status: str | None = None
        self.simulated: list[str] = []

    def _check(self, operation: str) -> None:
        if operation in self.refused:
            raise denied(operation)

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "123456789012", "Arn": self.arn}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        self._check("DescribeStacks")
        if self.stack_status is None:
            raise denied("DescribeStacks", "ValidationError")
        return {"Stacks": [{"StackStatus": self.stack_status}]}

    def get_account_settings(self) -> dict[str, Any]:
        self._check("GetAccountSettings")
        return {"AccountLimit": {"ConcurrentExecutions": self.concurrency}}

    def get_role(self, RoleName: str) -> dict[str, Any]:
        return {"Role": {"Arn": f"arn:aws:iam::123456789012:role/teams/{RoleName}"}}

    def get_paginator(self, operation: str) -> Pages:
        error = denied(operation) if operation in self.refused else None
        if operation == "simulate_principal_policy":
            return self.Simulator(self, error)
        values = self.defaults if "default" in operation else self.quotas
        quotas = [
            {"QuotaName": name, "QuotaCode": f"L-{number}", "Value": value}
            for number, (name, value) in enumerate(values.items())
        ]
        return Pages([{"Quotas": quotas[:2]}, {"Quotas": quotas[2:]}], error)

    class Simulator(Pages):
        def __init__(self, account: Account, error: ClientError | None) -> None:
            super().__init__([], error)
            self.account = account

        def paginate(self, PolicySourceArn: str, ActionNames: list[str]) -> Any:
            if self.error:
                raise self.error
            self.account.simulated.append(PolicySourceArn)
            for action in ActionNames:
                decision = "implicitDeny" if action in self.account.lacking else "allowed"
                yield {"EvaluationResults": [{"EvalActionName": action, "EvalDecision": decision}]}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, clients: dict[str, Any]) -> Account:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    fake = Account()
    for service in ("sts", "cloudformation", "service-quotas", "lambda", "iam"):
        clients[service] = fake
    return fake


@pytest.fixture
def examined(refit, account, runtime):
    """Run the doctor; return its exit code and its findings by what was checked."""

    def run(*arguments: object, find=lambda name: f"/bin/{name}") -> tuple[int, dict[str, Any]]:
        command = refit(
            "doctor", "--aws", "--json", *arguments, runtime=replace(runtime, find_program=find)
        )
        findings = json.loads(command.stdout)["findings"]
        return command.exit_code, {finding["check"]: finding for finding in findings}

    return run


def test_an_account_that_lacks_nothing_is_ready(examined) -> None:
    code, findings = examined()
    assert code == 0
    assert {finding["status"] for finding in findings.values()} == {"ready"}
    assert "123456789012" in findings["credentials"]["found"]
    assert "141502667606" in findings["image in eu-west-1"]["found"]


def test_a_quota_that_is_too_small_is_missing_with_the_command_that_asks_for_more(
    examined, account: Account
) -> None:
    account.quotas[ENDPOINT] = 1.0
    code, findings = examined()
    assert (code, findings[ENDPOINT]["status"]) == (1, "missing")
    assert (findings[ENDPOINT]["found"], findings[ENDPOINT]["needed"][0]) == ("1", "2")
    number = list(account.quotas).index(ENDPOINT)
    assert (
        f"--quota-code L-{number} --desired-value 2 --region eu-west-1"
        in (findings[ENDPOINT]["advice"])
    )


def test_a_quota_without_an_applied_value_has_awss_default(examined, account: Account) -> None:
    del account.quotas[ENDPOINT]
    account.defaults[ENDPOINT] = 0.0
    code, findings = examined()
    assert (code, findings[ENDPOINT]["found"]) == (1, "0")


def test_the_settings_of_a_model_decide_which_quotas_are_needed(
    examined, account: Account, tmp_path
) -> None:
    file = tmp_path / "model.toml"
    file.write_text(
        "[training]\nspot = true\n"
        '[deployment]\ninstance_type = "ml.c5.xlarge"\ninstance_count = 3\n'
    )
    account.quotas["ml.m5.large for spot training job usage"] = 1.0
    account.quotas["ml.c5.xlarge for endpoint usage"] = 5.0
    code, findings = examined("--settings", file)
    assert code == 1
    assert findings["ml.c5.xlarge for endpoint usage"]["needed"].startswith("6 ")
    assert findings["ml.m5.large for spot training job usage"]["status"] == "ready"
    assert "ml.m5.large for training job usage" not in findings


def test_an_instance_type_without_a_quota_is_not_offered_in_the_region(
    examined, account: Account
) -> None:
    del account.quotas[ENDPOINT]
    _, findings = examined()
    assert findings[ENDPOINT]["status"] == "missing"
    assert "no such quota in eu-west-1" in findings[ENDPOINT]["found"]


@pytest.mark.parametrize(
    ("settings", "trainings", "transforms"),
    [
        ("[tuning]\nmax_jobs = 12\nmax_parallel = 4", 4, 2),
        ("[tuning]\nmax_jobs = 0\nmax_parallel = 4", 1, 2),
        ("[training]\nfolds = 5\nfolds_at_a_time = 3", 3, 3),
        ("[training]\nfolds = 2\nfolds_at_a_time = 4", 2, 2),
    ],
)
def test_trials_and_folds_at_the_same_time_need_larger_quotas(
    settings: str, trainings: int, transforms: int
) -> None:
    needs = {need.quota: need.count for need in quotas_needed(parse_settings(settings))}
    assert needs["ml.m5.large for training job usage"] == trainings
    assert needs["Number of instances across all training jobs"] == trainings
    assert needs["ml.m5.large for transform job usage"] == transforms
    assert needs["Number of instances across all transform jobs"] == transforms


def test_two_transform_jobs_run_at_the_same_time() -> None:
    needs = {need.quota: need.count for need in quotas_needed(parse_settings(""))}
    assert needs["ml.m5.large for transform job usage"] == 2


@pytest.mark.parametrize(
    ("concurrency", "code", "status"), [(9, 1, "missing"), (10, 0, "note"), (100, 0, "ready")]
)
def test_a_new_account_can_run_refit_and_is_told_that_its_functions_share_ten_executions(
    examined, account: Account, concurrency: int, code: int, status: str
) -> None:
    account.concurrency = concurrency
    exit_code, findings = examined()
    assert (exit_code, findings["Lambda concurrent executions"]["status"]) == (code, status)


def test_what_may_not_be_read_is_not_checked_and_does_not_fail(examined, account: Account) -> None:
    account.refused = {
        "list_service_quotas",
        "GetAccountSettings",
        "DescribeStacks",
        "simulate_principal_policy",
    }
    code, findings = examined()
    assert code == 0
    unchecked = {check for check, finding in findings.items() if finding["status"] == "unchecked"}
    assert unchecked >= {
        ENDPOINT,
        "Lambda concurrent executions",
        "stack refit",
        "permissions to deploy",
    }
    assert "servicequotas:ListServiceQuotas" in findings[ENDPOINT]["found"]


def test_missing_permissions_are_named(examined, account: Account) -> None:
    account.lacking = {"iam:CreateRole", "sqs:CreateQueue"}
    code, findings = examined()
    assert code == 1
    assert "lacks 2: iam:CreateRole, sqs:CreateQueue" in findings["permissions to deploy"]["found"]


def test_the_permissions_of_a_session_are_those_of_its_role_with_the_roles_path(
    examined, account: Account
) -> None:
    account.arn = "arn:aws:sts::123456789012:assumed-role/deployer/ada"
    assert examined()[0] == 0
    assert set(account.simulated) == {"arn:aws:iam::123456789012:role/teams/deployer"}


@pytest.mark.parametrize(
    ("arn", "status"),
    [
        ("arn:aws:iam::123456789012:root", "note"),
        ("arn:aws:sts::123456789012:federated-user/ada", "unchecked"),
    ],
)
def test_callers_that_the_simulator_does_not_know_are_not_checked(
    examined, account: Account, arn: str, status: str
) -> None:
    account.arn = arn
    code, findings = examined()
    assert (code, findings["permissions to deploy"]["status"]) == (0, status)


@pytest.mark.parametrize(
    ("stack_status", "status", "word"),
    [
        ("UPDATE_COMPLETE", "ready", "updated"),
        ("ROLLBACK_COMPLETE", "missing", "sam delete --stack-name mine"),
        ("CREATE_IN_PROGRESS", "missing", "wait"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_reported(
    examined, account: Account, stack_status: str, status: str, word: str
) -> None:
    account.stack_status = stack_status
    _, findings = examined("--stack-name", "mine")
    finding = findings["stack mine"]
    assert finding["status"] == status
    assert word in f"{finding['found']} {finding['advice']}"


def test_a_region_without_the_image_is_reported_with_the_others(
    examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "mx-central-1")
    code, findings = examined()
    assert code == 1
    assert "us-east-1" in findings["image in mx-central-1"]["found"]


def test_another_python_can_build_if_the_parameter_says_so(examined) -> None:
    _, findings = examined(find=lambda name: f"/bin/{name}" if name == "python3.12" else None)
    assert findings["Python"]["status"] == "note"
    assert "PythonRuntime=python3.12" in findings["Python"]["advice"]
    code, findings = examined(find=lambda name: None)
    assert (code, findings["Python"]["status"]) == (1, "missing")


def test_without_a_region_nothing_can_be_checked(
    refit, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    command = refit("doctor", "--aws")
    assert command.exit_code == 3
    assert "AWS_REGION" in command.stderr


def test_without_credentials_nothing_can_be_checked(refit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    command = refit("doctor", "--aws")
    assert command.exit_code == 3
    assert "credentials" in command.stderr


def test_settings_that_are_not_valid_end_the_command_before_aws_is_asked(refit, tmp_path) -> None:
    file = tmp_path / "model.toml"
    file.write_text("[training]\nspott = true\n")
    command = refit("doctor", "--aws", "--settings", file)
    assert command.exit_code == 2
    assert "spott" in command.stderr


def test_people_read_one_line_for_each_check_and_the_verdict(refit, account: Account) -> None:
    account.quotas[ENDPOINT] = 0.0
    lines = refit("doctor", "--aws").stdout.splitlines()
    assert f"missing    {ENDPOINT}: needed 2" in " ".join(lines)
    assert lines[-1].startswith("1 missing")


class SmallMachine(Machine):
    """A machine on which everything that the local stack needs is there, unless a test changes it.

    Attributes:
        taken: ports on which other programs listen.
    """

    python = (3, 12)
    kind = ("Linux", "x86_64")
    taken: tuple[int, ...] = ()
    disk_bytes = 10 * GB
    found_memory = Memory(8 * GB, 5 * GB)

    def is_free(self, port: int) -> bool:
        return port not in self.taken

    def free_disk_bytes(self, folder: Path) -> int:
        return self.disk_bytes

    def memory(self) -> Memory:
        return self.found_memory


@pytest.fixture
def machine(refit, runtime):
    """Run the doctor on a machine with these properties; return its exit code and findings."""

    def run(*arguments: object, find=lambda name: f"/bin/{name}", **values: Any):
        chosen = SmallMachine()
        for name, value in values.items():
            setattr(chosen, name, value)
        runs_on = replace(runtime, machine=chosen, find_program=find)
        command = refit("doctor", "--json", *arguments, runtime=runs_on)
        findings = json.loads(command.stdout)["findings"]
        return command.exit_code, {finding["check"]: finding for finding in findings}

    return run


def test_a_machine_without_aws_is_ready_and_the_account_is_not_checked(machine) -> None:
    code, findings = machine()
    assert code == 0
    account = findings.pop("AWS account")
    assert account["status"] == "unchecked"
    assert "aws configure" in account["advice"]
    assert set(findings) == {
        "machine",
        "Python of this command",
        "port 4566",
        "disk",
        "memory",
        "browser",
    }
    assert {finding["status"] for finding in findings.values()} == {"ready"}


def test_the_port_is_named_that_the_command_was_given(machine, monkeypatch) -> None:
    monkeypatch.setenv("REFIT_PORT", "4567")
    _, findings = machine("--port", 4641)
    assert "port 4641" in findings
    found = findings["AWS account"]["found"]
    assert found.startswith("no local stack is running on port 4641, and AWS cannot be used")


def test_another_local_stack_than_that_of_the_port_is_not_examined(machine, local_stacks) -> None:
    local_stacks.up(4566, None, keep=False, detach=True, log=lambda _: None)
    _, findings = machine("--port", 4641)
    assert "port 4641" in findings["AWS account"]["found"]


@pytest.mark.parametrize(
    ("values", "check", "status", "advice"),
    [
        ({"kind": ("Darwin", "arm64")}, "machine", "missing", "Linux on x86-64"),
        ({"python": (3, 10)}, "Python of this command", "missing", "make PYTHON="),
        ({"python": (3, 14)}, "Python of this command", "missing", "make PYTHON="),
        ({"taken": (4566, 4567)}, "port 4566", "missing", "refit up --port 4568"),
        ({"disk_bytes": 2 * GB}, "disk", "missing", "refit down --discard"),
        ({"found_memory": Memory(2 * GB, GB)}, "memory", "missing", "--reserve-memory"),
        ({"found_memory": Memory(8 * GB, GB)}, "memory", "note", "--reserve-memory"),
        ({"find": lambda name: None}, "browser", "note", "apt-get install chromium"),
    ],
)
def test_what_the_machine_lacks_is_said_with_what_mends_it(
    machine, values: dict[str, Any], check: str, status: str, advice: str
) -> None:
    code, findings = machine(**values)
    assert code == (1 if status == "missing" else 0)
    assert findings[check]["status"] == status
    assert advice in findings[check]["advice"]


def test_the_port_of_the_local_stack_that_runs_is_ready(
    machine, account: Account, local_stacks
) -> None:
    local_stacks.up(4566, None, keep=False, detach=True, log=lambda _: None)
    code, findings = machine(taken=(4566,))
    assert (code, findings["port 4566"]["found"]) == (0, "the local stack runs on it")
    assert findings[ENDPOINT]["status"] == "ready"


def test_the_account_is_checked_too_if_there_are_credentials(machine, account: Account) -> None:
    account.quotas[ENDPOINT] = 0.0
    code, findings = machine()
    assert (code, findings["disk"]["status"]) == (1, "ready")
    assert findings[ENDPOINT]["status"] == "missing"


def test_the_real_machine_can_be_read(tmp_path) -> None:
    real = Machine()
    assert real.memory().total >= real.memory().available > 0
    assert real.free_disk_bytes(tmp_path) > 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not real.is_free(server.getsockname()[1])


def test_the_permissions_cover_every_service_of_the_template() -> None:
    implied = {
        "AWS::Serverless::Function": "AWS::Lambda",
        "AWS::Serverless::LayerVersion": "AWS::Lambda",
        "AWS::Serverless::Api": "AWS::ApiGateway",
        "AWS::Serverless::StateMachine": "AWS::StepFunctions",
    }
    types = {resource["Type"] for resource in RESOURCES.values()}
    services = {implied.get(kind, kind.rsplit("::", 1)[0]) for kind in types}
    assert services <= DEPLOY_ACTIONS.keys()


def test_the_doctor_knows_the_parameters_of_the_template() -> None:
    from refit_cli.readiness import quotas, tools

    runtime = TEMPLATE["Parameters"]["PythonRuntime"]
    assert (runtime["Default"], tuple(runtime["AllowedValues"])) == (
        tools.DEFAULT_RUNTIME,
        tools.RUNTIMES,
    )
    assert TEMPLATE["Parameters"]["PrepareMemoryMB"]["Default"] == quotas.LARGEST_FUNCTION_MB
    memory = [
        resource["Properties"].get("MemorySize")
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    fixed = [value for value in memory if isinstance(value, int)]
    assert max(fixed, default=0) <= quotas.LARGEST_FUNCTION_MB
