"""A setting without an effect is refused, or noted if it was probably kept on purpose."""

from __future__ import annotations

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import ModelSettings, parse_settings
from refit.domain.monitoring.critical_features import check_critical_features
from refit.domain.schema import Feature, Schema
from refit.domain.settings_effects import effect_notes

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/churn:1"
SCHEMA = Schema(
    task="regression",
    label="price",
    features=(Feature(name="rooms", type="number"), Feature(name="age", type="number")),
    left_out={"id": "it counts the rows"},
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[training]\nfolds_at_a_time = 2",
            "folds_at_a_time = 2 has no effect without [training] folds; set this to 2 or more",
        ),
        ("[training]\nmax_continuations = 3", "without [training] continue_from; set this to"),
        ("[training]\nmax_wait_s = 9000", "without [training] spot; set this to true"),
        (f"[training]\nimage = '{IMAGE}'\nimage_tag = '3.2-0'", "no effect with image = "),
        (
            "[training]\nalgorithm = 'linear-learner'\nimage_tag = '3.2-0'",
            "no effect with algorithm = 'linear-learner'",
        ),
        ("[tuning]\nstrategy = 'random'", "strategy = 'random' has no effect without [tuning] max"),
        ("[tuning]\nmax_parallel = 3", "max_parallel = 3 has no effect without"),
        ("[tuning]\nmetric = 'auc'", "metric = 'auc' has no effect without"),
        ("[tuning]\nseed = 3", "seed = 3 has no effect without"),
        ("[tuning.ranges]\neta = [0.1, 0.3]", "[tuning] ranges = { eta = "),
        (
            "[training.hyperparameters]\nrate_drop = 0.1",
            "rate_drop = 0.1 has no effect without booster = 'dart'",
        ),
        (
            "[training.hyperparameters]\neta = 0.1\nlearning_rate = 0.2",
            "learning_rate = 0.2 and eta = 0.1 are the same hyperparameter",
        ),
    ],
)
def test_a_key_without_the_setting_that_it_needs_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (
            "[tuning]\nmax_jobs = 0\nstrategy = 'random'\nseed = 3\nmax_parallel = 1",
            ["[tuning] strategy, seed have no effect with [tuning] max_jobs = 0"],
        ),
        (
            "[training]\nfolds = 0\nfolds_at_a_time = 2",
            ["[training] folds_at_a_time has no effect with [training] folds = 0"],
        ),
        (
            "[training]\nspot = false\nmax_wait_s = 60",
            ["[training] max_wait_s has no effect with [training] spot = false"],
        ),
        (
            "[monitoring]\ncapture = 'off'\ntolerance = 0.1\nmax_latency_ms = 5\n"
            "[batch]\ncapture_rows = 3",
            [
                "[monitoring] tolerance has no effect with [monitoring] capture = 'off'",
                "[batch] capture_rows has no effect with [monitoring] capture = 'off'",
            ],
        ),
        (
            "[retraining]\nenabled = false\ncooldown_s = 3\nmin_labels = 500",
            ["[retraining] cooldown_s has no effect with [retraining] enabled = false"],
        ),
        (
            "[tuning]\nmax_jobs = 2\nmax_parallel = 5",
            ["[tuning] max_parallel = 5 has no more effect than 2, because max_jobs = 2"],
        ),
        (
            "[training]\nfolds = 2\nfolds_at_a_time = 4",
            ["[training] folds_at_a_time = 4 has no more effect than 2, because folds = 2"],
        ),
        ("[training]\nfolds = 4\nfolds_at_a_time = 4\n[tuning]\nmax_jobs = 4", []),
    ],
)
def test_keys_of_something_that_is_turned_off_are_noted(text: str, notes: list[str]) -> None:
    assert effect_notes(parse_settings(text)) == notes


def test_settings_that_a_run_has_recorded_are_neither_refused_nor_noted() -> None:
    recorded = ModelSettings().model_dump(mode="json")
    recorded["tuning"]["strategy"] = "random"
    recorded["training"]["max_wait_s"] = 100
    assert ModelSettings.model_validate(recorded).tuning.strategy == "random"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothere", "names 'nothere', which is no column of the data; the features are 'rooms', "),
        ("Rooms", "which is no column of the data; did you mean 'rooms'? "),
        ("price", "which is the label; "),
        ("id", "which is no feature of the model: it counts the rows; "),
    ],
)
def test_a_critical_feature_that_is_none_is_refused(name: str, message: str) -> None:
    settings = parse_settings(f"[monitoring]\ncritical_features = ['{name}']").monitoring
    with pytest.raises(SettingsInvalid) as caught:
        check_critical_features(settings, SCHEMA)
    assert message in str(caught.value)


def test_a_critical_feature_is_compared_without_surrounding_blanks() -> None:
    settings = parse_settings("[monitoring]\ncritical_features = [' rooms']").monitoring
    check_critical_features(settings, SCHEMA)
    assert settings.is_critical("rooms")
