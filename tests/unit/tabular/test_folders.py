"""Folders name splits, or become columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from refit.domain.errors import DatasetInvalid
from refit.tabular.dataset import tables_of

from tests.support.preparing import Preparing, dropped, numbers_csv, scattered

if TYPE_CHECKING:
    from pathlib import Path


def notes(prepared: Preparing, *names: str) -> tuple[str, ...]:
    return tables_of([dropped(name, b"1,2\n") for name in names], prepared.folder).notes


@pytest.mark.parametrize(
    "folders",
    [
        ("train", "val", "test"),
        ("Train", "VALID", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "dev", "hold-out"),
        ("data/train", "data/Val", "data/holdout"),
        ("split=train", "split=dev", "split=test"),
    ],
)
def test_folders_of_splits_are_understood(
    prepared: Preparing, folders: tuple[str, str, str]
) -> None:
    rows = [numbers_csv(300, classes=2)[:-1].split(b"\n")[start::3] for start in range(3)]
    data = [b"\n".join(part) + b"\n" for part in rows]
    files = {f"{folder}/a.csv": part for folder, part in zip(folders, data, strict=True)}
    result = prepared(files)
    assert (result.validation, result.test) == (data[1], data[2])
    assert result.rows == {"train": 100, "validation": 100, "test": 100}


def test_the_meaning_of_a_folder_is_said_unless_it_is_its_name(prepared: Preparing) -> None:
    assert notes(prepared, "train/a.csv", "validation/b.csv", "test/c.csv") == ()
    assert notes(prepared, "d/train/a.csv", "d/Val/b.csv") == (
        "d/Val/ is read as validation",
        "d/train/ is read as train",
    )
    assert notes(prepared, "a.csv", "test/b.csv") == (
        "a.csv beside the folders is read for training",
    )


def test_a_file_of_one_column_is_a_table_with_the_column_of_its_folder(
    prepared: Preparing,
) -> None:
    sizes = [[str(3 * scattered(n) % 1000 + k) for n in range(100)] for k in range(2)]
    files = {
        f"label={kind}/a.csv": "\n".join(["size", *column]).encode()
        for kind, column in zip(("rose", "lily"), sizes, strict=True)
    }
    result = prepared(files)
    assert result.schema.classes == ("lily", "rose")
    assert result.feature_names == ["size"]
    assert sum(result.rows.values()) == 200
    with pytest.raises(DatasetInvalid, match="seem to be separated by ::"):
        prepared({name: data.replace(b"\n", b"\n5::") for name, data in files.items()})


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["train/a.csv", "raw/extra/a.csv"], r"raw/extra/a.csv is beside train/.*: train/, train"),
        (["train/a.csv", "test/b.csv", "labels.csv"], "labels.csv is beside test/, train/"),
        (["test/a.csv", "extra/b.csv"], "extra/b.csv is beside test/"),
        (["train/test/a.csv"], "is in train/ and in test/: the folders name two splits"),
        (["train/cat/1.png", "train/dog/2.JPG"], "train/cat/1.png is an image: Refit reads tables"),
        (["a.csv", "model.toml"], "model.toml is a settings file, not data"),
        (["y=0/a.csv", "z=1/b.csv"], "all files must be in folders of the same columns"),
        (["y=0/a.csv", "b.csv"], "the other files are in"),
        (["y=0/y=1/a.csv"], "two folders give a value to 'y'"),
    ],
)
def test_a_folder_or_file_without_a_meaning_is_refused_by_name(
    prepared: Preparing, names: list[str], text: str
) -> None:
    with pytest.raises(DatasetInvalid, match=text):
        notes(prepared, *names)


@pytest.mark.parametrize("name", ["test_data/a.csv", "contrast/a.csv", "license_plates.csv"])
def test_a_folder_or_file_that_only_resembles_one_with_a_meaning_has_none(
    prepared: Preparing, name: str
) -> None:
    assert notes(prepared, name) == ()


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["test.csv", "train.csv"], "test.csv and train.csv are read as one set of rows"),
        (["train.csv", "Test.csv.gz"], "put them into test/ and train/"),
        (["x_test.csv", "x_train.csv"], "put them into test/ and train/"),
        (["train-00000-of-00001.csv", "validation-0.csv"], "into train/ and validation/"),
        (["train_set/a.csv", "test_set/a.csv"], "test_set/a.csv and train_set/a.csv are read as"),
    ],
)
def test_files_that_are_only_named_like_splits_are_told(
    prepared: Preparing, names: list[str], text: str
) -> None:
    (note,) = notes(prepared, *names)
    assert text in note


@pytest.mark.parametrize(
    "names",
    [
        ["train1.csv", "train2.csv"],
        ["test/test.csv", "train/train.csv"],
        ["contest.csv", "train.csv"],
    ],
)
def test_files_of_one_split_need_no_note(prepared: Preparing, names: list[str]) -> None:
    assert notes(prepared, *names) == ()


def parts(rows: int = 200) -> dict[int, list[str]]:
    return {
        side: [f"{n % 2},{scattered(n)},{n * 7 % 31}" for n in range(side, rows, 2)]
        for side in (0, 1)
    }


def test_the_values_in_names_of_folders_become_columns_of_csv_files(prepared: Preparing) -> None:
    files = {
        f"y={side}/where=S%C3%A3o%20%3D{side}/p.csv": "\n".join(["y0,a,b", *rows]).encode()
        for side, rows in parts().items()
    }
    result = prepared(files, label="y")
    assert result.refused == []
    assert [feature.name for feature in result.schema.features] == ["y0", "a", "b", "where"]
    assert result.schema.features[3].values == ("São =0", "São =1")
    assert b"1,1,10005,21,1" in result.all_rows
    assert tables_of([dropped(*file) for file in files.items()], prepared.folder).notes == (
        "y=0/, y=1/ became the column 'y'",
        "where=São =0/, where=São =1/ became the column 'where'",
    )


def test_a_value_of_a_folder_may_be_missing_or_need_quotes(prepared: Preparing) -> None:
    rows = parts()
    quoted = [f'"{row[0]}"{row[1:]}' for row in rows[1]]
    files = {
        "k=__HIVE_DEFAULT_PARTITION__/p.csv": "\n".join(["y,a,t", *rows[0]]).encode(),
        'k=a,"b"/p.csv': "\n".join(["y,a,t", *quoted]).encode(),
    }
    result = prepared(files)
    assert result.refused == []
    assert result.schema.features[2].values == ('a,"b"',)
    coded = [row.rpartition(b",")[2] for row in result.all_rows]
    assert coded.count(b"0") == 100
    assert coded.count(b"") + coded.count(b"nan") == 100


def test_a_quoted_line_break_and_a_bad_row_keep_their_place_below_a_folder(
    prepared: Preparing,
) -> None:
    rows = [f'{n % 2},{scattered(n)},"{"ac"[n % 2]}\nb"' for n in range(100)]
    result = prepared({"k=7/p.csv": "\n".join(["y,a,t", *rows, "1,2"]).encode()})
    assert [row["reason"] for row in result.refused] == ["2 cells, not 3"]
    assert result.schema.features[1].values == ("a\nb", "c\nb")


def test_a_file_without_header_in_a_folder_has_named_columns(prepared: Preparing) -> None:
    files = {f"y={side}/p.csv": "\n".join(rows).encode() for side, rows in parts().items()}
    result = prepared(files, label="y")
    assert result.schema.label == "y"
    assert [feature.name for feature in result.schema.features] == ["column0", "column1", "column2"]
    assert sum(result.rows.values()) == 200


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_the_values_of_folders_become_columns_of_other_formats(
    prepared: Preparing, tmp_path: Path, kind: str
) -> None:
    files = {}
    for side in ("a", "it's"):
        path = tmp_path / f"made.{kind}"
        duckdb.sql(f"COPY (SELECT n AS x FROM range(2) t(n)) TO '{path}' (FORMAT {kind})")
        files[f"y={side}/part.{kind}"] = path.read_bytes()
    tables = tables_of([dropped(*file) for file in files.items()], prepared.folder).tables
    assert [table.columns for table in tables] == [("x", "y"), ("x", "y")]
    assert b"".join(tables[1].blocks()) == b"0,it's\n1,it's\n"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_of_the_file_and_of_its_folder_is_refused(
    prepared: Preparing, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"made.{kind}"
    duckdb.sql(f"COPY (SELECT n AS y, n AS x FROM range(9) t(n)) TO '{path}' (FORMAT {kind})")
    with pytest.raises(DatasetInvalid, match="has a column 'y', and its folder names the same"):
        prepared({f"y=1/p.{kind}": path.read_bytes()})


def test_folders_of_splits_and_of_values_work_together(prepared: Preparing) -> None:
    files = {
        f"{split}/y={side}/p.csv": "\n".join(["z,a,b", *rows]).encode()
        for split in ("train", "test")
        for side, rows in parts().items()
    }
    result = prepared(files, label="y")
    assert result.rows["test"] == 200
    assert result.schema.classes == ("0", "1")


def test_arrays_in_a_folder_with_a_value_are_refused(prepared: Preparing) -> None:
    with pytest.raises(DatasetInvalid, match="only read for CSV, Parquet and JSON files"):
        tables_of([dropped("y=1/a.pkl", b"\x80\x04N.")], prepared.folder)
