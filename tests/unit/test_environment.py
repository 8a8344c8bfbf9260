"""The environment variables of a function, read when they are needed."""

from __future__ import annotations

import pytest
from refit.environment import Environment, VariableMissing


def test_a_variable_is_read_under_the_name_of_its_attribute_and_converted() -> None:
    environment = Environment({"MODEL_TABLE": "models", "QUIET_SECONDS": "60"})
    assert environment.model_table == "models"
    assert environment.quiet_seconds == 60


def test_a_missing_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(VariableMissing, match="environment variable BUCKET is not set"):
        _ = Environment({}).bucket


def test_a_variable_is_read_at_each_access() -> None:
    variables = {"BUCKET": "a"}
    environment = Environment(variables)
    variables["BUCKET"] = "b"
    assert environment.bucket == "b"


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "refit-bucket-1x2y3z")
    assert Environment().bucket == "refit-bucket-1x2y3z"


def test_every_variable_has_a_name_in_upper_case() -> None:
    assert "CHECK_DRIFT_QUEUE_URL" in Environment.names()
    assert all(name == name.upper() for name in Environment.names())


def test_a_variable_is_declared_once_for_all_instances() -> None:
    assert Environment.quiet_seconds.name == "QUIET_SECONDS"
