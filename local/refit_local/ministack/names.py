"""The private names of MiniStack that Refit calls or replaces, and why.

MiniStack has no plug-in interface, so the corrections replace or call functions whose names start
with an underscore. Each is a member of `Hook`; no other module names one. `requirements.lock` pins
the exact version of MiniStack, and a test resolves every member, so that an upgrade which moves a
name fails at once.
"""

from __future__ import annotations

import importlib
import sys
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import queue
    import subprocess
    import threading
    from collections.abc import Callable

PINNED_VERSION = "1.5.33"

_APP = "ministack.app"
_GATEWAY = "ministack.services.apigateway_v1"
_ROUTER = "ministack.core.router"
_ACTIONS = "ministack.core.iam_actions"
_EVALUATOR = "ministack.core.iam_evaluator"
_WORKERS = "ministack.core.lambda_runtime"
_RESPONSES = "ministack.core.responses"
_PERSISTENCE = "ministack.core.persistence"
_STATES = "ministack.services.stepfunctions"
_LAMBDA = "ministack.services.lambda_svc"
_LOGS = "ministack.services.cloudwatch_logs"
_S3 = "ministack.services.s3"
_SQS = "ministack.services.sqs"
_FIREHOSE = "ministack.services.firehose"
_STS = "ministack.services.sts"
_IAM = "ministack.services.iam"
_TABLES = "ministack.services.dynamodb"
_RESOURCES = "ministack.services.cloudformation.provisioners"
_FORMATION = "ministack.services.cloudformation"
_METRICS = "ministack.services.cloudwatch"
_EVENTS = "ministack.services.eventbridge"
_PROVISIONERS = "ministack.services.cloudformation.provisioners"


class HookMoved(RuntimeError):
    """Raised when the installed MiniStack lacks a name: Refit is made for another version."""


class Hook(Enum):
    """A private name of MiniStack: module, attribute path, and what Refit uses it for."""

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
    ACCOUNT_SCOPE = (_RESPONSES, "_request_account_id", "the account of a poll")
    REGION_SCOPE = (_RESPONSES, "_request_region", "the region of a poll")

    SCOPED = (_RESPONSES, "AccountRegionScopedDict", "state that survives a kill")
    STATE_KEYS = (_APP, "_state_map", "state that survives a kill")
    SERVICE_MODULE = (_APP, "_get_module", "state that survives a kill")
    STORED_FUNCTIONS = (_LAMBDA, "_functions", "state that survives a kill")
    LAYERS = (_LAMBDA, "_layers", "state that survives a kill")
    FUNCTION_MAPPINGS = (_LAMBDA, "_esms", "state that survives a kill")
    FUNCTION_URLS = (_LAMBDA, "_function_urls", "state that survives a kill")
    RESTORE_FUNCTIONS = (_LAMBDA, "_restore_state", "state that survives a kill")
    START_POLLING = (_LAMBDA, "_ensure_poller", "state that survives a kill")
    QUEUE_URLS = (_SQS, "_queue_name_to_url", "state that survives a kill")
    RESTORE_QUEUES = (_SQS, "_restore_state", "state that survives a kill")
    MACHINE_TAGS = (_STATES, "_tags", "state that survives a kill")
    ACTIVITIES = (_STATES, "_activities", "state that survives a kill")
    MACHINE_VERSIONS = (_STATES, "_state_machine_versions", "state that survives a kill")
    MACHINE_ALIASES = (_STATES, "_state_machine_aliases", "state that survives a kill")
    MAP_RUNS = (_STATES, "_map_runs", "state that survives a kill")
    RESTORE_MACHINES = (_STATES, "_restore_state", "state that survives a kill")
    ALARMS = (_METRICS, "_alarms", "state that survives a kill")
    COMPOSITE_ALARMS = (_METRICS, "_composite_alarms", "state that survives a kill")
    COMPOSITE_TRIGGERS = (_METRICS, "_composite_triggers", "state that survives a kill")
    ALARM_ENTRIES = (_METRICS, "_alarm_history", "state that survives a kill")
    DASHBOARDS = (_METRICS, "_dashboards", "state that survives a kill")
    METRIC_TAGS = (_METRICS, "_resource_tags", "state that survives a kill")
    METRICS = (_METRICS, "_metrics", "state that survives a kill")
    RESTORE_METRICS = (_METRICS, "_restore_state", "state that survives a kill")
    LOG_DESTINATIONS = (_LOGS, "_destinations", "state that survives a kill")
    LOG_RESOURCE_POLICIES = (_LOGS, "_resource_policies", "state that survives a kill")
    LOG_GROUP_POLICIES = (_LOGS, "_log_group_policies", "state that survives a kill")
    METRIC_FILTERS = (_LOGS, "_metric_filters", "state that survives a kill")
    LOG_DELIVERY_SOURCES = (_LOGS, "_delivery_sources", "state that survives a kill")
    LOG_DELIVERY_DESTINATIONS = (_LOGS, "_delivery_destinations", "state that survives a kill")
    LOG_DELIVERIES = (_LOGS, "_deliveries", "state that survives a kill")
    RESTORE_LOGS = (_LOGS, "_restore_state", "state that survives a kill")
    BUCKET_NOTIFICATIONS = (_S3, "_bucket_notifications", "events that survive a kill")
    EMIT_S3_EVENT = (_S3, "_fire_s3_event_async", "events that survive a kill")
    FAIL_ASYNC = (_LAMBDA, "_route_async_failure", "events that survive a kill")
    PUT_RECORDS = (_FIREHOSE, "_put_s3_object", "records that survive a kill")
    DELIVERY_STREAMS = (_FIREHOSE, "_streams", "records that nobody reads")
    FETCH_CODE = (_LAMBDA, "_fetch_code_from_s3", "functions that share their code")
    WRITE_OBJECT = (_S3, "_atomic_write", "a full disk that is an error")
    PERSIST_OBJECT = (_S3, "_persist_object", "a full disk that is an error")
    RECENT_EVENTS = (_EVENTS, "_events_log_list", "events that nobody reads")
    STATE_TO_JSON = (_PERSISTENCE, "_json_default", "state that survives a kill")
    STATE_FROM_JSON = (_PERSISTENCE, "_json_object_hook", "state that survives a kill")

    TRANSACTION_CHECKS = (_ACTIONS, "dynamodb_transaction_checks", "one check for equal items")
    CHECKED_BODY = (_ACTIONS, "json", "request bodies that are parsed once")
    IAM_NAMESPACES = (_ACTIONS, "SERVICE_TO_IAM_NAMESPACE", "IAM actions of a service of our own")
    IAM_MODELS = (_ACTIONS, "_BOTOCORE_SERVICE_MAP", "IAM actions of a service of our own")
    IAM_RESOURCE = (_ACTIONS, "extract_resource_arn", "IAM resources of a request")
    IAM_ENFORCE = (_EVALUATOR, "enforce", "iam:PassRole and second resources of a request")
    IAM_EVALUATE = (_EVALUATOR, "evaluate", "permissions of a role")
    IAM_CONTEXT = (_EVALUATOR, "EvalContext", "permissions of a role")
    PRINCIPAL = (_EVALUATOR, "resolve_principal", "callers that are cached")
    PARSE_POLICY = (_EVALUATOR, "parse_policy_document", "policies that are parsed once")
    IAM_ROLE_POLICIES = (_EVALUATOR, "_gather_role_policies", "permissions of a role")

    ROLES = (_IAM, "_roles", "assuming a role for a service of our own")
    TRUSTS_SERVICE = (_EVALUATOR, "_service_principal_matches", "trust policies of roles")
    REGISTER_SESSION = (_STS, "register_session", "assuming a role for a service of our own")

    STATE_MACHINES = (_STATES, "_state_machines", "the role and definition of a state machine")
    EXECUTIONS = (_STATES, "_executions", "the state of an execution")
    EXECUTION_ERROR = (_STATES, "_ExecutionError", "failing a state")
    SERVICE_TASKS = (_STATES, "_SERVICE_DISPATCH", "optimized integrations of a service of our own")
    SDK_SERVICES = (_STATES, "_AWS_SDK_SERVICE_MAP", "aws-sdk tasks of a service of our own")
    SDK_ERRORS = (_STATES, "_AWS_SDK_ERROR_PREFIX", "aws-sdk tasks of a service of our own")
    CREATE_MACHINE = (_STATES, "_create_state_machine", "rights on managed rules")
    UPDATE_MACHINE = (_STATES, "_update_state_machine", "rights on managed rules")
    START_EXECUTION = (_STATES, "_start_execution", "executions that are started again")
    STATES_RESPONSE = (_STATES, "json_response", "executions that are started again")
    EXECUTE_PASS = (_STATES, "_execute_pass", "the size of outputs")
    EXECUTE_CHOICE = (_STATES, "_execute_choice", "the size of outputs")
    EXECUTE_WAIT = (_STATES, "_execute_wait", "the size of outputs")
    MAP = (_STATES, "_run_map_items", "aborts in Map, and the size of outputs")
    RUN_EXECUTION = (_STATES, "_run_execution", "timeouts and aborts of executions")
    STOP_EXECUTION = (_STATES, "_stop_execution", "aborts that stop running tasks")
    FAIL_EXECUTION = (_STATES, "_fail_execution", "an aborted execution stays aborted")
    EXECUTE_TASK = (_STATES, "_execute_task", "JSONata timeouts of tasks")
    INVOKE_RESOURCE = (_STATES, "_invoke_resource", "the state machine's role")
    INVOKE_WITH_TIMEOUT = (_STATES, "_invoke_resource_with_timeout", "tasks stopped at a timeout")
    FIND_RETRIER = (_STATES, "_find_matching_retrier", "MaxDelaySeconds and JitterStrategy")
    FIND_CATCHER = (_STATES, "_find_matching_catcher", "aborts that no state catches")
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
    JSONATA_FIELD = (_STATES, "_jsonata_state_field", "JSONata timeouts of tasks, and in Map")
    JSONATA_TEMPLATE = (_STATES, "_apply_jsonata_template", "JSONata in Map")
    ASSIGN = (_STATES, "_apply_state_assign", "JSONata in Parallel")
    NEXT_OR_END = (_STATES, "_next_or_end", "Parallel")
    ADD_HISTORY = (_STATES, "_add_event", "execution history")
    EMIT_STATUS = (_STATES, "_emit_execution_status_event", "status events of executions")

    WORKER_SCRIPT = (_WORKERS, "_PYTHON_WORKER_SCRIPT", "the Python runtime of AWS")
    WORKER_ZIPFILE = (_WORKERS, "zipfile", "packages that are unpacked once")
    WORKER_INVOKE = (_WORKERS, "Worker.invoke", "functions whose process ends while it starts")
    DRAIN_LOG = (_WORKERS, "Worker._drain_stderr_bounded", "complete logs of an invocation")
    KILL_WORKERS = (_WORKERS, "reset", "ending the Lambda processes")
    EXECUTE_WARM = (_LAMBDA, "_execute_function_warm", "error types of Python functions")
    PEAK_MEMORY = (_LAMBDA, "_probe_peak_memory_mb", "the memory in a REPORT line")
    EMIT_LAMBDA_LOGS = (_LAMBDA, "_emit_lambda_logs", "embedded metrics in logs")

    PUT_CONCURRENCY = (_LAMBDA, "_put_function_concurrency", "reserved concurrency")
    RESOURCE_HANDLERS = (_RESOURCES, "_RESOURCE_HANDLERS", "reserved concurrency in templates")
    CREATE_MAPPING = (_LAMBDA, "_create_esm", "timeouts of mappings")
    FUNCTIONS = (_LAMBDA, "_functions", "timeouts of mappings")
    EXECUTE_FUNCTION = (_LAMBDA, "_execute_function", "batches of a stream")
    POLL_STREAMS = (_LAMBDA, "_poll_dynamodb_streams", "batches of a stream")
    MAPPINGS = (_LAMBDA, "_iter_all_esms", "batches of a stream")
    START_READING = (_LAMBDA, "_init_stream_position", "batches of a stream")
    STREAM_POSITIONS = (_LAMBDA, "_dynamodb_stream_positions", "batches of a stream")
    STREAM_POSITIONS_LOCK = (_LAMBDA, "_dynamodb_stream_positions_lock", "batches of a stream")
    FILTER_RECORDS = (_LAMBDA, "_apply_filter_criteria", "batches of a stream")
    STREAM_RECORDS = (_TABLES, "stream_records_since", "batches of a stream")
    STREAM_HORIZON = (_TABLES, "stream_start_position", "batches of a stream")

    TABLES_HANDLE = (_TABLES, "handle_request", "transactions that take time")
    TABLES = (_TABLES, "_tables", "the items of a transaction")
    TABLES_LOCK = (_TABLES, "_lock", "expired items that are read once")
    TABLES_STATE = (_TABLES, "get_state", "tables on disk")
    LOAD_TABLES = (_TABLES, "load_persisted_state", "tables on disk")
    RESTORE_TABLES = (_TABLES, "_restore_state", "tables on disk")
    TIME_TO_LIVE = (_TABLES, "_ttl_settings", "expired items that are read once")
    REMOVE_ITEM = (_TABLES, "_remove_item", "expired items that are read once")
    STREAM_LOGS = (_TABLES, "_stream_records", "streams on disk")
    STREAM_TRIMMED = (_TABLES, "_stream_trimmed", "streams on disk")
    PUT_ITEM = (_TABLES, "_put_item", "writes that are stored as a whole")
    UPDATE_ITEM = (_TABLES, "_update_item", "writes that are stored as a whole")
    DELETE_ITEM = (_TABLES, "_delete_item", "writes that are stored as a whole")
    WRITE_BATCH = (_TABLES, "_batch_write_item", "writes that are stored as a whole")
    WRITE_TRANSACTION = (_TABLES, "_transact_write_items", "writes that are stored as a whole")
    STATEMENT = (_TABLES, "_execute_statement", "writes that are stored as a whole")
    STATEMENT_BATCH = (_TABLES, "_batch_execute_statement", "writes that are stored as a whole")
    STATEMENT_TRANSACTION = (_TABLES, "_execute_transaction", "writes that are stored as a whole")
    SCAN = (_TABLES, "_scan", "scans that read a page of items")
    TOKEN_LOOKUP = (_TABLES, "_txn_token_lookup", "tokens of transactions on disk")
    TOKEN_STORE = (_TABLES, "_txn_token_store", "tokens of transactions on disk")
    INDEX_MEMBERS = (_TABLES, "_index_members", "indexes of tables on disk")
    INDEX_SCHEMAS = (_TABLES, "_index_key_schemas", "indexes of tables on disk")
    INDEX_PARTITION = (_TABLES, "_index_partition", "indexes of tables on disk")
    ITEM_BYTES = (_TABLES, "_item_size_bytes", "the items of a transaction")
    KEY_VALUE = (_TABLES, "_extract_key_val", "the items of a transaction")
    ITEM_COPY = (_TABLES, "copy", "fast copies of items")
    CONDITION_SYNTAX = (_TABLES, "_condition_syntax_error", "expressions that are parsed once")
    EXPRESSION_TOKENS = (_TABLES, "_tokenize", "expressions that are parsed once")

    S3_HANDLE = (_S3, "handle_request", "large objects that do not block other services")
    STACKS = (_FORMATION, "_stacks", "a stack that waits for executions before its deletion")
    DELETE_STACK = (
        f"{_FORMATION}.handlers",
        "_delete_stack_async",
        "a stack that waits for executions before its deletion",
    )
    DELETE_BUCKET = (_S3, "_delete_bucket", "a stack does not delete a bucket with objects")
    UPLOAD_PART = (_S3, "_upload_part", "upload parts on disk")
    UPLOADS = (_S3, "_multipart_uploads", "upload parts on disk")
    COMPLETE_UPLOAD = (_S3, "_complete_multipart_upload", "the time of an upload in parts")
    S3_NOW = (_S3, "now_iso", "the time of an upload in parts")
    DISPLACE_VERSION = (_S3, "_persist_displaced_version", "links to replaced versions")
    GET_OBJECT = (_S3, "_get_object", "objects larger than the memory")
    READ_BODY = (_S3, "_read_body", "objects larger than the memory")
    VERSION_BODY = (_S3, "_version_body", "objects larger than the memory")
    VERSION_ENTRY = (_S3, "_version_entry_from_record", "versions that are not kept in memory")
    OBJECT_PATH = (_S3, "_object_disk_path", "objects larger than the memory")
    VERSION_PATH = (_S3, "_version_disk_path", "objects larger than the memory")
    PARSE_RANGE = (_S3, "_parse_range", "ranges of older versions")
    STREAMED = (_RESPONSES, "StreamingResponse", "objects larger than the memory")
    EVENT_TARGET = (_EVENTS, "_invoke_target", "dead-letter queues of targets")
    EVENT_TO_FUNCTION = (_EVENTS, "_dispatch_to_lambda", "asynchronous invocations")
    FUNCTION_RECORD = (_LAMBDA, "_get_func_record_for_ref", "asynchronous invocations")
    EXECUTION_RECORD = (_LAMBDA, "_execution_record_for_config", "asynchronous invocations")
    INVOKE_ASYNC = (_LAMBDA, "invoke_async_with_retry", "asynchronous invocations")
    RESOLVE_MACHINE = (_STATES, "_resolve_state_machine_arn", "dead-letter queues of targets")
    COLLECT_MESSAGES = (_SQS, "_collect_msgs", "late messages and another order")
    RECEIVE_FOR_FUNCTION = (_SQS, "_receive_messages_for_esm", "messages that are repeated")
    FIREHOSE_ACTIONS = (_FIREHOSE, "_HANDLERS", "the size of a batch of records")
    DELIVER_RECORD = (_FIREHOSE, "_deliver_to_s3", "records that are repeated")
    TASK_OF_FUNCTION = (_STATES, "_call_lambda", "tasks that are throttled")
    QUEUE_BY_ARN = (_SQS, "_queue_by_arn", "dead-letter queues of targets")
    QUEUE_ALLOWS = (_SQS, "queue_policy_allows", "dead-letter queues of targets")
    QUEUE_ACTIONS = (_SQS, "_HANDLERS", "policies of queues")
    QUEUE_ERROR = (_SQS, "_Err", "policies of queues")
    PROVISIONERS = (_PROVISIONERS, "_RESOURCE_HANDLERS", "policies of queues")
    DISPATCH_EVENT = (_EVENTS, "_dispatch_event", "the version in events of S3")
    S3_EVENT = (_S3, "_fire_s3_event", "the version in events of S3")

    GATEWAY_EXECUTE = (_GATEWAY, "_execute_in_scope", "compressed bodies of requests")
    GATEWAY_HANDLE = (_GATEWAY, "_handle_execute_in_scope", "the metric 5XXError of APIs")
    GATEWAY_APIS = (_GATEWAY, "_rest_apis", "the metric 5XXError of APIs")
    GATEWAY_EVENT = (_GATEWAY, "_build_lambda_event_v1", "the API key in events of APIs")
    GATEWAY_KEY = (_GATEWAY, "_check_api_key", "the API key in events of APIs")
    GATEWAY_PROXY = (_GATEWAY, "_invoke_lambda_proxy_v1", "throttled functions of APIs")
    GATEWAY_PROXY_ANSWER = (_GATEWAY, "_lambda_proxy_response", "throttled functions of APIs")
    GATEWAY_METHODS = (_GATEWAY, "_OPENAPI_HTTP_METHODS", "the method ANY of a definition")
    GATEWAY_IMPORT = (_GATEWAY, "_import_rest_api", "gateway responses of an OpenAPI definition")
    GATEWAY_RESPONSE = (_GATEWAY, "_put_gateway_response", "gateway responses of a definition")
    GATEWAY_ERROR_ANSWER = (_GATEWAY, "_gateway_error_response", "failed functions of APIs")
    METHOD_SETTINGS = (_PROVISIONERS, "_apigw_method_settings", "method settings of stages")
    GATEWAY_STAGES = (_GATEWAY, "_stages_v1", "compressed bodies of requests")
    GATEWAY_ERROR = (_GATEWAY, "_gw_error", "compressed bodies of requests")

    LOG_GROUPS = (_LOGS, "_log_groups", "logs of a service of our own")
    LOG_GROUP_ARN = (_LOGS, "_make_group_arn", "logs of a service of our own")
    FILTER_LOGS = (_LOGS, "_filter_log_events", "FilterLogEvents in pages")
    LOG_GROUP_OF = (_LOGS, "_resolve_log_group_name", "FilterLogEvents in pages")
    LOG_PATTERN = (_LOGS, "_compile_filter_pattern", "FilterLogEvents in pages")
    LOG_EVENTS_LOCK = (_LOGS, "_log_events_lock", "log lines that are limited")
    APPEND_LOG = (_LOGS, "_append_log_events", "logs of a service of our own")
    PUT_EVENTS = (_EVENTS, "_put_events", "events whose source is aws.*")
    METRIC_POINTS = (_METRICS, "_metric_bucket", "alarms on their own dimensions")
    METRIC_KEY = (_METRICS, "_dims_key", "alarms on their own dimensions")
    METRIC_STATISTICS = (_METRICS, "_calc_stats", "alarms on their own periods")
    METRIC_STATISTIC = (_METRICS, "_stat_value", "alarms on their own periods")
    EVALUATE_ALARM = (_METRICS, "_evaluate_alarm", "alarms as CloudWatch evaluates them")
    ALARM_HISTORY = (_METRICS, "_record_history", "alarms as CloudWatch evaluates them")
    ALARM_ACTIONS = (_METRICS, "_dispatch_alarm_actions", "alarms as CloudWatch evaluates them")
    ALARM_PARENTS = (_METRICS, "_evaluate_parent_alarms", "alarms as CloudWatch evaluates them")
    QUEUES = (_SQS, "_queues", "metrics of queues")
    COUNT_MESSAGES = (_SQS, "_refresh_counts", "metrics of queues")
    STORE_METRIC = (_METRICS, "_store_datum", "metrics of a service of our own")
    EVALUATE_ALARMS = (_METRICS, "_evaluate_all_alarms", "evaluating alarms on metrics of our own")

    def _owner(self) -> tuple[Any, str]:
        module, path, purpose = self.value
        owner: Any = sys.modules.get(module) or importlib.import_module(module)
        *parents, name = path.split(".")
        for step in (*parents, name):
            holder, owner = owner, getattr(owner, step, _MISSING)
            if owner is _MISSING:
                raise HookMoved(
                    f"MiniStack has no {module}.{path}, which Refit uses for: {purpose}. Refit is "
                    f"made for ministack=={PINNED_VERSION}: install that version, or find the name "
                    f"in the new version and change Hook.{self.name} in {Path(__file__).name}."
                )
        return holder, name

    def get(self) -> Any:
        """Return the current value of the name.

        Raises:
            HookMoved: when the installed MiniStack lacks the name.
        """
        owner, name = self._owner()
        return getattr(owner, name)

    def put(self, value: Any) -> None:
        """Replace the value of the name."""
        owner, name = self._owner()
        setattr(owner, name, value)

    def wrap(self, around: Callable[..., Any]) -> None:
        """Replace `original(*args)` with `around(original, *args)`."""
        self.put(partial(around, self.get()))


_MISSING = object()


def process_of(worker: Any) -> subprocess.Popen[str] | None:
    """Return the process of a Lambda function that was started last, or None."""
    process: subprocess.Popen[str] | None = worker._proc
    return process


def log_of(worker: Any) -> tuple[queue.Queue[str], threading.Thread]:
    """Return the queue of a Lambda process's log lines, and the thread that fills it."""
    return worker._stderr_queue, worker._stderr_thread
