"""CreateEndpoint, DescribeEndpoint, ListEndpoints, UpdateEndpoint and DeleteEndpoint.

Source  docs/sagemaker-contract.md, "Endpoints"
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.endpoints.deployment_config import (
    alarm_names,
    check_deployment,
    check_variant_names,
)
from refit_local.sagemaker.endpoints.deployments import (
    SERVICE_ENDED,
    EndpointDeployment,
    LiveEndpoint,
    alarm_states,
    pending_summary,
)
from refit_local.sagemaker.endpoints.fleet import FleetPlan
from refit_local.sagemaker.records.instance_quotas import PENDING
from refit_local.sagemaker.records.naming import ENDPOINT, now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.wire.errors import ValidationException
from refit_local.sagemaker.wire.listing import list_answer
from refit_local.sagemaker.wire.requests import members_of

if TYPE_CHECKING:
    from refit_local.sagemaker.endpoints.configs import EndpointConfigs
    from refit_local.sagemaker.models.models import SageMakerModels
    from refit_local.sagemaker.platform import Platform

_IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class SageMakerEndpoints:
    """The endpoints of this local SageMaker and the fleets that answer for them."""

    def __init__(
        self, platform: Platform, configs: EndpointConfigs, models: SageMakerModels
    ) -> None:
        self._platform = platform
        self._configs = configs
        self._models = models
        self._live: dict[str, LiveEndpoint] = {}
        self._lock = threading.Lock()
        platform.background.each_tick(self._relaunch_servers)

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name = request["EndpointName"]
        arn = self._platform.arn(ENDPOINT, name)
        self._check_deployment(request.get("DeploymentConfig"))
        plan = self._plan(request["EndpointConfigName"])
        moment = now()
        record: Record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": plan.config_name,
            "EndpointStatus": "Creating",
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "_tags": request.get("Tags", []),
            PENDING: plan.variants,
        }
        if "DeploymentConfig" in request:
            record["LastDeploymentConfig"] = request["DeploymentConfig"]
        try:
            with self._platform.store.lock:
                if self._platform.store.get(ENDPOINT, name) is None:
                    self._platform.quotas.check_endpoint(plan.variants)
                record = self._platform.store.add(ENDPOINT, name, record)
        except NameTaken as taken:
            raise ValidationException(
                f'Cannot create already existing endpoint "{arn}".'
            ) from taken
        self._platform.events.endpoint(record)
        deployment = EndpointDeployment(self._platform, self._live_endpoint(name), plan)
        self._platform.background.start(f"create endpoint {name}", deployment.create)
        return {"EndpointArn": arn}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        # This check calls CloudWatch, so it does not hold the lock.
        self._check_deployment(request.get("DeploymentConfig"))
        with self._platform.store.lock:
            record = self._changeable(request["EndpointName"])
            name = record["EndpointName"]
            if record["EndpointStatus"] != "InService":
                raise ValidationException(
                    f'Cannot update endpoint "{record["EndpointArn"]}" in status '
                    f"{record['EndpointStatus']}."
                )
            config = request.get("DeploymentConfig")
            if config is None and request.get("RetainDeploymentConfig"):
                config = record.get("LastDeploymentConfig")
            plan = self._plan(request["EndpointConfigName"])
            if plan.config_name == record["EndpointConfigName"]:
                raise ValidationException(
                    f'Cannot update endpoint "{record["EndpointArn"]}": it already uses the '
                    f"endpoint configuration {plan.config_name}."
                )
            if config is not None:
                check_variant_names(
                    _variant_names(FleetPlan(**record["_live"])), _variant_names(plan)
                )
            if request.get("RetainAllVariantProperties"):
                plan = _with_retained(plan, FleetPlan(**record["_live"]), request)
            self._platform.quotas.check_endpoint(plan.variants)
            members: dict[str, Any] = {
                PENDING: plan.variants,
                "EndpointStatus": "Updating",
                "LastModifiedTime": now(),
                "PendingDeploymentSummary": pending_summary(
                    plan, "Creating", "Creating the new fleet"
                ),
            }
            if config is not None:
                members["LastDeploymentConfig"] = config
            changed = self._platform.store.change(ENDPOINT, name, "FailureReason", **members)
        if changed is not None:
            self._platform.events.endpoint(changed)
        deployment = EndpointDeployment(self._platform, self._live_endpoint(name), plan)
        self._platform.background.start(
            f"update endpoint {name}", lambda: deployment.update(config)
        )
        return {"EndpointArn": record["EndpointArn"]}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        with self._platform.store.lock:
            record = self._changeable(request["EndpointName"])
            changed = self._platform.store.change(
                ENDPOINT, record["_key"], EndpointStatus="Deleting", LastModifiedTime=now()
            )
        if changed is not None:
            self._platform.events.endpoint(changed)
        self._platform.background.start(
            f"delete endpoint {record['EndpointName']}", lambda: self._tear_down(record)
        )
        return {}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        return members_of("DescribeEndpoint", self._get(request["EndpointName"]))

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        records = self._platform.store.all(ENDPOINT)
        return list_answer(
            "ListEndpoints", request, records, name="EndpointName", status="EndpointStatus"
        )

    def live(self, name: str) -> LiveEndpoint | None:
        """Return the live endpoint of a name, or None when nothing runs for it."""
        return self._live.get(name.lower())

    def resume(self) -> None:
        """Start the endpoints again that an earlier process had in service, and fail new ones."""
        for record in self._platform.store.all(ENDPOINT):
            name = record["EndpointName"]
            if record["EndpointStatus"] == "Deleting":
                self._platform.store.remove(ENDPOINT, name)
            elif "_live" in record:
                plan = FleetPlan(**record["_live"])
                deployment = EndpointDeployment(self._platform, self._live_endpoint(name), plan)
                pending = record.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
                self._platform.background.start(
                    f"resume endpoint {name}", partial(deployment.resume, pending)
                )
            elif record["EndpointStatus"] == "Creating":
                changed = self._platform.store.change(
                    ENDPOINT, name, EndpointStatus="Failed", FailureReason=SERVICE_ENDED
                )
                if changed is not None:
                    self._platform.events.endpoint(changed)

    def end(self) -> None:
        """End all model servers."""
        for live in list(self._live.values()):
            fleet = live.swap(None)
            if fleet is not None:
                fleet.kill()

    def _plan(self, config_name: str) -> FleetPlan:
        config = self._configs.get(config_name)
        variants = config["ProductionVariants"]
        containers = {
            variant["VariantName"]: vars(self._models.container(variant["ModelName"]))
            for variant in variants
        }
        name = config["EndpointConfigName"]
        return FleetPlan(name, variants, containers, config.get("DataCaptureConfig"))

    def _check_deployment(self, config: dict[str, Any] | None) -> None:
        if config is None:
            return
        check_deployment(config)
        names = alarm_names(config)
        states = alarm_states(self._platform, names)
        missing = [name for name in names if name not in states]
        if missing:
            raise ValidationException(
                f"The CloudWatch alarms {', '.join(missing)} of AutoRollbackConfiguration do not "
                "exist."
            )

    def _tear_down(self, record: Record) -> None:
        live = self._live.pop(record["_key"], None)
        fleet = live.swap(None) if live is not None else None
        if fleet is not None:
            fleet.drain(self._platform.timeouts.drain_s)
            fleet.stop()
        self._platform.store.remove(ENDPOINT, record["_key"])

    def _relaunch_servers(self) -> None:
        for live in list(self._live.values()):
            fleet = live.fleet
            if fleet is not None:
                fleet.relaunch_ended_servers()

    def _live_endpoint(self, name: str) -> LiveEndpoint:
        with self._lock:
            return self._live.setdefault(name.lower(), LiveEndpoint(name))

    def _changeable(self, name: str) -> Record:
        record = self._get(name)
        if record["EndpointStatus"] in _IN_PROGRESS:
            raise ValidationException(
                f'Cannot update in-progress endpoint "{record["EndpointArn"]}".'
            )
        return record

    def _get(self, name: str) -> Record:
        record = self._platform.store.get(ENDPOINT, name)
        if record is None:
            arn = self._platform.arn(ENDPOINT, name)
            raise ValidationException(f'Could not find endpoint "{arn}".')
        return record


def _variant_names(plan: FleetPlan) -> list[str]:
    return [variant["VariantName"] for variant in plan.variants]


def _with_retained(plan: FleetPlan, live: FleetPlan, request: dict[str, Any]) -> FleetPlan:
    """Keep weights, instance counts and data capture of the live fleet, unless excluded."""
    excluded = {
        item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])
    }
    properties = {
        "DesiredWeight": "InitialVariantWeight",
        "DesiredInstanceCount": "InitialInstanceCount",
    }
    members = [member for name, member in properties.items() if name not in excluded]
    live_variants = {variant["VariantName"]: variant for variant in live.variants}
    variants = []
    for variant in plan.variants:
        live_variant = live_variants.get(variant["VariantName"], {})
        retained = {m: live_variant[m] for m in members if m in live_variant and m in variant}
        variants.append({**variant, **retained})
    capture = plan.capture if "DataCaptureConfig" in excluded else live.capture
    return FleetPlan(plan.config_name, variants, plan.containers, capture)
