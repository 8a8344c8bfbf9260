"""The face of the local SageMaker: takes a request off the wire and brings it to its operation."""

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
from refit_local.sagemaker.endpoints.endpoints import Endpoints
from refit_local.sagemaker.endpoints.runtime import PATH, EndpointRuntime
from refit_local.sagemaker.jobs.training_jobs import TrainingJobs
from refit_local.sagemaker.jobs.transform_jobs import TransformJobs
from refit_local.sagemaker.machine.shares import MachineLimits
from refit_local.sagemaker.models.models import SageMakerModels
from refit_local.sagemaker.models.registry import ModelRegistry
from refit_local.sagemaker.platform import ContainerTimeouts, Platform
from refit_local.sagemaker.records.naming import TRAINING_JOB, TRANSFORM_JOB
from refit_local.sagemaker.records.tags import ResourceTags
from refit_local.sagemaker.reporting.events import job_detail
from refit_local.sagemaker.step_functions import SageMakerTasks
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

TARGET_PREFIX = "SageMaker."
_CONTROL_THREADS = 8
_JOIN_S = 8.0
Operation = Callable[[dict[str, Any]], dict[str, Any]]
Response = tuple[int, dict[str, str], bytes]


class LocalSageMaker:
    """Training, transform jobs, registry and endpoints of one ground.

    Args:
        state_dir: where all of it is kept; a service on the same folder goes on from there.
        ground: the services of the ground it stands on.
        limits: what jobs may take of this machine; else the environment says it.
        patience: how long it waits for containers.
    """

    def __init__(
        self,
        state_dir: Path,
        ground: HostServices,
        limits: MachineLimits | None = None,
        patience: ContainerTimeouts | None = None,
    ) -> None:
        self._platform = Platform(
            state_dir,
            ground,
            limits or MachineLimits.of_environment(),
            patience or ContainerTimeouts(),
        )
        models = SageMakerModels(self._platform)
        configs = EndpointConfigs(self._platform, models)
        self._capture = DataCapture(self._platform.storage, self._platform.logs)
        self._platform.background.each_tick(self._capture.tick)
        self._endpoints = Endpoints(self._platform, configs, models)
        self._training = TrainingJobs(self._platform)
        self._transform = TransformJobs(self._platform, models)
        self._runtime = EndpointRuntime(self._platform, self._endpoints, self._capture)
        self._operations = _operations(
            self._training,
            self._transform,
            models,
            ModelRegistry(self._platform),
            configs,
            self._endpoints,
            ResourceTags(self._platform.store),
        )
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
        """Answer a request of the control plane (`X-Amz-Target`) or of the runtime (by path).

        Args:
            method: the HTTP method.
            path: the path, without query.
            headers: in any case.
            body: the body as sent.
            query: not used by SageMaker.

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
            kind = "x-amz-json-1.1" if target else "json"
            return (
                error.status,
                {"Content-Type": f"application/{kind}", "x-amzn-ErrorType": error.code},
                json.dumps(error.body()).encode(),
            )
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    def call(self, operation: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operation of the control plane.

        Raises:
            ApiError: what AWS would answer.
        """
        if operation not in self._operations:
            if operation in operation_names():
                raise NotImplementedLocally(operation)
            raise ValidationException(f"SageMaker has no operation {operation}.")
        # First of all, or it would take the jobs of this process for left-overs.
        self.resume()
        return self._operations[operation](checked_request(operation, payload))

    def resume(self) -> None:
        """Go on from kept state: endpoints come back, unfinished jobs are failed.

        The ground calls it when its other services answer; the first request does it too.
        """
        with self._resume_lock:
            if self._resumed:
                return
            self._resumed = True
            self._training.resume()
            self._transform.resume()
            self._endpoints.resume()

    def reset(self) -> None:
        """Forget everything and end all jobs and endpoints."""
        for part in (self._training, self._transform, self._endpoints):
            part.end()
        self._platform.store.clear()

    def shutdown(self) -> None:
        """End all jobs and endpoints; no child process is left. May be called twice."""
        if self._shut_down:
            return
        self._shut_down = True
        self._platform.background.announce_end()
        for part in (self._training, self._transform, self._endpoints):
            part.end()
        self._platform.memory.end()
        self._platform.background.join(_JOIN_S)
        # An endpoint that was starting may have come up meanwhile.
        self._endpoints.end()
        self._capture.flush()
        self._platform.logs.flush()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _job_detail(self, kind: str, name: str) -> dict[str, Any]:
        stored = TRAINING_JOB if kind == "TrainingJob" else TRANSFORM_JOB
        record = self._platform.store.get(stored, name)
        return job_detail(record) if record is not None else {}

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


def _operations(
    training: TrainingJobs,
    transform: TransformJobs,
    models: SageMakerModels,
    registry: ModelRegistry,
    configs: EndpointConfigs,
    endpoints: Endpoints,
    tags: ResourceTags,
) -> dict[str, Operation]:
    return {
        "CreateTrainingJob": training.create,
        "DescribeTrainingJob": training.describe,
        "ListTrainingJobs": training.list,
        "StopTrainingJob": training.stop,
        "CreateTransformJob": transform.create,
        "DescribeTransformJob": transform.describe,
        "ListTransformJobs": transform.list,
        "StopTransformJob": transform.stop,
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
        "CreateEndpointConfig": configs.create,
        "DescribeEndpointConfig": configs.describe,
        "ListEndpointConfigs": configs.list,
        "DeleteEndpointConfig": configs.delete,
        "CreateEndpoint": endpoints.create,
        "DescribeEndpoint": endpoints.describe,
        "ListEndpoints": endpoints.list,
        "UpdateEndpoint": endpoints.update,
        "DeleteEndpoint": endpoints.delete,
        "AddTags": tags.add,
        "ListTags": tags.list,
        "DeleteTags": tags.delete,
    }
