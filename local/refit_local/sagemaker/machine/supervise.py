"""Run one algorithm process and never leave it behind. Started by path, standard library only.

The ground holds the other end of this process's standard input. When that closes (the ground asks,
ended, or was killed) the algorithm and all that it started are killed. SIGTERM is passed on. The
exit code is the algorithm's, 128 + n after signal n.
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
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def _restrict(spec: dict[str, object]) -> None:
    """Take on the share; the algorithm inherits it. What a platform lacks is left out."""
    os.nice(int(str(spec["nice"])))
    cores = spec["cores"]
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)  # type: ignore[arg-type]
    # The kernel takes the job first when the machine runs out faster than the watch can see.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(spec["oom_score_adj"]))
    data_bytes = int(str(spec["data_bytes"]))
    if data_bytes and sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))


def _die_with_supervisor() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Run the command of the specification in argv[1]; return its exit code."""
    spec = json.loads(sys.argv[1])
    ground = os.getppid()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _restrict(spec)
    child = subprocess.Popen(
        spec["command"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_supervisor,  # noqa: PLW1509 (this process has one thread)
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        ready, _, _ = select.select([0, woken], [], [], 1.0)
        if woken in ready:
            os.read(woken, 512)
        if (0 in ready and not os.read(0, 512)) or os.getppid() != ground:
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
