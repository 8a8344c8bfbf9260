"""All sources of a model's lines together: once, or again and again.

CloudWatch Logs shows a line some seconds after it was written, and not in order. So each look goes
back, and what was shown is remembered for that time.

Live Tail (StartLiveTail) is not used: it samples lines beyond 500 a second, and costs per minute.
"""

from __future__ import annotations

from collections import Counter
from time import sleep, time
from typing import TYPE_CHECKING

from refit.domain.naming import RUN_ID_LENGTH

from refit_cli.errors import BadInput, unknown_model
from refit_cli.logs.sources import FunctionLines, JobLines, LogSource, StateLines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection
    from refit_cli.logs.lines import LogLine

LATE_MS = 60_000


class Tail:
    """The lines of a model, or of one of its runs.

    Args:
        sources: where they come from.
        since_ms: the first moment, in milliseconds since 1970.
    """

    def __init__(self, sources: Sequence[LogSource], since_ms: int) -> None:
        self._sources = sources
        self._since_ms = since_ms
        self._shown: set[tuple[int, str, str, int]] = set()

    def new_lines(self) -> list[LogLine]:
        """Return what no call has returned yet, in the order of time."""
        began_ms = int(time() * 1000)
        found = sorted(line for source in self._sources for line in source.lines(self._since_ms))
        equal: Counter[tuple[int, str, str]] = Counter()
        unseen, looked_at = [], set()
        for line in found:
            what = (line.timestamp_ms, line.name, line.text)
            equal[what] += 1  # a stream may have the same line several times in a millisecond
            key = (*what, equal[what])
            looked_at.add(key)
            if key not in self._shown:
                unseen.append(line)
        self._since_ms = max(self._since_ms, began_ms - LATE_MS)
        self._shown = {key for key in self._shown | looked_at if key[0] >= self._since_ms}
        return unseen

    def follow(self, poll_s: float) -> Iterator[list[LogLine]]:
        """Yield new lines for ever."""
        while True:
            yield self.new_lines()
            sleep(poll_s)


def tail_of(connection: StackConnection, model: str, run_id: str | None, since: datetime) -> Tail:
    """Return the lines of a model since a moment, or those of one run from its beginning.

    Raises:
        BadInput: when there is no such model or run.
    """
    known = connection.models.runs(model)
    if not known:
        raise unknown_model(model, connection.models.models(), connection.location)
    if run_id is not None:
        (run,) = _runs_named(known, model, run_id)
        run_id, since = run.run, run.started_at

    def runs() -> list[Run]:
        current = connection.models.runs(model)
        if run_id is not None:
            return [run for run in current if run.run == run_id]
        return [run for run in current if run.updated_at >= since]

    def batches() -> list[str]:
        if run_id is not None:
            return []
        return [
            each.batch for each in connection.batches.of_model(model) if each.updated_at >= since
        ]

    def executions() -> list[str]:
        of_runs = [(run.train_execution_arn, run.deploy_execution_arn) for run in runs()]
        of_batches = [f"{batch_machine}:{model}-{batch}" for batch in batches()]
        return [*of_batches, *(arn for both in of_runs for arn in both if arn)]

    def with_jobs() -> list[str]:
        return [*(run.run for run in runs()), *batches()]

    logs, prefix = connection.client("logs"), connection.stack.name_prefix
    batch_machine = connection.stack.state_machines[2].replace(":stateMachine:", ":execution:")
    sources: list[LogSource] = [
        FunctionLines(logs, connection.function_logs, model, run_id),
        StateLines(connection.client("stepfunctions"), prefix, executions),
        JobLines("training", logs, prefix, model, lambda: [run.run for run in runs()]),
        JobLines("transform", logs, prefix, model, with_jobs),
    ]
    return Tail(sources, int(since.timestamp() * 1000))


def _runs_named(known: Sequence[Run], model: str, run_id: str) -> list[Run]:
    """Return the one run whose id begins so."""
    found = [run for run in known if run.run.startswith(run_id)]
    if len(found) == 1 or (found and len(run_id) == RUN_ID_LENGTH):
        return found[:1]
    problem = "has several runs that begin with" if found else "has no run"
    raise BadInput(
        f"the model {model!r} {problem} {run_id!r}", f"list its runs with `refit status {model}`"
    )
