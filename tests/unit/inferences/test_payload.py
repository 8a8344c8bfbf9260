"""Valid and invalid bodies of prediction requests, and answers decoded from an endpoint's."""

from __future__ import annotations

import base64
import contextlib
import csv
import gzip
import io
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.errors import AnswerMalformed, PayloadInvalid, PayloadTooLarge
from refit.domain.inferences import payload
from refit.domain.inferences.request_rows import instances_of
from refit.domain.number_forms import NumberForm
from refit.domain.schema import Feature, Schema

FLOWERS = Schema(
    task="classification",
    label="kind",
    features=(
        Feature(name="width", type="number"),
        Feature(name="height", type="number"),
        Feature(name="colour", type="category", values=("blue", "red")),
    ),
    classes=("iris", "rose", "tulip"),
)
PRICES = Schema(task="regression", label="price", features=(Feature(name="area", type="number"),))


def encoded(
    body: str | bytes, content_type: str | None = "application/json", schema: Schema = FLOWERS
) -> list[str]:
    content = body.encode() if isinstance(body, str) else body
    return payload.encoded_lines(instances_of(content, content_type, schema), schema)


EXPECTED = "rows"
unhurried = settings(deadline=None)  # a slow machine must not fail the test
TWO_ROWS = ["5.1,3.5,1", "6.2,,0"]
NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('{"instances": [[5.1, 3.5, "red"], [6.2, null, "blue"]]}', "application/json"),
        ('[[5.1, 3.5, "red"], [6.2, null, "blue"]]', None),
        (
            '{"instances": [{"colour": "red", "width": 5.1, "height": 3.5},'
            ' {"width": 6.2, "height": null, "colour": "blue"}]}',
            "Application/JSON; charset=UTF-8",
        ),
        ('[{"colour": "red", "width": 5.1, "height": 3.5}, [6.2, null, "blue"]]', None),
        ("5.1,3.5,red\n6.2,,blue\n", "text/csv"),
        ('5.1,3.5,"red"\r\n\r\n"6.2","","blue"', 'text/csv; charset="utf-8"; header=absent'),
        ("\ufeff5.1,3.5,red\n6.2,,blue\n", "TEXT/CSV"),
        ("5.1,3.5,red\n6.2,,blue\n", "text/plain"),
        ("5.1;3.5;red\n6.2;;blue\n", "text/csv"),
        ("5.1\t3.5\tred\n6.2\t\tblue\n", "text/tab-separated-values"),
        ("5.1|3.5|red\n6.2|NA|blue\n", "text/csv"),
        ("5.1,3.5,red\r6.2,,blue\r", "text/csv"),
        ('5.1, 3.5, "red"\n6.2, nan, "blue"\n', "text/csv"),
        ("width,height,colour\n5.1,3.5,red\n6.2,,blue\n", "text/csv"),
        ("'width','height','colour'\n5.1,3.5,'red'\n6.2,,'blue'\n", "text/csv"),
        ("5.1,3.5,'red'\n6.2,,'blue'\n", "text/csv"),
        ("5.1  3.5\tred\n6.2 NA blue\n", "text/csv"),
        (" colour; width; height\nred;5.1;3.5\nblue;6.2;\n", "text/csv"),
        (
            "width,height,colour\n5.1,3.5,red\nwidth,height,colour\n6.2,,blue\n",
            "text/csv",
        ),
        ('[5.1, 3.5, "red"]\n\n{"colour": "blue", "width": 6.2, "height": null}', NDJSON),
        ('{"features": [5.1, 3.5, "red"]}\n{"features": [6.2, null, "blue"]}\n', NDJSON),
        ('{"features": [[5.1, 3.5, "red"], [6.2, null, "blue"]]}', "application/json"),
        ('[[5.1, 3.5, "red"], [6.2, "NaN", "blue"]]', "application/json"),
    ],
)
def test_every_accepted_form_gives_the_same_rows(body: str, content_type: str | None) -> None:
    assert encoded(body, content_type) == TWO_ROWS


@pytest.mark.parametrize("text", ["nan", "NaN", "NA", "?", "NULL", "None", "-", ""])
def test_a_missing_marker_is_missing_as_in_files(text: str) -> None:
    assert encoded(json.dumps([[text, 2, "red"]])) == [",2,1"]
    assert encoded(f"{text},2,red\n", "text/csv") == [",2,1"]


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": {"width": 5.1, "height": 3.5, "colour": "red"}}',
        '{"width": 5.1, "height": 3.5, "colour": "red"}',
        '{"features": {"width": 5.1, "height": 3.5, "colour": "red"}}',
        '{"features": [5.1, 3.5, "red"]}',
        '{"instances": [5.1, 3.5, "red"]}',
        '[5.1, 3.5, "red"]',
    ],
)
def test_one_row_need_not_be_in_a_list(body: str) -> None:
    assert encoded(body) == TWO_ROWS[:1]


def test_several_values_for_a_model_with_one_column_are_not_guessed() -> None:
    assert encoded("[5]", schema=PRICES) == ["5"]
    with pytest.raises(PayloadInvalid, match="3 values can be one row or 3 rows"):
        encoded('{"instances": [1, 2, 3]}', schema=PRICES)


def test_a_column_may_be_called_like_the_key_of_the_rows() -> None:
    features = (Feature(name="features", type="number"), Feature(name="x", type="number"))
    schema = Schema(task="regression", label="y", features=features)
    assert encoded('{"features": 3, "x": 1}', schema=schema) == ["3,1"]
    assert encoded('{"features": [3, 1]}', schema=schema) == ["3,1"]


DISHES = Schema(
    task="classification",
    label="class",
    features=(
        Feature(name="cap", type="category", values=("b", "x")),
        Feature(name="odor", type="category", values=("n", "y")),
    ),
    classes=("e", "p"),
)


def test_a_header_above_texts_is_never_a_row() -> None:
    assert encoded(" cap, odor\n b, y\n x, n\n", "text/csv", DISHES) == ["0,1", "1,0"]
    with pytest.raises(PayloadInvalid, match="unknown column 'smell'"):
        encoded("cap,smell\nb,y\n", "text/csv", DISHES)


def test_values_that_are_also_names_of_columns_are_a_row() -> None:
    features = tuple(
        Feature(name=name, type="category", values=("cap", "odor")) for name in ("cap", "odor")
    )
    schema = Schema(task="classification", label="y", features=features, classes=("a", "b"))
    assert encoded("cap,odor\nodor,cap\n", "text/csv", schema) == ["0,1", "1,0"]


WITH_INDEX = Schema(
    task="regression",
    label="y",
    features=(Feature(name="a", type="number"), Feature(name="b", type="number")),
    columns=("id", "a", "b"),
    left_out={"id": "row numbers, which count up by one"},
)


def test_columns_that_are_left_out_may_be_sent_and_are_not_read() -> None:
    for body in ("id,a,b\n7,1,2\n", "b,a\n2,1\n", "7,1,2\n", "not a number,1,2\n"):
        assert encoded(body, "text/csv", WITH_INDEX) == ["1,2"]
    with pytest.raises(PayloadInvalid, match=r"has 2 values; .*that the model leaves out: 'id'"):
        encoded("1,2\n", "text/csv", WITH_INDEX)


DECIMAL_COMMA = Schema(
    task="regression",
    label="y",
    features=tuple(
        Feature(name=name, type="number", form=NumberForm(decimal=",")) for name in ("a", "b")
    ),
)


def test_decimal_commas_between_semicolons_are_read_as_in_training() -> None:
    for body in ("5,1;3,5\n", "a;b\n5,1;3,5\n", "b;a\n3,5;5,1\n"):
        assert encoded(body, "text/csv", DECIMAL_COMMA) == ["5.1,3.5"]
    assert encoded('{"a": "5,1", "b": 3.5}', schema=DECIMAL_COMMA) == ["5.1,3.5"]


def test_names_are_compared_whatever_their_unicode_form() -> None:
    features = (Feature(name="gr\u00f6\u00dfe", type="number"), Feature(name="b", type="number"))
    schema = Schema(task="regression", label="y", features=features)
    assert encoded("gro\u0308\u00dfe,b\n1,2\n", "text/csv", schema) == ["1,2"]


def test_a_body_may_be_gzip() -> None:
    packed = base64.b64encode(gzip.compress(b"5.1,3.5,red")).decode()
    assert payload.body_bytes(payload.RequestBody(packed, is_base64=True), EXPECTED) == (
        b"5.1,3.5,red"
    )


@pytest.mark.parametrize(
    ("packed", "error", "says"),
    [
        (gzip.compress(b"0" * 50_000_000, mtime=0), PayloadTooLarge, "once it is decompressed"),
        (gzip.compress(b"5.1,3.5,red", mtime=0)[:-9], PayloadInvalid, "ends too early"),
        (b"\x1f\x8bnot gzip", PayloadInvalid, "damaged gzip"),
    ],
)
def test_gzip_that_is_damaged_or_too_large_is_refused(packed, error, says) -> None:
    body = payload.RequestBody(base64.b64encode(packed).decode(), is_base64=True)
    with pytest.raises(error, match=says):
        payload.body_bytes(body, EXPECTED)


def test_gzip_that_was_read_as_text_says_which_header_is_missing() -> None:
    text = gzip.compress(b"5.1,3.5,red").decode(errors="replace")
    with pytest.raises(PayloadInvalid, match="Content-Encoding: gzip"):
        payload.body_bytes(payload.RequestBody(text), EXPECTED)


def test_an_unknown_category_is_missing() -> None:
    assert encoded('[[1, 2, "mauve"]]') == ["1,2,"]


BAD = {
    "too few values": (
        '{"instances": [[1, 2]]}',
        "instance 1: an instance has 2 values; the model",
    ),
    "too many values": ('[[1, 2, "red", 4]]', "instance 1: an instance has 4 values"),
    "no values": ('[[1, 2, "red"], []]', "instance 2: an instance has 0 values"),
    "text": ('[[1, 2, "red"], ["wide", 2, "red"]]', "instance 2: column 'width' .*not 'wide'"),
    "text infinity": ('[["inf", 2, "red"]]', "column 'width'"),
    "NaN": ('[[NaN, 2, "red"]]', "NaN is not JSON"),
    "Infinity": ('{"instances": [[1, -Infinity, "red"]]}', "-Infinity is not JSON"),
    "beyond a float": ('[[1e999, 2, "red"]]', "column 'width' requires a finite number"),
    "a huge whole number": (f'[[1{"0" * 400}, 2, "red"]]', "column 'width'"),
    "thousands of digits": (f'[[1{"0" * 5000}, 2, "red"]]', "thousands of digits"),
    "a column twice": (
        '[{"width": 1, "width": 2, "height": 2, "colour": "red"}]',
        "the body has the key 'width' twice in one object",
    ),
    "the rows twice": ('{"instances": [], "instances": []}', "the key 'instances' twice"),
    "true": ('[[true, 2, "red"]]', "column 'width' requires a finite number, not True"),
    "a list in a cell": ('[[[1], 2, "red"]]', "column 'width' holds one value, not"),
    "an object in a cell": ('[[1, 2, {"a": 1}]]', "column 'colour' holds one value"),
    "unknown column": ('[{"width": 1, "height": 2, "hue": "red"}]', "unknown column 'hue'"),
    "missing column": ('[{"width": 1, "colour": "red"}]', "no value for column 'height'"),
    "a row that is text": ('["1,2,red"]', "instance 1: an instance has 1 values"),
    "rows that are text": ('[[1, 2, "red"], "1,2,red"]', "instance 2: an instance is a list"),
    "a row that is null": ("[null]", "instance 1: an instance has 1 values"),
    "no rows": ('{"instances": []}', "there is no instance"),
    "no instances": ("{}", '"instances" must be a list of instances: the body is empty'),
    "instances is a number": ('{"instances": 5}', "'instances' must be a list of rows, not 5"),
    "another key": ('{"rows": [[1, 2, "red"]]}', "instance 1: unknown column 'rows'"),
    "a key beside the rows": ('{"instances": [], "mode": 1}', "unknown key 'mode' beside"),
    "the label": ('[{"width": 1, "height": 2, "colour": "red", "kind": "iris"}]', "is the label"),
    "a bare number": ("5", '"instances" must be a list'),
    "broken JSON": ('{"instances": [[1, 2, "red"]', r"not JSON: .*line 1 column 29 \(char 28\)"),
    "two documents": ("[] []", "not JSON: Extra data"),
    "nested too deeply": ("[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD.keys())
def test_bad_json_is_rejected_with_its_position(body: str, message: str) -> None:
    with pytest.raises(PayloadInvalid, match=message) as refused:
        encoded(body)
    assert len(str(refused.value)) < 400


BAD_CSV = {
    "too few values": ("1,2\n", "instance 1: an instance has 2 values"),
    "too many values": ("1,2,red\n1,2,red,4\n", "instance 2: an instance has 4 values"),
    "text": ("wide,2,red\n", "instance 1: column 'width' .*not 'wide'"),
    "Infinity": ("1,-inf,red\n", "column 'height'"),
    "a delimiter of another place": ("1:2:red\n", "instance 1: an instance has 1 values"),
    "only the columns' names": ("width,height,colour\n", "there is no instance"),
    "names with the label": (
        "kind,width,height,colour\niris,1,2,red\n",
        "'kind', which is the label",
    ),
    "an unknown name": ("width,height,colour,x\n1,2,red,4\n", "unknown column 'x'"),
    "a name in capitals": ("WIDTH,height,colour\n1,2,red\n", "Rename it to 'width'"),
    "a name less": ("width,colour\n1,red\n", "the header lacks the column 'height'"),
    "a name twice": ("width,width,colour\n1,1,red\n", "two columns 'width'"),
    "a row that is wider than the header": (
        "colour,height,width\nred,2,1,0\n",
        "row 1 below the header has 4 cells, and the header 3",
    ),
    "names of other columns": (
        "a,b,c\n1,2,red\n3,4,blue\n",
        "seems to be a header, .* but its names are not those of the model's columns: 'width'",
    ),
    "only blank lines": ("\n\r\n\n", "there is no instance"),
    "a quote that never ends": ('1,2,"red\n', "line 1 is not CSV"),
    "text after a quote": ('1,2,"red"dish\n', "line 1 is not CSV"),
    "a digit of another script": ("١,2,red\n", "column 'width'"),
    "an underscore": ("1_0,2,red\n", "column 'width'"),
    "a cell of 300 kB": ("x" * 300_000 + ",2,red\n", "line 1 is not CSV|a finite number"),
}


@pytest.mark.parametrize(("body", "message"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_bad_csv_is_rejected_with_its_position(body: str, message: str) -> None:
    with pytest.raises(PayloadInvalid, match=message):
        encoded(body, "text/csv")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-python-pickle",
        "text/html",
        "json",
        "application/json, text/csv",
        "*/*",
        "a/",
    ],
)
def test_other_content_types_are_rejected_with_the_accepted_ones(content_type: str) -> None:
    with pytest.raises(
        PayloadInvalid, match="send application/json, application/x-ndjson or text/csv"
    ):
        encoded("[[1]]", content_type)


def test_other_charsets_are_refused() -> None:
    with pytest.raises(PayloadInvalid, match="charset 'utf-16'"):
        encoded("[[1]]", "application/json; charset=utf-16")


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(PayloadInvalid, match="not UTF-8"):
        encoded(b'[["\xff\xfe"]]')


def test_a_body_may_be_base64() -> None:
    body = base64.b64encode(b"5.1,3.5,red").decode()
    assert payload.body_bytes(payload.RequestBody(body, is_base64=True), EXPECTED) == b"5.1,3.5,red"
    with pytest.raises(PayloadInvalid, match="not base64"):
        payload.body_bytes(payload.RequestBody("5.1,3.5,red", is_base64=True), EXPECTED)


@pytest.mark.parametrize("body", [None, ""])
def test_an_empty_body_says_what_to_send(body: str | None) -> None:
    with pytest.raises(PayloadInvalid, match="the body is empty: send rows"):
        payload.body_bytes(payload.RequestBody(body), EXPECTED)


def test_a_lone_surrogate_is_a_client_error() -> None:
    content = payload.body_bytes(payload.RequestBody('[["\ud800"]]'), EXPECTED)
    with pytest.raises(PayloadInvalid, match="not UTF-8"):
        instances_of(content, None, FLOWERS)


@pytest.mark.parametrize("megabytes", [6.1, 10])
def test_a_body_over_6_mb_is_rejected_with_the_limits(megabytes: float) -> None:
    with pytest.raises(PayloadTooLarge, match=r"6 MB \(6,291,456 bytes\).*API Gateway: 10 MB"):
        payload.body_bytes(payload.RequestBody("1" * int(megabytes * 2**20)), EXPECTED)


def test_a_request_whose_answer_would_be_too_large_is_rejected_before_the_call() -> None:
    with pytest.raises(PayloadTooLarge, match=r"at most ([\d,]+) rows") as refused:
        payload.check_answer_fits(100_000, FLOWERS)
    most = int(str(refused.value).split("at most ")[1].split(" rows")[0].replace(",", ""))
    payload.check_answer_fits(most, FLOWERS)
    # This is the longest answer for that many rows, as Lambda returns it.
    row = {
        "inferenceId": "f" * 32 + f"-{most}",
        "prediction": "tulip",
        "probabilities": dict.fromkeys(FLOWERS.classes, -1.7976931348623157e308),
    }
    carried = json.dumps(json.dumps({"predictions": [row] * most}, separators=(",", ":")))
    assert 0.8 * payload.LAMBDA_BYTES < len(carried) < payload.LAMBDA_BYTES


@unhurried
@given(st.lists(st.text("0123456789,", min_size=1, max_size=19), min_size=1))
def test_rows_are_sent_in_order_in_as_few_calls_as_the_limit_allows(lines: list[str]) -> None:
    bodies = list(payload.endpoint_bodies(lines, max_bytes=20))
    assert b"\n".join(body for _, body in bodies).decode().split("\n") == lines
    assert [rows for rows, _ in bodies] == [body.count(b"\n") + 1 for _, body in bodies]
    assert all(len(body) <= 20 for _, body in bodies)
    for (_, body), (_, following) in itertools.pairwise(bodies):
        assert len(body) + len(following.split(b"\n")[0]) + 2 > 20  # the next row would not fit


def test_a_single_row_over_the_limit_is_too_large() -> None:
    rows = [[1, 2, "red"], [1e15, 2, "red"]]
    assert payload.encoded_lines(rows[:1], FLOWERS, max_bytes=12) == ["1,2,1"]
    with pytest.raises(PayloadTooLarge, match=r"instance 2 alone has 20 bytes; .* accepts 12"):
        payload.encoded_lines(rows, FLOWERS, max_bytes=12)


def test_a_missing_value_in_the_only_column_is_still_a_row() -> None:
    assert encoded("[[null], [2]]", schema=PRICES) == ["nan", "2"]


@unhurried
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_numbers_reach_the_endpoint_unchanged_from_json_and_csv(values: list[float]) -> None:
    from_json = encoded(json.dumps({"instances": [[value] for value in values]}), schema=PRICES)
    text = io.StringIO()
    csv.writer(text).writerows([value] for value in values)
    assert encoded(text.getvalue(), "text/csv", PRICES) == from_json
    assert [float(line) for line in from_json] == values


@unhurried
@given(st.binary(max_size=60), st.sampled_from([None, "application/json", "text/csv"]))
def test_arbitrary_bytes_are_accepted_or_rejected(content: bytes, content_type: str | None) -> None:
    try:
        lines = payload.encoded_lines(instances_of(content, content_type, FLOWERS), FLOWERS)
    except PayloadInvalid:
        return
    assert all(line.count(",") == 2 for line in lines)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)


@unhurried
@given(json_values)
def test_arbitrary_json_is_accepted_or_rejected(value: Any) -> None:
    with contextlib.suppress(PayloadInvalid):
        encoded(json.dumps({"instances": value}))


def decoded(answer: bytes, schema: Schema, rows: int = 1) -> list[dict[str, Any]]:
    return payload.decoded_predictions(answer, schema, [f"id-{row}" for row in range(rows)])


def test_probabilities_are_returned_by_the_original_class_names() -> None:
    assert decoded(b"0.1,0.7,0.2\n0.5,0.5,0.0\n", FLOWERS, 2) == [
        {
            "inferenceId": "id-0",
            "prediction": "rose",
            "probabilities": {"iris": 0.1, "rose": 0.7, "tulip": 0.2},
        },
        {
            "inferenceId": "id-1",
            "prediction": "iris",
            "probabilities": {"iris": 0.5, "rose": 0.5, "tulip": 0.0},
        },
    ]


@pytest.mark.parametrize(("score", "prediction"), [(0.25, "no"), (0.5, "no"), (0.75, "yes")])
def test_a_single_number_of_two_classes_is_the_probability_of_the_second(
    score: float, prediction: str
) -> None:
    schema = FLOWERS.model_copy(update={"classes": ("no", "yes")})
    (found,) = decoded(str(score).encode(), schema)
    assert found["prediction"] == prediction
    assert found["probabilities"] == {"no": 1 - score, "yes": score}


def test_a_regression_returns_a_number_without_probabilities() -> None:
    assert decoded(b"12.5\n", PRICES) == [{"inferenceId": "id-0", "prediction": 12.5}]


@pytest.mark.parametrize(
    ("answer", "schema"),
    [
        (b"", PRICES),
        (b"1\n2\n", PRICES),
        (b"nan\n", PRICES),
        (b"1,2\n", PRICES),
        (b"<html>", PRICES),
        (b"0.5,0.5\n", FLOWERS),
        (b"2.0\n", FLOWERS),
        (b"0.1,inf,0.2\n", FLOWERS),
    ],
)
def test_an_answer_that_does_not_match_rows_and_classes_is_a_server_error(
    answer: bytes, schema: Schema
) -> None:
    with pytest.raises(AnswerMalformed):
        decoded(answer, schema)


def test_no_float_is_longer_than_the_longest_number() -> None:
    longest = max((math.pi * -1e-300, -1.7976931348623157e308, 2.2250738585072014e-308), key=repr)
    assert len(repr(longest)) <= 24
