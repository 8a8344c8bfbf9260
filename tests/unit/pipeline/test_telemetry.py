"""Metrics in the embedded metric format, as a function logs them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit
from refit.telemetry import put_metric, put_metric_values

if TYPE_CHECKING:
    import pytest


def test_the_model_is_the_only_dimension_of_a_metric(
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_metric("Predictions", "digits", 3)
    line = json.loads(capsys.readouterr().out)
    published = line["_aws"]["CloudWatchMetrics"][0]
    assert (published["Namespace"], published["Dimensions"]) == ("Refit", [["Model"]])
    assert (line["Model"], line["Predictions"]) == ("digits", [3.0])


def test_more_values_than_a_log_line_may_have_are_each_logged_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    delays = [float(value) for value in range(250)]
    put_metric_values("LabelDelaySeconds", "digits", delays, MetricUnit.Seconds)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value for line in lines for value in line["LabelDelaySeconds"]] == delays
    assert max(len(line["LabelDelaySeconds"]) for line in lines) <= 100
