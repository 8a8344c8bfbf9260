"""Carry one job out, from its first to its last state: the part that all kinds of jobs share."""

from __future__ import annotations

import shutil
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from refit_local.sagemaker.records.job_kinds import FINAL_STATUSES, JobKind
from refit_local.sagemaker.records.naming import now
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from refit_local.sagemaker.machine.instances import InstanceType
    from refit_local.sagemaker.machine.shares import Share
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

_SERVICE_ENDED = (
    "InternalServerError: the local SageMaker was shut down while the job was running. "
    "Please start the job again under a new name."
)


@dataclass(frozen=True)
class JobStep:
    """An entry of SecondaryStatusTransitions; only training jobs have them."""

    secondary_status: str
    message: str


class JobStates(ABC):
    """One job that is being carried out, in a thread of its own: its states."""

    kind: ClassVar[JobKind]
    stopping_step: ClassVar[JobStep | None] = None

    def __init__(self, platform: Platform, job: Record) -> None:
        self._platform = platform
        self._job = job
        self._name: str = job[self.kind.name_member]
        self._stop = threading.Event()
        self._service_ended = threading.Event()
        self._finished = False

    @abstractmethod
    def run(self) -> None:
        """Do the job. In every case it ends in a final status."""

    @abstractmethod
    def end(self) -> None:
        """Begin to end the job because the service ends; the job's thread does the rest."""

    def request_stop(self) -> None:
        """Move to Stopping; the job's thread does the rest."""
        self._move("Stopping", self.stopping_step)
        self._stop.set()

    def abandon(self) -> None:
        """Fail the job because the service ended while it ran."""
        self._finish("Failed", _SERVICE_ENDED)

    def _fail_if_ordered(self) -> None:
        reason = self._platform.faults.take_failure(self.kind.prefix, self._name)
        if reason is not None:
            raise JobFailed(reason)

    def _halted(self) -> bool:
        return self._stop.is_set() or self._service_ended.is_set()

    def _change(self, members: Record) -> Record | None:
        return self._platform.store.change(self.kind.resource, self._name, **members)

    def _move(self, status: str | None = None, step: JobStep | None = None, **members: Any) -> None:
        """Change status or step, and publish the event. A job in a final status stays in it.

        Args:
            status: the new status; None leaves it.
            step: the new secondary status.
            members: further members of the record to set.
        """
        store = self._platform.store
        with store.lock:
            record = store.get(self.kind.resource, self._name)
            if record is None:
                return
            current = record[self.kind.status_member]
            if current in FINAL_STATUSES or current == status:
                return
            moment = now()
            members |= {self.kind.status_member: status or current, "LastModifiedTime": moment}
            if step is not None:
                members |= _step_members(record, step, moment, status, current)
            changed = self._change(members)
        if changed is not None:
            self._platform.events.job(self.kind, changed)

    def _finish(
        self, status: str, reason: str | None = None, step: JobStep | None = None, **members: Any
    ) -> None:
        """Move to a final status.

        Args:
            status: Completed, Failed or Stopped.
            reason: the FailureReason.
            step: the last secondary status.
            members: further members of the record to set.
        """
        self._finished = True
        self._platform.logs.flush()
        if reason is not None:
            members["FailureReason"] = reason
        self._move(status, step, **{self.kind.end_member: now(), **members})


class JobRun(JobStates):
    """One job with a share of the machine and processes of its own."""

    def __init__(self, platform: Platform, job: Record) -> None:
        super().__init__(platform, job)
        self._folder = platform.work_folder(self.kind.resource, job["_key"])

    @abstractmethod
    def _share_request(self) -> InstanceType:
        """Return what the job asks of the machine."""

    @abstractmethod
    def _carry_out(self, share: Share) -> None:
        """Do the work and finish the job, or return early when the job is to halt.

        Raises:
            JobFailed: when the job cannot go on.
        """

    @abstractmethod
    def _kill_processes(self) -> None:
        """Kill the processes of the job; called from another thread."""

    @abstractmethod
    def _end_processes(self) -> None:
        """Leave no process of the job behind."""

    def run(self) -> None:
        """Do the job. In every case it ends in a final status and leaves no process behind."""
        try:
            request = self._share_request()
            with self._platform.shares.job(request, self._on_wait, self._halted) as share:
                if share is not None:
                    self._change({self.kind.start_member: now()})
                    self._fail_if_ordered()
                    self._carry_out(share)
            if not self._finished and self._stop.is_set():
                self._finish("Stopped")
        except JobFailed as failure:
            self._on_failure(failure)
        finally:
            self._end_processes()
            if not self._finished:
                self.abandon()
            shutil.rmtree(self._folder.base, ignore_errors=True)

    def end(self) -> None:
        """Kill the processes because the service ends; the job's thread does the rest."""
        self._service_ended.set()
        self._kill_processes()

    def _on_wait(self) -> None:
        """The job has to wait for its share of the machine."""
        return

    def _on_failure(self, failure: JobFailed) -> None:
        self._finish("Failed", failure.reason)


def _step_members(
    record: Record, step: JobStep, moment: float, status: str | None, current: str
) -> Record:
    # A job that is stopping does not show its later steps.
    keeps_stopping = current == "Stopping" and status is None
    secondary = "Stopping" if keeps_stopping else step.secondary_status
    transitions = record["SecondaryStatusTransitions"]
    transitions[-1].setdefault("EndTime", moment)
    transition = {"Status": secondary, "StartTime": moment, "StatusMessage": step.message}
    if status in FINAL_STATUSES:
        transition["EndTime"] = moment
    return {
        "SecondaryStatus": secondary,
        "SecondaryStatusTransitions": [*transitions, transition],
    }
