"""Connect to a Refit stack: select the local stack or AWS, and create its clients.

The local stack is used through boto3 and HTTP exactly like AWS; only the endpoint and the
credentials differ.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from refit.domain.errors import ServiceThrottled
from refit.domain.moments import utc_now
from refit.environment import Environment
from refit.stores.batches import BatchStore
from refit.stores.bucket import Bucket
from refit.stores.dynamodb import Table
from refit.stores.endpoints import Endpoints
from refit.stores.labels import LabelStore
from refit.stores.models import ModelStore
from refit.stores.monitoring import MonitoringStore
from refit.stores.run_artifacts import MAX_AGE_S, RunArtifacts
from refit.stores.shards import Shards
from refit.usecases.services import Services

from refit_cli.api.model_api import ApiAccess
from refit_cli.api.request_signature import RequestSignature
from refit_cli.errors import BadInput, NotReachable, RunFailed
from refit_cli.stack_target import DEFAULT_PORT, StackTarget
from refit_cli.terminal import inform

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_local.stack.record import StackInfo

    from refit_cli.runtime import CommandRuntime, LocalStacks

ApiKey = Literal["predict", "label", "operate"]
"""What an API key opens: predictions, ground truth, or all routes that operate models."""

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=70,
    max_pool_connections=16,
)
# AWS throttles requests and charges for some of them.
_LOCAL_POLL_S, _AWS_POLL_S = 0.5, 3.0
_LOCAL_SETTLE_S, _AWS_SETTLE_S = MAX_AGE_S + 2, MAX_AGE_S + 110
ACCESS_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIALS_REJECTED = frozenset(
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
class StackOutputs:
    """The outputs of `template.yaml` that the commands use.

    Attributes:
        api_authorizer: `AWS_IAM` if requests to the API must be signed, else `NONE`.
        api_key_ids: id of the key for each purpose.
        state_machines: ARNs of TRAIN, DEPLOY and BATCH.
        parameters: values of the template's parameters.
    """

    name: str
    bucket: str
    model_table: str
    inference_table: str
    name_prefix: str
    api_url: str
    dashboard_url: str
    api_authorizer: str
    api_key_ids: dict[ApiKey, str]
    state_machines: tuple[str, str, str]
    parameters: dict[str, str]

    @property
    def console_url(self) -> str:
        """Address of the console, the root of the API's stage."""
        return f"{self.api_url.rstrip('/')}/"


class StackConnection:
    """The clients and the outputs of one stack, each created or read on first use.

    Args:
        runtime: creates the sessions.
        local: the local stack; None for AWS.
        stack_name: name of the CloudFormation stack.
        config: timeouts and retries of the clients.
    """

    def __init__(
        self,
        runtime: CommandRuntime,
        local: StackInfo | None,
        stack_name: str,
        config: Config = _CONFIG,
    ) -> None:
        self._config = config
        self.runtime = runtime
        self.local = local
        self.stack_name = stack_name
        self._clients: dict[str, Any] = {}

    @property
    def location(self) -> str:
        """The local stack or the AWS region, for messages."""
        if self.local is not None:
            return f"the local stack on port {self.local.port}"
        return f"AWS ({self._session.region_name or 'no region'})"

    @property
    def region(self) -> str:
        """The Region of all clients.

        Raises:
            NoRegionError: when none is set; `connected` turns it into a message.
        """
        name = self._session.region_name
        if name is None:
            raise NoRegionError
        return str(name)

    @property
    def poll_s(self) -> float:
        """Seconds between two reads of a followed run."""
        if self.runtime.poll_s is not None:
            return self.runtime.poll_s
        return _LOCAL_POLL_S if self.local else _AWS_POLL_S

    @property
    def settle_s(self) -> float:
        """Seconds after which no process writes what it read before a change of the model.

        Locally, a warm function uses what it read for ten seconds. On AWS, an API call may take 29
        seconds more, and Firehose delivers its captures after 60.
        """
        if self.runtime.settle_s is not None:
            return self.runtime.settle_s
        return _LOCAL_SETTLE_S if self.local else _AWS_SETTLE_S

    @cached_property
    def _session(self) -> Any:
        if self.local is None:
            return self.runtime.open_session()
        return self.runtime.open_session(
            aws_access_key_id=self.local.access_key_id,
            aws_secret_access_key=self.local.secret_access_key,
            region_name=self.local.region,
        )

    @cached_property
    def services(self) -> Services:
        """What the use cases that only read work with."""
        variables = {
            "BUCKET": self.stack.bucket,
            "MODEL_TABLE": self.stack.model_table,
            "INFERENCE_TABLE": self.stack.inference_table,
            "NAME_PREFIX": self.stack.name_prefix,
        }
        return Services(Environment(variables), self.client)

    @cached_property
    def bucket(self) -> Bucket:
        """The bucket of the stack."""
        return Bucket(self.client("s3"), self.stack.bucket)

    @cached_property
    def models(self) -> ModelStore:
        """The models and runs of the stack."""
        return ModelStore(self._model_table, utc_now)

    @cached_property
    def batches(self) -> BatchStore:
        """The batch predictions of the stack."""
        return BatchStore(self._model_table, utc_now)

    @cached_property
    def monitoring(self) -> MonitoringStore:
        """The verdicts and retraining states of the stack."""
        return MonitoringStore(self._model_table, Shards())

    @cached_property
    def artifacts(self) -> RunArtifacts:
        """What the runs of the stack wrote."""
        return RunArtifacts(self.bucket, self.models, utc_now)

    @cached_property
    def _model_table(self) -> Table:
        return Table(self.client("dynamodb"), self.stack.model_table)

    @cached_property
    def labels(self) -> LabelStore:
        """The labels of the stack."""
        inferences = Table(self.client("dynamodb"), self.stack.inference_table)
        return LabelStore(inferences, self._model_table, Shards())

    def endpoint_status(self, endpoint: str) -> str:
        """Return SageMaker's status of an endpoint, or `missing`."""
        state = Endpoints(self.client).describe(endpoint)
        return state.status if state else "missing"

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service; there is one per connection."""
        if service not in self._clients:
            self._clients[service] = self._session.client(
                service,
                endpoint_url=self.local.endpoint_url if self.local else None,
                config=self._config,
            )
        return self._clients[service]

    @cached_property
    def stack(self) -> StackOutputs:
        """The stack's outputs.

        Raises:
            NotReachable: when the stack does not exist or is not a Refit stack.
        """
        outputs, parameters = self._read_stack()
        try:
            return StackOutputs(
                name=self.stack_name,
                bucket=outputs["BucketName"],
                model_table=outputs["ModelTableName"],
                inference_table=outputs["InferenceTableName"],
                name_prefix=outputs["NamePrefix"],
                api_url=(self.local.api_url if self.local else None) or outputs["ApiUrl"],
                dashboard_url=outputs["DashboardUrl"],
                api_authorizer=outputs["ApiAuthorizer"],
                api_key_ids={
                    "predict": outputs["PredictApiKeyId"],
                    "label": outputs["LabelApiKeyId"],
                    "operate": outputs["OperateApiKeyId"],
                },
                state_machines=(
                    outputs["TrainStateMachineArn"],
                    outputs["DeployStateMachineArn"],
                    outputs["BatchStateMachineArn"],
                ),
                parameters=parameters,
            )
        except KeyError as missing:
            raise NotReachable(
                f"the stack {self.stack_name!r} on {self.location} has no output {missing}: it is "
                "not a Refit stack, has another version, or its deployment failed",
                "select a Refit stack with --stack-name, or deploy again",
            ) from missing

    @cached_property
    def function_logs(self) -> str:
        """The log group of all functions."""
        resource = self.client("cloudformation").describe_stack_resource(
            StackName=self.stack_name, LogicalResourceId="FunctionLogs"
        )
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    def _read_stack(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return outputs and parameters."""
        try:
            answer = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise NotReachable(
                f"there is no stack named {self.stack_name!r} on {self.location}",
                "start the local stack with `refit up`, or deploy to AWS with `sam deploy` "
                "and select the stack with --stack-name",
            ) from error
        (stack,) = answer["Stacks"]
        outputs = {
            str(output["OutputKey"]): str(output["OutputValue"])
            for output in stack.get("Outputs", [])
        }
        parameters = {
            str(parameter["ParameterKey"]): str(parameter["ParameterValue"])
            for parameter in stack.get("Parameters", [])
        }
        return outputs, parameters

    def api_key(self, purpose: ApiKey) -> str:
        """Return the value of the API key for a purpose."""
        if self.local is not None and purpose in self.local.api_keys:
            return self.local.api_keys[purpose]
        answer = self.client("apigateway").get_api_key(
            apiKey=self.stack.api_key_ids[purpose], includeValue=True
        )
        return str(answer["value"])

    def api_access(self, model: str, purpose: ApiKey) -> ApiAccess:
        """Return what a client of one route of a model's HTTP API needs."""
        is_signed = self.stack.api_authorizer == "AWS_IAM"
        return ApiAccess(
            self.stack.api_url,
            self.api_key(purpose),
            model,
            backoff_s=self.runtime.retry_backoff_s,
            signature=self._signature() if is_signed else None,
        )

    def _signature(self) -> RequestSignature:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return RequestSignature(credentials, self._session.region_name)


@contextmanager
def connected(target: StackTarget, runtime: CommandRuntime) -> Iterator[StackConnection]:
    """Connect to the selected stack, and turn AWS errors inside the block into one message.

    Raises:
        NotReachable: when nothing responds, or credentials are missing or rejected.
        RunFailed: when AWS rejects a request for another reason.
    """
    local = _selected_local_stack(target, runtime.local_stacks)
    stack_name = local.stack_name if local else target.stack_name
    connection = StackConnection(runtime, local, stack_name)
    try:
        yield connection
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        raise NotReachable(
            f"{_why_aws(target)}, and AWS cannot be used: {str(error).rstrip('.')}",
            "start the local stack with `refit up`; or, for AWS, run `aws configure` (or set "
            "AWS_PROFILE and AWS_REGION) and select the stack with --stack-name",
        ) from error
    except (ProfileNotFound, ConfigNotFound, ConfigParseError) as error:
        raise NotReachable(
            f"the AWS configuration of this user cannot be used: {str(error).rstrip('.')}",
            "correct or unset AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
        ) from error
    except (ConnectionError, HTTPClientError) as error:
        raise _not_responding(error, connection) from error
    except ServiceThrottled as error:
        if isinstance(error.__cause__, ClientError):
            raise _translate_client_error(error.__cause__, connection) from error
        raise _not_responding(error, connection) from error
    except ClientError as error:
        raise _translate_client_error(error, connection) from error
    except BotoCoreError as error:
        raise RunFailed(f"{connection.location}: {error}") from error


def _not_responding(error: Exception, connection: StackConnection) -> NotReachable:
    return NotReachable(
        f"{connection.location} does not respond: {error}",
        "check it with `refit status`; start it with `refit up`"
        if connection.local
        else "check the network and the region",
    )


def _selected_local_stack(target: StackTarget, local_stacks: LocalStacks) -> StackInfo | None:
    """Return the local stack to use, or None for AWS."""
    if target.aws or target.port == 0 or target.missing_port is not None:
        return None
    if target.port is not None:
        local = local_stacks.info(target.port)
        if local is None:
            raise NotReachable(
                f"no local stack is running on port {target.port}",
                f"start it with `refit up --port {target.port}`; to use AWS, give --aws",
            )
        return local
    port = port_of_environment()
    local = local_stacks.info(port or DEFAULT_PORT) if port != 0 else None
    if local is None and port:
        # The user set a port: the use of AWS instead must not go unnoticed.
        inform(f"[yellow]no local stack is running on port {port} (REFIT_PORT): using AWS[/]")
    return local


def port_of_environment() -> int | None:
    """Return REFIT_PORT; None when it is not set.

    Raises:
        BadInput: when it is not a port.
    """
    text = os.environ.get("REFIT_PORT", "")
    if not text:
        return None
    if not text.isdigit() or int(text) > 65535:
        raise BadInput(
            f"REFIT_PORT is {text!r}, but must be a port from 1 to 65535, or 0 for AWS",
            "set it to a port, or unset it to use the default port",
        )
    return int(text)


def _why_aws(target: StackTarget) -> str:
    if target.missing_port is not None:
        return f"no local stack is running on port {target.missing_port}"
    port = port_of_environment()
    if target.aws or target.port == 0 or port == 0:
        return "AWS was selected"
    return f"no local stack is running on port {port or DEFAULT_PORT}"


def _translate_client_error(
    error: ClientError, connection: StackConnection
) -> NotReachable | RunFailed:
    code = error.response.get("Error", {}).get("Code", "")
    if code in _CREDENTIALS_REJECTED:
        return NotReachable(
            f"{connection.location} rejects these credentials: {error}",
            "log in again, or select other credentials with AWS_PROFILE",
        )
    if code in ACCESS_DENIED:
        return NotReachable(
            f"these credentials lack a permission on {connection.location}: {error}",
            "request the permission, or select other credentials with AWS_PROFILE",
        )
    return RunFailed(f"{connection.location} rejected a request: {error}")
