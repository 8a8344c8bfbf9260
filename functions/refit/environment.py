"""The only reader of the environment: what the template tells a Lambda."""

from __future__ import annotations

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field


class Environment(BaseModel):
    """Values that template.yaml passes as environment variables, upper-cased.

    A function gets only those it needs: the others stay at their default and are not used there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    bucket: str = ""
    model_table: str = ""
    inference_table: str = ""
    name_prefix: str = "refit"
    region: str = Field("us-east-1", validation_alias="AWS_REGION")
    ingest_queue_url: str = ""
    quiet_seconds: int = 60
    train_state_machine_arn: str = ""
    notices_topic_arn: str = ""
    capture_stream: str = ""
    check_drift_queue_url: str = ""
    retrain_queue_url: str = ""
    sagemaker_role_arn: str = ""
    look_every: str = "rate(1 minute)"
    event_bus: str = "default"


@cache
def environment() -> Environment:
    """Return the function's settings, read once.

    Raises:
        ValidationError: when a variable has the wrong form; the deployment is broken then.
    """
    known = {
        str(field.validation_alias or name.upper()): os.environ.get(
            str(field.validation_alias or name.upper())
        )
        for name, field in Environment.model_fields.items()
    }
    given = {
        key if key == "AWS_REGION" else key.lower(): value
        for key, value in known.items()
        if value is not None
    }
    return Environment.model_validate(given)
