"""Label files are read in every format, and bad lines are reported with their number."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.csv_rows import MAX_RECORD_BYTES
from refit.domain.inferences.label_records import BadLine, LabelRecord, Sent
from refit.tabular.label_files import labels_in

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = "2026-03-12T20:00:00Z"


def read(content: str | bytes, name: str = "labels", block: int = 7) -> list[Sent]:
    data = content.encode() if isinstance(content, str) else content

    def blocks() -> Iterator[bytes]:
        yield from (data[start : start + block] for start in range(0, len(data), block))

    return list(labels_in(blocks(), name))


def values(result: list[Sent]) -> list[tuple[Any, ...]]:
    assert all(isinstance(record, LabelRecord) for record in result), result
    return [
        (record.inference_id, record.label, record.observed_at, record.line) for record in result
    ]


def reasons(result: list[Sent]) -> dict[int, str]:
    return {line.line: line.reason for line in result if isinstance(line, BadLine)}


EXPECTED = [("a", "1", AT, 1), ("b", "0", None, 2)]


@pytest.mark.parametrize(
    "text",
    [
        f"a,1,{AT}\nb,0\n",
        f"a,1,{AT}\r\nb,0,",
        f'"a","1",{AT}\nb,0, ',
        f"\ufeffa,1, {AT}\nb,0\n\n",
    ],
)
@pytest.mark.parametrize("name", ["labels.csv", "labels", "x.txt"])
def test_a_header_is_optional_in_csv(text: str, name: str) -> None:
    assert values(read(text, name)) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        f"inferenceId,label,observedAt\na,1,{AT}\nb,0,\n",
        f'\ufefflabel,"observedAt", inferenceId\n1,{AT}, a\n0,,b',
    ],
)
def test_a_header_names_the_columns_in_any_order(text: str) -> None:
    result = values(read(text, "labels.csv"))
    assert result == [(*record[:3], record[3] + 1) for record in EXPECTED]


@pytest.mark.parametrize(
    "header", ["inference_id,label,observed_at", "Inference Id,Label,ObservedAt"]
)
def test_names_in_a_header_may_be_spelt_otherwise(header: str) -> None:
    result = values(read(f"{header}\na,1,{AT}\nb,0,\n", "labels.csv"))
    assert result == [(*record[:3], record[3] + 1) for record in EXPECTED]


@pytest.mark.parametrize("delimiter", [";", "|", "\t"])
def test_other_delimiters_are_detected(delimiter: str) -> None:
    text = f"a,1,{AT}\nb,0\n".replace(",", delimiter)
    assert values(read(text, "labels.csv")) == EXPECTED


@pytest.mark.parametrize("name", ["labels.json", "labels"])
@pytest.mark.parametrize("form", ["[{}]", '{{"labels": [{}]}}'])
def test_a_json_list_is_read_as_a_whole(name: str, form: str) -> None:
    records = f'{{"inference_id": "a", "label": "1", "observedAt": "{AT}"}}, {{"label": 2}}'
    result = read(form.format(records), name)
    assert values(result[:1]) == [("a", "1", AT, 1)]
    assert reasons(result) == {1: "record 2: there is no inferenceId"}


def test_a_json_list_may_have_several_lines_and_a_mark() -> None:
    text = '\ufeff[\n {"inferenceId": "a", "label": 1},\r\n {"inferenceId": "b", "label": 0}\n]\n'
    assert [record[:2] for record in values(read(text, "x.json"))] == [("a", 1), ("b", 0)]
    assert "the file is not JSON" in reasons(read("[\n{}\n", "x.json"))[1]


def test_json_lines_keep_the_type_of_a_label() -> None:
    text = (
        f'{{"inferenceId": "a", "label": 1, "observedAt": "{AT}"}}\n'
        '{"inferenceId": "b", "label": true}\n\n{"label": "x", "inferenceId": "c"}'
    )
    assert values(read(text)) == [("a", 1, AT, 1), ("b", True, None, 2), ("c", "x", None, 4)]


@pytest.mark.parametrize("name", ["labels.csv.gz", "labels.csv", "labels"])
def test_a_gzipped_file_is_read_whatever_its_name(name: str) -> None:
    assert values(read(gzip.compress(f"a,1,{AT}\nb,0\n".encode()), name)) == EXPECTED


def test_the_ending_of_the_name_decides_over_the_content() -> None:
    assert values(read('"{a",1\n', "labels.csv")) == [("{a", "1", None, 1)]
    assert reasons(read("a,1\n", "labels.jsonl")).keys() == {1}


def truth(data: str, encoding: str = "CSV", event_id: str = "order-1", **more: Any) -> str:
    return json.dumps(
        {
            "groundTruthData": {"data": data, "encoding": encoding},
            "eventMetadata": {"eventId": event_id},
            "eventVersion": "0",
        }
        | more
    )


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("data", "encoding", "label"),
    [
        ("1", "CSV", "1"),
        ("1\n", "CSV", "1"),
        ('"a, b"', "CSV", "a, b"),
        ("1.5", "JSON", 1.5),
        ('"rose"', "JSON", "rose"),
        ("[true]", "JSON", True),
        (packed("1"), "BASE64", "1"),
        (packed('["rose"]'), "BASE64", "rose"),
    ],
)
def test_sagemakers_own_record_labels_the_event_it_names(
    data: str, encoding: str, label: Any
) -> None:
    assert read(truth(data, encoding)) == [LabelRecord("order-1", label, None, "order-1", line=1)]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        *(("1,0,2", "CSV"), ("1\n0\n2", "CSV"), ("1\r\n0\r\n2\r\n", "CSV")),
        *(('["1", "0", "2"]', "JSON"), (packed("1,0,2\n"), "BASE64")),
        (packed('["1","0","2"]'), "BASE64"),
    ],
)
def test_a_list_of_labels_is_one_for_each_row_of_the_event(data: str, encoding: str) -> None:
    assert read(truth(data, encoding)) == [
        LabelRecord(f"order-1-{row}", label, None, "order-1", 3, 1)
        for row, label in enumerate(("1", "0", "2"))
    ]


BAD_JSON = {
    "no JSON": ("{", "the line is not JSON"),
    "NaN": ('{"inferenceId": "a", "label": NaN}', "NaN is not JSON"),
    "a list": ("[1]", "a record must be an object"),
    "a misspelt key": ('{"inferenceId": "a", "lable": 1}', "unknown key 'lable'"),
    "no label": ('{"inferenceId": "a"}', "there is no label"),
    "nested": ("[" * 100_000, "nested too deeply"),
    "no event": (
        '{"groundTruthData": {"data": "1", "encoding": "CSV"}}',
        "not a ground-truth record: eventMetadata: Field required",
    ),
    "an unknown encoding": (truth("1", "XML"), "groundTruthData.encoding: Input should be"),
    "no base64": (truth("%", "BASE64"), "groundTruthData.data is not base64"),
    "data that is not JSON": (truth("{", "JSON"), "groundTruthData.data is not JSON"),
    "a quote that never ends": (truth('"a', "CSV"), "groundTruthData.data is not CSV"),
    "no label at all": (truth(""), "groundTruthData.data holds no label"),
    "an empty list": (truth("[]", "JSON"), "groundTruthData.data holds no label"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_JSON.values(), ids=BAD_JSON.keys())
def test_a_bad_line_is_reported_with_its_number_and_the_others_are_read(
    line: str, reason: str
) -> None:
    good = '{"inferenceId": "a", "label": 1}'
    result = read(f"{good}\n{line}\n{good}", "x.jsonl", 1 << 20)
    assert [record.line for record in result] == [1, 2, 3]
    assert reasons(result).keys() == {2}
    assert reason in reasons(result)[2]
    assert result[1].text == line[:1000]  # type: ignore[union-attr]


BAD_CSV = {
    "one cell": (b"a", "the line has 1 cells, not 2 or 3 (inferenceId,label[,observedAt])"),
    "four cells": (b"a,1,2,3", "the line has 4 cells"),
    "a quote that never ends": (b'"a,1', "the line is not CSV"),
    "text after a quote": (b'"a"b,1', "the line is not CSV"),
    "no UTF-8": (b"\xff,1", "the line is not UTF-8 text"),
    "too long": (b"x" * (MAX_RECORD_BYTES + 1), "too long for a record"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_a_bad_csv_line_does_not_affect_the_others(line: bytes, reason: str) -> None:
    result = read(b"a,1\n" + line + b"\nb,0\n", "x.csv", 1 << 20)
    assert [record.line for record in result] == [1, 2, 3]
    assert reasons(result).keys() == {2}
    assert reason in reasons(result)[2]


def test_each_line_has_as_many_cells_as_the_header() -> None:
    result = read("inferenceId,label,observedAt\na,1\nb,0,\n", "x.csv")
    assert reasons(result) == {2: "the line has 2 cells, not 3"}
    assert values(result[1:]) == [("b", "0", None, 3)]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (
            "inferenceId,label,observed",
            "unknown column 'observed': a header must name inferenceId",
        ),
        ("inferenceId,truth", "unknown column 'truth'"),
        ("inferenceId,label,label", "the header is 'inferenceId,label,label'"),
        ("inferenceId,observedAt", "the header is 'inferenceId,observedAt'"),
    ],
)
def test_a_file_with_an_unknown_header_is_not_read(header: str, reason: str) -> None:
    result = read(f"{header}\na,1,x\n", "x.csv")
    assert reasons(result).keys() == {1}
    assert reason in reasons(result)[1]
    assert reasons(result)[1].endswith("no line of the file was read")


def test_a_damaged_archive_ends_with_a_bad_line() -> None:
    whole = gzip.compress("".join(f"id-{n},{n}\n" for n in range(10_000)).encode())
    result = read(whole[: len(whole) // 2], "x.csv.gz", 1 << 20)
    assert len(result) > 1000
    assert values(result[:-1])[0] == ("id-0", "0", None, 1)
    assert reasons(result) == {len(result): "x.csv.gz is damaged: the gzip stream ends too early"}


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "inferenceId,label\n"])
def test_a_file_without_labels_has_no_records(content: str) -> None:
    assert read(content) == []


ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


@given(st.lists(st.tuples(ids, st.integers(0, 9)), min_size=1), st.integers(1, 40))
def test_json_lines_are_read_as_they_were_written(rows: list[tuple[str, int]], block: int) -> None:
    text = "\n".join(json.dumps({"inferenceId": name, "label": label}) for name, label in rows)
    assert [record[:2] for record in values(read(text, "x.jsonl", block))] == rows


@given(st.binary(max_size=80), st.sampled_from(["x.csv", "x.jsonl", "x"]))
def test_arbitrary_bytes_are_at_worst_bad_lines(content: bytes, name: str) -> None:
    assert all(record.line is not None for record in read(content, name))
