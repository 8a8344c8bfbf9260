"""Files are recognized by their content, read in bounded memory, and never executed."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zlib
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.tabular.dataset import tables_of
from refit.tabular.readers.arrays import csv_blocks
from refit.tabular.readers.gunzip import gunzipped
from refit.tabular.readers.pickled import read_pickle as read_pickle_file
from refit.tabular.readers.recognition import FileKind, kind_of
from refit.tabular.readers.table import READ_BYTES

from tests.support.preparing import Preparing, dropped, numbers_csv, scattered

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]


def read_pickle(data: bytes, name: str = "x.pkl") -> Any:
    return read_pickle_file(io.BytesIO(data), name)


def digits(rows: int, seed: int, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Small images as `mnist.pkl.gz` has them: pixels divided by 256, labels as 64-bit numbers."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (rows, 6)).astype(np.float64) / 256
    return pixels.astype(dtype), random.integers(0, 3, rows)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def as_rows(features: np.ndarray, labels: np.ndarray) -> list[bytes]:
    return sorted(b"".join(csv_blocks(features, labels)).splitlines())


def test_a_gzipped_csv_is_read_like_the_plain_one(prepared: Preparing) -> None:
    plain = prepared(numbers_csv())
    packed = prepared({"drop.csv.gz": gzip.compress(numbers_csv())})
    halves = numbers_csv().partition(b"\n100")
    members = gzip.compress(halves[0]) + gzip.compress(halves[1] + halves[2])
    assert packed.train == plain.train == prepared({"drop.csv.gz": members}).train


@pytest.mark.parametrize("name", ["drop.csv", "data", "drop.parquet.csv.gz"])
def test_the_content_decides_the_kind_of_a_file_and_not_its_name(
    prepared: Preparing, name: str
) -> None:
    assert prepared({name: gzip.compress(numbers_csv())}).rows["train"] > 0
    assert prepared({name: numbers_csv()}).rows["train"] > 0


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(numbers_csv(), mtime=0)[:-200],
        gzip.compress(numbers_csv(), mtime=0)[:200]
        + b"garbage"
        + gzip.compress(numbers_csv(), mtime=0)[207:],
    ],
)
def test_a_damaged_gzip_is_refused(prepared: Preparing, data: bytes) -> None:
    with pytest.raises(DatasetUnreadable, match=r"drop\.csv\.gz is damaged"):
        prepared({"drop.csv.gz": data})


def test_a_zip_bomb_is_refused_after_its_first_megabytes() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b"1,2,3,4\n" * (MIB // 8)) for _ in range(200)) + packer.flush()
    pieces: list[int] = []
    with pytest.raises(DatasetUnreadable, match="zip bomb"):
        pieces.extend(map(len, gunzipped(iter([bomb]), "bomb.csv.gz")))
    assert max(pieces) <= MIB
    assert sum(pieces) <= 33 * MIB


def test_a_zip_bomb_fails_the_run_by_name(prepared: Preparing) -> None:
    bomb = gzip.compress(b"0" * (100 * MIB), 6)
    with pytest.raises(DatasetUnreadable, match=r"bomb\.csv\.gz unpacks to more than 250 times"):
        prepared({"bomb.csv.gz": bomb})


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.csv", "a,b\n1,2\n".encode("utf-16-le"), "UTF-16 without a byte-order mark: save it as"),
        ("a.csv", b"PK\x03\x04" + b"x" * 50, "a ZIP archive: unpack it"),
        ("a.xlsx", b"PK\x03\x04" + b"x" * 50, "an Excel file: save its sheet as CSV"),
        ("a", b"PK\x03\x04" + b"x" * 26 + b"[Content_Types].xml", "an Excel file: save its sheet"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel file: save its table as CSV"),
        ("a.npz", b"PK\x03\x04" + b"x" * 50, "a NumPy archive: save features and label as one"),
        ("a.npy", b"\x93NUMPY\x01\0", "a NumPy array: save it as CSV"),
        ("a.feather", b"ARROW1\0\0", "an Arrow or Feather file: save it as Parquet"),
        ("a.sav", b"$FL2@(#)", "an SPSS file: save it as CSV"),
        ("a.bin", b"\x89PNG\r\n\x1a\n", "an image: Refit reads tables"),
        (
            "a.arff",
            b"@RELATION iris\n@ATTRIBUTE x NUMERIC\n",
            "an ARFF file of Weka: save it as CSV",
        ),
        ("a.json", b"[[5.1, 3.5], [4.9, 3.0]]\n", "looks like JSON, but not like records"),
        ("a.jsonl", b'[5.1, "a"]\n[4.9, "b"]\n', "looks like JSON, but not like records"),
        ("a.html", b"<table><tr>", "looks like HTML or XML"),
        ("a.csv", bytes(range(256)) * 4 + bytes(100), "is binary"),
        ("a.csv", bytes(range(1, 256)) * 16, "is no text file"),
        ("a.csv.gz", gzip.compress(gzip.compress(b"1,2\n", mtime=0), mtime=0), "gzip within gzip"),
        ("t10k-images-idx3-ubyte", b"1,2\n", "is not an IDX file"),
        ("a.parquet", b"1,2\n3,4\n", "is not Parquet"),
    ],
)
def test_an_unsupported_file_is_refused_with_its_name_and_what_to_do(
    prepared: Preparing, name: str, data: bytes, text: str
) -> None:
    with pytest.raises(DatasetUnreadable, match=text) as caught:
        prepared({name: data})
    assert name in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-8-sig"])
@pytest.mark.parametrize("size", [1, 3, READ_BYTES])
def test_a_text_with_a_byte_order_mark_is_read_in_its_encoding(
    prepared: Preparing, encoding: str, size: int
) -> None:
    rows = (f"{n % 3};{scattered(n)};🌷{n % 2}\r\n" for n in range(99))
    text = "größe;b;c\r\n" + "".join(rows)
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    result = prepared((mark + text).encode(encoding), read_bytes=size, label="größe")
    assert result.schema.label == "größe"
    assert result.schema.features[1].values == ("🌷0", "🌷1")
    assert result.all_rows == prepared(text.encode(), label="größe").all_rows


def test_what_is_not_utf_16_is_a_refused_row(prepared: Preparing) -> None:
    lines = [f"{n % 3},{n},a\n".encode("utf-16-le") for n in range(300)]
    lines[9] = "1,1,".encode("utf-16-le") + b"\0\xd8" + "\n".encode("utf-16-le")
    result = prepared(b"\xff\xfe" + b"".join(lines))
    assert [(row["line"], row["reason"][:14]) for row in result.refused] == [(10, "not UTF-8 text")]


def json_lines(rows: int = 200) -> bytes:
    return b"".join(
        b'{"y": "%s", "n": %d, "big": %d0000000001, "on": %s, "t": null}\n'
        % (b"ab"[n % 2 :][:1], n, 9007199254740993 + n % 5, (b"true", b"false")[n % 2])
        for n in range(rows)
    )


@pytest.mark.parametrize("form", ["lines", "list", "pretty list", "gzip"])
def test_json_records_are_read_with_their_own_digits(prepared: Preparing, form: str) -> None:
    lines = json_lines()
    data = {
        "lines": lines,
        "list": b"[" + lines.rstrip().replace(b"\n", b",") + b"]",
        "pretty list": b"[\n" + lines.rstrip().replace(b"\n", b",\n") + b"\n]\n",
        "gzip": gzip.compress(lines),
    }[form]
    tables = tables_of([dropped("drop.json", data)], prepared.folder).tables
    assert tables[0].columns == ("y", "n", "big", "on", "t")
    rows = b"".join(tables[0].blocks()).splitlines()
    assert (len(rows), rows[1]) == (200, b"b,1,90071992547409940000000001,false,")


def test_a_key_that_only_some_records_have_is_a_column(prepared: Preparing) -> None:
    data = b'{"y":"a","x":1}\n\n{"y":"b","z":"p, q"}\n'
    (table,) = tables_of([dropped("drop.jsonl", data)], prepared.folder).tables
    assert table.columns == ("y", "x", "z")
    assert b"".join(table.blocks()) == b'a,1,\nb,,"p, q"\n'


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b'{"y":1,"x":[1,2]}\n', DatasetInvalid, "line 1: the value of 'x' is .*a cell holds one"),
        (b'{"a":{"0":1,"1":2}}', DatasetInvalid, "line 1: the value of 'a' is"),
        (b'{"y":1}\n{"y":\n', DatasetUnreadable, "line 2 is not JSON .*an object on each line"),
        (b'{"y":1}\n7\n', DatasetInvalid, "line 2 is '7', not an object"),
        (b'[{"y":1}, 5]', DatasetInvalid, "record 2 is '5', not an object"),
        (b'{"y":"\xff"}\n', DatasetUnreadable, "line 1 is not UTF-8 text"),
        (b'{"y":1}\n{"y":1,"x":2,"y":3}\n', DatasetInvalid, "line 2 has the key 'y' twice"),
        (b'[{"y":1,"y":1}]', DatasetInvalid, "has the key 'y' twice in one object"),
    ],
)
def test_json_that_is_not_records_is_refused_with_its_place(
    prepared: Preparing, data: bytes, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=rf"drop\.json {text}"):
        prepared({"drop.json": data})


def notes(prepared: Preparing, files: dict[str, bytes]) -> tuple[str, ...]:
    return tables_of([dropped(*file) for file in files.items()], prepared.folder).notes


def test_empty_files_and_files_beside_the_data_are_skipped_and_said(prepared: Preparing) -> None:
    files = {
        "_SUCCESS": b"",
        "part-0.csv": numbers_csv(),
        "part-1.csv": b"",
        "part-2.csv.gz": gzip.compress(b""),
        ".part-0.csv.crc": b"crc\0",
        "README.md": b"# about",
        "sub/.DS_Store": b"\0\1",
    }
    assert prepared(files).all_rows == prepared(numbers_csv()).all_rows
    assert notes(prepared, files) == (
        "skipped .part-0.csv.crc, _SUCCESS, sub/.DS_Store: hidden, or written by another program",
        "skipped README.md: a description, not data",
        "skipped part-1.csv: empty",
        "skipped part-2.csv.gz: empty",
    )


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"_SUCCESS": b""}, "no file with data was dropped; skipped _SUCCESS"),
        ({"README.md": b"# about"}, "no file with data .*README.md: a description, not data"),
        (
            {"a.csv": b"", "b.csv": b""},
            "no file with data was dropped; skipped a.csv, b.csv: empty",
        ),
        ({"a.csv": b""}, "^a.csv is empty"),
        ({"a.csv.gz": gzip.compress(b"\n")}, "^a.csv.gz is empty"),
    ],
)
def test_a_drop_without_data_is_refused_with_what_was_dropped(
    prepared: Preparing, files: dict[str, bytes], text: str
) -> None:
    with pytest.raises(DatasetEmpty, match=text):
        prepared(files)


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


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_a_pickle_of_three_pairs_gives_the_three_splits_in_its_own_units(
    prepared: Preparing, protocol: int, dtype: Any
) -> None:
    parts = tuple(digits(rows, seed, dtype) for seed, rows in enumerate((90, 20, 30)))
    data = gzip.compress(pickle.dumps(parts, protocol))
    result = prepared({"mnist.pkl.gz": data})
    assert result.rows == {"train": 90, "validation": 20, "test": 30}
    assert sorted(result.train.splitlines()) == as_rows(*parts[0])
    assert sorted(result.test.splitlines()) == as_rows(*parts[2])
    values = [list(map(float, row.split(b",")[1:])) for row in result.test.splitlines()]
    assert sorted(values) == sorted(parts[2][0].astype(float).tolist())


def python2_pickle(pairs: Pairs) -> bytes:
    """Write as cPickle of Python 2 did (protocol 2): bytes as short or long strings."""

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def array(value: np.ndarray) -> bytes:
        shape = b"(" + b"".join(map(number, value.shape)) + b"t"
        code = f"{value.dtype.kind}{value.dtype.itemsize}".encode()
        dtype = (
            b"cnumpy\ndtype\n(" + text(code) + b"K\x00K\x01tR("
            b"K\x03" + text(b"<") + b"NNN" + number(-1) + number(-1) + b"K\x00tb"
        )
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b")
        return empty + b"tR(K\x01" + shape + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    body = b"".join(b"(" + array(x) + array(y) + b"t" for x, y in pairs)
    return b"\x80\x02(" + body + b"t."


def test_a_pickle_of_python_2_is_read(prepared: Preparing) -> None:
    parts = tuple(digits(rows, rows) for rows in (90, 20, 30))
    result = prepared({"mnist.pkl.gz": gzip.compress(python2_pickle(parts))})
    assert result.rows == {"train": 90, "validation": 20, "test": 30}
    assert sorted(result.train.splitlines()) == as_rows(*parts[0])


class Runs:
    """Its pickle calls a function with arguments when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (digits(9, 1), digits(9, 2), x)])
def test_a_pickle_that_would_run_code_is_refused_before_it_runs(
    prepared: Preparing, tmp_path: Path, protocol: int, wrap: Any
) -> None:
    trace = tmp_path / "it-ran"
    data = pickle.dumps(wrap(Runs(os.system, f"touch {trace}")), protocol)
    with pytest.raises(DatasetUnreadable, match=r"mnist\.pkl.* refers to (posix|nt)\.system"):
        prepared({"mnist.pkl": data})
    assert not trace.exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1",)),
        (getattr, (1, "real")),
        (np.load, ("/etc/passwd",)),
        (np.fromfile, ("/etc/passwd",)),
        (type, ("X", (), {})),
        (open, ("/etc/passwd",)),
        (pickle.loads, (b"N.",)),
    ],
)
def test_any_callable_that_no_array_needs_is_refused_by_name(function: Any, arguments: Any) -> None:
    data = pickle.dumps(Runs(function, *arguments))
    with pytest.raises(DatasetUnreadable, match=function.__name__):
        read_pickle(data)


def test_the_extension_registry_and_persistent_ids_are_refused() -> None:
    with pytest.raises(DatasetUnreadable):
        read_pickle(b"\x80\x02\x82\x01.")
    with pytest.raises(DatasetUnreadable, match="outside of the file"):
        read_pickle(b"\x80\x02K\x01Q.")


def test_an_array_with_a_false_shape_allocates_no_memory() -> None:
    huge = python2_pickle((digits(9, 1),) * 2).replace(
        b"J" + struct.pack("<i", 9), b"J" + struct.pack("<i", 2**31 - 1)
    )
    with pytest.raises(DatasetUnreadable, match="an array of shape"):
        read_pickle(huge)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ({"x": 1}, DatasetInvalid, "is not"),
        ((1, 2, 3), DatasetInvalid, "is not"),
        ((digits(9, 1),) * 4, DatasetInvalid, "it holds 4 parts"),
        (((np.zeros((3, 2)), np.zeros(4)),) * 3, DatasetInvalid, "each row requires one label"),
        (np.array(["a"]), DatasetUnreadable, "not of numbers"),
        (np.array([object()]), DatasetUnreadable, "not of numbers|refers to"),
        (np.zeros(3, dtype=complex), DatasetUnreadable, "not of numbers"),
    ],
)
def test_a_pickle_of_something_else_is_refused(
    value: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        read_pickle(pickle.dumps(value))


@pytest.mark.parametrize("cut", [1, 10, 100, 400])
def test_a_damaged_pickle_is_refused(cut: int) -> None:
    with pytest.raises(DatasetUnreadable, match="damaged, or not a pickle"):
        read_pickle(pickle.dumps((digits(50, 1),) * 3)[:-cut])


def test_a_pickle_cannot_change_how_the_next_one_is_read() -> None:
    # The opcode BUILD sets attributes of the object on the stack: here of an accepted function.
    data = b"\x80\x02cnumpy\ndtype\n(N}X\x05\x00\x00\x00_callNs\x86b."
    with pytest.raises((DatasetUnreadable, DatasetInvalid)):
        read_pickle(data)
    assert len(read_pickle(pickle.dumps((digits(9, 1),) * 3))) == 3


def test_idx_pairs_give_the_test_split_by_their_names(prepared: Preparing) -> None:
    random = np.random.default_rng(3)
    images = {rows: random.integers(0, 256, (rows, 2, 3)) for rows in (200, 40)}
    labels = {rows: random.integers(0, 10, rows) for rows in (200, 40)}
    files = {
        "train-images-idx3-ubyte.gz": gzip.compress(idx(images[200])),
        "train-labels-idx1-ubyte.gz": gzip.compress(idx(labels[200])),
        "t10k-images-idx3-ubyte": idx(images[40]),
        "t10k-labels-idx1-ubyte": idx(labels[40]),
    }
    result = prepared(files)
    assert result.rows["test"] == 40
    assert result.rows["train"] + result.rows["validation"] == 200
    assert result.rows["validation"] > 0
    assert sorted(result.test.splitlines()) == as_rows(images[40].reshape(40, -1), labels[40])
    assert result.features.splitlines()[0] == result.test.splitlines()[0].partition(b",")[2]
    assert result.labels.splitlines() == [row.partition(b",")[0] for row in result.test.split()]


def test_an_idx_file_without_its_partner_or_damaged_is_refused(prepared: Preparing) -> None:
    images, labels = idx(np.zeros((5, 2, 2))), idx(np.arange(5))
    with pytest.raises(DatasetInvalid, match="without the labels that belong to it"):
        prepared({"train-images-idx3-ubyte": images})
    with pytest.raises(DatasetUnreadable, match="it has 35 bytes, but its header states 36"):
        prepared({"a-images-idx3-ubyte": images[:-1], "a-labels-idx1-ubyte": labels})
    with pytest.raises(DatasetInvalid, match="each image requires one label"):
        prepared({"a-images-idx3-ubyte": images, "a-labels-idx1-ubyte": idx(np.arange(4))})


@pytest.mark.parametrize(
    "features",
    [
        np.arange(256, dtype=np.uint8).reshape(-1, 4),
        np.arange(-300, 300, dtype=np.int16).reshape(-1, 4),
        np.arange(64).reshape(-1, 4) * 10**12,
        (np.arange(256) / 255).astype(np.float32).reshape(-1, 4),
        np.arange(256).reshape(-1, 4) / 255,
        np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32),
        np.random.default_rng(1).normal(size=(64, 4)) * 1e30,
        np.random.default_rng(1).normal(size=(64, 4)).astype(np.float16),
        np.arange(8).reshape(-1, 4) % 2 == 0,
    ],
)
def test_an_array_written_as_csv_is_read_back_exactly(features: np.ndarray) -> None:
    labels = np.arange(len(features)) % 3
    lines = b"".join(csv_blocks(features, labels)).decode().splitlines()
    back = np.array([line.split(",")[1:] for line in lines]).astype(
        features.dtype.newbyteorder("=")
    )
    if features.dtype != bool:
        assert np.array_equal(back, features)
    assert [int(line.split(",")[0]) for line in lines] == labels.tolist()
    assert not any(cell.endswith(".0") for line in lines for cell in line.split(","))


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


def test_a_few_control_characters_do_not_make_a_text_binary() -> None:
    text = b"a,\x01\x02\x03\x04,1\n" + b"1,2,3\n" * 50
    assert kind_of(text, "a.csv") is FileKind.CSV
