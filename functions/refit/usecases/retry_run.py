"""Run the drop of an earlier run again: the same file versions, with the settings of now.

If only its deployment failed, by a fault of AWS, the version is deployed again without training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.naming import RunKeys, retry_id
from refit.domain.vocabulary import RunStatus
from refit.stores.models import BeginResult
from refit.telemetry import logger
from refit.usecases.start_drop import start_or_refuse
from refit.usecases.start_run import start_run

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import Drop
    from refit.usecases.services import Services


def retry_run(services: Services, model: str, run: str) -> None:
    """Run the drop of a run again, once. People are notified if it cannot be run now.

    The id of the new run is derived from that of the old one, so a repeated request starts nothing,
    also when the new run has ended. The new run takes no files from the drop folder.
    """
    if _deploy_again(services, model, run):
        return
    again = retry_id(model, run)
    if services.models.run(model, again) is not None:
        start_run(services, model, again)
        return
    drop, reason = _drop_to_retry(services, model, run)
    if drop is not None:
        retried = drop.model_copy(update={"run": again, "retry_of": run})
        key = RunKeys(model, again).drop
        services.bucket.put_json(key, retried.model_dump(mode="json"))
        begun = services.models.begin_run(model, again, "drop", None, retry_of=run)
        logger.info("retry", extra={"model": model, "run": again, "of": run, "result": begun})
        if begun is BeginResult.STARTED:
            start_or_refuse(services, retried)
        if begun is not BeginResult.BUSY:
            return
        reason = "another run of the model is active, or the model is being removed"
    message = f"Run {run} of {model} is not run again: {reason}."
    services.messaging.notify(f"Refit: {model} run {run} is not run again", message)


def _deploy_again(services: Services, model: str, run: str) -> bool:
    """Start the deployment of a run's version if nothing else of the run failed.

    Returns:
        False when the run failed otherwise, or its version should not be live any more.
    """
    record = services.models.run(model, run)
    if record is None or not record.may_be_deployed_again:
        return False
    group = services.names(model).model_package_group
    newest = services.registry.latest_approved(group)
    if newest is None or newest.arn != record.package_arn or record.deploy_execution_arn is None:
        return False
    services.deployments.repeat(group, newest.version, newest.arn, record.deploy_execution_arn)
    logger.info("deploy again", extra={"model": model, "run": run, "version": newest.version})
    return True


def _drop_to_retry(services: Services, model: str, run: str) -> tuple[Drop | None, str]:
    """Return the drop of a run; None with a reason if it cannot be run again."""
    record = services.models.run(model, run)
    if record is None:
        return None, "there is no such run"
    if record.cause != "drop":
        return None, "it is a retraining, and `refit retrain` starts another one"
    if not record.status.is_final or record.status is RunStatus.AWAITING_APPROVAL:
        return None, f"it is {record.status}"
    try:
        return services.artifacts.drop(model, run), ""
    except ObjectNotFound as error:
        return None, str(error)
