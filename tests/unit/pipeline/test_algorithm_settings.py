"""The settings of algorithm, image and container: what they allow, and what they refuse."""

from __future__ import annotations

import re

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import ModelSettings, parse_settings
from refit.domain.pipeline.algorithms import CATALOGUE, AnswerForm, algorithm_of, image_of

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/churn:1"
OWN = f'[training]\nimage = "{IMAGE}"\n'
LINEAR = '[training]\nalgorithm = "linear-learner"\n'


def training(text: str):
    return parse_settings(text).training


def test_without_settings_xgboost_trains() -> None:
    settings = ModelSettings().training
    assert algorithm_of(settings).name == "xgboost"
    assert image_of(settings, "us-east-1").endswith("/sagemaker-xgboost:3.0-5")


def test_an_image_is_an_algorithm_of_ones_own() -> None:
    for text in (OWN, OWN + 'algorithm = "own"\n'):
        assert algorithm_of(training(text)).name == "own"
        assert image_of(training(text), "eu-central-1") == IMAGE


def test_the_linear_learner_is_the_image_of_the_region() -> None:
    image = image_of(training(LINEAR), "eu-central-1")
    assert image == "664544806723.dkr.ecr.eu-central-1.amazonaws.com/linear-learner:1"


def test_the_container_says_what_it_reads_and_answers() -> None:
    algorithm = algorithm_of(
        training(
            OWN + '[training.container]\naccept = "application/jsonlines"\n'
            "content_type = 'application/x-table'\n[training.container.metrics]\nloss = 'l=(.*)'"
        )
    )
    assert algorithm.channel_type == "application/x-table"
    assert algorithm.accept == algorithm.batch_accept == "application/jsonlines"
    assert algorithm.batch_form is AnswerForm.SCORES
    assert algorithm.metrics == (("loss", "l=(.*)"),)


def test_no_algorithm_of_the_catalogue_continues_a_model_from_a_channel() -> None:
    """Neither document nor container of them has a channel `model`."""
    assert not any(algorithm.takes_model_channel for algorithm in CATALOGUE.values())


def test_hyperparameters_of_an_own_container_are_free() -> None:
    values = training(OWN + '[training.hyperparameters]\nanything = "x"\nC = 0.5\n').hyperparameters
    assert values == {"anything": "x", "C": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nimage = 'churn:1'", "[training] image = 'churn:1': "),
        ("[training]\nimage = 'docker.io/library/python:3'", "URI of an image in a private"),
        (f"[training]\nimage = '{IMAGE[:-2]}'", "with a tag or a digest"),
        ("[training]\nalgorithm = 'own'", "set [training] image"),
        (OWN + "algorithm = 'xgboost'", "remove one of the two"),
        ("[training]\nalgorithm = 'lightgbm'", "'xgboost', 'linear-learner', 'own'"),
        ("[training.container]\naccept = 'application/jsonlines'", "set [training] image"),
        (
            OWN + "[training.container]\naccept = 'image/png'",
            "'text/csv', 'application/jsonlines'",
        ),
        (OWN + "[training.container.metrics]\nl = 'loss'", "allowed: one, around the value"),
        (OWN + "[training.container.metrics]\nl = '(loss'", "is no regular expression"),
        (OWN + "network_isolation = false", "without network access; allowed: true"),
        (OWN + "folds = 3\nfinal = 'ensemble'", "only the XGBoost image"),
        (OWN + "[tuning]\nmax_jobs = 4", "max_jobs = 4 needs [training] algorithm = 'xgboost'"),
        (OWN + "[data]\nweight = 'w'", "[data] weight = 'w' needs algorithm = 'xgboost'"),
        (OWN + f"[training.hyperparameters]\na = '{'x' * 2501}'", "SageMaker allows 2500"),
        (OWN + '[training.hyperparameters]\na = "x\\ny"', "a has a line break"),
        (LINEAR + "[training.hyperparameters]\neta = 0.1", "eta is not a hyperparameter"),
        (LINEAR + "[training.hyperparameters]\nepochs = 0", "epochs = 0 is not allowed"),
        (LINEAR + "[training.hyperparameters]\nloss = 'hinge_loss'", "allowed: auto, logistic"),
        (LINEAR + "[training.hyperparameters]\nfeature_dim = 3", "feature_dim is not"),
    ],
)
def test_a_wrong_setting_is_refused_by_key_and_allowed_values(text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(message)):
        parse_settings(text)


@pytest.mark.parametrize(
    "name", ["sagemaker_program", "sagemaker_submit_directory", "sagemaker_container_log_level"]
)
@pytest.mark.parametrize("text", ["[training]\n", LINEAR])
def test_an_algorithm_of_the_catalogue_gets_no_hyperparameter_that_names_code(
    name: str, text: str
) -> None:
    with pytest.raises(SettingsInvalid, match=f"{name} is not a hyperparameter"):
        parse_settings(f"{text}[training.hyperparameters]\n{name} = 's3://bucket/code.tar.gz'\n")
