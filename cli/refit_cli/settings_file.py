"""Read a model.toml, and change one key of it without its comments and its formatting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tomlkit
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import parse_settings, settings_text
from tomlkit.exceptions import TOMLKitError

from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

_MARK = "\ufeff"


def read_settings(path: Path) -> str:
    """Return the text of a model.toml, without a byte-order mark.

    Raises:
        BadInput: if it cannot be read.
        SettingsInvalid: if it is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return settings_text(content, str(path)).removeprefix(_MARK)


def with_label(text: str, label: str | int) -> str:
    """Return a model.toml with `[data] label` set; all other keys stay as they are.

    Args:
        text: a valid model.toml; may be empty.
        label: name or position of the label column.

    Raises:
        SettingsInvalid: if the label is not allowed, or the text cannot be changed.
    """
    before = parse_settings(text)
    if before.data.label == label and type(before.data.label) is type(label):
        return text
    written = tomlkit.string(label) if isinstance(label, str) else label
    try:
        document = tomlkit.parse(text)
        if "data" not in document:
            document["data"] = tomlkit.table()
        document["data"]["label"] = written
        changed = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise _not_changed(label, str(error)) from error
    after = parse_settings(changed)
    if after != before.model_copy(
        update={"data": before.data.model_copy(update={"label": after.data.label})}
    ):
        raise _not_changed(label, "another key would change")
    return changed


def _not_changed(label: str | int, why: str) -> SettingsInvalid:
    return SettingsInvalid(
        f"the label cannot be written into model.toml: {why}",
        advice=f"Write label = {label!r} into its section [data] yourself, and give it with "
        "--settings",
    )
