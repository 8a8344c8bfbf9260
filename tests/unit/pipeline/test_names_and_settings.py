"""Resource names that SageMaker accepts, settings and their errors, images and failure texts."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.errors import ModelNameInvalid, SettingsInvalid
from refit.domain.model_settings import (
    ModelSettings,
    as_recorded_now,
    parse_settings,
    settings_text,
)
from refit.domain.naming import ResourceNames, checked_model_name, model_of_group, run_id
from refit.domain.pipeline.failure import explain_failure
from refit.domain.pipeline.images import ACCOUNTS, xgboost_image_uri

SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\Z")
IMAGE_URI = re.compile(
    r"\d{12}\.dkr\.ecr\.[a-z]{2}(-[a-z]+)+-\d\.[a-z0-9.-]+/sagemaker-xgboost:3\.0-5\Z"
)
MODEL_NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,22}[a-z0-9]", fullmatch=True)


@pytest.mark.parametrize(
    "name", ["", "../etc", "My Model", "a" * 200, "a" * 25, "1st", "a_b", "a-", "a/b", "ä", "a\n"]
)
def test_an_invalid_model_name_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(ModelNameInvalid, match="1 to 24 of a-z, 0-9 and hyphen") as caught:
        checked_model_name(name)
    assert len(str(caught.value)) < 300


@given(MODEL_NAMES, st.integers(1, 99_999))
def test_every_resource_name_fits_sagemaker(model: str, version: int) -> None:
    names = ResourceNames("abcdefghijkl", checked_model_name(model))
    run = run_id(model, [("k", "v")])
    resources = [
        names.endpoint,
        names.model_package_group,
        f"{names.job(run)}-0",
        f"{names.job(run)}-challenger-9",
        f"{names.fold_job(run, 19)}-oof-9",
        names.ensemble(run),
        names.deployed(version, "0123abcd"),
        names.variant(version),
    ]
    for name in resources:
        assert len(name) <= 63
        assert SAGEMAKER_NAME.match(name)
    assert model_of_group("abcdefghijkl", names.model_package_group) == model


@pytest.mark.parametrize(
    ("job", "trained"),
    [("refit-m-r1-0", "training"), ("refit-m-r1-f0-1", "fold 1"), ("refit-m-r1-f12-0", "fold 13")],
)
def test_a_job_name_says_what_is_trained(job, trained):
    assert ResourceNames("refit", "m").trained_by("r1", job) == trained


def test_a_run_id_depends_on_the_versions_of_the_files_and_not_on_their_order() -> None:
    files = [("m/raw/a.csv", "1"), ("m/raw/b.csv", "1")]
    assert run_id("m", files) == run_id("m", files[::-1])
    assert run_id("m", files) != run_id("m", [("m/raw/a.csv", "2"), ("m/raw/b.csv", "1")])
    assert run_id("m", files) != run_id("n", files)


def test_an_empty_settings_file_gives_the_defaults() -> None:
    assert parse_settings("") == ModelSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[data]\nlabels = 'y'",
            r"\[data\] labels is not a known key; .*allowed: task, label",
        ),
        ("[gate]\nmargin = -0.1", r"\[gate\] margin = -0.1: allowed: number, ≥ 0"),
        (
            "[deploy]\nx = 1",
            r"\[deploy\] is not a known key; .*allowed: data, training",
        ),
        ("[data\n", "not valid TOML"),
        (
            "[data]\nignore = ['size']\ncolumns = { ' size' = 'number' }",
            r"\[data\] columns = .*\[data\] ignore names ' size' too, .* as number",
        ),
        (
            "[deployment]\ntermination_wait_s = 0",
            r"\[deployment\] termination_wait_s is no setting any more: .*delete the line",
        ),
        ("[training]\ninstance_type = 'big'", r"\[training\] instance_type = 'big'"),
        (
            "[training]\nspot = true\nmax_runtime_s = 600\nmax_wait_s = 60",
            "max_wait_s = 60 must be at least max_runtime_s = 600",
        ),
    ],
)
def test_an_invalid_setting_is_named_with_its_value_and_what_is_allowed(
    text: str, message: str
) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        parse_settings(text)


def test_a_manifest_that_has_a_key_of_an_earlier_version_is_read() -> None:
    recorded = ModelSettings().model_dump(mode="json")
    recorded["deployment"]["termination_wait_s"] = 0
    assert ModelSettings.model_validate(as_recorded_now(recorded)) == ModelSettings()


@pytest.mark.parametrize(("cohort_s", "season_s"), [(3600, 604_800), (5000, 0), (604_800, 604_800)])
def test_recorded_cohorts_that_fit_no_season_are_judged_without_it(
    cohort_s: int, season_s: int
) -> None:
    recorded = {"monitoring": {"cohort_s": cohort_s}}
    settings = ModelSettings.model_validate(as_recorded_now(recorded))
    assert settings.monitoring.season_s == season_s


def test_the_image_uri_has_the_account_of_its_region() -> None:
    assert xgboost_image_uri("eu-central-1", "3.0-5") == (
        "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:3.0-5"
    )
    assert xgboost_image_uri("us-east-1", "1.7-1") == (
        "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
    )


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-gov-west-1", "amazonaws.com"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
        ("us-isof-south-1", "csp.hci.ic.gov"),
    ],
)
def test_the_image_uri_has_the_domain_of_the_partition(region: str, domain: str) -> None:
    uri = xgboost_image_uri(region, "3.2-0")
    assert f".dkr.ecr.{region}.{domain}/" in uri


def test_the_image_uri_of_every_region_is_valid() -> None:
    for region in ACCOUNTS:
        assert IMAGE_URI.match(xgboost_image_uri(region, "3.0-5")), region


def test_a_region_without_the_image_is_refused_with_the_regions_that_have_it() -> None:
    with pytest.raises(SettingsInvalid, match=r"moon-1.*eu-west-1"):
        xgboost_image_uri("moon-1", "3.0-5")


@pytest.mark.parametrize(
    ("cause", "name", "message"),
    [
        (
            json.dumps({"errorType": "DatasetEmpty", "errorMessage": "no row"}),
            "DatasetEmpty",
            "no row",
        ),
        (
            json.dumps(
                {"TrainingJobName": "j", "TrainingJobStatus": "Failed", "FailureReason": "why"}
            ),
            "TrainingJobFailed",
            "j: why",
        ),
        ("plain text", "States.TaskFailed", "plain text"),
        ("[1]", "States.TaskFailed", "[1]"),
    ],
)
def test_a_caught_error_is_explained_with_its_own_name_and_message(
    cause: str, name: str, message: str
) -> None:
    failure = explain_failure({"Error": "States.TaskFailed", "Cause": cause})
    assert (failure.name, failure.message) == (name, message)


def test_a_byte_order_mark_before_the_settings_is_ignored() -> None:
    parsed = parse_settings(settings_text(b"\xef\xbb\xbf[data]\nlabel = 3\n"))
    assert parsed.data.label == 3


@pytest.mark.parametrize("content", ["[data]".encode("utf-16"), b"label = '\xf6'"])
def test_settings_that_are_not_utf8_are_refused(content: bytes) -> None:
    with pytest.raises(SettingsInvalid, match=r"model\.toml is (UTF-16|not UTF-8) text.*save it"):
        settings_text(content)
