"""The profile describes the training rows, in bins that drift checks compare with."""

from __future__ import annotations

import numpy as np
import pytest
from refit.domain.monitoring.baseline import BINS
from refit.tabular.profile import cell_values

from tests.support.preparing import Preparing, numbers_csv, scattered


def columns(result_profile: dict[str, list[dict[str, object]]]) -> dict[str, dict[str, object]]:
    return {str(column["name"]): column for column in result_profile["columns"]}


def test_each_column_has_its_statistics_over_the_training_rows(prepared: Preparing) -> None:
    lines = [
        f"{n % 2},{scattered(n)},{n / 4 if n % 3 else ''},{['x', 'y'][n % 5 == 0]}"
        for n in range(500)
    ]
    result = prepared("\n".join(["label,a,b,c", *lines]).encode())
    rows = [row.split(b",") for row in result.train.splitlines()]
    a = np.array([float(row[1]) for row in rows])
    b = np.array([float(row[2]) for row in rows if row[2]])
    described = columns(result.profile)
    assert result.profile["sampled_rows"] == len(rows) == result.profile["rows"]["train"]
    assert (described["a"]["min"], described["a"]["max"]) == (a.min(), a.max())
    assert described["a"]["mean"] == pytest.approx(a.mean())
    assert described["a"]["std"] == pytest.approx(a.std())
    assert described["b"]["completeness"] == pytest.approx(len(b) / len(rows))
    assert described["b"]["mean"] == pytest.approx(b.mean())
    assert described["c"]["counts"] == {
        "x": sum(row[3] == b"0" for row in rows),
        "y": sum(row[3] == b"1" for row in rows),
    }
    assert result.profile["label"] == {
        "name": "label",
        "classes": {str(code): sum(row[0] == b"%d" % code for row in rows) for code in (0, 1)},
    }


def test_the_bins_hold_every_value_once_and_are_about_equal(prepared: Preparing) -> None:
    result = prepared(numbers_csv(3000, features=1))
    values = np.array([float(row.split(b",")[1]) for row in result.train.splitlines()])
    histogram = result.profile["columns"][0]["histogram"]
    edges, counts = histogram["edges"], histogram["counts"]
    assert len(edges) == BINS - 1
    assert len(counts) == BINS
    assert sum(counts) == len(values)
    bounds = [-np.inf, *edges, np.inf]
    for low, high, count in zip(bounds, bounds[1:], counts, strict=False):
        assert count == ((values > low) & (values <= high)).sum()
    assert max(counts) < 2 * min(counts)


def test_a_column_of_few_values_has_a_bin_for_each(prepared: Preparing) -> None:
    lines = [f"{n % 2},{scattered(n)},{[0, 0, 0, 0.1, 0.7][n % 5]}" for n in range(1000)]
    result = prepared("\n".join(lines).encode())
    histogram = result.profile["columns"][1]["histogram"]
    assert histogram["edges"] == [0.0, 0.1, 0.7]
    values = [row.split(b",")[2] for row in result.train.splitlines()]
    assert histogram["counts"] == [*(values.count(text) for text in (b"0", b"0.1", b"0.7")), 0]


def test_a_profile_of_many_rows_is_computed_on_an_even_sample(prepared: Preparing) -> None:
    result = prepared(numbers_csv(20_000), sample_rows=500)
    whole = np.array([float(row.split(b",")[1]) for row in result.train.splitlines()])
    column = result.profile["columns"][0]
    assert 450 <= result.profile["sampled_rows"] <= 500
    assert abs(column["mean"] - whole.mean()) < 4 * whole.std() / np.sqrt(500)
    assert sum(result.profile["label"]["classes"].values()) == result.rows["train"]


def test_the_label_of_a_regression_has_a_histogram(prepared: Preparing) -> None:
    lines = [f"{n / 8},{scattered(n)}" for n in range(400)]
    label = prepared("\n".join(lines).encode()).profile["label"]
    assert (label["min"] >= 0, label["max"] <= 50) == (True, True)
    assert sum(label["histogram"]["counts"]) > 0


@pytest.mark.parametrize(
    "cells", ["1,2,-3", "1,,3", "1,2,", "0.5,1e-3,2", "99999999999999999999999,1,2", "0,0,nan"]
)
def test_every_way_of_parsing_gives_the_same_numbers(cells: str) -> None:
    expected = [float(cell) if cell else np.nan for cell in cells.split(",")]
    for repeat in (1, 50):
        parsed = cell_values([cells.encode()] * repeat)
        assert np.array_equal(parsed, expected * repeat, equal_nan=True)
