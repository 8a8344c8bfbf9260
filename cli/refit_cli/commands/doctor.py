"""`refit doctor`: say what this machine or an AWS account lacks, and what mends it."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refit_cli import options, terminal
from refit_cli.errors import ExitCode
from refit_cli.runtime import CommandRuntime, runtime_of

if TYPE_CHECKING:
    from refit.domain.model_settings import ModelSettings

    from refit_cli.connection import StackConnection
    from refit_cli.readiness.findings import Finding

_COLOURS = {"ready": "green", "note": "yellow", "unchecked": "yellow", "missing": "bold red"}


def doctor(
    context: typer.Context,
    *,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="Check for a model with this model.toml."),
    ] = None,
    port: options.Port = None,
    aws: options.Aws = False,
    stack_name: options.StackName = options.DEFAULT_STACK,
    json: options.Json = False,
) -> None:
    """Check whether this machine or an account can run Refit. Nothing is changed.

    Of this machine: system, Python, port, disk, memory and browser. Of the local
    stack or the AWS account: credentials, Region and image, the stack's name, the
    quotas of SageMaker and Lambda, the permissions to deploy, and the tools. With
    --aws: of the account only. Each line says what is needed, what was found, and
    the command that mends it. The quotas are those of one model with the default
    settings, or with --settings. Without credentials, AWS is not checked.

    [bold]Examples[/]
      refit doctor                           this machine, and what it reaches
      refit doctor --aws                     before a deployment
      refit doctor --aws --settings model.toml
      refit doctor --json | jq '.findings[] | select(.status == "missing")'

    [bold]Exit codes[/]  0 ready · 1 something is missing · 2 the settings are not
    valid · 3 with --aws: no credentials, no Region, or not reachable
    """
    runtime = runtime_of(context)
    model = _settings(settings)
    target = options.StackTarget(port, stack_name, aws)
    if aws or port == 0:
        location, findings = _examine_target(target, model, runtime)
    else:
        location, findings = _examine_machine(target, model, runtime)
    if json:
        found = [finding.as_json() for finding in findings]
        terminal.write_json({"location": location, "ready": _ready(findings), "findings": found})
    else:
        _print(location, findings)
    if not _ready(findings):
        raise typer.Exit(ExitCode.FAILED)


def _examine_target(
    target: options.StackTarget, model: ModelSettings, runtime: CommandRuntime
) -> tuple[str, list[Finding]]:
    from refit_cli.connection import connected

    with connected(target, runtime) as connection:
        return connection.location, examine(connection, model, runtime)


def _examine_machine(
    target: options.StackTarget, model: ModelSettings, runtime: CommandRuntime
) -> tuple[str, list[Finding]]:
    """Examine this machine, and then the stack or the account that it reaches, if it does."""
    from refit_cli.connection import port_of_environment
    from refit_cli.errors import NotReachable
    from refit_cli.readiness.findings import Finding, Status
    from refit_cli.readiness.machine import Machine, machine_findings

    port = target.port or port_of_environment() or options.DEFAULT_PORT
    runs = runtime.local_stacks.info(port) is not None
    machine = runtime.machine or Machine()
    found = machine_findings(machine, Path.cwd(), port, runtime.find_program, runs=runs)
    reached = (
        options.StackTarget(port, target.stack_name)
        if runs
        else options.StackTarget(stack_name=target.stack_name, missing_port=port)
    )
    try:
        location, findings = _examine_target(reached, model, runtime)
    except NotReachable as error:
        unchecked = Finding(
            "AWS account",
            Status.UNCHECKED,
            "credentials and a Region, to use AWS",
            error.message,
            "aws configure, then refit doctor --aws; the local stack needs neither",
        )
        return "this machine", [*found, unchecked]
    return f"this machine and {location}", [*found, *findings]


def examine(
    connection: StackConnection, settings: ModelSettings, runtime: CommandRuntime
) -> list[Finding]:
    """Return the findings of all checks.

    Args:
        connection: the account to examine.
        settings: of the model that will be trained and deployed.
        runtime: finds programs.
    """
    from refit_cli.readiness import account, permissions, quotas, tools
    from refit_cli.readiness.needs import quotas_needed

    identity = connection.client("sts").get_caller_identity()
    region = connection.region
    return [
        account.account(identity),
        account.image(region, settings),
        account.stack(connection.client("cloudformation"), connection.stack_name),
        *quotas.sagemaker_quotas(
            connection.client("service-quotas"), quotas_needed(settings), region
        ),
        *quotas.lambda_limits(connection.client("lambda"), region),
        permissions.to_deploy(connection.client("iam"), identity["Arn"]),
        *tools.tools(runtime.find_program),
    ]


def _settings(path: Path | None) -> ModelSettings:
    from refit.domain.model_settings import ModelSettings, parse_settings

    from refit_cli.settings_file import read_settings

    return parse_settings(read_settings(path)) if path else ModelSettings()


def _ready(findings: list[Finding]) -> bool:
    return all(finding.status != "missing" for finding in findings)


def _print(location: str, findings: list[Finding]) -> None:
    from rich.markup import escape

    console = terminal.results()
    console.print(f"[bold]{escape(location)}[/]")
    for finding in findings:
        status = f"[{_COLOURS[finding.status]}]{finding.status:<9}[/]"
        check, needed, found = map(escape, (finding.check, finding.needed, finding.found))
        console.print(f"{status}  {check}: needed {needed}; found {found}")
        if finding.advice:
            console.print(f"           [dim]→ {escape(finding.advice)}[/]")
    missing = sum(finding.status == "missing" for finding in findings)
    unchecked = sum(finding.status == "unchecked" for finding in findings)
    verdict = f"[bold red]{missing} missing[/]" if missing else "[bold green]ready[/]"
    console.print(verdict + (f", {unchecked} not checked" if unchecked else ""))
