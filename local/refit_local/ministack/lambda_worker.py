"""Lambda: the process that runs one Python function, as AWS's runtime does.

MiniStack runs this file as a process; it is never imported. MiniStack writes one line that says
what to run, then one line for each invocation, and reads one line of response for each.

AWS        reports an error by its class name, message and stack, which state machines match on;
           keeps the environment alive after an error of the handler; gives the function its own
           packages, its layers and the AWS SDK; ends it when it exceeds its MemorySize
MiniStack  has a worker that does none of this, and that exposes the packages of its installation
Source     Lambda Developer Guide, "Lambda function errors in Python", "Building Lambda functions
           with Python" and "Configure Lambda function memory"

The worker also ends when MiniStack has ended, and marks the end of each invocation's log.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import site
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, TextIO

END_OF_LOG = "\x00end of invocation\x00"
SDK_FOLDER_VARIABLE = "REFIT_LAMBDA_SDK"
WATCH_INTERVAL_S = 0.1
IDLE_INTERVAL_S = 10.0
EXIT_OUT_OF_MEMORY = 137

Document = dict[str, Any]
Function = Callable[[Any, Any], Any]


def main() -> None:
    """Run invocations until MiniStack closes the pipe."""
    requests, responses = _claim_pipes()
    init = json.loads(requests.readline())
    # The folders of packages are this stack's own, whatever PYTHONDONTWRITEBYTECODE says.
    sys.dont_write_bytecode = False
    sdk = _clean_environment(init["env"])
    _set_import_path(init["code_dir"], sdk)
    memory = MemoryWatch(init["memory"])
    handler, failure = _load(init["module"], init["handler"])
    memory.work(begins=False)
    _respond(responses, {"status": "ready"})
    for line in requests:
        memory.work(begins=True)
        message = json.loads(line)
        result: Document = (
            {"failure": failure} if handler is None else _invoke(handler, message, init)
        )
        result["peak_mb"] = memory.peak_mb()
        memory.work(begins=False)
        sys.stdout.flush()
        sys.stderr.write(f"{END_OF_LOG}\n")
        sys.stderr.flush()
        # MiniStack ends a worker whose status is not "ok"; AWS keeps the environment.
        _respond(responses, {"status": "ok", "result": result})
    # Python would first delete all modules. The end of a stack is to end dozens of processes.
    os._exit(0)


def _claim_pipes() -> tuple[TextIO, TextIO]:
    """Return the protocol's pipes, and send what the function prints to the log."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, responses


def _respond(responses: TextIO, message: Document) -> None:
    responses.write(json.dumps(message) + "\n")
    responses.flush()


_RUNTIME_VARIABLES = ("AWS_", "_AWS", "LAMBDA_", "_LAMBDA", "_HANDLER", "_X_AMZN", "LC_")
_SYSTEM_VARIABLES = {"PATH", "LANG", "TZ", "HOME", "TMPDIR", "LD_LIBRARY_PATH"}


def _clean_environment(function_variables: dict[str, str]) -> str:
    """Keep the function's own variables and the runtime's; return the folder of the AWS SDK."""
    sdk = os.environ[SDK_FOLDER_VARIABLE]
    for name in list(os.environ):
        if not name.startswith(_RUNTIME_VARIABLES) and name not in _SYSTEM_VARIABLES:
            del os.environ[name]
    os.environ.update(function_variables)
    os.environ["AWS_EXECUTION_ENV"] = (
        f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}"
    )
    return sdk


def _set_import_path(code_dir: str, sdk: str) -> None:
    """Import from the function's code, its layers, the standard library and the AWS SDK only."""
    standard = [
        path
        for path in sys.path
        if path.startswith((sys.base_prefix, sys.base_exec_prefix)) and "-packages" not in path
    ]
    sys.path[:] = [code_dir, *standard, sdk]
    # Editable installations find their packages by a hook in sys.meta_path.
    sys.meta_path[:] = [f for f in sys.meta_path if not f.__module__.startswith("__editable__")]
    for layer in filter(None, os.environ.get("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep)):
        python = Path(layer, "python")
        if python.is_dir():
            sys.path.insert(1, str(python))
        for packages in python.glob("lib/python3.*/site-packages"):
            site.addsitedir(str(packages))


class MemoryWatch(threading.Thread):
    """Ends the process when it uses more than MemorySize, or when its parent has ended."""

    def __init__(self, limit_mb: int) -> None:
        super().__init__(daemon=True, name="memory-watch")
        self._limit_mb = limit_mb
        self._parent = os.getppid()
        self._peak_mb = 0.0
        self._works = threading.Event()
        self._works.set()  # it imports the function
        self._readable = Path("/proc/self/status").exists()
        self.start()

    def run(self) -> NoReturn:
        while True:
            # Dozens of processes wait for work: they look less often. A waiting one ends at once
            # with its parent all the same, because its pipe is closed.
            if self._works.is_set():
                time.sleep(WATCH_INTERVAL_S)
            else:
                self._works.wait(IDLE_INTERVAL_S)
            if os.getppid() != self._parent:
                os._exit(0)
            self._measure()
            if self._peak_mb > self._limit_mb:
                sys.stderr.write(
                    f"Memory Size: {self._limit_mb} MB Max Memory Used: {self._peak_mb:.0f} MB\n"
                )
                sys.stderr.flush()
                os._exit(EXIT_OUT_OF_MEMORY)

    def work(self, begins: bool) -> None:
        """Watch closely from now on, or until the next invocation only now and then."""
        if begins:
            self._works.set()
        else:
            self._works.clear()

    def _measure(self) -> None:
        if not self._readable:
            return
        used_kb = 0
        # Only private memory: the kernel can reclaim pages of mapped files at any time.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                used_kb += int(line.split()[1])
        self._peak_mb = max(self._peak_mb, used_kb / 1024)

    def peak_mb(self) -> int:
        self._measure()
        return round(self._peak_mb)


def _load(module_name: str, handler_name: str) -> tuple[Function | None, Document]:
    """Return the handler, or None and the error of its initialization."""
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        return None, _failure("Runtime.ImportModuleError", message, [])
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        return None, _failure("Runtime.UserCodeSyntaxError", message, [])
    except BaseException as error:  # the runtime reports any error of a module
        return None, _failure_of(error)
    handler = getattr(module, handler_name, None)
    if handler is None:
        message = f"Handler '{handler_name}' missing on module '{module_name}'"
        return None, _failure("Runtime.HandlerNotFound", message, [])
    return handler, {}


def _invoke(handler: Function, message: Document, init: Document) -> Document:
    context = message.get("ctx") or {}
    _set_trace(context.get("trace_id"))
    try:
        value = handler(message["event"], _context(context, init))
    except BaseException as error:  # the runtime reports any error of the handler
        failure = _failure_of(error)
        sys.stderr.write(
            f"[ERROR] {failure['errorType']}: {failure['errorMessage']}\n"
            f"Traceback (most recent call last):\n{''.join(failure['stackTrace'])}\n"
        )
        return {"failure": failure}
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        reason = f"Unable to marshal response: {error}"
        return {"failure": _failure("Runtime.MarshalError", reason, [])}
    return {"value": value}


def _set_trace(trace_id: str | None) -> None:
    os.environ.pop("_X_AMZN_TRACE_ID", None)
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id


def _context(values: Document, init: Document) -> SimpleNamespace:
    deadline = time.time() + values.get("timeout_ms", 3000) / 1000
    return SimpleNamespace(
        function_name=init["function_name"],
        function_version=os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        memory_limit_in_mb=init["memory"],
        invoked_function_arn=values.get("invoked_function_arn") or init["arn"],
        aws_request_id=values.get("request_id", ""),
        log_group_name=f"/aws/lambda/{init['function_name']}",
        log_stream_name=os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""),
        identity=None,
        client_context=None,
        get_remaining_time_in_millis=lambda: max(0, int((deadline - time.time()) * 1000)),
    )


def _failure(error_type: str, message: str, stack: list[str]) -> Document:
    return {"errorMessage": message, "errorType": error_type, "stackTrace": stack}


def _failure_of(error: BaseException) -> Document:
    # The first frame is in this file.
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return _failure(type(error).__name__, str(error), traceback.format_list(frames))


with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
    main()
