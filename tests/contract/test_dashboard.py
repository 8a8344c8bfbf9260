"""The CloudWatch dashboard: what it shows exists, follows the chosen model, and fits CloudWatch.

The limits are those of docs/aws-assumptions.md, section CloudWatch.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from refit.domain import metric_names
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.alarms import alarm_names
from refit.domain.naming import ResourceNames

from tests.support.published_metrics import METRICS, RESOURCE_TYPES, statistics_of
from tests.support.template import RESOURCES, ROOT, TEMPLATE, of_type

ALARMS = of_type("AWS::CloudWatch::Alarm")
REFERENCE = re.compile(r"\$\{([A-Z]\w+)(\.\w+)?\}")
SEARCH = re.compile(r"SEARCH\('\{([\w/]+),([\w,]+)\} (.+)', '(\w+)', (\d+)\)")
METRIC_TERM = re.compile(r"MetricName=(\([^)]*\)|\"[^\"]*\")")
PROBE = "digits"
CONSOLE = "https://Api.execute-api.us-east-1.amazonaws.com/v1/"


def body() -> str:
    """Return the body; each reference is replaced by its own name, as Fn::Sub would."""
    text: str = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    values = {
        "${AWS::Region}": "us-east-1",
        "${AWS::Partition}": "aws",
        "${AWS::AccountId}": "123456789012",
        "${AWS::URLSuffix}": "amazonaws.com",
        # The metrics of an API have its name, which is the stack's.
        "${AWS::StackName}": "Api",
        "${NamePrefix}": "refit",
    }
    for reference, value in values.items():
        text = text.replace(reference, value)
    text = REFERENCE.sub(lambda match: match[1], text)
    # The rest is for CloudWatch: ${!…} becomes ${…}.
    assert not re.search(r"\$\{(?!!)", text)
    return text.replace("${!", "${")


DASHBOARD: dict[str, Any] = json.loads(body())
WIDGETS: list[dict[str, Any]] = DASHBOARD["widgets"]
(VARIABLE,) = DASHBOARD["variables"]


def title_of(widget: dict[str, Any]) -> str:
    properties = widget["properties"]
    return str(properties.get("title") or properties["markdown"].partition("\n")[0])


def sections() -> dict[str, list[dict[str, Any]]]:
    """Return the widgets below each text widget, with itself, by its heading."""
    found: dict[str, list[dict[str, Any]]] = {}
    for widget in WIDGETS:
        if widget["type"] == "text":
            found[title_of(widget)] = []
        found[list(found)[-1]].append(widget)
    return found


OF_THE_MODEL = [heading for heading in sections() if VARIABLE["pattern"] in heading]


def rows_of(widget: dict[str, Any]) -> list[list[Any]]:
    rows: list[list[Any]] = widget["properties"].get("metrics", [])
    return rows


def searches_of(row: list[Any]) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Return namespace, metric, dimensions and statistic of what a search expression finds."""
    search = SEARCH.fullmatch(row[0]["expression"])
    assert search, row
    names = METRIC_TERM.search(search[3])
    assert names, row
    return [
        (search[1], name, tuple(search[2].split(",")), search[4])
        for name in re.findall(r'"([^"]+)"', names[1])
    ]


def shown_by(widget: dict[str, Any]) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Return namespace, metric, dimensions and statistic of all that a widget shows."""
    shown = []
    for row in rows_of(widget):
        if isinstance(row[0], dict):
            shown += searches_of(row)
            continue
        namespace, metric, dimension, _, rendering = row
        statistic = rendering.get("stat") or widget["properties"]["stat"]
        shown.append((namespace, metric, (dimension,), statistic))
    return shown


@pytest.mark.parametrize("widget", WIDGETS, ids=title_of)
def test_each_metric_is_published_and_shown_by_a_statistic_that_suits_it(
    widget: dict[str, Any],
) -> None:
    for namespace, metric, dimensions, statistic in shown_by(widget):
        assert statistic in statistics_of(namespace, metric, dimensions), (metric, statistic)


def test_a_metric_that_nothing_publishes_is_found() -> None:
    assert not statistics_of("Refit", "Acuracy", ("Model",))
    assert not statistics_of("Refit", "Accuracy", ("FunctionName",))
    assert "Sum" not in statistics_of("Refit", "Accuracy", ("Model",))
    assert statistics_of("Refit", "RunsFailed", ("Model",)) == {"Sum"}


def test_the_dashboard_shows_every_metric_of_refit() -> None:
    shown = {
        metric
        for widget in WIDGETS
        for namespace, metric, _, _ in shown_by(widget)
        if namespace == metric_names.NAMESPACE
    }
    assert shown == {*METRICS.values(), metric_names.FAILED_MESSAGES}


def test_the_dashboard_shows_every_alarm_of_the_stack_and_what_it_monitors() -> None:
    shown = [
        name
        for widget in WIDGETS
        for name in widget["properties"].get("alarms", [])
        if not name.startswith("arn:")
    ]
    assert sorted(shown) == sorted(ALARMS)
    subjects = {row[3] for widget in WIDGETS for row in rows_of(widget) if len(row) > 1}
    for alarm in ALARMS.values():
        value = alarm["Dimensions"][0]["Value"]
        subject = value.get("Ref") or value["Fn::GetAtt"][0]
        assert ("Api" if subject == "AWS::StackName" else subject) in subjects


def test_what_the_dashboard_refers_to_exists_and_has_the_right_type() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    for name, _ in REFERENCE.findall(text):
        assert name in RESOURCES or name in TEMPLATE["Parameters"], name
    for widget in WIDGETS:
        for row in rows_of(widget):
            if isinstance(row[0], dict) or row[2] == "Model":
                continue
            assert RESOURCES[row[3]]["Type"] in RESOURCE_TYPES[row[0]], row


def test_the_list_of_models_is_found_by_a_gauge_that_every_live_model_publishes() -> None:
    assert (VARIABLE["type"], VARIABLE["inputType"]) == ("pattern", "select")
    assert VARIABLE["defaultValue"] == "__FIRST"
    assert VARIABLE["populateFrom"] == "Model"
    search = re.fullmatch(r'\{Refit,Model\} MetricName="(\w+)"', VARIABLE["search"])
    assert search
    assert search[1] == metric_names.LIVE_VERSION
    # Not a name that a model can have, nor a part of any other text of the dashboard.
    assert not re.fullmatch(r"[a-z0-9-]+", VARIABLE["pattern"])


@pytest.mark.parametrize("heading", OF_THE_MODEL)
def test_all_of_a_section_of_the_model_follows_the_choice(heading: str) -> None:
    for widget in sections()[heading]:
        properties = widget["properties"]
        assert VARIABLE["pattern"] in title_of(widget)
        shown = [*rows_of(widget), *properties.get("alarms", [])]
        assert all(VARIABLE["pattern"] in json.dumps(part) for part in shown)


def test_the_sections_of_the_stack_and_of_all_models_do_not_follow_the_choice() -> None:
    for heading, widgets in sections().items():
        if heading not in OF_THE_MODEL:
            assert VARIABLE["pattern"] not in json.dumps(widgets), heading


def test_the_choice_of_a_model_leads_to_its_metrics_endpoint_and_alarms() -> None:
    chosen = re.sub(VARIABLE["pattern"], PROBE, json.dumps(WIDGETS))
    assert VARIABLE["pattern"] not in chosen
    names = ResourceNames("refit", PROBE)
    assert f'EndpointName=\\\\\\"{names.endpoint}\\\\\\"' in json.dumps(chosen)
    widgets = json.loads(chosen)
    alarms = [name for widget in widgets for name in widget["properties"].get("alarms", [])]
    shown = {name.rpartition(":alarm:")[2] for name in alarms if name.startswith("arn:")}
    assert shown == set(alarm_names(names))
    row = ["Refit", "Accuracy", "Model", PROBE, {"stat": "Average", "label": "live"}]
    assert row in [row for widget in widgets for row in rows_of(widget)]


def test_the_dashboard_tells_the_story_in_the_order_of_the_console() -> None:
    headings = [heading.replace(f"{VARIABLE['pattern']}: ", "") for heading in sections()]
    assert headings == [
        "# Api",
        "## All models",
        "## now",
        "## quality",
        "## evidence of drift",
        "## inputs",
        "## labels",
        "## versions and runs",
        "## predictions",
        "## alarms",
        "## The stack",
        "## Queues and functions",
        "## What drives the cost",
    ]


def test_the_texts_link_to_views_of_the_console_and_to_pages_that_exist() -> None:
    console = (ROOT / "functions/refit/console/views/model.js").read_text()
    views = set(re.findall(r'^  \["(\w*)", "', console, re.MULTILINE))
    linked = set()
    for widget in WIDGETS:
        markdown = widget["properties"].get("markdown", "")
        linked |= set(re.findall(r"\]\(([^)]+)\)", markdown))
        for page in re.findall(r"`(docs/[\w.-]+)`", markdown):
            assert (ROOT / page).is_file(), page
        for setting in re.findall(r"`(\w+_\w+)`", markdown):
            assert any(setting in part for part in ModelSettings().model_dump().values()), setting
    of_model = f"{CONSOLE}#/models/{VARIABLE['pattern']}"
    known = {CONSOLE, f"{CONSOLE}#/", of_model} | {f"{of_model}/{view}" for view in views}
    assert linked <= known, linked - known


def test_each_text_says_in_a_few_sentences_what_its_section_means() -> None:
    for heading, (text, *_) in sections().items():
        sentences = text["properties"]["markdown"].partition("\n")[2]
        assert 1 <= len(re.findall(r"\.(?= |$|\)|\s)", sentences)) <= 4, heading


def test_the_widgets_fill_the_grid_of_24_columns_without_overlaps() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in WIDGETS:
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken, title_of(widget)
        taken |= cells
    bottom = 1 + max(y for _, y in taken)
    assert taken == {(x, y) for x in range(24) for y in range(bottom)}


def test_the_dashboard_stays_within_the_limits_of_cloudwatch() -> None:
    assert len(WIDGETS) <= 500
    assert len(VARIABLE["id"]) <= 32
    assert len(VARIABLE["label"]) <= 30
    assert len(VARIABLE["search"]) <= 2048
    for widget in WIDGETS:
        assert len(rows_of(widget)) <= 500
        assert 1 <= len(widget["properties"].get("alarms", ["one"])) <= 100
        for row in rows_of(widget):
            if isinstance(row[0], dict):
                assert len(row[0]["expression"]) <= 1024
                assert re.fullmatch(r"[a-z]\w*", row[0]["id"])
    ids = [[row[0]["id"] for row in rows_of(w) if isinstance(row[0], dict)] for w in WIDGETS]
    assert all(len(set(of_widget)) == len(of_widget) for of_widget in ids)
    assert sum(len(rows_of(widget)) for widget in WIDGETS) <= 2500


def test_every_graph_names_its_region_and_a_period_that_cloudwatch_takes() -> None:
    for widget in WIDGETS:
        if widget["type"] != "metric":
            continue
        assert widget["properties"]["region"] == "us-east-1"
        periods = [int(match[5]) for row in rows_of(widget) if (match := _search(row))]
        periods += [widget["properties"]["period"]] if "period" in widget["properties"] else []
        assert periods
        assert all(period % 60 == 0 and period > 0 for period in periods)


def test_the_url_of_the_dashboard_has_the_console_of_each_partition() -> None:
    text, values = TEMPLATE["Outputs"]["DashboardUrl"]["Value"]["Fn::Sub"]
    condition, of_china, others = values["Console"]["Fn::If"]
    other, of_gov_cloud, of_aws = others["Fn::If"]
    for name, partition in ((condition, "aws-cn"), (other, "aws-us-gov")):
        is_partition = {"Fn::Equals": [{"Ref": "AWS::Partition"}, partition]}
        assert TEMPLATE["Conditions"][name] == is_partition
    assert of_china == "console.amazonaws.cn"
    assert of_gov_cloud == "console.amazonaws-us-gov.com"
    assert of_aws == "console.aws.amazon.com"
    for reference, value in (
        ("${AWS::Region}", "eu-west-1"),
        ("${Console}", of_aws),
        ("${Dashboard}", "refit-eu-west-1"),  # Ref is its name
    ):
        text = text.replace(reference, value)
    assert text == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#dashboards:name=refit-eu-west-1"
    )


def _search(row: list[Any]) -> re.Match[str] | None:
    return SEARCH.fullmatch(row[0]["expression"]) if isinstance(row[0], dict) else None
