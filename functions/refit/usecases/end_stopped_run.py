"""End the run of an execution that ended without finishing its run.

A Catch does not run when an execution is stopped from outside, and takes no runtime error, so the
model would remain locked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from refit.domain.naming import model_of_group
from refit.domain.pipeline.reconciliation import EndRun
from refit.usecases.reconcile_model import reconcile_model

if TYPE_CHECKING:
    from refit.stores.executions import Execution
    from refit.usecases.services import Services


def end_stopped_run(services: Services, execution: Execution) -> str | None:
    """End the run of an execution if it has not ended; return the run, or None.

    Args:
        services: the AWS services and the clock of this process.
        execution: of TRAIN or DEPLOY; it is ABORTED, TIMED_OUT or FAILED.
    """
    model = _model(services, execution)
    if model is None:
        return None
    steps = reconcile_model(services, model, ended=execution)
    return next((step.run for step in steps if isinstance(step, EndRun)), None)


def _model(services: Services, execution: Execution) -> str | None:
    given = json.loads(execution.input)
    if "model" in given:
        return str(given["model"])
    return model_of_group(
        services.environment.name_prefix, given["detail"]["ModelPackageGroupName"]
    )
