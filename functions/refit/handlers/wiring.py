"""Build the services that the use cases of a Lambda work with."""

from __future__ import annotations

from functools import cache

from refit.environment import Environment
from refit.stores.clients import lambda_client
from refit.usecases.services import Services


@cache
def services() -> Services:
    """Return the services of this process."""
    return Services(Environment(), lambda_client)
