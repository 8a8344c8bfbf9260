"""What a label changes depends on the known labels and its content, not on the arrival order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.errors import PayloadInvalid
from refit.domain.inferences.inference import (
    MAX_LABELS,
    NOTHING_COUNTED,
    Inference,
    Label,
    Prediction,
    Source,
)
from refit.domain.inferences.label_change import decide, label_change, label_text
from refit.domain.inferences.label_outcome import Fault, LabelOutcome
from refit.domain.inferences.label_records import (
    CLOCK_TOLERANCE,
    LabelRecord,
    Observation,
    Receipt,
    check_record,
    records_of,
)
from refit.domain.schema import Feature, Schema

NOW = datetime(2026, 3, 12, 20, 47, 26, tzinfo=UTC)
AGE = timedelta(hours=24)
WIDTH = (Feature(name="width", type="number"),)
FLOWERS = Schema(task="classification", label="kind", features=WIDTH, classes=("iris", "rose"))
DIGITS = Schema(
    task="classification", label="digit", features=WIDTH, classes=tuple(map(str, range(12)))
)
PRICES = Schema(task="regression", label="price", features=WIDTH)
RECEIPT = Receipt("flowers", NOW, NOW, timedelta(days=90))


class Decided(NamedTuple):
    inference: Inference | None
    outcome: LabelOutcome


def predicted(*labels: Label, rows: int = 1, ambiguous: bool = False) -> Inference:
    source = Source("flowers/capture/a.jsonl", 0, 0)
    prediction = Prediction("iris", 0.9, None, 3, NOW - timedelta(hours=1), source, rows, "d1")
    return Inference("flowers", "x", 7, prediction, ambiguous, labels, NOTHING_COUNTED)


def observed(record: LabelRecord, receipt: Receipt = RECEIPT) -> Observation:
    found = check_record(record, receipt)
    assert isinstance(found, Observation), found
    return found


def sent(
    known: Inference | None, label: Any, minutes: float = 0, schema: Schema = FLOWERS
) -> Decided:
    """Send a label for inference x that was observed this number of minutes ago."""
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    return decided(known, None, observed(LabelRecord("x", label, at)), schema)


def decided(
    known: Inference | None,
    event_rows: int | None,
    observation: Observation,
    schema: Schema = FLOWERS,
) -> Decided:
    return Decided(*decide(observation, known, event_rows, schema, RECEIPT))


def after(known: Inference | None, *labels: tuple[str, float]) -> Inference | None:
    for label, minutes in labels:
        known = sent(known, label, minutes).inference
    return known


def status(decision: Decided) -> str:
    return decision.outcome.status.value


def test_the_first_label_of_a_prediction_is_new() -> None:
    decision = sent(predicted(), "rose", 5)
    assert (status(decision), decision.outcome.reason) == ("new", None)
    assert decision.inference is not None
    assert decision.inference.seq == 8
    assert decision.inference.label == Label("rose", NOW - timedelta(minutes=5), NOW)


def test_a_label_without_a_prediction_is_held() -> None:
    decision = sent(None, "rose")
    assert status(decision) == "held"
    assert decision.inference == Inference(
        "flowers", "x", 1, None, False, (Label("rose", NOW, NOW),), NOTHING_COUNTED
    )


def test_a_held_label_sent_again_is_a_repeat_and_another_is_held_too() -> None:
    held = after(None, ("rose", 5))
    again = sent(held, "rose", 5)
    assert (status(again), again.outcome.reason) == (
        "repeat",
        "the label is held until its prediction arrives",
    )
    assert again.inference is held
    other = sent(held, "iris", 3)
    assert status(other) == "held"
    assert other.inference is not None
    assert (other.inference.seq, other.inference.label.label) == (2, "iris")


@pytest.mark.parametrize("minutes", [5, 6])
def test_the_same_label_with_the_same_or_an_earlier_observation_changes_nothing(
    minutes: float,
) -> None:
    known = after(predicted(), ("rose", 5))
    decision = sent(known, "rose", minutes)
    assert status(decision) == "repeat"
    assert decision.inference is known


def test_the_same_label_observed_later_is_a_repeat_with_the_later_time() -> None:
    known = after(predicted(), ("rose", 5))
    decision = sent(known, "rose", 1)
    assert status(decision) == "repeat"
    assert decision.inference is not None
    assert decision.inference.seq == known.seq + 1
    assert status(sent(decision.inference, "iris", 3)) == "repeat"
    assert status(sent(known, "iris", 3)) == "corrected"


def test_another_label_observed_later_is_a_correction_and_the_first_is_kept() -> None:
    decision = sent(after(predicted(), ("rose", 5)), "iris", 1)
    assert status(decision) == "corrected"
    assert decision.inference is not None
    assert [label.label for label in decision.inference.labels] == ["rose", "iris"]
    assert decision.inference.label.label == "iris"


def test_a_different_label_observed_earlier_is_kept_and_is_not_effective() -> None:
    known = after(predicted(), ("rose", 5))
    decision = sent(known, "iris", 9)
    assert status(decision) == "repeat"
    assert (
        decision.outcome.reason
        == "another label is effective: 'rose', observed at 2026-03-12T20:42:26Z"
    )
    assert decision.inference is not None
    assert decision.inference.label.label == "rose"
    assert (len(decision.inference.labels), decision.inference.seq) == (2, known.seq + 1)


def test_of_two_labels_observed_at_the_same_time_the_same_is_effective_in_either_order() -> None:
    one = after(predicted(), ("rose", 5), ("iris", 5))
    other = after(predicted(), ("iris", 5), ("rose", 5))
    assert one.label == other.label


def test_an_earlier_record_of_the_same_call_is_told_that_it_is_superseded() -> None:
    records = [LabelRecord("a", label) for label in ("0", "1", "1.0")]
    change = label_change(list(map(observed, records)), {}, DIGITS, RECEIPT)
    assert [outcome.status for outcome in change.outcomes] == ["repeat", "repeat", "held"]
    assert "superseded: a later record" in str(change.outcomes[0].reason)
    assert change.outcomes[1].reason is None
    assert change.after is not None
    assert [label.label for label in change.after.labels] == ["1"]


def test_a_label_for_an_ambiguous_id_is_rejected() -> None:
    known = predicted(ambiguous=True)
    decision = sent(known, "rose")
    assert (status(decision), decision.outcome.fault) == ("rejected", Fault.AMBIGUOUS)
    assert decision.inference is known


records = st.lists(
    st.tuples(st.sampled_from(["iris", "rose"]), st.integers(0, 6)), min_size=1, max_size=12
)


@given(records, st.data(), st.booleans())
def test_records_in_any_order_and_number_give_the_same_label(
    labels: list[tuple[str, int]], data: st.DataObject, held: bool
) -> None:
    mixed = data.draw(st.permutations(labels)) + data.draw(st.lists(st.sampled_from(labels)))
    mixed = data.draw(st.permutations(mixed))
    start = None if held else predicted()
    one, other = after(start, *labels), after(start, *mixed)
    best = max(labels, key=lambda label: (-label[1], label[0]))
    assert one.label == other.label
    assert (one.label.label, one.label.observed_at) == (
        best[0],
        NOW - timedelta(minutes=best[1]),
    )
    assert one.label_at_age(AGE) == other.label_at_age(AGE)
    assert after(one, *mixed) == one  # all labels are known, so nothing is written again


@given(st.lists(st.tuples(st.sampled_from(["iris", "rose"]), st.integers(0, 99)), max_size=60))
def test_the_effective_label_is_always_kept(
    labels: list[tuple[str, int]],
) -> None:
    known = after(predicted(), ("rose", 50), *labels)
    best = max([("rose", 50), *labels], key=lambda label: (-label[1], label[0]))
    assert known.label.label == best[0]
    assert len(known.labels) <= MAX_LABELS


@pytest.mark.parametrize("label", ["1", "1.0", "01", " 1 ", 1, 1.0, True])
def test_all_spellings_of_a_numeric_class_are_the_same_class(label: Any) -> None:
    assert label_text(label, DIGITS) == "1"


@pytest.mark.parametrize(("label", "text"), [(True, "True"), (False, "False"), ("True", "True")])
def test_a_boolean_is_the_class_with_that_name(label: Any, text: str) -> None:
    schema = Schema(task="classification", label="kind", features=WIDTH, classes=("False", "True"))
    assert label_text(label, schema) == text


@pytest.mark.parametrize(
    ("label", "text"), [("12.50", "12.5"), (3, "3"), (3.0, "3"), ("-1e3", "-1000"), (0.1, "0.1")]
)
def test_a_regressions_label_is_a_number(label: Any, text: str) -> None:
    assert label_text(label, PRICES) == text


@pytest.mark.parametrize(
    ("label", "schema", "fault", "reason"),
    [
        ("tulip", FLOWERS, Fault.UNKNOWN_CLASS, "unknown class 'tulip'; known: 'iris', 'rose'"),
        (12, DIGITS, Fault.UNKNOWN_CLASS, "unknown class 12; known: '0', '1', '2', '3', '4', "),
        ("NaN", DIGITS, Fault.UNKNOWN_CLASS, "unknown class 'NaN'"),
        ("", FLOWERS, Fault.UNKNOWN_CLASS, "unknown class ''"),
        ("NaN", PRICES, Fault.NOT_A_NUMBER, "the label must be a number, not 'NaN'"),
        ("dear", PRICES, Fault.NOT_A_NUMBER, "not 'dear'"),
        (True, PRICES, Fault.NOT_A_NUMBER, "not True"),
        (1e300, PRICES, Fault.NOT_A_NUMBER, "not 1e+300"),
        (float("inf"), PRICES, Fault.NOT_A_NUMBER, "not inf"),
        (10**400, PRICES, Fault.NOT_A_NUMBER, "not 1000"),
        (None, FLOWERS, Fault.NO_VALUE, "a label must be text, a number, true or false, not None"),
        (["rose"], FLOWERS, Fault.NO_VALUE, "not ['rose']"),
        ({"a": 1}, PRICES, Fault.NO_VALUE, "not {'a': 1}"),
    ],
)
def test_an_invalid_label_is_rejected_with_the_allowed_values(
    label: Any, schema: Schema, fault: Fault, reason: str
) -> None:
    found = label_text(label, schema)
    assert isinstance(found, LabelOutcome)
    assert found.fault is fault
    assert reason in found.reason
    assert len(found.reason) < 200


def test_the_reason_lists_only_the_first_of_many_classes() -> None:
    found = label_text("x", DIGITS)
    assert isinstance(found, LabelOutcome)
    assert found.reason.endswith("'9', … (12 in total)")


def test_a_rejected_label_changes_nothing() -> None:
    known = predicted()
    decision = sent(known, "tulip")
    assert status(decision) == "rejected"
    assert decision.inference is known


@pytest.mark.parametrize("given_id", ["", " x", "x" * 81, "tab\t", "ü", "line\n", 7, None])
def test_a_malformed_id_is_rejected(given_id: object) -> None:
    found = check_record(LabelRecord(given_id, "rose"), RECEIPT)
    assert isinstance(found, LabelOutcome)
    assert found.fault is Fault.ID_MALFORMED


def test_an_id_may_be_80_printable_characters() -> None:
    assert observed(LabelRecord("~" + " " * 79, "rose")).inference_id == "~" + " " * 79


@pytest.mark.parametrize(
    "text", ["2026-03-12T20:00:00Z", "2026-03-12T21:00:00+01:00", "20260312T200000.000999Z"]
)
def test_a_time_is_read_with_its_offset_to_the_millisecond(text: str) -> None:
    found = observed(LabelRecord("x", "rose", text))
    assert found.observed_at == datetime(2026, 3, 12, 20, tzinfo=UTC)


def test_a_record_without_a_time_has_the_time_of_the_receipt() -> None:
    at = NOW - timedelta(days=2)
    receipt = Receipt("flowers", NOW, at, timedelta(days=90))
    assert observed(LabelRecord("x", "rose"), receipt).observed_at == at


@pytest.mark.parametrize(
    ("text", "fault", "reason"),
    [
        ("2026-03-12T20:00:00", Fault.TIME_MALFORMED, "has no offset: add Z"),
        ("2026-03-12", Fault.TIME_MALFORMED, "has no offset"),
        ("yesterday", Fault.TIME_MALFORMED, "ISO 8601 time with offset, such as"),
        ("2026-13-12T20:00:00Z", Fault.TIME_MALFORMED, "not '2026-13-12T20:00:00Z'"),
        ("0001-01-01T00:00:00+14:00", Fault.TIME_MALFORMED, "ISO 8601"),
        (1773348446, Fault.TIME_MALFORMED, "not 1773348446"),
        (0, Fault.TIME_MALFORMED, "not 0"),
        ("", Fault.TIME_MALFORMED, "not ''"),
        ("2025-12-12T20:00:00Z", Fault.TOO_OLD, "7776000 s ([monitoring] max_label_age_s)"),
        (
            "2026-03-12T20:52:27Z",
            Fault.IN_THE_FUTURE,
            "is in the future: the time of receipt is 2026-03-12T20:47",
        ),
    ],
)
def test_an_invalid_time_is_rejected(text: object, fault: Fault, reason: str) -> None:
    found = check_record(LabelRecord("x", "rose", text), RECEIPT)
    assert isinstance(found, LabelOutcome)
    assert found.fault is fault
    assert reason in found.reason


def test_a_clock_may_be_minutes_ahead() -> None:
    assert observed(LabelRecord("x", "rose", (NOW + CLOCK_TOLERANCE).isoformat()))


def listed(size: int | None) -> Observation:
    return observed(LabelRecord("x-0" if size else "x", "rose", None, "x", size))


def found_by(seen: Observation, **inferences: Inference) -> int | None:
    return seen.event_rows({name.replace("_", "-"): known for name, known in inferences.items()})


def test_a_list_of_labels_of_another_length_than_its_event_is_rejected_with_both_lengths() -> None:
    first = predicted(rows=3)
    seen = listed(2)
    rows = found_by(seen, x_0=first)
    decision = decided(first, rows, seen)
    assert (status(decision), decision.outcome.fault) == ("rejected", Fault.OTHER_ROWS)
    assert decision.outcome.reason == "event 'x' has 3 row(s), and the record lists 2 label(s)"
    assert status(decided(first, found_by(listed(3), x_0=first), listed(3))) == ("new")


def test_a_list_of_labels_for_an_event_of_one_row_is_rejected() -> None:
    seen = listed(2)
    rows = found_by(seen, x=predicted(rows=1))
    assert status(decided(None, rows, seen)) == "rejected"


def test_a_single_label_is_rejected_for_an_event_of_many_rows_but_not_for_one_of_its_rows() -> None:
    seen = listed(None)
    rows = found_by(seen, x_0=predicted(rows=3))
    assert status(decided(None, rows, seen)) == "rejected"
    assert found_by(seen, x=predicted(rows=3)) is None


def test_a_list_of_labels_that_arrives_before_its_event_is_held_with_its_length() -> None:
    decision = decided(None, found_by(listed(2)), listed(2))
    assert status(decision) == "held"
    assert decision.inference is not None
    assert decision.inference.labels[0].event_size == 2


def test_the_records_of_a_body_are_read_in_order() -> None:
    body = {
        "labels": [
            {"inferenceId": "a", "label": 1},
            {"inferenceId": "b", "label": "x", "observedAt": "2026-03-12T20:00:00Z"},
            {"inferenceId": "c", "label": None, "observedAt": None},
        ]
    }
    assert records_of(json.dumps(body).encode()) == [
        LabelRecord("a", 1),
        LabelRecord("b", "x", "2026-03-12T20:00:00Z"),
        LabelRecord("c", None),
    ]


ONE = {"inferenceId": "a", "label": 1}
BAD_BODIES: dict[str, tuple[Any, str]] = {
    "no JSON": ('{"labels": [', "the body is not JSON: .*char 12"),
    "NaN": ('{"labels": [{"inferenceId": "a", "label": NaN}]}', "NaN is not JSON"),
    "a text": ("5", r"the body must be an object \{\"labels\": \[…\]\}, not 5"),
    "another key": ({"labels": [ONE], "model": "x"}, "unknown key 'model'; only \"labels\" is"),
    "no labels": ({}, '"labels" must be a list of records, not None'),
    "an empty list": ({"labels": []}, '"labels" has 0 records; one call takes 1 to 500'),
    "501 records": ({"labels": [ONE] * 501}, '"labels" has 501 records; one call takes 1 to 500'),
    "a bare label": ({"labels": [ONE, 5]}, "record 2: a record must be an object .*, not 5"),
    "no id": ({"labels": [{"label": 1}]}, "record 1: there is no inferenceId"),
    "no label": ({"labels": [{"inferenceId": "a"}]}, "record 1: there is no label"),
    "a misspelt key": (
        {"labels": [ONE | {"observed": "x"}]},
        "record 1: unknown key 'observed'; allowed are inferenceId, label, observedAt",
    ),
    "a key twice": (
        {"labels": [ONE | {"inference_id": "b"}]},
        "record 1: a key is there twice: 'inferenceId, label, inference_id'",
    ),
}


@pytest.mark.parametrize(("body", "message"), BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_malformed_body_is_refused_with_what_is_allowed(body: Any, message: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(PayloadInvalid, match=message):
        records_of(text.encode())


def test_a_list_alone_and_other_spellings_of_the_keys_are_read() -> None:
    body = [{"inference_id": "a", "LABEL": 1, "observed_at": "2026-03-12T20:00:00Z"}]
    assert records_of(json.dumps(body).encode()) == [LabelRecord("a", 1, "2026-03-12T20:00:00Z")]


def test_500_records_are_accepted() -> None:
    assert len(records_of(json.dumps({"labels": [ONE] * 500}).encode())) == 500
