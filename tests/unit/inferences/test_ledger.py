"""The ledger of labelled rows, written in slices and read as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from refit.domain.inferences.count_change import CountChange, count_change
from refit.domain.inferences.ledger import ledger_slice

from tests.support.joined import (
    ANIMALS,
    SETTINGS,
    after,
    inference,
    label,
    predicted,
    rows_that_hold,
)

if TYPE_CHECKING:
    from refit.domain.inferences.inference import Inference

JOINED = inference(predicted("dog"), label("owl", observed_s=30))


def change(known: Inference) -> CountChange:
    found = count_change(known, ANIMALS, SETTINGS, None)
    assert found is not None
    return found


def lines(*changes: CountChange) -> list[bytes]:
    found = ledger_slice(changes)
    return found.content.splitlines() if found else []


def test_a_line_states_the_label_and_where_the_features_are() -> None:
    assert json.loads(lines(change(JOINED))[0]) == {
        "inferenceId": "a",
        "seq": 1,
        "label": "owl",
        "prediction": "dog",
        "version": 1,
        "predictedAt": "2026-11-20T12:00:00.000+00:00",
        "observedAt": "2026-11-20T12:00:30.000+00:00",
        "source": {
            "key": "zoo/capture/refit-zoo/v1/2026/11/20/12/00-00-000-a.jsonl",
            "line": 3,
            "row": 1,
        },
    }


def test_a_withdrawn_inference_is_no_row() -> None:
    first = change(JOINED)
    withdrawn = change(after(JOINED, first.counted, ambiguous=True))
    assert json.loads(lines(withdrawn)[0])["withdrawn"] is True
    assert rows_that_hold(lines(withdrawn) + lines(first)) == []


def test_the_newest_line_of_an_inference_is_used_in_any_order_and_number() -> None:
    first = change(JOINED)
    corrected = change(after(JOINED, first.counted, label("cat", observed_s=40)))
    for order in ([first, corrected], [corrected, first, first], [corrected, corrected, first]):
        rows = rows_that_hold(line for each in order for line in lines(each))
        assert [(row.inference_id, row.seq, row.label) for row in rows] == [("a", 2, "cat")]


def test_a_label_that_changes_nothing_writes_no_line() -> None:
    first = change(JOINED)
    assert lines(change(after(JOINED, first.counted, label("cat", observed_s=10)))) == []


def test_an_unlabelled_prediction_writes_no_line() -> None:
    assert ledger_slice([change(inference(predicted("dog"), ambiguous=True))]) is None


def test_a_line_of_a_failed_batch_is_superseded() -> None:
    """A batch wrote the line of a correction and failed; then the correction was reverted."""
    first = change(JOINED)
    corrected = after(JOINED, first.counted, label("cat", observed_s=40))
    broken_off = change(corrected)
    back = change(
        replace(corrected, seq=3, labels=(*corrected.labels, label("owl", observed_s=50)))
    )
    assert back.counted.shown == first.counted.shown
    rows = rows_that_hold(lines(first) + lines(broken_off) + lines(back))
    assert [row.label for row in rows] == ["owl"]


def test_a_row_that_became_ambiguous_before_it_was_counted_is_withdrawn() -> None:
    broken_off = change(JOINED)
    withdrawn = change(replace(JOINED, seq=2, ambiguous=True))
    assert rows_that_hold(lines(broken_off) + lines(withdrawn)) == []


def test_the_same_rows_have_the_same_slice_name_and_other_rows_another() -> None:
    other = replace(JOINED, inference_id="b")
    slices = [
        ledger_slice([change(JOINED), change(other)]),
        ledger_slice([change(other), change(JOINED)]),
        ledger_slice([change(JOINED)]),
        ledger_slice([change(replace(JOINED, seq=2))]),
    ]
    assert slices[0] == slices[1]
    assert len({found.digest for found in slices if found}) == 3
