"""Show a run while it is followed: as a live view, as plain lines, or as JSON lines."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.markup import escape

from refit_cli import terminal
from refit_cli.learned_text import learned_lines
from refit_cli.watching import display
from refit_cli.watching.chart import HEIGHT, metric_chart
from refit_cli.watching.follower import Follower, RunEvent, RunView
from refit_cli.watching.outcome import follow

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from refit_cli.connection import StackConnection
    from refit_cli.watching.outcome import Until, WatchOutcome

_ROUND_LINES = 10
_OTHER_LINES = HEIGHT + 8  # of a view with a chart, beside one for each state of the run


def follow_and_show(
    connection: StackConnection,
    model: str,
    *,
    run: str | None = None,
    until: Until,
    timeout_s: float | None,
    json: bool,
) -> tuple[WatchOutcome, RunView]:
    """Follow a run and show it in the form that the output allows.

    Returns:
        How the run ended, and all that is known of it.
    """
    console = terminal.results()
    reporter: JsonLines | LiveView | PlainLines
    if json:
        reporter = JsonLines()
    elif terminal.is_interactive():
        reporter = LiveView(console)
    else:
        reporter = PlainLines(console)
    follower = Follower(connection, model, run)
    try:
        with reporter if isinstance(reporter, LiveView) else nullcontext():
            outcome = follow(
                follower,
                reporter,
                until,
                timeout_s,
                poll_s=connection.poll_s,
                history_grace_s=connection.runtime.history_grace_s,
            )
            reporter.finish(follower.view, outcome)
    except KeyboardInterrupt:
        if found := follower.view.run:
            how = f"refit watch {model} --run {found.run}"
            terminal.inform(f"the run continues; follow it with [bold]{how}[/]")
        else:
            how = f"refit watch {model}"
            terminal.inform(f"uploaded data still starts a run; follow it with [bold]{how}[/]")
        raise
    return outcome, follower.view


class JsonLines:
    """One JSON event per line, for scripts."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def report(self, event: RunEvent, view: RunView) -> None:
        """Write the event."""
        self._last = max(event.at, self._last or event.at)
        terminal.write_json(event.as_json(view.model, view.run.run if view.run else None))

    def draw(self, view: RunView) -> None:
        """Do nothing: the events contain everything."""

    def finish(self, view: RunView, outcome: WatchOutcome) -> None:
        """Write the outcome as the last event."""
        now = datetime.now(UTC)
        stages = [
            {"machine": stage.machine, "state": stage.state, "seconds": round(stage.seconds, 3)}
            for stage in display.stages_of(view.spans, now)
        ]
        data = {
            "status": view.run.status if view.run else None,
            "version": view.run.version if view.run else None,
            "error": view.run.error if view.run else None,
            "message": outcome.text,
            "learned": view.learned and view.learned.model_dump(mode="json"),
            "exitCode": int(outcome.exit_code),
            "seconds": round(view.seconds(now), 3),
            "stages": stages,
        }
        has_ended = view.run is not None and view.run.finished_at is not None
        self.report(RunEvent("outcome", (has_ended and self._last) or now, data), view)


class PlainLines:
    """One line per change, for a log file."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def report(self, event: RunEvent, view: RunView) -> None:
        """Write the event as a line that starts with the time when it happened."""
        if event.event == "learned" and view.learned:
            for line in learned_lines(view.learned):
                self._console.print(f"{_time(event.at)}  {line}")
            return
        text = _sentence(event, view)
        if text:
            self._console.print(f"{_time(event.at)}  {escape(text)}")

    def draw(self, view: RunView) -> None:
        """Do nothing: lines are not redrawn."""

    def finish(self, view: RunView, outcome: WatchOutcome) -> None:
        """Write the evaluation, the gate's decision and the endpoint."""
        print_results(self._console, view)


class LiveView:
    """A view that is redrawn while the run continues; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view: RunView | None = None
        self._live = Live(
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,  # Rich's proxy hides the encoding of the terminal
            redirect_stderr=False,
            get_renderable=self._renderable,
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def report(self, event: RunEvent, view: RunView) -> None:
        """Do nothing: the view shows the change."""

    def draw(self, view: RunView) -> None:
        """Set what is drawn from now on."""
        self._view = view

    def finish(self, view: RunView, outcome: WatchOutcome) -> None:
        """Leave the final view and the results on the screen."""
        self._live.stop()
        self._console.print(self._drawn(view))
        if view.learned:
            for line in learned_lines(view.learned)[1:]:  # the sentence is in the view
                self._console.print(line)
        print_results(self._console, view)

    def _renderable(self) -> RenderableType:
        return self._drawn(self._view) if self._view else ""

    def _drawn(self, view: RunView) -> RenderableType:
        """Return the view, with a chart of the training where the terminal has room for it."""
        states = display.shown_stages(view.spans, datetime.now(UTC))
        fits = self._console.height >= len(states) + _OTHER_LINES
        chart = None
        if fits and terminal.supports_unicode():
            chart = metric_chart(view.rounds, self._console.width)
        return Group(display.draw(view), chart) if chart else display.draw(view)


def print_results(console: Console, view: RunView) -> None:
    """Print the evaluation, the gate's decision and the endpoint."""
    if view.evaluation:
        console.print()
        console.print(display.evaluation_table(view.evaluation))
    if view.decision:
        console.print()
        for line in display.gate_lines(view.decision):
            console.print(line)
    if view.endpoint and view.run:
        console.print(
            f"\n[green]live[/]  version {view.run.version} on endpoint {view.endpoint} "
            f"({view.endpoint_status}), after {terminal.duration(view.seconds(datetime.now(UTC)))}"
        )
        console.print(f"[dim]next[/]  refit predict {view.model} FILE")


def _time(moment: datetime) -> str:
    """Return the local time of day, with the date of another day than today."""
    local, now = moment.astimezone(), datetime.now(UTC).astimezone()
    return f"{local:%H:%M:%S}" if local.date() == now.date() else f"{local:%Y-%m-%d %H:%M:%S}"


def _sentence(event: RunEvent, view: RunView) -> str | None:
    data, text = event.data, None
    match event.event:
        case "waiting":
            text = f"waiting: {data['for']}"
        case "run":
            run = view.run.run if view.run else ""
            text = f"run {run} of {view.model}, cause: {data['cause'] or 'unknown'}"
        case "status":
            text = f"status {data['status']}"
        case "message":
            text = data["message"]
        case "entered":
            text = f"{data['machine']}: {data['state']} …"
        case "left":
            text = f"{data['machine']}: {data['state']} took {terminal.duration(data['seconds'])}"
        case "trial" if view.tuning:
            text = view.tuning.sentence
        case "round" if view.tuning:
            text = None  # of every trial they would be too many
        case "round":
            text = _round_sentence(data["round"], data["metrics"], view.planned_rounds)
            if text and data["training"] != "training":
                text = f"{data['training']}: {text}"
    return text


def _round_sentence(number: int, metrics: dict[str, float], planned: int | None) -> str | None:
    done = number + 1
    every = max(1, (planned or 10 * _ROUND_LINES) // _ROUND_LINES)
    if number and done % every and done != planned:
        return None
    values = "  ".join(f"{name} {value:.5f}" for name, value in metrics.items())
    return f"round {done}{f' of {planned}' if planned else ''}  {values}"
