"""The model servers of an endpoint, and how requests are distributed over them."""

from __future__ import annotations

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.machine.instances import InstanceType, instance_type
from refit_local.sagemaker.models.model_server import ModelServerProcess, ServerPlan, instance_id
from refit_local.sagemaker.models.models import ModelContainer
from refit_local.sagemaker.reporting.logs import endpoint_group
from refit_local.sagemaker.wire.errors import JobFailed

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform

DEFAULT_HEALTH_CHECK_S = 240.0
_SERVERLESS_VCPUS_PER_MB = 1 / 1769


@dataclass(frozen=True)
class FleetPlan:
    """What an endpoint runs. The record of the endpoint contains it, for a later restart.

    Attributes:
        config_name: the endpoint config.
        variants: its production variants, with the effective weights and instance counts.
        containers: the ModelContainer of each variant as a dictionary, by variant name.
        capture: the DataCaptureConfig, or None.
    """

    config_name: str
    variants: list[dict[str, Any]]
    containers: dict[str, dict[str, Any]]
    capture: dict[str, Any] | None


@dataclass
class RunningVariant:
    """A production variant that runs; `max_concurrency` is None unless it is serverless."""

    name: str
    weight: float
    servers: list[ModelServerProcess]
    role_arn: str
    max_concurrency: int | None
    in_flight: int = 0
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    def next_server(self) -> ModelServerProcess | None:
        """Return the next running server, round robin; None when none runs."""
        running = [server for server in self.servers if server.running]
        return running[next(self._turn) % len(running)] if running else None


class Fleet:
    """The running variants of one endpoint config."""

    def __init__(self, platform: Platform, endpoint: str, plan: FleetPlan) -> None:
        self._platform = platform
        self._endpoint = endpoint
        self.plan = plan
        self._lock = threading.Lock()
        self._relaunching: set[ModelServerProcess] = set()
        self.variants = {v["VariantName"]: self._variant(v) for v in plan.variants}

    def start(self) -> None:
        """Start all servers and wait until every one is healthy.

        Raises:
            JobFailed: when a server does not become healthy; all servers are then stopped.
        """
        servers = [server for v in self.variants.values() for server in v.servers]
        with ThreadPoolExecutor(min(len(servers), 8)) as executor:
            futures = [executor.submit(server.start) for server in servers]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            self.stop()
            raise errors[0]

    def choose(self, target: str | None) -> RunningVariant | None:
        """Return the target variant or, without one, a variant drawn by weight.

        None means that there is no variant of that name.
        """
        if target is not None:
            return self.variants.get(target)
        variants = list(self.variants.values())
        if len(variants) == 1:
            return variants[0]
        return random.choices(variants, [variant.weight for variant in variants])[0]

    def enter(self, variant: RunningVariant) -> bool:
        """Count a request; return False when a serverless variant is at its limit."""
        with self._lock:
            limit = variant.max_concurrency
            if limit is not None and variant.in_flight >= limit:
                return False
            variant.in_flight += 1
            return True

    def leave(self, variant: RunningVariant) -> None:
        """End the count of a request."""
        with self._lock:
            variant.in_flight -= 1

    def drain(self, timeout_s: float) -> None:
        """Wait until the requests in progress are answered."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and not self._platform.background.ended:
            with self._lock:
                if not any(variant.in_flight for variant in self.variants.values()):
                    return
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop all servers."""
        for variant in self.variants.values():
            for server in variant.servers:
                server.stop()

    def kill(self) -> None:
        """Kill all servers."""
        for variant in self.variants.values():
            for server in variant.servers:
                server.kill()

    def relaunch_ended_servers(self) -> None:
        """Start the servers again whose process has ended unexpectedly."""
        for variant in self.variants.values():
            for server in variant.servers:
                if server.running or server.stopped or server in self._relaunching:
                    continue
                self._relaunching.add(server)
                self._platform.background.start("relaunch", partial(self._relaunch, server))

    def _relaunch(self, server: ModelServerProcess) -> None:
        try:
            server.launch()
        except JobFailed as failure:
            group = endpoint_group(self._endpoint)
            self._platform.logs.write(group, "service", failure.reason)
        finally:
            self._relaunching.discard(server)

    def _variant(self, variant: dict[str, Any]) -> RunningVariant:
        name = variant["VariantName"]
        container = ModelContainer(**self.plan.containers[name])
        serverless = variant.get("ServerlessConfig")
        requested = (
            _serverless(serverless["MemorySizeInMB"])
            if serverless
            else instance_type(variant["InstanceType"])
        )
        share = self._platform.shares.endpoint(requested)
        health_check_s = variant.get(
            "ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_HEALTH_CHECK_S
        )
        servers = []
        for _ in range(1 if serverless else variant["InitialInstanceCount"]):
            host = instance_id()
            plan = ServerPlan(
                container,
                share,
                {},
                endpoint_group(self._endpoint),
                f"{name}/{host}",
                health_check_s=health_check_s,
            )
            folder = self._platform.work_folder("endpoints", self._endpoint.lower(), host)
            servers.append(ModelServerProcess(self._platform, plan, folder))
        limit = serverless["MaxConcurrency"] if serverless else None
        weight = variant["InitialVariantWeight"]
        return RunningVariant(name, weight, servers, container.role_arn, limit)


def _serverless(memory_mb: int) -> InstanceType:
    vcpus = max(1, round(memory_mb * _SERVERLESS_VCPUS_PER_MB))
    return InstanceType(f"serverless of {memory_mb} MB", vcpus, memory_mb * 1024**2)
