"""The positive class of `[prediction]`, checked against the classes of the data.

This module does not import NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from refit.domain.model_settings import PredictionSettings
    from refit.domain.schema import Schema

_SHOWN_CLASSES = 20


def positive_class(settings: PredictionSettings, schema: Schema) -> int | None:
    """Return the index of the positive class; None without `[prediction]`.

    Raises:
        SettingsInvalid: when `[prediction]` is set and there are not exactly two classes, or when
            the positive class is none of them.
    """
    if not settings.decides:
        return None
    classes = schema.classes
    if classes is None:
        raise SettingsInvalid(
            f"model.toml: [prediction] is for two classes, but the label {schema.label!r} is a "
            "number: leave it out (or set [data] task = 'classification')"
        )
    listed = ", ".join(map(repr, classes[:_SHOWN_CLASSES]))
    listed += ", …" if len(classes) > _SHOWN_CLASSES else ""
    if len(classes) != 2:
        raise SettingsInvalid(
            f"model.toml: [prediction] is for two classes, but the label {schema.label!r} has "
            f"{len(classes)}: {listed}"
        )
    if settings.positive is None:
        return 1
    code = schema.encode_label(settings.positive)
    if code is None:
        raise SettingsInvalid(
            f"model.toml: [prediction] positive = {settings.positive!r} is not a class of the "
            f"data; the classes of {schema.label!r} are {listed}"
        )
    return int(code)


def check_prediction(settings: PredictionSettings, schema: Schema, threshold_rows: int) -> None:
    """Check `[prediction]` before the training, which costs money.

    Raises:
        SettingsInvalid: as `positive_class`, or when costs are set without rows to choose by.
    """
    positive_class(settings, schema)
    if settings.costs is not None and not threshold_rows:
        raise SettingsInvalid(
            "model.toml: [prediction] costs choose the threshold on validation rows, and there are "
            "none: set [data] validation_fraction above 0, set [training] folds, drop more "
            "rows, or set [prediction] threshold"
        )
