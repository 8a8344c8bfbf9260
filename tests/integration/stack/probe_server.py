"""The server of the local stack with a probe in place of SageMaker.

Run as `python probe_server.py PORT STATE ALARM_MINUTE_S`. A task of the probe runs for the
`Seconds` in its arguments, fails with their `Error`, and logs start and stop to `/probe/tasks`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from refit_local.ministack.hooks import put_log_lines
from refit_local.ministack.permissions import sagemaker_permissions
from refit_local.ministack.services import HostedService, Service, register_service
from refit_local.ministack.task_integrations import TaskFailed, register_task
from refit_local.stack import server
from refit_local.stack.emulator_settings import environment, make_folders


def json_response(status: int, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()


class Probe:
    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/endpoints/"):
            variant = {"Content-Type": "text/csv", "x-amzn-invoked-production-variant": "v1"}
            return 200, variant, body
        operation = headers["x-amz-target"].split(".")[1]
        name = json.loads(body).get("EndpointName", "")
        if name == "full":
            return json_response(400, {"__type": "ResourceLimitExceeded", "message": "no more"})
        if operation != "DescribeEndpoint" or name == "none":
            refusal = {"__type": "ValidationException", "message": f"Could not {operation} {name}"}
            return json_response(400, refusal)
        description = {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}",
            "EndpointConfigName": "config",
            "EndpointStatus": "InService",
            "CreationTime": 1.5,
            "LastModifiedTime": 2.5,
        }
        return json_response(200, description)

    def start(self, resource: str, arguments: dict[str, Any], execution_arn: str) -> dict[str, Any]:
        name = arguments["TrainingJobName"]
        stop = self._stops.setdefault(name, threading.Event())
        put_log_lines("/probe/tasks", name, ["started"])
        if "Error" in arguments:
            raise TaskFailed(arguments["Error"], "the arguments ask for this error")
        if stop.wait(arguments.get("Seconds", 0)):
            raise TaskFailed("States.TaskFailed", "the job was stopped")
        return {"TrainingJobName": name, "Resource": resource}

    def stop(self, resource: str, arguments: dict[str, Any]) -> None:
        put_log_lines("/probe/tasks", arguments["TrainingJobName"], ["stopped"])
        self._stops[arguments["TrainingJobName"]].set()


def install(state: Path, port: int, region: str) -> HostedService:
    probe = Probe()
    register_service(
        Service(
            name="sagemaker",
            aliases=("api.sagemaker", "runtime.sagemaker"),
            target_prefix="SageMaker",
            sdk_name="SageMaker",
            models=("sagemaker", "sagemaker-runtime"),
            handle_request=probe.handle_request,
            permissions=sagemaker_permissions,
            reset=lambda: None,
        )
    )
    register_task("arn:aws:states:::sagemaker:", probe.start, probe.stop)
    return HostedService(resume=lambda: None, shut_down=lambda: None)


if __name__ == "__main__":
    port, folder, minute_s = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    os.environ.update(environment(port, folder, "us-east-1"))
    make_folders(folder)
    serving = server.serve(
        port, folder, "us-east-1", owned=True, install=install, alarm_minute_s=minute_s
    )
    asyncio.run(serving)
