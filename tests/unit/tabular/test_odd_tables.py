"""Whatever a file contains, it is prepared, or refused with a sentence for a person."""

from __future__ import annotations

import csv
import gc
import io
import random
import tracemalloc
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from refit.domain.errors import RefitError

from tests.support.preparing import PreparedDrop, Preparing, scattered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit.domain.schema import Schema

MIB = 1024 * 1024
WORDS = [
    *(
        "NA nan None ? - . , 0 1 -1 1.5 1,5 1.234 1,234 1.234,5 12% $5 €5 (5) −5 1e5 1e400 inf "
        "true FALSE yes 2025-01-31 31.12.2025 01/02/2024 12:30 2024Q1 20251231 7kg 007 a b label "
        "12345678901234567 x é \ufeff"
    ).split(),
    *["", " ", '"', "\x00", "two\nlines"],
]
NAMES = [*"label a b id y class größe gro\u0308ße date 2011 1".split(), "", " c "]
KINDS: dict[str, Callable[[random.Random, int], str]] = {
    "any": lambda chance, n: chance.choice(WORDS),
    "class": lambda chance, n: str(chance.randrange(3)),
    "text": lambda chance, n: chance.choice(["red", "blue", "NA"]),
    "float": lambda chance, n: f"{chance.gauss(0, 9):.3f}",
    "comma": lambda chance, n: f"{chance.random() * 99:.2f}".replace(".", ","),
    "thousands": lambda chance, n: f"{chance.randrange(10**7):,}",
    "truth": lambda chance, n: chance.choice(["True", "False", ""]),
    "date": lambda chance, n: f"{1 + n % 28}/{1 + n % 12}/2024",
    "count": lambda chance, n: str(n),
    "name": lambda chance, n: f"Smith {n}",
    "one": lambda chance, n: "5",
    "blank": lambda chance, n: chance.choice(["", "NA"]),
}


@st.composite
def odd_files(draw: st.DrawFn, names: list[str] | None) -> bytes:
    """A table whose columns change their kind, or have cells of another kind now and then."""
    chance = random.Random(draw(st.integers(0, 10**9)))
    width = len(names) if names else draw(st.integers(2, 5))
    rows = draw(st.sampled_from([1, 12, 60, 150]))
    kind = st.sampled_from(sorted(KINDS))
    columns = draw(st.lists(st.tuples(kind, kind), min_size=width, max_size=width))
    change = draw(st.sampled_from([0, rows // 2, rows, rows, rows]))
    oddness = draw(st.sampled_from([0, 0, 0.01, 0.2]))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=draw(st.sampled_from(",,,;\t")))
    if names:
        writer.writerow(names)
    for number in range(rows):
        cells = [KINDS[pair[number >= change]](chance, number) for pair in columns]
        if chance.random() < oddness:
            cells[chance.randrange(width)] = chance.choice(WORDS)
        if chance.random() < oddness / 4:
            cells.pop()
        writer.writerow(cells)
    data = bytearray(out.getvalue().encode())
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


@st.composite
def odd_settings(draw: st.DrawFn, names: list[str] | None) -> dict[str, Any]:
    known = st.sampled_from(names or ["f0", "f1"])
    types = st.sampled_from(["number", "category", "boolean", "date", "ignore"])
    optional = {
        "label": st.sampled_from([0, -1, 1, "last"]) | known,
        "task": st.sampled_from(["classification", "regression"]),
        "missing": st.lists(st.sampled_from(WORDS), max_size=2),
        "columns": st.dictionaries(known, types, max_size=2),
        "ignore": st.lists(known, max_size=1),
        "decimal": st.sampled_from([".", ","]),
        "header": st.sampled_from(["yes", "no"]),
        "weight": known,
        "group": known,
        "time": known,
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional)), max_size=3))
    drawn = {name: draw(optional[name]) for name in sorted(chosen)}
    common = {"max_bad_fraction": 0.5, "test_fraction": 0.3, "schema_change": "accept"}
    return {"label": 0} | common | drawn


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_two_drops_of_odd_tables_are_prepared_or_refused_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = data.draw(st.none() | st.lists(st.sampled_from(NAMES), min_size=2, max_size=5))
    prepare = Preparing(tmp_path_factory.mktemp("odd"))
    prior: Schema | None = None
    for _ in range(2):
        file, options = data.draw(odd_files(names)), data.draw(odd_settings(names))
        try:
            result = prepare(file, prior=prior, **options)
        except ValidationError:
            return  # settings that contradict each other
        except RefitError as error:
            event(type(error).__name__)
            said = str(error)
        else:
            event("prepared")
            said = result.learned.text
            _check(result, is_weighted="weight" in options)
            prior = result.schema
        assert said.strip()


def _check(result: PreparedDrop, *, is_weighted: bool) -> None:
    """Check that each written row has a number or nothing for each column."""
    width = 1 + len(result.schema.features)
    for part, more in ((result.train, is_weighted), (result.validation, is_weighted)):
        for row in part.splitlines():
            cells = row.split(b",")
            assert len(cells) == width + more
            assert all(float(cell or 0) == float(cell or 0) or cell == b"nan" for cell in cells)
    assert result.learned.rows == sum(result.rows.values())
    assert set(result.schema.all_columns) == {column.name for column in result.learned.columns}


class Generated(io.RawIOBase):
    """A file that is generated while it is read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def read(self, size: int = -1) -> bytes:
        parts, length = [], 0
        for line in self._lines:
            parts.append(line.encode())
            length += len(parts[-1])
            if length > 256 * 1024:
                break
        return b"".join(parts)


def long_texts() -> Iterator[str]:
    yield "label,size,text\n"
    for n in range(4000):
        yield f"{n % 2},{scattered(n)},{'words ' * 3000}{n}\n"


def quoted_texts() -> Iterator[str]:
    yield "label,size,text\n"
    for n in range(4000):
        yield f'{n % 2},{scattered(n)},"{"words, " * 3000}{n}"\n'


PYTHONS_OWN_THRESHOLD = (700, 10, 10)
"""Of garbage collection in Lambda; in the tests it is higher."""


@pytest.mark.parametrize("lines", [long_texts, quoted_texts])
def test_long_texts_are_not_kept_in_memory(
    prepared: Preparing, lines: Callable[[], Iterator[str]]
) -> None:
    rarely = gc.get_threshold()
    gc.set_threshold(*PYTHONS_OWN_THRESHOLD)
    tracemalloc.start()
    try:
        result = prepared({"drop.csv": partial(_opened, lines)})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.set_threshold(*rarely)
    assert result.rows["train"] > 0
    assert peak < 85 * MIB


def _opened(lines: Callable[[], Iterator[str]]) -> Any:
    return Generated(lines())
