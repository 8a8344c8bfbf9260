"""The environment variables that template.yaml passes to a function; their only reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class VariableMissing(Exception):
    """When a function reads an environment variable that the template does not pass to it."""


class Variable(Generic[T]):
    """One environment variable, named after the attribute that it is assigned to."""

    def __init__(self, convert: Callable[[str], T]) -> None:
        self._convert = convert
        self.name = ""

    def __set_name__(self, owner: type[Environment], attribute: str) -> None:
        self.name = attribute.upper()

    @overload
    def __get__(self, instance: None, owner: type[Environment]) -> Variable[T]: ...

    @overload
    def __get__(self, instance: Environment, owner: type[Environment]) -> T: ...

    def __get__(self, instance: Environment | None, owner: type[Environment]) -> Variable[T] | T:
        if instance is None:
            return self
        try:
            return self._convert(instance.variables[self.name])
        except KeyError:
            raise VariableMissing(
                f"the environment variable {self.name} is not set: "
                "template.yaml must pass it to this function"
            ) from None


class Environment:
    """Typed access to the environment. A function has only the variables that it needs."""

    allowed_scripts = Variable(str)
    allowed_images = Variable(str)
    api_allowed_origin = Variable(str)
    api_key_id = Variable(str)
    aws_region = Variable(str)
    batch_state_machine_arn = Variable(str)
    bucket = Variable(str)
    capture_stream = Variable(str)
    check_drift_queue_url = Variable(str)
    check_every = Variable(str)
    deploy_state_machine_arn = Variable(str)
    endpoint_role_arn = Variable(str)
    inference_table = Variable(str)
    ingest_queue_url = Variable(str)
    jobs_role_arn = Variable(str)
    model_table = Variable(str)
    name_prefix = Variable(str)
    notices_topic_arn = Variable(str)
    quiet_seconds = Variable(int)
    retrain_queue_url = Variable(str)
    train_state_machine_arn = Variable(str)

    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        self.variables = variables

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of all variables."""
        return frozenset(
            variable.name for variable in vars(cls).values() if isinstance(variable, Variable)
        )
