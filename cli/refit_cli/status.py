"""`refit status`: what is there, and how it is."""
# ruff: noqa: PLC0415 (what is slow to import waits until the command runs)

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape
from rich.table import Table

from refit_cli import options, terminal
from refit_cli.errors import BadInput, NotReachable

if TYPE_CHECKING:
    from refit_cli.connection import Connection
    from refit_cli.records import Records, Run

_SHOWN_RUNS = 20


def status(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Show this model's runs. Default: all models."),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Show the ground or stack, its models, their live versions and their runs.

    Of one model, the state of its loop as well: quality against the held-out
    rows, evidence of drift on its way to an alarm, labels, inputs that moved,
    what is owed, and where retraining stands and why.

    [bold]Examples[/]
      refit status
      refit status digits
      refit status --json | jq '.models[] | {model, live: .champion.version}'
      refit status digits --json | jq '.models[0].loop.evidence'
      refit status --aws --stack-name refit-prod

    [bold]Exit codes[/]  0 it is there · 2 no such model · 3 no ground or stack, or it
    does not answer
    """
    from refit_cli.connection import connected
    from refit_cli.records import Records

    if model is not None:
        checked_model_name(model)
    try:
        with connected(options.Target(port, stack_name, aws)) as connection:
            records = Records(connection)
            names = records.models()
            if model is not None and model not in names:
                known = ", ".join(names) or "none yet"
                raise BadInput(
                    f"there is no model {model!r} on {connection.where}; known: {known}",
                    f"make it by dropping data: refit put {model} FILE",
                )
            models = [_model(records, name) for name in ([model] if model else names)]
            place = _place(connection)
    except NotReachable as error:
        if json:
            terminal.write_json({"ground": None, "stack": None, "error": error.message})
        raise
    if json:
        terminal.write_json(place | {"models": models})
        return
    _print(place, models, in_detail=model is not None)


def _place(connection: Connection) -> dict[str, Any]:
    ground, stack = connection.ground, connection.stack
    return {
        "ground": ground
        and {
            "port": ground.port,
            "pid": ground.pid,
            "endpointUrl": ground.endpoint_url,
            "stateDir": str(ground.state_dir),
        },
        "stack": {
            "name": stack.name,
            "bucket": stack.bucket,
            "modelTable": stack.model_table,
            "apiUrl": stack.api_url,
        },
    }


def _model(records: Records, name: str) -> dict[str, Any]:
    from refit_cli.loop_status import loop_of

    state = records.state(name)
    champion = state.get("champion")
    live = None
    if champion:
        live = {
            "version": int(champion["version"]),
            "run": champion["run"],
            "endpoint": champion["endpoint"],
            "endpointStatus": records.endpoint_status(champion["endpoint"]),
            "promotedAt": champion.get("promoted_at"),
        }
    return {
        "model": name,
        "champion": live,
        "activeRun": state.get("active_run"),
        "owed": bool(state.get("owed")),
        "loop": loop_of(records, name, live["version"]) if live else None,
        "runs": [_run(run) for run in records.runs(name)],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "run": run.run,
        "status": run.status,
        "cause": run.cause,
        "version": run.version,
        "startedAt": run.started_at.isoformat(),
        "finishedAt": run.finished_at.isoformat() if run.finished_at else None,
        "metrics": {
            name: value if isinstance(value, str) else float(value)
            for name, value in run.metrics.items()
        },
        "error": run.error,
        "message": run.message,
    }


def _print(place: dict[str, Any], models: list[dict[str, Any]], in_detail: bool) -> None:
    console = terminal.results()
    ground, stack = place["ground"], place["stack"]
    if ground:
        console.print(
            f"[bold]ground[/]  port {ground['port']}, process {ground['pid']}, "
            f"state in {escape(ground['stateDir'])}"
        )
    console.print(f"[bold]stack[/]   {stack['name']}")
    console.print(f"[bold]bucket[/]  {stack['bucket']}")
    console.print(f"[bold]api[/]     {stack['apiUrl']}\n")
    if not models:
        console.print("No models yet. Make one by dropping data: [bold]refit put MODEL FILE[/]")
        return
    console.print(_models_table(models))
    if in_detail:
        _print_loop(models[0])
        _print_runs(models[0])


def _models_table(models: list[dict[str, Any]]) -> Table:
    from refit_cli.loop_status import styled_state

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("model", "live", "endpoint", "loop", "newest run", "status", "began"):
        table.add_column(title, no_wrap=True)
    for found in models:
        live = found["champion"]
        newest = found["runs"][0] if found["runs"] else None
        table.add_row(
            f"[bold]{found['model']}[/]",
            f"version {live['version']}" if live else "none",
            live["endpointStatus"] if live else "",
            styled_state(found["loop"]),
            newest["run"] if newest else "",
            _styled(newest["status"]) if newest else "",
            terminal.ago(datetime.fromisoformat(newest["startedAt"])) if newest else "",
        )
    return table


def _print_loop(found: dict[str, Any]) -> None:
    from refit_cli.loop_status import print_loop

    if found["loop"] is not None:
        console = terminal.results()
        console.print()
        print_loop(console, found["model"], found["loop"])


def _print_runs(found: dict[str, Any]) -> None:
    console = terminal.results()
    console.print()
    if found["owed"]:
        console.print("[cyan]owed[/]  a drop waits for the active run to end\n")
    for run in found["runs"][:_SHOWN_RUNS]:
        took = ""
        began = datetime.fromisoformat(run["startedAt"])
        if run["finishedAt"]:
            ended = datetime.fromisoformat(run["finishedAt"])
            took = f", took {terminal.duration((ended - began).total_seconds())}"
        version = f"  version {run['version']}" if run["version"] else ""
        console.print(
            f"{run['run']}  {_styled(run['status'])}{version}  [dim]{terminal.ago(began)}{took}[/]"
        )
        if run["metrics"]:
            shown = "  ".join(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in run["metrics"].items()
            )
            console.print(f"  {escape(shown)}")
        if run["message"]:
            console.print(f"  [dim]{escape(run['message'])}[/]")
    hidden = len(found["runs"]) - _SHOWN_RUNS
    if hidden > 0:
        console.print(f"[dim]and {hidden} older ones; --json has them all[/]")


def _styled(status: str) -> str:
    from refit_cli.run_display import STATUS_STYLE

    return f"[{STATUS_STYLE.get(status, 'cyan')}]{status}[/]"
