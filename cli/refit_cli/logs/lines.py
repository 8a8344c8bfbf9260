"""One line of a log, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

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
_OF_THE_LOGGER = frozenset(
    {"level", "location", "message", "timestamp", "service", "exception_name", "xray_trace_id"}
)


@dataclass(frozen=True, order=True)
class LogLine:
    """A line.

    Attributes:
        timestamp_ms: when it was written, in milliseconds since 1970.
        name: the stream of the line, or the execution of the state.
        number: the place among the lines of one stream and one moment.
    """

    timestamp_ms: int
    source: Source
    name: str
    number: int
    text: str

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
            "text": self.text,
        }

    def as_markup(self) -> str:
        """Return the line with Rich markup, coloured by its source."""
        colour = _COLOURS[self.source]
        time = f"{self.moment:%H:%M:%S}"
        return f"[dim]{time}[/] [{colour}]{self.source:<9}[/] {escape(self.text)}"


def text_of_function(record: Mapping[str, Any]) -> str:
    """Return the message of a line that a function logged as JSON, with what it says beside it."""
    beside = " ".join(
        f"{key}={value}" for key, value in record.items() if key not in _OF_THE_LOGGER
    )
    level = record.get("level", "INFO")
    shown = "" if level == "INFO" else f"{level} "
    return f"{shown}{record['message']} {beside}".rstrip()
