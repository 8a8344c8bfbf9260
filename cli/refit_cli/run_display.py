"""Draws a followed run: its states with their times, the metric of each round, the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from refit_cli.terminal import duration, speaks_unicode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import Estimate, Evaluation

    from refit_cli.following import View
    from refit_cli.history import StateSpan
    from refit_cli.training_log import Round

STATUS_STYLE = {
    "DEPLOYED": "bold green",
    "REFUSED": "bold yellow",
    "FAILED": "bold red",
    "SUPERSEDED": "dim",
    "AWAITING_APPROVAL": "bold magenta",
}
_SPARKS = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS = "_.-~=+*#"
SPARK_WIDTH = 12
_SHORTEST_SHOWN_S = 0.1
_BAR_WIDTH = 16
_INDENT = 7  # of the states, behind the machine's name

# The metrics of a per-class average say little that accuracy does not; --json has them.
_SHOWN_METRICS = ("accuracy", "log_loss", "macro_f1", "rmse", "mae", "r2", "bias")


@dataclass(frozen=True)
class Stage:
    """All stays in one state, added up: a state that is looped through is told once."""

    machine: str
    state: str
    seconds: float
    is_active: bool


def stages_of(spans: Sequence[StateSpan], now: datetime) -> list[Stage]:
    """Add up the spans by state, in the order in which the states were first entered."""
    stages: dict[tuple[str, str], Stage] = {}
    for span in spans:
        key = (span.machine, span.state)
        before = stages.get(key)
        stages[key] = Stage(
            span.machine,
            span.state,
            span.seconds(now) + (before.seconds if before else 0),
            span.left_at is None or bool(before and before.is_active),
        )
    return list(stages.values())


def shown_stages(spans: Sequence[StateSpan], now: datetime) -> list[Stage]:
    """Return the stages that a person sees: those that go on, or took a time worth telling."""
    return [
        stage
        for stage in stages_of(spans, now)
        if stage.is_active or stage.seconds >= _SHORTEST_SHOWN_S
    ]


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH, ascii_only: bool = False) -> str:
    """Return a line of characters whose height follows the values.

    Args:
        values: at least one finite number; more than `width` are thinned out evenly.
        width: the most characters.
        ascii_only: for a terminal without block characters.
    """
    if len(values) > width:
        step = (len(values) - 1) / (width - 1)
        values = [values[round(index * step)] for index in range(width)]
    low, high = min(values), max(values)
    marks = _ASCII_SPARKS if ascii_only else _SPARKS
    scale = (len(marks) - 1) / (high - low) if high > low else 0
    return "".join(marks[round((value - low) * scale)] for value in values)


def watched_metric(rounds: Sequence[Round]) -> str | None:
    """Return the metric that training is watched by: the last on validation, else on train."""
    names = list(rounds[-1].metrics) if rounds else []
    validation = [name for name in names if name.startswith("validation-")]
    return next(iter(reversed(validation or names)), None)


def draw(view: View) -> RenderableType:
    """Return the whole picture of a run in progress."""
    now = datetime.now(UTC)
    parts: list[RenderableType] = [_title(view, now)]
    if view.run is None:
        parts.append(Text(f"  {view.waiting_for}", style="dim"))
    else:
        parts.append(stage_table(view, now))
        if view.rounds:
            parts.append(round_line(view))
    return Group(*parts)


def _title(view: View, now: datetime) -> Table:
    line = Table.grid(expand=True)
    line.add_column()
    line.add_column(justify="right")
    title = Text.assemble((view.model, "bold"), "  ")
    if view.run:
        style = STATUS_STYLE.get(view.run.status, "bold cyan")
        title.append(f"run {view.run.run}  ")
        title.append(view.run.status, style=style)
    else:
        title.append("waiting", style="bold cyan")
    line.add_row(title, Text(duration(view.seconds(now)), style="dim"))
    return line


def stage_table(view: View, now: datetime) -> Table:
    """Return the states with their times."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", min_width=_INDENT - 1)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=8)
    shown = ""
    for stage in shown_stages(view.spans, now):
        machine = stage.machine if stage.machine != shown else ""
        shown = stage.machine
        active, passed = ("●", "✓") if speaks_unicode() else ("*", "+")
        mark = Text(active, "cyan") if stage.is_active else Text(passed, "green")
        time = Text(duration(stage.seconds), style="" if stage.is_active else "dim")
        table.add_row(machine, mark, stage.state, time)
    return table


def round_line(view: View) -> RenderableType:
    """Return how far training is and how the watched metric went, in one line."""
    grid = Table.grid(padding=(0, 1))
    done, planned = view.rounds[-1].number + 1, view.planned_rounds
    cells: list[RenderableType] = [" " * (_INDENT - 1)]
    cells.append(f"round {done}/{planned}" if planned else f"round {done}")
    if planned:
        cells.append(ProgressBar(total=planned, completed=done, width=_BAR_WIDTH))
    metric = watched_metric(view.rounds)
    if metric:
        values = [found.metrics[metric] for found in view.rounds if metric in found.metrics]
        cells.append(f"{metric} {values[-1]:.4f}")
        cells.append(Text(sparkline(values, ascii_only=not speaks_unicode()), style="cyan"))
    grid.add_row(*cells)
    return grid


def evaluation_table(evaluation: Evaluation) -> Table:
    """Return the numbers on the held-out rows: challenger beside champion, with intervals."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(f"on {evaluation.new.rows:,} held-out rows")
    table.add_column("this run", justify="right")
    table.add_column(f"{evaluation.confidence:.0%} interval", justify="right")
    champion = evaluation.new.champion
    if champion and evaluation.champion:
        table.add_column(f"live version {evaluation.champion.version}", justify="right")
    for name in _SHOWN_METRICS:
        if name not in evaluation.new.challenger.metrics:
            continue
        estimate = evaluation.new.challenger.metrics[name]
        row = [name.replace("_", " "), _number(name, estimate.value), _interval(name, estimate)]
        if champion and evaluation.champion:
            row.append(_number(name, champion.metrics[name].value))
        table.add_row(*row)
    return table


def gate_lines(decision: GateDecision) -> list[str]:
    """Return the gate's checks, one line of markup each."""
    lines = []
    for check in decision.checks:
        mark = "[green]passed[/] " if check.passed else "[yellow]refused[/]"
        lines.append(f"  {mark} {check.name:<5} {escape(check.reason)}")
    return lines


def _number(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.4f}"


def _interval(metric: str, estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{_number(metric, estimate.low)} to {_number(metric, estimate.high)}"
