"""Read the list prices."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from refit_cli.errors import BadInput

FILE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True)
class Price:
    """A list price.

    Attributes:
        usd: of one unit.
        unit: what it is for; `per` units of it, as the list says.
    """

    usd: float
    unit: str
    source: str


class Prices:
    """The list prices of one Region."""

    @cached_property
    def _file(self) -> dict[str, Any]:
        return tomllib.loads(FILE.read_text("utf-8"))

    @property
    def region(self) -> str:
        return str(self._file["region"])

    @property
    def date(self) -> str:
        """The month in which the prices were read, YYYY-MM."""
        return str(self._file["date"])

    @cached_property
    def all(self) -> dict[str, Price]:
        """The prices of one unit, by their keys."""
        return {
            key: Price(entry["usd"] / entry.get("per", 1), entry["unit"], entry["source"])
            for key, entry in self._file["prices"].items()
        }

    @cached_property
    def instances(self) -> dict[str, Price]:
        """The prices of an hour, by the type of the instance."""
        return {
            kind: Price(entry["usd"], "instance hour", entry["source"])
            for kind, entry in self._file["instances"].items()
        }

    def usd(self, key: str) -> float:
        """Return the price of one unit."""
        return self.all[key].usd

    def instance_hour(self, kind: str) -> float:
        """Return the price of an hour of an instance.

        Raises:
            BadInput: when the file does not have it; names the types that it has.
        """
        if kind not in self.instances:
            raise BadInput(
                f"the price of {kind!r} is not known; known: {', '.join(self.instances)}",
                "give its price for an hour with --hourly-price",
            )
        return self.instances[kind].usd
