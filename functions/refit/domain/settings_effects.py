"""Find settings without an effect, because another setting that they need is not set.

A key is refused if the setting that it needs is absent: a person who writes `[tuning] strategy`
expects a tuning. If that setting is turned off, as by `max_jobs = 0`, the keys were probably kept
on purpose, and a note says that they have no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from refit.domain.hyperparameters import ALIASES
from refit.domain.settings_errors import shown_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

    from refit.domain.training_settings import TrainingSettings
    from refit.domain.tuning_settings import TuningSettings

_WITHOUT_CAPTURES = frozenset({"capture", "held_label_s", "max_label_age_s", "max_latency_ms"})
"""Keys of `[monitoring]` that say something of a model whose predictions are not captured."""

_OF_ONE_BOOSTER = {
    "rate_drop": ("booster", "dart"),
    "one_drop": ("booster", "dart"),
    "skip_drop": ("booster", "dart"),
    "sample_type": ("booster", "dart"),
    "normalize_type": ("booster", "dart"),
    "lambda_bias": ("booster", "gblinear"),
    "tweedie_variance_power": ("objective", "reg:tweedie"),
    "aft_loss_distribution": ("objective", "survival:aft"),
    "aft_loss_distribution_scale": ("objective", "survival:aft"),
}
"""Hyperparameters that XGBoost reads only with a value of another one.

Source  XGBoost documentation, "XGBoost Parameters"
"""


class Settings(Protocol):
    """What is read of `ModelSettings`, whose module imports this one."""

    @property
    def training(self) -> TrainingSettings: ...

    @property
    def tuning(self) -> TuningSettings: ...

    @property
    def monitoring(self) -> Any: ...

    @property
    def retraining(self) -> Any: ...


@dataclass(frozen=True)
class _Need:
    """Keys of a section that need a setting.

    Attributes:
        keys: of the section.
        switch: section and key of the setting that is needed.
        value: what it must be, for a person.
        is_met: whether it is.
    """

    section: str
    keys: frozenset[str]
    switch: tuple[str, str]
    value: str
    is_met: Callable[[Settings], bool]


def _needs(settings: Settings) -> tuple[_Need, ...]:
    tuning = frozenset(type(settings.tuning).model_fields) - {"max_jobs"}
    monitoring = frozenset(type(settings.monitoring).model_fields) - _WITHOUT_CAPTURES
    drift = frozenset({"enabled", "min_labels", "cooldown_s", "max_per_day"})
    capture = ("monitoring", "capture")
    return (
        _Need("tuning", tuning, ("tuning", "max_jobs"), "2 or more", lambda s: s.tuning.is_on),
        _Need(
            "training",
            frozenset({"folds_at_a_time"}),
            ("training", "folds"),
            "2 or more",
            lambda s: s.training.folds > 0,
        ),
        _Need(
            "training",
            frozenset({"max_wait_s"}),
            ("training", "spot"),
            "true",
            lambda s: s.training.spot,
        ),
        _Need(
            "training",
            frozenset({"max_continuations"}),
            ("training", "continue_from"),
            "'champion'",
            lambda s: s.training.continue_from is not None,
        ),
        _Need("monitoring", monitoring, capture, "'api' or 'endpoint'", _captures),
        _Need("retraining", drift, capture, "'api' or 'endpoint'", _captures),
        _Need("batch", frozenset({"capture_rows"}), capture, "'api' or 'endpoint'", _captures),
        _Need(
            "retraining",
            drift - {"enabled"},
            ("retraining", "enabled"),
            "true",
            lambda s: bool(s.retraining.enabled),
        ),
    )


def _captures(settings: Settings) -> bool:
    return bool(settings.monitoring.capture != "off")


def refused_effects(settings: Settings) -> list[str]:
    """Return a message for each key that is set and has no effect, as its user does not expect.

    Args:
        settings: as they were parsed; what is recorded of a run does not say which keys were set.
    """
    messages = [
        f"{_shown(settings, need.section, key)} has no effect without [{need.switch[0]}] "
        f"{need.switch[1]}; set this to {need.value}, or leave {key} out"
        for need in _unmet(settings)
        if not _is_set(settings, *need.switch)
        for key in _set_keys(settings, need)
    ]
    training = settings.training
    if "image_tag" in training.model_fields_set and training.algorithm_name != "xgboost":
        by = "algorithm" if training.image is None else "image"
        messages.append(
            f"{_shown(settings, 'training', 'image_tag')} has no effect with {by} = "
            f"{getattr(training, by)!r}, because it is the tag of SageMaker's XGBoost image; leave "
            "image_tag out"
        )
    if training.algorithm_name == "xgboost" and training.script is None:
        messages += _unread_hyperparameters(settings)
    return messages


def effect_notes(settings: Settings) -> list[str]:
    """Return a note for each key that has no effect as another one is turned off, or too small.

    Args:
        settings: as they were parsed; what is recorded of a run does not say which keys were set.
    """
    notes = []
    for need in _unmet(settings):
        section = getattr(settings, need.section)
        changed = [
            key
            for key in _set_keys(settings, need)
            if getattr(section, key) != type(section).model_fields[key].get_default()
        ]
        if changed and _is_set(settings, *need.switch):
            has = "has" if len(changed) == 1 else "have"
            notes.append(
                f"[{need.section}] {', '.join(changed)} {has} no effect with "
                f"{_shown(settings, *need.switch)}"
            )
    tuning, training = settings.tuning, settings.training
    if tuning.is_on and tuning.max_parallel > tuning.max_jobs:
        notes.append(
            f"[tuning] max_parallel = {tuning.max_parallel} has no more effect than "
            f"{tuning.max_jobs}, because max_jobs = {tuning.max_jobs}"
        )
    if 0 < training.folds < training.folds_at_a_time:
        notes.append(
            f"[training] folds_at_a_time = {training.folds_at_a_time} has no more effect than "
            f"{training.folds}, because folds = {training.folds}"
        )
    return notes


def _unmet(settings: Settings) -> Iterator[_Need]:
    return (need for need in _needs(settings) if not need.is_met(settings))


def _set_keys(settings: Settings, need: _Need) -> list[str]:
    section: BaseModel = getattr(settings, need.section)
    return [
        key for key in type(section).model_fields if key in need.keys & section.model_fields_set
    ]


def _is_set(settings: Settings, section: str, key: str) -> bool:
    return key in getattr(settings, section).model_fields_set


def _shown(settings: Settings, section: str, key: str) -> str:
    value = getattr(settings, section).model_dump(mode="json")[key]
    return f"[{section}] {key} = {shown_value(value)}"


def _unread_hyperparameters(settings: Settings) -> Iterator[str]:
    given = settings.training.hyperparameters
    where = "[training.hyperparameters]"
    for alias, name in ALIASES.items():
        if alias in given and name in given:
            yield (
                f"{where} {alias} = {shown_value(given[alias])} and {name} = "
                f"{shown_value(given[name])} are the same hyperparameter; remove one of them"
            )
    for name, (other, value) in _OF_ONE_BOOSTER.items():
        if name in given and given.get(other) != value:
            yield (
                f"{where} {name} = {shown_value(given[name])} has no effect without {other} = "
                f"{value!r}; set this, or leave {name} out"
            )
