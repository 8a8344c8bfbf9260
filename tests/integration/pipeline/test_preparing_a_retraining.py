"""Prepare turns the files of the champion and labelled predictions into retraining data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit.domain.errors import DatasetNotFound, ModelNotFound
from refit.domain.naming import RunKeys
from refit.domain.retraining.row_decoder import (
    FILE_GONE,
    LABEL_UNKNOWN,
    NO_SUCH_ROW,
    OTHER_COLUMNS,
)

from tests.support.prepare_runs import CHAMPION_RUN, csv_table, drop_files, prepare_run
from tests.support.retraining_data import (
    RETRAINING_RUN,
    RetrainedModel,
    ledger_line,
    random_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.aws_stack import Stack

SECOND_RETRAINING_RUN = RunKeys("digits", "5b5b5b5b5b5b")
OLDER_RUN = RunKeys("digits", "111111111111")


@pytest.fixture
def model(stack: Stack) -> RetrainedModel:
    return RetrainedModel(stack)


def test_a_retraining_uses_the_files_of_the_champion_and_the_labelled_predictions(
    model: RetrainedModel,
) -> None:
    data = csv_table()
    model.deploy({"a.csv": data})
    labelled = model.capture_and_label()
    result = model.retrain()
    train = model.rows(RETRAINING_RUN.train)
    validation = model.rows(RETRAINING_RUN.validation)
    test = model.rows(RETRAINING_RUN.test)
    assert sorted(train + validation + test) == sorted(data.splitlines() + labelled)
    assert result["rows"]["train"] == len(train)
    assert result["comparable"] is True
    manifest = model.stack.get(RETRAINING_RUN.manifest)
    assert manifest["cause"] == "drift"
    assert manifest["slices"] == [{**model.slices[0], "rows": 200, "lost": {}}]
    labelled_counts = manifest["labelled"]
    assert labelled_counts["train"] == len(set(train) & set(labelled))
    assert (
        labelled_counts["test"] == labelled_counts["fresh_test"] == len(set(test) & set(labelled))
    )
    assert model.stack.get(RETRAINING_RUN.profile)["rows"]["train"] == len(train)


def test_fresh_held_out_rows_are_evaluated_separately_and_never_trained_on(
    model: RetrainedModel,
) -> None:
    model.deploy({"a.csv": csv_table()})
    labelled = model.capture_and_label()
    model.retrain()
    test = model.rows(RETRAINING_RUN.test)
    fresh = [row.partition(b",") for row in test if row in labelled]
    assert 5 < len(fresh) < 50
    evaluated = model.stack.read(f"{RETRAINING_RUN.evaluation_input}fresh.csv").splitlines()
    assert evaluated == [row[2] for row in fresh]
    labels = model.stack.read(RETRAINING_RUN.evaluation_labels("fresh")).splitlines()
    assert labels == [row[0] for row in fresh]
    new = model.stack.read(f"{RETRAINING_RUN.evaluation_input}new.csv").splitlines()
    assert set(evaluated) < set(new)
    trained = model.rows(RETRAINING_RUN.train) + model.rows(RETRAINING_RUN.validation)
    assert not {row.partition(b",")[2] for row in trained} & set(new)


def test_rows_predicted_before_the_drift_are_trained_on_and_are_not_fresh(
    model: RetrainedModel,
) -> None:
    model.deploy({"a.csv": csv_table()})
    labelled = model.capture_and_label()
    model.fresh_since = "2099-01-01T00:00:00+00:00"
    model.retrain()
    assert set(labelled) & set(model.rows(RETRAINING_RUN.train))
    assert model.labelled_counts()["fresh_test"] == 0
    assert f"{RETRAINING_RUN.evaluation_input}fresh.csv" not in model.stack.keys(
        RETRAINING_RUN.root
    )


def test_a_later_retraining_never_trains_on_rows_that_were_held_out_before(
    model: RetrainedModel,
) -> None:
    model.deploy({"a.csv": csv_table()})
    first = model.capture_and_label()
    model.retrain()
    held_out = model.rows(RETRAINING_RUN.test)
    model.promote(RETRAINING_RUN, 4)
    model.slices[0]["fresh"] = False
    second = model.capture_and_label(seed=8, name="b")
    model.retrain(SECOND_RETRAINING_RUN, based_on=RETRAINING_RUN)
    train, test = model.rows(SECOND_RETRAINING_RUN.train), model.rows(SECOND_RETRAINING_RUN.test)
    assert set(held_out) < set(test)
    assert not set(held_out) & set(train)
    fresh = model.stack.read(f"{SECOND_RETRAINING_RUN.evaluation_input}fresh.csv").splitlines()
    assert fresh == [row.partition(b",")[2] for row in test if row in second]
    labelled_counts = model.labelled_counts(SECOND_RETRAINING_RUN)
    assert labelled_counts["fresh_test"] == len(fresh)
    assert labelled_counts["test"] == len(fresh) + len(set(held_out) & set(first))
    base = model.stack.read(f"{SECOND_RETRAINING_RUN.evaluation_input}base.csv")
    assert base == model.stack.read(f"{RETRAINING_RUN.evaluation_input}new.csv")


def test_a_dropped_row_that_is_predicted_again_stays_in_its_split(model: RetrainedModel) -> None:
    data = csv_table()
    model.deploy({"a.csv": data})
    held_out = model.rows(CHAMPION_RUN.test)
    features = [row.partition(b",")[2].decode() for row in data.splitlines()]
    key = model.capture("a", [[row] for row in features])
    model.label("a", [ledger_line(key, number, "1") for number in range(len(features))])
    model.retrain()
    assert len(model.rows(RETRAINING_RUN.test)) == 2 * len(held_out)
    evaluated = model.stack.read(f"{RETRAINING_RUN.evaluation_input}fresh.csv").splitlines()
    assert evaluated == [row.partition(b",")[2] for row in held_out]


def test_preparing_a_retraining_twice_writes_the_same_bytes(model: RetrainedModel) -> None:
    model.deploy({"a.csv": csv_table()})
    for seed in range(12):
        model.capture_and_label(count=20, seed=seed, name=f"s{seed}", fresh=seed % 2 == 0)
    result = model.retrain()
    before = {key: model.stack.read(key) for key in model.stack.keys(RETRAINING_RUN.root)}
    assert prepare_run(RETRAINING_RUN) == result
    assert {key: model.stack.read(key) for key in model.stack.keys(RETRAINING_RUN.root)} == before


def test_a_corrected_label_is_used_once_in_any_order_of_the_slices(model: RetrainedModel) -> None:
    model.deploy({"a.csv": csv_table()})
    key = model.capture("a", [[row] for row in random_rows(100, 7)])
    right = [ledger_line(key, number, "2", seq=3) for number in range(50)]
    wrong = [ledger_line(key, number, "0") for number in range(100)]
    model.label("a", right)
    model.label("b", wrong, fresh=False)
    model.retrain()
    assert model.unused_rows() == [{}, {"superseded": 50}]
    rows = model.all_rows()
    labels = {row.partition(b",")[2]: row[:1] for row in rows}
    expected = [b"2"] * 50 + [b"0"] * 50
    assert [labels[row.encode()] for row in random_rows(100, 7)] == expected
    assert len(rows) == 500


def test_a_line_of_an_older_slice_that_is_repeated_in_a_fresh_slice_is_not_fresh(
    model: RetrainedModel,
) -> None:
    model.deploy({"a.csv": csv_table()})
    model.capture_and_label(fresh=False)
    model.slices.append({**model.slices[0], "fresh": True})
    model.retrain()
    assert model.unused_rows() == [{}, {"superseded": 200}]
    assert model.labelled_counts()["fresh_test"] == 0
    assert f"{RETRAINING_RUN.evaluation_input}fresh.csv" not in model.stack.keys(
        RETRAINING_RUN.root
    )


@pytest.mark.parametrize("encoding", ["CSV", "JSON", "BASE64"])
def test_features_are_read_from_every_encoding_of_captured_inputs(
    model: RetrainedModel, encoding: str
) -> None:
    model.deploy({"a.csv": csv_table()})
    rows = random_rows(40, 7)
    key = model.capture("a", [rows[:25], rows[25:]], encoding)
    model.label("a", [ledger_line(key, index // 25, "1", row=index % 25) for index in range(40)])
    model.retrain()
    assert model.unused_rows() == [{}]
    features = {row.partition(b",")[2].decode() for row in model.all_rows()}
    assert set(rows) < features


def test_rows_whose_label_was_withdrawn_are_not_used(model: RetrainedModel) -> None:
    model.deploy({"a.csv": csv_table()})
    key = model.capture("a", [[row] for row in random_rows(30, 7)])
    model.label("a", [ledger_line(key, number, "1") for number in range(30)])
    model.label("b", [ledger_line(key, number, "1", seq=3, withdrawn=True) for number in range(4)])
    model.retrain()
    assert model.unused_rows() == [{"superseded": 4}, {"withdrawn": 4}]
    assert sum(model.labelled_counts()[part] for part in ("train", "validation", "test")) == 26


def test_labelled_rows_that_cannot_be_used_are_counted_by_their_reason(
    model: RetrainedModel,
) -> None:
    model.deploy({"a.csv": csv_table()})
    key = model.capture("a", [[row] for row in random_rows(20, 7)])
    gone = model.capture("b", [["1,2,3,4"]])
    model.stack.delete(gone)
    narrow = model.capture("c", [["1,2,3"], ["what,2,3,4"]])
    model.label(
        "a",
        [
            *(ledger_line(key, number, "1") for number in range(20)),
            ledger_line(key, 3, "1", row=1),
            ledger_line(key, 20, "1"),
            ledger_line(gone, 0, "1"),
            ledger_line(narrow, 0, "1"),
            ledger_line(narrow, 1, "1"),
            ledger_line(key, 5, "7", inferenceId="another class"),
        ],
    )
    result = model.retrain()
    assert model.unused_rows() == [
        {NO_SUCH_ROW: 3, FILE_GONE: 1, OTHER_COLUMNS: 1, LABEL_UNKNOWN: 1}
    ]
    assert result["rows"]["quarantined"] == 0
    assert sum(model.labelled_counts()[part] for part in ("train", "validation", "test")) == 20


def purchases(rows: int, colours: Sequence[str], seed: int = 5) -> bytes:
    """Return a table with text columns: whether something was bought, its colour and its price."""
    random = np.random.default_rng(seed)
    lines = ["bought,colour,price"]
    for number in range(rows):
        colour = colours[number % len(colours)]
        bought = ('"yes, twice"', "no")[number % 2]
        lines.append(f'{bought},"{colour}",{random.integers(0, 10_000) / 100}')
    return "\n".join(lines).encode() + b"\n"


def test_category_codes_are_decoded_with_the_schema_of_the_version_that_predicted(
    model: RetrainedModel,
) -> None:
    model.stack.put("digits/model.toml", "[data]\nlabel = 'bought'\n")
    model.deploy({"a.csv": purchases(300, ["red", "blue, dark"])}, OLDER_RUN, version=2)
    model.deploy({"b.csv": purchases(300, ["amber", "red"], seed=6)})
    assert model.stack.get(CHAMPION_RUN.schema)["features"][0]["values"] == [
        "blue, dark",
        "red",
        "amber",
    ]
    key = model.capture("a", [["0,1.25", "1,2.5", ",3.75"], ["2,4.5"]])
    model.label(
        "a",
        [
            ledger_line(key, 0, "no", row=0, version=2),
            ledger_line(key, 0, "yes, twice", row=1, version=2),
            ledger_line(key, 0, "no", row=2),
            ledger_line(key, 1, "yes, twice"),
            ledger_line(key, 1, "no", version=2, inferenceId="a code that version 2 does not have"),
            ledger_line(key, 1, "no", version=9, inferenceId="an unknown version"),
        ],
    )
    model.retrain()
    rows = model.all_rows()
    assert {b"0,0,1.25", b"1,1,2.5", b"0,,3.75", b"1,2,4.5"} <= set(rows)
    assert len(rows) == 304
    assert sum(model.unused_rows()[0].values()) == 2
    assert model.stack.get(RETRAINING_RUN.schema) == model.stack.get(CHAMPION_RUN.schema)


def test_labelled_rows_of_a_version_with_other_columns_are_not_used(model: RetrainedModel) -> None:
    model.deploy({"a.csv": csv_table(names="y,a,b,c,e")}, OLDER_RUN, version=2)
    model.stack.put("digits/model.toml", "[data]\nschema_change = 'accept'\n")
    model.deploy({"b.csv": csv_table(names="y,a,b,c,d")})
    key = model.capture("a", [["1,2,3,4"], ["5,6,7,8"]])
    model.label("a", [ledger_line(key, 0, "1", version=2), ledger_line(key, 1, "1")])
    model.retrain()
    assert model.unused_rows() == [{OTHER_COLUMNS: 1}]


def test_a_regression_is_retrained_with_numeric_labels(model: RetrainedModel) -> None:
    random = np.random.default_rng(3)
    dropped = "".join(f"{a + b:.3f},{a:.3f},{b:.3f}\n" for a, b in random.normal(size=(300, 2)))
    model.deploy({"a.csv": dropped.encode()})
    inputs = [f"{a!r},{b!r}" for a, b in random.normal(size=(100, 2)).tolist()]
    key = model.capture("a", [inputs])
    model.label("a", [ledger_line(key, 0, f"{row / 4:g}", row=row) for row in range(100)])
    result = model.retrain()
    assert result["task"] == "regression"
    labels = model.stack.read(RETRAINING_RUN.evaluation_labels("fresh")).splitlines()
    evaluated = (
        model.stack.read(f"{RETRAINING_RUN.evaluation_input}fresh.csv").decode().splitlines()
    )
    assert [float(label) * 4 for label in labels] == [inputs.index(row) for row in evaluated]
    assert model.unused_rows() == [{}]


def test_labelled_rows_are_split_by_hash_even_if_the_drop_has_split_folders(
    model: RetrainedModel,
) -> None:
    model.deploy({"train/a.csv": csv_table(), "test/b.csv": csv_table(50)})
    labelled = model.capture_and_label()
    model.retrain()
    labelled_counts = model.labelled_counts()
    assert labelled_counts["fresh_test"] > 5
    test = model.rows(RETRAINING_RUN.test)
    assert len(test) == 50 + labelled_counts["fresh_test"]
    assert not set(model.rows(RETRAINING_RUN.train)) & set(test) & set(labelled)


def test_dropped_rows_are_prepared_even_if_no_labelled_row_can_be_used(
    model: RetrainedModel,
) -> None:
    model.deploy({"a.csv": csv_table()})
    model.label("a", [ledger_line("digits/capture/never/written.jsonl", 0, "1")])
    result = model.retrain()
    assert result["rows"] == model.stack.get(CHAMPION_RUN.manifest)["rows"]
    assert model.unused_rows() == [{FILE_GONE: 1}]


def test_a_retraining_without_a_live_version_is_an_error(model: RetrainedModel) -> None:
    drop_files(model.stack, {"a.csv": csv_table()}, CHAMPION_RUN)
    prepare_run(CHAMPION_RUN)
    model.capture_and_label()
    with pytest.raises(ModelNotFound, match="digits has no live version"):
        model.retrain()


def test_a_missing_slice_of_the_ledger_fails_the_run_and_is_named(model: RetrainedModel) -> None:
    model.deploy({"a.csv": csv_table()})
    model.capture_and_label()
    model.stack.delete(model.slices[0]["key"], model.slices[0]["version"])
    with pytest.raises(DatasetNotFound, match=r"labelled/dt=2025-01-02/a\.jsonl"):
        model.retrain()
