"""A program of a user is named in the settings, and nothing else in them runs code."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import parse_settings
from refit.domain.pipeline.continuation import TrainedRun, continued
from refit.domain.pipeline.failure import explain_failure
from refit.domain.pipeline.script_record import CodeFile, ScriptRecord
from refit.domain.pipeline.split_rule import SplitRule
from refit.domain.schema import Schema
from refit.domain.training_settings import TrainingSettings

HYPERPARAMETERS = "[training.hyperparameters]\n"


@pytest.mark.parametrize(
    "name", ["train", "../train.py", "code/train.py", "a b.py", "-c.py", "x.py; rm", "train.py\\n"]
)
def test_a_program_is_the_name_of_a_python_file(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"script = .*: allowed: the name of a"):
        parse_settings(f'[training]\nscript = "{name}"')


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            "[training]\nscript = 'train.py'\nnetwork_isolation = false",
            "network_isolation = false does not fit script = 'train.py': a program of your own",
        ),
        (
            "[training]\nscript = 'train.py'\n[tuning]\nmax_jobs = 4",
            r"max_jobs = 4 does not fit \[training\] script = 'train.py'",
        ),
        (
            "[training]\nalgorithm = 'linear-learner'\nscript = 'train.py'",
            "script = 'train.py' needs algorithm = 'xgboost'",
        ),
    ],
)
def test_settings_that_do_not_fit_a_program_are_refused(settings: str, why: str) -> None:
    with pytest.raises(SettingsInvalid, match=why):
        parse_settings(settings)


@pytest.mark.parametrize(
    "line",
    [
        "sagemaker_program = 'train.py'",
        "sagemaker_submit_directory = 's3://bucket/code.tar.gz'",
        "sagemaker_container_log_level = 10",
        'monotone_constraints = \'(__import__("os").system("id"),)\'',
    ],
)
def test_hyperparameters_of_the_settings_select_no_program(line: str) -> None:
    with pytest.raises(SettingsInvalid, match="hyperparameters"):
        parse_settings(HYPERPARAMETERS + line)


def trained(script: str | None) -> TrainedRun:
    schema = {"task": "regression", "label": "sold", "features": [], "classes": None}
    return TrainedRun(
        schema=Schema.model_validate(schema),
        settings=TrainingSettings(script=script),
        objective="reg:squarederror",
        split=SplitRule(),
        test_fraction=0.1,
        validation_fraction=0.1,
    )


def test_a_version_of_another_program_is_not_continued() -> None:
    mine = trained("train.py")
    assert continued(3, replace(mine), mine, 1).version == 3
    with pytest.raises(
        SettingsInvalid,
        match=r"version 3 was trained by the image's built-in mode, and this run is trained by "
        "script = 'train.py'",
    ):
        continued(3, trained(None), mine, 1)


def test_the_record_names_the_version_of_the_program() -> None:
    files = (CodeFile(path="helper.py", version="v8"), CodeFile(path="train.py", version="v9"))
    record = ScriptRecord(program="train.py", packed="k", files=files)
    assert record.sentence == "was trained by code/train.py (version v9) and 1 other file"


def test_the_failure_of_a_program_says_where_its_error_is() -> None:
    reason = 'AlgorithmError: ExecuteUserScriptError:\nCommand "python -m train", exit code: 1'
    job = {"TrainingJobName": "j-0", "TrainingJobStatus": "Failed", "FailureReason": reason}
    failure = explain_failure({"Error": "States.TaskFailed", "Cause": json.dumps(job)})
    assert failure.name == "TrainingJobFailed"
    assert failure.message == (
        f"j-0: {reason}. More is in its log: aws logs tail /aws/sagemaker/TrainingJobs "
        "--log-stream-name-prefix j-0/ --since 1d"
    )
