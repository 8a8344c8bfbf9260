"""Where a verification runs: in an AWS account, or on a local stack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError
from refit_cli.connection import StackConnection
from refit_local.stack import deploy, lifecycle
from refit_local.stack.record import PROJECT, StackInfo

from tests.e2e.driver import AWS, LOCAL, Pace

if TYPE_CHECKING:
    from refit_cli.runtime import CommandRuntime

STACK = "refit-verify"
# Another stack with the default prefix `refit` sees events of names that begin with `refit-`.
PREFIX = "refitverify"
FOLDER = PROJECT / ".refit" / "verify"


@dataclass
class Target:
    """An account with a Region, and the clients of its services.

    Attributes:
        kind: `aws` or `local`.
        info: the local stack with the verification's stack in place of its own; on AWS, endpoint
            URL and credentials are None.
        other_stack: the name of the stack beside the verification's; None on AWS.
    """

    kind: str
    info: StackInfo
    runtime: CommandRuntime
    other_stack: str | None = None

    @cached_property
    def account(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def region(self) -> str:
        return self.info.region

    @property
    def is_local(self) -> bool:
        return self.kind == "local"

    @property
    def pace(self) -> Pace:
        return LOCAL if self.is_local else AWS

    @property
    def location(self) -> str:
        where = f"the local stack on port {self.info.port}" if self.is_local else "AWS"
        return f"{where}, account {self.account}, {self.region}"

    @property
    def parameters(self) -> list[str]:
        """The parameters of the template."""
        waits = ["QuietSeconds=3", "PollSeconds=1"] if self.is_local else []
        limits = ["ApiRateLimit=2000", "ApiBurstLimit=4000"]
        runtime = f"PythonRuntime={deploy.RUNTIME}"
        return [f"NamePrefix={PREFIX}", runtime, "LogRetentionDays=1", *waits, *limits]

    def client(self, service: str, **credentials: str) -> Any:
        """Return a client with the target's credentials, or with others."""
        own = {
            "aws_access_key_id": self.info.access_key_id,
            "aws_secret_access_key": self.info.secret_access_key,
        }
        # TestState is sent to a host of its own name, which the local stack does not have.
        config = Config(inject_host_prefix=not self.is_local, retries={"max_attempts": 5})
        return boto3.client(
            service,
            endpoint_url=self.info.endpoint_url,
            region_name=self.region,
            config=config,
            **(credentials or own),
        )

    def connection(self) -> StackConnection:
        """Return the connection that the commands of `refit` use."""
        return StackConnection(self.runtime, self.info if self.is_local else None, STACK)

    def with_api(self) -> Target:
        """Return the target with URL and keys of the deployed API."""
        deployed = deploy.read_deployment(self.info)
        info = replace(self.info, api_url=deployed.api_url, api_keys=deployed.api_keys)
        return replace(self, info=info)


def on_aws(runtime: CommandRuntime) -> Target:
    """Return the account of the default credentials.

    Raises:
        NoRegionError: when no Region is set.
    """
    region = boto3.Session().region_name
    if region is None:
        raise NoRegionError
    info = StackInfo(0, 0, Path(), None, region, None, None, STACK, "", {})
    return Target("aws", info, runtime)


def on_local_stack(port: int, runtime: CommandRuntime) -> Target:
    """Return the local stack of a port, which must run."""
    info = lifecycle.info(port)
    if info is None:
        raise LookupError(f"no local stack is running on port {port}")
    own = replace(info, stack_name=STACK, api_url="", api_keys={})
    return Target("local", own, runtime, info.stack_name)
