"""One line of a log, and how it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from refit.domain.one_line import one_line
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

Source = Literal["function", "state", "training", "transform"]

_COLOURS: dict[Source, str] = {
    "function": "cyan",
    "state": "magenta",
    "training": "green",
    "transform": "blue",
}
# What Powertools adds to each record; a person needs the rest.
_OF_THE_LOGGER = frozenset(
    {
        "cold_start",
        "exception",
        "exception_name",
        "function_arn",
        "function_memory_size",
        "function_name",
        "function_request_id",
        "level",
        "location",
        "message",
        "sampling_rate",
        "service",
        "stack_trace",
        "timestamp",
        "xray_trace_id",
    }
)
_FUNCTION = re.compile(r"-([A-Za-z]+?)Function-[A-Za-z0-9]+$")
_LONGEST_VALUE = 200
_WIDTH_OF_NAME = 18
_LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "bold red", "CRITICAL": "bold red"}


@dataclass(frozen=True, order=True)
class LogLine:
    """A line.

    Attributes:
        timestamp_ms: when it was written, in milliseconds since 1970.
        name: the stream of the line, or the execution of the state.
        number: the place among the lines of one stream and one moment.
        origin: who says it: a function, state machine or job, by its name without prefix.
        level: as the function logged it; None of a job.
        fields: what a function said beside the text, all of it.
    """

    timestamp_ms: int
    source: Source
    name: str
    number: int
    text: str
    origin: str = ""
    level: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def moment(self) -> datetime:
        """When the line was written."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)

    def as_json(self) -> dict[str, Any]:
        """Return the line as an object of JSON."""
        return {
            "time": self.moment.isoformat(timespec="milliseconds"),
            "source": self.source,
            "name": self.name,
            "origin": self.origin,
            "level": self.level,
            "text": self.text,
            "fields": dict(self.fields),
        }

    def as_markup(self, model: str) -> str:
        """Return the line for a person: time, origin, level, text and the fields that help.

        The context of the function is left out, as is the model, which is the same in all lines.
        """
        time, origin = f"{self.moment:%H:%M:%S}", escape(f"{self.origin:<{_WIDTH_OF_NAME}}")
        level = f"{self.level or '':<7}"
        text = self.text.replace("#011", "  ")  # CloudWatch's form of a tab
        style = _LEVEL_STYLES.get(self.level or "", "dim")
        beside = "".join(
            f" [dim]{escape(key)}=[/]{escape(_shown(value))}"
            for key, value in self.fields.items()
            if key not in _OF_THE_LOGGER and (key, value) != ("model", model)
        )
        if error := self.fields.get("exception_name"):
            beside += f" [dim]error=[/]{escape(str(error))}"
        colour = _COLOURS[self.source]
        return f"[dim]{time}[/] [{colour}]{origin}[/] [{style}]{level}[/] {escape(text)}{beside}"


def _shown(value: Any) -> str:
    """Return a value on one line; the names of a mapping stand before its values."""
    if isinstance(value, dict):
        text = ", ".join(f"{key} {each}" for key, each in value.items())
    else:
        text = str(value)
    return one_line(text, _LONGEST_VALUE)


def line_of_function(
    timestamp_ms: int, stream: str, number: int, record: dict[str, Any]
) -> LogLine:
    """Return a line that a function logged as JSON."""
    return LogLine(
        timestamp_ms,
        "function",
        stream,
        number,
        str(record["message"]),
        origin=_function(str(record.get("function_name", ""))),
        level=str(record.get("level", "INFO")),
        fields={key: value for key, value in record.items() if key != "message"},
    )


def _function(name: str) -> str:
    """Return `Prepare` of `refit-PrepareFunction-D3D062DFE131`."""
    match = _FUNCTION.search(name)
    return match[1] if match else name or "function"
