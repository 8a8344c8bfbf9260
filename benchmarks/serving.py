"""Requests a second of the model server beside the Flask + gunicorn form, in one run.

    python benchmarks/serving.py [--seconds 4] [--connections 1 8 64] [--rows digits.csv]

The same model (784 features, 10 classes, depth 5, 10 rounds), one row a request, over loopback. The
load generator runs in a process of its own on the same cores, for all servers alike.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import xgboost as xgb

HERE = Path(__file__).parent
VENV = HERE / ".venv"
FEATURES = 784
CLASSES = 10


def install():
    """Make the environment of the comparison, once."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    requirements = ["-r", HERE / "requirements.txt"]
    subprocess.run([python, "-m", "pip", "install", "-q", *requirements], check=True)
    return python


def prepare(folder, rows):
    """Train the model of the comparison and write the requests' bodies."""
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


@contextmanager
def running(command, port, log, **environment):
    """Run a server until it answers, and end it afterwards."""
    with log.open("w") as file:
        server = subprocess.Popen(command, env=os.environ | environment, stderr=file, cwd=HERE)
    try:
        deadline_s = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except OSError:
                if time.monotonic() > deadline_s or server.poll() is not None:
                    raise SystemExit(f"the server did not start:\n{log.read_text()}") from None
                time.sleep(0.05)
        yield psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def ask(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "text/csv"}
    )
    return urllib.request.urlopen(request).read()


def cpu_s(server):
    """The processor time of a server and its workers so far: other load does not change it."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def measure(server, port, connections, seconds, rows):
    before_s = cpu_s(server)
    command = [sys.executable, HERE / "load.py", str(port), str(connections), str(seconds), rows]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    figures = json.loads(output)
    figures["cpu_us"] = (cpu_s(server) - before_s) / figures["answers"] * 1e6
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4, help="for each figure")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rows", type=Path, help="a CSV of 784 columns instead of random pixels")
    parser.add_argument("--port", type=int, default=21900)
    options = parser.parse_args()

    flask_python = install()
    with tempfile.TemporaryDirectory() as folder:
        model, rows = prepare(Path(folder), options.rows)
        sample = rows.read_bytes().splitlines()[0]
        ours = [sys.executable, "-m", "refit_local.algorithms.xgboost", "serve"]
        gunicorn = [flask_python, "-m", "gunicorn", "--bind", f"127.0.0.1:{options.port}"]
        gunicorn += ["--worker-class", "gevent", "--keep-alive", "60", "serving_flask:app"]
        cores = os.cpu_count()
        forms = {
            "micro-batching": (
                ours,
                {"SAGEMAKER_BASE_DIR": folder, "SAGEMAKER_BIND_TO_PORT": str(options.port)},
            ),
            "Flask + gunicorn, 1 worker": ([*gunicorn, "--workers", "1"], {"MODEL": str(model)}),
            f"Flask + gunicorn, {cores} workers": (
                [*gunicorn, "--workers", str(cores)],
                {"MODEL": str(model)},
            ),
        }
        answers, best = set(), {}
        print(
            f"{'':30}{'connections':>12}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}"
            f"{'CPU µs each':>13}{'ours':>8}"
        )
        for name, (command, environment) in forms.items():
            with running(command, options.port, Path(folder) / "log", **environment) as server:
                answers.add(ask(options.port, sample))
                for connections in options.connections:
                    figures = measure(server, options.port, connections, options.seconds, rows)
                    rate = figures["requests_per_s"]
                    best.setdefault(connections, rate)
                    print(
                        f"{name:30}{connections:12}{rate:12,.0f}{figures['p50_ms']:9.1f}"
                        f"{figures['p99_ms']:9.1f}{figures['cpu_us']:13,.0f}"
                        f"{best[connections] / rate:7.1f}×",
                        flush=True,
                    )
        if len(answers) != 1:
            raise SystemExit("the servers gave different answers")


if __name__ == "__main__":
    main()
