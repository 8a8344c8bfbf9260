"""`refit retrain` and `refit unblock`: a person's word on a model's retraining."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

import getpass
import json as json_
import time
from typing import TYPE_CHECKING, Annotated

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput, RunFailed, TimedOut

if TYPE_CHECKING:
    from refit.domain.retraining.state import Retraining

    from refit_cli.connection import Connection
    from refit_cli.records import Records

REQUESTED, UNBLOCKED = "Retraining Requested", "Retraining Unblocked"


def retrain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    *,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Wait until it has begun, and follow it to its end."),
    ] = False,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            min=0,
            metavar="S",
            help="With --follow: give up after S seconds. Default: never.",
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Train a model anew: on its last training data and the labels since.

    It needs no drift, and neither the rest after a retraining nor the daily
    cap holds it back; a blocked model is tried once more. One new label at
    least is needed. While another run is under way it is owed, and begins
    when that ends. The new model goes live only if it is better.

    [bold]Examples[/]
      refit retrain digits
      refit retrain digits --follow --timeout 900
      refit retrain digits && refit status digits

    [bold]Exit codes[/]  0 asked for; with --follow, the new version is live · 1 the
    run failed or the gate refused it · 2 no such model, or no live version ·
    3 no ground or stack · 4 --timeout is over · 130 interrupted; it goes on
    """
    from refit_cli.connection import connected
    from refit_cli.records import Records

    checked_model_name(model)
    with connected(options.Target(port, stack_name, aws)) as connection:
        records = Records(connection)
        version = _live_version(records, connection, model)
        by = _who()
        event = _tell(connection, REQUESTED, model, by)
        if json and not follow:
            terminal.write_json({"model": model, "event": event, "by": by, "version": version})
        elif not json:
            terminal.results().print(
                f"[green]asked[/]  for a retraining of {model}, by {escape(by)}"
            )
            terminal.remark(
                f"It trains on what version {version} was trained on and on the labels since, "
                "after the run that is under way if there is one. See whether it is owed with "
                f"[bold]refit status {model}[/], and the run with [bold]refit watch {model}[/]"
            )
        if follow:
            _follow(connection, records, model, event, timeout_s, json)


def unblock(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Let a model be retrained again after retrainings in a row that were no better.

    Find out first why they were: `refit status MODEL` has their messages. If
    the model still drifts, a retraining begins as soon as there are labels
    enough. It also gives up waiting for an approval that will not come.

    [bold]Examples[/]
      refit unblock digits
      refit unblock digits && refit status digits

    [bold]Exit codes[/]  0 told, or nothing was blocked · 2 no such model, or no live
    version · 3 no ground or stack
    """
    from refit_cli.connection import connected
    from refit_cli.records import Records

    checked_model_name(model)
    with connected(options.Target(port, stack_name, aws)) as connection:
        records = Records(connection)
        _live_version(records, connection, model)
        state = records.retraining(model).state.value
        by = _who()
        event = _tell(connection, UNBLOCKED, model, by)
    if json:
        terminal.write_json({"model": model, "event": event, "by": by, "state": state})
        return
    if state != "blocked":
        terminal.results().print(f"{model} was not blocked: it is {state}")
        return
    terminal.results().print(f"[green]unblocked[/]  {model}, by {escape(by)}")
    terminal.remark(
        "If it still drifts, a retraining begins when there are labels enough: see "
        f"[bold]refit status {model}[/], and its run with [bold]refit watch {model}[/]"
    )


def _live_version(records: Records, connection: Connection, model: str) -> int:
    """Return the live version; there is nothing to train anew without one."""
    champion = records.state(model).get("champion")
    if champion:
        return int(champion["version"])
    known = records.models()
    if model in known:
        raise BadInput(
            f"no version of {model!r} is live on {connection.where}, so there is none to train "
            "anew",
            f"see its runs with `refit status {model}`, or drop data: refit put {model} FILE",
        )
    raise BadInput(
        f"there is no model {model!r} on {connection.where}; known: {', '.join(known) or 'none'}",
        f"make it by dropping data: refit put {model} FILE",
    )


def _who() -> str:
    """Return who is at this terminal, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):  # what Python raises when nobody has that number
        return "somebody"


def _tell(connection: Connection, name: str, model: str, by: str) -> str:
    """Put a person's word on the bus; return the event's id."""
    entry = {
        "Source": "refit",
        "DetailType": name,
        "Detail": json_.dumps({"model": model, "by": by}),
    }
    answer = connection.client("events").put_events(Entries=[entry])
    (told,) = answer["Entries"]
    if answer["FailedEntryCount"]:
        raise RunFailed(
            f"the event bus did not take {name!r}: {told.get('ErrorMessage', told)}",
            "try again in a moment",
        )
    return str(told["EventId"])


def _follow(
    connection: Connection,
    records: Records,
    model: str,
    event: str,
    timeout_s: float | None,
    json: bool,
) -> None:
    from refit_cli.watch import follow_and_show

    began = time.monotonic()
    run = _run_of(connection, records, model, event, timeout_s)
    left = None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - began))
    ending, _ = follow_and_show(
        connection, model, run=run, until="deployed", timeout_s=left, json=json
    )
    ending.raise_unless_ok()


def _run_of(
    connection: Connection, records: Records, model: str, event: str, timeout_s: float | None
) -> str:
    """Wait until what was asked for has begun; say meanwhile what it waits for."""
    from refit_cli.outcome import AWS_POLL_S, GROUND_POLL_S

    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    told: str | None = None
    while True:
        found: Retraining = records.retraining(model)
        taken_in = event in found.commands
        if taken_in and found.request is None and found.run is not None:
            return found.run
        waits_for = found.owed.why if taken_in and found.owed else None
        if waits_for is not None and waits_for != told:
            terminal.remark(f"[dim]owed: {escape(waits_for)}[/]")
            told = waits_for
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(
                f"the retraining of {model} did not begin within {timeout_s:g} s: "
                f"{told or 'the event has not been taken in'}",
                f"it stays owed; look again with `refit status {model}`",
            )
        time.sleep(GROUND_POLL_S if connection.ground else AWS_POLL_S)
