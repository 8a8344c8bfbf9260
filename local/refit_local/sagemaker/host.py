"""What the host process gives the local SageMaker: events, metrics, logs and credentials."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION_NAME = "SageMaker"


class PutEvent(Protocol):
    """Put an event on the default bus; unlike PutEvents, the source may be `aws.sagemaker`."""

    def __call__(
        self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]
    ) -> None: ...


class PutMetric(Protocol):
    """Publish metric values with their counts; the namespace may begin with `AWS/`."""

    def __call__(
        self,
        namespace: str,
        name: str,
        values: list[float],
        unit: str,
        dimensions: dict[str, str],
        *,
        counts: list[float],
    ) -> None: ...


class PutLogLines(Protocol):
    """Append lines to a stream of CloudWatch Logs; group and stream are created when missing."""

    def __call__(self, group: str, stream: str, lines: list[str]) -> None: ...


@dataclass(frozen=True)
class RoleCredentials:
    """Temporary credentials of a role.

    Attributes:
        expires_at: aware UTC time.
    """

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime


@dataclass(frozen=True)
class HostServices:
    """The functions and credentials that the host gives to the local SageMaker.

    Attributes:
        endpoint_url: the endpoint of the other services; None means the default endpoints of AWS.
        role_credentials: assumes a role as the principal `sagemaker.amazonaws.com`, given
            (role ARN, session name). None means STS AssumeRole with the host's credentials.
        quota: returns the account's quota of instances by its name in Service Quotas. None means
            no quotas.
        may: whether a role's policies allow an action, given (role ARN, action, resource ARN). None
            means everything.
    """

    endpoint_url: str | None
    region: str
    account_id: str
    access_key_id: str
    secret_access_key: str
    put_event: PutEvent
    put_metric: PutMetric
    put_log_lines: PutLogLines
    role_credentials: Callable[[str, str], RoleCredentials] | None = None
    quota: Callable[[str], float] | None = None
    may: Callable[[str, str, str], bool] | None = None
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def client(self, service: str) -> Any:
        """Return a client of a service with the credentials of the host."""
        with self._lock:
            if service not in self._clients:
                session = boto3.Session(
                    self.access_key_id, self.secret_access_key, region_name=self.region
                )
                self._clients[service] = self._connect(session, service)
            return self._clients[service]

    def s3_as(self, role_arn: str) -> Any:
        """Return an S3 client with the permissions of a role.

        Raises:
            botocore.exceptions.ClientError: when the role cannot be assumed.
        """
        key = f"s3 as {role_arn}"
        with self._lock:
            if key in self._clients:
                return self._clients[key]
        # botocore has no public function that gives refreshable credentials to a session.
        core: Any = botocore.session.Session()
        core._credentials = RefreshableCredentials.create_from_metadata(
            metadata=self._assume(role_arn),
            refresh_using=lambda: self._assume(role_arn),
            method="sts-assume-role",
        )
        session = boto3.Session(botocore_session=core, region_name=self.region)
        with self._lock:
            return self._clients.setdefault(key, self._connect(session, "s3"))

    def _connect(self, session: Any, service: str) -> Any:
        path_style: Any = {"addressing_style": "path"} if self.endpoint_url else {}
        return session.client(
            service,
            endpoint_url=self.endpoint_url,
            config=Config(s3=path_style, max_pool_connections=16, retries={"mode": "standard"}),
        )

    def _assume(self, role_arn: str) -> dict[str, str]:
        if self.role_credentials is not None:
            session = self.role_credentials(role_arn, SESSION_NAME)
            return {
                "access_key": session.access_key_id,
                "secret_key": session.secret_access_key,
                "token": session.session_token,
                "expiry_time": session.expires_at.astimezone(UTC).isoformat(),
            }
        answer = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=SESSION_NAME)
        credentials = answer["Credentials"]
        expires: datetime = credentials["Expiration"]
        return {
            "access_key": credentials["AccessKeyId"],
            "secret_key": credentials["SecretAccessKey"],
            "token": credentials["SessionToken"],
            "expiry_time": expires.astimezone(UTC).isoformat(),
        }
