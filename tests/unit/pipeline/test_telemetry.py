"""Metrics as CloudWatch reads them from a function's log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from refit.telemetry import count

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
