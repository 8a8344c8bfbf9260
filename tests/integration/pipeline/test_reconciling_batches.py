"""A batch prediction that nothing works on any more ends at the next check."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from refit.domain.moments import utc_now
from refit.domain.pipeline.batch import BatchStatus
from refit.domain.pipeline.reconciliation import GRACE
from refit.usecases.reconcile_batches import reconcile_batches

from tests.support.aws_stack import REGION, Stack
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.flower_batches import drop

if TYPE_CHECKING:
    from refit.domain.pipeline.batch import Batch


@pytest.fixture
def sagemaker(stack: Stack) -> FakeSageMaker:
    fake = FakeSageMaker()
    stack.replace_clients(sagemaker=fake)
    return fake


def recorded(stack: Stack, batch: str) -> Batch:
    return stack.services.batches.require("flowers", batch)


def stop(stack: Stack, batch: str) -> None:
    arn = stack.services.batch_executions.arn("flowers", batch)
    boto3.client("stepfunctions", REGION).stop_execution(executionArn=arn)


def test_a_batch_whose_execution_was_stopped_unseen_fails_and_loses_its_model(
    stack: Stack, sagemaker: FakeSageMaker
) -> None:
    batch = drop(stack)
    assert reconcile_batches(stack.services, "flowers") == [], "the execution runs"
    stop(stack, batch)
    assert reconcile_batches(stack.services, "flowers") == [batch]
    ended = recorded(stack, batch)
    assert (ended.status, ended.error) == (BatchStatus.FAILED, "Aborted")
    assert "was stopped" in (ended.message or "")
    name = f"refit-flowers-{batch}-batch"
    assert ("delete_model", {"ModelName": name}) in sagemaker.changes
    (notice,) = stack.messages(stack.notices_queue)
    assert "put it again" in notice["Message"]


def test_a_batch_whose_execution_never_began_fails_when_it_is_late(
    stack: Stack, sagemaker: FakeSageMaker
) -> None:
    stack.services.batches.begin("flowers", "b1", "a.csv", "v")
    assert reconcile_batches(stack.services, "flowers") == []
    later = stack.at(utc_now() + GRACE + timedelta(minutes=1))
    assert reconcile_batches(later, "flowers") == ["b1"]
    assert recorded(stack, "b1").error == "Gone"


def test_a_batch_that_has_ended_is_looked_at_once_more_only(
    stack: Stack, sagemaker: FakeSageMaker
) -> None:
    batch = drop(stack)
    stack.services.batches.update("flowers", batch, status=BatchStatus.SUCCEEDED)
    assert stack.services.batches.open("flowers") == [batch]
    assert reconcile_batches(stack.services, "flowers") == []
    assert recorded(stack, batch).status is BatchStatus.SUCCEEDED
    assert stack.services.batches.open("flowers") == []
