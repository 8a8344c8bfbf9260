"""Compare the latency of predictions from the cache with that of the endpoint, on the local stack.

    refit up --detach
    python benchmarks/cached_answers.py [--port 4566] [--requests 500]

A model of the handwritten digits is trained, and a batch of 500 rows is predicted and cached. Then
requests of one row each are sent through the API, of a cached row and of another one in turn.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import boto3
import numpy as np
import requests
from refit_local.stack import lifecycle
from sklearn.datasets import load_digits

MODEL = "cached-digits"
CACHED = slice(900, 1400)
OTHERS = slice(1400, 1797)
SETTINGS = f"[batch]\ncache_rows = {CACHED.stop - CACHED.start}\ncapture_rows = 0\n"


def csv_of(table: Any) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in table).encode()


def wait_for(client: Any, bucket: str, key: str) -> None:
    client.get_waiter("object_exists").wait(
        Bucket=bucket, Key=key, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=lifecycle.DEFAULT_PORT)
    parser.add_argument("--requests", type=int, default=500, help="of each kind")
    options = parser.parse_args()
    stack = lifecycle.info(options.port)
    if stack is None:
        raise SystemExit(f"no local stack runs on port {options.port}: refit up --detach")
    session = boto3.Session(stack.access_key_id, stack.secret_access_key, region_name=stack.region)
    s3 = session.client("s3", endpoint_url=stack.endpoint_url)
    outputs = session.client("cloudformation", endpoint_url=stack.endpoint_url).describe_stacks(
        StackName=stack.stack_name
    )["Stacks"][0]["Outputs"]
    bucket = next(each["OutputValue"] for each in outputs if each["OutputKey"] == "BucketName")
    data = load_digits()
    images = data.data.astype(int)

    def put(key: str, body: bytes) -> None:
        s3.put_object(Bucket=bucket, Key=f"{MODEL}/{key}", Body=body)

    http = requests.Session()
    http.headers["x-api-key"] = stack.api_keys["predict"]

    def seconds(row: list[int]) -> float | None:
        began = time.perf_counter()
        answer = http.post(
            f"{stack.api_url}/models/{MODEL}/predictions", json={"instances": [row]}, timeout=60
        )
        return time.perf_counter() - began if answer.ok else None

    if seconds(images[0].tolist()) is not None:
        raise SystemExit(f"the model exists already: refit remove {MODEL}")
    put("model.toml", SETTINGS.encode())
    put("raw/a.csv", csv_of(np.column_stack([data.target, images])[: CACHED.start]))
    while seconds(images[0].tolist()) is None:
        time.sleep(1)
    put("batch/in/rows.csv", csv_of(images[CACHED]))
    wait_for(s3, bucket, f"{MODEL}/batch/out/rows.csv.summary.json")
    time.sleep(11)  # a process uses what it has read of the live version for ten seconds

    took: dict[str, list[float]] = {"from the cache": [], "from the endpoint": []}
    for number in range(options.requests):
        for name, rows in zip(took, (images[CACHED], images[OTHERS]), strict=True):
            elapsed_s = seconds(rows[number % len(rows)].tolist())
            if elapsed_s is None:
                raise SystemExit("the API refused a request")
            took[name].append(elapsed_s)
    print(f"{'one row':20}{'median':>10}{'p95':>10}{'p99':>10}")
    for name, values in took.items():
        shares = np.quantile(values[10:], [0.5, 0.95, 0.99]) * 1000
        print(f"{name:20}" + "".join(f"{share:7.1f} ms" for share in shares))


if __name__ == "__main__":
    main()
