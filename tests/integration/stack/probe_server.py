"""A ground whose SageMaker is a probe: it shows what reaches a service that hangs in MiniStack.

Run as `python probe_server.py PORT STATE ALARM_MINUTE_S`. A task runs for the `Seconds` in its
arguments, fails with their `Error`, and writes what happened to it to the log group `/probe/tasks`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from refit_local.stack import server


class Probe:
    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        if path.startswith("/endpoints/"):
            return (
                200,
                {"Content-Type": "text/csv", "x-amzn-invoked-production-variant": "v1"},
                body,
            )
        operation = headers["x-amz-target"].split(".")[1]
        name = json.loads(body).get("EndpointName", "")
        if operation != "DescribeEndpoint" or name == "none":
            refusal = {"__type": "ValidationException", "message": f"Could not {operation} {name}"}
            return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(refusal).encode()
        answer = {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}",
            "EndpointConfigName": "config",
            "EndpointStatus": "InService",
            "CreationTime": 1.5,
            "LastModifiedTime": 2.5,
        }
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    def start(self, resource: str, arguments: dict[str, Any], execution_arn: str) -> dict[str, Any]:
        from refit_local.ministack.hooks import TaskFailed, put_log_lines

        name = arguments["TrainingJobName"]
        stop = self._stops.setdefault(name, threading.Event())
        put_log_lines("/probe/tasks", name, ["started"])
        if "Error" in arguments:
            raise TaskFailed(arguments["Error"], "as asked")
        if stop.wait(arguments.get("Seconds", 0)):
            raise TaskFailed("States.TaskFailed", "the job was stopped")
        return {"TrainingJobName": name, "Resource": resource}

    def stop(self, resource: str, arguments: dict[str, Any]) -> None:
        from refit_local.ministack.hooks import put_log_lines

        put_log_lines("/probe/tasks", arguments["TrainingJobName"], ["stopped"])
        self._stops[arguments["TrainingJobName"]].set()


def install(state: Path, port: int, region: str) -> server.Guest:
    from refit_local.ministack import hooks as ministack_hooks
    from refit_local.ministack import state_machines
    from refit_local.ministack.permissions import sagemaker_permissions

    probe = Probe()
    ministack_hooks.register_service(
        ministack_hooks.Service(
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
    state_machines.register_task("arn:aws:states:::sagemaker:", probe.start, probe.stop)
    return server.Guest(resume=lambda: None, shut_down=lambda: None)


if __name__ == "__main__":
    at, folder, minute_s = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    os.environ.update(server.environment(at, folder, "us-east-1", keep=False))
    server.make_folders(folder)
    serving = server.serve(
        at, folder, "us-east-1", owned=True, install=install, alarm_minute_s=minute_s
    )
    asyncio.run(serving)
