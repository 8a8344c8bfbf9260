"""What holds a model, and the request to free it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from refit.domain.answers.holds import Hold
    from refit.domain.naming import RunKeys

    from refit_cli.connection import StackConnection


def read_holds(connection: StackConnection, model: str) -> tuple[Hold, ...]:
    """Return what holds a model now, as `GET /models/{model}` answers it."""
    from refit.domain.answers.holds import HoldFacts, holds_of  # noqa: PLC0415 (slow)
    from refit.domain.naming import ResourceNames, RunKeys  # noqa: PLC0415
    from refit.stores.endpoints import Endpoints  # noqa: PLC0415
    from refit.usecases.endpoint_faults import fault_of  # noqa: PLC0415

    state = connection.models.state(model)
    run = state.active_run or state.last_run
    fault = missing = None
    if state.champion is not None:
        names = ResourceNames(connection.stack.name_prefix, model)
        live = Endpoints(connection.client).describe(names.endpoint)
        fault = fault_of(names, state.champion, live)
        missing = _missing_file(connection, RunKeys(model, state.champion.run))
    return holds_of(
        HoldFacts(
            model=model,
            state=state,
            run=connection.models.run(model, run) if run else None,
            retraining=connection.monitoring.retraining(model),
            endpoint_fault=fault,
            missing_file=missing,
        )
    )


def _missing_file(connection: StackConnection, keys: RunKeys) -> str | None:
    """Return the first file that predictions of the live version need and that does not exist."""
    from refit.domain.errors import ObjectNotFound  # noqa: PLC0415 (slow)

    try:
        for key in (keys.manifest, keys.schema):
            connection.bucket.size_bytes(key)
    except ObjectNotFound as error:
        return str(error)
    return None


def holds_beside_retraining(connection: StackConnection, model: str) -> bool:
    """Return whether more is to be freed than the retraining of a model."""
    by_command = {hold.kind for hold in read_holds(connection, model)} - {
        "retraining",
        "approval",
        "files",
    }
    has_pending_data = connection.models.state(model).pending
    return bool(by_command) or has_pending_data or bool(connection.batches.open(model))


def request_release(connection: StackConnection, model: str) -> str:
    """Free a model over the API, whose function has the rights to do so; return what was done.

    Raises:
        Refused: when there is nothing to free, or the model is being removed.
        CommandError: when the API refuses for another reason.
    """
    from refit_cli.api.model_api import ModelApi, error_of  # noqa: PLC0415 (slow)
    from refit_cli.errors import Refused  # noqa: PLC0415

    api = ModelApi(connection.api_access(model, "operate"), "unblock")
    response = api.post(b"", "application/json")
    if response.status_code == _CONFLICT:
        raise Refused(str(response.json()["error"]["message"]), f"see `refit status {model}`")
    if not response.ok:
        raise error_of(response, "the request")
    return str(response.json()["text"])


_CONFLICT = 409


def hold_lines(holds: tuple[Hold, ...]) -> list[str]:
    """Return what holds a model as lines for a person."""
    lines = []
    for hold in holds:
        since = f" since {hold.since:%Y-%m-%d %H:%M:%S} UTC" if hold.since else ""
        lines.append(f"[yellow]held[/]{since}  {escape(hold.text)}")
        lines.append(f"  to free it: [bold]{hold.command}[/]")
    return lines
