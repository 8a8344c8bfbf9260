"""Make the verified version the champion, and set its alarms.

The alarms are set first. If that fails, the previous champion remains and the rollback restores its
alarms. The model and endpoint config of the replaced version are kept for further deployments of
its package. They cost nothing while no endpoint uses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.vocabulary import EventName
from refit.usecases.set_alarms import set_alarms

if TYPE_CHECKING:
    from refit.domain.pipeline.model_state import Champion
    from refit.usecases.services import Services


def promote_version(services: Services, model: str, champion: Champion) -> int | None:
    """Promote a version; return the version that it replaces, or None.

    Raises:
        SchemaChanged: when the columns of the version were accepted by a model.toml, and another
            run has used this acceptance meanwhile.
        ModelNotFound: when the model is being removed.
        ServiceThrottled: when AWS throttled a request, or the state kept changing concurrently.
    """
    before = services.models.champion(model)
    replaced = before.version if before and before.version != champion.version else None
    set_alarms(services, model, champion.run, champion.variant)
    if before is None:
        _notify_first(services, model, champion)
    accepted_by = services.artifacts.manifest(model, champion.run).accepted_by
    services.models.promote(model, champion, accepted_by)
    services.messaging.publish(
        EventName.MODEL_PROMOTED,
        {
            "model": model,
            "run": champion.run,
            "version": champion.version,
            "replaced": replaced,
            "endpoint": champion.endpoint,
        },
    )
    return replaced


def _notify_first(services: Services, model: str, champion: Champion) -> None:
    """Say what the first version of a model predicts, and from what."""
    run = services.models.run(model, champion.run)
    learned = run.learned.text if run and run.learned else ""
    services.messaging.notify(
        f"Refit: {model} is live for the first time",
        f"version {champion.version} of {model} is live on endpoint {champion.endpoint}\n\n"
        f"{learned}".rstrip(),
    )
