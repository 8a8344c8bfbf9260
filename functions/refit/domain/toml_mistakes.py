"""Find what a person has probably done wrong in a model.toml that is no valid TOML."""

from __future__ import annotations

import re

_SECTION = re.compile(r"\s*\[\s*([\w.-]+)\s*\]\s*(.*)")
_KEY = re.compile(r"""\s*(["']?)([\w-]+)\1\s*([=:])\s*(.*)""")
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w ./@-]*")
_WORDS = frozenset({"true", "false", "inf", "nan"})


def advice_on(text: str) -> str | None:
    """Return what to correct; None if no common mistake is found.

    Args:
        text: a text that is no valid TOML.
    """
    section, seen = "", dict[tuple[str, str], int]()
    sections = dict[str, int]()
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _SECTION.fullmatch(line):
            section, rest = match[1], match[2].partition("#")[0].strip()
            if _KEY.fullmatch(rest):
                return f"Write two lines: the section [{section}], and below it {rest}"
            if section in sections:
                return (
                    f"The section [{section}] begins in line {sections[section]} and again in line "
                    f"{number}: write its keys below one of them"
                )
            sections[section] = number
        elif match := _KEY.fullmatch(line):
            key, sign, value = match[2], match[3], match[4].partition("#")[0].strip()
            where = f"[{section}] {key}" if section else key
            if (section, key) in seen:
                return (
                    f"{where} is set in line {seen[section, key]} and again in line {number}: "
                    "remove one of them"
                )
            seen[section, key] = number
            if sign == ":":
                return f"Write = instead of : in line {number}: {key} = {_as_toml(value)}"
            if _as_toml(value) != value:
                return f"Write {key} = {_as_toml(value)} in line {number}"
    return None


def _as_toml(value: str) -> str:
    """Return a word in quotes, or true or false in small letters; else the value itself."""
    if value in _WORDS or not _PLAIN_WORD.fullmatch(value):
        return value
    return value.lower() if value.lower() in _WORDS else f'"{value}"'
