"""Deploy a fleet for an endpoint: first start, all-at-once blue/green update, and rollback.

Source  docs/sagemaker-contract.md, "Endpoints"
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.endpoints.deployment_config import alarm_names, termination_wait_s
from refit_local.sagemaker.endpoints.fleet import Fleet, FleetPlan, RunningVariant
from refit_local.sagemaker.records.instance_quotas import PENDING
from refit_local.sagemaker.records.naming import ENDPOINT, now
from refit_local.sagemaker.wire.errors import JobFailed, shortened

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

SERVICE_ENDED = "The local SageMaker was shut down during the deployment."
_ALARM_CHECK_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Admission:
    """A request in a fleet.

    Attributes:
        variant: None when the fleet has no variant of the requested name.
        admitted: False when the variant is None or at its concurrency limit.
    """

    fleet: Fleet
    variant: RunningVariant | None
    admitted: bool


@dataclass
class LiveEndpoint:
    """An endpoint and the fleet that has its traffic."""

    name: str
    _fleet: Fleet | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def fleet(self) -> Fleet | None:
        """The fleet with the traffic."""
        with self._lock:
            return self._fleet

    def enter(self, target: str | None) -> Admission | None:
        """Choose a variant and count the request, or return None when there is no fleet.

        Both happen under the lock of `swap`: after a swap, the old fleet gets no new request.
        """
        with self._lock:
            if self._fleet is None:
                return None
            variant = self._fleet.choose(target)
            admitted = variant is not None and self._fleet.enter(variant)
            return Admission(self._fleet, variant, admitted)

    def swap(self, fleet: Fleet | None) -> Fleet | None:
        """Move the traffic to a fleet; return the fleet that had it."""
        with self._lock:
            previous, self._fleet = self._fleet, fleet
            return previous


class EndpointDeployment:
    """One deployment of an endpoint, carried out in a thread of its own."""

    def __init__(self, platform: Platform, live: LiveEndpoint, plan: FleetPlan) -> None:
        self._platform = platform
        self._live = live
        self._plan = plan
        self._green: Fleet | None = None

    def create(self) -> None:
        """Take the endpoint from Creating to InService or Failed."""
        try:
            self._raise_ordered("Endpoint")
        except JobFailed as failure:
            self._fail(failure)
            return
        self._start()

    def _start(self) -> bool:
        try:
            self._start_green()
        except JobFailed as failure:
            self._fail(failure)
            return False
        self._live.swap(self._green)
        if not self._in_service():
            self._discard()
            return False
        return True

    def resume(self, cut_off: str | None) -> None:
        """Start the fleet of an endpoint that was in service in an earlier process.

        Args:
            cut_off: the endpoint config of an update that the process has not ended. It is rolled
                back, as every update that fails.
        """
        self._change("PendingDeploymentSummary", PENDING, EndpointStatus="SystemUpdating")
        if self._start() and cut_off is not None:
            self._change(FailureReason=_rolled_back(cut_off, SERVICE_ENDED))

    def update(self, config: dict[str, Any] | None) -> None:
        """Take the endpoint from Updating to InService, with the new fleet or the old one.

        The traffic moves when the whole new fleet is healthy. The old fleet ends after it has
        answered its requests, so that no request fails.

        Args:
            config: the DeploymentConfig.
        """
        policy = (config or {}).get("BlueGreenUpdatePolicy")
        try:
            self._raise_ordered("LostEndpoint")
        except JobFailed as failure:
            self._lose(failure)
            return
        try:
            self._raise_ordered("Endpoint")
            self._start_green()
            alarms = alarm_names(config)
            self._raise_on_alarm(alarms)
            self._show_pending("ActivatingTraffic", "Moving all traffic to the new fleet")
            blue = self._live.swap(self._green)
            try:
                self._bake(termination_wait_s(policy), alarms)
            except JobFailed:
                self._live.swap(blue)
                raise
        except JobFailed as failure:
            self._roll_back(failure)
            return
        if not self._in_service("PendingDeploymentSummary"):
            self._discard()
        if blue is not None:
            self._retire(blue)

    def _raise_ordered(self, kind: str) -> None:
        reason = self._platform.faults.take_failure(kind, self._live.name)
        if reason is not None:
            raise JobFailed(reason)

    def _fail(self, failure: JobFailed) -> None:
        """Record that the endpoint failed. It can only be deleted then, and is not resumed."""
        shown = {"FailureReason": failure.reason} if failure.reason else {}
        self._change("PendingDeploymentSummary", "_live", PENDING, EndpointStatus="Failed", **shown)

    def _lose(self, failure: JobFailed) -> None:
        """End an update with an endpoint that does not serve any more."""
        blue = self._live.swap(None)
        self._fail(failure)
        if blue is not None:
            self._retire(blue)

    def _start_green(self) -> None:
        self._green = Fleet(self._platform, self._live.name, self._plan)
        self._green.start()

    def _bake(self, wait_s: int, alarms: list[str]) -> None:
        if not wait_s:
            return
        self._show_pending(
            "Baking",
            f"Baking for {wait_s} seconds (TerminationWaitInSeconds) with traffic enabled on "
            "full capacity.",
        )
        waited_s = 0.0
        while waited_s < wait_s and not self._platform.background.wait(_ALARM_CHECK_INTERVAL_S):
            waited_s += _ALARM_CHECK_INTERVAL_S
            self._raise_on_alarm(alarms)

    def _raise_on_alarm(self, alarms: list[str]) -> None:
        in_alarm = alarms_in_alarm(self._platform, alarms)
        if in_alarm:
            raise JobFailed(
                "One or more of the CloudWatch alarms configured for automatic rollback are in "
                f"ALARM state: {', '.join(in_alarm)}"
            )

    def _roll_back(self, failure: JobFailed) -> None:
        reason = _rolled_back(self._plan.config_name, failure.reason)
        shown = {"FailureReason": reason} if failure.reason else {}
        self._change("PendingDeploymentSummary", PENDING, EndpointStatus="InService", **shown)
        if self._green is not None:
            self._retire(self._green)

    def _retire(self, fleet: Fleet) -> None:
        fleet.drain(self._platform.timeouts.drain_s)
        fleet.stop()

    def _discard(self) -> None:
        """Stop the fleet: the endpoint was deleted while the fleet started."""
        fleet = self._live.swap(None)
        if fleet is not None:
            fleet.stop()

    def _in_service(self, *removed: str) -> bool:
        """Record the new fleet as the endpoint's; return False when the endpoint is gone."""
        return self._change(
            "FailureReason",
            PENDING,
            *removed,
            EndpointStatus="InService",
            EndpointConfigName=self._plan.config_name,
            ProductionVariants=[variant_summary(self._plan, v) for v in self._plan.variants],
            **_capture_summary(self._plan.capture),
            _live=asdict(self._plan),
        )

    def _show_pending(self, status: str, message: str) -> None:
        self._change(PendingDeploymentSummary=pending_summary(self._plan, status, message))

    def _change(self, *removed: str, **members: Any) -> bool:
        changed = self._platform.store.change(
            ENDPOINT, self._live.name, *removed, **members, LastModifiedTime=now()
        )
        if changed is not None:
            self._platform.events.endpoint(changed)
        return changed is not None


def _rolled_back(config_name: str, reason: str) -> str:
    return shortened(
        f"Update to endpoint config {config_name} failed and was rolled back: {reason}"
    )


def alarms_in_alarm(platform: Platform, names: list[str]) -> list[str]:
    """Return the names of the alarms in state ALARM."""
    return [name for name, state in alarm_states(platform, names).items() if state == "ALARM"]


def alarm_states(platform: Platform, names: list[str]) -> dict[str, str]:
    """Return the state of each alarm that exists."""
    if not names:
        return {}
    response = platform.host.client("cloudwatch").describe_alarms(
        AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    alarms = [*response.get("MetricAlarms", []), *response.get("CompositeAlarms", [])]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}


def variant_summary(plan: FleetPlan, variant: dict[str, Any]) -> Record:
    """Return the summary of a variant in service, as in DescribeEndpoint."""
    image = plan.containers[variant["VariantName"]]["image"]
    weight = variant["InitialVariantWeight"]
    summary: Record = {
        "VariantName": variant["VariantName"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": now()}
        ],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
    if "ServerlessConfig" in variant:
        serverless = variant["ServerlessConfig"]
        return {
            **summary,
            "CurrentInstanceCount": 0,
            "CurrentServerlessConfig": serverless,
            "DesiredServerlessConfig": serverless,
        }
    count = variant["InitialInstanceCount"]
    return {**summary, "CurrentInstanceCount": count, "DesiredInstanceCount": count}


def pending_summary(plan: FleetPlan, status: str, message: str) -> Record:
    """Return the PendingDeploymentSummary of a deployment in progress."""
    moment = now()
    state = {"Status": status, "StatusMessage": message, "StartTime": moment}
    return {
        "EndpointConfigName": plan.config_name,
        "StartTime": moment,
        "ProductionVariants": [
            {**variant_summary(plan, variant), "VariantStatus": [state]}
            for variant in plan.variants
        ],
    }


def _capture_summary(capture: dict[str, Any] | None) -> dict[str, Any]:
    if capture is None:
        return {}
    enabled = capture.get("EnableCapture", False)
    return {
        "DataCaptureConfig": {
            "EnableCapture": enabled,
            "CaptureStatus": "Started" if enabled else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    }
