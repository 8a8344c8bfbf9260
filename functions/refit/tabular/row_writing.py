"""Write encoded rows to files: complete, or features and labels apart."""

from __future__ import annotations

from typing import Protocol

_JOINED_LINES = 5000


class ByteSink(Protocol):
    """A binary file, or another object with the same `write` method."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


def with_weights(lines: list[bytes], weights: list[bytes]) -> list[bytes]:
    """Return the lines with each row's weight after its label; unchanged without weights."""
    if not weights:
        return lines
    parts = (line.partition(b",") for line in lines)
    return [
        b",".join([label, weight, features])
        for (label, _, features), weight in zip(parts, weights, strict=True)
    ]


def full_width(line: bytes) -> bytes:
    """Return a line whose last cell has a value, as XGBoost needs it in one row of a file."""
    return line + b"nan" if line.endswith(b",") else line


def write_apart(features: ByteSink, labels: ByteSink, lines: list[bytes]) -> None:
    """Write the features of the rows to one file, and their labels to another."""
    parts = [line.partition(b",") for line in lines]
    # A line without any value would not be read as a row. XGBoost reads "nan" as missing.
    write(features, [part[2] if part[2].strip(b",") else b"nan" + part[2] for part in parts])
    write(labels, [part[0] for part in parts])


def write(sink: ByteSink, lines: list[bytes]) -> None:
    """Write lines, each with a line end."""
    for begin in range(0, len(lines), _JOINED_LINES):
        sink.write(b"\n".join(lines[begin : begin + _JOINED_LINES]) + b"\n")
