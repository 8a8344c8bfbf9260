"""CPU time and memory of PrepareBatch and FinishBatch for a large file.

    python benchmarks/batch.py --gigabytes 0.99

A folder is the bucket. The container's answers are made up: three probabilities for each row. Each
step runs in a process of its own, so that the peak of its memory is known.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

from refit.domain.model_settings import ModelSettings
from refit.domain.naming import BatchKeys, ResourceNames
from refit.domain.pipeline.batch import Batch
from refit.domain.schema import Schema
from refit.usecases.finish_batch import finish_batch
from refit.usecases.prepare_batch import prepare_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL, BATCH, FEATURES = "flowers", "0f1e2d3c4b5a", 10
KEYS = BatchKeys(MODEL, BATCH)
FILE = f"{MODEL}/batch/in/big.csv"


class Folder:
    """A folder in place of the bucket."""

    name = "bucket"

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, key: str) -> Path:
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def open(self, key: str, version: str | None = None) -> IO[bytes]:
        return self.path(key).open("rb")

    def size_bytes(self, key: str, version: str | None = None) -> int:
        return self.path(key).stat().st_size

    def read(self, key: str) -> bytes:
        return self.path(key).read_bytes()

    def put(self, key: str, data: bytes, content_type: str = "") -> None:
        self.path(key).write_bytes(data)

    def put_json(self, key: str, value: Any) -> None:
        self.put(key, json.dumps(value, default=str).encode())

    def upload(self, source: Path, key: str, content_type: str = "") -> None:
        shutil.copy(source, self.path(key))

    @contextmanager
    def writer(self, key: str, content_type: str = "") -> Iterator[IO[bytes]]:
        with self.path(key).open("wb") as out:
            yield out


def services(root: Path) -> Any:
    """Return the services that the two use cases need."""
    names = [f"f{number}" for number in range(FEATURES)]
    schema = Schema.model_validate(
        {
            "task": "classification",
            "label": "kind",
            "classes": ["a", "b", "c"],
            "features": [{"name": name, "type": "number"} for name in names],
            "columns": ["id", *names],
            "left_out": {"id": "row ids, another in each row"},
        }
    )
    now = datetime.now(UTC)
    record = Batch.model_validate(
        {"batch": BATCH, "model": MODEL, "file": "big.csv", "file_version": "1"}
        | {"status": "STARTED", "started_at": now, "updated_at": now}
    )
    settings = ModelSettings()
    return SimpleNamespace(
        bucket=Folder(root),
        environment=SimpleNamespace(bucket="bucket", jobs_role_arn="role"),
        names=lambda model: ResourceNames("refit", model),
        now=lambda: now,
        models=SimpleNamespace(
            champion=lambda model: SimpleNamespace(version=1, run="r", package_arn="arn")
        ),
        artifacts=SimpleNamespace(
            schema=lambda model, run: schema,
            current_settings=lambda model: settings,
            settings=lambda model, run: settings,
            decision_rule=lambda model, run: None,
            manifest=lambda model, run: SimpleNamespace(settings=settings, learned=None),
        ),
        batches=SimpleNamespace(
            require=lambda model, batch: record,
            update=lambda *args, **values: True,
            finished_rows_at=lambda model, batch: now,
        ),
        endpoints=SimpleNamespace(delete_model=lambda name: None),
        messaging=SimpleNamespace(publish=lambda name, detail: None),
    )


def prepare(root: Path) -> None:
    prepare_batch(services(root), MODEL, BATCH)


def finish(root: Path) -> None:
    finish_batch(services(root), MODEL, BATCH, "job")


def _measured(step: Callable[[Path], None], root: Path) -> None:
    began = time.process_time()
    step(root)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{step.__name__:8} {time.process_time() - began:6.0f} s of CPU  {peak_mb:6.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=0.99)
    size_bytes = parser.parse_args().gigabytes * 1024**3
    with tempfile.TemporaryDirectory() as name:
        folder = Folder(Path(name))
        header = ",".join(["id", *(f"f{number}" for number in range(FEATURES))])
        row = ",".join(f"{number}.{number:05d}" for number in range(1, FEATURES + 1))
        rows = 0
        with folder.path(FILE).open("w") as out:
            out.write(header + "\n")
            while out.tell() < size_bytes:
                block = "".join(f"K{rows + each:08d},{row}\n" for each in range(10_000))
                out.write(block)
                rows += 10_000
        print(f"{rows:,} rows, {folder.size_bytes(FILE) / 1e6:,.0f} MB")
        context = multiprocessing.get_context("spawn")
        for step in (prepare, finish):
            process = context.Process(target=_measured, args=(step, Path(name)))
            process.start()
            process.join()
            if step is prepare:
                answer = b"[0.7906001210212708, 0.10940012335777283, 0.10000000149011612]\n"
                for part in sorted(folder.path(KEYS.input).glob("*.csv")):
                    lines = part.read_bytes().count(b"\n")
                    output = folder.path(f"{KEYS.output}{part.name}.out")
                    with output.open("wb") as out:
                        for _ in range(lines):
                            out.write(answer)
        print(f"result   {folder.size_bytes(KEYS.result('big.csv')) / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
