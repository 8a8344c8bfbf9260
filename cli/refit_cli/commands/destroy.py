"""`refit destroy`: delete a stack with everything that it and its models made."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refit_cli import options, terminal
from refit_cli.errors import BadInput, RunFailed
from refit_cli.plurals import counted
from refit_cli.runtime import CommandRuntime, runtime_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit_cli.connection import StackConnection
    from refit_cli.destruction.destruction import Destruction
    from refit_cli.removal.removal import Found

_SHOWN_NAMES = 3
_LONGEST_NAME = 40
_WITHOUT_NAMES = frozenset({"object_versions", "uploads"})  # names of data: long, and no help


def destroy(
    context: typer.Context,
    *,
    delete_data: Annotated[
        bool,
        typer.Option("--delete-data", help="Delete the bucket and the tables too, for good."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask. On AWS, --account is required too.")
    ] = False,
    timeout_s: options.Timeout = None,
    port: options.NamedPort = None,
    aws: Annotated[
        bool,
        typer.Option("--aws", rich_help_panel=options.STACK_PANEL, help="Destroy a stack on AWS."),
    ] = False,
    stack_name: options.NamedStack = None,
    account: options.Account = None,
    json: options.Json = False,
) -> None:
    """Destroy the stack: models, endpoints, alarms, logs, functions, queues, roles.

    Lists what will be deleted, and asks. The bucket and the tables stay, with
    your data, unless --delete-data is given. What starts work is stopped first,
    then executions and jobs; endpoints, registry, alarms and logs of the models
    go before the stack. At the end the command lists every service of the stack
    again, and names what is left. After an interruption, the same command
    continues, also when the stack is gone already.

    Like remove, this command never uses AWS because no local stack is running:
    for AWS, name the stack and the account. What belongs to the whole account
    stays, and is named.

    [bold]Examples[/]
      refit destroy                       the local stack; refit down ends it
      refit destroy --delete-data --yes --json
      refit destroy --aws --stack-name refit --account 123456789012

    [bold]Exit codes[/]  0 destroyed, nothing is left · 1 something is left, or the
    stack cannot be deleted now · 2 not confirmed, or the stack is not named ·
    3 stack not found or not reachable · 4 timeout · 130 interrupted
    """
    from refit_cli.connection import connected
    from refit_cli.destruction.deployed import find_stack
    from refit_cli.destruction.destruction import Destruction
    from refit_cli.destructive import DestructiveTarget

    runtime = runtime_of(context)
    command = "refit destroy --delete-data" if delete_data else "refit destroy"
    target = DestructiveTarget(command, port, aws, stack_name, account)
    with connected(target.resolved(runtime), runtime) as connection:
        target.confirm_account(connection)
        stack = find_stack(connection)
        destruction = Destruction(connection, stack, delete_data=delete_data, timeout_s=timeout_s)
        found = destruction.found()
        _preview(connection, destruction, found)
        if found:
            if not yes:
                _confirm(stack.name, target.usage, runtime)
            _run(destruction, stack.name)
        _report(connection, destruction, found, json=json)


def _preview(connection: StackConnection, destruction: Destruction, found: Sequence[Found]) -> None:
    name = connection.stack_name
    if found:
        terminal.inform(f"[bold]stack {name}[/] on {connection.location}, to be deleted:")
        _show(found)
    if kept := destruction.kept():
        terminal.inform("\n[bold green]stays[/], because --delete-data is not given:")
        _show(kept)


def _show(found: Sequence[Found]) -> None:
    """Show counts, one kind a line, on stderr; names only where there are few."""
    from rich.markup import escape

    for each in found:
        size = f", {terminal.size(each.size_bytes)}" if each.size_bytes else ""
        has_names = each.count <= _SHOWN_NAMES and each.kind.key not in _WITHOUT_NAMES
        names = f"  [dim]{escape(', '.join(map(_short, each.names)))}[/]" if has_names else ""
        terminal.inform(f"  {each.kind.counted(each.count)}{size}{names}")


def _short(name: str) -> str:
    """Return a name that takes little room: of an ARN or a URL, the last part."""
    if name.startswith("arn:"):
        name = name.rsplit(":", 1)[-1]
    elif name.startswith("http"):
        name = name.rsplit("/", 1)[-1]
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _confirm(name: str, usage: str, runtime: CommandRuntime) -> None:
    if not runtime.can_ask():
        raise BadInput(
            "nothing was destroyed: there is no terminal to ask on",
            f"to destroy the stack without a question: {usage} --yes",
        )
    typed = terminal.ask(f"This cannot be undone. Type {name} to destroy the stack: ")
    if typed != name:
        raise BadInput(f"nothing was destroyed: {typed!r} is not {name!r}")


def _run(destruction: Destruction, name: str) -> None:
    try:
        destruction.run()
    except BaseException:  # also Ctrl-C
        terminal.inform(
            f"[yellow]the destruction of {name} has begun and has not ended: the same command "
            "finishes it[/]"
        )
        raise


def _report(
    connection: StackConnection,
    destruction: Destruction,
    found: Sequence[Found],
    *,
    json: bool,
) -> None:
    from refit_cli.destruction.destruction import summary

    left, kept = destruction.found(), destruction.kept()
    if json:
        terminal.write_json(
            {
                "stack": connection.stack_name,
                "location": connection.location,
                "found": summary(found),
                "kept": summary(kept),
                "of_the_account": destruction.stays(),
                "left": summary(left),
            }
        )
    else:
        _say_what_stays(destruction.stays())
    if left:
        terminal.inform("[red]left:[/]")
        _show(left)
        count = sum(each.count for each in left)
        raise RunFailed(
            f"{counted(count, 'resource')} of the stack {'is' if count == 1 else 'are'} left, "
            "such as "
            f"{', '.join(each.names[0] for each in left)}",
            "run the same command again",
        )
    if not json:
        what = "destroyed" if found else "nothing to destroy"
        terminal.results().print(
            f"[green]{what}[/]  stack {connection.stack_name}; nothing of it is left that costs"
            + (", except for its data" if kept else "")
        )
        if connection.local is not None:
            terminal.inform(
                f"end the empty local stack: [bold]refit down --port {connection.local.port}[/]"
            )


def _say_what_stays(stays: Mapping[str, str]) -> None:
    terminal.inform("[dim]stays, because it belongs to the account:[/]")
    for name, reason in stays.items():
        terminal.inform(f"[dim]  {name}: {reason}[/]")
