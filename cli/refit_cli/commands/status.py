"""`refit status`: show the stack, its models and their runs."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape
from rich.table import Table

from refit_cli import options, terminal
from refit_cli.completion import model_names
from refit_cli.errors import NotReachable, unknown_model
from refit_cli.plurals import counted
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.answers.holds import Hold
    from refit.domain.answers.runs import TrainingProgress
    from refit.domain.pipeline.batch import Batch
    from refit.domain.pipeline.model_state import ModelState
    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection
    from refit_cli.loop_status import LoopStatus

_SHOWN_RUNS = 20


def status(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Show this model and its runs. Default: all models.",
            autocompletion=model_names,
        ),
    ] = None,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Show the stack, its models, their live versions and their runs.

    For one model, also what its live version and its newest run learned from
    their data, the last round of the newest training, and the state of its
    monitoring: quality compared with the held-out rows, evidence of drift,
    labels, shifted inputs, pending work, the state of retraining with its reason,
    and what holds the model, since when, with the command that frees it.

    [bold]Examples[/]
      refit status
      refit status digits
      refit status --json | jq '.models[] | {model, live: .champion.version}'
      refit status digits --json | jq '.models[0].loop.evidence'
      refit status --aws --stack-name refit-prod

    [bold]Exit codes[/]  0 the stack responds · 2 no such model · 3 stack not found or
    not reachable
    """
    from refit_cli.connection import connected

    if model is not None:
        checked_model_name(model)
    target = options.StackTarget(port, stack_name, aws)
    try:
        with connected(target, runtime_of(context)) as connection:
            names = connection.models.models()
            if model is not None and model not in names:
                raise unknown_model(model, names, connection.location)
            models = [_model_status(connection, name) for name in ([model] if model else names)]
            training = _newest_training(connection, models[0]) if model else ()
            stack = _stack_json(connection)
    except NotReachable as error:
        if json:
            terminal.write_json({"localStack": None, "stack": None, "error": error.message})
        raise
    if json:
        shown = [status.as_json() for status in models]
        if model is not None:
            shown[0]["training"] = [job.model_dump(mode="json", by_alias=True) for job in training]
        terminal.write_json(stack | {"models": shown})
        return
    _print_stack(stack)
    _print_models(models)
    if model is not None:
        _print_learned(models[0])
        _print_loop(models[0])
        _print_runs(models[0], training)
        _print_batches(models[0])


@dataclass(frozen=True)
class ModelStatus:
    """What the command shows of one model.

    Attributes:
        endpoint_status: status of the live version's endpoint; None without a live version.
        loop: state of monitoring and retraining; None without a live version.
        runs: all runs, newest first.
        batches: all batch predictions, newest first.
        holds: what holds the model, and the command that frees it.
        trials: how far the tuning job of the newest run is; None without one.
    """

    name: str
    state: ModelState
    endpoint_status: str | None
    loop: LoopStatus | None
    runs: list[Run]
    batches: list[Batch]
    holds: tuple[Hold, ...] = ()
    trials: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the model as `refit status --json` prints it."""
        from refit_cli.batches import batch_json

        champion = self.state.champion
        return {
            "model": self.name,
            "champion": champion
            and {
                "version": champion.version,
                "run": champion.run,
                "endpoint": champion.endpoint,
                "endpointStatus": self.endpoint_status,
                "promotedAt": champion.promoted_at,
            },
            "activeRun": self.state.active_run,
            "pending": self.state.pending,
            "removingSince": self.state.removing_since and self.state.removing_since.isoformat(),
            "holds": [hold.model_dump(mode="json", by_alias=True) for hold in self.holds],
            "loop": self.loop and self.loop.as_json(),
            "runs": [_run_json(run) for run in self.runs],
            "batches": [batch_json(batch) for batch in self.batches],
        }


def _model_status(connection: StackConnection, name: str) -> ModelStatus:
    from refit_cli.loop_status import read_loop_status
    from refit_cli.model_holds import read_holds

    state = connection.models.state(name)
    runs = connection.models.runs(name)
    champion = state.champion
    return ModelStatus(
        name=name,
        state=state,
        endpoint_status=connection.endpoint_status(champion.endpoint) if champion else None,
        loop=read_loop_status(connection, name, champion.version) if champion else None,
        runs=runs,
        batches=connection.batches.of_model(name),
        holds=read_holds(connection, name),
        trials=_trials(connection, name, runs[0]) if runs else None,
    )


def _newest_training(
    connection: StackConnection, model: ModelStatus
) -> tuple[TrainingProgress, ...]:
    from refit.usecases.training_status import curves_so_far, training_progress

    if not model.runs:
        return ()
    return training_progress(curves_so_far(connection.services, model.runs[0]))


def _trials(connection: StackConnection, name: str, run: Run) -> str | None:
    """Return how far the tuning job of a run is that trains now."""
    from refit.domain.naming import ResourceNames
    from refit.domain.vocabulary import RunStatus
    from refit.stores.tuning_progress import TuningFollower

    if run.status is not RunStatus.TRAINING:
        return None
    stem = ResourceNames(connection.stack.name_prefix, name).tuning_job(run.run)
    progress = TuningFollower(connection.client("sagemaker"), stem).poll()
    return progress.sentence if progress else None


def _run_json(run: Run) -> dict[str, Any]:
    from refit.usecases.run_answers import metrics_of

    return {
        "run": run.run,
        "status": run.status,
        "cause": run.cause,
        "version": run.version,
        "startedAt": run.started_at.isoformat(),
        "finishedAt": run.finished_at.isoformat() if run.finished_at else None,
        "metrics": metrics_of(run),
        "learned": run.learned and run.learned.model_dump(mode="json"),
        "tuning": run.tuning and run.tuning.model_dump(mode="json"),
        "featuresFrom": run.features_from and run.features_from.model_dump(mode="json"),
        "script": run.script and run.script.model_dump(mode="json"),
        "continued": run.continued and run.continued.model_dump(mode="json"),
        "error": run.error,
        "message": run.message,
    }


def _metrics_text(metrics: Mapping[str, float | str]) -> str:
    """Return the metrics on the new held-out rows; `--json` has those of the champion, too."""
    of_others = ("champion_", "base_", "fresh_champion_")
    return "  ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in metrics.items()
        if not name.startswith(of_others)
    )


def _stack_json(connection: StackConnection) -> dict[str, Any]:
    local, stack = connection.local, connection.stack
    return {
        "localStack": local
        and {
            "port": local.port,
            "pid": local.pid,
            "endpointUrl": local.endpoint_url,
            "stateDir": str(local.state_dir),
            "apiKeys": local.api_keys,
        },
        "stack": {
            "name": stack.name,
            "bucket": stack.bucket,
            "modelTable": stack.model_table,
            "apiUrl": stack.api_url,
            "consoleUrl": stack.console_url,
            "dashboardUrl": None if local else stack.dashboard_url,
            "apiKeyIds": stack.api_key_ids,
        },
    }


def _print_stack(description: dict[str, Any]) -> None:
    console = terminal.results()
    local, stack = description["localStack"], description["stack"]
    if local:
        console.print(
            f"[bold]local stack[/]  port {local['port']}, process {local['pid']}, "
            f"data in {escape(local['stateDir'])}"
        )
    console.print(f"[bold]stack[/]        {stack['name']}")
    console.print(f"[bold]bucket[/]       {stack['bucket']}")
    console.print(
        f"[bold]console[/]      {stack['consoleUrl']}  [dim]sign in with the operate key[/]"
    )
    if stack["dashboardUrl"]:
        console.print(f"[bold]dashboard[/]    {stack['dashboardUrl']}")
    console.print(f"[bold]API[/]          {stack['apiUrl']}")
    shown = local["apiKeys"] if local else stack["apiKeyIds"]
    for purpose, key in shown.items():
        title = "key" if local else "key id"
        console.print(f"[bold]{title:<12}[/] {key}  [dim]opens {purpose}[/]")
    console.print()


def _print_models(models: list[ModelStatus]) -> None:
    console = terminal.results()
    if not models:
        console.print("No models. Create one by uploading data: [bold]refit put MODEL FILE[/]")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title in ("model", "live", "endpoint", "state", "newest run", "status", "started"):
        table.add_column(title, no_wrap=True)
    for model in models:
        table.add_row(f"[bold]{model.name}[/]", *_live_cells(model), *_newest_cells(model))
    if terminal.fits(console, table):
        console.print(table)
        return
    for model in models:  # so that no name, id or status is cut
        console.print(f"[bold]{model.name}[/]")
        for title, cells in (("live", _live_cells(model)), ("newest run", _newest_cells(model))):
            console.print(f"  [dim]{title:<10}[/]  {'  '.join(filter(None, cells))}")


def _live_cells(model: ModelStatus) -> tuple[str, ...]:
    champion = model.state.champion
    live = f"version {champion.version}" if champion else "none"
    return live, model.endpoint_status or "", _state(model)


def _newest_cells(model: ModelStatus) -> tuple[str, ...]:
    if not model.runs:
        return ("", "", "")
    newest = model.runs[0]
    return newest.run, _styled(newest.status), terminal.ago(newest.started_at)


def _state(model: ModelStatus) -> str:
    if model.state.removing_since is not None:
        return "[yellow]being removed[/]"
    return model.loop.styled_state if model.loop else ""


def _print_learned(model: ModelStatus) -> None:
    """Print what the live version and the newest run learned from their data."""
    from refit_cli.learned_text import learned_lines

    console = terminal.results()
    champion = model.state.champion
    live = next((run for run in model.runs if champion and run.run == champion.run), None)
    shown = {run.run: run for run in (live, *model.runs[:1]) if run and run.learned}
    for run in shown.values():
        title = f"version {run.version}, live" if run is live else f"run {run.run}"
        console.print()
        for line in learned_lines(run.learned) if run.learned else ():
            console.print(f"[bold]{title}[/]  {line}")
            title = " " * len(title)


def _print_loop(model: ModelStatus) -> None:
    if model.loop is not None:
        console = terminal.results()
        console.print()
        console.print(model.loop.table(model.name))


def _training_texts(run: Run) -> list[str]:
    """Say what is special about the training of a run."""
    source = run.features_from
    texts = [f"features from {source.text} ({counted(source.columns, 'column')})"] if source else []
    records = (run.script, run.continued, run.tuning)
    return [*texts, *(record.sentence for record in records if record)]


def _print_runs(model: ModelStatus, training: tuple[TrainingProgress, ...]) -> None:
    from refit_cli.model_holds import hold_lines

    console = terminal.results()
    console.print()
    if model.state.removing_since is not None:
        began = terminal.ago(model.state.removing_since)
        console.print(
            f"[yellow]being removed[/]  the removal began {began}; if it was interrupted, finish "
            f"it with `refit remove {model.name}`\n"
        )
    elif model.holds:
        console.print("\n".join(hold_lines(model.holds)) + "\n")
    if model.state.pending:
        console.print("[cyan]pending[/]  new data is waiting for the active run to end\n")
    for run in model.runs[:_SHOWN_RUNS]:
        took = ""
        if run.finished_at:
            took = f", took {terminal.duration((run.finished_at - run.started_at).total_seconds())}"
        version = f"  version {run.version}" if run.version else ""
        started = terminal.ago(run.started_at)
        console.print(f"{run.run}  {_styled(run.status)}{version}  [dim]{started}{took}[/]")
        if run is model.runs[0]:
            for job in training:
                console.print(f"  {escape(job.text)}")
        for text in _training_texts(run):
            console.print(f"  {escape(text)}")
        if model.trials and not run.tuning and run is model.runs[0]:
            console.print(f"  {escape(model.trials)}")
        if run.metrics:
            from refit.usecases.run_answers import metrics_of

            console.print(f"  {escape(_metrics_text(metrics_of(run)))}")
        if run.message:
            console.print(f"  [dim]{escape(run.message)}[/]")
    hidden = len(model.runs) - _SHOWN_RUNS
    if hidden > 0:
        console.print(f"[dim]and {counted(hidden, 'older run')}; --json lists all of them[/]")


def _print_batches(model: ModelStatus) -> None:
    from refit_cli.batches import batch_line

    if not model.batches:
        return
    console = terminal.results()
    console.print("\n[bold]batch predictions[/]")
    for batch in model.batches[:_SHOWN_RUNS]:
        console.print(f"{batch_line(batch)}  [dim]{terminal.ago(batch.started_at)}[/]")
        if batch.message:
            console.print(f"  [dim]{escape(batch.message)}[/]")
    hidden = len(model.batches) - _SHOWN_RUNS
    if hidden > 0:
        older = counted(hidden, "older batch", "older batches")
        console.print(f"[dim]and {older}; --json lists all of them[/]")


def _styled(run_status: str) -> str:
    from refit_cli.watching.display import STATUS_STYLE

    return f"[{STATUS_STYLE.get(run_status, 'cyan')}]{run_status}[/]"
