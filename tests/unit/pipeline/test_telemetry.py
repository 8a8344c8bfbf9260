"""Metrics as CloudWatch reads them from a function's log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit
from refit.telemetry import count, observe

if TYPE_CHECKING:
    import pytest


def test_a_metric_has_the_models_name_as_its_only_dimension(
    capsys: pytest.CaptureFixture[str],
) -> None:
    count("Predictions", "digits", 3)
    line = json.loads(capsys.readouterr().out)
    published = line["_aws"]["CloudWatchMetrics"][0]
    assert (published["Namespace"], published["Dimensions"]) == ("Refit", [["Model"]])
    assert (line["Model"], line["Predictions"]) == ("digits", [3.0])


def test_each_of_many_values_is_published_once(capsys: pytest.CaptureFixture[str]) -> None:
    delays = [float(value) for value in range(250)]
    observe("LabelDelaySeconds", "digits", delays, MetricUnit.Seconds)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value for line in lines for value in line["LabelDelaySeconds"]] == delays
    assert max(len(line["LabelDelaySeconds"]) for line in lines) <= 100
