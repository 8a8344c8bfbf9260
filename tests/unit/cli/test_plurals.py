"""Numbers of things in words: none, one, many."""

from __future__ import annotations

import pytest
from refit_cli.plurals import counted
from refit_cli.pricing.prices import Prices
from refit_cli.pricing.usage import Traffic, month


@pytest.mark.parametrize(
    ("count", "says"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (2000, "2,000 rows")]
)
def test_a_noun_has_the_form_of_its_number(count, says):
    assert counted(count, "row") == says


def test_an_irregular_plural_is_given():
    assert counted(2, "older batch", "older batches") == "2 older batches"


def test_the_price_of_one_model_and_one_run_is_of_one():
    traffic = Traffic(
        models=1,
        instances=1,
        instance="ml.m5.large",
        hour_usd=0.1,
        runs=1,
        predictions=1,
        rows_per_request=1,
        labels=0,
        labels_per_request=1,
    )
    reasons = {cost.why for cost in month(Prices(), traffic)}
    assert {"1 model, once a minute", "1 run of small data, three jobs each"} <= reasons
