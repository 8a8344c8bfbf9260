"""A training may continue a version only if both fit, and the settings say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import parse_settings
from refit.domain.pipeline.continuation import Continuation, TrainedRun, continued
from refit.domain.pipeline.split_rule import SplitRule
from refit.domain.schema import Schema
from refit.domain.training_settings import TrainingSettings

COLUMNS = [
    {"name": "width", "type": "number"},
    {"name": "colour", "type": "category", "values": ["blue", "red"]},
]


def schema(**values: Any) -> Schema:
    members = {
        "task": "classification",
        "label": "kind",
        "features": COLUMNS,
        "classes": ["iris", "rose"],
    }
    return Schema.model_validate(members | values)


def trained(**settings: Any) -> TrainedRun:
    return TrainedRun(
        schema=schema(),
        settings=TrainingSettings.model_validate({"continue_from": "champion"} | settings),
        objective="binary:logistic",
        split=SplitRule(),
        test_fraction=0.1,
        validation_fraction=0.1,
    )


def colours(*values: str) -> Schema:
    return schema(features=[COLUMNS[0], COLUMNS[1] | {"values": list(values)}])


def with_hyperparameters(**values: Any) -> TrainedRun:
    return trained(hyperparameters=values)


EARLIER = trained()


def test_a_version_with_the_same_columns_and_settings_is_continued() -> None:
    assert continued(3, EARLIER, trained(), 1) == Continuation(version=3, times=1)


def test_a_new_category_has_a_new_code_and_is_no_obstacle() -> None:
    run = replace(trained(), schema=colours("blue", "red", "green"))
    assert continued(3, EARLIER, run, 1).version == 3


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (
            replace(trained(), schema=schema(classes=["iris", "rose", "tulip"])),
            r"version 3 has 2 classes, and this run has 3 \(new: 'tulip'\)",
        ),
        (
            replace(trained(), schema=schema(label="sort")),
            "version 3 predicts 'kind', and this drop's label is 'sort'",
        ),
        (
            replace(trained(), schema=schema(features=COLUMNS[:1])),
            "the columns differ from those of version 3: 2 feature columns became 1",
        ),
        (
            replace(trained(), schema=colours("red", "blue")),
            "the categories of 'colour' have other codes than in version 3",
        ),
        (
            trained(image_tag="3.2-0"),
            "version 3 was trained by image '3.0-5', and image_tag is '3.2-0'",
        ),
        (
            with_hyperparameters(objective="binary:logitraw"),
            "version 3 was trained with objective = binary:logistic, and objective is binary:logit",
        ),
        (
            with_hyperparameters(num_parallel_tree=4),
            "version 3 was trained with num_parallel_tree = 1, and num_parallel_tree is 4 now",
        ),
        (
            replace(trained(), split=SplitRule(by="group", column="garden")),
            r"were split by a hash of each row and those of this run by group \('garden'\), so "
            "version 3 may have been trained on rows that this run holds out",
        ),
        (
            replace(trained(), test_fraction=0.2, validation_fraction=0),
            r"\[data\] test_fraction = 0.2 and validation_fraction = 0 hold out rows that "
            "version 3 was trained on: its fractions were 0.1 and 0.1; set no larger ones",
        ),
        (
            replace(trained(), validation_fraction=0.3),
            r"test_fraction = 0.1 and validation_fraction = 0.3 hold out rows",
        ),
        (
            with_hyperparameters(eval_metric="mse"),
            "eval_metric = mse: only the image's built-in mode computes it",
        ),
        (
            with_hyperparameters(save_model_on_termination=True),
            "save_model_on_termination belongs to the image's built-in mode",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_what_differs(run: TrainedRun, why: str) -> None:
    with pytest.raises(SettingsInvalid, match=why) as caught:
        continued(3, EARLIER, run, 1)
    text = str(caught.value)
    assert text.startswith("model.toml: [training] continue_from = 'champion': ")
    assert text.endswith("To train from the first round, leave continue_from out")


def test_smaller_shares_of_held_out_rows_are_no_obstacle() -> None:
    run = replace(trained(), test_fraction=0.05, validation_fraction=0.15)
    assert continued(3, EARLIER, run, 1).version == 3


def test_a_version_of_another_algorithm_is_not_continued() -> None:
    earlier = replace(EARLIER, settings=TrainingSettings(algorithm="linear-learner"))
    with pytest.raises(SettingsInvalid, match="version 3 was trained by algorithm 'linear-learn"):
        continued(3, earlier, trained(), 1)


def test_an_ensemble_is_not_continued() -> None:
    earlier = replace(
        EARLIER, settings=TrainingSettings.model_validate({"folds": 3, "final": "ensemble"})
    )
    with pytest.raises(SettingsInvalid, match="version 3 is an ensemble of 3 models"):
        continued(3, earlier, trained(), 1)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_held_out_rows_that_the_drop_defines_are_named_as_a_doubt(split: str) -> None:
    run = replace(trained(), split=SplitRule(given=(split,)))
    found = continued(3, EARLIER, run, 2)
    assert found.sentence == (
        "continued the training of version 3 (2 continuations in a row). The drop itself defines "
        "the held-out rows, so Refit cannot tell whether version 3 was trained on some of them"
    )


def test_training_rows_that_the_drop_defines_are_no_doubt() -> None:
    run = replace(trained(), split=SplitRule(given=("train",)))
    assert continued(3, EARLIER, run, 1).notes == ()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("[training]\ncontinue_from = 'live'", "allowed: 'champion', or the number of a version"),
        ("[training]\ncontinue_from = 0", "allowed: 'champion', or the number of a version"),
        ("[training]\ncontinue_from = true", "allowed: 'champion', or the number of a version"),
        (
            "[training]\ncontinue_from = 'champion'\nfolds = 3",
            "continue_from = 'champion' does not fit folds = 3: the earlier model was trained on",
        ),
        (
            "[data]\ntime = 'day'\n[training]\ncontinue_from = 2",
            r"continue_from = 2 does not fit \[data\] time = 'day': the cut in time moves",
        ),
        (
            "[training]\ncontinue_from = 2\n[tuning]\nmax_jobs = 5",
            r"max_jobs = 5 does not fit \[training\] continue_from = 2: a tuning job searches",
        ),
        (
            "[training]\nalgorithm = 'linear-learner'\ncontinue_from = 2",
            "continue_from = 2 needs algorithm = 'xgboost' or an image of your own: ",
        ),
        ("[training]\nmax_continuations = 0", "allowed: whole number, ≥ 1, ≤ 100"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_the_reason(settings: str, why: str) -> None:
    with pytest.raises(SettingsInvalid, match=why):
        parse_settings(settings)


@pytest.mark.parametrize("value", ["'champion'", "7"])
def test_the_champion_and_a_number_are_allowed(value: str) -> None:
    parsed = parse_settings(f"[training]\ncontinue_from = {value}")
    assert str(parsed.training.continue_from) == value.strip("'")
