"""Complete the names of models in a shell: from the stack, within a moment, or not at all."""
# ruff: noqa: PLC0415 (imports that are slow wait until a name is completed)

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import typer  # noqa: TC002 (Typer reads the annotations)

from refit_cli.runtime import runtime_of


def model_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the models of the selected stack that begin with what was typed.

    A shell shows what a completion prints or raises in the middle of the line that is typed. So
    whatever fails, there are no names.
    """
    with suppress(Exception):
        return [name for name in _models(ctx) if name.startswith(incomplete)]
    return []


def _models(ctx: typer.Context) -> list[str]:
    from botocore.config import Config

    from refit_cli.connection import StackConnection, port_of_environment
    from refit_cli.stack_target import DEFAULT_PORT, DEFAULT_STACK

    given: dict[str, Any] = ctx.params
    runtime = runtime_of(ctx)
    port = given.get("port") if given.get("port") is not None else port_of_environment()
    uses_aws = given.get("aws") or port == 0
    local = None if uses_aws else runtime.local_stacks.info(port or DEFAULT_PORT)
    if local is None and not uses_aws:
        # Asking for the role of an EC2 instance takes seconds where there is none.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    stack_name = local.stack_name if local else given.get("stack_name") or DEFAULT_STACK
    quick = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    return StackConnection(runtime, local, stack_name, quick).models.models()
