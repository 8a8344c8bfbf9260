"""`refit cost`: the same figures as README and docs, from one dated file of list prices."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
from refit.domain.monitoring.alarms import AlarmKind
from refit_cli.pricing import usage
from refit_cli.pricing.prices import Prices

from tests.support.template import RESOURCES, ROOT, of_type

COSTS = (ROOT / "docs/aws.md").read_text("utf-8").partition("\n## Costs\n")[2]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def lines(refit):
    """Return the highest amounts by part and name."""

    def run(*arguments: object) -> dict[str, float]:
        result = refit("cost", "--json", *arguments)
        assert result.exit_code == 0, result.output
        answer = json.loads(result.stdout)
        named = {f"{line['part']} {line['what']}": line["usd_high"] for line in answer["lines"]}
        return {**named, "low": answer["usd_low"], "high": answer["usd_high"]}

    return run


def rounded(amount: float, stated: str) -> float:
    """Round to the digits of a stated amount, but two at most: 84 has two, 1.00 is 1.0."""
    digits = min(2, len(stated.replace(".", "").strip("0")) or 1)
    return float(f"{amount:.{digits - 1}e}")


def assert_stated(amount: float, text: str, pattern: str) -> None:
    """Check that a text states the amount where the pattern finds one."""
    found = re.search(pattern, text)
    assert found, pattern
    stated = found[1]
    assert rounded(amount, stated) == rounded(float(stated), stated), (pattern, amount)


def test_what_idles_costs_what_the_docs_say(lines):
    found = lines("--predictions", 0, "--runs", 0)
    for name, pattern in (
        ("models endpoints", r"\| endpoint \| per model \| \$([\d.]+)"),
        ("models drift checks", r"\| drift check.* per model \| \$([\d.]+)"),
        ("models alarms", r"of the model \| per model \| \$([\d.]+)"),
        ("models metrics", r"\| metrics \| per model \| up to \$([\d.]+)"),
        ("stack alarms", r"\| alarms of the stack \| per stack \| \$([\d.]+)"),
        ("stack dashboard", r"\| dashboard \| per stack \| \$([\d.]+)"),
        ("stack queues", r"\| polling of .* \| per stack \| \$([\d.]+)"),
    ):
        assert_stated(found[name], COSTS, pattern)
    stack = sum(amount for name, amount in found.items() if name.startswith("stack "))
    assert_stated(stack, COSTS, r"a stack costs about \$([\d.]+\d)")
    assert_stated(found["low"] - stack, COSTS, r"each model \$(\d+) to")
    assert_stated(found["high"] - stack, COSTS, r"each model \$\d+ to \$(\d+)")


def test_a_million_predictions_cost_what_the_docs_say(lines):
    found = lines("--models", 0, "--runs", 0)
    capture = sum(
        float(amount)
        for amount in re.findall(r"(?:Firehose, |ingestion of captures)[^|]*\| \$([\d.]+)", COSTS)
    )
    for name, pattern in (
        ("traffic predictions: API", r"\| API Gateway \| \$([\d.]+)"),
        ("traffic predictions: Lambda", r"\| Lambda, Predict \| \$([\d.]+)"),
        ("traffic predictions: DynamoDB", r"\| DynamoDB \| \$([\d.]+)"),
        ("traffic predictions: logs", r"\| CloudWatch Logs \| \$([\d.]+)"),
    ):
        assert_stated(found[name], COSTS, pattern)
    assert found["traffic predictions: capture"] == pytest.approx(capture, rel=0.1)
    stored = found["traffic predictions: storage"]
    each = sum(amount for name, amount in found.items() if name.startswith("traffic predictions"))
    assert_stated(each - stored, COSTS, r"\*\*together\*\* \| \*\*\$([\d.]+)")
    assert_stated(stored / 3, COSTS, r"for 90 days \| \$([\d.]+)")


def test_a_million_labels_cost_what_the_docs_say(lines):
    one = lines("--labels", 1_000_000)["traffic labels"]
    assert_stated(one, COSTS, r"CloudWatch Logs \$0\.50: \*\*\$([\d.]+)\*\*")
    many = lines("--labels", 1_000_000, "--labels-per-request", 500)["traffic labels"]
    assert_stated(many, COSTS, r"With 500 labels in a request: \*\*\$([\d.]+)\*\*")


def test_readme_states_the_same(lines):
    found = lines("--runs", 0)
    assert_stated(found["models endpoints"], README, r"about \$(\d+) a month for the endpoint")
    monitoring = found["models drift checks"] + found["models alarms"]
    assert_stated(monitoring, README, r"\$(\d+) to \$\d+ for monitoring")
    most = monitoring + found["models metrics"]
    assert_stated(most, README, r"\$\d+ to \$(\d+) for monitoring")
    stack = sum(amount for name, amount in found.items() if name.startswith("stack "))
    assert_stated(stack, README, r"about \$(\d+) for the alarms")
    predictions = sum(
        amount
        for name, amount in found.items()
        if name.startswith("traffic") and "storage" not in name
    )
    assert_stated(predictions, README, r"million predictions cost\s+about \$(\d+)")


def test_a_run_costs_what_the_docs_say(lines):
    cents = 100 * lines("--runs", 100)["models runs"] / 100
    assert 2 <= cents <= 4, "a training for one or two cents, two transform jobs for two"


def test_the_quantities_are_those_of_the_template():
    assert len(of_type("AWS::CloudWatch::Alarm")) == usage.stack_alarms()
    assert len(AlarmKind) == usage.MODEL_ALARMS
    polled = {
        str(event["Properties"]["Queue"])
        for resource in RESOURCES.values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "SQS" and isinstance(event["Properties"].get("Queue"), (str, dict))
    }
    assert len(polled) == usage.EVENT_QUEUES


def test_every_price_has_its_unit_and_source_and_the_file_has_one_date():
    prices = Prices()
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", prices.date)
    assert prices.region == "us-east-1"
    for price in (*prices.all.values(), *prices.instances.values()):
        assert price.usd > 0
        assert price.unit
        assert price.source.startswith("https://aws.amazon.com/")
        assert "unverified" not in price.source
    month = datetime.strptime(f"{prices.date}-01T00:00:00+0000", "%Y-%m-%dT%H:%M:%S%z")
    assert f"as known in {month:%B %Y}" in COSTS


def test_many_rows_in_a_request_are_cheaper(lines):
    one, many = lines(), lines("--rows-per-request", 100)
    assert many["traffic predictions: API"] == pytest.approx(0.035, abs=0.006)
    assert many["traffic predictions: DynamoDB"] == one["traffic predictions: DynamoDB"]


def test_an_unknown_instance_type_needs_its_price(refit, lines):
    result = refit("cost", "--instance", "ml.x.huge")
    assert result.exit_code == 2
    assert "known: ml.m5.large" in result.stderr
    assert "--hourly-price" in result.stderr
    found = lines("--instance", "ml.x.huge", "--hourly-price", 2, "--instances", 2, "--models", 3)
    assert found["models endpoints"] == 2 * 2 * 3 * 730


def test_the_table_has_the_sums_and_names_region_and_date(refit):
    result = refit("cost", "--models", 2)
    assert "the models        172.02 to 193.62" in re.sub(r"  +", "        ", result.stdout)
    assert "2 × ml.m5.large, 730 hours at $0.115" in result.stdout
    assert "list prices of us-east-1, 2026-11, without free tiers" in result.stderr
