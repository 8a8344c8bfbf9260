"""A drop with another label or other columns: refused by name, or accepted for one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from refit.domain.errors import ModelNotFound, SchemaChanged
from refit.domain.naming import RunKeys
from refit.handlers.wiring import services
from refit.usecases.promote_version import promote_version

from tests.support.model_files import champion
from tests.support.prepare_runs import csv_table, drop_files, prepare_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.aws_stack import Stack

FIRST, SECOND, THIRD, FOURTH = (RunKeys("digits", letter * 12) for letter in "abcd")
ACCEPT = "[data]\nschema_change = 'accept'\n"


@pytest.fixture
def drop(stack: Stack) -> Callable[..., bool]:
    """Prepare a run of rows with these column names; return whether the live model reads them."""

    def prepare(keys: RunKeys, names: str) -> bool:
        drop_files(stack, {f"{keys.run}.csv": csv_table(names=names)}, keys)
        services().models.release_run("digits", keys.run)
        return bool(prepare_run(keys)["comparable"])

    return prepare


def go_live(version: int, keys: RunKeys) -> None:
    promote_version(services(), "digits", champion(version, keys.run))


def test_another_label_is_named_with_the_live_version_and_the_ways_out(drop, stack) -> None:
    stack.put("digits/model.toml", "[data]\nlabel = 0\n")
    drop(FIRST, "sl,a,b,c,d")
    go_live(3, FIRST)
    with pytest.raises(SchemaChanged) as refused:
        drop(SECOND, "species,a,b,c,d")
    message = str(refused.value)
    assert "the live model (version 3) predicts 'sl', and this drop's label is 'species'" in message
    assert "refit remove digits" in message
    assert "[data] schema_change = 'accept'" in message


def test_an_acceptance_is_valid_until_a_version_with_other_columns_goes_live(drop, stack) -> None:
    drop(FIRST, "y,a,b,c,d")
    go_live(1, FIRST)
    settings = stack.put("digits/model.toml", ACCEPT)
    assert not drop(SECOND, "y,a,b,c,e")
    assert services().models.acceptance_used_by("digits", settings) is None  # refused by the gate
    assert not drop(THIRD, "y,a,b,c,e")
    go_live(2, THIRD)
    assert services().models.acceptance_used_by("digits", settings) == THIRD.run
    with pytest.raises(SchemaChanged) as refused:
        drop(FOURTH, "y,a,b,c,f")
    assert f"was used by run {THIRD.run}" in str(refused.value)
    assert "refit put digits --settings model.toml" in str(refused.value)


def test_a_drop_with_the_accepted_columns_needs_no_acceptance(drop, stack) -> None:
    drop(FIRST, "y,a,b,c,d")
    go_live(1, FIRST)
    stack.put("digits/model.toml", ACCEPT)
    drop(SECOND, "y,a,b,c,e")
    go_live(2, SECOND)
    assert drop(THIRD, "y,a,b,c,e")
    go_live(3, THIRD)


def test_a_model_toml_that_is_uploaded_again_accepts_once_more(drop, stack) -> None:
    drop(FIRST, "y,a,b,c,d")
    go_live(1, FIRST)
    stack.put("digits/model.toml", ACCEPT)
    drop(SECOND, "y,a,b,c,e")
    go_live(2, SECOND)
    stack.put("digits/model.toml", ACCEPT)
    assert not drop(THIRD, "y,a,b,c,f")


def test_the_run_that_used_an_acceptance_may_be_prepared_and_promoted_again(drop, stack) -> None:
    drop(FIRST, "y,a,b,c,d")
    go_live(1, FIRST)
    stack.put("digits/model.toml", ACCEPT)
    drop(SECOND, "y,a,b,c,e")
    go_live(2, SECOND)
    go_live(2, SECOND)
    services().models.promote("digits", champion(1, FIRST.run))  # version 2 was rejected
    assert not prepare_run(SECOND)["comparable"]


def test_of_two_runs_that_wait_for_approval_only_one_uses_the_acceptance(drop, stack) -> None:
    drop(FIRST, "y,a,b,c,d")
    go_live(1, FIRST)
    stack.put("digits/model.toml", ACCEPT)
    drop(SECOND, "y,a,b,c,e")
    drop(THIRD, "y,a,b,c,f")
    go_live(2, SECOND)
    with pytest.raises(SchemaChanged, match=f"was used by run {SECOND.run}"):
        go_live(3, THIRD)
    assert services().models.state("digits").champion.version == 2


def test_a_run_whose_model_is_removed_while_it_prepares_writes_nothing(
    drop, stack, monkeypatch
) -> None:
    drop(FIRST, "y,a,b,c,d")
    drop_files(stack, {"second.csv": csv_table()}, SECOND)
    monkeypatch.setattr(services().models, "run", lambda model, run: None)
    with pytest.raises(ModelNotFound, match="was removed"):
        prepare_run(SECOND)
    assert stack.keys(SECOND.root) == [SECOND.drop]
