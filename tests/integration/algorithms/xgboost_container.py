"""The container under test: job folders, and entry points in a process or inside the test."""

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refit_local.algorithms.xgboost.serving.scoring import Scorer
from refit_local.algorithms.xgboost.serving.server import serve_until
from refit_local.algorithms.xgboost.serving.settings import ServeSettings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "xgboost"
# A directory beside the checkout may contain more recordings than the fixtures.
SHARED = Path(__file__).parents[4] / "shared" / "reference" / "xgboost"
# Each worker of pytest has ports of its own: a server binds its port a second after the test
# has chosen it.
_FIRST_PORT = 21000 + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = range(_FIRST_PORT, _FIRST_PORT + 100)

CSV_CHANNEL = {
    "ContentType": "text/csv",
    "TrainingInputMode": "File",
    "S3DistributionType": "FullyReplicated",
    "RecordWrapperType": "None",
}

# A small regression or binary classification: label and two features.
ROWS = "1,0.5,2\n0,1.5,3\n1,0.1,1\n0,2.5,4\n" * 20


def recordings(pattern: str) -> list[Path]:
    """The recordings that match a pattern; a fixture replaces a shared recording of its name."""
    by_name = {path.relative_to(FIXTURES): path for path in sorted(FIXTURES.glob(pattern))}
    for path in sorted(SHARED.glob(pattern)):
        by_name.setdefault(path.relative_to(SHARED), path)
    return list(by_name.values())


@dataclass(frozen=True)
class JobFolder:
    """A folder in place of /opt/ml."""

    base: Path

    def write(
        self,
        hyperparameters: Mapping[str, Any],
        *,
        train: str | bytes | Mapping[str, str | bytes] = "",
        validation: str | bytes | None = None,
        channels: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> "JobFolder":
        """Write the files that SageMaker writes; `config` has more config files by name."""
        if channels is None:
            channels = {"train": CSV_CHANNEL}
            if validation is not None:
                channels["validation"] = CSV_CHANNEL
        files = {
            "hyperparameters": hyperparameters,
            "inputdataconfig": channels,
            "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
        } | config
        for name, content in files.items():
            self._file(f"input/config/{name}.json", json.dumps(content))
        if not isinstance(train, Mapping):
            train = {"train.csv": train}
        for name in channels:
            (self.base / "input" / "data" / name).mkdir(parents=True, exist_ok=True)
        for name, content in train.items():
            self._file(f"input/data/train/{name}", content)
        if validation is not None:
            self._file("input/data/validation/v.csv", validation)
        for name in ("model", "output/data"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        return self

    def _file(self, name: str, content: str | bytes) -> None:
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    @property
    def message(self) -> str:
        """The message that follows the traceback in the failure file."""
        return self.failure.rpartition("\n")[2]

    def start(self, entry_point: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "refit_local.algorithms.xgboost", entry_point],
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.base), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def oracle_job(case: Path, base: Path, **hyperparameters: str) -> JobFolder:
    """The job of a recorded training, with some hyperparameters replaced."""
    train = (case / "train.csv").read_text()
    third = train[: len(train) // 3]
    recorded = json.loads((case / "hyperparameters.json").read_text())
    return JobFolder(base).write(
        recorded | hyperparameters, train=train, validation=third[: third.rfind("\n") + 1]
    )


def failure_message(job: JobFolder, train_here: Callable[[JobFolder], int]) -> str:
    """Train a job that fails, and return the message of its failure file."""
    assert train_here(job) == 1
    assert job.failure.startswith("framework error: \nTraceback (most recent call last):\n")
    return job.message


def metric_lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("[") and "\ttrain-" in line]


def free_port() -> int:
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port for the model server")


def wait_for(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str | None
    body: str
    headers: http.client.HTTPMessage


@dataclass(frozen=True)
class ServerClient:
    """Sends requests to one server."""

    port: int

    def send(
        self,
        body: str | bytes = "",
        content_type: str | None = "text/csv",
        accept: str | None = None,
        *,
        method: str = "POST",
        path: str = "/invocations",
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": content_type, "Accept": accept}
        data = body.encode() if isinstance(body, str) else body
        connection.request(
            method, path, data, {name: value for name, value in headers.items() if value}
        )
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return Reply(response.status, response.getheader("Content-Type"), text, response.headers)

    def raw(self, data: bytes, *, until: bytes | None = None) -> bytes:
        """Send bytes and return what the server sends, up to `until` or to the end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            received = b""
            while until is None or until not in received:
                part = connection.recv(65536)
                if not part:
                    break
                received += part
            return received

    def is_up(self) -> bool:
        try:
            return self.send(method="GET", path="/ping").status == 200
        except OSError:
            return False


@contextmanager
def serving(model: Path, **environment: str) -> Iterator[ServerClient]:
    """Serve a model folder, named `model`, inside the process of the test."""
    port = free_port()
    assert model.name == "model"
    base = {"SAGEMAKER_BASE_DIR": str(model.parent), "SAGEMAKER_BIND_TO_PORT": str(port)}
    settings = ServeSettings.from_environment({**base, **environment})
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        stopped = asyncio.Event()
        server = asyncio.create_task(serve_until(stopped, settings, Scorer(settings)))
        ready.set()
        await asyncio.to_thread(stop.wait)
        stopped.set()
        await server

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    client = ServerClient(port)
    try:
        ready.wait()
        wait_for(lambda: _accepts(port))
        yield client
    finally:
        stop.set()
        thread.join()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving_process(
    job: JobFolder, **environment: str
) -> Iterator[tuple[ServerClient, subprocess.Popen[str]]]:
    """Serve the model folder of a job in a process of its own, as SageMaker does."""
    port = free_port()
    process = job.start("serve", SAGEMAKER_BIND_TO_PORT=str(port), **environment)
    client = ServerClient(port)
    try:
        wait_for(lambda: process.poll() is not None or _accepts(port))
        yield client, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def copy_model(case: Path, base: Path) -> JobFolder:
    shutil.copytree(case / "model", base / "model")
    return JobFolder(base)
