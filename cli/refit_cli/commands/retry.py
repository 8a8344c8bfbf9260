"""`refit retry`: run the drop of a run again."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from refit.domain.errors import ActionRefused, RunNotFound
from refit.domain.naming import ModelKeys, checked_model_name, retry_id
from refit.domain.pipeline.retry_choice import run_to_retry
from refit.domain.vocabulary import EventName
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput, Refused, TimedOut, unknown_model
from refit_cli.plurals import counted
from refit_cli.request_json import request_json
from refit_cli.runtime import runtime_of
from refit_cli.user_commands import publish, user_name

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import Drop
    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection

_SHOWN_FILES = 5


def retry(
    context: typer.Context,
    model: options.Model,
    *,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Repeat this run instead of the last one of dropped data."
        ),
    ] = None,
    follow: options.Follow = False,
    timeout_s: options.Timeout = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Run the same dropped files again, after a run failed or was refused.

    For a failure of AWS, or after model.toml was corrected: the new run trains
    on the same versions of the files, with the settings of now. Without --run it
    repeats the last run of dropped data, if that failed or was refused; with
    --run any run of dropped data that has ended. If the run was repeated before,
    its last repetition is repeated. If only the deployment failed, and by a fault
    of AWS (no capacity, say), the version is deployed again without training.
    Nothing starts while a run is active.

    [bold]Examples[/]
      refit retry digits
      refit put digits --settings model.toml && refit retry digits
      refit retry digits --run 3f0c9a1b2d4e --follow

    [bold]Exit codes[/]  0 requested; with --follow, the new version is live · 1 a run
    is active, or there is nothing to repeat; with --follow, the run failed or
    the gate refused the model · 2 no such model or run · 3 stack not found or not
    reachable · 4 timeout · 130 interrupted; the request stays
    """
    from refit_cli.connection import connected
    from refit_cli.removal.removal import check_not_being_removed

    checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        check_not_being_removed(connection, model)
        old = _run_to_retry(connection, model, run)
        new, user = retry_id(model, old.run), user_name(connection)
        detail = {"model": model, "run": old.run, "by": user}
        if old.may_be_deployed_again:
            event = publish(connection, EventName.RETRY_REQUESTED, detail)
            if not json:
                _print_deployment(model, old, new)
            elif not follow:
                answer = request_json(
                    "retry",
                    model,
                    user,
                    f"Version {old.version} is deployed again without training. "
                    f"{_unless_newest(old, new)}",
                    until="`status` is DEPLOYED or FAILED",
                    command=f"refit watch {model} --run {old.run}",
                    event=event,
                    version=old.version,
                    run=old.run,
                    followed_run=old.run,
                )
                terminal.write_json(answer)
            if follow:
                _follow(connection, model, (old, new), timeout_s, json)
            return
        drop = connection.artifacts.drop(model, old.run)
        event = publish(connection, EventName.RETRY_REQUESTED, detail)
        if not json:
            _print_request(model, old, new, drop)
        elif not follow:
            files = [
                {"key": file.key, "version": file.version, "size": file.size} for file in drop.files
            ]
            answer = request_json(
                "retry",
                model,
                user,
                f"Run {new} repeats the files of run {old.run} with the settings of now.",
                until="it exists, and `status` is final",
                command=f"refit watch {model} --run {new}",
                event=event,
                run=new,
                followed_run=new,
            )
            terminal.write_json(answer | {"retryOf": old.run, "files": files})
        if follow:
            _follow(connection, model, (old, new), timeout_s, json)


def _print_deployment(model: str, old: Run, new: str) -> None:
    terminal.results().print(
        f"[green]requested[/]  deployment of version {old.version} of {model}, without training"
    )
    terminal.inform(
        f"Only the deployment of run {old.run} failed ({old.error}). Follow it with [bold]refit "
        f"watch {model} --run {old.run}[/]. {_unless_newest(old, new)}"
    )


def _unless_newest(old: Run, new: str) -> str:
    return (
        f"If version {old.version} is not the newest approved version any more, run {new} repeats "
        f"the dropped files of run {old.run} instead."
    )


def _print_request(model: str, old: Run, new: str, drop: Drop) -> None:
    terminal.results().print(
        f"[green]requested[/]  run {new} of {model}: {escape(_contents(model, drop))}"
    )
    error = f" ({old.error})" if old.error else ""
    terminal.inform(
        f"It repeats run {old.run}, which is {old.status}{error}, with the settings of now. When "
        f"it has started, follow it with [bold]refit watch {model} --run {new}[/]"
    )


def _follow(
    connection: StackConnection,
    model: str,
    runs: tuple[Run, str],
    timeout_s: float | None,
    json: bool,
) -> None:
    """Wait until the new run, or another deployment of the old one, has started, and follow it.

    Args:
        connection: the stack.
        model: its name.
        runs: the old run as it was, and the id of the new one.
        timeout_s: seconds until the end, if limited.
        json: whether JSON is written.

    Raises:
        TimedOut: when nothing has started in time.
    """
    from refit_cli.watching.reporters import follow_and_show

    started = time.monotonic()
    with terminal.says_on_interrupt(f"the request stays; see [bold]refit status {model}[/]"):
        while (run := _started(connection, model, *runs)) is None:
            if timeout_s is not None and time.monotonic() - started >= timeout_s:
                raise TimedOut(
                    f"run {runs[1]} of {model} did not start within {timeout_s:g} s",
                    "if another run began first, a notice says so; see `refit status`",
                )
            time.sleep(connection.poll_s)
    remaining_s = None if timeout_s is None else max(0.0, timeout_s - (time.monotonic() - started))
    outcome, _ = follow_and_show(
        connection, model, run=run, until="deployed", timeout_s=remaining_s, json=json
    )
    outcome.raise_unless_ok()


def _started(connection: StackConnection, model: str, old: Run, new: str) -> str | None:
    """Return the run to follow once the request had an effect."""
    if connection.models.run(model, new) is not None:
        return new
    now = connection.models.run(model, old.run)
    has_begun = now is not None and now.deploy_execution_arn != old.deploy_execution_arn
    return old.run if has_begun else None


def _run_to_retry(connection: StackConnection, model: str, named: str | None) -> Run:
    """Return the run to repeat.

    Raises:
        BadInput: when there is no such model or run.
        Refused: when there is nothing to repeat, it must not be repeated, or a run is active.
    """
    runs = connection.models.runs(model)
    if not runs:
        raise unknown_model(model, connection.models.models(), connection.location)
    active = connection.models.state(model).active_run
    try:
        return run_to_retry(model, runs, active, named)
    except ActionRefused as error:
        raise Refused(error.reason, error.advice) from error
    except RunNotFound as error:
        raise BadInput(error.reason, error.advice) from error


def _contents(model: str, drop: Drop) -> str:
    raw = ModelKeys(model).raw
    names = [file.key.removeprefix(raw) for file in drop.files]
    shown = ", ".join(names[:_SHOWN_FILES])
    more = f" and {len(names) - _SHOWN_FILES} more" if len(names) > _SHOWN_FILES else ""
    count = counted(len(names), "file")
    return f"{count}, {terminal.size(sum(file.size for file in drop.files))}: {shown}{more}"
