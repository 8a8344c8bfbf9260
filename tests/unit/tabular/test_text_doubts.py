"""Texts that look like numbers or dates of an unknown form are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refit.domain.errors import DatasetInvalid

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
SIZES = [scattered(n) / 8 for n in range(ROWS)]

DATES: dict[str, Callable[[int], str]] = {
    "german": lambda n: f"{n + 1}. Januar 2025",
    "german, short": lambda n: f"{n + 1}.Mrz.2025",
    "french": lambda n: f"{n + 1} févr. 2025",
    "spanish": lambda n: f"{n + 1} de enero de 2025",
    "czech": lambda n: f"{n + 1:02d}. 03. 2025",
    "chinese": lambda n: f"2025年3月{n + 1}日",
    "java": lambda n: f"Wed Jan {n + 1:02d} 00:00:00 UTC 2025",
    "with weekday": lambda n: f"Wednesday, {n + 1:02d}. January 2025",
    "web server": lambda n: f"{n + 1:02d}/Jan/2025:13:55:36 +0000",
    "week": lambda n: f"2025-W{n + 1:02d}",
    "day of a year": lambda n: f"2025-{n + 1:03d}",
    "month and year": lambda n: f"{n + 1:02d}-2025",
    "day and month": lambda n: f"{n + 1:02d} Jan",
    "day and month in german": lambda n: f"{n + 1}.12.",
}

AROUND: dict[str, Callable[[int], str]] = {
    "about": lambda n: f"~{n}.5",
    "list": lambda n: f"[{n}.5]",
    "tensor": lambda n: f"tensor({n}.25)",
    "decimal": lambda n: f"Decimal('{n}.25')",
    "apostrophe of a spreadsheet": lambda n: f"'{n}.50",
    "formula of a spreadsheet": lambda n: f'=""{n}.50""',
    "per mille": lambda n: f"{n},5‰",
    "unknown currency": lambda n: f"{n} ₸",
}

TEXTS: dict[str, Callable[[int], str]] = {
    "codes": lambda n: f"A{n}",
    "codes with a point": lambda n: f"{'ABCDEFGHIJKL'[n]}{n}.5",
    "names with a number": lambda n: f"store {n}",
    "ranks": lambda n: f"{n + 4}th",
    "addresses": lambda n: f"10.0.0.{n}",
    "sizes": lambda n: f"{n}-{n + 2}",
    "names with a year": lambda n: f"{'ABCDEFGHIJKL'[n]} of 2025",
    "versions": lambda n: f"v1.{n}.0",
}


def column(cell: Callable[[int], str], distinct: int = 12) -> bytes:
    cells = [f'"{cell(scattered(n) % distinct)}"' for n in range(ROWS)]
    return table_of({"label": LABELS, "size": SIZES, "x": cells})


@pytest.mark.parametrize("kind", DATES)
def test_dates_of_an_unknown_form_are_told(prepared: Preparing, kind: str) -> None:
    result = prepared(column(DATES[kind]))
    assert result.schema.features[1].type == "category"
    assert "column 'x' has dates of a form that is not known, such as" in result.doubts
    assert "ISO 8601" in result.doubts


@pytest.mark.parametrize("kind", AROUND)
def test_numbers_with_characters_around_them_are_told(prepared: Preparing, kind: str) -> None:
    result = prepared(column(AROUND[kind]))
    assert result.schema.features[1].type == "category"
    assert "column 'x' has numbers with other characters around them" in result.doubts


@pytest.mark.parametrize("kind", TEXTS)
def test_other_texts_with_digits_are_texts(prepared: Preparing, kind: str) -> None:
    result = prepared(column(TEXTS[kind]))
    assert result.schema.features[1].type == "category"
    assert result.doubts == ""


def test_a_column_of_distinct_numbers_with_a_unit_says_so_when_it_is_left_out(
    prepared: Preparing,
) -> None:
    result = prepared(column(lambda n: f"{n}.5 kg", distinct=ROWS))
    assert list(result.left_out) == ["x"]
    assert "(numbers with a unit): remove the unit from the cells" in result.doubts


@pytest.mark.parametrize(
    ("cell", "looks"),
    [
        (lambda n: f"[{n}.5]", "look like numbers with other characters around them"),
        (
            lambda n: f"{n % 28 + 1}. Mai {1950 + n // 3}",
            "like dates, which cannot be predicted",
        ),
    ],
)
def test_distinct_labels_are_refused_with_what_they_look_like(
    prepared: Preparing, cell: Callable[[int], str], looks: str
) -> None:
    labels: Sequence[str] = [cell(n) for n in range(ROWS)]
    with pytest.raises(DatasetInvalid, match=looks):
        prepared(table_of({"label": labels, "size": SIZES}))
