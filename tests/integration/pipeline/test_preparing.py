"""From a drop in the bucket to the files that training and evaluation read."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import boto3
import numpy as np
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
from refit.domain.naming import RunKeys
from refit.domain.schema import Schema
from refit.handlers import prepare
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample
from tests.support.model_files import champion, object_version

RUN = sample("prepare")["run"]
KEYS = RunKeys("digits", RUN)
CHAMPION = RunKeys("digits", "a1b2c3d4e5f6")


def table(rows: int = 400, names: str = "", classes: tuple[str, ...] = ("0", "1", "2")) -> bytes:
    random = np.random.default_rng(5)
    cells = random.integers(0, 10_000, (rows, 4))
    lines = [",".join([classes[row % len(classes)], *map(str, cells[row])]) for row in range(rows)]
    return "\n".join([names, *lines] if names else lines).encode() + b"\n"


def drop(stack: Stack, files: dict[str, bytes], run: str = RUN) -> None:
    """Put files in place, and what ingest writes about them."""
    keys = RunKeys("digits", run)
    entries = []
    for name, data in files.items():
        key = f"digits/raw/{name}"
        version = stack.put(key, data)
        entries.append(object_version(key, version, len(data)))
    services().models.begin_run("digits", run, "drop", "2025-01-01T00:00:00+00:00")
    stack.put(
        keys.drop,
        {"model": "digits", "run": run, "cause": "drop", "files": entries},
    )


def run(stack: Stack, files: dict[str, bytes] | bytes, toml: str = "") -> dict[str, Any]:
    if toml:
        stack.put("digits/model.toml", toml)
    drop(stack, files if isinstance(files, dict) else {"drop.csv": files})
    return prepare.handler(sample("prepare"), CONTEXT)


def body(stack: Stack, key: str) -> bytes:
    answer = boto3.client("s3", REGION).get_object(Bucket=stack.bucket, Key=key)
    return bytes(answer["Body"].read())


def with_champion(stack: Stack, data: bytes) -> None:
    """Let another run of the same model be live."""
    drop(stack, {"first.csv": data}, CHAMPION.run)
    prepare.handler({"model": "digits", "run": CHAMPION.run}, CONTEXT)
    services().models.release_run("digits", CHAMPION.run)
    services().models.promote("digits", champion(3, CHAMPION.run))


def test_a_drop_becomes_the_files_of_its_run(stack: Stack) -> None:
    data = table()
    answer = run(stack, data)
    rows = answer["rows"]
    assert rows["train"] + rows["validation"] + rows["test"] == 400
    train = body(stack, f"{KEYS.train}train.csv")
    validation = body(stack, f"{KEYS.validation}validation.csv")
    test = body(stack, f"{KEYS.test}test.csv")
    assert answer == {
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
    halves = [line.partition(b",") for line in test.splitlines()]
    assert body(stack, f"{KEYS.evaluation_input}new.csv").splitlines() == [h[2] for h in halves]
    assert body(stack, KEYS.evaluation_labels("new")).splitlines() == [h[0] for h in halves]
    assert stack.keys(KEYS.evaluation_input) == [f"{KEYS.evaluation_input}new.csv"]
    assert stack.keys(KEYS.quarantine) == []


def test_schema_profile_and_manifest_say_what_was_prepared(stack: Stack) -> None:
    answer = run(stack, table(names="digit,a,b,c,d"), "[data]\ntest_fraction = 0.2\n")
    schema = stack.get(KEYS.schema)
    assert schema == {
        "task": "classification",
        "label": "digit",
        "features": [{"name": name, "type": "number"} for name in "abcd"],
        "classes": ["0", "1", "2"],
    }
    assert Schema.model_validate(schema).encode_instance(["1", 2, 3.5, None]) == [1, 2, 3.5, None]
    profile = stack.get(KEYS.profile)
    assert profile["rows"]["train"] == answer["rows"]["train"] == profile["sampled_rows"]
    assert sum(profile["label"]["classes"].values()) == answer["rows"]["train"]
    assert sum(profile["columns"][0]["histogram"]["counts"]) == answer["rows"]["train"]
    manifest = stack.get(KEYS.manifest)
    assert manifest["rows"] == answer["rows"]
    assert manifest["files"][0]["key"] == "digits/raw/drop.csv"
    assert manifest["settings"]["data"]["test_fraction"] == 0.2
    assert manifest["created_at"]
    assert services().models.run("digits", RUN).status == "PREPARING"  # type: ignore[index]


def test_a_repeated_invocation_writes_the_same_bytes(stack: Stack) -> None:
    answer = run(stack, table() + b"1,bad,3,4,5\n")
    keys = [*stack.keys(KEYS.root), *stack.keys(KEYS.quarantine)]
    before = {key: body(stack, key) for key in keys}
    assert prepare.handler(sample("prepare"), CONTEXT) == answer
    assert {key: body(stack, key) for key in keys} == before
    assert [*stack.keys(KEYS.root), *stack.keys(KEYS.quarantine)] == keys


def test_the_version_that_was_dropped_is_read_even_when_the_file_was_replaced(
    stack: Stack,
) -> None:
    drop(stack, {"drop.csv": table()})
    stack.put("digits/raw/drop.csv", b"nothing of use")
    assert prepare.handler(sample("prepare"), CONTEXT)["rows"]["train"] > 0


def test_the_champions_codes_hold_and_its_held_out_rows_come_along(stack: Stack) -> None:
    with_champion(stack, table(classes=("cat", "dog")))
    answer = run(stack, table(rows=600, classes=("ant", "dog", "cat")))
    assert answer["champion"] == {"run": CHAMPION.run, "version": 3}
    assert answer["comparable"] is True
    assert answer["classes"] == 3
    assert stack.get(KEYS.schema)["classes"] == ["cat", "dog", "ant"]
    base = body(stack, f"{KEYS.evaluation_input}base.csv")
    assert base == body(stack, f"{CHAMPION.evaluation_input}new.csv")
    labels = body(stack, KEYS.evaluation_labels("base"))
    assert labels == body(stack, CHAMPION.evaluation_labels("new"))


def test_other_columns_than_the_champions_are_refused_unless_accepted(stack: Stack) -> None:
    with_champion(stack, table(names="y,a,b,c,d"))
    with pytest.raises(SchemaChanged, match=r"'d' \(number\) and is 'e' \(number\)"):
        run(stack, table(names="y,a,b,c,e"))
    answer = run(stack, table(names="y,a,b,c,e"), "[data]\nschema_change = 'accept'\n")
    assert answer["comparable"] is False
    assert answer["champion"] == {"run": CHAMPION.run, "version": 3}
    assert stack.keys(KEYS.evaluation_input) == [f"{KEYS.evaluation_input}new.csv"]


def test_folders_are_given_splits(stack: Stack) -> None:
    answer = run(stack, {"train/a.csv": table(), "test/b.csv": table(50)})
    assert answer["rows"]["test"] == 50
    assert answer["rows"]["train"] + answer["rows"]["validation"] == 400
    assert body(stack, f"{KEYS.test}test.csv") == table(50)


def test_without_validation_rows_there_is_no_validation_channel(stack: Stack) -> None:
    answer = run(stack, table(), "[data]\nvalidation_fraction = 0.0\n")
    assert answer["has_validation"] is False
    assert answer["validation_bytes"] == 0
    assert stack.keys(KEYS.validation) == []


def test_refused_rows_are_kept_with_their_reasons_even_when_the_run_fails(stack: Stack) -> None:
    with pytest.raises(TooManyBadRows, match="100 of 500 rows were refused"):
        run(stack, table() + b"1,2\n" * 100)
    lines = body(stack, f"{KEYS.quarantine}rows.jsonl").splitlines()
    assert json.loads(lines[0]) == {
        "file": "drop.csv",
        "line": 401,
        "reason": "2 cells, not 5",
        "text": "1,2",
    }
    assert len(lines) == 100
    assert stack.keys(KEYS.train) == []


class Explodes:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/refit-test-it-ran"),))


@pytest.mark.parametrize(
    ("name", "data", "error", "text"),
    [
        ("a.csv", b"", DatasetEmpty, "a.csv is empty"),
        ("a.csv", b"y,a,b\n", DatasetEmpty, "a.csv has a header and no row"),
        ("a.csv", b"1\n2\n3\n", DatasetInvalid, "a.csv has one column"),
        ("a.csv", b"y,a\n" + b",1\n" * 99, TooManyBadRows, "the label 'y' is missing"),
        ("a.csv", b"1,2,3\n1,2\n1\n" * 50, TooManyBadRows, "2 cells, not 3|1 cells, not 3"),
        ("a.csv.gz", gzip.compress(b"0" * 80_000_000), DatasetUnreadable, "as a zip bomb does"),
        ("a.parquet", b"not so", DatasetUnreadable, "a.parquet is not Parquet"),
        (
            "a.pkl.gz",
            gzip.compress(pickle.dumps(Explodes()), mtime=0),
            DatasetUnreadable,
            "asks for ",
        ),
    ],
)
def test_a_drop_that_cannot_be_used_fails_by_name_and_leaves_the_way_free(
    stack: Stack, name: str, data: bytes, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        run(stack, {name: data})
    assert not Path("/tmp/refit-test-it-ran").exists()
    assert stack.keys(KEYS.train) == []
    assert run(stack, table())["rows"]["train"] > 0


def test_a_file_that_was_deleted_before_it_is_read_is_named(stack: Stack) -> None:
    drop(stack, {"a.csv": table(), "b.csv": table()})
    client = boto3.client("s3", REGION)
    version = stack.get(KEYS.drop)["files"][1]["version"]
    client.delete_object(Bucket=stack.bucket, Key="digits/raw/b.csv", VersionId=version)
    with pytest.raises(DatasetNotFound, match=r"digits/raw/b\.csv"):
        prepare.handler(sample("prepare"), CONTEXT)


def test_bad_settings_are_refused_with_the_key_that_is_wrong(stack: Stack) -> None:
    with pytest.raises(SettingsInvalid, match=r"\[data\] test_fraction = 3"):
        run(stack, table(), "[data]\ntest_fraction = 3\n")
    boto3.client("s3", REGION).put_object(
        Bucket=stack.bucket, Key="digits/model.toml", Body="é".encode("latin-1")
    )
    with pytest.raises(SettingsInvalid, match="not UTF-8"):
        prepare.handler(sample("prepare"), CONTEXT)
