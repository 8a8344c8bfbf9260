"""RunArtifacts: what runs wrote is parsed once, and the champion is read again after a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import (
    ModelNotFound,
    ObjectNotFound,
    SettingsInvalid,
    VersionNotRegistered,
)
from refit.domain.model_settings import ModelSettings
from refit.domain.naming import RunKeys
from refit.stores.run_artifacts import RunArtifacts

from tests.support.clocks import MovingClock
from tests.support.model_files import champion, manifest, object_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.aws_stack import Stack

RUN = "0f1e2d3c4b5a"
KEYS = RunKeys("digits", RUN)
SCHEMA = {
    "task": "classification",
    "label": "digit",
    "features": [{"name": "a", "type": "number"}],
    "classes": ["0", "1"],
}
BASELINE = {
    "task": "classification",
    "rows_of": "new",
    "rows": 40,
    "errors": 2,
    "quality": {"accuracy": 0.95},
}
EVALUATION = {
    "model": "digits",
    "run": RUN,
    "task": "classification",
    "classes": ["0", "1"],
    "confidence": 0.95,
    "champion": None,
    "comparable": False,
    "new": {
        "rows": 40,
        "baseline": {"answer": "0", "metrics": {"accuracy": 0.5}},
        "challenger": {"metrics": {}},
    },
    "base": None,
    "fresh": None,
}
DECISION = {
    "passed": True,
    "reasons": [],
    "metric": "accuracy",
    "challenger": 0.95,
    "champion": None,
    "checks": [],
}
PROFILE = {"sampled_rows": 1, "columns": []}
DROP = {
    "model": "digits",
    "run": RUN,
    "cause": "drop",
    "files": [object_version("digits/raw/a.csv")],
}


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
def artifacts(stack: Stack, clock: MovingClock) -> RunArtifacts:
    return RunArtifacts(stack.services.bucket, stack.services.models, clock)


Reader = tuple[str, dict[str, Any], "Callable[[RunArtifacts], Any]"]
CACHED: dict[str, Reader] = {
    "manifest": (KEYS.manifest, manifest(RUN), lambda reader: reader.manifest("digits", RUN)),
    "settings": (KEYS.manifest, manifest(RUN), lambda reader: reader.settings("digits", RUN)),
    "schema": (KEYS.schema, SCHEMA, lambda reader: reader.schema("digits", RUN)),
    "evaluation": (KEYS.evaluation, EVALUATION, lambda reader: reader.evaluation("digits", RUN)),
    "decision": (KEYS.gate, DECISION, lambda reader: reader.decision("digits", RUN)),
    "baseline": (KEYS.baseline, BASELINE, lambda reader: reader.baseline("digits", RUN)),
    "columns": (KEYS.profile, PROFILE, lambda reader: reader.columns("digits", RUN)),
}


@pytest.mark.parametrize("name", CACHED)
def test_an_artifact_is_read_from_the_bucket_once(
    stack: Stack, artifacts: RunArtifacts, name: str
) -> None:
    key, content, read = CACHED[name]
    stack.put(KEYS.baseline, BASELINE)
    stack.put(key, content)
    artifact = read(artifacts)
    stack.put(key, "not JSON any more")
    assert read(artifacts) == artifact


@pytest.mark.parametrize("name", [*CACHED, "drop"])
def test_an_artifact_that_the_run_has_not_written_is_missing_until_it_does(
    stack: Stack, artifacts: RunArtifacts, name: str
) -> None:
    drop: Reader = (KEYS.drop, DROP, lambda reader: reader.drop("digits", RUN))
    key, content, read = (CACHED | {"drop": drop})[name]
    with pytest.raises(ObjectNotFound, match=RUN):
        read(artifacts)
    stack.put(KEYS.baseline, BASELINE)
    stack.put(key, content)
    assert read(artifacts) is not None


def test_the_artifacts_of_a_run_are_parsed(stack: Stack, artifacts: RunArtifacts) -> None:
    stack.put(KEYS.manifest, manifest(RUN, "[gate]\nmargin = 0.2"))
    stack.put(KEYS.schema, SCHEMA)
    stack.put(KEYS.baseline, BASELINE)
    stack.put(KEYS.evaluation, EVALUATION)
    assert artifacts.manifest("digits", RUN).files[0].key == "digits/raw/a.csv"
    assert artifacts.settings("digits", RUN).gate.margin == 0.2
    assert artifacts.schema("digits", RUN).classes == ("0", "1")
    assert artifacts.baseline("digits", RUN).errors == 2
    assert artifacts.evaluation("digits", RUN).new.rows == 40


def test_the_drop_is_read_again_each_time(stack: Stack, artifacts: RunArtifacts) -> None:
    stack.put(KEYS.drop, DROP)
    assert len(artifacts.drop("digits", RUN).files) == 1
    files = [object_version("digits/raw/a.csv"), object_version("digits/raw/b.csv")]
    stack.put(KEYS.drop, DROP | {"files": files})
    assert len(artifacts.drop("digits", RUN).files) == 2


def test_a_new_champion_is_seen_when_ten_seconds_have_passed(
    stack: Stack, artifacts: RunArtifacts, clock: MovingClock
) -> None:
    models = stack.services.models
    models.promote("digits", champion(1, "aaaaaaaaaaaa"))
    assert artifacts.recent_champion("digits").version == 1
    models.promote("digits", champion(2, RUN))
    clock.advance(9.9)
    assert artifacts.recent_champion("digits").version == 1
    clock.advance(0.1)
    assert artifacts.recent_champion("digits").version == 2


def test_a_first_champion_is_seen_at_once(stack: Stack, artifacts: RunArtifacts) -> None:
    with pytest.raises(ModelNotFound, match="no version of model 'digits' is deployed"):
        artifacts.recent_champion("digits")
    stack.services.models.promote("digits", champion(1, RUN))
    assert artifacts.recent_champion("digits").version == 1


def test_each_model_has_its_own_champion(stack: Stack, artifacts: RunArtifacts) -> None:
    for version, model in enumerate(("digits", "letters"), start=1):
        stack.services.models.promote(model, champion(version, RUN, model))
    assert artifacts.recent_champion("letters").version == 2
    assert artifacts.recent_champion("digits").version == 1


def test_the_same_version_number_of_a_model_that_was_begun_again_has_another_run(
    stack: Stack, artifacts: RunArtifacts, clock: MovingClock
) -> None:
    stack.services.models.record_version("digits", 1, "aaaaaaaaaaaa", "arn:package/1")
    assert artifacts.run_of("digits", 1) == "aaaaaaaaaaaa"
    stack.services.models.delete_items("digits")
    stack.services.models.record_version("digits", 1, RUN, "arn:package/1")
    clock.advance(10)
    assert artifacts.run_of("digits", 1) == RUN


def test_the_run_of_a_version_is_found_as_soon_as_it_is_registered(
    stack: Stack, artifacts: RunArtifacts
) -> None:
    with pytest.raises(VersionNotRegistered, match="version 3 of digits is not registered"):
        artifacts.run_of("digits", 3)
    stack.services.models.record_version("digits", 3, RUN, "arn:package/3")
    assert artifacts.run_of("digits", 3) == RUN


def test_a_model_without_a_settings_file_has_the_defaults(
    stack: Stack, artifacts: RunArtifacts
) -> None:
    assert artifacts.current_settings("digits") == ModelSettings()


def test_current_settings_are_read_again_each_time(stack: Stack, artifacts: RunArtifacts) -> None:
    for margin in (0.2, 0.3):
        stack.put("digits/model.toml", f"[gate]\nmargin = {margin}")
        assert artifacts.current_settings("digits").gate.margin == margin


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[gate]\nmargin = -1", r"\[gate\] margin = -1"),
        (b"[gate", "not valid TOML"),
        ("é".encode("latin-1"), "not UTF-8"),
    ],
)
def test_invalid_current_settings_are_an_error_that_says_why(
    stack: Stack, artifacts: RunArtifacts, content: bytes, message: str
) -> None:
    stack.put("digits/model.toml", content)
    with pytest.raises(SettingsInvalid, match=message):
        artifacts.current_settings("digits")
