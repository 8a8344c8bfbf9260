"""Settings of folds that make no sense are refused, naming key and allowed values."""

from __future__ import annotations

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import parse_settings


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        ("folds = 1", ["[training] folds = 1", "allowed: 0, 2 to 20"]),
        ("folds = 21", ["[training] folds = 21", "allowed: whole number, ≥ 0, ≤ 20"]),
        ("folds = -1", ["[training] folds = -1", "allowed: whole number, ≥ 0, ≤ 20"]),
        ("folds_at_a_time = 0", ["[training] folds_at_a_time = 0"]),
        ("folds = 3\nfinal = 'best'", ["[training] final = 'best'", "'all', 'ensemble'"]),
        (
            "final = 'ensemble'",
            ["[training] final = 'ensemble'", "set [training] folds to 2 to 20"],
        ),
        (
            "folds = 3\nfinal = 'ensemble'\n[data]\ntime = 'day'",
            ["does not fit [data] time = 'day'", "set final to 'all'"],
        ),
    ],
)
def test_a_wrong_setting_is_refused(settings: str, messages: list[str]) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        parse_settings(f"[training]\n{settings}\n")
    assert all(message in str(refused.value) for message in messages), str(refused.value)


def test_without_settings_there_are_no_folds() -> None:
    training = parse_settings("").training
    assert (training.folds, training.folds_at_a_time, training.final) == (0, 1, "all")
