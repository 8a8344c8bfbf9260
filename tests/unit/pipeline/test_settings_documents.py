"""A model.toml that is no document of settings is refused by a sentence, whatever it contains."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import ModelSettings, parse_settings, settings_text
from refit.domain.settings_document import MAX_BYTES, MAX_NESTING

DEEP = 3000
BEYOND_RECURSION = 20_000  # other tests may have raised the limit


def refusal(text: str) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        parse_settings(text)
    return str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * BEYOND_RECURSION,
        "a = " + "[" * DEEP + "]" * DEEP,
        "a = " + "{b=" * DEEP + "1" + "}" * DEEP,
        "[" + ".".join("a" * DEEP) + "]",
        ".".join("a" * DEEP) + " = 1",
        "[data]\nmissing = " + "[" * 900 + "1" + "]" * 900,
        "[data]\nmissing = " + "[" * MAX_NESTING + "1" + "]" * MAX_NESTING,
    ],
    ids=["open", "lists", "inline tables", "table", "key", "of a setting", "just too deep"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nests tables or lists too deeply; allowed: 10 within each other" in refusal(text)


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, str(10**1001), str(-(10**1001))])
def test_a_number_that_no_message_could_show_is_refused(number: str) -> None:
    message = refusal(f"[data]\nlabel = {number}")
    assert "a whole number that is too long; allowed: 1,000 digits" in message
    assert "sys." not in message


def test_a_file_that_is_too_large_to_be_settings_is_refused_before_it_is_read() -> None:
    assert f"more than {MAX_BYTES:,} bytes" in refusal("#" * (MAX_BYTES + 1))
    with pytest.raises(SettingsInvalid, match="more than 1,000,000 bytes"):
        settings_text(b"\xff" * (MAX_BYTES + 1))
    assert parse_settings("#" * MAX_BYTES) == ModelSettings()


@pytest.mark.parametrize("section", ["monitoring", "retraining"])
def test_a_minimum_that_no_model_reaches_is_refused(section: str) -> None:
    message = refusal(f"[{section}]\nmin_labels = 2_000_000_000")
    assert f"[{section}] min_labels = 2000000000: allowed: whole number" in message
    assert "≤ 1,000,000,000" in message


@pytest.mark.parametrize(
    "setting",
    ["[gate]\nmargin = 1e300", "[retraining]\nbase_margin = 101.0"],
)
def test_a_margin_that_accepts_every_model_is_refused(setting: str) -> None:
    assert "allowed: number, ≥ 0, ≤ 100" in refusal(setting)


def test_costs_whose_sum_is_no_number_are_refused() -> None:
    costs = "[prediction]\ncosts = { false_positive = 1e308, false_negative = 1e308 }"
    assert "false_positive = 1e+308: allowed: number, > 0, ≤ 1,000,000,000" in refusal(costs)


@pytest.mark.parametrize("name", ["", "  ", "x" * 1001, r"a\u0000b"])
@pytest.mark.parametrize(
    "setting",
    [
        '[data]\nlabel = "{}"',
        '[data]\nweight = "{}"',
        '[data]\ngroup = "{}"',
        '[data]\ntime = "{}"',
        '[data]\nignore = ["{}"]',
        '[data.columns]\n"{}" = "number"',
        '[monitoring]\ncritical_features = ["{}"]',
        '[batch]\nid = "{}"',
    ],
)
def test_what_no_column_can_be_called_is_refused(setting: str, name: str) -> None:
    assert "the name of a column has 1 to 1,000 characters" in refusal(setting.format(name))


@given(st.binary(max_size=300))
def test_any_bytes_are_settings_or_are_refused(content: bytes) -> None:
    with suppress(SettingsInvalid):  # any other error is a defect
        parse_settings(settings_text(content))


@given(
    st.recursive(
        st.integers() | st.floats() | st.booleans() | st.just('"x"'),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=10,
    ),
    st.sampled_from(sorted(ModelSettings.model_fields)),
    st.data(),
)
def test_any_value_of_any_key_is_taken_or_refused(
    value: object, section: str, data: st.DataObject
) -> None:
    keys = sorted(ModelSettings.model_fields[section].annotation.model_fields)  # type: ignore[union-attr]
    key = data.draw(st.sampled_from(keys))
    text = str(value).replace("'", "").replace("True", "true").replace("False", "false")
    with suppress(SettingsInvalid):
        parse_settings(f"[{section}]\n{key} = {text}")
