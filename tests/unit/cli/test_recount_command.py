"""`refit recount`: what is counted again, and what is left alone."""

from __future__ import annotations

import json

import boto3
import pytest

from tests.support.cli import OUTPUTS


@pytest.fixture
def traffic(stack):
    """Inferences of two models; return a function that returns the mark of each."""
    stack.create_inference_table()
    table = boto3.resource("dynamodb").Table(OUTPUTS["InferenceTableName"])
    for model in ("digits", "flowers"):
        stack.add_run(model, "r1", "DEPLOYED")
        table.put_item(Item={"id": f"{model}#uncounted", "digest": "d", "uncounted": 1})
    table.put_item(Item={"id": "digits#counted", "digest": "d"})
    table.put_item(Item={"id": "digits#held", "uncounted": 1})

    def marks():
        return {item["id"]: item.get("uncounted") for item in table.scan()["Items"]}

    return marks


def test_predictions_that_are_not_counted_get_a_new_record_in_the_stream(refit, traffic):
    result = refit("recount")
    assert result.exit_code == 0, result.stderr
    assert "requested  1 labelled prediction of digits" in result.stdout
    assert "requested  1 labelled prediction of flowers" in result.stdout
    assert traffic() == {
        "digits#uncounted": 2,
        "flowers#uncounted": 2,
        "digits#counted": None,
        "digits#held": 1,
    }


def test_a_model_can_be_named(refit, traffic):
    assert json.loads(refit("recount", "digits", "--json").stdout) == {"requested": {"digits": 1}}
    assert traffic()["flowers#uncounted"] == 1


def test_the_command_says_that_everything_is_counted(refit, stack):
    stack.create_inference_table()
    stack.add_run("digits", "r1", "DEPLOYED")
    assert "nothing to count" in refit("recount", "digits").stdout


def test_a_name_that_no_model_has_is_refused(refit, traffic):
    refused = refit("recount", "digit")
    assert refused.exit_code == 2
    assert "digits" in refused.stderr
