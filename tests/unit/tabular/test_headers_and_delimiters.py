"""The kinds of files that programs write have the right header and delimiter, or are refused."""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

import pytest
from refit.domain.csv_dialect import CsvDialect, detect_dialect
from refit.domain.errors import DatasetInvalid, DatasetUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.preparing import Preparing


def dialect_of(text: str) -> CsvDialect:
    return detect_dialect(text.encode().split(b"\n"))


def table(first: str, row: str, count: int = 60) -> str:
    """Return a first line above rows; in a row, {n} is its number, {x} a number and {t} a text."""
    draw = random.Random(5)
    rows = [
        row.format(n=n, x=f"{draw.random() * 9:.2f}", t=draw.choice(["low", "mid", "high"]))
        for n in range(count)
    ]
    return "\n".join([first, *rows]) + "\n"


@pytest.mark.parametrize(
    ("first", "row"),
    [
        ("group,code,2011,2012,2013", "{t},X{n},{x},{x},{x}"),
        ("group,2019,2020", "{t},{x},{x}"),
        ("code,2000,2005,2010,2015,2020", "X{n},{x},{x},{x},{x},{x}"),
        ("400.5,401,401.5,402,402.5", "{x},{x},{x},{x},{x}"),
        ("label,pixel0,pixel1", "{n},{x},{x}"),
        ("class,cap,odor", "{t},{t},{t}"),
        ("text,label", "message number {n},{t}"),
        ("id,label", "A-{n},{t}"),
        ("date,weather", "2024-01-{n:02d},{t}"),
        ("price,city", "1.234,50 €;{t}"),
        ("#,name,size", "{n},{t},{x}"),
        ("a;b,size", "p;q,{x}"),
        ("#chrom,start,end", "chr{n},{n},{x}"),
        (" group, size", "{t}, {x}"),
        ("größe,farbe", "{x},{t}"),
    ],
)
def test_a_header_is_recognized(first: str, row: str) -> None:
    separator = ";" if ";{" in row else ","
    dialect = dialect_of(table(first.replace(",", separator), row))
    assert dialect.header == tuple(name.strip() for name in first.split(","))
    assert dialect.header_lines == 1


def headerless(rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


DRAW = random.Random(3)
HEADERLESS = {
    "numbers": [[n % 3, n * 7 % 11, n * 5 % 13] for n in range(80)],
    "windows of a sequence": [[n, n + 1, n + 2, n + 3, n + 4] for n in range(1, 80)],
    "iris": [
        [*(f"{DRAW.random() * 6:.1f}" for _ in range(4)), ("setosa", "virginica")[n // 40]]
        for n in range(80)
    ],
    "car": list(
        product(["vhigh", "high"], ["vhigh", "high", "low"], [2, 4], ["small", "big"], ["no", "ok"])
    ),
    "mushroom": [DRAW.choices("pesbynfk", k=7) for _ in range(80)],
    "adult": [
        [
            DRAW.randint(17, 90),
            DRAW.choice(["Private", "State-gov"]),
            DRAW.choice(["<=50K", ">50K"]),
        ]
        for _ in range(80)
    ],
    "rows of two dependent texts": [[code, name] for code, name in [("de", "x"), ("fr", "y")] * 40],
    "a bad cell in the first row": [["4", "abc", "2"], *([n, n * 3 % 7, n % 5] for n in range(80))],
}


@pytest.mark.parametrize("name", HEADERLESS)
def test_a_file_without_header_has_none(name: str) -> None:
    dialect = dialect_of(headerless(HEADERLESS[name]))
    assert (dialect.header, dialect.header_is_unclear) == (None, False)
    assert dialect.header_lines == 0


@pytest.mark.parametrize(
    "text",
    [
        "red,round\nblue,square\ngreen,oval\n",
        headerless([[f"n{DRAW.random()}a", f"m{DRAW.random()}b"] for _ in range(40)]),
        table("class,2011", "{t},{x}"),
    ],
)
def test_a_first_line_that_can_be_both_is_refused_with_the_setting(
    prepared: Preparing, text: str
) -> None:
    assert dialect_of(text).header_is_unclear
    with pytest.raises(DatasetInvalid, match=r'Set \[data\] header = "yes" or "no"'):
        prepared(text.encode())


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_an_index_of_several_levels_has_no_names(prepared: Preparing, levels: int) -> None:
    rows = [f"{f'{n},' * levels}{n * 37 % 101},{'ab'[n % 2]}" for n in range(200)]
    data = "\n".join(["," * levels + "size,label", *rows])
    assert dialect_of(data).nameless == tuple(range(levels))
    assert prepared(data.encode()).feature_names == ["size"]
    numbers = "\n".join(
        ["," * levels + "label", *(f"{n}," * levels + str(n % 2) for n in range(99))]
    )
    assert dialect_of(numbers).header is not None


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("species,length,width", "{t},{n},4,{n},2"),  # decimal commas without quotes
        ("label,size", "{t},{n},1,2"),
        ("label,size,width,depth,colour", "{t},{n},1"),
    ],
)
def test_a_header_of_another_width_is_refused_and_not_silently_a_bad_row(
    prepared: Preparing, header: str, row: str
) -> None:
    rows = [row.format(t="ab"[n % 2], n=n * 37 % 101) for n in range(200)]
    data = "\n".join([header, *rows]).encode()
    names, cells = header.count(",") + 1, row.count(",") + 1
    with pytest.raises(
        DatasetInvalid, match=f"names of {names} columns, but the rows have {cells}"
    ):
        prepared(data)
    assert sum(prepared(data, header="no").rows.values()) == 200


def test_a_first_row_with_a_missing_cell_is_a_bad_row(prepared: Preparing) -> None:
    rows = [f"{'ab'[n % 2]},{n * 37 % 101},{n % 7}" for n in range(200)]
    assert sum(prepared("\n".join(["a,7", *rows]).encode()).rows.values()) == 200


def test_an_unclear_part_is_read_as_the_part_before_it(prepared: Preparing) -> None:
    rows = [[f"{n % 2}b", *DRAW.choices("pqrstuvwxyz", k=2)] for n in range(200)]
    parts = {"a.csv": headerless(rows).encode(), "b.csv": b"1b,ab,cd\n0b,ef,gh\n"}
    assert sum(prepared(parts, label=0).rows.values()) == 202


def test_the_header_of_a_frame_without_names_counts_its_columns() -> None:
    dialect = dialect_of(table(",0,1,2", "{n},{x},{x},{x}"))
    assert (dialect.header, dialect.nameless) == (("column0", "0", "1", "2"), (0,))


def test_the_header_of_r_has_a_nameless_first_column() -> None:
    dialect = dialect_of(table('"x","y"', '"{n}",{x},"{t}"'))
    assert (dialect.header, dialect.nameless) == (("column0", "x", "y"), (0,))
    assert "one name fewer" in dialect.skipped[0]
    assert dialect.rows[0][0] == "0"


@pytest.mark.parametrize(("header", "row"), [("y,a,b", "0,1,{x},"), ("y,a,b,", "0,1,{x}")])
def test_a_delimiter_at_the_end_of_only_the_header_or_the_rows_moves_no_name(
    header: str, row: str
) -> None:
    dialect = dialect_of(table(header, row))
    assert dialect.header is not None
    assert dialect.header[:3] == ("y", "a", "b")
    assert dialect.width == row.count(",") + 1
    assert "delimiter" in dialect.skipped[0]


@pytest.mark.parametrize(
    ("above", "lines", "skipped"),
    [
        ("", 1, ()),
        ("\n\n", 3, ()),
        ("# made by a sensor\n#\n# 2024, May\n", 4, ("3 comment lines above the header",)),
        ("sep=,\n", 2, ("the line sep=, above the header",)),
        ("Sales of 2024\n\n", 3, ("1 title line above the header",)),
        ("Sales of 2024,,\n", 2, ("1 title line above the header",)),
        ("Sales,2024\nall shops\n", 3, ("2 title lines above the header",)),
    ],
)
def test_what_stands_above_the_header_is_skipped_and_said(
    prepared: Preparing, above: str, lines: int, skipped: tuple[str, ...]
) -> None:
    text = above + table("class,size,price", "{t},{x},{n}")
    dialect = dialect_of(text)
    assert dialect.header == ("class", "size", "price")
    assert (dialect.header_lines, dialect.skipped) == (lines, skipped)
    result = prepared(text.encode())
    assert (sum(result.rows.values()), result.refused) == (60, [])


def test_a_title_that_is_the_name_of_the_label_is_not_the_header() -> None:
    text = "price,,\n" + table("class,size,price", "{t},{x},{n}")
    dialect = detect_dialect(text.encode().splitlines(keepends=True), label="price")
    assert (dialect.header, dialect.header_lines) == (("class", "size", "price"), 2)


def test_the_line_sep_names_the_delimiter_also_without_a_header() -> None:
    dialect = dialect_of("sep=;\n" + headerless(HEADERLESS["numbers"]).replace(",", ";"))
    assert (dialect.csv_format.delimiter, dialect.header, dialect.header_lines) == (";", None, 1)
    assert dialect.skipped == ("the line sep=; above the first row",)


@pytest.mark.parametrize("delimiter", [",", " ", "\t"])
def test_the_header_of_numpy_is_a_comment(delimiter: str) -> None:
    dialect = dialect_of(table(f"# a{delimiter}b{delimiter}c", delimiter.join(["{x}"] * 3)))
    assert (dialect.header, dialect.header_lines, dialect.skipped) == (("a", "b", "c"), 1, ())


def test_colours_in_the_first_column_are_not_comments() -> None:
    rows = [[f"#ff00{n % 4}{n % 3}", n % 7, n % 5] for n in range(60)]
    dialect = dialect_of(headerless(rows))
    assert (dialect.header, len(dialect.rows), dialect.skipped) == (None, 60, ())


@pytest.mark.parametrize("row", ["{t},{t}{x},{t}", "{n},{x},{x}", '"{t}",{n},"a, b"'])
@pytest.mark.parametrize(
    "again",
    [
        "class,cap,odor",
        " class , cap, odor",
        '"class",cap,odor',
        "\ufeffclass,cap,odor",
        "CLASS,Cap,ODOR",
    ],
)
def test_a_header_that_is_repeated_in_the_middle_is_no_row(
    prepared: Preparing, row: str, again: str
) -> None:
    one = table("class,cap,odor", row, 150)
    data = one + again + one.removeprefix("class,cap,odor")
    result = prepared(data.encode())
    assert (sum(result.rows.values()), result.refused) == (300, [])
    assert [feature.name for feature in result.schema.features] == ["cap", "odor"]
    assert "class" not in (result.schema.classes or ())


def test_names_are_compared_in_one_unicode_form_and_kept_as_written() -> None:
    decomposed = "gro\u0308\u00dfe"
    dialect = detect_dialect(
        [f"{decomposed},b".encode(), b"x,y"], known_names=("b", "gr\u00f6\u00dfe")
    )
    assert dialect.header == (decomposed, "b")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"y,gr\xf6\xdfe\n1,2\n", r"line 1, in the header, .* f6 df 65; as Windows-1252 .*größe"),
        (b"y,\xff\x81\n1,2\n", "line 1, in the header, .* has the bytes ff 81. Save"),
    ],
)
def test_a_header_that_is_not_utf8_is_refused_with_its_line_and_bytes(
    prepared: Preparing, data: bytes, text: str
) -> None:
    with pytest.raises(DatasetUnreadable, match=text):
        prepared(data + b"3,4\n" * 50)


@pytest.mark.parametrize(
    ("text", "delimiter", "width"),
    [
        (table("setosa;5,5;3,4;1,5;0,1", "virginica;6,1;2,{n};4,5;1,5"), ";", 5),
        ("1,5;2,5\n2,5;3,5\n", ";", 2),
        ("1,5\t2,5\n2,5\t3,5\n", "\t", 2),
        ("1.234,50;a\n2.345,70;b\n", ";", 2),
        ("a\tone, two\t1\nb\tthree, four\t2\n", "\t", 3),
        ("a|x,y|1\nb|z|2\n", "|", 3),
        ('"a;b",1\n"c;d",2\n"e",3\n', ",", 2),
        ('"x, y";1\n"z, w";2\n', ";", 2),
        ("5.1  3.5 1.4\n4.9 3.0  1.4\n", " ", 3),
        ("  5.1 3.5\tsetosa\n 4.9 3.0\tvirginica \n", " ", 3),
        ("15.26\t14.84\t\t0.87\n14.1\t14.2\t0.9\n15\t15.1\t0.8\n", " ", 3),
        ('18.0   8   307.0\t"chevrolet malibu"\n15.0   8   350.0\t"buick"\n', " ", 4),
        ("2024-01-01 10:00,5\n2024-01-02 11:00,6\n", ",", 2),
        ("John Smith\nJane Doe\n", ",", 1),
        ("1,a;b,2\n3,c;d,4\n", ",", 3),
        ("ham\tHi, you won; call\nspam\tOh, he lost; wait\n", "\t", 2),
    ],
)
def test_the_delimiter_is_the_one_whose_cells_are_of_one_kind(
    text: str, delimiter: str, width: int
) -> None:
    dialect = dialect_of(text)
    assert (dialect.csv_format.delimiter, dialect.width) == (delimiter, width)


def test_a_table_separated_by_blanks_is_read(prepared: Preparing) -> None:
    rows = "".join(f" {n % 2}   {n * 37 % 211}\t{n * 7 % 31}.5  \n" for n in range(200))
    result = prepared(("y a b\n" + rows).encode())
    assert result.refused == []
    assert [feature.name for feature in result.schema.features] == ["a", "b"]
    assert b"1,111,21.5" in result.all_rows


@pytest.mark.parametrize("blank", [" ", "\t", ","])
def test_a_table_in_single_quotes_is_read(prepared: Preparing, blank: str) -> None:
    names = blank.join(["'y'", "'a'", "'b'"])
    rows = [
        blank.join([str(n % 2), str(n * 37 % 211), "'xy'" if n % 3 else "'z'"]) for n in range(200)
    ]
    result = prepared("\n".join([names, *rows]).encode())
    assert result.refused == []
    assert [feature.name for feature in result.schema.features] == ["a", "b"]
    assert result.schema.features[1].values == ("xy", "z")


def test_a_quote_that_a_backslash_escapes_belongs_to_the_cell(prepared: Preparing) -> None:
    names = ['"Harry \\"Hal\\" Fox"', '"Ann, A."', "Bo"]
    rows = [f"{n % 2},{names[n % 3]},{n * 37 % 211}" for n in range(200)]
    result = prepared("\n".join(["y,name,size", *rows]).encode())
    assert result.refused == []
    assert result.schema.features[0].values == ("Ann, A.", "Bo", 'Harry "Hal" Fox')


@pytest.mark.parametrize(
    ("line", "seems"),
    [
        ("{n}:{x}:{t}", "separated by :"),
        ("{n}^{x}", r"separated by \^"),
        ("1 1:{x} 2:{x}", "as in LibSVM files"),
        ("red round {t}", "separated by blanks"),
        ("{n}", "by one of , ; | or a tab$"),
        ('"{n},{x},{t}"', "each line is in quotes as a whole.*Remove the quotes"),
    ],
)
def test_one_column_is_refused_with_what_seems_to_separate_its_cells(
    prepared: Preparing, line: str, seems: str
) -> None:
    with pytest.raises(DatasetInvalid, match=seems.replace("|", r"\|")):
        prepared(table(line.format(n=1, x=2, t="low"), line).encode())


@pytest.mark.parametrize("value", ["{x},{y}", "16,{x}", "Fox, John", "May 2{x}, 2024"])
def test_a_delimiter_without_quotes_moves_no_cell_to_another_column(
    prepared: Preparing, value: str
) -> None:
    rows = [f"{value.format(x=n % 9, y=n * 37 % 211)},{n % 83},{'yn'[n % 2]}" for n in range(120)]
    with pytest.raises(DatasetInvalid, match=r"4 cells, and the header has 3 names.*in quotes"):
        prepared("\n".join(["price,area,label", *rows]).encode())


def test_the_numbers_of_columns_from_zero_are_not_silently_a_row(prepared: Preparing) -> None:
    rows = [f"{n * 37 % 211},{n * 91 % 317},{n * 53 % 97},{n % 2}" for n in range(120)]
    table = "\n".join(["0,1,2,3", *rows]).encode()
    with pytest.raises(DatasetInvalid, match=r'Set .data. header = "yes" or "no"'):
        prepared(table, label="last")
    assert sum(prepared(table, label="last", header="yes").rows.values()) == 120
