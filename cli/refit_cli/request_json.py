"""What was requested, as JSON: the fields of the API's answer, and the command that follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refit.domain.answers.actions import ActionName


def request_json(
    action: ActionName,
    model: str,
    by: str,
    text: str,
    *,
    until: str,
    command: str,
    event: str | None = None,
    version: int | None = None,
    run: str | None = None,
    followed_run: str | None = None,
) -> dict[str, Any]:
    """Return an action as the API answers it (`ActionAnswer`), with `follow.command` added.

    Args:
        action: what was requested.
        model: name of the model.
        by: who requested it.
        text: what happens now.
        until: when it has happened, in terms of the API's answer at `follow.path`.
        command: the command that shows how it goes on.
        event: id of the event on the bus, if the action is one.
        version: the version that the action is about.
        run: the run that the action is about.
        followed_run: the run whose answer `until` speaks of; None for the model's.
    """
    from refit.domain.answers.actions import ActionAnswer, Follow  # noqa: PLC0415 (slow)

    path = f"/models/{model}" + (f"/runs/{followed_run}" if followed_run else "")
    answer = ActionAnswer(
        model=model,
        action=action,
        by=by,
        event=event,
        version=version,
        run=run,
        text=text,
        follow=Follow(path=path, until=until),
    ).model_dump(mode="json", by_alias=True)
    return answer | {"follow": answer["follow"] | {"command": command}}
