"""The removal of a model in the tables: it is marked first, and its late writers change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from boto3.dynamodb.conditions import Attr
from refit.domain.errors import DeploymentInProgress, ModelNotFound, ServiceThrottled
from refit.domain.moments import utc_now
from refit.stores.dynamodb import Table
from refit.stores.models import BeginResult
from refit.usecases.plan_deployment import PackageChange, plan_deployment

from tests.support.aws_clients import Waits
from tests.support.model_files import champion

if TYPE_CHECKING:
    from refit.stores.models import ModelStore

    from tests.support.aws_stack import Stack

RUN = "0f1e2d3c4b5a"
CHANGE = PackageChange("refit-digits", 1, "arn:package/1", "Approved")


@pytest.fixture
def models(stack: Stack) -> ModelStore:
    """The models: version 1 of digits is live."""
    models = stack.services.models
    models.begin_run("digits", RUN, "drop", None)
    models.release_run("digits", RUN)
    models.record_version("digits", 1, RUN, "arn:package/1")
    models.promote("digits", champion(1, RUN))
    return models


def test_a_model_that_is_being_removed_is_not_live_and_begins_nothing(
    stack: Stack, models: ModelStore
) -> None:
    models.begin_removal("digits", utc_now())
    assert models.champion("digits") is None
    assert models.begin_run("digits", "aaaaaaaaaaaa", "drop", None) is BeginResult.BUSY
    assert not models.begin_deployment("digits", "d1", "arn:d1")
    with pytest.raises(ModelNotFound, match="is being removed"):
        models.promote("digits", champion(1, RUN))
    assert plan_deployment(stack.services, CHANGE, "execution") == {"action": "none"}


def test_a_removal_that_was_interrupted_keeps_its_times(models: ModelStore) -> None:
    first = models.begin_removal("digits", utc_now() + timedelta(minutes=2))
    again = models.begin_removal("digits", utc_now() + timedelta(hours=1))
    assert again.removing_since == first.removing_since
    assert again.removal_settles_at == first.removal_settles_at


def test_late_writers_do_not_create_a_removed_model_again(stack: Stack, models: ModelStore) -> None:
    models.delete_items("digits")
    models.forget("digits")
    models.mark_pending("digits")
    assert not models.update_run("digits", RUN, status="FAILED")
    models.release_run("digits", RUN)
    models.end_deployment("digits", "d1")
    assert plan_deployment(stack.services, CHANGE, "execution") == {"action": "none"}
    assert not models.is_known("digits")
    assert list(models.item_keys("digits")) == []
    assert models.models() == []


def test_the_items_of_other_models_stay(models: ModelStore) -> None:
    models.begin_run("digits-2", RUN, "drop", None)
    models.delete_items("digits")
    models.forget("digits")
    assert models.models() == ["digits-2"]
    assert models.run("digits-2", RUN) is not None


def test_a_model_of_the_same_name_begins_from_nothing(stack: Stack, models: ModelStore) -> None:
    models.begin_removal("digits", utc_now())
    models.delete_items("digits")
    models.forget("digits")
    assert models.begin_run("digits", "bbbbbbbbbbbb", "drop", None) is BeginResult.STARTED
    assert models.run_of_version("digits", 1) is None
    assert models.begin_deployment("digits", "d1", "arn:d1")
    with pytest.raises(DeploymentInProgress):
        plan_deployment(stack.services, CHANGE, "another execution")


class PartlyUnprocessed:
    """A client of DynamoDB that leaves all but the first deletion of each call unprocessed."""

    def __init__(self, client: object, calls: int) -> None:
        self._client = client
        self._calls = calls

    def __getattr__(self, operation: str) -> object:
        return getattr(self._client, operation)

    def batch_write_item(self, RequestItems: dict[str, list[object]]) -> dict[str, object]:
        ((table, requests),) = RequestItems.items()
        self._calls -= 1
        done = requests[:1] if self._calls >= 0 else []
        if done:
            self._client.batch_write_item(RequestItems={table: done})  # type: ignore[attr-defined]
        rest = requests[len(done) :]
        return {"UnprocessedItems": {table: rest} if rest else {}}


def keys(table: Table) -> list[str]:
    return sorted(item["id"] for item in table.scan(Attr("id").begins_with("digits#"), "id"))


def test_deletions_that_dynamodb_left_unprocessed_are_sent_again(stack: Stack) -> None:
    client, waits = stack.services.client("dynamodb"), Waits()
    for number in range(60):
        Table(client, stack.inference_table).apply(
            Table(client, stack.inference_table).put_request({"id": f"digits#{number}"})
        )
    partly = Table(PartlyUnprocessed(client, 999), stack.inference_table, waits.policy(30))
    partly.delete_many([{"id": f"digits#{number}"} for number in range(60)])
    assert keys(partly) == []
    assert waits.seconds
    Table(client, stack.inference_table).apply(
        Table(client, stack.inference_table).put_request({"id": "digits#1"})
    )
    throttled = Table(PartlyUnprocessed(client, 0), stack.inference_table, waits.policy(3))
    with pytest.raises(ServiceThrottled):
        throttled.delete_many([{"id": "digits#1"}])
