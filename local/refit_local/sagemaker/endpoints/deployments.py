"""Bring an endpoint to a fleet: first start, all-at-once blue/green update, and rollback (B4)."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.endpoints.deployment_config import alarm_names, termination_wait_s
from refit_local.sagemaker.endpoints.fleet import Fleet, FleetPlan, RunningVariant
from refit_local.sagemaker.records.naming import ENDPOINT, now
from refit_local.sagemaker.wire.errors import JobFailed, shortened

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

_LOOK_AT_ALARMS_S = 1.0


@dataclass(frozen=True)
class Admission:
    """A request let into a fleet; `variant` is None when there is none of the wanted name."""

    fleet: Fleet
    variant: RunningVariant | None
    admitted: bool


@dataclass
class LiveEndpoint:
    """The fleet that answers an endpoint's requests now."""

    name: str
    _fleet: Fleet | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def fleet(self) -> Fleet | None:
        """The fleet with the traffic."""
        with self._lock:
            return self._fleet

    def enter(self, target: str | None) -> Admission | None:
        """Let a request in, or return None when nothing answers for the endpoint.

        Choosing and counting are one step with respect to `swap`: a fleet that has lost the
        traffic and counts no request gets none any more.
        """
        with self._lock:
            if self._fleet is None:
                return None
            variant = self._fleet.chosen(target)
            admitted = variant is not None and self._fleet.enter(variant)
            return Admission(self._fleet, variant, admitted)

    def swap(self, fleet: Fleet | None) -> Fleet | None:
        """Move the traffic; return the fleet that had it."""
        with self._lock:
            before, self._fleet = self._fleet, fleet
            return before


class EndpointDeployment:
    """One change of an endpoint, carried out in a thread of its own."""

    def __init__(self, platform: Platform, live: LiveEndpoint, plan: FleetPlan) -> None:
        self._platform = platform
        self._live = live
        self._plan = plan
        self._green: Fleet | None = None

    def create(self) -> None:
        """Creating → InService, or Failed."""
        try:
            self._start_green()
        except JobFailed as failure:
            self._change(EndpointStatus="Failed", FailureReason=failure.reason)
            return
        self._live.swap(self._green)
        if not self._in_service():
            self._give_up()

    def resume(self) -> None:
        """Start the fleet of an endpoint that an earlier process had in service."""
        self._change(EndpointStatus="SystemUpdating")
        self.create()

    def update(self, config: dict[str, Any] | None) -> None:
        """Updating → InService, with the new fleet or, when that fails, with the old.

        Traffic moves when all of the new fleet is healthy. Requests that are in the old fleet then
        are answered before it ends, so none fails.
        """
        policy = (config or {}).get("BlueGreenUpdatePolicy")
        try:
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
            self._rolled_back(failure)
            return
        if not self._in_service("PendingDeploymentSummary"):
            self._give_up()
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
        waited = 0.0
        while waited < wait_s and not self._platform.background.wait(_LOOK_AT_ALARMS_S):
            waited += _LOOK_AT_ALARMS_S
            self._raise_on_alarm(alarms)

    def _raise_on_alarm(self, alarms: list[str]) -> None:
        ringing = ringing_alarms(self._platform, alarms)
        if ringing:
            raise JobFailed(
                "One or more of the CloudWatch alarms configured for automatic rollback are in "
                f"ALARM state: {', '.join(ringing)}"
            )

    def _rolled_back(self, failure: JobFailed) -> None:
        reason = shortened(
            f"Update to endpoint config {self._plan.config_name} failed and was rolled back: "
            f"{failure.reason}"
        )
        self._change(
            "PendingDeploymentSummary",
            EndpointStatus="InService",
            FailureReason=reason,
        )
        if self._green is not None:
            self._retire(self._green)

    def _retire(self, fleet: Fleet) -> None:
        fleet.drain(self._platform.patience.drain_s)
        fleet.stop()

    def _give_up(self) -> None:
        """The endpoint was forgotten while its fleet started."""
        fleet = self._live.swap(None)
        if fleet is not None:
            fleet.stop()

    def _in_service(self, *drop: str) -> bool:
        """Describe the new fleet as the endpoint's; False when there is no such endpoint."""
        return self._change(
            "FailureReason",
            *drop,
            EndpointStatus="InService",
            EndpointConfigName=self._plan.config_name,
            ProductionVariants=[variant_summary(self._plan, v) for v in self._plan.variants],
            **_capture_summary(self._plan.capture),
            _live=asdict(self._plan),
        )

    def _show_pending(self, status: str, message: str) -> None:
        self._change(PendingDeploymentSummary=pending_summary(self._plan, status, message))

    def _change(self, *drop: str, **members: Any) -> bool:
        changed = self._platform.store.change(
            ENDPOINT, self._live.name, *drop, **members, LastModifiedTime=now()
        )
        if changed is not None:
            self._platform.events.endpoint(changed)
        return changed is not None


def ringing_alarms(platform: Platform, names: list[str]) -> list[str]:
    """Return which of the alarms are in ALARM."""
    return [name for name, state in alarm_states(platform, names).items() if state == "ALARM"]


def alarm_states(platform: Platform, names: list[str]) -> dict[str, str]:
    """Return the state of each alarm that exists."""
    if not names:
        return {}
    found = platform.ground.client("cloudwatch").describe_alarms(
        AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    alarms = [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}


def variant_summary(plan: FleetPlan, variant: dict[str, Any]) -> Record:
    """Return a variant as DescribeEndpoint shows it in service."""
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
    """Return a deployment under way as DescribeEndpoint and the events show it."""
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
