"""Run one algorithm process and kill it when the local stack ends. Uses the standard library only.

The local stack holds the other end of this process's standard input. When that end closes, because
the stack asks for it or has ended in any way, this process kills the algorithm and all that it has
started. SIGTERM is passed on. The exit code is the algorithm's, or 128 + n after signal n.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def _restrict(spec: dict[str, object]) -> None:
    """Apply the limits of the share that the platform supports; the algorithm inherits them."""
    os.nice(int(str(spec["nice"])))
    cores = spec["cores"]
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)  # type: ignore[arg-type]
    # The kernel kills the job first when memory runs out faster than the memory guard notices.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(spec["oom_score_adj"]))
    data_bytes = int(str(spec["data_bytes"]))
    if data_bytes and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))


def _start(supervisor: int) -> None:
    """Prepare the process of the algorithm."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:  # it has died just before
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # masks are inherited


def main() -> int:
    """Run the command of the JSON specification in argv[1]; return its exit code."""
    spec = json.loads(sys.argv[1])
    parent = os.getppid()
    signal_reader, signal_writer = os.pipe()
    os.set_blocking(signal_writer, False)
    signal.set_wakeup_fd(signal_writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _restrict(spec)
    # A signal that comes while the algorithm is started waits, so that it ends the algorithm, too.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = subprocess.Popen(
        spec["command"],
        cwd=spec["folder"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(_start, os.getpid()),  # noqa: PLW1509 (this process has one thread only)
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while child.poll() is None:
        ready, _, _ = select.select([0, signal_reader], [], [], 1.0)
        if signal_reader in ready:
            os.read(signal_reader, 512)
        if (0 in ready and not os.read(0, 512)) or os.getppid() != parent:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
