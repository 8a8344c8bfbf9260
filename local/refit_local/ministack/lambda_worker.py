"""Run one Python function for MiniStack, as AWS's Python runtime does. Executed, never imported.

MiniStack starts this file as a process, writes one line that says what to run, then one line for
each invocation, and reads one line of answer for each. In place of MiniStack's own worker it
- reports an error by its class name, message and stack, which state machines match on
- keeps the environment alive after an error of the handler
- gives the function its own packages, its layers and the AWS SDK, and nothing of this installation
- ends when the function outgrows its MemorySize, and when MiniStack is gone
- marks the end of each invocation's log, so that the log is complete
"""

import contextlib
import importlib
import json
import os
import site
import sys
import threading
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

END_OF_LOG = "\x00end of invocation\x00"
SDK_FOLDER_VARIABLE = "REFIT_LAMBDA_SDK"
WATCH_INTERVAL_S = 0.1
EXIT_OUT_OF_MEMORY = 137


def main():
    """Answer invocations until MiniStack closes the pipe."""
    requests, answers = _claim_pipes()
    init = json.loads(requests.readline())
    sdk = _clean_environment(init["env"])
    _set_import_path(init["code_dir"], sdk)
    memory = MemoryWatch(init["memory"])
    handler, failure = _load(init["module"], init["handler"])
    _answer(answers, {"status": "ready"})
    for line in requests:
        message = json.loads(line)
        result = {"failure": failure} if failure else _invoke(handler, message, init)
        result["peak_mb"] = memory.peak_mb()
        sys.stdout.flush()
        sys.stderr.write(f"{END_OF_LOG}\n")
        sys.stderr.flush()
        # MiniStack ends a worker whose status is not ok; AWS keeps the environment.
        _answer(answers, {"status": "ok", "result": result})


def _claim_pipes():
    """Keep the protocol's pipes for ourselves: what the function prints goes to the log."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _answer(answers, message):
    answers.write(json.dumps(message) + "\n")
    answers.flush()


_RUNTIME_VARIABLES = ("AWS_", "_AWS", "LAMBDA_", "_LAMBDA", "_HANDLER", "_X_AMZN", "LC_")
_SYSTEM_VARIABLES = {"PATH", "LANG", "TZ", "HOME", "TMPDIR", "LD_LIBRARY_PATH"}


def _clean_environment(function_variables):
    """Leave the function's own variables and the runtime's: the ground's are not its business."""
    sdk = os.environ[SDK_FOLDER_VARIABLE]
    for name in list(os.environ):
        if not name.startswith(_RUNTIME_VARIABLES) and name not in _SYSTEM_VARIABLES:
            del os.environ[name]
    os.environ.update(function_variables)
    os.environ["AWS_EXECUTION_ENV"] = (
        f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}"
    )
    return sdk


def _set_import_path(code_dir, sdk):
    """The function's code first, then its layers, the standard library, and the AWS SDK."""
    standard = [
        path
        for path in sys.path
        if path.startswith((sys.base_prefix, sys.base_exec_prefix)) and "-packages" not in path
    ]
    sys.path[:] = [code_dir, *standard, sdk]
    # An editable installation finds its packages by a hook of its own.
    sys.meta_path[:] = [f for f in sys.meta_path if not f.__module__.startswith("__editable__")]
    for layer in filter(None, os.environ.get("_LAMBDA_LAYERS_DIRS", "").split(os.pathsep)):
        python = Path(layer, "python")
        if python.is_dir():
            sys.path.insert(1, str(python))
        for packages in python.glob("lib/python3.*/site-packages"):
            site.addsitedir(str(packages))


class MemoryWatch(threading.Thread):
    """Ends the process when it holds more than MemorySize, or when its parent is gone."""

    def __init__(self, limit_mb):
        super().__init__(daemon=True, name="memory-watch")
        self._limit_mb = limit_mb
        self._parent = os.getppid()
        self._peak_mb = 0
        self._readable = Path("/proc/self/status").exists()
        self.start()

    def run(self):
        while True:
            time.sleep(WATCH_INTERVAL_S)
            if os.getppid() != self._parent:
                os._exit(0)
            self._look()
            if self._peak_mb > self._limit_mb:
                sys.stderr.write(
                    f"Memory Size: {self._limit_mb} MB Max Memory Used: {self._peak_mb:.0f} MB\n"
                )
                sys.stderr.flush()
                os._exit(EXIT_OUT_OF_MEMORY)

    def _look(self):
        if not self._readable:
            return
        held_kb = 0
        # What the process holds for itself; pages of mapped files can be given back at any time.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                held_kb += int(line.split()[1])
        self._peak_mb = max(self._peak_mb, held_kb / 1024)

    def peak_mb(self):
        self._look()
        return round(self._peak_mb)


def _load(module_name, handler_name):
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        return None, _failure("Runtime.ImportModuleError", message, [])
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        return None, _failure("Runtime.UserCodeSyntaxError", message, [])
    except BaseException as error:  # whatever a module raises at import is its init error
        return None, _failure_of(error)
    handler = getattr(module, handler_name, None)
    if handler is None:
        message = f"Handler '{handler_name}' missing on module '{module_name}'"
        return None, _failure("Runtime.HandlerNotFound", message, [])
    return handler, None


def _invoke(handler, message, init):
    context = message.get("ctx") or {}
    _set_trace(context.get("trace_id"))
    try:
        answer = handler(message["event"], _context(context, init))
    except BaseException as error:  # the runtime's own boundary: any error is the answer
        failure = _failure_of(error)
        sys.stderr.write(
            f"[ERROR] {failure['errorType']}: {failure['errorMessage']}\n"
            f"Traceback (most recent call last):\n{''.join(failure['stackTrace'])}\n"
        )
        return {"failure": failure}
    try:
        json.dumps(answer)
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        return {"failure": _failure("Runtime.MarshalError", message, [])}
    return {"value": answer}


def _set_trace(trace_id):
    os.environ.pop("_X_AMZN_TRACE_ID", None)
    if trace_id:
        os.environ["_X_AMZN_TRACE_ID"] = trace_id


def _context(values, init):
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


def _failure(error_type, message, stack):
    return {"errorMessage": message, "errorType": error_type, "stackTrace": stack}


def _failure_of(error):
    # The first frame is this file's.
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return _failure(type(error).__name__, str(error), traceback.format_list(frames))


with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
    main()
