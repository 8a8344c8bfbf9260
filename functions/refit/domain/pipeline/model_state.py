"""The state of a model: its champion and the locks that its run and its deployment hold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from refit.domain.moments import Moment


class Champion(BaseModel):
    """The live version of a model.

    Attributes:
        cached_until: until then the predictions of some rows are cached; None if there are none.
    """

    model_config = ConfigDict(frozen=True)

    version: int
    run: str
    package_arn: str
    endpoint: str
    endpoint_config: str
    variant: str
    promoted_at: str
    cached_until: Moment | None = None


class ModelState(BaseModel):
    """The STATE item of a model.

    Attributes:
        active_run: holds the lock of the model, since `active_since`.
        last_run: the run that began last.
        deployment: holds the deployment lock since `deployment_since`; `deployment_execution` is
            the ARN of its execution, and `deployment_run` the run that it deploys.
        pending: new data arrived while a run was active; the next run starts when that one ends.
        consumed_by: the last run that took files from the drop folder. Its consumed.txt lists what
            it and all runs before it have taken; None before the first run.
        removing_since: when the removal of the model began. From then on no run and no deployment
            begins, and no version is live.
        removal_settles_at: until then, processes that began before the removal may still write.
    """

    model_config = ConfigDict(frozen=True)

    champion: Champion | None = None
    active_run: str | None = None
    active_since: str | None = None
    last_run: str | None = None
    deployment: str | None = None
    deployment_since: str | None = None
    deployment_execution: str | None = None
    deployment_run: str | None = None
    pending: bool = False
    consumed_by: str | None = None
    removing_since: Moment | None = None
    removal_settles_at: Moment | None = None
