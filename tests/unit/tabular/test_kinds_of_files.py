"""Files are recognized by their content, read in bounded memory, and never executed."""

from __future__ import annotations

import gzip
import zlib

import pytest
from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.tabular.dataset import tables_of
from refit.tabular.readers.gunzip import gunzipped
from refit.tabular.readers.recognition import FileKind, kind_of
from refit.tabular.readers.table import READ_BYTES

from tests.support.preparing import Preparing, dropped, numbers_csv, scattered

MIB = 1024 * 1024


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


def test_a_few_control_characters_do_not_make_a_text_binary() -> None:
    text = b"a,\x01\x02\x03\x04,1\n" + b"1,2,3\n" * 50
    assert kind_of(text, "a.csv") is FileKind.CSV
