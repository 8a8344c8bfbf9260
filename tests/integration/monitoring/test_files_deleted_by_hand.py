"""A file of the live version that a person deleted is named, and locks nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from refit.domain.errors import ObjectNotFound
from refit.handlers import check_drift, predict, record_ground_truth
from refit.handlers.wiring import services
from refit.stores.endpoints import EndpointState

from tests.integration.monitoring.live_model import MODEL, go_live
from tests.integration.monitoring.operated import get
from tests.support.aws_stack import CONTEXT, Stack, forget_services
from tests.support.events import merged, sample
from tests.support.fake_sagemaker import FakeSageMaker

if TYPE_CHECKING:
    from types import ModuleType

    from refit.domain.naming import RunKeys


@pytest.fixture
def keys(stack: Stack) -> RunKeys:
    """Version 1 is live."""
    return go_live(1)


def delete(stack: Stack, key: str) -> None:
    """Delete an object, and forget what the warm functions have read."""
    stack.delete(key)
    forget_services()
    fake = FakeSageMaker()
    fake.endpoint = EndpointState("InService", "refit-digits-v1", None)
    stack.replace_clients(sagemaker=fake, sagemaker_runtime=fake)


def posted(handler: ModuleType, event: str, body: Any) -> tuple[int, dict[str, str]]:
    request = sample(event) | {"body": json.dumps(body), "pathParameters": {"model": MODEL}}
    answer = handler.handler(request, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])["error"]


@pytest.mark.parametrize("name", ["schema", "manifest"])
def test_a_prediction_names_the_file_that_is_missing(
    stack: Stack, keys: RunKeys, name: str
) -> None:
    delete(stack, getattr(keys, name))
    status, error = posted(predict, "predict", {"instances": [[0] * 64]})
    assert (status, error["code"]) == (500, "ObjectNotFound")
    assert f"{name}.json does not exist (any more). If it was deleted" in error["message"]


def test_a_label_names_the_file_that_is_missing(stack: Stack, keys: RunKeys) -> None:
    delete(stack, keys.manifest)
    labels = {"labels": [{"inferenceId": "a", "label": "1"}]}
    status, error = posted(record_ground_truth, "record_ground_truth", labels)
    assert (status, error["code"]) == (500, "ObjectNotFound")
    assert "manifest.json does not exist" in error["message"]


@pytest.mark.parametrize("name", ["schema", "manifest"])
def test_a_model_is_shown_with_the_file_that_is_missing_and_what_to_do(
    stack: Stack, keys: RunKeys, name: str
) -> None:
    delete(stack, getattr(keys, name))
    shown = get(f"/models/{MODEL}")
    (hold,) = shown["holds"]
    assert (hold["kind"], hold["command"]) == ("files", f"refit put {MODEL} FILE")
    assert f"{name}.json does not exist" in hold["text"]
    assert (shown["champion"]["version"], shown["form"]) == (1, None)


@pytest.mark.parametrize("name", ["schema", "manifest", "baseline"])
def test_a_check_fails_with_the_name_of_the_file_and_holds_no_lock(
    stack: Stack, keys: RunKeys, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    delete(stack, getattr(keys, name))
    body = json.dumps({"model": MODEL})
    event = merged(sample("check_drift"), {"Records": [{"body": body}]})
    with pytest.raises((BatchProcessingError, ObjectNotFound)) as raised:
        check_drift.handler(event, CONTEXT)
    assert f"{name}.json does not exist" in str(raised.value) + caplog.text
    state = services().models.state(MODEL)
    assert (state.active_run, state.deployment) == (None, None)


def test_captures_and_the_profile_are_not_needed_to_predict_or_to_show_the_model(
    stack: Stack, keys: RunKeys
) -> None:
    delete(stack, keys.profile)
    shown = get(f"/models/{MODEL}")
    assert shown["champion"]["version"] == 1
