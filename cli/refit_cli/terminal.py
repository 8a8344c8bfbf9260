"""Output for people and for scripts.

Results go to stdout, messages about the work to stderr, so that a pipe carries only results.
Without a terminal, or with NO_COLOR, every line is plain text and is not wrapped.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from refit_cli.errors import CommandError

# Output that is not a terminal has no width: tables are not cut and lines are not wrapped.
_NO_TERMINAL_WIDTH = 1000


def results() -> Console:
    """Return the console of stdout, created on each call because the stream may be replaced."""
    return _console(is_terminal=sys.stdout.isatty(), stderr=False)


def messages() -> Console:
    """Return the console of stderr."""
    return _console(is_terminal=sys.stderr.isatty(), stderr=True)


def _console(*, is_terminal: bool, stderr: bool) -> Console:
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=not is_terminal,
        width=None if is_terminal else _NO_TERMINAL_WIDTH,
    )


def fits(console: Console, table: Table) -> bool:
    """Return whether a console is wide enough for a table, so that no cell is cut."""
    unlimited = console.options.update(max_width=_NO_TERMINAL_WIDTH)
    return console.measure(table, options=unlimited).maximum <= console.width


def is_interactive() -> bool:
    """Return whether stdout is a terminal whose lines can be redrawn."""
    return results().is_terminal and not results().is_dumb_terminal


def write_json(value: Any) -> None:
    """Write a value to stdout as one line of JSON, and flush."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def inform(text: str) -> None:
    """Write one line, with Rich markup, to stderr."""
    messages().print(text)


@contextmanager
def says_on_interrupt(text: str) -> Iterator[None]:
    """Say on Ctrl-C what goes on without the command; the text has Rich markup."""
    try:
        yield
    except KeyboardInterrupt:
        inform(text)
        raise


def can_ask() -> bool:
    """Return whether a person can answer a question: stdin and stderr are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask on stderr, and return the line that was typed; an empty one at the end of stdin."""
    messages().print(question, end="", markup=False)
    return sys.stdin.readline().strip()


def print_error(error: CommandError) -> None:
    """Write an error and its advice to stderr."""
    console = messages()
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.advice:
        console.print(f"[dim]try:[/]   {escape(error.advice)}")


def supports_unicode() -> bool:
    """Return whether stdout can encode block and check-mark characters."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def duration(seconds: float) -> str:
    """Format a duration: `0.8 s`, `12 s`, `3:07 min`, `1:02:03`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"


def ago(moment: datetime) -> str:
    """Format the time since a moment: `12 s ago`, `3 hours ago`."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for length, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return f"{max(0, seconds):.0f} s ago"


def size(n_bytes: int) -> str:
    """Format a number of bytes: `812 B`, `1.5 MB`."""
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
