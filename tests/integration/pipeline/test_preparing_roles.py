"""Prepare writes weights and times of held-out rows, and copies only fair rows of the champion."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.naming import RunKeys
from refit.handlers import evaluate, gate, plan_training
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample
from tests.support.model_files import champion
from tests.support.prepare_runs import CHAMPION_RUN, RUN, drop_files, prepare_run
from tests.support.retraining_data import RETRAINING_RUN, RetrainedModel
from tests.support.role_drops import ROWS_BY_KEY, key

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

THIRD_RUN = RunKeys("digits", "333333333333")
TIME = "[data]\ntime = 'day'\n"


def table(rows: range) -> bytes:
    """Return rows with a class, two features, a weight of 1 to 5, a customer and a day."""
    lines = [
        f"{n // 7 % 2},{key(n)},{n * 37 % 101},{n % 5 + 1},c{n % 60},"
        f"{date(2024, 1, 1) + timedelta(days=n)}"
        for n in rows
    ]
    return "\n".join(["label,a,b,w,customer,day", *lines]).encode() + b"\n"


def prepare(stack: Stack, rows: range, settings: str, keys: RunKeys = RUN) -> dict[str, Any]:
    stack.put("digits/model.toml", settings)
    drop_files(stack, {f"{keys.run}.csv": table(rows)}, keys)
    return prepare_run(keys)


def deploy(stack: Stack, rows: range, settings: str, keys: RunKeys = CHAMPION_RUN) -> None:
    """Make the version of a run of these rows live."""
    prepare(stack, rows, settings, keys)
    make_live(keys)


def make_live(keys: RunKeys, version: int = 3) -> None:
    services().models.release_run("digits", keys.run)
    services().models.promote("digits", champion(version, keys.run))


def rows_in(stack: Stack, key: str, first: int) -> list[int]:
    """Return the numbers of the rows of a CSV file; `first` is the index of feature `a`."""
    return [ROWS_BY_KEY[int(line.split(b",")[first])] for line in stack.read(key).splitlines()]


def new_rows(stack: Stack, keys: RunKeys) -> list[int]:
    return rows_in(stack, f"{keys.evaluation_input}new.csv", 0)


def numbers(stack: Stack, key: str) -> list[float]:
    return [float(line) for line in stack.read(key).splitlines()]


def predict_all(stack: Stack, keys: RunKeys) -> None:
    """Write what the transform jobs of two perfect models would write."""
    for name in ("new", "base"):
        if f"{keys.evaluation_input}{name}.csv" in stack.keys(keys.evaluation_input):
            labels = numbers(stack, keys.evaluation_labels(name))
            answers = "".join(f"{0.9 if label else 0.1}\n" for label in labels)
            for side in ("challenger", "champion"):
                stack.put(f"{keys.evaluation_output(side)}{name}.csv.out", answers)


def judge(stack: Stack, keys: RunKeys) -> dict[str, Any]:
    """Evaluate and judge a run; return gate.json."""
    predict_all(stack, keys)
    run = {"run": keys.run, "champion": {"run": CHAMPION_RUN.run, "version": 3}}
    evaluate.handler(sample("evaluate") | run, CONTEXT)
    gate.handler(sample("gate") | {"run": keys.run}, CONTEXT)
    return dict(stack.get(keys.gate))


def test_weights_are_written_for_training_and_for_evaluation(stack: Stack) -> None:
    result = prepare(stack, range(400), "[data]\nweight = 'w'\nignore = ['customer', 'day']\n")
    assert result["features"] == 2
    for channel in (f"{RUN.train}train.csv", f"{RUN.validation}validation.csv"):
        weights = [int(line.split(b",")[1]) for line in stack.read(channel).splitlines()]
        assert weights == [n % 5 + 1 for n in rows_in(stack, channel, 2)] != []
    assert numbers(stack, RUN.evaluation_weights("new")) == [
        n % 5 + 1 for n in new_rows(stack, RUN)
    ]
    event = sample("plan_training") | {"features": 2, "classes": 2}
    request = plan_training.handler(event, CONTEXT)["request"]
    assert request["HyperParameters"]["csv_weights"] == "1"


def test_without_the_settings_no_weights_and_no_times_are_written(stack: Stack) -> None:
    prepare(stack, range(400), "[data]\nignore = ['w', 'customer', 'day']\n")
    assert not [key for key in stack.keys(RUN.root) if key.endswith((".weights", ".times"))]
    event = sample("plan_training") | {"features": 2, "classes": 2}
    assert "csv_weights" not in plan_training.handler(event, CONTEXT)["request"]["HyperParameters"]


def test_the_weights_of_base_rows_are_copied_with_the_rows(stack: Stack) -> None:
    settings = "[data]\nweight = 'w'\nignore = ['customer', 'day']\n"
    deploy(stack, range(400), settings)
    prepare(stack, range(600), settings)
    assert stack.read(f"{RUN.evaluation_input}base.csv") == stack.read(
        f"{CHAMPION_RUN.evaluation_input}new.csv"
    )
    assert stack.read(RUN.evaluation_weights("base")) == stack.read(
        CHAMPION_RUN.evaluation_weights("new")
    )


def test_the_weights_of_the_rows_that_choose_a_threshold_are_written(stack: Stack) -> None:
    costs = "[prediction]\ncosts = {false_positive = 1, false_negative = 9}\n"
    prepare(stack, range(400), f"{costs}[data]\nweight = 'w'\nignore = ['customer', 'day']\n")
    rows = rows_in(stack, f"{RUN.evaluation_input}validation.csv", 0)
    assert numbers(stack, RUN.evaluation_weights("validation")) == [n % 5 + 1 for n in rows] != []


def test_labelled_predictions_of_a_retraining_have_a_weight_of_one(stack: Stack) -> None:
    model = RetrainedModel(stack)
    stack.put("digits/model.toml", "[data]\nweight = 'e'\n")
    lines = [f"{n % 3},{key(n)},{n % 91},{n % 13},{n % 17},{n % 5 + 2}" for n in range(400)]
    model.deploy({"a.csv": "\n".join(["label,a,b,c,d,e", *lines]).encode() + b"\n"})
    labelled = {row.split(b",", 1)[1] for row in model.capture_and_label()}
    model.retrain()
    fresh = stack.read(f"{RETRAINING_RUN.evaluation_input}fresh.csv").splitlines()
    assert set(fresh) <= labelled
    assert numbers(stack, RETRAINING_RUN.evaluation_weights("fresh")) == [1] * len(fresh)
    train = [line.split(b",", 2) for line in model.rows(RETRAINING_RUN.train)]
    assert {weight for _, weight, features in train if features in labelled} == {b"1"}
    assert {weight for _, weight, features in train if features not in labelled} == {
        b"2", b"3", b"4", b"5", b"6",
    }  # fmt: skip


def test_the_manifest_records_the_cut_and_the_times_are_stored(stack: Stack) -> None:
    prepare(stack, range(400), TIME + "ignore = ['w', 'customer']\n")
    days = numbers(stack, RUN.evaluation_times("new"))
    first = (date(2024, 1, 1) - date(1970, 1, 1)).days
    assert (
        days == [first + n for n in new_rows(stack, RUN)] == list(range(first + 360, first + 400))
    )
    assert stack.get(RUN.manifest)["split"] == {
        "by": "time",
        "column": "day",
        "cut": {"kind": "date", "number": first + 359, "text": "2024-12-25"},
        "given": [],
    }


def test_base_rows_are_those_after_the_cuts_of_both_versions(stack: Stack) -> None:
    settings = TIME + "weight = 'w'\nignore = ['customer']\n"
    deploy(stack, range(400), settings)
    prepare(stack, range(420), settings)
    fair = [n for n in range(360, 400) if n > 377]
    assert rows_in(stack, f"{RUN.evaluation_input}base.csv", 0) == fair
    assert numbers(stack, RUN.evaluation_labels("base")) == [n // 7 % 2 for n in fair]
    assert numbers(stack, RUN.evaluation_weights("base")) == [n % 5 + 1 for n in fair]
    trained = {*rows_in(stack, f"{RUN.train}train.csv", 2)}
    trained |= {*rows_in(stack, f"{RUN.validation}validation.csv", 2)}
    assert not trained & set(fair)
    assert trained & set(range(360, 400))
    decision = judge(stack, RUN)
    assert [check["name"] for check in decision["checks"]] == ["floor", "base", "new"]
    assert (
        "Of the 40 held-out rows of the live version, 22 are base rows: the others are older than "
        "the new cut (2025-01-12 in 'day'), so the challenger may have been trained on them."
    ) in decision["reasons"]


def test_without_a_row_after_both_cuts_the_new_rows_decide(stack: Stack) -> None:
    settings = TIME + "ignore = ['w', 'customer']\n"
    deploy(stack, range(400), settings)
    prepare(stack, range(600), settings)
    assert f"{RUN.evaluation_input}base.csv" not in stack.keys(RUN.evaluation_input)
    decision = judge(stack, RUN)
    assert [check["name"] for check in decision["checks"]] == ["floor", "new"]
    assert decision["champion"] == 1
    assert (
        "Not comparable on base rows: all 40 of them are older than the new cut (2025-06-23 in "
        "'day'), so the challenger may have been trained on them; the new rows decide."
    ) in decision["reasons"]


def test_a_smaller_test_fraction_leaves_no_rows_that_are_fair_to_both_versions(
    stack: Stack,
) -> None:
    settings = "[data]\nignore = ['day', 'w', 'customer']\ntest_fraction = {}\n"
    deploy(stack, range(400), settings.format(0.3))
    prepare(stack, range(400), settings.format(0.1))
    decision = judge(stack, RUN)
    assert [check["name"] for check in decision["checks"]] == ["floor", "new"]
    assert any(
        "[data] test_fraction was 0.3 for the live version and is 0.1 now" in reason
        for reason in decision["reasons"]
    )


def test_three_drops_in_a_row_are_each_compared_with_the_one_before(stack: Stack) -> None:
    settings = TIME + "ignore = ['w', 'customer']\n"
    deploy(stack, range(400), settings)
    deploy(stack, range(410), settings, RUN)
    prepare(stack, range(415), settings, THIRD_RUN)
    first, second = (stack.get(keys.manifest)["split"]["cut"] for keys in (CHAMPION_RUN, RUN))
    assert first["number"] < second["number"]
    held_out = new_rows(stack, RUN)
    base = rows_in(stack, f"{THIRD_RUN.evaluation_input}base.csv", 0)
    assert base == [n for n in held_out if n in new_rows(stack, THIRD_RUN)]
    assert 0 < len(base) < len(held_out)


def test_a_drop_of_older_rows_says_that_the_champion_may_know_them(stack: Stack) -> None:
    settings = TIME + "ignore = ['w', 'customer']\n"
    deploy(stack, range(200, 600), settings)
    prepare(stack, range(400), settings)
    assert new_rows(stack, CHAMPION_RUN) == rows_in(stack, f"{RUN.evaluation_input}base.csv", 0)
    assert (
        "The new rows begin after 2024-12-25, before the cut of the live version (2025-07-13), so "
        "the live version may have been trained on some of them."
    ) in judge(stack, RUN)["reasons"]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("ignore = ['customer', 'day', 'w']", "group = 'customer'\nignore = ['day', 'w']",
         "split by a hash of each row and those of this run by group ('customer')"),
        ("group = 'customer'\nignore = ['day', 'w']", "time = 'day'\nignore = ['customer', 'w']",
         "split by group ('customer') and those of this run by time ('day')"),
        ("time = 'day'\nignore = ['customer', 'w']", "ignore = ['customer', 'day', 'w']",
         "split by time ('day') and those of this run by a hash of each row"),
    ],
)  # fmt: skip
def test_another_rule_of_splitting_makes_the_held_out_rows_incomparable(
    stack: Stack, before: str, after: str, text: str
) -> None:
    deploy(stack, range(400), f"[data]\n{before}\n")
    result = prepare(stack, range(400), f"[data]\n{after}\n")
    assert result["comparable"] is True
    decision = judge(stack, RUN)
    assert [check["name"] for check in decision["checks"]] == ["floor", "new"]
    [reason] = [reason for reason in decision["reasons"] if "Not comparable" in reason]
    assert text in reason


def test_groups_keep_their_split_over_three_runs_and_stay_comparable(stack: Stack) -> None:
    settings = "[data]\ngroup = 'customer'\nignore = ['day', 'w']\n"
    deploy(stack, range(400), settings)
    deploy(stack, range(900), settings, RUN)
    prepare(stack, range(300, 1500), settings, THIRD_RUN)
    held_out = {n % 60 for n in new_rows(stack, CHAMPION_RUN)}
    for keys in (RUN, THIRD_RUN):
        assert {n % 60 for n in new_rows(stack, keys)} == held_out
        trained = {n % 60 for n in rows_in(stack, f"{keys.train}train.csv", 1)}
        assert not trained & held_out
        assert f"{keys.evaluation_input}base.csv" in stack.keys(keys.evaluation_input)
