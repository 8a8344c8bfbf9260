"""In script mode the container runs the program that the job names, as the image's toolkit does."""

import io
import json
import tarfile

import pytest
from refit_local.algorithms.xgboost.serving.settings import ServeSettings
from xgboost_container import CSV_CHANNEL, ROWS

CODE = "/opt/ml/input/data/code"
SHOWN = """
import json, os, sys
from pathlib import Path
shown = {"arguments": sys.argv[1:], "folder": os.getcwd(), "variables": dict(os.environ)}
Path(os.environ["SM_OUTPUT_DATA_DIR"], "shown.json").write_text(json.dumps(shown))
"""


def with_program(job, code, hyperparameters=None, program="train.py", directory=CODE, **channels):
    """Write a job whose code channel holds a program."""
    given = {"sagemaker_program": program, "sagemaker_submit_directory": directory}
    channels = {"train": CSV_CHANNEL, "code": CSV_CHANNEL, **channels}
    job.write({**given, **(hyperparameters or {})}, train=ROWS, channels=channels)
    (job.base / "input/data/code" / program).write_text(code)
    return job


def shown(job):
    return json.loads((job.base / "output/data/shown.json").read_text())


def test_the_program_gets_hyperparameters_as_arguments_and_variables(job, train_here):
    hyperparameters = {"eta": "0.1", "num_round": '"7"', "on": "true", "k": "x y", "none": "null"}
    with_program(job, SHOWN, hyperparameters)
    assert train_here(job) == 0
    found = shown(job)
    assert found["arguments"] == [
        *("--eta", "0.1", "-k", "x y", "--none", ""),
        *("--num_round", "7", "--on", "True"),
    ]
    variables = found["variables"]
    decoded = {"eta": 0.1, "num_round": "7", "on": True, "k": "x y", "none": None}
    assert json.loads(variables["SM_HPS"]) == decoded
    assert (variables["SM_HP_ETA"], variables["SM_HP_NUM_ROUND"]) == ("0.1", "7")
    assert json.loads(variables["SM_USER_ARGS"]) == found["arguments"]


def test_the_program_finds_its_folders_and_any_channel_by_variables(job, train_here):
    with_program(job, SHOWN, model=CSV_CHANNEL)
    assert train_here(job) == 0
    variables = shown(job)["variables"]
    data = job.base / "input" / "data"
    for name in ("train", "model", "code"):
        assert variables[f"SM_CHANNEL_{name.upper()}"] == str(data / name)
    assert json.loads(variables["SM_CHANNELS"]) == ["code", "model", "train"]
    assert variables["SM_MODEL_DIR"] == str(job.model)
    assert variables["SM_CURRENT_HOST"] == "algo-1"
    assert json.loads(variables["SM_HOSTS"]) == ["algo-1"]
    assert shown(job)["folder"] == str(job.base / "code")


def test_the_code_may_be_an_archive_with_other_modules(job, train_here):
    with_program(job, "", directory=f"{CODE}/sourcedir.tar.gz")
    files = {"train.py": "import shown\n", "shown.py": SHOWN}
    with tarfile.open(job.base / "input/data/code/sourcedir.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    assert train_here(job) == 0
    assert shown(job)["arguments"] == []


def test_a_program_that_fails_fails_the_job_and_only_the_log_says_why(job, train_here):
    with_program(job, "raise ValueError('why')", {"eta": "1"})
    assert train_here(job) == 1
    assert job.failure.startswith('ExecuteUserScriptError:\nCommand "')
    assert job.failure.endswith(' -m train --eta 1"')


def test_what_its_toolkit_would_install_is_refused_without_a_network(job, train_here):
    with_program(job, SHOWN)
    (job.base / "input/data/code/requirements.txt").write_text("nothing\n")
    assert train_here(job) == 1
    assert job.failure.startswith('InstallModuleError:\nCommand "')
    assert job.failure.endswith(' -m pip install . -r requirements.txt"')


def test_code_in_s3_is_refused_because_the_container_has_no_network(job, train_here):
    with_program(job, SHOWN, directory="s3://bucket/sourcedir.tar.gz")
    assert train_here(job) == 1
    assert "send the code as the channel `code`" in job.message


def test_an_archive_that_is_missing_fails_the_job(job, train_here):
    with_program(job, SHOWN, directory=f"{CODE}/sourcedir.tar.gz")
    assert train_here(job) in (1, 2)
    assert "sourcedir.tar.gz" in job.message


@pytest.mark.parametrize("name", ["sagemaker_program", "sagemaker_container_log_level"])
def test_without_a_program_the_toolkits_hyperparameters_reach_the_algorithm(job, train_here, name):
    value = "null" if name == "sagemaker_program" else "20"
    job.write({"num_round": "1", name: value}, train=ROWS)
    assert train_here(job) == 1
    assert job.message == f"Extraneous hyperparameter found: {name}"


def test_serving_by_a_script_is_refused_and_not_replaced_by_the_built_in_mode():
    with pytest.raises(ValueError, match="serves models by the built-in mode only"):
        ServeSettings.from_environment({"SAGEMAKER_PROGRAM": "inference.py"})
