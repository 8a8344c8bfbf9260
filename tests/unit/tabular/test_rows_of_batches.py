"""The rows of a batch keep order and number, and a sample of them is random but repeatable."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from refit.domain.errors import EvaluationIncomplete
from refit.domain.naming import BatchKeys
from refit.domain.schema import Schema
from refit.tabular.batch_rows import EncodedRow, RandomRows
from refit.tabular.prediction_table import NAMES_LINE_END, PredictionTable, answered_rows, header

TWO = Schema.model_validate(
    {
        "task": "classification",
        "label": "kind",
        "features": [{"name": "f0", "type": "number"}],
        "classes": ["no", "yes"],
    }
)


def sample_of(rows: int, size: int, seed: int) -> list[int]:
    sample = RandomRows(size, seed)
    for number in range(1, rows + 1):
        sample.add(EncodedRow(number, None, str(number)))
    return [row.number for row in sample.rows()]


def test_a_sample_has_as_many_rows_as_were_asked_for_in_the_order_of_the_file() -> None:
    numbers = sample_of(1000, 50, seed=7)
    assert len(set(numbers)) == 50
    assert numbers == sorted(numbers)
    assert sample_of(20, 50, seed=7) == list(range(1, 21))
    assert sample_of(20, 0, seed=7) == []


def test_the_same_seed_gives_the_same_sample_and_another_one_another() -> None:
    assert sample_of(1000, 50, seed=7) == sample_of(1000, 50, seed=7)
    assert sample_of(1000, 50, seed=7) != sample_of(1000, 50, seed=8)


def test_every_row_is_sampled_with_the_same_chance() -> None:
    drawn = Counter(number for seed in range(2000) for number in sample_of(20, 5, seed))
    # 2,000 draws with chance 1/4: a standard deviation is 19.
    assert all(abs(drawn[number] - 500) < 100 for number in range(1, 21))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([("a\rb", 0.5), ("\r", 0.25), ('"', 1.0), ("a\r\nb,", 0.0)])
@given(st.lists(st.tuples(st.text(max_size=5), st.floats(0, 1)), min_size=1, max_size=30))
def test_any_id_comes_back_with_the_prediction_of_its_row(rows: list[tuple[str, float]]) -> None:
    ids = [name.replace("\0", "") for name, _ in rows]
    names = io.StringIO()
    csv.writer(names, lineterminator=NAMES_LINE_END).writerows(enumerate(ids, 1))
    output = "".join(f"{chance!r}\n" for _, chance in rows).encode()
    encoded = io.BytesIO(names.getvalue().encode(errors="replace"))
    answered = answered_rows(encoded, io.BytesIO(output), "part.out", len(rows), TWO, None)
    table = PredictionTable(version=3)
    table.add_header(header(TWO, "id"))
    for row in answered:
        table.add(row, None)
    result = list(csv.DictReader(io.StringIO(table.take().decode(), newline="")))
    assert [row["row"] for row in result] == [str(number) for number in range(1, len(rows) + 1)]
    expected = [name.encode(errors="replace").decode() for name in ids]
    assert [row["id"] for row in result] == expected
    assert [float(row["probability_yes"]) for row in result] == [chance for _, chance in rows]


def test_an_answer_of_another_width_is_refused() -> None:
    answered = answered_rows(
        io.BytesIO(b"1\n"), io.BytesIO(b"[0.2, 0.3, 0.5]\n"), "part.out", 1, TWO, None
    )
    with pytest.raises(EvaluationIncomplete, match="3 values a row, but the model knows 2 classes"):
        list(answered)


def test_an_id_column_keeps_its_name_unless_the_result_has_that_column() -> None:
    assert header(TWO, "customer")[:2] == ["row", "customer"]
    assert header(TWO, "version")[:2] == ["row", "version_of_file"]
    assert header(TWO, None)[:2] == ["row", "prediction"]


@pytest.mark.parametrize(
    ("file", "result"),
    [
        ("a.csv", "a.csv"),
        ("a.csv.gz", "a.csv.gz"),
        ("a.parquet", "a.parquet.predictions.csv"),
        ("a.parquet.csv", "a.parquet.csv"),
        ("a.predictions.csv", "a.predictions.csv.predictions.csv"),
        ("2026/a.tsv.gz", "2026/a.tsv.predictions.csv.gz"),
        ("a", "a.predictions.csv"),
    ],
)
def test_files_of_different_names_have_results_of_different_names(file: str, result: str) -> None:
    assert BatchKeys("flowers", "0f1e2d3c4b5a").result(file) == f"flowers/batch/out/{result}"
