"""`refit retrain` and `refit unblock`: user commands for a model's retraining."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer  # noqa: TC002 (typer reads the annotations)
from refit.domain.naming import checked_model_name
from refit.domain.vocabulary import EventName
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import Refused, TimedOut, unknown_model
from refit_cli.model_holds import holds_beside_retraining, request_release
from refit_cli.request_json import request_json
from refit_cli.runtime import runtime_of
from refit_cli.user_commands import publish, user_name

if TYPE_CHECKING:
    from refit.domain.pipeline.model_state import ModelState

    from refit_cli.connection import StackConnection


def retrain(
    context: typer.Context,
    model: options.Model,
    *,
    again: options.Again = False,
    follow: options.Follow = False,
    timeout_s: options.Timeout = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Retrain a model on its last training data and all newer labels.

    Ignores drift, cool-down and the daily limit, and gives a blocked model one
    more attempt. Needs a label or a setting that the last run did not have, or
    [bold]--again[/]. A requested run that is active answers the request; if another
    run is active, the request is queued. The new version goes live only if it is
    better.

    [bold]Examples[/]
      refit retrain digits
      refit retrain digits --again
      refit retrain digits --follow --timeout 900
      refit retrain digits && refit status digits

    [bold]Exit codes[/]  0 requested; with --follow, the new version is live · 1 the
    model has no live version; with --follow, the run failed or the gate refused
    the model · 2 no such model · 3 stack not found or not reachable · 4 timeout ·
    130 interrupted; the request stays
    """
    from refit.usecases.expected_retraining import expected_retraining

    from refit_cli.connection import connected

    checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        state, version = _live_state(connection, model)
        user = user_name(connection)
        expected = expected_retraining(connection.services, model, state, user, again=again)
        detail = {"model": model, "by": user, **expected.detail}
        event = publish(connection, EventName.RETRAINING_REQUESTED, detail)
        if json and not follow:
            answer = request_json(
                "retrain",
                model,
                user,
                expected.text,
                until=expected.follow.until,
                command=f"refit status {model}",
                event=event,
                version=version,
                run=expected.run,
                followed_run=expected.run,
            )
            terminal.write_json(answer)
        elif not json:
            terminal.results().print(
                f"[green]requested[/]  retraining of {model}, by {escape(user)}"
            )
            terminal.inform(
                f"{escape(expected.text)} See whether it is pending with "
                f"[bold]refit status {model}[/]; follow the run with [bold]refit watch {model}[/]"
            )
        if follow:
            _follow(connection, model, event, timeout_s, json)


def unblock(
    context: typer.Context,
    model: options.Model,
    *,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Free a model from what holds it and nothing works on any more.

    Ends runs, deployments and batch predictions whose executions have ended,
    releases their locks, and starts what waits for them, as the regular check
    does, but at once. Deploys the newest approved version again if the endpoint
    is missing, has failed, or was left with another version. What holds a model
    is shown by `refit status MODEL`; what is being worked on is not interrupted.

    Also allows retraining again after consecutive retrainings without
    improvement. Find the cause first: `refit status MODEL` shows the messages of
    the runs. If the model still drifts, a retraining starts as soon as there are
    enough labels. The command also stops the wait for an approval that is not
    given.

    [bold]Examples[/]
      refit unblock digits
      refit unblock digits && refit status digits

    [bold]Exit codes[/]  0 unblocked · 1 nothing is blocked · 2 no such model ·
    3 stack not found or not reachable
    """
    from refit_cli.connection import connected

    checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        version = _known_version(connection, model)
        user = user_name(connection)
        if holds_beside_retraining(connection, model):
            text = request_release(connection, model)
            event = None
        else:
            _check_blocked(connection, model, version)
            detail = {"model": model, "by": user}
            event = publish(connection, EventName.RETRAINING_UNBLOCKED, detail)
            text = "If the model still drifts, a retraining starts when there are enough labels."
    if json:
        answer = request_json(
            "unblock",
            model,
            user,
            text,
            until="`stage` is not `blocked`, and `holds` is empty",
            command=f"refit status {model}",
            event=event,
            version=version,
        )
        terminal.write_json(answer)
        return
    terminal.results().print(f"[green]unblocked[/]  {model}, by {escape(user)}")
    terminal.inform(
        f"{escape(text)} See [bold]refit status {model}[/], and follow a run with "
        f"[bold]refit watch {model}[/]"
    )


def _check_blocked(connection: StackConnection, model: str, version: int | None) -> None:
    """Check that the command has something to do.

    Raises:
        Refused: when retraining is not blocked, and does not wait for an approval.
    """
    from refit.domain.retraining.rules import may_be_unblocked

    if version is None:
        _live_state(connection, model)  # says that there is none
    retraining = connection.monitoring.retraining(model)
    run = connection.models.run(model, retraining.run) if retraining.run else None
    if not may_be_unblocked(retraining.state, run):
        raise Refused(
            f"the retraining of {model} is not blocked: its state is {retraining.state}",
            f"to retrain it now: refit retrain {model}",
        )


def _known_version(connection: StackConnection, model: str) -> int | None:
    """Return the live version, if there is one.

    Raises:
        BadInput: when the model does not exist.
    """
    champion = connection.models.state(model).champion
    models = connection.models.models()
    if champion is None and model not in models:
        raise unknown_model(model, models, connection.location)
    return champion.version if champion else None


def _live_state(connection: StackConnection, model: str) -> tuple[ModelState, int]:
    """Return the state of a model, and its live version.

    Raises:
        BadInput: when the model does not exist.
        Refused: when it has no live version.
    """
    state = connection.models.state(model)
    if state.champion:
        return state, state.champion.version
    models = connection.models.models()
    if model in models:
        raise Refused(
            f"no version of {model!r} is live on {connection.location}, so there is nothing to "
            "retrain",
            f"see its runs with `refit status {model}`, or upload data: refit put {model} FILE",
        )
    raise unknown_model(model, models, connection.location)


def _follow(
    connection: StackConnection,
    model: str,
    event: str,
    timeout_s: float | None,
    json: bool,
) -> None:
    from refit_cli.watching.reporters import follow_and_show

    started = time.monotonic()
    stays = f"the request stays; see [bold]refit status {model}[/]"
    with terminal.says_on_interrupt(stays):
        run = _wait_for_run(connection, model, event, timeout_s)
    remaining_s = None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - started))
    outcome, _ = follow_and_show(
        connection, model, run=run, until="deployed", timeout_s=remaining_s, json=json
    )
    outcome.raise_unless_ok()


def _wait_for_run(
    connection: StackConnection, model: str, event: str, timeout_s: float | None
) -> str:
    """Wait until the requested retraining has started, and report why it is pending.

    Returns:
        The run's id.

    Raises:
        TimedOut: when it has not started in time.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    reported: str | None = None
    while True:
        retraining = connection.monitoring.retraining(model)
        is_received = event in retraining.commands
        if is_received and retraining.request is None and retraining.run is not None:
            return retraining.run
        reason = retraining.pending.why if is_received and retraining.pending else None
        if reason is not None and reason != reported:
            terminal.inform(f"[dim]pending: {escape(reason)}[/]")
            reported = reason
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(
                f"the retraining of {model} did not start within {timeout_s:g} s: "
                f"{reported or 'the request has not been processed yet'}",
                f"the request stays pending; check with `refit status {model}`",
            )
        time.sleep(connection.poll_s)
