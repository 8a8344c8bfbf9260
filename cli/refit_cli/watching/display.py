"""Draw a followed run: its states with their durations, training metrics, the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from refit.domain.evaluation.deciding_metric import headline_metrics
from refit.domain.evaluation.training_curves import shown_metric
from refit.domain.quality_metrics import METRICS, figure
from refit.domain.vocabulary import RunStatus
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from refit_cli.terminal import duration, fits, results, supports_unicode
from refit_cli.watching.selection import has_ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import Estimate, Evaluation
    from refit.stores.execution_states import StateSpan

    from refit_cli.watching.follower import RunView

STATUS_STYLE: dict[str, str] = {
    RunStatus.DEPLOYED: "bold green",
    RunStatus.REFUSED: "bold yellow",
    RunStatus.FAILED: "bold red",
    RunStatus.SUPERSEDED: "dim",
    RunStatus.AWAITING_APPROVAL: "bold magenta",
}
_SPARKS = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS = "_.-~=+*#"
SPARK_WIDTH = 12
_SHORTEST_SHOWN_S = 0.1
_BAR_WIDTH = 16
_INDENT = 7  # of the states, to the right of the machine's name


@dataclass(frozen=True)
class Stage:
    """All visits of one state: a state inside a loop is shown once, with its total duration."""

    machine: str
    state: str
    seconds: float
    is_active: bool


def stages_of(spans: Sequence[StateSpan], now: datetime) -> list[Stage]:
    """Return the spans added up by state, in the order of the first visit."""
    stages: dict[tuple[str, str], Stage] = {}
    for span in spans:
        key = (span.machine, span.state)
        earlier = stages.get(key)
        stages[key] = Stage(
            span.machine,
            span.state,
            span.seconds(now) + (earlier.seconds if earlier else 0),
            span.left_at is None or bool(earlier and earlier.is_active),
        )
    return list(stages.values())


def shown_stages(spans: Sequence[StateSpan], now: datetime) -> list[Stage]:
    """Return the stages that are active or took at least 0.1 s."""
    return [
        stage
        for stage in stages_of(spans, now)
        if stage.is_active or stage.seconds >= _SHORTEST_SHOWN_S
    ]


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH, ascii_only: bool = False) -> str:
    """Return a line of characters whose heights show the values.

    Args:
        values: one or more finite numbers; if there are more than `width`, an even selection.
        width: largest number of characters.
        ascii_only: for terminals without block characters.
    """
    if len(values) > width:
        step = (len(values) - 1) / (width - 1)
        values = [values[round(index * step)] for index in range(width)]
    low, high = min(values), max(values)
    marks = _ASCII_SPARKS if ascii_only else _SPARKS
    span = high - low if high > low else 1.0
    return "".join(marks[round((value - low) / span * (len(marks) - 1))] for value in values)


def draw(view: RunView) -> RenderableType:
    """Return the live view of a run."""
    now = datetime.now(UTC)
    parts: list[RenderableType] = [_title(view, now)]
    if view.run is None:
        parts.append(Text(f"  {view.waiting_for}", style="dim"))
    else:
        if view.learned:
            parts.append(Text(f"  {view.learned.sentence}"))
        parts.append(stage_table(view, now))
        if view.run.message and not has_ended(view.run):
            parts.append(Padding(Text(view.run.message, style="yellow"), (0, 0, 0, _INDENT)))
        if view.tuning:
            parts.append(Text(f"{' ' * _INDENT}{view.tuning.sentence}"))
        if view.rounds:
            parts.append(round_line(view))
    return Group(*parts)


def _title(view: RunView, now: datetime) -> Table:
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


def stage_table(view: RunView, now: datetime) -> Table:
    """Return the states with their durations."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", min_width=_INDENT - 1)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=8)
    last_machine = ""
    for stage in shown_stages(view.spans, now):
        machine = stage.machine if stage.machine != last_machine else ""
        last_machine = stage.machine
        active, passed = ("●", "✓") if supports_unicode() else ("*", "+")
        mark = Text(active, "cyan") if stage.is_active else Text(passed, "green")
        time = Text(duration(stage.seconds), style="" if stage.is_active else "dim")
        table.add_row(machine, mark, stage.state, time)
    return table


def round_line(view: RunView) -> RenderableType:
    """Return the progress of training and the course of its metric, in one line.

    On a narrow terminal without the bar, then without the course, so that no figure is cut.
    """
    for bar, course in ((True, True), (False, True)):
        line = _round_grid(view, bar=bar, course=course)
        if fits(results(), line):
            return line
    return _round_grid(view, bar=False, course=False)


def _round_grid(view: RunView, *, bar: bool, course: bool) -> Table:
    grid = Table.grid(padding=(0, 1))
    done, planned = view.rounds[-1].number + 1, view.planned_rounds
    fold = "" if view.trained == "training" else view.trained
    cells: list[RenderableType] = [Text(fold.ljust(_INDENT - 1), "dim")]
    cells.append(f"round {done}/{planned}" if planned else f"round {done}")
    if planned and bar:
        cells.append(ProgressBar(total=planned, completed=done, width=_BAR_WIDTH))
    metric = shown_metric(list(view.rounds[-1].metrics))
    if metric:
        values = [past.metrics[metric] for past in view.rounds if metric in past.metrics]
        cells.append(f"{metric} {values[-1]:.4f}")
        if course:
            cells.append(Text(sparkline(values, ascii_only=not supports_unicode()), style="cyan"))
    grid.add_row(*cells)
    return grid


def evaluation_table(evaluation: Evaluation) -> Table:
    """Return the metrics on the held-out rows: challenger and champion, with intervals.

    `--json` has all metrics; the table has the one that decides, first, and the usual ones.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column(f"on {evaluation.new.rows:,} held-out rows")
    table.add_column("this run", justify="right")
    table.add_column(f"{evaluation.confidence:.0%} interval", justify="right")
    champion = evaluation.new.champion
    if champion and evaluation.champion:
        table.add_column(f"live version {evaluation.champion.version}", justify="right")
    for name in headline_metrics(evaluation):
        estimate = evaluation.new.challenger.metrics[name]
        title = METRICS[name].title + (" (decides)" if name == evaluation.metric else "")
        row = [title, figure(name, estimate.value, ".4f"), _interval(name, estimate)]
        if champion and evaluation.champion:
            live = champion.metrics.get(name)
            row.append(figure(name, live.value, ".4f") if live else "")
        table.add_row(*row)
    return table


def gate_lines(decision: GateDecision) -> list[str]:
    """Return one line of markup for each check of the gate, and for each of its notes."""
    lines = []
    for check in decision.checks:
        mark = "[green]passed[/] " if check.passed else "[yellow]failed[/] "
        lines.append(f"  {mark} {check.name:<5} {escape(check.reason)}")
    reasons = {check.reason for check in decision.checks}
    notes = [reason for reason in decision.reasons if reason not in reasons]
    return lines + [f"  [dim]note[/]          {escape(note)}" for note in notes]


def _interval(metric: str, estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{figure(metric, estimate.low, '.4f')} to {figure(metric, estimate.high, '.4f')}"
