"""Check that `[monitoring] critical_features` are features of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.column_reading import name_key
from refit.domain.errors import SettingsInvalid
from refit.domain.nearest_names import did_you_mean

if TYPE_CHECKING:
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.schema import Schema

_SHOWN_COLUMNS = 40


def check_critical_features(settings: MonitoringSettings, schema: Schema) -> None:
    """Check the names before the training, which costs money.

    Raises:
        SettingsInvalid: names the first one that is no feature, and why.
    """
    features = [feature.name for feature in schema.features]
    known = set(map(name_key, features))
    left_out = {name_key(name): reason for name, reason in schema.left_out.items()}
    for name in settings.critical_features:
        key = name_key(name)
        if key in known:
            continue
        if key == name_key(schema.label):
            problem = "is the label"
        elif key in left_out:
            problem = f"is no feature of the model: {left_out[key]}"
        else:
            problem = "is no column of the data"
        question = did_you_mean(name, features)
        listed = ", ".join(map(repr, features[:_SHOWN_COLUMNS]))
        listed += ", …" if len(features) > _SHOWN_COLUMNS else ""
        raise SettingsInvalid(
            f"model.toml: [monitoring] critical_features names {name!r}, which {problem}; "
            f"{question}the features are {listed}"
        )
