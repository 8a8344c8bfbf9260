"""Writing for people and for scripts.

Results go to stdout, everything said about the work goes to stderr, so that a pipe carries only
results. Without a terminal, or with NO_COLOR, every line is plain text and stays one line.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from refit_cli.errors import CommandError

# A file has no edge: no table is cut there, and no line is broken.
_NO_TERMINAL_WIDTH = 1000


def results() -> Console:
    """Return the console of stdout. Made anew each time: a test or a pipe may swap the stream."""
    return _console(is_terminal=sys.stdout.isatty(), stderr=False)


def remarks() -> Console:
    """Return the console of stderr."""
    return _console(is_terminal=sys.stderr.isatty(), stderr=True)


def _console(*, is_terminal: bool, stderr: bool) -> Console:
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=not is_terminal,
        width=None if is_terminal else _NO_TERMINAL_WIDTH,
    )


def is_interactive() -> bool:
    """Say whether stdout is a terminal on which a line can be drawn over."""
    return results().is_terminal and not results().is_dumb_terminal


def write_json(value: Any) -> None:
    """Write one value as one line of JSON to stdout, at once."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """Write one line about the work to stderr. Rich markup is read."""
    remarks().print(text)


def complain(error: CommandError) -> None:
    """Write an error as one message, and what to do about it, to stderr."""
    console = remarks()
    console.print(f"[bold red]error:[/] {escape(error.message)}")
    if error.advice:
        console.print(f"[dim]try:[/]   {escape(error.advice)}")


def speaks_unicode() -> bool:
    """Say whether stdout can carry block and check-mark characters."""
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def duration(seconds: float) -> str:
    """Return a length of time as people read it: `0.8 s`, `12 s`, `3:07`, `1:02:03`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"


def ago(moment: datetime) -> str:
    """Return how long something is past as people read it: `12 s ago`, `3 hours ago`."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for length, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return f"{max(0, seconds):.0f} s ago"


def size(n_bytes: int) -> str:
    """Return a number of bytes as people read it: `812 B`, `1.5 MB`."""
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
