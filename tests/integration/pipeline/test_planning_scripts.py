"""PlanTraining sends the program of a user to the job, where the stack allows it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from typing import Any

import pytest
from refit.domain.errors import SettingsInvalid
from refit.handlers import plan_training
from refit.handlers.wiring import services
from refit_local.sagemaker.integration_fields import unsupported_fields

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.model_files import manifest
from tests.support.sagemaker_requests import assert_valid_request
from tests.support.template import RESOURCES

RUN = "0f1e2d3c4b5a"
SETTINGS = '[training]\nscript = "train.py"\n'


@pytest.fixture
def active(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("ALLOWED_SCRIPTS", "yes")
    services().models.begin_run("digits", RUN, "drop", None)
    classes = list(map(str, range(10)))
    schema = {"task": "classification", "label": "digit", "features": [], "classes": classes}
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, SETTINGS))
    stack.put(f"digits/runs/{RUN}/schema.json", schema)
    counts = {"label": {"classes": dict.fromkeys(classes, 144)}}
    stack.put(f"digits/runs/{RUN}/profile.json", counts)
    return stack


def plan() -> dict[str, Any]:
    planned = plan_training.handler(sample("plan_training"), CONTEXT)
    return planned["request"] | {"TrainingJobName": f"{planned['stem']}-0"}


def sent_files(stack: Stack) -> dict[str, bytes]:
    record = services().models.run("digits", RUN).script
    packed = gzip.decompress(stack.read(record.packed))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}


def test_the_job_runs_the_program_without_a_network(active: Stack) -> None:
    active.put("digits/code/train.py", b"print(1)\n")
    request = plan()
    assert_valid_request("CreateTrainingJob", request)
    assert not unsupported_fields("createTrainingJob", request)
    assert request["EnableNetworkIsolation"]
    assert request["HyperParameters"]["sagemaker_program"] == "train.py"
    assert request["HyperParameters"]["num_round"] == "400"
    channels = [channel["ChannelName"] for channel in request["InputDataConfig"]]
    assert channels == ["train", "validation", "code"]


def test_all_files_of_the_folder_are_sent_and_their_versions_recorded(active: Stack) -> None:
    version = active.put("digits/code/train.py", b"import losses.mine\n")
    other = active.put("digits/code/losses/mine.py", b"x = 1\n")
    plan()
    assert sent_files(active) == {
        "losses/mine.py": b"x = 1\n",
        "train.py": b"import losses.mine\n",
    }
    record = services().models.run("digits", RUN).script
    assert {file.path: file.version for file in record.files} == {
        "train.py": version,
        "losses/mine.py": other,
    }


def test_a_later_version_does_not_reach_a_planned_job(active: Stack) -> None:
    active.put("digits/code/train.py", b"first\n")
    plan()
    before = services().models.run("digits", RUN).script
    active.put("digits/code/train.py", b"second\n")
    assert sent_files(active) == {"train.py": b"first\n"}
    plan()
    assert services().models.run("digits", RUN).script.packed != before.packed


def test_without_the_operators_consent_no_program_runs(
    active: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOWED_SCRIPTS", "no")
    active.put("digits/code/train.py", b"print(1)\n")
    with pytest.raises(SettingsInvalid, match="parameter AllowedScripts is 'no'") as caught:
        plan()
    assert "sam deploy --parameter-overrides AllowedScripts=yes" in str(caught.value)
    assert active.keys(f"digits/runs/{RUN}/code/") == []


def test_a_program_that_no_setting_names_does_not_run(active: Stack) -> None:
    active.put("digits/code/train.py", b"print(1)\n")
    active.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN))
    services.cache_clear()
    request = plan()
    assert "sagemaker_program" not in request["HyperParameters"]
    assert services().models.run("digits", RUN).script is None


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "there is no such file in digits/code/, which is empty"),
        ({"other.py": b""}, "there is no such file in digits/code/; it has other.py"),
        (
            {"train.py": b"", "requirements.txt": b"torch\n"},
            "requirements.txt cannot be installed, because the training has no network",
        ),
        ({"train.py": b"", "data.bin": b"0" * 10_000_001}, r"2 files of 10.0 MB together; allowed"),
        (
            {"train.py": b"", **{f"{number}.py": b"" for number in range(100)}},
            "101 files of 0.0 MB together; allowed: 100 files of 10 MB",
        ),
    ],
)
def test_code_that_cannot_be_sent_is_refused_before_the_job(
    active: Stack, files: dict[str, bytes], why: str
) -> None:
    for name, content in files.items():
        active.put(f"digits/code/{name}", content)
    with pytest.raises(SettingsInvalid, match=why):
        plan()


def test_no_rule_of_the_template_matches_a_file_of_code() -> None:
    patterns = [
        pattern
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Events::Rule"
        for pattern in _key_patterns(resource["Properties"].get("EventPattern", {}))
    ]
    assert "*/raw/*" in patterns
    assert not [pattern for pattern in patterns if "code" in pattern or not pattern.strip("*/")]


def _key_patterns(pattern: dict[str, Any]) -> list[str]:
    keys = pattern.get("detail", {}).get("object", {}).get("key", [])
    assert all(set(key) <= {"wildcard", "prefix", "suffix"} for key in keys), json.dumps(keys)
    return [text for key in keys for text in key.values()]
