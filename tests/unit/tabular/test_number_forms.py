"""Numbers are read as people write them, in one form for a column, or the drop is refused."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from refit.domain.errors import DatasetInvalid, PayloadInvalid, TooManyBadRows
from refit.domain.number_forms import PLAIN, NumberForm, choose_form, shape_of

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
SIZES = [f"{scattered(n) / 7:.2f}" for n in range(ROWS)]


@dataclass(frozen=True)
class Style:
    """How a person writes numbers.

    Attributes:
        affix: text around a number, with `{}` where it stands.
        minus: text around a negative number without its sign.
    """

    decimal: str = "."
    thousands: str = ""
    affix: str = "{}"
    minus: str = "-{}"

    def write(self, number: Decimal) -> str:
        whole, _, fraction = f"{abs(number):f}".partition(".")
        if self.thousands:
            whole = f"{int(whole):,}".replace(",", self.thousands)
        text = f"{whole}{self.decimal}{fraction}" if fraction else whole
        text = self.affix.format(text)
        return self.minus.format(text) if number < 0 else text


styles = st.builds(
    Style,
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from(["", ",", ".", " ", "\u00a0", "\u202f", "'", "’"]),
    affix=st.sampled_from(["{}", "{}%", "{} %", "${}", "$ {}", "{} €", "{}€", "EUR {}", "R${}"]),
    minus=st.sampled_from(["-{}", "- {}", "({})", "−{}", "− {}"]),
).filter(lambda style: style.decimal != style.thousands)

numbers = st.decimals(-(10**9), 10**9, places=2) | st.integers(-(10**12), 10**12).map(Decimal)


def form_of(cells: Sequence[str], decimal: str | None = None) -> NumberForm:
    """Return the form of a column, which must not be ambiguous."""
    shapes = Counter(shape_of(cell) for cell in cells)
    assert None not in shapes, shapes
    choice = choose_form(shapes, decimal)  # type: ignore[arg-type]
    assert choice.alternative is None, choice
    return choice.form


@given(styles, st.lists(numbers, min_size=1, max_size=10))
def test_a_column_reads_back_exactly_as_it_was_written(style: Style, values: list[Decimal]) -> None:
    # 1234567.5 shows the separators of its style.
    shown = [*values, Decimal("1234567.5"), Decimal("-0.5")]
    cells = [style.write(value) for value in shown]
    form = form_of(cells)
    plain = [form.plain(cell) for cell in cells]
    assert [Decimal(text) for text in plain if text is not None] == shown
    assert form.is_plain is all(map(_is_plain, cells))
    assert form.described or form.is_plain


def _is_plain(cell: str) -> bool:
    return PLAIN.plain(cell) is not None


@given(st.lists(numbers, min_size=1, max_size=10), styles)
def test_a_cell_is_read_as_in_its_form_or_not_at_all(values: list[Decimal], style: Style) -> None:
    other = Style(decimal="." if style.decimal == "," else ",")
    form = form_of([style.write(Decimal("1234567.5"))])
    for value in values:
        cell = other.write(value)
        read = form.plain(cell)
        if "." not in cell and "," not in cell:
            assert read == cell
            continue
        # Only 1.234 or 1,234 can have both forms.
        digits = cell.lstrip("-").replace(other.decimal, " ").split()[-1]
        assert read is None or (len(digits) == 3 and form.thousands == other.decimal)


@given(st.text("0123456789.,'’ \u00a0%€$()-+−eE", max_size=14))
@example("1.234.567")
@example("(5")
@example("1,23,456")
@example("--5")
@example("- (5)")
@example("1,E40")
@example("0.-")
def test_no_text_is_read_as_another_number_in_two_ways_of_asking(cell: str) -> None:
    shape = shape_of(cell)
    if shape is None:
        return
    form = choose_form({shape: 1}, None).form
    plain = form.plain(cell)
    assert plain is not None
    assert form.plain(plain) in {None, plain} or form.decimal == ","
    assert float(plain) == float(Decimal(plain))
    digits = [character for character in cell if character.isdigit()]
    if re.search(r"[.,]\s?[-−]{1,2}\W*\Z", cell):  # a price without cents
        digits.append("0")
    mantissa = plain.lower().partition("e")
    assert [c for c in "".join(mantissa) if c.isdigit()] == digits


READABLE: dict[str, tuple[Sequence[str], Sequence[float], str]] = {
    "decimal comma": (["5,1", "3,05", "-0,2"], [5.1, 3.05, -0.2], "decimal comma"),
    "comma without zero": ([",5", "1,5", "2,"], [0.5, 1.5, 2], "decimal comma"),
    "decimal comma with exponent": (["1,5e3", "2,5E-1"], [1500, 0.25], "decimal comma"),
    "german": (
        ["1.234,50", "12,75", "1.000.000,00"],
        [1234.5, 12.75, 1e6],
        "decimal comma, thousands separated by '.'",
    ),
    "english": (["1,234.50", "12.75", "7"], [1234.5, 12.75, 7], "thousands separated by ','"),
    "millions": (["1,234,567", "12,345", "7"], [1234567, 12345, 7], "thousands separated by ','"),
    "indian": (["12,34,567.5", "1,00,000"], [1234567.5, 1e5], "thousands separated by ','"),
    "swiss": (["1'234.50", "12’345", "7"], [1234.5, 12345, 7], "thousands separated by \"'\""),
    "french": (
        ["1\u202f234,5", "12 345,0", "7"],
        [1234.5, 12345, 7],
        "decimal comma, thousands separated by ' '",
    ),
    "percent": (["12.5%", "7 %", "0"], [12.5, 7, 0], "in percent"),
    "percent with comma": (["12,5 %", "7 %"], [12.5, 7], "decimal comma, in percent"),
    "dollars": (["$1,234.50", "-$5.25", "$-7"], [1234.5, -5.25, -7], "separated by ',', in $"),
    "euros": (
        ["1.234,50 €", "€ 5,25"],
        [1234.5, 5.25],
        "decimal comma, thousands separated by '.', in €",
    ),
    "crowns": (
        ["1 234,50 kr", "5,25 kr"],
        [1234.5, 5.25],
        "decimal comma, thousands separated by ' ', in kr",
    ),
    "codes": (["EUR 12.50", "7.00 EUR"], [12.5, 7], "in EUR"),
    "accounting": (["(1,234.50)", "17.25"], [-1234.5, 17.25], "thousands separated by ','"),
    "parentheses": (["(5)", "7", "(2.5)"], [-5, 7, -2.5], "negative numbers as (5) or −5"),
    "long minus": (["−5", "7", "− 2.5"], [-5, 7, -2.5], "negative numbers as (5) or −5"),
    "blank after the sign": (["- 5", "+ 7"], [-5, 7], "negative numbers as (5) or −5"),
    "prices without cents": (["486,-", "12,50", "1.250,–"], [486, 12.5, 1250], "decimal comma"),
    "swiss prices without cents": (["486.-", "1250.–", "7.--"], [486, 1250, 7], "prices as 5.–"),
    "francs without cents": (["CHF 1'486.-", "CHF -12.50"], [1486, -12.5], "by \"'\", in CHF"),
    "euros without cents": (["486,- €", "-12,50 €"], [486, -12.5], "decimal comma, in €"),
    "sap": (["5.50-", "7.00"], [-5.5, 7], "negative numbers as (5) or −5"),
    "lira": (["1234,50 ₺", "5,25 ₺"], [1234.5, 5.25], "decimal comma, in ₺"),
    "rupees in letters": (["Rs. 1,234.50", "Rs. 5.25"], [1234.5, 5.25], "in Rs."),
    "korunas": (["1234,50 Kč", "5 Kč"], [1234.5, 5], "decimal comma, in Kč"),
    "hong kong dollars": (["HK$1,234.50", "HK$5.25"], [1234.5, 5.25], "by ',', in HK$"),
    "danish crowns": (["1234,50 kr.", "5,25 kr."], [1234.5, 5.25], "decimal comma, in kr."),
    "accounting in dollars": (["($5.25)", "$ 7"], [-5.25, 7], "in $"),
    "plain": (["5", "-1.5", "+2", "1e3", ".5", "5."], [5, -1.5, 2, 1000, 0.5, 5], ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", READABLE)
def test_a_column_of_one_form_is_read_in_training_and_in_requests(
    prepared: Preparing, kind: str
) -> None:
    cells, values, description = READABLE[kind]
    column = [cells[n % len(cells)] for n in range(ROWS)]
    data = table_of({"label": LABELS, "size": SIZES, "x": [f'"{cell}"' for cell in column]})
    result = prepared(data)
    assert result.refused == []
    feature = result.schema.features[1]
    assert feature.type == "number"
    assert description in feature.form.described
    assert result.learned.columns[1].reason == (feature.form.described or None)
    assert result.learned.decimal == ("," if "decimal comma" in description else ".")
    read = Counter(float(row.split(b",")[2]) for row in result.all_rows)
    expected = Counter(values[n % len(values)] for n in range(ROWS))
    assert read == expected
    for cell, value in zip(cells, values, strict=True):
        assert result.schema.encode_instance(["1", cell]) == [1, value]
        assert result.schema.encode_instance({"x": f" {cell} ", "size": 1}) == [1, value]
        assert result.schema.encode_instance([1, value]) == [1, value]


def test_a_label_with_decimal_commas_is_a_regression_target(prepared: Preparing) -> None:
    prices = [f'"{scattered(n) / 100:.2f}"'.replace(".", ",") for n in range(ROWS)]
    result = prepared(table_of({"label": prices, "size": SIZES}))
    assert result.schema.task == "regression"
    assert result.schema.label_form.decimal == ","
    assert result.schema.encode_label("199,90") == 199.9
    assert result.schema.encode_label("1.234,50") is None
    labels = sorted(float(row.split(b",")[0]) for row in result.all_rows)
    assert labels == sorted(scattered(n) / 100 for n in range(ROWS))


AMBIGUOUS = [
    ["1,234", "5,678"],
    ["1,234", "950"],
    ["1,234", "-5,678", "12,345"],
    ["1,234 €", "5,678 €"],
    ["1,500%", "2,250%"],
]


def of(cells: Sequence[str]) -> list[str]:
    return [f'"{cells[n % len(cells)]}"' for n in range(ROWS)]


@pytest.mark.parametrize("cells", AMBIGUOUS)
def test_numbers_that_can_be_read_in_two_ways_are_refused(
    prepared: Preparing, cells: list[str]
) -> None:
    data = table_of({"label": LABELS, "x": of(cells)})
    with pytest.raises(DatasetInvalid) as refused:
        prepared(data)
    for text in ("column 'x' has numbers with a comma", "'1,234'", '[data] decimal = "," or "."'):
        assert text in str(refused.value)
    first = cells[0].strip(" €%")
    thousands = prepared(data, decimal=".").schema.features[0].form
    assert thousands.plain(first) == first.replace(",", "")
    comma = prepared(data, decimal=",").schema.features[0].form
    assert comma.plain(first) == first.replace(",", ".")


def test_an_ambiguous_label_is_refused_too(prepared: Preparing) -> None:
    labels = [f'"{1 + n % 9},{100 + scattered(n) % 900}"' for n in range(ROWS)]
    data = table_of({"label": labels, "count": [scattered(n) for n in range(ROWS)]})
    with pytest.raises(DatasetInvalid, match="column 'label' has numbers with a comma"):
        prepared(data)
    assert prepared(data, decimal=",").learned.decimal == ","


@pytest.mark.parametrize(
    ("other", "cell", "number"),
    [
        (["2,5", "3,75"], "1,234", 1.234),
        (["2,5", "3,75"], "1.234", 1234),
        (["2.5", "3.75"], "1,234", 1234),
        (["2.5", "3.75"], "1.234", 1.234),
        (["1.234,5", "3,75"], "1,234", 1.234),
    ],
)
def test_a_clear_column_of_the_file_settles_an_ambiguous_one(
    prepared: Preparing, other: list[str], cell: str, number: float
) -> None:
    data = table_of({"label": LABELS, "y1": of(other), "x": of([cell, "5"])})
    schema = prepared(data).schema
    assert schema.encode_instance([other[0], cell])[1] == number


def test_a_file_with_both_separators_settles_nothing(prepared: Preparing) -> None:
    columns = {"label": LABELS, "a": of(["2,5"]), "b": of(["2.5"]), "x": of(["1,234", "5"])}
    columns["a"][7], columns["b"][7] = '"3,5"', '"3.5"'
    with pytest.raises(DatasetInvalid, match="column 'x' has numbers with a comma"):
        prepared(table_of(columns))


def test_a_separator_that_only_later_rows_show_settles_the_column(prepared: Preparing) -> None:
    rows = 6000
    cells = ['"1,234"' if n % 2 else "950" for n in range(rows)]
    cells[-1] = '"1,234,567"'
    labels = [n % 2 for n in range(rows)]
    sizes = [scattered(n) for n in range(rows)]
    result = prepared(table_of({"label": labels, "size": sizes, "x": cells}))
    assert result.schema.features[1].form == NumberForm(thousands=",")
    assert b"1234567" in {row.split(b",")[2] for row in result.all_rows}


def test_decimal_commas_after_many_plain_rows_are_read(prepared: Preparing) -> None:
    rows = 6000
    cells = [str(scattered(n)) if n < 3000 else f'"{scattered(n)},5"' for n in range(rows)]
    data = table_of({"label": [n % 2 for n in range(rows)], "x": cells})
    result = prepared(data)
    assert result.refused == []
    assert result.schema.features[0].form == NumberForm(decimal=",")
    assert sum(row.endswith(b".5") for row in result.all_rows) == 3000


MIXED = {
    "two currencies": (["$5", "$7", "€9"], "is not a number of this column (in $)"),
    "two separators": (["1,5", "2,5", "3.5"], "is not a number of this column (decimal comma)"),
}


@pytest.mark.parametrize("kind", MIXED)
def test_cells_of_another_form_are_refused_and_never_read_otherwise(
    prepared: Preparing, kind: str
) -> None:
    cells, reason = MIXED[kind]
    with pytest.raises(TooManyBadRows) as refused:
        prepared(table_of({"label": LABELS, "size": SIZES, "x": of(cells)}))
    assert reason in str(refused.value)
    few = of(cells[:2])
    few[50] = f'"{cells[2]}"'
    result = prepared(table_of({"label": LABELS, "size": SIZES, "x": few}))
    assert [row["line"] for row in result.refused] == [52]
    with pytest.raises(PayloadInvalid, match="is not a number of this column"):
        result.schema.encode_instance([1, cells[2]])


TEXTS = {
    "units": (["12 kg", "7 kg", "9 kg"], "has numbers with a unit, such as '12 kg'"),
    "glued units": (["12km", "7.5km"], "has numbers with a unit, such as '12km'"),
    "intervals": (["0-9", "10-19", "20-29"], ""),
    "versions": (["1.2.3.4", "1.10.0.1"], ""),
    "telephone": (["+49 30 1234", "030/1234"], ""),
    "hexadecimal": (["0x1F", "0xA0"], ""),
    "fractions": (["1/2", "3/4"], ""),
    "more than": ([">5", "<3"], ""),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_with_digits_are_a_category_and_units_are_said(
    prepared: Preparing, kind: str
) -> None:
    cells, doubt = TEXTS[kind]
    result = prepared(table_of({"label": LABELS, "size": SIZES, "x": of(cells)}))
    assert result.schema.features[1].type == "category"
    assert result.schema.features[1].values == tuple(sorted(cells))
    assert doubt in result.doubts


def test_numbers_among_texts_are_said(prepared: Preparing) -> None:
    result = prepared(table_of({"label": LABELS, "x": of(["1", "2", "low", "high", "mid"])}))
    assert result.schema.features[0].values == ("1", "2", "high", "low", "mid")
    assert "column 'x' mixes 80 numbers and 120 texts, such as 'low'" in result.doubts


def test_long_whole_numbers_are_doubted_as_features(prepared: Preparing) -> None:
    cells = [10**16 + scattered(n % 90) for n in range(ROWS)]
    data = table_of({"label": LABELS, "x": cells})
    result = prepared(data)
    assert "column 'x' has whole numbers of more than 15 digits, which XGBoost rounds" in (
        result.doubts
    )
    said = prepared(data, columns={"x": "category"})
    assert len(said.schema.features[0].values or ()) == 90
    assert "15 digits" not in said.doubts


@pytest.mark.parametrize(
    ("first", "second", "cell", "number"),
    [
        (["1.234,5", "2,5"], ["1.234", "950"], "1.234", 1234),
        (["2,5", "3,75"], ["1,234", "5"], "1,234", 1.234),
        (["1,234.5", "2.5"], ["1,234", "5"], "1,234", 1234),
        (["2.5", "3.75"], ["1.234", "5.678"], "1.234", 1.234),
        (["$2.5", "$3.75"], ["2.5", "7"], "2.5", 2.5),
    ],
)
def test_a_number_keeps_its_meaning_from_drop_to_drop(
    prepared: Preparing, first: list[str], second: list[str], cell: str, number: float
) -> None:
    prior: object = None
    for cells in (first, second, second):
        result = prepared(table_of({"label": LABELS, "x": of(cells)}), prior=prior)
        prior = result.schema
        assert result.refused == []
    assert result.comparable
    assert result.schema.encode_instance([cell]) == [number]
    assert number in {float(row.split(b",")[1]) for row in result.all_rows}


def test_a_label_keeps_its_meaning_from_drop_to_drop(prepared: Preparing) -> None:
    thousands = [f"{1 + n % 9}.{100 + scattered(n) % 900}" for n in range(ROWS)]
    with_fractions = table_of({"label": [f'"{text},5"' for text in thousands], "x": SIZES})
    live = prepared(with_fractions)
    assert live.schema.label_form == NumberForm(decimal=",", thousands=".")
    later = prepared(table_of({"label": thousands, "x": SIZES}), prior=live.schema)
    assert later.schema.label_form == live.schema.label_form
    assert min(float(row.split(b",")[0]) for row in later.all_rows) > 1000


def test_a_number_that_the_live_form_cannot_be_is_refused_where_it_is_unclear(
    prepared: Preparing,
) -> None:
    live = prepared(table_of({"label": LABELS, "x": SIZES})).schema
    with pytest.raises(DatasetInvalid, match="column 'x' has numbers with a comma"):
        prepared(table_of({"label": LABELS, "x": of(["1,234", "5"])}), prior=live)
    later = prepared(table_of({"label": LABELS, "x": of(["2,5", "5"])}), prior=live)
    assert later.schema.features[0].form.decimal == ","
