"""`[data] features_from` names another model or a version of it."""

from __future__ import annotations

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.feature_source import named_model
from refit.domain.model_settings import parse_settings
from refit.domain.naming import ResourceNames
from refit_cli.readiness.needs import quotas_needed


def test_a_model_is_named_with_or_without_a_version() -> None:
    assert named_model("segments") == ("segments", None)
    assert named_model("segments@4") == ("segments", 4)


@pytest.mark.parametrize("text", ["Segments", "segments@", "segments@0", "segments@x", "a-", ""])
def test_what_is_no_model_and_no_version_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        parse_settings(f"[data]\nfeatures_from = '{text}'\n")
    assert f"[data] features_from = '{text}'" in str(refused.value)
    assert "such as 'segments@4'" in str(refused.value)


def test_capturing_by_the_endpoint_is_refused_with_both_settings() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        parse_settings("[data]\nfeatures_from = 'a'\n[monitoring]\ncapture = 'endpoint'\n")
    assert "capture = 'endpoint' does not fit [data] features_from = 'a'" in str(refused.value)


def test_the_variant_of_another_model_is_never_taken_for_a_version() -> None:
    variant = ResourceNames.features_variant("v2", 3)
    assert variant == "features-v2-3"
    with pytest.raises(ValueError, match="invalid literal"):
        ResourceNames.version_of(variant)


def test_the_doctor_counts_the_instances_of_the_model_that_is_served_beside() -> None:
    def instances(text: str) -> int:
        needs = quotas_needed(parse_settings(text))
        return next(need.count for need in needs if need.quota == "ml.m5.large for endpoint usage")

    assert instances("") == 2
    assert instances("[data]\nfeatures_from = 'segments'\n") == 4
