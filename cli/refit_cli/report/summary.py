"""Say in sentences what a run trained, on what, why, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.vocabulary import RunStatus

from refit_cli.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.report.facts import RunFacts

_SHOWN_FILES = 5
_OUTCOMES = {
    RunStatus.REFUSED: "The gate refused the model; it was not deployed.",
    RunStatus.FAILED: "The run failed.",
    RunStatus.AWAITING_APPROVAL: "The model waits for a person to approve it in the registry.",
    RunStatus.SUPERSEDED: "Another run took the data of this run.",
}


def summary_of(facts: RunFacts) -> list[str]:
    """Return the sentences."""
    return [*_outcome(facts), *_training(facts), *_cause(facts), *_gate(facts)]


def _outcome(facts: RunFacts) -> Iterator[str]:
    run, champion = facts.run, facts.champion
    if run.status is RunStatus.DEPLOYED:
        is_live = champion is not None and champion.run == run.run
        now = "It is the live version." if is_live else "Another version is live now."
        yield f"Version {run.version} of {run.model} was deployed. {now}"
    else:
        yield _OUTCOMES.get(run.status, f"The run has not ended: it is {run.status}.")
    if run.error:
        yield f"{run.error}: {run.message or 'no message'}"


def _training(facts: RunFacts) -> Iterator[str]:
    learned = facts.run.learned
    if facts.manifest and facts.manifest.learned:
        learned = facts.manifest.learned
    if learned:
        yield f"The model {learned.sentence}."
    if facts.manifest:
        rows = facts.manifest.rows
        yield (
            f"It was trained on {counted(rows.train, 'row')} and validated on {rows.validation:,}; "
            f"{rows.test:,} rows were held out to test it, and {rows.quarantined:,} were refused."
        )
        if source := facts.manifest.features_from:
            yield (
                f"{source.columns} of its columns are predictions of {source.text} "
                "([data] features_from)."
            )
        if labelled := facts.manifest.labelled.total:
            yield f"{labelled:,} of the rows are predictions whose true label arrived later."
    if facts.run.script:
        yield f"It {facts.run.script.sentence}."
    if facts.run.continued:
        yield f"It {facts.run.continued.sentence}."


def _cause(facts: RunFacts) -> Iterator[str]:
    drop = facts.drop
    if drop is None:
        return
    if drop.cause == "drop":
        names = [file.key.partition("/raw/")[2] for file in drop.files]
        shown = ", ".join(names[:_SHOWN_FILES])
        more = f" and {len(names) - _SHOWN_FILES:,} more" if len(names) > _SHOWN_FILES else ""
        yield f"It began because files were uploaded: {shown}{more}."
    else:
        cause = "drift was detected" if drop.cause == "drift" else "a user asked for a retraining"
        yield f"It began because {cause}{f': {drop.reason}' if drop.reason else '.'}"
    if drop.retry_of:
        yield f"It repeats run {drop.retry_of}."


def _gate(facts: RunFacts) -> Iterator[str]:
    if facts.decision is not None:
        verdict = "passed" if facts.decision.passed else "refused"
        yield f"The gate {verdict} it: {' '.join(facts.decision.reasons)}"
