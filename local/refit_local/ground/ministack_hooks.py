"""The one home of MiniStack's private names: what Refit hangs into it, and where.

MiniStack has no plug-in interface, so the local ground replaces or calls functions that start with
an underscore. Each is a member of `Hook`; no other module names one. `requirements.lock` pins the
exact MiniStack, and a test resolves every member, so an upgrade that moves one is seen at once.
"""

from __future__ import annotations

import importlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import queue
    import threading

PINNED_VERSION = "1.5.33"
SESSION_LENGTH_S = 3600

_APP = "ministack.app"
_ROUTER = "ministack.core.router"
_ACTIONS = "ministack.core.iam_actions"
_EVALUATOR = "ministack.core.iam_evaluator"
_WORKERS = "ministack.core.lambda_runtime"
_RESPONSES = "ministack.core.responses"
_STATES = "ministack.services.stepfunctions"
_LAMBDA = "ministack.services.lambda_svc"
_LOGS = "ministack.services.cloudwatch_logs"
_S3 = "ministack.services.s3"
_SQS = "ministack.services.sqs"
_STS = "ministack.services.sts"
_IAM = "ministack.services.iam"
_METRICS = "ministack.services.cloudwatch"
_EVENTS = "ministack.services.eventbridge"

Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Response]]


class HookMoved(RuntimeError):
    """When the installed MiniStack has no such name: it is not the version Refit was made for."""


class TaskFailed(Exception):
    """Raised by a task handler: the state fails with this error name and cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class Hook(Enum):
    """A private name of MiniStack: module, attribute path, and what Refit needs it for."""

    APP = (_APP, "app", "the ASGI application")
    PIN_ORIGIN = (_APP, "pin_request_origin", "aws:SecureTransport on the loopback interface")
    LOADED_MODULES = (_APP, "_loaded_modules", "a service of our own")
    SERVICE_REGISTRY = (_APP, "SERVICE_REGISTRY", "a service of our own")
    SERVICE_HANDLERS = (_APP, "SERVICE_HANDLERS", "a service of our own")
    SERVICE_ALIASES = (_APP, "SERVICE_NAME_ALIASES", "a service of our own")
    SERVICE_PATTERNS = (_ROUTER, "SERVICE_PATTERNS", "routing to a service of our own")
    ACCESS_KEY_OF = (_ROUTER, "extract_access_key_id", "who called a service of our own")
    ACCOUNT = (_RESPONSES, "get_account_id", "the account of a request")
    REGION = (_RESPONSES, "get_region", "the region of a request")

    IAM_NAMESPACES = (_ACTIONS, "SERVICE_TO_IAM_NAMESPACE", "IAM actions of a service of our own")
    IAM_MODELS = (_ACTIONS, "_BOTOCORE_SERVICE_MAP", "IAM actions of a service of our own")
    IAM_RESOURCE = (_ACTIONS, "extract_resource_arn", "IAM resources of a service of our own")
    IAM_ENFORCE = (_EVALUATOR, "enforce", "iam:PassRole and second resources of a request")
    IAM_EVALUATE = (_EVALUATOR, "evaluate", "what a state machine's role may do")
    IAM_CONTEXT = (_EVALUATOR, "EvalContext", "what a state machine's role may do")
    IAM_ROLE_POLICIES = (_EVALUATOR, "_gather_role_policies", "what a state machine's role may do")

    ROLES = (_IAM, "_roles", "acting as a role for a service of our own")
    TRUSTS_SERVICE = (_EVALUATOR, "_service_principal_matches", "acting as a role")
    REGISTER_SESSION = (_STS, "register_session", "acting as a role for a service of our own")

    STATE_MACHINES = (_STATES, "_state_machines", "the role and definition of a state machine")
    EXECUTIONS = (_STATES, "_executions", "the state of an execution")
    EXECUTION_ERROR = (_STATES, "_ExecutionError", "failing a state")
    SERVICE_TASKS = (_STATES, "_SERVICE_DISPATCH", "optimized integrations of a service of our own")
    SDK_SERVICES = (_STATES, "_AWS_SDK_SERVICE_MAP", "aws-sdk tasks of a service of our own")
    SDK_ERRORS = (_STATES, "_AWS_SDK_ERROR_PREFIX", "aws-sdk tasks of a service of our own")
    RUN_EXECUTION = (_STATES, "_run_execution", "timeouts and aborts of executions")
    STOP_EXECUTION = (_STATES, "_stop_execution", "aborts that stop running tasks")
    FAIL_EXECUTION = (_STATES, "_fail_execution", "an aborted execution stays aborted")
    EXECUTE_TASK = (_STATES, "_execute_task", "JSONata timeouts of tasks")
    INVOKE_RESOURCE = (_STATES, "_invoke_resource", "the state machine's role")
    INVOKE_WITH_TIMEOUT = (_STATES, "_invoke_resource_with_timeout", "tasks stopped at a timeout")
    FIND_RETRIER = (_STATES, "_find_matching_retrier", "MaxDelaySeconds and JitterStrategy")
    FIND_CATCHER = (_STATES, "_find_matching_catcher", "aborts that nothing catches")
    SLEEP = (_STATES, "_scaled_sleep", "waits that end at an abort")
    PARALLEL = (_STATES, "_run_parallel_branches", "JSONata and aborts in Parallel")
    SUB_MACHINE = (_STATES, "_run_sub_machine", "branches of Parallel")
    OUTPUT_PATH = (_STATES, "_apply_output_path", "JSONata output of Succeed")
    INPUT_PATH = (_STATES, "_apply_input_path", "JSONPath in Parallel")
    PARAMETERS = (_STATES, "_apply_parameters", "JSONPath in Parallel")
    RESULT_SELECTOR = (_STATES, "_apply_result_selector", "JSONPath in Parallel")
    RESULT_PATH = (_STATES, "_apply_result_path", "JSONPath in Parallel")
    QUERY_LANGUAGE = (_STATES, "_state_query_language", "JSONata in Parallel")
    JSONATA_ARGUMENTS = (_STATES, "_apply_jsonata_arguments", "JSONata in Parallel")
    JSONATA_OUTPUT = (_STATES, "_apply_jsonata_output", "JSONata in Parallel and Succeed")
    JSONATA_FIELD = (_STATES, "_jsonata_state_field", "JSONata timeouts of tasks")
    ASSIGN = (_STATES, "_apply_state_assign", "JSONata in Parallel")
    NEXT_OR_END = (_STATES, "_next_or_end", "Parallel")
    ADD_HISTORY = (_STATES, "_add_event", "execution history")
    EMIT_STATUS = (_STATES, "_emit_execution_status_event", "status events of executions")

    WORKER_SCRIPT = (_WORKERS, "_PYTHON_WORKER_SCRIPT", "a Python runtime that is true to AWS's")
    DRAIN_LOG = (_WORKERS, "Worker._drain_stderr_bounded", "complete logs of an invocation")
    KILL_WORKERS = (_WORKERS, "reset", "ending the Lambda processes")
    EXECUTE_WARM = (_LAMBDA, "_execute_function_warm", "error types of Python functions")
    PEAK_MEMORY = (_LAMBDA, "_probe_peak_memory_mb", "the memory in a REPORT line")
    EMIT_LAMBDA_LOGS = (_LAMBDA, "_emit_lambda_logs", "embedded metrics in logs")

    S3_HANDLE = (_S3, "handle_request", "large objects that do not hold up the ground")
    UPLOAD_PART = (_S3, "_upload_part", "parts that do not stay in memory")
    UPLOADS = (_S3, "_multipart_uploads", "parts that do not stay in memory")
    DISPLACE_VERSION = (_S3, "_persist_displaced_version", "versions that are not copied")
    GET_OBJECT = (_S3, "_get_object", "objects larger than the memory")
    READ_BODY = (_S3, "_read_body", "objects larger than the memory")
    VERSION_BODY = (_S3, "_version_body", "objects larger than the memory")
    VERSION_ENTRY = (_S3, "_version_entry_from_record", "versions that do not stay in memory")
    OBJECT_PATH = (_S3, "_object_disk_path", "objects larger than the memory")
    VERSION_PATH = (_S3, "_version_disk_path", "objects larger than the memory")
    PARSE_RANGE = (_S3, "_parse_range", "ranges of older versions")
    STREAMED = (_RESPONSES, "StreamingResponse", "objects larger than the memory")
    EVENT_TARGET = (_EVENTS, "_invoke_target", "dead-letter queues of targets")
    EVENT_TO_FUNCTION = (_EVENTS, "_dispatch_to_lambda", "retries of asynchronous calls")
    FUNCTION_RECORD = (_LAMBDA, "_get_func_record_for_ref", "retries of asynchronous calls")
    EXECUTION_RECORD = (_LAMBDA, "_execution_record_for_config", "retries of asynchronous calls")
    INVOKE_ASYNC = (_LAMBDA, "invoke_async_with_retry", "retries of asynchronous calls")
    RESOLVE_MACHINE = (_STATES, "_resolve_state_machine_arn", "dead-letter queues of targets")
    QUEUE_BY_ARN = (_SQS, "_queue_by_arn", "dead-letter queues of targets")
    QUEUE_ALLOWS = (_SQS, "queue_policy_allows", "dead-letter queues of targets")
    DISPATCH_EVENT = (_EVENTS, "_dispatch_event", "the version in S3's events")
    S3_EVENT = (_S3, "_fire_s3_event", "the version in S3's events")

    LOG_GROUPS = (_LOGS, "_log_groups", "logs of a service of our own")
    LOG_GROUP_ARN = (_LOGS, "_make_group_arn", "logs of a service of our own")
    APPEND_LOG = (_LOGS, "_append_log_events", "logs of a service of our own")
    PUT_EVENTS = (_EVENTS, "_put_events", "events whose source is aws.*")
    METRIC_POINTS = (_METRICS, "_metric_bucket", "alarms that look at their own dimensions")
    METRIC_KEY = (_METRICS, "_dims_key", "alarms that look at their own dimensions")
    METRIC_STATISTICS = (_METRICS, "_calc_stats", "alarms that look at their own periods")
    METRIC_STATISTIC = (_METRICS, "_stat_value", "alarms that look at their own periods")
    EVALUATE_ALARM = (_METRICS, "_evaluate_alarm", "alarms as CloudWatch evaluates them")
    ALARM_HISTORY = (_METRICS, "_record_history", "alarms as CloudWatch evaluates them")
    ALARM_ACTIONS = (_METRICS, "_dispatch_alarm_actions", "alarms as CloudWatch evaluates them")
    ALARM_PARENTS = (_METRICS, "_evaluate_parent_alarms", "alarms as CloudWatch evaluates them")
    QUEUES = (_SQS, "_queues", "the metrics of queues")
    COUNT_MESSAGES = (_SQS, "_refresh_counts", "the metrics of queues")
    STORE_METRIC = (_METRICS, "_store_datum", "metrics of a service of our own")
    EVALUATE_ALARMS = (_METRICS, "_evaluate_all_alarms", "alarms on metrics of our own")

    def _owner(self) -> tuple[Any, str]:
        module, path, purpose = self.value
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for step in (*parents, name):
            holder, owner = owner, getattr(owner, step, _MISSING)
            if owner is _MISSING:
                raise HookMoved(
                    f"MiniStack has no {module}.{path}, which Refit needs for {purpose}. Refit is "
                    f"made for ministack=={PINNED_VERSION}: install that, or find where the new "
                    f"version keeps it and move Hook.{self.name} in ministack_hooks.py there."
                )
        return holder, name

    def get(self) -> Any:
        """Return what the name stands for now.

        Raises:
            HookMoved: when the installed MiniStack has no such name.
        """
        owner, name = self._owner()
        return getattr(owner, name)

    def put(self, value: Any) -> None:
        """Replace what the name stands for."""
        owner, name = self._owner()
        setattr(owner, name, value)

    def wrap(self, around: Callable[..., Any]) -> None:
        """Have `around(original, *args)` run in place of `original(*args)`."""
        self.put(partial(around, self.get()))


_MISSING = object()


@dataclass(frozen=True)
class Permission:
    """What a request needs: an IAM action on a resource, under extra condition keys."""

    action: str
    resource: str
    conditions: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Service:
    """A service of our own inside MiniStack.

    Attributes:
        name: the IAM namespace and the service in a SigV4 scope, e.g. `sagemaker`.
        aliases: other names and host prefixes, e.g. `runtime.sagemaker`.
        target_prefix: what `X-Amz-Target` starts with, e.g. `SageMaker`.
        sdk_name: how an error is prefixed by Step Functions, e.g. `SageMaker`.
        models: botocore's service models that name the REST operations.
        handle_request: answers a request as MiniStack's own services do.
        permissions: what a request needs, from its operation (None for a REST request), path and
            body; the first is the operation itself, the rest further resources and passed roles.
        reset: forgets everything.
    """

    name: str
    aliases: tuple[str, ...]
    target_prefix: str
    sdk_name: str
    models: tuple[str, ...]
    handle_request: Handler
    permissions: Callable[[str | None, str, bytes], list[Permission]]
    reset: Callable[[], None]


def register_service(service: Service) -> None:
    """Route a service's requests, its IAM checks and its `aws-sdk` tasks to us."""
    name = service.name
    handler = partial(_handle_authorized, service)
    Hook.LOADED_MODULES.get()[name] = SimpleNamespace(
        handle_request=handler, reset=service.reset, get_state=lambda: None
    )
    Hook.SERVICE_REGISTRY.get()[name] = {"module": name, "aliases": service.aliases}
    Hook.SERVICE_HANDLERS.get()[name] = handler
    Hook.SERVICE_ALIASES.get().update(dict.fromkeys(service.aliases, name))
    Hook.SERVICE_PATTERNS.get()[name] = {
        "target_prefixes": [f"{service.target_prefix}."],
        "host_patterns": [alias.replace(".", r"\.") + r"\." for alias in service.aliases],
        "credential_scope": name,
    }
    Hook.IAM_NAMESPACES.get()[name] = name
    Hook.IAM_MODELS.get()[name] = list(service.models)
    Hook.IAM_RESOURCE.wrap(partial(_first_resource, service))
    Hook.SDK_SERVICES.get()[name] = {"target_prefix": service.target_prefix, "protocol": "json"}
    Hook.SDK_ERRORS.get()[name] = service.sdk_name


def _needed(
    service: Service, headers: Mapping[str, str], path: str, body: bytes
) -> list[Permission]:
    target = headers.get("x-amz-target", "")
    operation = target.rsplit(".", 1)[-1] if "." in target else None
    return service.permissions(operation, path, body)


def trust_loopback() -> None:
    """Count plain HTTP as `aws:SecureTransport`: a ground answers on 127.0.0.1 only."""
    Hook.PIN_ORIGIN.wrap(lambda original, address, secure: original(address, True))


def _first_resource(
    service: Service, original: Callable[..., str], name: str, *request: Any
) -> str:
    if name != service.name:
        return original(name, *request)
    _, path, headers, body, *_ = request
    needed = _needed(service, headers, path, body)
    return needed[0].resource if needed else "*"


async def _handle_authorized(service: Service, *request: Any) -> Response:
    """Check what MiniStack does not (it checks one resource a request), then answer."""
    _, path, headers, body, query = request
    access_key = Hook.ACCESS_KEY_OF.get()(headers, query)
    for permission in _needed(service, headers, path, body)[1:]:
        denied = Hook.IAM_ENFORCE.get()(
            access_key,
            permission.action,
            permission.action.split(":")[0],
            region(),
            resource_arn=permission.resource,
            service_context=dict(permission.conditions or {}),
        )
        if denied:
            principal = getattr(denied, "principal_arn", "") or "the caller"
            return _access_denied(denial_message(principal, permission))
    return await service.handle_request(*request)


def _access_denied(message: str) -> Response:
    body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.1"}, body


def denial_message(principal: str, permission: Permission) -> str:
    """Return AWS's sentence for a request that no identity-based policy allows."""
    return (
        f"User: {principal} is not authorized to perform: {permission.action} on resource: "
        f"{permission.resource} because no identity-based policy allows the "
        f"{permission.action} action"
    )


def role_may(role_arn: str, permission: Permission) -> bool:
    """Return whether a role's policies allow this (a role that does not exist may nothing)."""
    _, _, _, _, account_id, resource = role_arn.split(":", 5)
    role = resource.rsplit("/", 1)[-1]
    context = Hook.IAM_CONTEXT.get()(
        principal_arn=f"arn:aws:sts::{account_id}:assumed-role/{role}/states",
        principal_type="AssumedRole",
        principal_account=account_id,
        action=permission.action,
        resource_arn=permission.resource,
        region=region(),
        service_context={k.lower(): v for k, v in (permission.conditions or {}).items()},
    )
    policies = Hook.IAM_ROLE_POLICIES.get()(role, account_id)
    return bool(Hook.IAM_EVALUATE.get()(context, policies).decision == "Allow")


@dataclass(frozen=True)
class RoleSession:
    """Temporary credentials of a role. `expires_at` is Unix time in seconds."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: float


def assume_role(role_arn: str, session_name: str, service: str) -> RoleSession:
    """Act as a role on behalf of a service, e.g. `sagemaker.amazonaws.com`.

    Raises:
        PermissionError: when there is no such role, or it does not trust the service.
    """
    account_id, resource = role_arn.split(":", 5)[4:]
    name = resource.rsplit("/", 1)[-1]
    role = Hook.ROLES.get().get_scoped(account_id, None, name)
    if role is None or not _trusts(role, service):
        raise PermissionError(f"{service} cannot assume the role {role_arn}")
    session = RoleSession(
        access_key_id=f"ASIA{secrets.token_hex(8).upper()}",
        secret_access_key=secrets.token_urlsafe(30),
        session_token=secrets.token_urlsafe(60),
        expires_at=time.time() + SESSION_LENGTH_S,
    )
    Hook.REGISTER_SESSION.get()(
        session.access_key_id,
        {
            "Arn": f"arn:aws:sts::{account_id}:assumed-role/{name}/{session_name}",
            "UserId": f"{role.get('RoleId', name)}:{session_name}",
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expires_at,
            "AccountId": account_id,
            "PrincipalType": "AssumedRole",
        },
    )
    return session


def _trusts(role: Mapping[str, Any], service: str) -> bool:
    document = role.get("AssumeRolePolicyDocument", "{}")
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy.get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and Hook.TRUSTS_SERVICE.get()(statement.get("Principal"), service)
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def account() -> str:
    """Return the account of the request at hand, or the ground's own."""
    return str(Hook.ACCOUNT.get()())


def region() -> str:
    """Return the region of the request at hand, or the ground's own."""
    return str(Hook.REGION.get()())


def put_event(
    source: str, detail_type: str, detail: Mapping[str, Any], resources: Iterable[str]
) -> None:
    """Publish an event on the default bus; unlike PutEvents, the source may be `aws.*`."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Resources": list(resources),
    }
    Hook.PUT_EVENTS.get()({"Entries": [entry]}, allow_aws_source=True)


def put_metric(
    namespace: str,
    name: str,
    values: list[float],
    unit: str,
    dimensions: Mapping[str, str],
    *,
    counts: list[float] | None = None,
    timestamp_s: float | None = None,
) -> None:
    """Store a metric's values of one moment, each seen `counts` times, and let alarms see them."""
    at = time.time() if timestamp_s is None else timestamp_s
    Hook.STORE_METRIC.get()(namespace, name, dict(dimensions), at, unit, None, values, counts, None)
    Hook.EVALUATE_ALARMS.get()()


def evaluate_alarms() -> None:
    """Let every alarm look at its metric now."""
    Hook.EVALUATE_ALARMS.get()()


def put_log_lines(group: str, stream: str, lines: Iterable[str]) -> None:
    """Append lines to a log stream; group and stream are made when they are not there."""
    now_ms = int(time.time() * 1000)
    groups = Hook.LOG_GROUPS.get()
    if group not in groups:
        groups[group] = {
            "arn": Hook.LOG_GROUP_ARN.get()(group),
            "creationTime": now_ms,
            "retentionInDays": None,
            "tags": {},
            "subscriptionFilters": {},
            "streams": {},
        }
    streams = groups[group]["streams"]
    if stream not in streams:
        streams[stream] = {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now_ms,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        }
    Hook.APPEND_LOG.get()(
        streams[stream],
        [{"timestamp": now_ms, "message": line, "ingestionTime": now_ms} for line in lines],
    )


def on_lambda_log(listener: Callable[[str, list[str]], None]) -> None:
    """Call `listener(function_name, lines)` with what each invocation wrote to its log."""

    def around(
        original: Callable[..., None],
        function: dict[str, Any],
        request_id: str,
        text: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        original(function, request_id, text, *args, **kwargs)
        config = function.get("config") or function
        listener(config.get("FunctionName", ""), text.splitlines() if text else [])

    Hook.EMIT_LAMBDA_LOGS.wrap(around)


def register_task(
    resource: str,
    start: Callable[[str, dict[str, Any], str], Any],
    stop: Callable[[str, dict[str, Any]], None],
) -> None:
    """Serve an optimized Step Functions integration.

    Args:
        resource: e.g. `arn:aws:states:::sagemaker:createTrainingJob`; serves `.sync` as well.
        start: called with the state's whole Resource, its arguments and the execution's ARN, in a
            thread of the execution; returns the result when the task has ended, or raises
            TaskFailed.
        stop: called with Resource and arguments from another thread when the execution is stopped,
            the task's time is up, or another branch of its Parallel has failed. It does not wait.
    """
    from refit_local.ground.state_machines import run_stoppable  # noqa: PLC0415 (imports us)

    Hook.SERVICE_TASKS.get()[resource] = partial(run_stoppable, start, stop)


def log_of(worker: Any) -> tuple[queue.Queue[str], threading.Thread]:
    """Return the lines a Lambda process has logged, and the thread that collects them."""
    return worker._stderr_queue, worker._stderr_thread


def end_lambda_workers() -> None:
    """End every Lambda process and wait for it."""
    Hook.KILL_WORKERS.get()()
