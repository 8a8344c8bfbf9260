"""The services of use cases: the stores, the clock and the environment of one process.

    services = Services(Environment(), lambda_client)       in a Lambda (handlers/wiring.py)
    services = Services(Environment({...}), client, clock)  in a test

Each store is created when it is first used, so a function does not load stores that it never uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from refit.domain.moments import utc_now
from refit.domain.naming import ResourceNames
from refit.stores.bucket import Bucket
from refit.stores.dynamodb import Table
from refit.stores.models import ModelStore
from refit.stores.run_artifacts import RunArtifacts
from refit.stores.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from refit.domain.moments import Clock
    from refit.environment import Environment
    from refit.stores.alarms import Alarms
    from refit.stores.batches import BatchStore
    from refit.stores.capture_stream import CaptureStream
    from refit.stores.endpoints import Endpoints
    from refit.stores.executions import (
        BatchExecutions,
        Deployments,
        ExecutionHistory,
        Executions,
    )
    from refit.stores.inferences import InferenceStore
    from refit.stores.labels import LabelStore
    from refit.stores.lists import ModelLists
    from refit.stores.messaging import Messaging
    from refit.stores.monitoring import MonitoringStore
    from refit.stores.prediction_cache import PredictionCache
    from refit.stores.registry import ModelRegistry
    from refit.stores.training_jobs import TrainingJobs
    from refit.stores.training_logs import TrainingLogs
    from refit.stores.tuning_jobs import TuningJobs
    from refit.usecases.drop_waits import DropWaits


@dataclass(eq=False)
class Services:
    """The stores of one process.

    Attributes:
        client: returns the boto3 client of a service.
    """

    environment: Environment
    client: Callable[[str], Any]
    clock: Clock = utc_now

    def now(self) -> datetime:
        return self.clock()

    def names(self, model: str) -> ResourceNames:
        """Return the names of the SageMaker resources of a model."""
        return ResourceNames(self.environment.name_prefix, model)

    @cached_property
    def bucket(self) -> Bucket:
        return Bucket(self.client("s3"), self.environment.bucket)

    @cached_property
    def model_table(self) -> Table:
        return Table(self.client("dynamodb"), self.environment.model_table)

    @cached_property
    def inference_table(self) -> Table:
        return Table(self.client("dynamodb"), self.environment.inference_table)

    @cached_property
    def shards(self) -> Shards:
        return Shards()

    @cached_property
    def models(self) -> ModelStore:
        return ModelStore(self.model_table, self.clock)

    @cached_property
    def lists(self) -> ModelLists:
        from refit.stores.lists import ModelLists  # noqa: PLC0415

        return ModelLists(self.model_table)

    @cached_property
    def artifacts(self) -> RunArtifacts:
        return RunArtifacts(self.bucket, self.models, self.clock)

    @cached_property
    def drop_waits(self) -> DropWaits:
        from refit.usecases.drop_waits import DropWaits  # noqa: PLC0415

        return DropWaits()

    @cached_property
    def monitoring(self) -> MonitoringStore:
        from refit.stores.monitoring import MonitoringStore  # noqa: PLC0415

        return MonitoringStore(self.model_table, self.shards)

    @cached_property
    def inferences(self) -> InferenceStore:
        from refit.stores.inferences import InferenceStore  # noqa: PLC0415

        return InferenceStore(self.inference_table, self.monitoring, self.labels, self.shards)

    @cached_property
    def labels(self) -> LabelStore:
        from refit.stores.labels import LabelStore  # noqa: PLC0415

        return LabelStore(self.inference_table, self.model_table, self.shards)

    @cached_property
    def prediction_cache(self) -> PredictionCache:
        from refit.stores.prediction_cache import PredictionCache  # noqa: PLC0415

        return PredictionCache(self.inference_table)

    @cached_property
    def registry(self) -> ModelRegistry:
        from refit.stores.registry import ModelRegistry  # noqa: PLC0415

        return ModelRegistry(self.client("sagemaker"))

    @cached_property
    def training_jobs(self) -> TrainingJobs:
        from refit.stores.training_jobs import TrainingJobs  # noqa: PLC0415

        return TrainingJobs(self.client("sagemaker"))

    @cached_property
    def training_logs(self) -> TrainingLogs:
        from refit.stores.training_logs import TrainingLogs  # noqa: PLC0415

        return TrainingLogs(self.client("logs"))

    @cached_property
    def tuning_jobs(self) -> TuningJobs:
        from refit.stores.tuning_jobs import TuningJobs  # noqa: PLC0415

        return TuningJobs(self.client("sagemaker"))

    @cached_property
    def endpoints(self) -> Endpoints:
        from refit.stores.endpoints import Endpoints  # noqa: PLC0415

        return Endpoints(self.client)

    @cached_property
    def messaging(self) -> Messaging:
        from refit.stores.messaging import Messaging  # noqa: PLC0415

        return Messaging(self.client, self.environment)

    @cached_property
    def alarms(self) -> Alarms:
        from refit.stores.alarms import Alarms  # noqa: PLC0415

        return Alarms(self.client("cloudwatch"))

    @cached_property
    def executions(self) -> Executions:
        from refit.stores.executions import Executions  # noqa: PLC0415

        return Executions(self.client("stepfunctions"), self.environment.train_state_machine_arn)

    @cached_property
    def deployments(self) -> Deployments:
        from refit.stores.executions import Deployments  # noqa: PLC0415

        return Deployments(self.client("stepfunctions"), self.environment.deploy_state_machine_arn)

    @cached_property
    def batches(self) -> BatchStore:
        from refit.stores.batches import BatchStore  # noqa: PLC0415

        return BatchStore(self.model_table, self.clock)

    @cached_property
    def batch_executions(self) -> BatchExecutions:
        from refit.stores.executions import BatchExecutions  # noqa: PLC0415

        return BatchExecutions(
            self.client("stepfunctions"), self.environment.batch_state_machine_arn
        )

    @cached_property
    def execution_history(self) -> ExecutionHistory:
        from refit.stores.executions import ExecutionHistory  # noqa: PLC0415

        return ExecutionHistory(self.client("stepfunctions"))

    @cached_property
    def captures(self) -> CaptureStream:
        from refit.stores.capture_stream import CaptureStream  # noqa: PLC0415

        return CaptureStream(self.client("firehose"), self.environment.capture_stream, self.bucket)
