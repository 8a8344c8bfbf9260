from __future__ import annotations

import json
from typing import Any

import pytest
from refit_local.ministack.emf import EmbeddedMetric, metrics_of


def line(**changes: Any) -> dict[str, Any]:
    directive = {
        "Namespace": "Refit",
        "Dimensions": [["Model"], ["Model", "Function"]],
        "Metrics": [{"Name": "Rows", "Unit": "Count"}, {"Name": "Loss"}],
    }
    return {
        "_aws": {"Timestamp": 1_700_000_000_500, "CloudWatchMetrics": [directive]},
        "Model": "digits",
        "Function": "prepare",
        "Rows": [3, 4],
        "Loss": 0.25,
        **changes,
    }


def read(content: dict[str, Any]) -> list[EmbeddedMetric]:
    return list(metrics_of(json.dumps(content)))


def test_each_metric_is_published_once_for_each_dimension_set() -> None:
    metrics = read(line())
    both = {"Model": "digits", "Function": "prepare"}
    at = 1_700_000_000.5
    assert metrics == [
        EmbeddedMetric("Refit", "Rows", [3.0, 4.0], "Count", {"Model": "digits"}, at),
        EmbeddedMetric("Refit", "Loss", [0.25], "None", {"Model": "digits"}, at),
        EmbeddedMetric("Refit", "Rows", [3.0, 4.0], "Count", both, at),
        EmbeddedMetric("Refit", "Loss", [0.25], "None", both, at),
    ]


def test_an_empty_dimension_set_publishes_a_metric_without_dimensions() -> None:
    content = line()
    content["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = [[]]
    assert [metric.dimensions for metric in read(content)] == [{}, {}]


@pytest.mark.parametrize("value", ["3", None, True, [1, "2"], {"Rows": 3}, list(range(101))])
def test_a_metric_target_that_is_not_a_number_is_skipped(value: object) -> None:
    assert {metric.name for metric in read(line(Rows=value))} == {"Loss"}


def test_a_dimension_set_with_a_missing_target_is_skipped() -> None:
    content = line()
    del content["Function"]
    assert {tuple(metric.dimensions) for metric in read(content)} == {("Model",)}


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        "{not json",
        '"_aws"',
        '{"_aws": 3}',
        '{"_aws": {"CloudWatchMetrics": []}}',
        '{"_aws": {"Timestamp": "now", "CloudWatchMetrics": [{}]}}',
        '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": ""}, 7]}}',
    ],
)
def test_a_line_without_valid_embedded_metrics_publishes_none(text: str) -> None:
    assert list(metrics_of(text)) == []
