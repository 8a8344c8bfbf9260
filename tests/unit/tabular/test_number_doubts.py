"""Numbers that may be codes, identifiers or stand-ins for a gap are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refit.tabular.number_doubts import number_doubts

from tests.support.preparing import Preparing, table_of

if TYPE_CHECKING:
    from refit.domain.schema import Schema


def doubts(cells: list[str], is_long: bool = False) -> str:
    return " ".join(number_doubts("zip", "zip", cells, is_long=is_long))


def test_leading_zeros_may_be_codes() -> None:
    assert "leading zeros, such as '01234'" in doubts(["4711", "01234"])
    assert not doubts(["0", "0.5", "10"])


def test_long_whole_numbers_may_be_identifiers() -> None:
    assert "more than 15 digits" in doubts(["9007199254740993"], is_long=True)


@pytest.mark.parametrize("stand_in", ["-99", "-999", "9999", "-9999.0"])
def test_a_value_far_from_all_others_may_stand_for_a_gap(stand_in: str) -> None:
    told = doubts(["1.5", "19", stand_in, "3"])
    assert f'missing = ["{stand_in}"]' in told


def test_a_large_value_among_large_ones_is_a_value() -> None:
    assert not doubts(["1200", "999", "800", "640"])
    assert not doubts(["-999", "2"])


def prices(prepared: Preparing, cells: list[str], prior: Schema | None = None) -> str:
    rows = [
        f'"{cells[n % len(cells)].format(n=n * 37 % 211)}",{n * 91 % 317},{n % 2}'
        for n in range(200)
    ]
    result = prepared(("price,b,label\n" + "\n".join(rows)).encode(), prior=prior)
    return " ".join(result.learned.doubts)


def test_percent_beside_plain_numbers_is_told(prepared: Preparing) -> None:
    assert "without the % of the others" in prices(prepared, ["{n}%", "0.{n}"])
    assert not prices(prepared, ["{n}%"])


def test_another_currency_than_that_of_the_live_model_is_told(prepared: Preparing) -> None:
    first = prepared(
        b"price,b,label\n"
        + b"".join(b"$%d,%d,%d\n" % (n * 37 % 211, n * 91 % 317, n % 2) for n in range(200))
    )
    assert "had $ in the live model's data and has € in this drop" in prices(
        prepared, ["€ {n}"], first.schema
    )


def test_a_point_that_may_separate_thousands_is_told(prepared: Preparing) -> None:
    rows = [f"{1 + n * 37 % 211}.{100 + n * 91 % 317};{n * 53 % 97};{n % 2}" for n in range(200)]
    table = "\n".join(["pop;age;label", *rows]).encode()
    assert "separate thousands" in " ".join(prepared(table).learned.doubts)
    assert not prepared(table, decimal=".").learned.doubts
    commas = table.replace(b";", b",")
    assert not prepared(commas).learned.doubts


def test_a_stand_in_after_many_other_values_is_told(prepared: Preparing) -> None:
    sizes = [-999 if n % 100 == 99 else n / 7 for n in range(200)]
    table = table_of({"label": [n % 3 % 2 for n in range(200)], "size": sizes})
    assert "has the value -999, far from all others" in prepared(table).doubts


def test_numbers_with_a_unit_are_called_so_if_they_are_left_out(prepared: Preparing) -> None:
    units = [f"{n / 7:.2f} kg" for n in range(200)]
    table = table_of(
        {"label": [n % 3 % 2 for n in range(200)], "size": range(0, 800, 4), "weight": units}
    )
    doubts = prepared(table).doubts
    assert "such as '0.00 kg'" in doubts
    assert "(numbers with a unit): remove the unit from the cells to use them as numbers" in doubts
