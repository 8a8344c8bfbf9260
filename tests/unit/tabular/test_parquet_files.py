"""Parquet is read with its names, types and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.tabular.dataset import tables_of

from tests.support.preparing import Preparing, dropped

if TYPE_CHECKING:
    from pathlib import Path


def parquet(folder: Path, select: str) -> bytes:
    path = folder / "made.parquet"
    duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


def test_parquet_is_read_with_its_names_types_and_gaps(prepared: Preparing, tmp_path: Path) -> None:
    data = parquet(
        tmp_path,
        """SELECT n % 2 AS label, n * n % 307 AS number, n / 7.0 AS share, n % 3 = 0 AS flag,
                  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'a,"b"' ELSE 'c' END AS word
           FROM range(300) t(n)""",
    )
    result = prepared({"drop.parquet": data})
    assert result.refused == []
    assert [(f.name, f.type, f.values) for f in result.schema.features] == [
        ("number", "number", None),
        ("share", "number", None),
        ("flag", "boolean", None),
        ("word", "category", ('a,"b"', "c")),
    ]
    assert b"0,0,0.0,1," in result.all_rows
    assert sum(result.rows.values()) == 300


def test_the_label_of_a_parquet_file_may_be_any_column(prepared: Preparing, tmp_path: Path) -> None:
    data = parquet(
        tmp_path, "SELECT n * 7 % 307 AS n, n * n % 307 AS m, n % 3 AS kind FROM range(300) t(n)"
    )
    result = prepared({"drop.parquet": data}, label="kind")
    assert result.schema.label == "kind"
    assert [feature.name for feature in result.schema.features] == ["n", "m"]
    assert b"2,119,289" in result.all_rows


@pytest.mark.parametrize("data", [b"PAR1", b"PAR1" + b"garbage" * 20 + b"PAR1", b"PAR1\0\0"])
def test_a_damaged_parquet_file_is_refused(prepared: Preparing, data: bytes) -> None:
    with pytest.raises(DatasetUnreadable, match=r"drop\.parquet cannot be read as Parquet"):
        prepared({"drop.parquet": data})


def test_nested_columns_and_empty_parquet_files_are_refused(
    prepared: Preparing, tmp_path: Path
) -> None:
    with pytest.raises(DatasetInvalid, match=r"column 'b' is INTEGER\[\]; a cell holds one value"):
        prepared({"a.parquet": parquet(tmp_path, "SELECT 1 AS a, [1, 2] AS b")})
    with pytest.raises(DatasetEmpty):
        prepared({"a.parquet": parquet(tmp_path, "SELECT 1 AS label, 2 AS b WHERE false")})


def parquet_table(prepared: Preparing, tmp_path: Path, select: str, name: str = "a.parquet") -> Any:
    (table,) = tables_of([dropped(name, parquet(tmp_path, select))], prepared.folder).tables
    return table, b"".join(table.blocks()).decode().splitlines()


def test_parquet_names_that_differ_only_in_case_are_two_names(
    prepared: Preparing, tmp_path: Path
) -> None:
    # DuckDB writes no two such names, so the second one gets its name in the file.
    data = parquet(tmp_path, 'SELECT n AS "Size", n + 1 AS word, 7 AS "größe" FROM range(2) t(n)')
    (table,) = tables_of(
        [dropped("a.parquet", data.replace(b"word", b"size"))], prepared.folder
    ).tables
    assert table.columns == ("Size", "size", "größe")
    assert b"".join(table.blocks()) == b"0,1,7\n1,2,7\n"


@pytest.mark.parametrize(
    ("metadata", "index"),
    [
        ('{"index_columns": ["__index_level_0__", "day"]}', ("__index_level_0__", "day")),
        ('{"index_columns": [{"kind": "range", "start": 0}]}', ()),
        ("{}", ()),
        ("no json", ()),
    ],
)
def test_the_index_of_a_pandas_data_frame_is_known_from_its_metadata(
    prepared: Preparing, tmp_path: Path, metadata: str, index: tuple[str, ...]
) -> None:
    path = tmp_path / "made.parquet"
    duckdb.sql(
        'COPY (SELECT 1 AS y, 2 AS day, 3 AS "__index_level_0__") '
        f"TO '{path}' (FORMAT parquet, KV_METADATA {{pandas: '{metadata}'}})"
    )
    (table,) = tables_of([dropped("a.parquet", path.read_bytes())], prepared.folder).tables
    assert table.index_columns == index


def test_parquet_types_become_texts_that_say_the_same(prepared: Preparing, tmp_path: Path) -> None:
    _, rows = parquet_table(
        prepared,
        tmp_path,
        """SELECT true AS b, 1.50::DECIMAL(9,2) AS d, DATE '2024-02-01' AS day,
                  TIMESTAMP '2024-02-01 10:00:00' AS at, TIME '10:00:00' AS t,
                  TIMESTAMPTZ '2024-02-01 10:00:00+02' AS z, 'nan'::DOUBLE AS f, NULL::DOUBLE AS n,
                  9007199254740993::BIGINT AS big, E'x\ry' AS text""",
    )
    assert rows[0].startswith("true,1.50,2024-02-01,2024-02-01 10:00:00,10:00:00,2024-02-01 08:")
    assert rows[0].endswith(':00:00,nan,,9007199254740993,"x')


def test_bytes_in_parquet_are_refused_by_column(prepared: Preparing, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="column 'b' holds bytes"):
        parquet_table(prepared, tmp_path, "SELECT 1 AS a, '\\xff'::BLOB AS b")
