"""Three ways to show a run as it goes: drawn over in a terminal, as plain lines, as JSON lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.live import Live
from rich.markup import escape

from refit_cli import run_display, terminal
from refit_cli.following import Event, View

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType

    from refit_cli.outcome import Ending

_LINES_OF_ROUNDS = 10


class JsonLines:
    """One event a line, for scripts."""

    def tell(self, event: Event, view: View) -> None:
        """Write the event."""
        terminal.write_json(event.as_json(view.model, view.run.run if view.run else None))

    def draw(self, view: View) -> None:
        """Do nothing: events say it all."""

    def finish(self, view: View, ending: Ending) -> None:
        """Write the outcome as the last event."""
        now = datetime.now(UTC)
        stages = [
            {"machine": stage.machine, "state": stage.state, "seconds": round(stage.seconds, 3)}
            for stage in run_display.stages_of(view.spans, now)
        ]
        outcome = {
            "status": view.run.status if view.run else None,
            "version": view.run.version if view.run else None,
            "error": view.run.error if view.run else None,
            "message": ending.text,
            "exitCode": int(ending.exit_code),
            "seconds": round(view.seconds(now), 3),
            "stages": stages,
        }
        self.tell(Event("outcome", outcome), view)


class PlainLines:
    """One line per change, for a log file."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def tell(self, event: Event, view: View) -> None:
        """Write the line of an event, with the time of day."""
        text = _sentence(event, view)
        if text:
            self._console.print(f"{datetime.now():%H:%M:%S}  {escape(text)}")

    def draw(self, view: View) -> None:
        """Do nothing: what was written stays."""

    def finish(self, view: View, ending: Ending) -> None:
        """Write the results."""
        print_results(self._console, view)


class LiveView:
    """A picture that is drawn over as long as the run goes; use it as a context."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view: View | None = None
        self._live = Live(
            console=console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,  # its proxy does not know what the terminal can show
            redirect_stderr=False,
            get_renderable=self._picture,
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

    def tell(self, event: Event, view: View) -> None:
        """Do nothing: the picture says it."""

    def draw(self, view: View) -> None:
        """Take the view that is drawn from now on."""
        self._view = view

    def finish(self, view: View, ending: Ending) -> None:
        """Leave the last picture and the results on the screen."""
        self._live.stop()
        self._console.print(run_display.draw(view))
        print_results(self._console, view)

    def _picture(self) -> RenderableType:
        return run_display.draw(self._view) if self._view else ""


def print_results(console: Console, view: View) -> None:
    """Print the evaluation, what the gate said of it, and the endpoint."""
    if view.evaluation:
        console.print()
        console.print(run_display.evaluation_table(view.evaluation))
    if view.decision:
        console.print()
        for line in run_display.gate_lines(view.decision):
            console.print(line)
    if view.endpoint and view.run:
        console.print(
            f"\n[green]live[/]  version {view.run.version} on endpoint {view.endpoint} "
            f"({view.endpoint_status}), after {terminal.duration(view.seconds(datetime.now(UTC)))}"
        )
        console.print(f"[dim]next[/]  refit predict {view.model} FILE")


def _sentence(event: Event, view: View) -> str | None:
    data, text = event.data, None
    match event.event:
        case "waiting":
            text = f"waiting: {data['for']}"
        case "run":
            run = view.run.run if view.run else ""
            text = f"run {run} of {view.model}, caused by {data['cause'] or 'unknown'}"
        case "status":
            text = f"status {data['status']}"
        case "entered":
            text = f"{data['machine']}: {data['state']} …"
        case "left":
            text = f"{data['machine']}: {data['state']} took {terminal.duration(data['seconds'])}"
        case "round":
            text = _round_sentence(data["round"], data["metrics"], view.planned_rounds)
    return text


def _round_sentence(number: int, metrics: dict[str, float], planned: int | None) -> str | None:
    done = number + 1
    every = max(1, (planned or 10 * _LINES_OF_ROUNDS) // _LINES_OF_ROUNDS)
    if number and done % every and done != planned:
        return None
    values = "  ".join(f"{name} {value:.5f}" for name, value in metrics.items())
    return f"round {done}{f' of {planned}' if planned else ''}  {values}"
