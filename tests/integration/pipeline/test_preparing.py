"""Prepare turns a drop into the files that training and evaluation read."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import (
    DatasetEmpty,
    DatasetInvalid,
    DatasetNotFound,
    DatasetUnreadable,
    SchemaChanged,
    SettingsInvalid,
    TooManyBadRows,
)
from refit.domain.schema import Schema
from refit.handlers.wiring import services

from tests.support.aws_stack import forget_services
from tests.support.model_files import champion
from tests.support.prepare_runs import (
    CHAMPION_RUN,
    RUN,
    csv_table,
    drop_files,
    prepare_run,
)

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

PICKLE_RAN = Path(tempfile.gettempdir()) / f"refit-pickle-ran-{os.getpid()}"


def prepare_drop(
    stack: Stack, files: dict[str, bytes] | bytes, settings: str = ""
) -> dict[str, Any]:
    """Drop files, or the content of one file, and prepare the run."""
    if settings:
        stack.put("digits/model.toml", settings)
    drop_files(stack, files if isinstance(files, dict) else {"drop.csv": files})
    return prepare_run()


def deploy_champion(stack: Stack, data: bytes) -> None:
    """Make the version of another run of these data live."""
    drop_files(stack, {"first.csv": data}, CHAMPION_RUN)
    prepare_run(CHAMPION_RUN)
    services().models.release_run("digits", CHAMPION_RUN.run)
    services().models.promote("digits", champion(3, CHAMPION_RUN.run))


def test_a_drop_is_split_into_the_files_of_its_run(stack: Stack) -> None:
    data = csv_table()
    result = prepare_drop(stack, data)
    rows = result["rows"]
    assert rows["train"] + rows["validation"] + rows["test"] == 400
    train = stack.read(f"{RUN.train}train.csv")
    validation = stack.read(f"{RUN.validation}validation.csv")
    test = stack.read(f"{RUN.test}test.csv")
    assert result == {
        "task": "classification",
        "rows": {**rows, "quarantined": 0},
        "features": 4,
        "classes": 3,
        "train_bytes": len(train),
        "validation_bytes": len(validation),
        "has_validation": True,
        "champion": None,
        "comparable": False,
    }
    assert sorted((train + validation + test).splitlines()) == sorted(data.splitlines())
    assert train.endswith(b"\n")
    held_out = [line.partition(b",") for line in test.splitlines()]
    features = stack.read(f"{RUN.evaluation_input}new.csv").splitlines()
    assert features == [row[2] for row in held_out]
    labels = stack.read(RUN.evaluation_labels("new")).splitlines()
    assert labels == [row[0] for row in held_out]
    assert stack.keys(RUN.evaluation_input) == [f"{RUN.evaluation_input}new.csv"]
    assert stack.keys(RUN.quarantine) == []


DIGIT_SETTINGS = "[data]\nlabel = 'digit'\ntest_fraction = 0.2\n"


def test_schema_profile_and_manifest_describe_the_prepared_data(stack: Stack) -> None:
    result = prepare_drop(stack, csv_table(names="digit,a,b,c,d"), DIGIT_SETTINGS)
    schema = stack.get(RUN.schema)
    assert schema == {
        "task": "classification",
        "label": "digit",
        "features": [{"name": name, "type": "number"} for name in "abcd"],
        "classes": ["0", "1", "2"],
        "label_type": "number",
    }
    assert Schema.model_validate(schema).encode_instance(["1", 2, 3.5, None]) == [1, 2, 3.5, None]
    profile = stack.get(RUN.profile)
    assert profile["rows"]["train"] == result["rows"]["train"] == profile["sampled_rows"]
    assert sum(profile["label"]["classes"].values()) == result["rows"]["train"]
    assert sum(profile["columns"][0]["histogram"]["counts"]) == result["rows"]["train"]
    manifest = stack.get(RUN.manifest)
    assert manifest["rows"] == result["rows"]
    assert manifest["files"][0]["key"] == "digits/raw/drop.csv"
    assert manifest["settings"]["data"]["test_fraction"] == 0.2
    assert manifest["created_at"]
    assert services().models.run("digits", RUN.run).status == "PREPARING"  # type: ignore[index]


def test_a_second_invocation_writes_the_same_bytes(stack: Stack) -> None:
    result = prepare_drop(stack, csv_table() + b"1,bad,3,4,5\n")
    keys = [*stack.keys(RUN.root), *stack.keys(RUN.quarantine)]
    before = {key: stack.read(key) for key in keys}
    assert prepare_run() == result
    assert {key: stack.read(key) for key in keys} == before
    assert [*stack.keys(RUN.root), *stack.keys(RUN.quarantine)] == keys


def test_the_dropped_version_of_a_file_is_read_even_if_the_file_was_replaced(
    stack: Stack,
) -> None:
    drop_files(stack, {"drop.csv": csv_table()})
    stack.put("digits/raw/drop.csv", b"not a table")
    assert prepare_run()["rows"]["train"] > 0


def test_class_codes_and_held_out_rows_of_the_champion_are_used_again(stack: Stack) -> None:
    deploy_champion(stack, csv_table(classes=("cat", "dog")))
    result = prepare_drop(stack, csv_table(rows=600, classes=("ant", "dog", "cat")))
    assert result["champion"] == {"run": CHAMPION_RUN.run, "version": 3}
    assert result["comparable"] is True
    assert result["classes"] == 3
    assert stack.get(RUN.schema)["classes"] == ["cat", "dog", "ant"]
    base = stack.read(f"{RUN.evaluation_input}base.csv")
    assert base == stack.read(f"{CHAMPION_RUN.evaluation_input}new.csv")
    labels = stack.read(RUN.evaluation_labels("base"))
    assert labels == stack.read(CHAMPION_RUN.evaluation_labels("new"))


@pytest.mark.parametrize("settings", ["", "[training]\nfolds = 2\n"])
def test_the_same_drop_gives_another_run_the_same_rows_in_the_same_order(
    stack: Stack, settings: str
) -> None:
    prepare_drop(stack, csv_table(), settings)
    services().models.release_run("digits", RUN.run)
    drop_files(stack, {"drop.csv": csv_table()}, CHAMPION_RUN)
    prepare_run(CHAMPION_RUN)
    parts = [key.removeprefix(RUN.root) for key in stack.keys(RUN.root) if key.endswith(".csv")]
    assert {"train/train.csv", "test/test.csv"} <= set(parts)
    assert any("/train/" in part for part in parts) is bool(settings), "training rows of folds"
    for part in parts:
        assert stack.read(RUN.root + part) == stack.read(CHAMPION_RUN.root + part)


@pytest.mark.parametrize("name", ["schema", "manifest"])
def test_dropped_data_replaces_a_live_version_whose_files_were_deleted(
    stack: Stack, name: str
) -> None:
    deploy_champion(stack, csv_table(names="y,a,b,c,d"))
    stack.delete(getattr(CHAMPION_RUN, name))
    forget_services()
    drop_files(stack, {"b.csv": csv_table(names="y,p,q,r,s")})
    result = prepare_run()
    assert (result["champion"], result["comparable"]) == (None, False)
    run = services().models.run("digits", RUN.run)
    assert run is not None
    assert run.learned is not None
    assert "Version 3, which is live, lacks its schema.json" in run.learned.text


def test_columns_that_differ_from_those_of_the_champion_are_refused_unless_accepted(
    stack: Stack,
) -> None:
    deploy_champion(stack, csv_table(names="y,a,b,c,d"))
    with pytest.raises(SchemaChanged, match=r"'d' \(number\) and is 'e' \(number\)"):
        prepare_drop(stack, csv_table(names="y,a,b,c,e"))
    result = prepare_drop(stack, csv_table(names="y,a,b,c,e"), "[data]\nschema_change = 'accept'\n")
    assert result["comparable"] is False
    assert result["champion"] == {"run": CHAMPION_RUN.run, "version": 3}
    assert stack.keys(RUN.evaluation_input) == [f"{RUN.evaluation_input}new.csv"]


def test_files_in_train_and_test_folders_keep_this_split(stack: Stack) -> None:
    result = prepare_drop(stack, {"train/a.csv": csv_table(), "test/b.csv": csv_table(50)})
    assert result["rows"]["test"] == 50
    assert result["rows"]["train"] + result["rows"]["validation"] == 400
    assert stack.read(f"{RUN.test}test.csv") == csv_table(50)


def test_a_validation_fraction_of_zero_writes_no_validation_file(stack: Stack) -> None:
    result = prepare_drop(stack, csv_table(), "[data]\nvalidation_fraction = 0.0\n")
    assert result["has_validation"] is False
    assert result["validation_bytes"] == 0
    assert stack.keys(RUN.validation) == []


def test_refused_rows_are_written_to_quarantine_with_their_reasons_even_if_the_run_fails(
    stack: Stack,
) -> None:
    with pytest.raises(TooManyBadRows, match="100 of 500 rows were refused"):
        prepare_drop(stack, csv_table() + b"1,2\n" * 100)
    lines = stack.read(f"{RUN.quarantine}rows.jsonl").splitlines()
    assert json.loads(lines[0]) == {
        "file": "drop.csv",
        "line": 401,
        "reason": "2 cells, not 5",
        "text": "1,2",
    }
    assert len(lines) == 100
    assert stack.keys(RUN.train) == []


class RunsCodeWhenUnpickled:
    def __reduce__(self) -> Any:
        return (Path.touch, (PICKLE_RAN,))


@pytest.mark.parametrize(
    ("name", "data", "error", "text"),
    [
        ("a.csv", b"", DatasetEmpty, "a.csv is empty"),
        ("a.csv", b"y,a,b\n", DatasetEmpty, "a.csv has a header but no row"),
        ("a.csv", b"1\n2\n3\n", DatasetInvalid, "a.csv has one column"),
        ("a.csv", b"y,a\n" + b",1\n" * 99, TooManyBadRows, "99 of 99 rows have no label"),
        ("a.csv", b"1,2,3\n1,2\n1\n" * 50, TooManyBadRows, "2 cells, not 3|1 cells, not 3"),
        ("a.csv.gz", gzip.compress(b"0" * 80_000_000), DatasetUnreadable, "as a zip bomb does"),
        ("a.parquet", b"not so", DatasetUnreadable, "a.parquet is not Parquet"),
        (
            "a.pkl.gz",
            gzip.compress(pickle.dumps(RunsCodeWhenUnpickled()), mtime=0),
            DatasetUnreadable,
            "refers to ",
        ),
    ],
)
def test_a_drop_that_cannot_be_used_fails_with_its_own_error_and_can_be_repeated(
    stack: Stack, name: str, data: bytes, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        prepare_drop(stack, {name: data})
    assert not PICKLE_RAN.exists()
    assert stack.keys(RUN.train) == []
    assert prepare_drop(stack, csv_table())["rows"]["train"] > 0


def test_a_dropped_file_that_was_deleted_fails_the_run_and_is_named(stack: Stack) -> None:
    drop_files(stack, {"a.csv": csv_table(), "b.csv": csv_table()})
    version = stack.get(RUN.drop)["files"][1]["version"]
    stack.delete("digits/raw/b.csv", version)
    with pytest.raises(DatasetNotFound, match=r"digits/raw/b\.csv"):
        prepare_run()


def test_invalid_settings_fail_the_run_and_name_the_key(stack: Stack) -> None:
    with pytest.raises(SettingsInvalid, match=r"\[data\] test_fraction = 3"):
        prepare_drop(stack, csv_table(), "[data]\ntest_fraction = 3\n")
    stack.put("digits/model.toml", "é".encode("latin-1"))
    with pytest.raises(SettingsInvalid, match="not UTF-8"):
        prepare_run()


class CountedReads:
    """An S3 client that counts the reads of each object."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.reads: Counter[str] = Counter()

    def get_object(self, **request: Any) -> Any:
        self.reads[request["Key"]] += 1
        return self._client.get_object(**request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_each_small_file_is_read_from_the_bucket_once(stack: Stack) -> None:
    counted = CountedReads(stack.services.client("s3"))
    stack.replace_clients(s3=counted)
    rows = csv_table().splitlines(keepends=True)
    drop_files(stack, {f"{n}.csv": b"".join(rows[n::5]) for n in range(5)})
    prepare_run()
    assert [counted.reads[f"digits/raw/{n}.csv"] for n in range(5)] == [1] * 5
