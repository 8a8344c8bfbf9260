"""Generate docs/settings.md from the definition of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reference_tables import escaped, meaning_of, table
from refit.domain.allowed_values import allowed_values, forms
from refit.domain.model_settings import ModelSettings

INTRODUCTION = """# `model.toml`

Generated from `functions/refit/domain/model_settings.py` by
`.venv/bin/python docs/generate_settings.py`.

Every setting has a default, so a model needs no `model.toml`. To change a setting, upload
`{model}/model.toml`; `refit put MODEL --settings model.toml` checks and uploads it. An unknown
key, or a value that is not allowed, fails the run with a message that names the key, the value and
what is allowed. Texts stand in quotes; numbers and `true`/`false` do not. A key that has no effect
without another one, such as `[tuning] strategy` without `max_jobs`, is refused too; if the other
one is turned off (`max_jobs = 0`), `refit check` and the run only note it. Each run records the
settings it used in its `manifest.json`.

| section | takes effect |
|---|---|
| `[data]`, `[training]`, `[tuning]`, `[gate]` | next run; `[data] scope` with the next drop |
| `[prediction]` | with the version of the next run, which keeps its rule |
| `[deployment]`, `[monitoring]` | when a version whose run used it is deployed |
| `[retraining]` | at once; `base_margin` with the next run |
| `[batch]` | with the next file in `batch/in/` |
"""


TABLES = {
    "Costs": "table of `false_positive` and `false_negative`, numbers > 0",
    "ContainerSettings": "[table](#trainingcontainer)",
}
"""What tables within a section allow, by the class of their settings."""


def allowed(schema: dict[str, Any]) -> str:
    """Describe the values that the JSON schema of a field allows."""
    table = next((part["$ref"] for part in forms(schema) if "$ref" in part), None)
    return TABLES[table.rpartition("/")[2]] if table else allowed_values(schema, {}, code)


def code(text: str) -> str:
    """Return a text that may be written as code in a table."""
    return escaped(f"`{text}`".replace("\t", "\\t"))


def page() -> str:
    """Return the whole page."""
    schema = ModelSettings.model_json_schema()
    parts = [INTRODUCTION]
    for section, reference in schema["properties"].items():
        definition = schema["$defs"][reference["$ref"].rpartition("/")[2]]
        parts.append(f"\n## `[{section}]`\n\n{definition['description'].splitlines()[0]}\n")
        parts.append(section_table(definition))
    container = schema["$defs"]["ContainerSettings"]
    parts.append(f"\n## `[training.container]`\n\n{container['description'].splitlines()[0]}\n")
    return "".join([*parts, section_table(container)])


def section_table(definition: dict[str, Any]) -> str:
    """Return the table of a section."""
    rows = [
        (f"`{key}`", _default(field), allowed(field), meaning_of(field))
        for key, field in definition["properties"].items()
    ]
    return "\n" + table(("key", "default", "allowed", "meaning"), rows)


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "none" if default is None else f"`{str(default).lower()}`"


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page())
