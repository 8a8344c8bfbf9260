"""Rows that a batch has predicted are answered by the API without the endpoint."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import UnStubbedResponseError
from botocore.stub import Stubber
from refit.domain.errors import SettingsInvalid
from refit.domain.inferences.payload import RequestBody
from refit.domain.model_settings import parse_settings
from refit.handlers.wiring import services
from refit.usecases.cached_answers import MOST_ROWS
from refit.usecases.predict import Predictions, predict

from tests.support.aws_clients import FailingClient, client_error
from tests.support.flower_batches import THREE, make_live, schema
from tests.support.flower_batches import predict as predict_file
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.aws_stack import Stack

ROWS = [["x1", 1.5, "red"], ["x2", 2.5, "blue"], ["x3", None, "green"]]


@pytest.fixture(autouse=True)
def endpoint(stack: Stack) -> Iterator[None]:
    """An endpoint that fails the test when it is called."""
    with Stubber(services().client("sagemaker-runtime")):
        yield


def cache(stack: Stack, rows: int = 3, **monitoring: Any) -> None:
    """Predict the three rows of the file, and cache the first ones."""
    stack.put("flowers/model.toml", f"[batch]\ncache_rows = {rows}\n")
    make_live(**monitoring)
    predict_file(stack, THREE)


def ask(stack: Stack, rows: list[list[Any]]) -> Predictions:
    body = RequestBody(json.dumps({"instances": rows}), content_type="application/json")
    return predict(services(), "flowers", body)


def asks_the_endpoint(stack: Stack, rows: list[list[Any]]) -> bool:
    """Ask for predictions; return whether the endpoint was called, whose stub has no answers."""
    try:
        ask(stack, rows)
    except UnStubbedResponseError:
        return True
    return False


def test_cached_rows_are_answered_in_any_order_as_the_batch_has_answered(stack: Stack) -> None:
    cache(stack)
    answer = ask(stack, [ROWS[2], ROWS[0], ROWS[2]])
    assert answer.version == 3
    assert [row["prediction"] for row in answer.rows] == ["tulip", "iris", "tulip"]
    assert answer.rows[1]["probabilities"] == {"iris": 0.5, "rose": 0.25, "tulip": 0.25}
    assert len({row["inferenceId"] for row in answer.rows}) == 3


def test_a_request_with_a_row_that_is_not_cached_is_sent_to_the_endpoint(stack: Stack) -> None:
    cache(stack, rows=2)
    assert not asks_the_endpoint(stack, ROWS[:2])
    assert asks_the_endpoint(stack, ROWS)


def test_without_the_setting_nothing_is_cached(stack: Stack) -> None:
    cache(stack, rows=0)
    assert asks_the_endpoint(stack, ROWS[:1])


def test_a_large_request_is_not_looked_up(stack: Stack) -> None:
    cache(stack)
    assert not asks_the_endpoint(stack, [ROWS[0]] * MOST_ROWS)
    assert asks_the_endpoint(stack, [ROWS[0]] * (MOST_ROWS + 1))


def test_cached_answers_are_gone_when_another_version_is_live(stack: Stack) -> None:
    cache(stack)
    promote_version("flowers", 4, register_version("flowers", 4, schema()))
    services().artifacts._champion.cache_clear()
    assert asks_the_endpoint(stack, ROWS[:1])


def test_a_version_never_answers_with_what_another_one_has_cached(stack: Stack) -> None:
    cache(stack)
    run = register_version("flowers", 4, schema())
    promote_version("flowers", 4, run)
    assert services().models.record_cache("flowers", run, services().now() + timedelta(days=1))
    services().artifacts._champion.cache_clear()
    assert asks_the_endpoint(stack, ROWS[:1])


def test_a_batch_of_a_version_that_is_not_live_any_more_changes_nothing(stack: Stack) -> None:
    cache(stack)
    promote_version("flowers", 4, register_version("flowers", 4, schema()))
    now = services().now()
    assert not services().models.record_cache("flowers", "run3", now)
    champion = services().models.champion("flowers")
    assert champion is not None
    assert champion.cached_until is None


def test_cached_answers_are_removed_with_the_model(stack: Stack) -> None:
    cache(stack)
    assert not asks_the_endpoint(stack, ROWS[:1])
    services().labels.delete_all("flowers")
    assert asks_the_endpoint(stack, ROWS[:1])


def test_cached_answers_are_captured_like_others(stack: Stack) -> None:
    cache(stack)
    before = stack.keys("flowers/capture/")
    ask(stack, ROWS[:2])
    (new,) = set(stack.keys("flowers/capture/")) - set(before)
    assert "/v3/" in new


def test_an_endpoint_that_captures_by_itself_gets_every_request(stack: Stack) -> None:
    cache(stack, capture="endpoint")
    assert asks_the_endpoint(stack, ROWS[:1])
    with pytest.raises(SettingsInvalid, match="cache_rows = 5 does not fit"):
        parse_settings("[batch]\ncache_rows = 5\n[monitoring]\ncapture = 'endpoint'\n")


def test_the_endpoint_answers_while_the_cache_is_throttled(stack: Stack) -> None:
    cache(stack)
    throttled = client_error("ProvisionedThroughputExceededException", "BatchGetItem")
    table = services().inference_table
    table.client = FailingClient(table.client, batch_get_item=throttled)
    assert asks_the_endpoint(stack, ROWS[:1])
