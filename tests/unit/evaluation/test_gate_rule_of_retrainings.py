"""The decision of the gate on a retrained model, with the sentences that explain it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from refit.domain.evaluation.gate import RetrainingContext, decide
from refit.domain.model_settings import GateSettings

from tests.support.evaluations import evaluated_rows, evaluation, failed_checks

RETRAINING = RetrainingContext(
    base_margin=0.05, test_fraction=0.1, dropped=1438, labelled=550, held_out=62, lost={}
)


def test_a_retrained_model_that_is_better_on_the_fresh_rows_passes() -> None:
    decision = decide(
        evaluation(
            evaluated_rows(400, 0.93, 0.85),
            evaluated_rows(400, 0.92, 0.95),
            evaluated_rows(60, 0.9, 0.6),
        ),
        GateSettings(),
        RETRAINING,
    )
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor", "base", "new", "fresh"]
    assert "[retraining] base_margin allows 5.00 points worse" in decision.reasons[1]
    assert decision.reasons[3].startswith(
        "On 60 fresh held-out rows the challenger's accuracy is 90.00% and that of version 3 "
        "60.00%, 30.00 points better (95 % interval"
    )
    assert decision.reasons[3].endswith("it must be better, with p below 0.05.")
    assert decision.reasons[4] == (
        "It was trained on 1,438 dropped and 550 labelled rows; 62 more labelled rows were held "
        "out."
    )


@pytest.mark.parametrize(
    ("fresh", "champion"),
    [
        pytest.param(0.6, 0.6, id="equal"),
        pytest.param(0.61, 0.6, id="not significantly better"),
        pytest.param(0.4, 0.9, id="worse"),
    ],
)
def test_a_retrained_model_that_is_not_significantly_better_on_the_fresh_rows_is_refused(
    fresh: float, champion: float
) -> None:
    decision = decide(
        evaluation(
            evaluated_rows(400, 0.93, 0.93),
            evaluated_rows(400, 0.95, 0.95),
            evaluated_rows(100, fresh, champion),
        ),
        GateSettings(),
        RETRAINING,
    )
    assert failed_checks(decision) == ["fresh"]
    assert decision.reasons[0].startswith("On 100 fresh held-out rows")


def test_a_model_of_poisoned_labels_is_refused_on_the_base_rows_despite_good_fresh_rows() -> None:
    decision = decide(
        evaluation(
            evaluated_rows(400, 0.9, 0.6),
            evaluated_rows(400, 0.80, 0.95),
            evaluated_rows(100, 0.95, 0.1),
        ),
        GateSettings(),
        RETRAINING,
    )
    assert failed_checks(decision) == ["base"]


def test_the_wider_margin_applies_to_retrainings_only() -> None:
    compared = evaluation(
        evaluated_rows(400, 0.93, 0.9),
        evaluated_rows(400, 0.92, 0.95),
        evaluated_rows(60, 0.9, 0.6),
    )
    assert decide(compared, GateSettings(), RETRAINING).passed
    assert failed_checks(decide(compared, GateSettings())) == ["base"]


def test_a_retraining_without_fresh_rows_is_refused_with_the_number_of_labels_it_requires() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.95, 0.9), evaluated_rows(400, 0.95, 0.95)),
        GateSettings(),
        RETRAINING,
    )
    assert failed_checks(decision) == ["fresh"]
    assert "about 50 new labels are required for the 5 held-out rows" in decision.reasons[0]


@pytest.mark.parametrize(("count", "passed"), [(4, False), (5, True)])
def test_fewer_than_five_fresh_rows_can_never_be_significantly_better(
    count: int, passed: bool
) -> None:
    decision = decide(
        evaluation(
            evaluated_rows(400, 0.95, 0.9),
            evaluated_rows(400, 0.95, 0.95),
            evaluated_rows(count, 1, 0),
        ),
        GateSettings(),
        RETRAINING,
    )
    assert decision.passed is passed
    assert ("which requires at least 5 rows" in decision.checks[-1].reason) is not passed


def test_a_retraining_that_cannot_be_compared_is_refused() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.9, None), comparable=False), GateSettings(), RETRAINING
    )
    assert failed_checks(decision) == ["fresh"]
    assert decision.reasons[0].startswith("The columns differ from those of the live version")


def test_unused_labelled_rows_are_reported_with_the_most_frequent_reason_first() -> None:
    unused_rows = {"withdrawn": 1, "superseded": 12}
    decision = decide(
        evaluation(
            evaluated_rows(400, 0.93, 0.85),
            evaluated_rows(400, 0.95, 0.95),
            evaluated_rows(60, 0.9, 0.6),
        ),
        GateSettings(),
        replace(RETRAINING, lost=unused_rows),
    )
    assert decision.reasons[-1].endswith(
        "held out, and 13 could not be used (12 superseded, 1 withdrawn)."
    )
