"""Compare the model server with ASGI servers and with Flask under gunicorn, in one run.

    python benchmarks/serving.py [--rounds 3] [--seconds 2] [--connections 1 8 64] [--rows my.csv]

All servers load the same model (784 features, 10 classes, depth 5, 10 rounds), and each request has
one row. The servers are started together and tested in turn, round after round, so that a round
compares them under similar conditions. The load generator is a separate process on the same cores.
Every figure is the median of the rounds. `slower` and `more CPU` are the medians of the ratios to
Refit's own HTTP server within a round.

The other servers run in benchmarks/.venv, which is created at the first start.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import xgboost as xgb

HERE = Path(__file__).parent
VENV = HERE / ".venv"
FEATURES = 784
CLASSES = 10
PRODUCT = "refit_local.algorithms.xgboost"


@dataclass
class MeasuredServer:
    name: str
    port: int
    command: list
    environment: dict = field(default_factory=dict)
    process: psutil.Process = None


def install():
    """Create the environment of the other servers, if it does not exist."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    requirements = ["-r", HERE / "requirements.txt"]
    subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
    return python


def prepare(folder, rows):
    """Train the model and write the bodies of the requests."""
    random = np.random.default_rng(7)
    pixels = random.integers(0, 256, (2000, FEATURES))
    pixels[random.random(pixels.shape) < 0.8] = 0
    labels = random.integers(0, CLASSES, len(pixels))
    booster = xgb.train(
        {"objective": "multi:softprob", "num_class": CLASSES, "max_depth": 5},
        xgb.DMatrix(pixels, label=labels),
        num_boost_round=10,
    )
    (folder / "model").mkdir()
    booster.save_model(folder / "model" / "xgboost-model.ubj")
    if rows is None:
        np.savetxt(folder / "rows.csv", pixels[:256], "%d", ",")
    else:
        (folder / "rows.csv").write_bytes(rows.read_bytes())
    return folder / "model" / "xgboost-model.ubj", folder / "rows.csv"


def all_servers(python, folder, model, first_port):
    """Return the servers to compare: first Refit's, then the others in their fastest form."""
    (folder / "hypercorn.toml").write_text("keep_alive_max_requests = 1000000000\n")
    asgi = {"SAGEMAKER_BASE_DIR": str(folder), "PYTHONPATH": str(HERE.parent / "local")}
    uvicorn = "--http httptools --ws none --no-access-log --no-server-header --no-date-header"
    granian = "--interface asgi --http 1 --no-ws --no-log"
    hypercorn = f"--config {folder}/hypercorn.toml --worker-class uvloop --bind 127.0.0.1:PORT"
    flask = "--worker-class gevent --keep-alive 60 serving_flask:app --bind 127.0.0.1:PORT"
    cores = os.cpu_count()
    forms = {
        "own HTTP server": (f"{PRODUCT} serve", asgi),
        "uvicorn": (f"uvicorn {uvicorn} --port PORT serving_asgi:app", asgi),
        "uvicorn, uvloop": (
            f"uvicorn {uvicorn} --loop uvloop --port PORT serving_asgi:app",
            asgi,
        ),
        "granian, uvloop": (
            f"granian {granian} --loop uvloop --port PORT serving_asgi:app",
            asgi,
        ),
        "Hypercorn, uvloop": (f"hypercorn {hypercorn} serving_asgi:app", asgi),
        "Flask, gunicorn, 1 worker": (f"gunicorn {flask} --workers 1", {"MODEL": str(model)}),
        f"Flask, gunicorn, {cores} workers": (
            f"gunicorn {flask} --workers {cores}",
            {"MODEL": str(model)},
        ),
    }
    servers = []
    for port, (name, (command, environment)) in enumerate(forms.items(), first_port):
        interpreter = sys.executable if command.startswith(PRODUCT) else python
        words = command.replace("PORT", str(port)).split()
        servers.append(
            MeasuredServer(
                name,
                port,
                [interpreter, "-m", *words],
                environment | {"SAGEMAKER_BIND_TO_PORT": str(port)},
            )
        )
    return servers


@contextmanager
def running(server, log):
    """Start a server, wait until it responds, and stop it afterwards."""
    environment = os.environ | server.environment
    with log.open("w") as file:
        process = subprocess.Popen(
            server.command, env=environment, stdout=file, stderr=file, cwd=HERE
        )
    try:
        deadline_s = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{server.port}/ping", timeout=1)
                break
            except OSError:
                if time.monotonic() > deadline_s or process.poll() is not None:
                    raise SystemExit(f"{server.name} did not start:\n{log.read_text()}") from None
                time.sleep(0.05)
        server.process = psutil.Process(process.pid)
        yield
    finally:
        process.terminate()
        process.wait()


def predict(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "text/csv"}
    )
    return urllib.request.urlopen(request).read()


def cpu_s(process):
    """Return the CPU time of a server and its workers, which other load hardly affects."""
    times = [member.cpu_times() for member in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def measure(server, connections, seconds, rows):
    before_s = cpu_s(server.process)
    arguments = [str(server.port), str(connections), str(seconds), rows]
    output = subprocess.run(
        [sys.executable, HERE / "load.py", *arguments], check=True, capture_output=True
    ).stdout
    figures = json.loads(output)
    figures["cpu_us"] = (cpu_s(server.process) - before_s) / figures["responses"] * 1e6
    return figures


def report(servers, rounds, connections):
    print(
        f"{'':28}{'connections':>12}{'requests/s':>12}{'slower':>8}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'CPU µs each':>13}{'more CPU':>10}"
    )
    own = rounds[servers[0].name, connections]
    for server in servers:
        measured = rounds[server.name, connections]
        slower = median(
            ours["requests_per_s"] / other["requests_per_s"]
            for ours, other in zip(own, measured, strict=True)
        )
        more_cpu = median(
            other["cpu_us"] / ours["cpu_us"] for ours, other in zip(own, measured, strict=True)
        )
        rate, p50_ms, p99_ms, cpu_us = (
            median(figures[name] for figures in measured)
            for name in ("requests_per_s", "p50_ms", "p99_ms", "cpu_us")
        )
        print(
            f"{server.name:28}{connections:12}{rate:12,.0f}{slower:7.2f}×{p50_ms:9.1f}"
            f"{p99_ms:9.1f}{cpu_us:13,.0f}{more_cpu:9.2f}×",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="duration of each measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rows", type=Path, help="a CSV of 784 columns instead of random pixels")
    parser.add_argument("--port", type=int, default=21900, help="the first of seven ports")
    options = parser.parse_args()

    python = install()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        model, rows = prepare(folder, options.rows)
        servers = all_servers(python, folder, model, options.port)
        for server in servers:
            stack.enter_context(running(server, folder / f"{server.port}.log"))
        sample = rows.read_bytes().splitlines()[0]
        if len({predict(server.port, sample) for server in servers}) != 1:
            raise SystemExit("the servers returned different responses")
        for connections in options.connections:
            rounds = defaultdict(list)
            for _ in range(options.rounds):
                for server in servers:
                    figures = measure(server, connections, options.seconds, rows)
                    rounds[server.name, connections].append(figures)
            report(servers, rounds, connections)
        print("load average of the machine:", *(f"{load:.1f}" for load in os.getloadavg()))


if __name__ == "__main__":
    main()
