"""The held-out rows that people look at: which are chosen, and how they read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.evaluation.example_choice import (
    MOST_EXAMPLES,
    classified_examples,
    measured_examples,
)
from refit.domain.evaluation.examples import ExampleRow, with_values
from refit.domain.evaluation.outcomes import ClassOutcome, outcome_of
from refit.domain.number_forms import NumberForm
from refit.domain.schema import Feature, Schema, csv_line

CLASSES = ("a", "b", "c")


def outcome(labels: np.ndarray, wrong: dict[int, float]) -> ClassOutcome:
    """Return predictions that are right but for some rows, which have these probabilities."""
    probabilities = np.full((len(labels), len(CLASSES)), 0.2)
    probabilities[np.arange(len(labels)), labels] = 0.6
    for row, probability in wrong.items():
        probabilities[row] = (1 - probability) / 2
        probabilities[row, (labels[row] + 1) % len(CLASSES)] = probability
    return outcome_of(labels, probabilities, len(CLASSES))


def test_the_surest_wrong_predictions_come_first_and_then_right_ones_of_every_class() -> None:
    labels = np.array([0] * 50 + [1] * 30 + [2] * 20)
    wrong = {row: 0.5 + row / 200 for row in range(0, 90, 10)}
    chosen = classified_examples(labels, outcome(labels, wrong), None, CLASSES)
    assert [row.number for row in chosen[:6]] == [80, 70, 60, 50, 40, 30]
    assert [row.wrong for row in chosen] == [True] * 6 + [False] * 6
    assert [row.truth for row in chosen[6:]] == ["a", "a", "b", "b", "c", "c"]
    assert (chosen[0].truth, chosen[0].predicted, chosen[0].live) == ("c", "a", None)
    assert chosen[0].probability == 0.9


def test_where_few_predictions_are_right_more_wrong_ones_are_shown() -> None:
    labels = np.zeros(30, dtype=int)
    wrong = dict.fromkeys(range(1, 30), 0.7)
    chosen = classified_examples(labels, outcome(labels, wrong), None, CLASSES)
    assert [row.wrong for row in chosen] == [True] * 11 + [False]


def test_what_the_live_version_predicted_stands_beside() -> None:
    labels = np.array([0, 1])
    chosen = classified_examples(labels, outcome(labels, {}), outcome(labels, {1: 0.8}), CLASSES)
    assert [(row.predicted, row.live) for row in chosen] == [("a", "a"), ("b", "c")]


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40))
def test_of_any_rows_as_many_as_possible_are_shown_once(rows: list[tuple[int, bool]]) -> None:
    labels = np.array([label for label, _ in rows], dtype=int)
    wrong = {number: 0.6 for number, (_, is_wrong) in enumerate(rows) if is_wrong}
    chosen = classified_examples(labels, outcome(labels, wrong), None, CLASSES)
    assert len({row.number for row in chosen}) == len(chosen) == min(len(rows), MOST_EXAMPLES)


def test_of_a_regression_the_largest_errors_come_first_and_then_all_sizes_of_errors() -> None:
    labels = np.arange(100, dtype=float)
    chosen = measured_examples(labels, labels + labels / 10, labels)
    assert [row.number for row in chosen[:6]] == [99, 98, 97, 96, 95, 94]
    assert (chosen[6].number, chosen[-1].number, len(chosen)) == (93, 0, MOST_EXAMPLES)
    assert (chosen[0].truth, chosen[0].live, chosen[0].wrong) == (99, 99, None)


@given(st.integers(0, 20))
def test_a_regression_with_few_rows_shows_all(count: int) -> None:
    labels = np.arange(count, dtype=float)
    chosen = measured_examples(labels, labels * 2, None)
    assert len({row.number for row in chosen}) == min(count, MOST_EXAMPLES)


def test_rows_that_are_too_long_together_are_left_out() -> None:
    rows = [ExampleRow(number=number, truth="a", predicted="a") for number in range(12)]
    values = {row.number: ("x" * 49_999,) for row in rows}
    kept = with_values(rows, values | {1: ("x" * 300_000,)})
    assert [row.number for row in kept.rows] == [0, 2, 3, 4]


def test_an_encoded_row_reads_as_its_file_and_is_encoded_as_before() -> None:
    features = (
        Feature(name="price", type="number", form=NumberForm(decimal=",", thousands=".")),
        Feature(name="size", type="number"),
        Feature(name="colour", type="category", values=("red", "green")),
        Feature(name="new", type="boolean"),
        Feature(name="sold", type="date", date_form="%d.%m.%Y"),
        Feature(name="area", type="number"),
    )
    schema = Schema(task="regression", label="y", features=features)
    cells = ("1234,5", "0.25", "green", "true", "24.12.2025", None)
    line = csv_line(schema.encode_instance(cells))
    assert schema.decode_line(f"{line}\n") == cells


@given(
    st.floats(-1e30, 1e30, allow_nan=False),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")]),
)
def test_a_number_is_read_back_in_every_form(value: float, marks: tuple[str, str]) -> None:
    form = NumberForm.model_validate({"decimal": marks[0], "thousands": marks[1], "affix": "€"})
    schema = Schema(
        task="regression", label="y", features=(Feature(name="x", type="number", form=form),)
    )
    (cell,) = schema.decode_line(csv_line([value]))
    assert schema.encode_instance([cell]) == [value]
