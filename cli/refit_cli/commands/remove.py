"""`refit remove`: remove a model with everything that belongs to it."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from refit.domain.naming import checked_model_name

from refit_cli import options, terminal
from refit_cli.errors import BadInput, Refused, RunFailed, unknown_model
from refit_cli.plurals import counted
from refit_cli.runtime import CommandRuntime, runtime_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit_cli.connection import StackConnection
    from refit_cli.removal.removal import Found, Removal


def remove(
    context: typer.Context,
    model: options.Model,
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask. On AWS, --account is required too.")
    ] = False,
    timeout_s: options.Timeout = None,
    port: options.NamedPort = None,
    aws: Annotated[
        bool,
        typer.Option("--aws", rich_help_panel=options.STACK_PANEL, help="Remove a model on AWS."),
    ] = False,
    stack_name: options.NamedStack = None,
    account: options.Account = None,
    json: options.Json = False,
) -> None:
    """Remove a model: endpoint, versions, data, labels and alarms.

    Shows what will be removed, and asks. Everything below the model's prefix in
    the bucket is deleted in all versions, with the uploaded training data, so
    keep your own copy. A model whose predictions are features of a live model
    is not removed. Active runs and jobs are stopped. The next upload of the
    same name begins again with version 1. At the end the command lists
    everything again, and names what is left. After an interruption, the same
    command finishes the removal.

    Unlike other commands, this one never uses AWS because no local stack is
    running: for AWS, name the stack and the account.

    [bold]Examples[/]
      refit remove digits
      refit remove digits --yes --json
      refit remove digits --aws --stack-name refit --account 123456789012

    [bold]Exit codes[/]  0 removed, nothing is left · 1 something is left or could not
    be deleted, or a live model reads its predictions · 2 no such model, not
    confirmed, or the stack is not named · 3 stack not found or not reachable ·
    4 timeout · 130 interrupted
    """
    from refit_cli.connection import connected
    from refit_cli.destructive import DestructiveTarget
    from refit_cli.removal.removal import Removal

    checked_model_name(model)
    runtime = runtime_of(context)
    target = DestructiveTarget(f"refit remove {model}", port, aws, stack_name, account)
    with connected(target.resolved(runtime), runtime) as connection:
        target.confirm_account(connection)
        _check_unused(connection, model)
        removal = Removal(connection, model, timeout_s)
        found = _found(connection, removal, model)
        if not yes:
            _confirm(model, target.usage, runtime)
        left = _remove(removal, found, model)
        _report(connection, model, found, left, json=json)


def _check_unused(connection: StackConnection, model: str) -> None:
    """Check that the features of no live model come from this one.

    Raises:
        Refused: when those of a model do; names it.
    """
    from refit.domain.errors import ObjectNotFound

    for user in connection.models.models():
        champion = None if user == model else connection.models.champion(user)
        if champion is None:
            continue
        try:
            source = connection.artifacts.manifest(user, champion.run).features_from
        except ObjectNotFound:
            continue
        if source is not None and source.model == model:
            raise Refused(
                f"nothing was removed: version {champion.version} of {user!r}, which is live, "
                f"reads predictions of {source.text} ([data] features_from)",
                f"first remove {user}, or train a version of it without features_from",
            )


def _found(connection: StackConnection, removal: Removal, model: str) -> list[Found]:
    """Find what there is of the model, and show it.

    Raises:
        BadInput: when there is nothing.
    """
    from refit_cli.removal.removal import show

    found = removal.found()
    if not found:
        raise unknown_model(model, connection.models.models(), connection.location)
    terminal.inform(f"[bold]{model}[/] on {connection.location}, to be removed:")
    show(found)
    return found


def _confirm(model: str, usage: str, runtime: CommandRuntime) -> None:
    if not runtime.can_ask():
        raise BadInput(
            "nothing was removed: there is no terminal to ask on",
            f"to remove it without a question: {usage} --yes",
        )
    typed = terminal.ask(f"This cannot be undone. Type {model} to remove it: ")
    if typed != model:
        raise BadInput(f"nothing was removed: {typed!r} is not {model!r}")


def _remove(removal: Removal, found: Sequence[Found], model: str) -> list[Found]:
    """Remove the model; return what is left."""
    try:
        removal.run(found)
        return removal.found()
    except BaseException:  # also Ctrl-C
        terminal.inform(
            f"[yellow]the removal of {model} has begun and has not ended: the same command "
            "finishes it[/]"
        )
        raise


def _report(
    connection: StackConnection,
    model: str,
    found: Sequence[Found],
    left: Sequence[Found],
    *,
    json: bool,
) -> None:
    from refit_cli.removal.removal import as_json, names_of, show, total_bytes

    if json:
        terminal.write_json(
            {
                "model": model,
                "location": connection.location,
                "stack": connection.stack_name,
                "found": as_json(found),
                "bytes": total_bytes(found),
                "left": names_of(left),
            }
        )
    if left:
        terminal.inform("[red]left:[/]")
        show(left)
        count = sum(each.count for each in left)
        raise RunFailed(
            f"{counted(count, 'resource')} of {model} {'is' if count == 1 else 'are'} left, "
            "such as "
            f"{', '.join(each.names[0] for each in left)}",
            f"run it again: refit remove {model}",
        )
    if not json:
        size = terminal.size(total_bytes(found))
        terminal.results().print(f"[green]removed[/]  {model}, {size} of data; nothing is left")
        terminal.inform(f"To begin again with version 1: [bold]refit put {model} FILE[/]")
