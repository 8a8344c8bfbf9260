"""Read the text of a model.toml as a document, before its keys and values are checked."""

from __future__ import annotations

import tomllib
from typing import Any

from refit.domain.errors import SettingsInvalid
from refit.domain.toml_mistakes import advice_on

MAX_BYTES = 1_000_000
"""Of a settings file. All keys with their longest values are a fraction of it."""

_INTEGER_DIGITS = 1000
_INTEGER_BITS = (10**_INTEGER_DIGITS).bit_length()
"""Python writes no whole number of more than 4,300 digits, for example in a message."""

MAX_NESTING = 10
"""Tables and lists within each other; the deepest setting has four."""


def settings_document(text: str) -> dict[str, Any]:
    """Parse the text of a model.toml.

    Raises:
        SettingsInvalid: when it is no valid TOML, too large, or nested too deeply.
    """
    check_size(len(text), "model.toml")
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(
            f"model.toml is not valid TOML: {error}", advice=advice_on(text)
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # nor does it read one
        raise _too_long() from error
    _check_values(document)
    return document


def check_size(size_bytes: int, file: str) -> None:
    """Check that a settings file is not too large to be one.

    Raises:
        SettingsInvalid: when it is.
    """
    if size_bytes > MAX_BYTES:
        raise SettingsInvalid(
            f"{file} has more than {MAX_BYTES:,} bytes, which is the largest size that is allowed",
            advice="Is it another file? All settings together are a few thousand bytes",
        )


def _check_values(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_NESTING):
        values = [value for parent in level for value in _children(parent)]
        if any(isinstance(value, int) and value.bit_length() > _INTEGER_BITS for value in values):
            raise _too_long()
        level = [value for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise _too_deep()


def _children(parent: dict[str, Any] | list[Any]) -> list[Any]:
    return list(parent.values()) if isinstance(parent, dict) else parent


def _too_long() -> SettingsInvalid:
    return SettingsInvalid(
        f"model.toml has a whole number that is too long; allowed: {_INTEGER_DIGITS:,} digits"
    )


def _too_deep() -> SettingsInvalid:
    return SettingsInvalid(
        f"model.toml nests tables or lists too deeply; allowed: {MAX_NESTING} within each other",
        advice="Count the brackets and the dots of its keys: no setting needs more than four",
    )
