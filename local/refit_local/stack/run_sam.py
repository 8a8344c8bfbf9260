"""Run the SAM CLI, and kill it with all that it has started when its owner ends.

`deploy` starts this file with the number of a pipe's end, then SAM's own arguments. Its owner holds
the other end, which the operating system closes when the owner ends in any way. Without this, SAM
and pip would go on in a build folder that the next `refit up` uses.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with_owner(pipe: int) -> None:
    """Wait for the end of the pipe, then kill the process group, of which SAM is the leader."""
    while os.read(pipe, 64):
        continue
    os.killpg(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Watch the pipe of argv[1], and run SAM with the rest."""
    pipe = int(sys.argv.pop(1))
    # Programs that SAM starts must not read from it.
    os.set_inheritable(pipe, False)
    threading.Thread(target=_end_with_owner, args=[pipe], daemon=True).start()
    runpy.run_module("samcli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
