from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from ground_under_test import KEYS, Ground, free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    state = tmp_path_factory.mktemp("ground")
    port = free_port()
    with (state / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("probe_server.py")), str(port), state],
            env={**os.environ, **KEYS},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    made = Ground(port)

    def answers() -> bool:
        assert server.poll() is None, (state / "log").read_text()
        try:
            return requests.get(f"{made.url}/_ministack/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    until(answers, 30)
    yield made
    server.terminate()
    assert server.wait(20) == 0
    if server.stdin:
        server.stdin.close()
