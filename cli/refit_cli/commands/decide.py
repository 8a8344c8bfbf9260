"""`refit approve`, `refit reject` and `refit rollback`: decisions on the versions of a model."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.request_json import request_json
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_cli.versions import Decided, Versions

_Action = Literal["approve", "reject", "rollback"]
Version = Annotated[
    int, typer.Argument(min=1, metavar="VERSION", help="Number of the version, as in status.")
]


def approve(
    context: typer.Context,
    model: options.Model,
    version: Annotated[
        int | None,
        typer.Argument(
            min=1,
            metavar="VERSION",
            show_default=False,
            help="Number of the version. Default: the newest that waits for an approval.",
        ),
    ] = None,
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Approve a version in the model registry, so that it is deployed.

    Does what a person does in the registry of SageMaker. The newest approved
    version is the one that is live: an older one is not deployed while a newer
    one is approved. Your user name is recorded with the approval.

    [bold]Examples[/]
      refit approve digits && refit watch digits
      refit approve digits 4

    [bold]Exit codes[/]  0 approved · 1 none waits, it is approved already, or the model
    is being removed · 2 no such model or version · 3 stack not found or not
    reachable
    """
    target = options.StackTarget(port, stack_name, aws)
    decided = _decide(context, target, model, lambda versions: versions.approve(version))
    newer = decided.live is not None and decided.live > decided.version
    then = _Then(
        f"version {decided.live}, which is newer, stays live" if newer else "it is deployed next",
        "the version shows it" if newer else f"`champion.version` is {decided.version}",
        None if newer else f"refit watch {model}",
    )
    _report("approve", model, decided, then, json=json)


def reject(
    context: typer.Context,
    model: options.Model,
    version: Version,
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Reject a version in the model registry.

    If it is the live one, the newest version that is still approved is deployed
    in its place; if there is none, it stays live. A version that waits for an
    approval ends its run. Your user name is recorded with the rejection.

    [bold]Examples[/]
      refit reject digits 4

    [bold]Exit codes[/]  0 rejected · 1 it is rejected already, or the model is being
    removed · 2 no such model or version · 3 stack not found or not reachable
    """
    target = options.StackTarget(port, stack_name, aws)
    decided = _decide(context, target, model, lambda versions: versions.reject(version))
    is_live = decided.live == version
    then = _Then(
        "the newest approved version is deployed in its place, if there is one"
        if is_live
        else "it will not be deployed",
        f"`champion.version` is not {version}" if is_live else "the version shows it",
        f"refit status {model}" if is_live else None,
    )
    _report("reject", model, decided, then, json=json)


def rollback(
    context: typer.Context,
    model: options.Model,
    version: Version,
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Deploy an approved earlier version again.

    Rejects all approved versions that are newer, the live one last, which starts
    the deployment. Until it has succeeded, the live version answers. An
    interrupted rollback is completed by the same command. To go forward again,
    approve the newer version.

    [bold]Examples[/]
      refit rollback digits 3 && refit status digits

    [bold]Exit codes[/]  0 requested · 1 the version is not approved or not older than
    the live one, a deployment is active, or the model is being removed · 2 no
    such model or version · 3 stack not found or not reachable
    """
    target = options.StackTarget(port, stack_name, aws)
    decided = _decide(context, target, model, lambda versions: versions.roll_back(version))
    rejected = ", ".join(map(str, decided.rejected))
    then = _Then(
        f"rejected for it: {rejected}; it is deployed next",
        f"`champion.version` is {version}",
        f"refit status {model}",
    )
    _report("rollback", model, decided, then, json=json)


def _decide(
    context: typer.Context,
    target: options.StackTarget,
    model: str,
    decide: Callable[[Versions], Decided],
) -> Decided:
    from refit_cli.connection import connected
    from refit_cli.versions import Versions

    checked_model_name(model)
    with connected(target, runtime_of(context)) as connection:
        return decide(Versions(connection, model))


@dataclass(frozen=True)
class _Then:
    """What a decision leads to.

    Attributes:
        until: when it has happened, in terms of the API's answer about the model.
        command: shows it; None if nothing follows.
    """

    text: str
    until: str
    command: str | None


def _report(action: _Action, model: str, decided: Decided, then: _Then, *, json: bool) -> None:
    if json:
        answer = request_json(
            action,
            model,
            decided.by,
            f"Version {decided.version}: {then.text}.",
            until=then.until,
            command=then.command or f"refit status {model}",
            version=decided.version,
            run=decided.run,
        )
        terminal.write_json(answer | {"live": decided.live, "rejected": list(decided.rejected)})
        return
    done = {"approve": "approved", "reject": "rejected", "rollback": "requested"}[action]
    what = f"version {decided.version} of {model}"
    terminal.results().print(f"[green]{done}[/]  {what}, by {escape(decided.by)}")
    terminal.inform(f"{then.text}: [bold]{then.command}[/]" if then.command else then.text)
