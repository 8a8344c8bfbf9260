"""The model card as an object of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_cli.errors import BadInput, unknown_model
from refit_cli.model_card.limits import limits_of, ranges_of
from refit_cli.model_card.lineage import read_lineage
from refit_cli.report.facts import read_facts
from refit_cli.report.summary import summary_of

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection
    from refit_cli.report.facts import RunFacts

FORMAT = "refit-model-card/1"


def card_of(
    connection: StackConnection, model: str, version: int | None, now: datetime
) -> dict[str, Any]:
    """Return the card of a version, by default the live one, else the newest.

    Raises:
        BadInput: when there is no such model or version.
    """
    facts = read_facts(connection, model, _run(connection, model, version).run)
    run, manifest, champion = facts.run, facts.manifest, facts.champion
    return {
        "format": FORMAT,
        "model": model,
        "version": run.version,
        "run": run.run,
        "exported_at": now.isoformat(timespec="seconds"),
        "is_live": champion is not None and champion.run == run.run,
        "model_package": run.package_arn,
        "summary": summary_of(facts),
        "training": _training(facts),
        "data": _data(facts),
        "lineage": read_lineage(connection.bucket, manifest).as_json(manifest)
        if manifest
        else None,
        "evaluation": facts.evaluation.model_dump(mode="json") if facts.evaluation else None,
        "gate": facts.decision.model_dump(mode="json") if facts.decision else None,
        "limits": limits_of(facts),
    }


def _run(connection: StackConnection, model: str, version: int | None) -> Run:
    runs = connection.models.runs(model)
    if not runs:
        raise unknown_model(model, connection.models.models(), connection.location)
    champion = connection.models.champion(model)
    if version is None and champion is not None:
        version = champion.version
    registered = [run for run in runs if run.version is not None]
    for run in registered:
        if version in {None, run.version}:
            return run
    known = ", ".join(str(run.version) for run in registered) or "none"
    problem = "has no version yet" if version is None else f"has no version {version}"
    raise BadInput(
        f"the model {model!r} {problem}; versions: {known}",
        f"see its runs with `refit status {model}`",
    )


def _training(facts: RunFacts) -> dict[str, Any]:
    run, manifest = facts.run, facts.manifest
    return {
        "started_at": run.started_at.isoformat(),
        "hyperparameters": facts.hyperparameters,
        "settings": manifest.settings.model_dump(mode="json") if manifest else None,
        "tuning": facts.tuning,
        "script": run.script.model_dump(mode="json") if run.script else None,
        "continued": run.continued.model_dump(mode="json") if run.continued else None,
    }


def _data(facts: RunFacts) -> dict[str, Any] | None:
    manifest = facts.manifest
    if manifest is None:
        return None
    return {
        "cause": manifest.cause,
        "files": [file.model_dump(mode="json") for file in manifest.files],
        "rows": manifest.rows.model_dump(),
        "split": manifest.split.model_dump(mode="json"),
        "split_by": manifest.split.described,
        "learned": manifest.learned.model_dump(mode="json") if manifest.learned else None,
        "ranges": ranges_of(facts.profile),
        "features_from": manifest.features_from.model_dump(mode="json")
        if manifest.features_from
        else None,
    }
