"""Measure reading labelled rows back from capture files, the first step of a retraining.

    .venv/bin/python benchmarks/labelled_rows.py                       1,000,000 rows, 20 features
    .venv/bin/python benchmarks/labelled_rows.py --rows 100000 --features 784 --rows-per-event 50

Slices of 5,000 labels and capture files of 5,000 rows are on the local disk, so the figures cover
reading, joining and decoding, but not the network. The rows are read in a separate process, whose
peak memory is printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from refit.domain.pipeline.manifest import Slice
from refit.domain.schema import Feature, Schema
from refit.tabular.training_set import labelled_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROWS_PER_FILE = 5000
KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024


def write(folder: Path, rows: int, features: int, rows_per_event: int) -> list[Slice]:
    generator, now = random.Random(1), datetime.now(UTC)
    rest = ",".join(f"{generator.random():.6f}" for _ in range(features - 1))
    slices = []
    for first in range(0, rows, ROWS_PER_FILE):
        numbers = range(first, min(first + ROWS_PER_FILE, rows))
        capture, name = f"capture-{first}.jsonl", f"slice-{first}.jsonl"
        with (folder / capture).open("w") as out:
            for begin in range(0, len(numbers), rows_per_event):
                inputs = [f"{number},{rest}" for number in numbers[begin : begin + rows_per_event]]
                out.write(event(f"{first}-{begin}", inputs))
        with (folder / name).open("w") as out:
            for index in range(len(numbers)):
                out.write(label(capture, *divmod(index, rows_per_event), generator))
        slices.append(Slice(key=name, version="v", size=0, last_modified=now, fresh=True))
    return slices


def event(name: str, rows: list[str]) -> str:
    def side(mode: str, lines: list[str]) -> dict[str, str]:
        return {
            "observedContentType": "text/csv",
            "mode": mode,
            "data": "\n".join(lines),
            "encoding": "CSV",
        }

    record = {
        "captureData": {
            "endpointInput": side("INPUT", rows),
            "endpointOutput": side("OUTPUT", ["0.5"] * len(rows)),
        },
        "eventMetadata": {"eventId": name, "inferenceTime": "2025-01-02T03:04:05Z"},
        "eventVersion": "0",
    }
    return json.dumps(record) + "\n"


def label(key: str, line: int, row: int, generator: random.Random) -> str:
    record = {
        "inferenceId": f"{generator.getrandbits(128):032x}",
        "seq": 2,
        "label": "1",
        "prediction": "1",
        "version": 3,
        "predictedAt": "2025-01-02T03:04:05.000+00:00",
        "observedAt": "2025-01-02T04:04:05.000+00:00",
        "source": {"key": key, "line": line, "row": row},
    }
    return json.dumps(record) + "\n"


def read(folder: Path, slices: list[Slice], features: int) -> None:
    def fetch(objects: Sequence[tuple[str, str | None]]) -> Iterator[Path]:
        return (folder / key for key, _ in objects)

    schema = Schema(
        task="classification",
        label="y",
        features=tuple(Feature(name=f"f{index}", type="number") for index in range(features)),
        classes=("0", "1"),
    )
    out = folder / "out"
    out.mkdir()
    start_s, cpu_start_s = time.perf_counter(), time.process_time()
    tables = labelled_tables(slices, fetch, lambda _: schema, schema, out)
    seconds, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_start_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 1024
    rows = sum(used.rows for used in tables.slices)
    lost = sum(sum(used.lost.values()) for used in tables.slices)
    print(
        f"{rows:,} rows of {features} features, {lost:,} lost: {seconds:.1f} s, "
        f"{cpu_s:.1f} s of CPU time ({rows / cpu_s:,.0f} rows/s), {peak_mb:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--rows-per-event", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slices = write(folder, options.rows, options.features, options.rows_per_event)
        reader = multiprocessing.get_context("spawn").Process(
            target=read, args=(folder, slices, options.features)
        )
        reader.start()
        reader.join()
    sys.exit(reader.exitcode)


if __name__ == "__main__":
    main()
