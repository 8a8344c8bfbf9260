"""What `[tuning]` allows, and how a mistake is explained."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import RULES
from refit.domain.model_settings import ModelSettings, parse_settings
from refit.domain.tuning_settings import TUNABLE, NumberRange


def refusal_of(text: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text)
    return str(caught.value)


def test_without_the_table_nothing_is_tuned() -> None:
    assert not parse_settings("").tuning.is_on


def test_a_range_has_three_forms() -> None:
    tuning = parse_settings(
        '[tuning]\nmax_jobs = 12\n[tuning.ranges]\nmax_depth = [3, 9]\nsubsample = ["0.5", "1"]\n'
        'eta = { min = 0.01, max = 0.3, scaling = "logarithmic" }'
    ).tuning
    assert tuning.ranges == {
        "max_depth": NumberRange(min=3, max=9),
        "subsample": ("0.5", "1"),
        "eta": NumberRange(min=0.01, max=0.3, scaling="logarithmic"),
    }


def test_recorded_settings_are_read_back_as_they_were() -> None:
    settings = parse_settings(
        '[tuning]\nmax_jobs = 3\n[tuning.ranges]\neta = [0.1, 0.3]\nmax_depth = ["3", "4"]'
    )
    assert ModelSettings.model_validate_json(settings.model_dump_json()) == settings


def test_an_alias_names_the_same_hyperparameter() -> None:
    text = "[tuning]\nmax_jobs = 3\n[tuning.ranges]\nlearning_rate = [0.1, 0.3]"
    assert list(parse_settings(text).tuning.ranges) == ["eta"]
    assert "named twice" in refusal_of(f"{text}\neta = [0.1, 0.2]")


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        ("eta = [0.01, 3]", "eta: 3 is not allowed; allowed: a number ≥ 0 and ≤ 1"),
        ("max_depth = [3.5, 8]", "max_depth: 3.5 is not allowed; allowed: a whole number ≥ 0"),
        ("max_depth = [8, 3]", "min = 8 must be less than max = 3"),
        ("max_depth = [3, 5, 8]", "a range is [min, max]"),
        ("max_depth = { low = 3, max = 8 }", "a range is [min, max]"),
        ("max_depth = [true, false]", "max_depth"),
        ('max_depth = ["3", "3"]', "a value is listed twice"),
        ('max_depth = ["3", "deep"]', "'deep' is not allowed"),
        ("max_bin = [32, 256]", "max_bin cannot be searched; SageMaker's XGBoost allows num_round"),
        ('lambda = { min = 0, max = 9, scaling = "logarithmic" }', "needs a min > 0"),
        ('subsample = { min = 0.5, max = 1, scaling = "reverse_logarithmic" }', "max < 1"),
        (f"max_depth = {[str(depth) for depth in range(31)]}", "31 values; SageMaker allows 30"),
    ],
)
def test_a_range_that_sagemaker_or_the_container_refuses_is_refused_by_name(
    ranges: str, text: str
) -> None:
    message = refusal_of(f"[tuning]\nmax_jobs = 3\n[tuning.ranges]\n{ranges}")
    assert message.startswith("model.toml: [tuning")
    assert text in message


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ("max_jobs = 1", "a search has at least 2 trials"),
        ("max_jobs = 501", "allowed: whole number, ≥ 0, ≤ 500"),
        ("max_jobs = 9\nmax_parallel = 101", "allowed: whole number, ≥ 1, ≤ 100"),
        ('strategy = "hyperband"\nearly_stopping = "auto"', "set early_stopping = 'off'"),
        ('max_jobs = 4\nstrategy = "grid"', "searches lists of texts"),
        (
            'max_jobs = 4\nstrategy = "grid"\nranges = { max_depth = [3, 9] }',
            "max_depth is a range of numbers",
        ),
        (
            'max_jobs = 4\nstrategy = "grid"\n'
            'ranges = { max_depth = ["3", "9"], eta = ["0.1", "0.2", "0.3"] }',
            "set max_jobs = 6",
        ),
        ("max_jobs = 4\nranges = { max_depth = [3, 5] }", "only 3 combinations"),
        (
            "max_jobs = 4\nmin_jobs = 2",
            "min_jobs is not a known key; did you mean 'max_jobs'?",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_with_what_is_allowed(
    keys: str, text: str
) -> None:
    assert text in refusal_of(f"[tuning]\n{keys}")


@given(st.sampled_from(TUNABLE), st.floats(-2, 30), st.floats(-2, 30))
def test_every_bound_of_an_allowed_range_is_one_that_the_container_takes(
    name: str, low: float, high: float
) -> None:
    try:
        tuning = parse_settings(
            f"[tuning]\nmax_jobs = 2\n[tuning.ranges]\n{name} = [{low!r}, {high!r}]"
        ).tuning
    except SettingsInvalid:
        return
    searched = tuning.ranges[name]
    assert isinstance(searched, NumberRange)
    assert RULES[name].allows(str(searched.min))
    assert RULES[name].allows(str(searched.max))
