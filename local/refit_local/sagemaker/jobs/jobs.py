"""Create, describe, list and stop jobs: the part that all kinds of jobs share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from refit_local.sagemaker.records.job_kinds import UNFINISHED_STATUSES, JobKind
from refit_local.sagemaker.records.naming import now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.wire.errors import ResourceInUse, ResourceNotFound, ValidationException
from refit_local.sagemaker.wire.listing import list_answer
from refit_local.sagemaker.wire.requests import members_of

if TYPE_CHECKING:
    from refit_local.sagemaker.jobs.job_run import JobStates
    from refit_local.sagemaker.platform import Platform


class Jobs(ABC):
    """The jobs of one kind. Each operation takes a checked request and returns its answer.

    Attributes:
        kind: the names of this kind in the API.
        run_class: carries a job out.
        name_taken: AWS's message for a name that another job has; formatted with `arn`.
        not_found: AWS's message for a job that does not exist; formatted with `name` and `arn`.
    """

    kind: ClassVar[JobKind]
    run_class: ClassVar[type[JobStates]]
    name_taken: ClassVar[str]
    not_found: ClassVar[str]

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._runs: dict[str, JobStates] = {}
        # The record and the run of a job appear together: a job that can be described can be
        # stopped.
        self._creation = threading.Lock()

    @abstractmethod
    def _initial_members(self, request: dict[str, Any], created_at: float) -> Record:
        """Check the request and return the record's members that only this kind has.

        Raises:
            ValidationException: when the request breaks a rule that the API's shapes do not state.
        """

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Create a job and start it."""
        created_at = now()
        return self._start(request, created_at, self._initial_members(request, created_at))

    def _start(self, request: dict[str, Any], created_at: float, members: Record) -> dict[str, Any]:
        name = request[self.kind.name_member]
        arn = self._platform.arn(self.kind.resource, name)
        record: Record = {
            **members_of(self.kind.describe_operation, request),
            self.kind.arn_member: arn,
            self.kind.status_member: "InProgress",
            "CreationTime": created_at,
            "LastModifiedTime": created_at,
            "_tags": request.get("Tags", []),
            **members,
        }
        try:
            with self._creation, self._platform.store.lock:
                if self._platform.store.get(self.kind.resource, name) is None:
                    self._platform.quotas.check_job(self.kind, record)
                record = self._platform.store.add(self.kind.resource, name, record)
                run = self._runs[record["_key"]] = self._new_run(record)
        except NameTaken as taken:
            raise ResourceInUse(self.name_taken.format(arn=arn)) from taken
        self._platform.events.job(self.kind, record)
        self._platform.background.start(f"{self.kind.resource} {name}", run.run)
        return {self.kind.arn_member: arn}

    def _new_run(self, record: Record) -> JobStates:
        return self.run_class(self._platform, record)

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Describe a job."""
        record = self._get(request[self.kind.name_member])
        return members_of(self.kind.describe_operation, record)

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """List jobs, filtered, sorted and in pages."""
        return list_answer(
            f"List{self.kind.prefix}s",
            request,
            self._platform.store.all(self.kind.resource),
            name=self.kind.name_member,
            status=self.kind.status_member,
        )

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin to stop a job; stopping a job twice is allowed."""
        record = self._get(request[self.kind.name_member])
        status = record[self.kind.status_member]
        if status not in UNFINISHED_STATUSES:
            raise ValidationException(
                f"The request was rejected because the {self.kind.title.lower()} is in status "
                f"{status}."
            )
        with self._creation:
            run = self._runs[record["_key"]]
        run.request_stop()
        return {}

    def resume(self) -> None:
        """Fail the jobs that an earlier process left unfinished."""
        for record in self._platform.store.all(self.kind.resource):
            if record[self.kind.status_member] in UNFINISHED_STATUSES:
                self._new_run(record).abandon()

    def end(self) -> None:
        """End all running jobs because the service ends."""
        for run in list(self._runs.values()):
            run.end()

    def _get(self, name: str) -> Record:
        record = self._platform.store.get(self.kind.resource, name)
        if record is None:
            arn = self._platform.arn(self.kind.resource, name)
            raise ResourceNotFound(self.not_found.format(name=name, arn=arn))
        return record
