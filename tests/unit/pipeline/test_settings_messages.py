"""A wrong setting is explained in the words of docs/settings.md, with what to write instead."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import ModelSettings, parse_settings

PYTHON_WORDS = re.compile(
    r"tuple|dictionary|Input should|String should|pattern|instance of|integer|Field required"
)


def refusal_of(text: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        parse_settings(text)
    return str(caught.value)


def refusals_of_all_keys(value: str) -> dict[str, str]:
    """Return the messages about a value, by the key that has it."""
    messages = {}
    for section, field in ModelSettings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields:
            try:
                parse_settings(f"[{section}]\n{key} = {value}\n")
            except SettingsInvalid as error:
                messages[f"[{section}] {key}"] = str(error)
    return messages


@pytest.mark.parametrize("value", ["[[1.5]]", "2026-01-01", "{ x = [1.5] }", '"§"', "true"])
def test_no_message_needs_knowledge_of_python(value: str) -> None:
    messages = refusals_of_all_keys(value)
    assert len(messages) > 40
    assert [text for text in messages.values() if PYTHON_WORDS.search(text)] == []
    assert [key for key, text in messages.items() if key.split()[-1] not in text] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[data]\nignore = "customer_ref"',
            "[data] ignore = 'customer_ref': allowed: list of texts, such as [\"customer_ref\"]",
        ),
        ("[data]\ncolumns = 3", "[data] columns = 3: allowed: table of names and values"),
        ("[data]\nignore = [1]", "[data] ignore = [1]: allowed: list of texts"),
        ("[data]\nlabel = [1]", "[data] label = [1]: allowed: text or whole number"),
        ("[prediction]\ncosts = 3", "costs = 3: allowed: table of false_positive, false_negative"),
        ("[prediction.costs]\nfalse_positive = 1", "[prediction.costs] false_negative is missing"),
        ("training = 3", "training is a section; write [training] once"),
        ("[[training]]\nfolds = 3", "write [training] once, and its keys below it"),
        (
            "[training.hyperparameters]\neta = [1]",
            "[training.hyperparameters] eta = [1]: allowed: text, number or true/false",
        ),
        ("[gate]\nconfidence = 2", "[gate] confidence = 2: allowed: number, > 0.5, < 1"),
        ("[gate]\nmargin = inf", "[gate] margin = inf: allowed: number, ≥ 0"),
    ],
)
def test_a_value_of_another_type_is_refused_with_what_is_allowed(text: str, message: str) -> None:
    assert message in refusal_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[training]\nspot = "yes"', "spot = 'yes': allowed: true/false, without quotes"),
        ("[training]\nspot = 1", "spot = 1: allowed: true/false"),
        ('[tuning]\ntarget = "0.4"', "target = '0.4': allowed: number, without quotes"),
        ("[tuning]\ntarget = true", "target = true: allowed: number"),
        ("[training]\nfolds = true", "folds = true: allowed: whole number, ≥ 0, ≤ 20"),
        ("[training]\nfolds = 3.0", "folds = 3.0: allowed: whole number"),
        ("[tuning]\nmax_jobs = 3\n[tuning.ranges]\neta = [false, 0.5]", "a range is [min, max]"),
    ],
)
def test_texts_truth_values_and_numbers_are_not_converted(text: str, message: str) -> None:
    assert message in refusal_of(text)


def test_a_whole_number_is_a_number() -> None:
    assert parse_settings("[gate]\nmargin = 0\n").gate.margin == 0


def test_settings_are_the_same_after_they_were_recorded() -> None:
    settings = parse_settings(
        "[data]\nignore = ['a']\nmissing = [-999]\n[prediction]\n"
        "costs = { false_positive = 1, false_negative = 9 }\n[tuning]\nmax_jobs = 3\n"
        "[tuning.ranges]\neta = [0.1, 1]\nmax_depth = ['3', '4']\n[monitoring]\n"
        "critical_features = ['b']\n"
    )
    assert ModelSettings.model_validate_json(settings.model_dump_json()) == settings
    assert ModelSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds = 3", "folds = 3 is above any section; put it below [training]"),
        ("min_labels = 3", "put it below [monitoring] or [retraining]"),
        ("fold = 3", "no section has such a key; did you mean 'folds'? sections: data, "),
        ("[train]\nfolds = 3", "[train] is not a known key; did you mean 'training'? allowed: "),
        ("[gate]\nfolds = 3", "[gate] folds is not a known key; it is a key of [training]. "),
        ("[gate]\nmetrc = 'rmse'", "did you mean 'metric'? allowed: metric, floor"),
        ("[gate]\nmetric = 'rsme'", "metric = 'rsme': did you mean 'rmse'? allowed: auto, "),
        ("[data]\ntask = 'classificaton'", "did you mean 'classification'? allowed: 'auto'"),
        ("[training]\nalgorithm = 'xgbost'", "did you mean 'xgboost'? allowed: "),
        ("[training]\ninstance_type = 'm5.large'", "did you mean 'ml.m5.large'? allowed: "),
        ("[deployment]\ninstance_type = 'ml.m5.lage'", "did you mean 'ml.m5.large'"),
        ("[training.hyperparameters]\netaa = 1", "did you mean 'eta'? allowed: aft_loss"),
        (
            "[training.hyperparameters]\nobjective = 'binary:logistc'",
            "did you mean 'binary:logistic' or 'binary:logitraw'? allowed: ",
        ),
        ("[tuning.ranges]\nmax_dept = [1, 3]", "did you mean 'max_depth'? SageMaker's XGBoost"),
    ],
)
def test_the_probable_name_is_said_before_the_list_of_all(text: str, message: str) -> None:
    assert message in refusal_of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[training]\nspot = true\nmax_wait_s = 100",
            "max_wait_s = 100 must be at least max_runtime_s = 3600",
        ),
        (
            "[data]\nvalidation_fraction = 0.5\ntest_fraction = 0.5",
            "validation_fraction = 0.5 and test_fraction = 0.5 together must be less than 1",
        ),
        (
            "[prediction]\nthreshold = 0.2\ncosts = { false_positive = 1, false_negative = 2 }",
            "threshold = 0.2 and costs = { false_positive = 1.0, false_negative = 2.0 }",
        ),
        (
            "[monitoring]\nlabel_wait_s = 60",
            "label_wait_s = 60 must be at least label_age_s = 86400",
        ),
        (
            "[monitoring]\nmax_label_age_s = 60",
            "max_label_age_s = 60 must be at least label_wait_s = 259200 (by default 3 × "
            "label_age_s) plus cohort_s = 3600, which is 262800",
        ),
        ("[data]\ngroup = 'a'\ntime = 'b'", "time = 'b': [data] group = 'a' is set too"),
        ("[data]\nlabel = 'a'\ntime = 'a'", "time = 'a': [data] label = 'a' names the same"),
        (
            "[data]\nweight = 'a'\n[training]\nalgorithm = 'linear-learner'",
            "[data] weight = 'a' needs algorithm = 'xgboost', because 'linear-learner'",
        ),
        (
            "[training]\nalgorithm = 'linear-learner'\n[tuning]\nmax_jobs = 3",
            "max_jobs = 3 needs [training] algorithm = 'xgboost', and it is 'linear-learner'",
        ),
        (
            "[training]\nalgorithm = 'linear-learner'\nscript = 'a.py'",
            "script = 'a.py' needs algorithm = 'xgboost', and it is 'linear-learner'",
        ),
        (
            "[training]\nalgorithm = 'linear-learner'\nfolds = 3\nfinal = 'ensemble'",
            "models together, and algorithm is 'linear-learner'; set final to 'all'",
        ),
    ],
)
def test_keys_that_do_not_fit_together_are_named_with_their_values(text: str, message: str) -> None:
    assert message in refusal_of(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            "[training]\nfolds = 3\nfolds = 4",
            "[training] folds is set in line 2 and again in line 3: remove one of them",
        ),
        (
            "[training]\nfolds = 3\n[gate]\n[training]\nspot = true",
            "The section [training] begins in line 1 and again in line 4",
        ),
        (
            "[training] folds = 3",
            "Write two lines: the section [training], and below it folds = 3",
        ),
        ("[data]\nlabel = price  # in euros", 'Write label = "price" in line 2'),
        ("[data]\nlabel: price", 'Write = instead of : in line 2: label = "price"'),
        ("[training]\nspot = True", "Write spot = true in line 2"),
    ],
)
def test_a_common_mistake_in_toml_gets_its_own_advice(text: str, advice: str) -> None:
    assert f"). {advice}" in refusal_of(text)


def test_a_comment_after_a_section_is_not_taken_for_a_key() -> None:
    assert "Write two lines" not in refusal_of("[training]  # the job\nfolds = [")
