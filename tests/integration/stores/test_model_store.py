"""ModelStore: runs, versions and champions of models, and the locks of runs and deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refit.domain.errors import ServiceThrottled
from refit.domain.vocabulary import RunStatus
from refit.stores.dynamodb import Table
from refit.stores.models import BeginResult, ModelStore, TakesFiles

from tests.support.aws_clients import CancelledTransactions, Waits
from tests.support.clocks import MovingClock
from tests.support.model_files import champion

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

YEAR_S = 365 * 86_400.0


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def models(stack: Stack, clock: MovingClock) -> ModelStore:
    return ModelStore(stack.services.model_table, clock)


def begin(models: ModelStore, run: str, model: str = "digits") -> BeginResult:
    return models.begin_run(model, run, "drop", TakesFiles(models.state(model).consumed_by))


def test_an_unknown_model_has_an_empty_state(models: ModelStore) -> None:
    state = models.state("digits")
    assert (state.champion, state.active_run, state.pending) == (None, None, False)
    assert models.champion("digits") is None
    assert models.models() == []
    assert models.runs("digits") == []
    assert models.run("digits", "a") is None
    assert models.run_of_version("digits", 1) is None


def test_a_run_begins_with_a_record_and_the_lock_of_its_model(models: ModelStore) -> None:
    assert begin(models, "a") is BeginResult.STARTED
    run = models.run("digits", "a")
    assert run is not None
    assert (run.status, run.cause) == (RunStatus.STARTED, "drop")
    state = models.state("digits")
    assert (state.active_run, state.consumed_by) == ("a", "a")


def test_a_run_begins_once(models: ModelStore) -> None:
    begin(models, "a")
    assert begin(models, "a") is BeginResult.KNOWN
    models.release_run("digits", "a")
    assert begin(models, "a") is BeginResult.KNOWN
    assert models.state("digits").active_run is None


def test_a_run_of_a_busy_model_does_not_begin_and_is_pending(models: ModelStore) -> None:
    begin(models, "a")
    assert begin(models, "b") is BeginResult.BUSY
    assert models.run("digits", "b") is None
    assert models.release_run("digits", "a") is True
    assert begin(models, "b") is BeginResult.STARTED
    assert models.state("digits").pending is False


def test_a_run_that_consumes_no_files_leaves_the_drop_folder_as_it_was(
    models: ModelStore,
) -> None:
    begin(models, "a")
    begin(models, "b")
    models.release_run("digits", "a")
    assert models.begin_run("digits", "c", "drift", None) is BeginResult.STARTED
    state = models.state("digits")
    assert (state.pending, state.consumed_by) == (True, "a")


def test_a_run_does_not_begin_if_another_run_took_files_since_it_was_decided_what_is_new(
    models: ModelStore,
) -> None:
    begin(models, "a")
    models.release_run("digits", "a")
    for before in (None, "z"):
        begun = models.begin_run("digits", "b", "drop", TakesFiles(before))
        assert begun is BeginResult.OUTDATED
    assert models.run("digits", "b") is None
    assert models.state("digits").pending is False
    assert models.begin_run("digits", "b", "drop", TakesFiles("a")) is BeginResult.STARTED


def test_a_run_begins_if_the_lock_is_released_while_it_is_refused(stack: Stack) -> None:
    class ReleasedMeanwhile(ModelStore):
        def mark_pending(self, model: str) -> bool:
            self.release_run(model, "a")
            return super().mark_pending(model)

    models = ReleasedMeanwhile(stack.services.model_table, MovingClock(), Waits().policy())
    begin(models, "a")
    assert begin(models, "b") is BeginResult.STARTED
    assert models.state("digits").pending is False


def test_a_model_without_an_active_run_is_not_marked_pending(models: ModelStore) -> None:
    begin(models, "a")
    models.release_run("digits", "a")
    assert models.mark_pending("digits") is False
    assert models.mark_pending("letters") is False
    assert models.state("digits").pending is False


def test_the_state_of_an_older_deployment_is_read(stack: Stack, models: ModelStore) -> None:
    table = stack.services.model_table
    old = {"pk": "MODEL#digits", "sk": "STATE", "consumed_until": "2026-11-20T10:00:00.000+00:00"}
    table.apply(table.put_request(old))
    assert models.state("digits").consumed_by is None
    assert begin(models, "a") is BeginResult.STARTED


def test_no_other_run_takes_a_lock_however_old_it_is(
    models: ModelStore, clock: MovingClock
) -> None:
    begin(models, "a")
    clock.advance(YEAR_S)
    assert begin(models, "b") is BeginResult.BUSY
    assert models.state("digits").active_run == "a"


def test_a_run_that_requires_a_champion_begins_only_while_it_is_live(models: ModelStore) -> None:
    models.promote("digits", champion(3, "aaaaaaaaaaaa"))
    assert models.begin_run("digits", "a", "drift", None, champion=2) is BeginResult.BUSY
    assert models.begin_run("digits", "a", "drift", None, champion=3) is BeginResult.STARTED


def test_only_the_run_that_holds_the_lock_releases_it(models: ModelStore) -> None:
    begin(models, "a")
    assert models.release_run("digits", "b") is False
    assert models.state("digits").active_run == "a"


def test_a_run_whose_transaction_conflicts_begins_at_the_next_attempt(
    stack: Stack, clock: MovingClock
) -> None:
    conflict = ["None", "TransactionConflict", "None"]
    table = stack.services.model_table
    client = CancelledTransactions(table.client, conflict, conflict)
    waits = Waits()
    models = ModelStore(Table(client, table.name), clock, waits.policy())
    assert models.begin_run("digits", "a", "drop", None) is BeginResult.STARTED
    assert len(waits.seconds) == 2


def test_a_run_whose_transactions_keep_conflicting_is_a_transient_error(
    stack: Stack, clock: MovingClock
) -> None:
    table = stack.services.model_table
    client = CancelledTransactions(table.client, *[["None", "TransactionConflict", "None"]] * 9)
    models = ModelStore(Table(client, table.name), clock, Waits().policy())
    with pytest.raises(ServiceThrottled, match="run a of digits conflicted"):
        models.begin_run("digits", "a", "drop", None)
    assert client.calls == 4


def test_models_are_listed_in_order_and_runs_with_the_latest_first(
    models: ModelStore, clock: MovingClock
) -> None:
    for model, run in (("letters", "x"), ("digits", "b"), ("digits", "a")):
        begin(models, run, model)
        models.release_run(model, run)
        clock.advance(1)
    assert models.models() == ["digits", "letters"]
    assert [run.run for run in models.runs("digits")] == ["a", "b"]


def test_an_update_changes_attributes_of_a_run_and_removes_those_that_are_none(
    models: ModelStore, clock: MovingClock
) -> None:
    begin(models, "a")
    models.update_run("digits", "a", status=RunStatus.FAILED, error="DatasetEmpty")
    clock.advance(5)
    models.update_run("digits", "a", error=None)
    run = models.run("digits", "a")
    assert run is not None
    assert (run.status, run.error, run.updated_at) == (RunStatus.FAILED, None, clock.now)


def test_an_update_of_an_unknown_run_creates_none(models: ModelStore) -> None:
    models.update_run("digits", "a", status=RunStatus.FAILED)
    assert models.runs("digits") == []


def test_a_version_is_recorded_with_its_run(models: ModelStore) -> None:
    begin(models, "a")
    models.record_version("digits", 3, "a", "arn:package/3")
    assert models.run_of_version("digits", 3) == "a"
    run = models.run("digits", "a")
    assert run is not None
    assert (run.version, run.package_arn) == (3, "arn:package/3")


def test_a_version_number_never_passes_to_another_run(models: ModelStore) -> None:
    begin(models, "a")
    assert models.record_version("digits", 1, "a", "arn:package/1")
    assert models.record_version("digits", 1, "a", "arn:package/1"), "a repeated step"
    assert not models.record_version("digits", 1, "b", "arn:package/1")
    assert models.run_of_version("digits", 1) == "a"


def test_the_champion_is_the_version_that_was_promoted_last(models: ModelStore) -> None:
    for version in (1, 2):
        models.promote("digits", champion(version, "aaaaaaaaaaaa"))
    assert models.champion("digits") == champion(2, "aaaaaaaaaaaa")


def test_only_one_deployment_holds_the_lock_and_its_retry_takes_it_again(
    models: ModelStore,
) -> None:
    assert models.begin_deployment("digits", "one", "arn:one")
    assert models.begin_deployment("digits", "one", "arn:one")
    assert not models.begin_deployment("digits", "two", "arn:two")
    models.end_deployment("digits", "two")
    assert not models.begin_deployment("digits", "two", "arn:two")
    models.end_deployment("digits", "one")
    assert models.begin_deployment("digits", "two", "arn:two")


def test_no_other_deployment_takes_a_lock_however_old_it_is(
    models: ModelStore, clock: MovingClock
) -> None:
    models.begin_deployment("digits", "one", "arn:one")
    clock.advance(YEAR_S)
    assert not models.begin_deployment("digits", "two", "arn:two")
    assert models.state("digits").deployment_execution == "arn:one"


def test_a_deployment_names_its_run_only_while_it_holds_the_lock(models: ModelStore) -> None:
    begin(models, "a")
    models.begin_deployment("digits", "one", "arn:one")
    models.name_deployment("digits", "two", "a", "arn:execution")
    assert models.state("digits").deployment_run is None
    models.name_deployment("digits", "one", "a", "arn:execution")
    assert models.state("digits").deployment_run == "a"
    run = models.run("digits", "a")
    assert run is not None
    assert (run.status, run.deploy_execution_arn) == (RunStatus.DEPLOYING, "arn:execution")
    models.end_deployment("digits", "one")
    assert models.state("digits").deployment_run is None
