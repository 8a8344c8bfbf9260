"""Refuse or accept a drop whose columns differ from those of the live model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import SchemaChanged

if TYPE_CHECKING:
    from refit.domain.schema import Schema

_ACCEPT = "[data] schema_change = 'accept'"
_SHOWN_CHANGES = 3


def acceptance_used(model: str, run: str) -> str:
    """Return why the acceptance of a model.toml is not valid any more, and how to renew it."""
    return (
        f"{_ACCEPT} of this model.toml was used by run {run}, and is valid for one run: to accept "
        f"again, upload model.toml again (refit put {model} --settings model.toml)"
    )


@dataclass(frozen=True)
class LiveVersion:
    """The live version, as a drop with other columns is told of it.

    Attributes:
        acceptance_used_by: the run that has used the acceptance of the current model.toml; None
            when it is unused.
    """

    model: str
    version: int
    acceptance_used_by: str | None = None

    def refusal(self, schema: Schema, dropped: Schema) -> SchemaChanged:
        """Return the error of a drop: why it is refused, and what to do.

        Args:
            schema: schema of the live version.
            dropped: schema of the drop, which differs from it.
        """
        if self.acceptance_used_by is not None:
            ways_out = acceptance_used(self.model, self.acceptance_used_by)
        else:
            ways_out = f"to accept the change for one run, set {_ACCEPT} in model.toml"
        return SchemaChanged(
            self._difference(schema, dropped),
            advice=f"To begin again, run `refit remove {self.model}` and upload the data again; "
            f"{ways_out}.",
        )

    def _difference(self, schema: Schema, dropped: Schema) -> str:
        live = f"the live model (version {self.version})"
        if target := schema.target_change(dropped):
            return f"{live} {target}"
        changes = schema.changes_to(dropped)
        hidden = len(changes) - _SHOWN_CHANGES
        more = f", and {hidden} more" if hidden > 0 else ""
        shown = "; ".join(changes[:_SHOWN_CHANGES])
        return f"the columns differ from those of {live}: {shown}{more}"
