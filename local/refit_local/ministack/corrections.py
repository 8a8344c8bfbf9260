"""Install all corrections into MiniStack.

MiniStack reads its settings when it is imported, and installing imports it: set the environment
first. Install once, on the server's event loop, before the first request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit_local.ministack import (
    alarm_permissions,
    alarms,
    authorization_speed,
    bucket_deletion,
    compressed_requests,
    event_delivery,
    execution_limits,
    executions,
    gateway_integrations,
    jsonata_fields,
    lambda_packages,
    lambda_runtime,
    log_pages,
    log_permissions,
    managed_rules,
    map_states,
    mapping_timeouts,
    memory_limits,
    missing_objects,
    object_events,
    object_reads,
    object_times,
    object_writes,
    parallel_states,
    payload_limits,
    queue_policies,
    reserved_concurrency,
    retriers,
    sdk_task_errors,
    secure_transport,
    service_metrics,
    service_quotas,
    state_machine_deletion,
    state_machine_roles,
    stored_tables,
    stream_batches,
    table_conflicts,
    table_expiry,
    table_speed,
    terminal_errors,
)
from refit_local.state.database import connect

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.state.database import Database

LAMBDA_SDK_FOLDER = "lambda-sdk"
_WITHOUT_SETTINGS = (
    lambda_runtime,
    # Before `state_machine_roles`, which wraps it: a denial has its name already.
    sdk_task_errors,
    state_machine_roles,
    managed_rules,
    executions,
    retriers,
    terminal_errors,
    parallel_states,
    map_states,
    jsonata_fields,
    # After `parallel_states` and `map_states`, whose output it limits.
    execution_limits,
    event_delivery,
    queue_policies,
    object_reads,
    object_events,
    object_times,
    object_writes,
    missing_objects,
    bucket_deletion,
    state_machine_deletion,
    table_speed,
    table_conflicts,
    stream_batches,
    reserved_concurrency,
    mapping_timeouts,
    authorization_speed,
    alarm_permissions,
    log_permissions,
    log_pages,
    compressed_requests,
    gateway_integrations,
    service_quotas,
    # Wraps what `lambda_runtime` has replaced.
    service_metrics,
    payload_limits,
    secure_transport,
    memory_limits,
)


def install_corrections(state: Path, alarm_minute_s: float = alarms.MINUTE_S) -> Database:
    """Make the emulated services behave as on AWS, where they differ; return their database.

    Args:
        state: the folder of the local stack's state, for the database and unpacked Lambda packages.
        alarm_minute_s: the length of a minute of an alarm's period; below 60 in tests only.
    """
    lambda_runtime.provide_sdk(state / LAMBDA_SDK_FOLDER)
    lambda_packages.install(state / "lambda-packages")
    alarms.install(alarm_minute_s)
    database = connect(state)
    # Before `table_conflicts`, which makes the writes that it wraps wait for each other.
    stored_tables.install(database)
    table_expiry.install(database)
    for correction in _WITHOUT_SETTINGS:
        correction.install()
    return database
