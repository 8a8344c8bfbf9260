"""The entry point of the local SageMaker: dispatches requests to the operations."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.endpoints.configs import EndpointConfigs
from refit_local.sagemaker.endpoints.data_capture import DataCapture
from refit_local.sagemaker.endpoints.endpoints import SageMakerEndpoints
from refit_local.sagemaker.endpoints.runtime import PATH, EndpointRuntime
from refit_local.sagemaker.jobs.training_jobs import TrainingJobs
from refit_local.sagemaker.jobs.transform_jobs import TransformJobs
from refit_local.sagemaker.machine.shares import MachineLimits
from refit_local.sagemaker.models.models import SageMakerModels
from refit_local.sagemaker.models.registry import SageMakerModelRegistry
from refit_local.sagemaker.platform import ContainerTimeouts, Platform
from refit_local.sagemaker.records.tags import ResourceTags
from refit_local.sagemaker.reporting.events import job_detail
from refit_local.sagemaker.step_functions import SageMakerTasks
from refit_local.sagemaker.tuning.tuning_jobs import TuningJobs
from refit_local.sagemaker.wire.errors import (
    ApiError,
    NotImplementedLocally,
    SerializationException,
    ValidationException,
)
from refit_local.sagemaker.wire.requests import checked_request, operation_names

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.sagemaker.host import HostServices
    from refit_local.sagemaker.records.job_kinds import JobKind

TARGET_PREFIX = "SageMaker."
_CONTROL_THREADS = 8
_JOIN_TIMEOUT_S = 8.0
Operation = Callable[[dict[str, Any]], dict[str, Any]]
Response = tuple[int, dict[str, str], bytes]


class LocalSageMaker:
    """Training jobs, transform jobs, model registry and endpoints of one local stack.

    Args:
        state_dir: the folder of all state; a later service on the same folder continues from it.
        host: the services of the host process.
        limits: what jobs may use of this machine; the default reads the environment.
        timeouts: how long to wait for containers.
    """

    def __init__(
        self,
        state_dir: Path,
        host: HostServices,
        limits: MachineLimits | None = None,
        timeouts: ContainerTimeouts | None = None,
    ) -> None:
        self._platform = Platform(
            state_dir,
            host,
            limits or MachineLimits.from_environment(),
            timeouts or ContainerTimeouts(),
        )
        models = SageMakerModels(self._platform)
        configs = EndpointConfigs(self._platform, models)
        self._capture = DataCapture(self._platform.storage, self._platform.logs)
        self._platform.background.each_tick(self._capture.tick)
        self._endpoints = SageMakerEndpoints(self._platform, configs, models)
        self._training = TrainingJobs(self._platform)
        self._transform = TransformJobs(self._platform, models)
        self._tuning = TuningJobs(self._platform, self._training)
        self._runtime = EndpointRuntime(self._platform, self._endpoints, self._capture)
        self._registry = SageMakerModelRegistry(self._platform)
        self._operations: dict[str, Operation] = {
            **_job_operations(self._training, self._transform),
            **_tuning_operations(self._tuning),
            **_model_operations(models, self._registry),
            **_endpoint_operations(configs, self._endpoints),
            **_tag_operations(ResourceTags(self._platform.store)),
        }
        self._threads = ThreadPoolExecutor(_CONTROL_THREADS, "sagemaker control")
        self._resume_lock = threading.Lock()
        self._resumed = False
        self._shut_down = False
        self.tasks = SageMakerTasks(
            self.call, lambda: self._platform.background.ended, self._job_detail
        )

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: object
    ) -> Response:
        """Answer a request of the control plane (by `X-Amz-Target`) or of the runtime (by path).

        Args:
            method: the HTTP method.
            path: the path without the query.
            headers: the headers; the case of their names does not matter.
            body: the body.
            query: ignored, because SageMaker has no query parameters.

        Returns:
            Status, headers and body.
        """
        lowered = {name.lower(): value for name, value in headers.items()}
        target = lowered.get("x-amz-target", "")
        try:
            if not target and PATH.fullmatch(path):
                if not self._resumed:
                    await self._in_thread(self.resume)
                return await self._runtime.handle(path, lowered, body)
            operation = target.removeprefix(TARGET_PREFIX) if target else f"{method} {path}"
            answer = await self._in_thread(lambda: self.call(operation, _parsed(body)))
        except ApiError as error:
            media_type = "x-amz-json-1.1" if target else "json"
            return (
                error.status,
                {"Content-Type": f"application/{media_type}", "x-amzn-ErrorType": error.code},
                json.dumps(error.body()).encode(),
            )
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operation of the control plane.

        Raises:
            ApiError: the error that AWS would answer, or NotImplementedLocally.
        """
        if operation not in self._operations:
            if operation in operation_names():
                raise NotImplementedLocally(operation)
            raise ValidationException(f"SageMaker has no operation {operation}.")
        # Resume first: later, it would fail the jobs of this process as unfinished ones.
        self.resume()
        return self._operations[operation](checked_request(operation, payload))

    def resume(self) -> None:
        """Continue from stored state: start the endpoints again and fail unfinished jobs.

        Events that were not published are published.

        The host calls it when its other services answer; otherwise the first request does.
        """
        with self._resume_lock:
            if self._resumed:
                return
            self._resumed = True
            self._tuning.resume()
            self._training.resume()
            self._transform.resume()
            self._registry.resume()
            self._endpoints.resume()

    def reset(self) -> None:
        """End all jobs and endpoints, and delete all state."""
        self._end_all()
        self._platform.store.clear()

    def shutdown(self) -> None:
        """End all jobs and endpoints and their processes. May be called twice."""
        if self._shut_down:
            return
        self._shut_down = True
        self._platform.background.request_end()
        self._end_all()
        self._platform.memory.end()
        self._platform.background.join(_JOIN_TIMEOUT_S)
        # An endpoint that was starting may have come into service in the meantime.
        self._endpoints.end()
        self._runtime.close()
        self._capture.flush()
        self._platform.logs.flush(everything=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _end_all(self) -> None:
        self._tuning.end()
        self._training.end()
        self._transform.end()
        self._endpoints.end()

    def _job_detail(self, kind: JobKind, name: str) -> dict[str, Any]:
        record = self._platform.store.get(kind.resource, name)
        return job_detail(kind, record) if record is not None else {}

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, contextvars.copy_context().run, work)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body or b"{}")
    except ValueError:
        raise SerializationException("Unexpected character or end of input in the JSON") from None
    if not isinstance(payload, dict):
        raise SerializationException("Unexpected token received from parser")
    return payload


def _job_operations(training: TrainingJobs, transform: TransformJobs) -> dict[str, Operation]:
    return {
        "CreateTrainingJob": training.create,
        "DescribeTrainingJob": training.describe,
        "ListTrainingJobs": training.list,
        "StopTrainingJob": training.stop,
        "CreateTransformJob": transform.create,
        "DescribeTransformJob": transform.describe,
        "ListTransformJobs": transform.list,
        "StopTransformJob": transform.stop,
    }


def _tuning_operations(tuning: TuningJobs) -> dict[str, Operation]:
    return {
        "CreateHyperParameterTuningJob": tuning.create,
        "DescribeHyperParameterTuningJob": tuning.describe,
        "ListHyperParameterTuningJobs": tuning.list,
        "StopHyperParameterTuningJob": tuning.stop,
        "DeleteHyperParameterTuningJob": tuning.delete,
        "ListTrainingJobsForHyperParameterTuningJob": tuning.list_trials,
    }


def _model_operations(
    models: SageMakerModels, registry: SageMakerModelRegistry
) -> dict[str, Operation]:
    return {
        "CreateModel": models.create,
        "DescribeModel": models.describe,
        "ListModels": models.list,
        "DeleteModel": models.delete,
        "CreateModelPackageGroup": registry.create_group,
        "DescribeModelPackageGroup": registry.describe_group,
        "ListModelPackageGroups": registry.list_groups,
        "DeleteModelPackageGroup": registry.delete_group,
        "CreateModelPackage": registry.create_package,
        "DescribeModelPackage": registry.describe_package,
        "ListModelPackages": registry.list_packages,
        "UpdateModelPackage": registry.update_package,
        "DeleteModelPackage": registry.delete_package,
    }


def _endpoint_operations(
    configs: EndpointConfigs, endpoints: SageMakerEndpoints
) -> dict[str, Operation]:
    return {
        "CreateEndpointConfig": configs.create,
        "DescribeEndpointConfig": configs.describe,
        "ListEndpointConfigs": configs.list,
        "DeleteEndpointConfig": configs.delete,
        "CreateEndpoint": endpoints.create,
        "DescribeEndpoint": endpoints.describe,
        "ListEndpoints": endpoints.list,
        "UpdateEndpoint": endpoints.update,
        "DeleteEndpoint": endpoints.delete,
    }


def _tag_operations(tags: ResourceTags) -> dict[str, Operation]:
    return {"AddTags": tags.add, "ListTags": tags.list, "DeleteTags": tags.delete}
