"""Write some held-out rows with their predictions, for people to look at."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from refit.domain.evaluation.examples import with_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.evaluation.examples import ExampleRow
    from refit.domain.naming import RunKeys
    from refit.domain.schema import Schema
    from refit.usecases.services import Services

_MOST_BYTES = 64 * 1024 * 1024
"""Of the file of held-out rows that is read, which takes about a second."""

_BLOCK_BYTES = 1024 * 1024


def readable_rows(services: Services, keys: RunKeys, count: int) -> int:
    """Return how many of the held-out rows, from the first on, are soon read."""
    size = services.bucket.size_bytes(_rows_key(keys))
    return count if size <= _MOST_BYTES else count * _MOST_BYTES // size


def write_examples(
    services: Services, keys: RunKeys, schema: Schema, chosen: Sequence[ExampleRow]
) -> None:
    """Read the values of the chosen rows, and write evaluation_examples.json."""
    wanted = {row.number for row in chosen}
    values = {}
    for number, line in enumerate(_lines(services.bucket.open(_rows_key(keys)))):
        if number in wanted:
            values[number] = schema.decode_line(line.decode())
            if len(values) == len(wanted):
                break
    examples = with_values(chosen, values)
    services.bucket.put_json(keys.evaluation_examples, examples.model_dump(mode="json"))


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _rows_key(keys: RunKeys) -> str:
    return f"{keys.evaluation_input}new.csv"
