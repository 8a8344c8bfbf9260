"""Dates are recognized and left out; a column that the settings call a date becomes days."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.date_forms import FORMS, ISO, QUARTER, TIME, date_number, date_text, forms_of
from refit.domain.errors import DatasetInvalid, PayloadInvalid, TooManyBadRows
from refit.domain.inferences.payload import encoded_lines
from refit.domain.inferences.request_rows import instances_of
from refit.domain.retraining.row_decoder import RowDecoder
from refit.tabular.readers.table import CsvTable

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit.domain.schema import Schema

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
SIZES = [scattered(n) / 8 for n in range(ROWS)]
DAYS = [date(2024, 1, 1) + timedelta(days=scattered(n) % 700) for n in range(ROWS)]
REASON = "dates, of which those of the future differ from all that were learned"


def table(cells: Sequence[object], name: str = "day") -> bytes:
    return table_of({"label": LABELS, "size": SIZES, name: [f'"{cell}"' for cell in cells]})


def days_of(moment: datetime) -> float:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / 86_400


WRITTEN: dict[str, Callable[[date], str]] = {
    "iso": lambda day: day.isoformat(),
    "iso month": lambda day: f"{day:%Y-%m}",
    "iso with time": lambda day: f"{day.isoformat()}T12:30:00",
    "pandas": lambda day: f"{day.isoformat()} 12:30:00",
    "with zone": lambda day: f"{day.isoformat()}T12:30:00-05:00",
    "utc": lambda day: f"{day.isoformat()} 12:30:00 UTC",
    "z": lambda day: f"{day.isoformat()}T12:30:00Z",
    "fractions": lambda day: f"{day.isoformat()} 12:30:00.123",
    "german": lambda day: f"{day:%d.%m.%Y}",
    "german, short": lambda day: f"{day:%d.%m.%y}",
    "british": lambda day: f"{day:%d/%m/%Y}",
    "american": lambda day: f"{day:%m/%d/%Y}",
    "american, no zeros": lambda day: f"{day.month}/{day.day}/{day.year}",
    "american, with time": lambda day: f"{day:%m/%d/%Y} 11:05 PM",
    "slashes": lambda day: f"{day:%Y/%m/%d}",
    "words": lambda day: f"{day:%d %B %Y}",
    "short words": lambda day: f"{day:%b %d, %Y}",
    "month of a year": lambda day: f"{day:%b %Y}",
    "oracle": lambda day: f"{day:%d-%b-%y}",
    "quarter": lambda day: f"{day.year}Q{(day.month + 2) // 3}",
    "digits": lambda day: f"{day:%Y%m%d}",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_column_of_dates_is_left_out_and_said(prepared: Preparing, kind: str) -> None:
    result = prepared(table([WRITTEN[kind](day) for day in DAYS]))
    assert result.feature_names == ["size"]
    assert result.left_out == {"day": REASON}


@pytest.mark.parametrize("form", ["%d-%m-%y", "%y-%m-%d"])
def test_dates_with_a_short_year_and_hyphens_are_left_out_and_never_guessed(
    prepared: Preparing, form: str
) -> None:
    data = table([f"{day:{form}}" for day in DAYS])
    assert prepared(data).left_out == {"day": REASON}
    with pytest.raises(
        DatasetInvalid, match=r"can be read as %d-%m-%y or %y-%m-%d\. Write them as"
    ):
        prepared(data, columns={"day": "date"})


def test_times_of_a_day_are_left_out(prepared: Preparing) -> None:
    times = [f"{scattered(n) % 24}:{scattered(n + 5) % 60:02d}" for n in range(ROWS)]
    assert prepared(table(times)).left_out == {"day": REASON}


def test_seconds_since_1970_are_dates_if_the_column_is_named_so(prepared: Preparing) -> None:
    seconds = [1_700_000_000 + 1000 * scattered(n) for n in range(ROWS)]
    assert prepared(table(seconds, "created_at")).left_out == {"created_at": REASON}
    assert prepared(table(seconds, "population")).feature_names == ["size", "population"]


OTHERS: dict[str, Callable[[int], object]] = {
    "years": lambda n: 1990 + scattered(n) % 30,
    "ratios": lambda n: f"{1 + n % 3}/{2 + n % 2}",
    "versions": lambda n: f"{n % 3}.{n % 7}.0.1",
    "months": lambda n: ["January", "May", "March"][n % 3],
    "weekdays": lambda n: ["Mon", "Tue"][n % 2],
    "sizes": lambda n: ["1-2", "3-5", "6-9"][n % 3],
    "numbers of eight digits": lambda n: 50_000_000 + scattered(n) * 997,
    "impossible days": lambda n: ["2025-02-30", "2025-13-01"][n % 2],
    "scores": lambda n: ["3:45 won", "2:10 lost"][n % 2],
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_only_resembles_a_date_is_a_feature(prepared: Preparing, kind: str) -> None:
    result = prepared(table([OTHERS[kind](n) for n in range(ROWS)]))
    assert result.feature_names == ["size", "day"]


def test_a_few_cells_that_are_no_dates_leave_a_column_of_dates(prepared: Preparing) -> None:
    cells: list[object] = list(DAYS)
    cells[7] = "unknown"
    cells[9] = "NA"
    assert prepared(table(cells)).left_out == {"day": REASON}
    cells[10:60] = ["later"] * 50
    assert "almost another in each row" in prepared(table(cells)).left_out["day"]
    months = ["later" if n % 4 == 0 else f"2025-0{1 + n % 9}" for n in range(ROWS)]
    assert prepared(table(months)).schema.features[1].type == "category"


@pytest.mark.parametrize("kind", [kind for kind in WRITTEN if kind not in {"iso month"}])
def test_a_date_that_the_settings_ask_for_becomes_days_in_training_and_requests(
    prepared: Preparing, kind: str
) -> None:
    cells = [WRITTEN[kind](day) for day in DAYS]
    result = prepared(table(cells), columns={"day": "date"})
    assert result.refused == []
    feature = result.schema.features[1]
    assert (feature.type, feature.date_form in FORMS) == ("date", True)
    column = result.learned.columns[1]
    assert (column.type, column.reason, column.missing) == ("date", feature.date_form, 0)
    trained = {float(row.split(b",")[2]) for row in result.all_rows}
    asked = {result.schema.encode_instance([1, cell])[1] for cell in cells}
    assert trained == asked
    for day, cell in zip(DAYS, cells, strict=True):
        value = result.schema.encode_instance({"size": 1, "day": cell})[1]
        assert value is not None
        first = date(day.year, day.month, 1)
        if kind == "quarter":
            first = date(day.year, 3 * ((day.month + 2) // 3) - 2, 1)
        floor = math.floor(value)
        exact = kind in {"quarter", "month of a year"}
        assert floor == (first if exact else day).toordinal() - date(1970, 1, 1).toordinal()


def test_a_date_of_the_future_is_a_larger_number(prepared: Preparing) -> None:
    schema = prepared(table(DAYS), columns={"day": "date"}).schema
    (earlier, later) = (
        schema.encode_instance([1, cell])[1] for cell in ("2031-05-07", "2031-05-08T12:00")
    )
    assert (earlier, later) == (22406, 22407.5)


def encoded(schema: Schema, body: object) -> list[str]:
    return encoded_lines(instances_of(json.dumps(body).encode(), None, schema), schema)


def test_a_request_with_a_bad_or_missing_date_is_refused_or_missing(prepared: Preparing) -> None:
    schema = prepared(table(DAYS), columns={"day": "date"}).schema
    assert encoded(schema, [[1, None], [1, ""], [1, "NaT"], [1, "NA"]]) == ["1,"] * 4
    for cell in ("31.12.2025", "tomorrow", "2025-02-30", 20_089, 1.5, True):
        with pytest.raises(PayloadInvalid, match="column 'day'"):
            encoded(schema, [[1, cell]])


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"])
def test_day_and_month_are_told_apart_by_any_row_or_the_drop_is_refused(
    prepared: Preparing, form: str
) -> None:
    early = [date(2020 + n // 12 % 5, 1 + n % 12, 1 + scattered(n) % 12) for n in range(ROWS)]
    cells = [f"{day:{form}}" for day in early]
    with pytest.raises(DatasetInvalid) as refused:
        prepared(table(cells), columns={"day": "date"})
    assert "can be read as" in str(refused.value)
    assert "Write them as 2025-12-31 (ISO 8601)" in str(refused.value)
    assert prepared(table(cells)).left_out == {"day": REASON}
    settled = [*cells[:-1], f"{date(2024, 5, 31):{form}}"]
    result = prepared(table(settled), columns={"day": "date"})
    assert result.schema.features[1].date_form == form
    later = prepared(table(cells), prior=result.schema, columns={"day": "date"})
    assert later.schema.features[1].date_form == form


def test_dates_of_two_forms_are_refused(prepared: Preparing) -> None:
    cells = [f"{day:%d/%m/%Y}" if n % 2 else f"{day:%m/%d/%Y}" for n, day in enumerate(DAYS)]
    with pytest.raises(DatasetInvalid, match="can be read as"):
        prepared(table(cells), columns={"day": "date"})
    mixed = [f"{day:%d.%m.%Y}" if n % 2 else day for n, day in enumerate(DAYS)]
    with pytest.raises(TooManyBadRows, match="is not a date of the form"):
        prepared(table(mixed), columns={"day": "date"})


def test_a_column_without_dates_cannot_be_one(prepared: Preparing) -> None:
    with pytest.raises(DatasetInvalid, match="has no dates: its cells are such as 'red'"):
        prepared(table(["red", "blue"] * (ROWS // 2)), columns={"day": "date"})


def test_seconds_since_1970_are_no_dates_but_numbers(prepared: Preparing) -> None:
    cells = [1_700_000_000 + 977 * scattered(n) for n in range(ROWS)]
    data = table_of({"label": [n % 3 % 2 for n in range(ROWS)], "made_at": cells})
    with pytest.raises(DatasetInvalid, match="no column is left") as refused:
        prepared(data)
    assert 'made_at = "number"' in (refused.value.advice or "")
    with pytest.raises(DatasetInvalid, match="has no dates") as refused:
        prepared(data, columns={"made_at": "date"})
    assert '"number" in place of "date"' in (refused.value.advice or "")
    assert prepared(data, columns={"made_at": "number"}).feature_names == ["made_at"]


def test_a_date_of_eight_digits_may_be_a_number_in_json(prepared: Preparing) -> None:
    cells = [f"{day:%Y%m%d}" for day in DAYS]
    schema = prepared(table(cells), columns={"day": "date"}).schema
    by_name = [{"size": 1, "day": day} for day in ("20251231", 20251231)]
    assert len(set(encoded_lines(by_name, schema))) == 1
    for wrong in (20251331, 20251231.5, True):
        with pytest.raises(PayloadInvalid, match="day"):
            encoded_lines([{"size": 1, "day": wrong}], schema)


def test_one_bad_date_is_one_refused_row(prepared: Preparing) -> None:
    cells: list[object] = list(DAYS)
    cells[7] = "soon"
    result = prepared(table(cells), columns={"day": "date"})
    assert [row["line"] for row in result.refused] == [9]
    assert "'soon' is not a date of the form ISO 8601" in result.refused[0]["reason"]


def test_labelled_predictions_do_not_change_how_dates_are_read(prepared: Preparing) -> None:
    data = table([f"{day:%d/%m/%Y}" for day in DAYS])
    live = prepared(data, columns={"day": "date"}).schema
    rows = [
        (label, [float(size), 20_000.5 + n])
        for n, (label, size) in enumerate(zip(LABELS, SIZES, strict=True))
    ]
    decoder = RowDecoder(live, live)
    lines = b"".join(decoder.line(label, values) for label, values in rows * 5)
    labelled = CsvTable(
        name="labelled rows",
        split=None,
        blocks=lambda: iter([lines]),
        columns=("label", "size", "day"),
        label_first=True,
        origin="labelled",
    )
    result = prepared(data, prior=live, labelled=[labelled], columns={"day": "date"})
    assert result.refused == []
    assert result.schema == live
    assert sum(result.rows.values()) == 6 * ROWS


moments = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31))
FORMS_OF_DAYS = [form for form in FORMS if form.startswith("%") and "%b" not in form]


@given(moments)
def test_an_iso_moment_reads_back_to_the_millisecond(moment: datetime) -> None:
    number = date_number(moment.isoformat(), ISO)
    assert number == pytest.approx(days_of(moment.replace(tzinfo=UTC)), abs=1e-8)
    assert number is not None
    again = date_number(date_text(number, ISO), ISO)
    assert again == pytest.approx(number, abs=2e-8)


@given(st.dates(date(1970, 1, 1), date(2068, 12, 31)), st.sampled_from(FORMS))
def test_a_day_in_any_form_reads_back(day: date, form: str) -> None:
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if form in {TIME, QUARTER}:
        return
    text = moment.isoformat() if form == ISO else moment.strftime(form)
    number = date_number(text, form)
    assert number is not None
    assert date_text(number, form) == (text.removesuffix("+00:00") if form == ISO else text)
    assert form in forms_of(text) or form == "%Y%m%d"
    if "%d" in form:
        assert number == days_of(moment)


@given(st.times())
def test_a_time_is_a_fraction_of_a_day(time: object) -> None:
    number = date_number(f"{time:%H:%M:%S}", TIME)
    assert number is not None
    assert 0 <= number < 1
    assert date_text(number, TIME) == f"{time:%H:%M:%S}"


@given(st.text("0123456789/-.: TZ+JanuaryFebQ", max_size=25))
def test_any_text_is_a_date_or_not(text: str) -> None:
    for form in forms_of(text):
        number = date_number(text, form)
        assert number is not None
        assert math.isfinite(number)
