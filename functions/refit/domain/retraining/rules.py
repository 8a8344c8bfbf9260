"""Decide when a model is retrained: a pure function advances the retraining state of the model.

                  alarm                  a run begins             the run ends
    healthy ───────────────► drifting ───────────────► retraining ─────────────► cooling ──► healthy
       ▲  ◄───────────────┘     ▲                                      │
       │   alarm taken back,    └──────── alarm still active ◄─────────┤ after the cool-down
       │   or a new version                                            ▼
       └──────────────────── user command, or a new version ◄────── blocked

The function is level-triggered: `step` reads the current facts, never the event that triggered it,
so lost, late and repeated events do no harm. A retraining that cannot start yet is pending, and
every step checks it again.

An episode lasts from an alarm of one live version until a run begins for it. The id of the run is
derived from the version, its run and the number of the episode. So concurrent steps, and a step
after one that failed half-way, begin the same run. If an alarm is still active after its retraining
and the cool-down, the next episode begins.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from refit.domain.retraining.facts import RetrainingStart, RetrainingStep
from refit.domain.retraining.state import (
    PendingRetraining,
    RetrainingResult,
    RetrainingState,
    RetrainingStatus,
    run_of_episode,
)
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.model_settings import RetrainingSettings
    from refit.domain.pipeline.run import Run
    from refit.domain.retraining.facts import LastComparable, RetrainingFacts
    from refit.domain.retraining.state import UserCommand
    from refit.domain.vocabulary import RetrainingCause

DAY = timedelta(hours=24)
NOT_IMPROVED = frozenset({RunStatus.REFUSED, RunStatus.FAILED})
_COMMANDS_REMEMBERED = 20
_DISABLED = "[retraining] enabled is false: no retraining starts automatically."


def step(
    model: str,
    before: RetrainingState,
    facts: RetrainingFacts,
    settings: RetrainingSettings,
    now: datetime,
) -> RetrainingStep:
    """Return the next state of a model, a run to begin if one is due, and notices to send.

    Args:
        model: name of the model.
        before: the stored state.
        facts: the facts, which must have been read after `before`.
        settings: `[retraining]` of model.toml.
        now: time of the step.
    """
    state = _apply_command(before, facts, now)
    state = _adopt_run(state, facts, now)
    if state.state is RetrainingStatus.RETRAINING:
        state = _apply_run_end(state, facts, settings, now)
    if state.state is RetrainingStatus.RETRAINING:
        return RetrainingStep(_while_run_is_active(state, facts, now))
    state = _follow_live_version(state, facts, now)
    state = _follow_alarm(state, facts, settings, now)
    notices = _notices(model, before, state)
    cause = _cause(state, facts, settings)
    if cause is None:
        return RetrainingStep(state.with_changes(pending=None), notices=notices)
    blockers = _blockers(state, facts, settings, cause, now)
    if blockers or facts.champion is None or facts.champion_run is None:
        return RetrainingStep(_with_pending(state, "; ".join(blockers), now), notices=notices)
    episode = state.episodes + 1
    run = run_of_episode(model, facts.champion_run, facts.champion, episode)
    if run != before.relevant_run(model):
        # The facts were read for another run. Store this state first; the next step begins the run.
        return RetrainingStep(state, notices=notices)
    reason = _reason(state, facts.alarm, cause)
    changed_at = facts.changed_at if cause == "drift" else None
    start = RetrainingStart(run, facts.champion, episode, cause, reason, changed_at)
    return RetrainingStep(state, start, notices)


def _enter(
    state: RetrainingState, status: RetrainingStatus, now: datetime, **changes: Any
) -> RetrainingState:
    return state.with_changes(state=status, since=now, **changes)


def _apply_command(
    state: RetrainingState, facts: RetrainingFacts, now: datetime
) -> RetrainingState:
    """Apply a user command, unless it was applied before."""
    command = facts.command
    if command is None or command.id in state.commands:
        return state
    state = state.with_changes(commands=(*state.commands, command.id)[-_COMMANDS_REMEMBERED:])
    if command.kind == "retrain":
        return _apply_request(state, command, facts)
    if may_be_unblocked(state.state, facts.run):
        note = f"{command.by} unblocked retraining."
        return _enter(state, RetrainingStatus.HEALTHY, now, failures=0, labels_used=0, note=note)
    return state


def _apply_request(
    state: RetrainingState, command: UserCommand, facts: RetrainingFacts
) -> RetrainingState:
    """Record a request, unless an earlier one or the run that it started answers it."""
    if answers(state, command, facts.run, facts.last):
        return state
    is_first = state.request is None or (command.again and not state.request.again)
    return state.with_changes(request=command) if is_first else state


def answers(
    state: RetrainingState,
    command: UserCommand,
    run: Run | None,
    last: LastComparable | None,
) -> bool:
    """Return whether the last retraining is what a command requests.

    A command asks for the run of which its user was told, even if that began or ended meanwhile.
    Another one asks for the active run if a user started that, no setting has changed since, and
    the command does not say `again`.

    Args:
        state: before the command.
        command: a request to retrain.
        run: the run of `state`.
        last: the last run, and what has changed since it began.
    """
    if command.expected_run is not None and command.expected_run == state.run:
        return True
    if state.state is not RetrainingStatus.RETRAINING or run is None or run.status.is_final:
        return False
    has_other_settings = last is not None and last.has_other_settings
    return state.cause == "request" and not command.again and not has_other_settings


def may_be_unblocked(status: RetrainingStatus, run: Run | None) -> bool:
    """Return whether unblocking changes something: it also ends the wait for an approval.

    Args:
        status: of the retraining.
        run: the run that it has started, if there is one.
    """
    return status is RetrainingStatus.BLOCKED or (
        status is RetrainingStatus.RETRAINING and _awaits_approval(run)
    )


def _awaits_approval(run: Run | None) -> bool:
    return run is not None and run.status is RunStatus.AWAITING_APPROVAL


def _adopt_run(state: RetrainingState, facts: RetrainingFacts, now: datetime) -> RetrainingState:
    """Record the run of this episode if it has begun, in this step or in a concurrent one."""
    run = facts.run
    if run is None or run.run == state.run:
        return state
    cause = _retraining_cause(run)
    recent = [moment for moment in state.started if moment > now - DAY]
    is_told = state.request is not None and state.request.expected_run == run.run
    return _enter(
        state,
        RetrainingStatus.RETRAINING,
        now,
        episodes=state.episodes + 1,
        reason=_reason(state, facts.alarm, cause),
        run=run.run,
        cause=cause,
        request=None if cause == "request" or is_told else state.request,
        pending=None,
        started=(*recent, run.started_at) if cause == "drift" else recent,
        labels_used=facts.changed_labels,
        repeats=cause == "request" and facts.last is not None and not facts.last.is_outdated,
        cooled_until=None,
        note=None,
    )


def _retraining_cause(run: Run) -> RetrainingCause:
    """Return the cause of a retraining run. A run of a drop never has the id of an episode."""
    return cast("RetrainingCause", run.cause)


def _reason(state: RetrainingState, alarm: str | None, cause: RetrainingCause) -> str:
    if cause == "request":
        return f"Requested by {state.request.by if state.request else 'a user'}."
    return alarm or state.reason or "The live version drifts."


def _apply_run_end(
    state: RetrainingState, facts: RetrainingFacts, settings: RetrainingSettings, now: datetime
) -> RetrainingState:
    """Update the state when the run has finished."""
    run = facts.run
    if run is None:  # the run of this state has begun, so its item was deleted by hand
        note = f"The record of run {state.run} was deleted."
        return _enter(state, RetrainingStatus.HEALTHY, now, labels_used=0, note=note)
    if not run.status.is_final:
        return state
    if _awaits_approval(facts.run) and state.request is None:
        return state
    # A version that AWS could not deploy has improved the model, as far as anyone knows.
    has_failed = run.status in NOT_IMPROVED and not run.may_be_deployed_again
    # A user who repeats a retraining learns nothing new about the labels.
    is_counted = has_failed and not state.repeats
    failures = state.failures + 1 if is_counted else state.failures
    ended_at = run.finished_at or now
    state = state.with_changes(
        failures=failures,
        # A retraining on the same labels would produce a challenger that is refused again.
        labels_used=state.labels_used if run.status is RunStatus.REFUSED else 0,
        last=RetrainingResult(
            run=run.run,
            cause=_retraining_cause(run),
            status=run.status,
            at=ended_at,
            message=run.message or "",
        ),
        note=None,
    )
    if has_failed and failures >= settings.max_failures:
        return _enter(state, RetrainingStatus.BLOCKED, now)
    cooldown = timedelta(seconds=settings.cooldown_s)
    return _enter(state, RetrainingStatus.COOLING, now, cooled_until=ended_at + cooldown)


def _while_run_is_active(
    state: RetrainingState, facts: RetrainingFacts, now: datetime
) -> RetrainingState:
    """Return the state during a run; a new request is pending until the run ends."""
    note = "The challenger awaits approval." if _awaits_approval(facts.run) else None
    state = state.with_changes(note=note)
    if state.request is None:
        return state.with_changes(pending=None)
    return _with_pending(state, f"run {state.run} is active", now)


def _follow_live_version(
    state: RetrainingState, facts: RetrainingFacts, now: datetime
) -> RetrainingState:
    """Reset the state when another version is live: failures and alarms belong to the old one."""
    version, run = facts.champion, facts.champion_run
    if version == state.version:
        return state if run == state.version_run else state.with_changes(version_run=run)
    reset = state.with_changes(
        version=version, version_run=run, failures=0, labels_used=0, pending=None
    )
    if state.state not in {RetrainingStatus.DRIFTING, RetrainingStatus.BLOCKED}:
        return reset
    note = f"Version {version} replaced version {state.version}, which was {state.state}."
    return _enter(reset, RetrainingStatus.HEALTHY, now, note=note)


def _follow_alarm(
    state: RetrainingState, facts: RetrainingFacts, settings: RetrainingSettings, now: datetime
) -> RetrainingState:
    """Enter DRIFTING when there is an alarm, leave it when there is none, and end a cool-down."""
    is_cooled = state.cooled_until is None or now >= state.cooled_until
    if state.state is RetrainingStatus.COOLING and is_cooled:
        state = _enter(state, RetrainingStatus.HEALTHY, now, cooled_until=None)
    if state.state is RetrainingStatus.HEALTHY and facts.alarm is not None:
        state = _enter(state, RetrainingStatus.DRIFTING, now, reason=facts.alarm, note=None)
    if state.state is not RetrainingStatus.DRIFTING:
        return state
    if facts.alarm is None:
        note = f"An alarm was taken back by later labels before a run began. {state.reason}"
        return _enter(state, RetrainingStatus.HEALTHY, now, note=note)
    return state.with_changes(note=None if settings.enabled else _DISABLED)


def _cause(
    state: RetrainingState, facts: RetrainingFacts, settings: RetrainingSettings
) -> RetrainingCause | None:
    """Return why a retraining is needed; None when none is needed."""
    if state.request is not None:
        return "request"
    drifts = facts.alarm is not None and state.state in {
        RetrainingStatus.DRIFTING,
        RetrainingStatus.COOLING,
    }
    return "drift" if drifts and settings.enabled else None


def _blockers(
    state: RetrainingState,
    facts: RetrainingFacts,
    settings: RetrainingSettings,
    cause: RetrainingCause,
    now: datetime,
) -> list[str]:
    """Return why a retraining cannot begin now. The first three reasons also apply to requests."""
    reasons = []
    if facts.champion is None:
        reasons.append("no version is live")
    if facts.active_run is not None:
        reasons.append(f"run {facts.active_run} is active")
    if cause == "request":
        return reasons + _blockers_of_request(state, facts)
    labels = max(0, facts.changed_labels - state.labels_used)
    if labels < settings.min_labels:
        reasons.append(
            f"{labels:,} of {settings.min_labels:,} labels have arrived for predictions made since "
            "the change"
        )
    if state.state is RetrainingStatus.COOLING and state.cooled_until is not None:
        reasons.append(f"the cool-down ends at {_shown(state.cooled_until)}")
    recent = sorted(moment for moment in state.started if moment > now - DAY)
    if len(recent) >= settings.max_per_day:
        free_at = recent[-settings.max_per_day] + DAY
        reasons.append(
            f"max_per_day is {settings.max_per_day}: the next can start at {_shown(free_at)}"
        )
    return reasons


def _blockers_of_request(state: RetrainingState, facts: RetrainingFacts) -> list[str]:
    last = facts.last
    is_asked_again = state.request is not None and state.request.again
    if last is None or last.is_outdated or last.has_failed or is_asked_again:
        return []
    return [
        f"no new label has arrived since run {last.run}, which had the same settings; `again` "
        "trains on the same data"
    ]


def _with_pending(state: RetrainingState, why: str, now: datetime) -> RetrainingState:
    requested_at = state.request.at if state.request else now
    since = state.pending.since if state.pending else min(requested_at, now)
    return state.with_changes(pending=PendingRetraining(why=why, since=since))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _notices(model: str, before: RetrainingState, after: RetrainingState) -> tuple[str, ...]:
    was_blocked = before.state is RetrainingStatus.BLOCKED
    if after.state is not RetrainingStatus.BLOCKED or was_blocked or after.last is None:
        return ()
    return (
        f"{after.failures} consecutive retrainings of {model} did not improve the model. No "
        f"further retraining starts automatically. The last one, run {after.last.run}, ended "
        f"{after.last.status}: {after.last.message}\n\n"
        f"See `refit status {model}`. After removing the cause, run `refit unblock {model}` to "
        f"resume automatic retraining, or `refit retrain {model} --again` to try once more.",
    )
