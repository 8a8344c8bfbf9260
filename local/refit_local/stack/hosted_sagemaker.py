"""Register the local SageMaker in MiniStack."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit_local.ministack import hooks
from refit_local.ministack.execution_scope import stop_signal
from refit_local.ministack.iam import Permission, assume_role, role_may
from refit_local.ministack.permissions import sagemaker_permissions
from refit_local.ministack.service_quotas import account_quotas
from refit_local.ministack.services import HostedService, Service, register_service
from refit_local.ministack.task_integrations import TaskFailed, register_task
from refit_local.sagemaker.host import HostServices, RoleCredentials
from refit_local.sagemaker.service import LocalSageMaker
from refit_local.sagemaker.step_functions import PREFIX, TaskFailure
from refit_local.stack.emulator_settings import ACCOUNT_ID
from refit_local.stack.record import endpoint_url

if TYPE_CHECKING:
    from pathlib import Path


def install_sagemaker(state: Path, port: int, region: str) -> HostedService:
    """Start the local SageMaker and route its requests and Step Functions tasks to it.

    The administrator's credentials are read from the environment.
    """
    host = HostServices(
        endpoint_url=endpoint_url(port),
        region=region,
        account_id=ACCOUNT_ID,
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        put_event=hooks.put_event,
        put_metric=hooks.put_metric,
        put_log_lines=hooks.put_log_lines,
        role_credentials=_role_credentials,
        quota=account_quotas().value,
        may=lambda role, action, resource: role_may(role, Permission(action, resource)),
    )
    sagemaker = LocalSageMaker(state / "sagemaker", host)
    register_service(
        Service(
            name="sagemaker",
            aliases=("api.sagemaker", "runtime.sagemaker"),
            target_prefix="SageMaker",
            sdk_name="SageMaker",
            models=("sagemaker", "sagemaker-runtime"),
            handle_request=sagemaker.handle_request,
            permissions=sagemaker_permissions,
            reset=sagemaker.reset,
        )
    )

    def start(resource: str, arguments: dict[str, Any], execution_arn: str) -> dict[str, Any]:
        try:
            return sagemaker.tasks.run(resource, arguments, execution_arn, stop_signal())
        except TaskFailure as failure:
            raise TaskFailed(failure.error, failure.cause) from failure

    register_task(PREFIX, start, sagemaker.tasks.stop)
    return HostedService(sagemaker.resume, sagemaker.shutdown)


def _role_credentials(role_arn: str, session_name: str) -> RoleCredentials:
    session = assume_role(role_arn, session_name, "sagemaker.amazonaws.com")
    return RoleCredentials(
        session.access_key_id,
        session.secret_access_key,
        session.session_token,
        datetime.fromtimestamp(session.expires_at, UTC),
    )
