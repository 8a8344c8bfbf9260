"""The one way to a ground: which it is, its clients, and where the parts of its stack are.

A local ground is spoken to exactly as AWS is, by boto3 and HTTP; only the endpoint and the
credentials differ.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from refit_local.stack import lifecycle

from refit_cli.errors import BadInput, NotReachable, RunFailed
from refit_cli.options import DEFAULT_PORT, Target
from refit_cli.terminal import remark

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=70,
    max_pool_connections=16,
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_NOT_RECOGNISED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


@dataclass(frozen=True)
class Stack:
    """Where the parts of a deployed stack are: the outputs of `template.yaml`."""

    name: str
    bucket: str
    model_table: str
    name_prefix: str
    api_url: str
    api_key_id: str


class Connection:
    """Clients of one ground, made when first used, and the stack on it."""

    def __init__(self, ground: lifecycle.StackInfo | None, stack_name: str) -> None:
        self.ground = ground
        self.stack_name = stack_name
        self._clients: dict[str, Any] = {}

    @property
    def where(self) -> str:
        """Name the ground, for a message."""
        if self.ground is not None:
            return f"the ground on port {self.ground.port}"
        return f"AWS ({self._session.region_name or 'no region'})"

    @cached_property
    def _session(self) -> boto3.Session:
        if self.ground is None:
            return boto3.Session()
        return boto3.Session(
            aws_access_key_id=self.ground.access_key_id,
            aws_secret_access_key=self.ground.secret_access_key,
            region_name=self.ground.region,
        )

    def client(self, service: str) -> Any:
        """Return the one client of a service."""
        if service not in self._clients:
            self._clients[service] = self._session.client(  # type: ignore[call-overload]
                service,
                endpoint_url=self.ground.endpoint_url if self.ground else None,
                config=_CONFIG,
            )
        return self._clients[service]

    @cached_property
    def stack(self) -> Stack:
        """Read the stack's outputs.

        Raises:
            NotReachable: when there is no such stack, or it is not a Refit.
        """
        outputs = self._outputs()
        try:
            return Stack(
                name=self.stack_name,
                bucket=outputs["BucketName"],
                model_table=outputs["ModelTableName"],
                name_prefix=outputs["NamePrefix"],
                api_url=(self.ground.api_url if self.ground else None) or outputs["ApiUrl"],
                api_key_id=outputs["ApiKeyId"],
            )
        except KeyError as missing:
            raise NotReachable(
                f"the stack {self.stack_name!r} on {self.where} has no output {missing}, "
                "so it is not a Refit, or one of another version, or its deployment failed",
                "give the name of a Refit stack with --stack-name, or deploy again",
            ) from missing

    def _outputs(self) -> dict[str, str]:
        try:
            answer = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise NotReachable(
                f"there is no stack named {self.stack_name!r} on {self.where}",
                "start a local ground with `refit up`, or deploy to AWS with `sam deploy` "
                "and give its name with --stack-name",
            ) from error
        return {
            str(output["OutputKey"]): str(output["OutputValue"])
            for output in answer["Stacks"][0].get("Outputs", [])
        }

    @cached_property
    def api_key(self) -> str:
        """Read the value of the stack's API key."""
        if self.ground is not None and self.ground.api_key:
            return self.ground.api_key
        answer = self.client("apigateway").get_api_key(
            apiKey=self.stack.api_key_id, includeValue=True
        )
        return str(answer["value"])


@contextmanager
def connected(target: Target) -> Iterator[Connection]:
    """Give a connection to the ground that is meant; AWS's errors come out as one clear message.

    Raises:
        NotReachable: when nobody answers there, or credentials are missing or refused.
        RunFailed: when AWS refuses a request for another reason.
    """
    connection = Connection(_ground(target), target.stack_name)
    if connection.ground is not None:
        connection.stack_name = connection.ground.stack_name
    try:
        yield connection
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        raise NotReachable(
            f"{_no_ground(target)}, and AWS cannot be reached: {str(error).rstrip('.')}",
            "start a ground with `refit up`; or, for AWS, run `aws configure` (or set "
            "AWS_PROFILE and AWS_REGION) and name the stack with --stack-name",
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise NotReachable(
            f"{connection.where} does not answer: {error}",
            "look with `refit status`; start a ground with `refit up`"
            if connection.ground
            else "check the network and the region",
        ) from error
    except ClientError as error:
        raise _named(error, connection) from error
    except BotoCoreError as error:
        raise RunFailed(f"{connection.where}: {error}") from error


def _ground(target: Target) -> lifecycle.StackInfo | None:
    if target.aws or target.port == 0:
        return None
    if target.port is not None:
        ground = lifecycle.info(target.port)
        if ground is None:
            raise NotReachable(
                f"there is no ground on port {target.port}",
                f"start it with `refit up --port {target.port}`; to speak to AWS, give --aws",
            )
        return ground
    port = _port_of_environment()
    ground = lifecycle.info(port or DEFAULT_PORT) if port != 0 else None
    if ground is None and port:
        # A port was named: its owner must see that this goes to AWS instead.
        remark(f"[yellow]no ground on port {port} (REFIT_PORT): speaking to AWS[/]")
    return ground


def _port_of_environment() -> int | None:
    text = os.environ.get("REFIT_PORT", "")
    if not text:
        return None
    if not text.isdigit() or int(text) > 65535:
        raise BadInput(
            f"REFIT_PORT is {text!r}, and must be a port from 1 to 65535, or 0 for AWS",
            "set it, or unset it for the ground on its default port",
        )
    return int(text)


def _no_ground(target: Target) -> str:
    port = _port_of_environment()
    if target.aws or target.port == 0 or port == 0:
        return "AWS was asked for"
    return f"there is no ground on port {port or DEFAULT_PORT}"


def _named(error: ClientError, connection: Connection) -> NotReachable | RunFailed:
    code = error.response.get("Error", {}).get("Code", "")
    if code in _NOT_RECOGNISED:
        return NotReachable(
            f"{connection.where} does not accept these credentials: {error}",
            "log in again, or choose others with AWS_PROFILE",
        )
    if code in _DENIED:
        return NotReachable(
            f"these credentials may not do that on {connection.where}: {error}",
            "ask for the named permission, or choose others with AWS_PROFILE",
        )
    return RunFailed(f"{connection.where} refused a request: {error}")
