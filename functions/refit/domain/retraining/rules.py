"""When a model is trained anew, and why it is not: one state per model, one pure function.

                  alarm                  a run begins             the run ends
    healthy ───────────────► drifting ───────────────► retraining ─────────────► cooling ──► healthy
       ▲  ◄───────────────┘     ▲                                      │
       │   taken back, or a     └──────── still an alarm ◄─────────────┤ after the cool-down
       │   new version is live                                         ▼
       └───────────────────────── a person, or a new version ◄──── blocked

Level-triggered: `step` looks at what is, never at what has just happened, so an event that is lost,
late or delivered twice does no harm. What should be done and cannot be done yet is owed, and every
look asks again.

An episode is an alarm of one live version until a run has begun for it; its number and the version
give the run's id. So whoever looks at the same time, or looks again after a start that broke off,
starts the same run. An alarm that outlasts its retraining and the cool-down is the next episode.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from refit.domain.retraining.state import Owed, Result, Retraining, State, run_of_episode
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.model_settings import RetrainingSettings
    from refit.domain.retraining.state import Command
    from refit.domain.vocabulary import RetrainingCause

DAY = timedelta(hours=24)
NO_BETTER = frozenset({RunStatus.REFUSED, RunStatus.FAILED})
_COMMANDS_REMEMBERED = 20
_OFF = "[retraining] enabled is false: nothing starts by itself."


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run that has begun."""

    run: str
    cause: RetrainingCause
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    message: str


@dataclass(frozen=True)
class Facts:
    """What is, beside the state itself.

    Attributes:
        champion: the live version; None while there is none.
        alarm: why the live version drifts, as a sentence; None while there is no alarm.
        changed_at: since when it does; None while there is no alarm.
        new_labels: labelled predictions that the live version's training set has not seen.
        changed_labels: those of them that were made since then: only they tell of the new world.
        active_run: the run that holds the model's lock.
        run: the run of `Retraining.run_to_look_for`; None when it never began.
        command: what a person has just said.
    """

    champion: int | None
    alarm: str | None
    changed_at: datetime | None
    new_labels: int
    changed_labels: int
    active_run: str | None
    run: RunFacts | None
    command: Command | None = None


@dataclass(frozen=True)
class Start:
    """A run that is to begin now.

    Attributes:
        changed_at: when the world changed to which it is to be fitted; None where it did not.
    """

    run: str
    version: int
    episode: int
    cause: RetrainingCause
    reason: str
    changed_at: datetime | None


@dataclass(frozen=True)
class Step:
    """What follows from the facts.

    Attributes:
        retraining: the new state.
        start: to be carried out before the new state is written; then the facts are others, and
            the step is taken again.
        notices: for people, told before the new state is written.
    """

    retraining: Retraining
    start: Start | None = None
    notices: tuple[str, ...] = ()


def step(
    model: str, before: Retraining, facts: Facts, settings: RetrainingSettings, now: datetime
) -> Step:
    """Return what a model's state becomes, and what is to be done.

    Args:
        model: its name.
        before: the state as it is stored.
        facts: what is, read after `before`.
        settings: `[retraining]` of model.toml.
        now: this moment.
    """
    found = _heard(before, facts, now)
    found = _taken_up(found, facts, now)
    if found.state is State.RETRAINING:
        found = _ended(found, facts, settings, now)
    if found.state is State.RETRAINING:
        return Step(_waiting(found, facts, now))
    found = _of_the_live_version(found, facts, now)
    found = _alarmed(found, facts, settings, now)
    notices = _notices(model, before, found)
    cause = _wanted(found, facts, settings)
    if cause is None:
        return Step(found.but(owed=None), notices=notices)
    hindrances = _hindrances(found, facts, settings, cause, now)
    if hindrances or facts.champion is None:
        return Step(_owing(found, "; ".join(hindrances), now), notices=notices)
    episode = found.episodes + 1
    run = run_of_episode(model, facts.champion, episode)
    if run != before.run_to_look_for(model):
        return Step(found, notices=notices)  # the next step begins it: first this one must hold
    reason = _reason(found, facts.alarm, cause)
    changed_at = facts.changed_at if cause == "drift" else None
    start = Start(run, facts.champion, episode, cause, reason, changed_at)
    return Step(found, start, notices)


def _entered(found: Retraining, state: State, now: datetime, **changes: Any) -> Retraining:
    return found.but(state=state, since=now, **changes)


def _heard(found: Retraining, facts: Facts, now: datetime) -> Retraining:
    """Take in a person's word, once."""
    command = facts.command
    if command is None or command.id in found.commands:
        return found
    found = found.but(commands=(*found.commands, command.id)[-_COMMANDS_REMEMBERED:])
    if command.kind == "retrain":
        return found.but(request=found.request or command)
    if found.state is State.BLOCKED or (found.state is State.RETRAINING and _awaits(facts)):
        note = f"{command.by} let it go on."
        return _entered(found, State.HEALTHY, now, failures=0, labels_used=0, note=note)
    return found


def _awaits(facts: Facts) -> bool:
    """Say whether the run has ended with a challenger that awaits a person's approval."""
    return facts.run is not None and facts.run.status is RunStatus.AWAITING_APPROVAL


def _taken_up(found: Retraining, facts: Facts, now: datetime) -> Retraining:
    """Note the run of this episode, once it has begun: by us, or by whoever was sooner."""
    run = facts.run
    if run is None or run.run == found.run:
        return found
    recent = [moment for moment in found.started if moment > now - DAY]
    return _entered(
        found,
        State.RETRAINING,
        now,
        episodes=found.episodes + 1,
        reason=_reason(found, facts.alarm, run.cause),
        run=run.run,
        cause=run.cause,
        request=None if run.cause == "request" else found.request,
        owed=None,
        started=(*recent, run.started_at) if run.cause == "drift" else recent,
        labels_used=facts.changed_labels,
        cooled_until=None,
        note=None,
    )


def _reason(found: Retraining, alarm: str | None, cause: RetrainingCause) -> str:
    if cause == "request":
        return f"{found.request.by if found.request else 'A person'} asked for it."
    return alarm or found.reason or "The live version drifts."


def _ended(
    found: Retraining, facts: Facts, settings: RetrainingSettings, now: datetime
) -> Retraining:
    """Draw the lesson of a run that has ended."""
    run = facts.run
    if run is None or not run.status.is_final or (_awaits(facts) and found.request is None):
        return found
    failures = found.failures + 1 if run.status in NO_BETTER else found.failures
    ended_at = run.finished_at or now
    found = found.but(
        failures=failures,
        # A challenger that was refused would be refused again on the same labels.
        labels_used=found.labels_used if run.status is RunStatus.REFUSED else 0,
        last=Result(
            run=run.run, cause=run.cause, status=run.status, at=ended_at, message=run.message
        ),
        note=None,
    )
    if run.status in NO_BETTER and failures >= settings.max_failures:
        return _entered(found, State.BLOCKED, now)
    rest = timedelta(seconds=settings.cooldown_s)
    return _entered(found, State.COOLING, now, cooled_until=ended_at + rest)


def _waiting(found: Retraining, facts: Facts, now: datetime) -> Retraining:
    """Return the state while a run is under way: a request waits for its end."""
    found = found.but(note="The challenger awaits a person's approval." if _awaits(facts) else None)
    if found.request is None:
        return found.but(owed=None)
    return _owing(found, f"run {found.run} is under way", now)


def _of_the_live_version(found: Retraining, facts: Facts, now: datetime) -> Retraining:
    """Begin anew when another version is live: what was held against the old one is over."""
    if facts.champion == found.version:
        return found
    anew = found.but(version=facts.champion, failures=0, labels_used=0, owed=None)
    if found.state not in {State.DRIFTING, State.BLOCKED}:
        return anew
    note = f"Version {facts.champion} is live: version {found.version} was {found.state}."
    return _entered(anew, State.HEALTHY, now, note=note)


def _alarmed(
    found: Retraining, facts: Facts, settings: RetrainingSettings, now: datetime
) -> Retraining:
    """Follow the alarm, and end a cool-down that is over."""
    if found.state is State.COOLING and (found.cooled_until is None or now >= found.cooled_until):
        found = _entered(found, State.HEALTHY, now, cooled_until=None)
    if found.state is State.HEALTHY and facts.alarm is not None:
        found = _entered(found, State.DRIFTING, now, reason=facts.alarm, note=None)
    if found.state is not State.DRIFTING:
        return found
    if facts.alarm is None:
        note = f"An alarm was taken back by later labels before a run began. {found.reason}"
        return _entered(found, State.HEALTHY, now, note=note)
    return found.but(note=None if settings.enabled else _OFF)


def _wanted(
    found: Retraining, facts: Facts, settings: RetrainingSettings
) -> RetrainingCause | None:
    """Return what asks for a retraining, if anything does."""
    if found.request is not None:
        return "request"
    alarmed = facts.alarm is not None and found.state in {State.DRIFTING, State.COOLING}
    return "drift" if alarmed and settings.enabled else None


def _hindrances(
    found: Retraining,
    facts: Facts,
    settings: RetrainingSettings,
    cause: RetrainingCause,
    now: datetime,
) -> list[str]:
    """Return why a retraining cannot begin now: nothing holds back a person but these three."""
    reasons = []
    if facts.champion is None:
        reasons.append("no version is live")
    if facts.active_run is not None:
        reasons.append(f"run {facts.active_run} is under way")
    if cause == "request":
        return reasons if facts.new_labels else [*reasons, "no new label has come"]
    labels = max(0, facts.changed_labels - found.labels_used)
    if labels < settings.min_labels:
        reasons.append(
            f"{labels:,} of {settings.min_labels:,} labels have come of what was predicted since "
            "the change"
        )
    if found.state is State.COOLING and found.cooled_until is not None:
        reasons.append(f"it rests until {_shown(found.cooled_until)}")
    recent = sorted(moment for moment in found.started if moment > now - DAY)
    if len(recent) >= settings.max_per_day:
        again = recent[-settings.max_per_day] + DAY
        reasons.append(f"max_per_day is {settings.max_per_day}: the next at {_shown(again)}")
    return reasons


def _owing(found: Retraining, why: str, now: datetime) -> Retraining:
    asked = found.request.at if found.request else now
    since = found.owed.since if found.owed else min(asked, now)
    return found.but(owed=Owed(why=why, since=since))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _notices(model: str, before: Retraining, found: Retraining) -> tuple[str, ...]:
    if found.state is not State.BLOCKED or before.state is State.BLOCKED or found.last is None:
        return ()
    return (
        f"{found.failures} retrainings of {model} in a row brought no better model, so no further "
        f"one starts by itself. The last, run {found.last.run}, ended {found.last.status}: "
        f"{found.last.message}\n\nLook at `refit status {model}`; when the cause is removed, "
        f"`refit unblock {model}` lets it go on, and `refit retrain {model}` tries once more.",
    )
