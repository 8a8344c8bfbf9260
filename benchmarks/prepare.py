"""Compare Refit's data preparation with pandas, polars, DuckDB, PyArrow and NumPy, in one run.

    .venv/bin/python benchmarks/prepare.py                     both tasks, a 1 GB table
    .venv/bin/python benchmarks/prepare.py split --megabytes 200 --columns 785
    .venv/bin/python benchmarks/prepare.py write --only refit polars

`split`  Read a CSV of whole numbers, check every row, split the rows into training, validation and
         test rows by a hash of the row, shuffle the training rows, and write three CSV files.
`write`  Write an array with the shape of the MNIST training set (50,000 x 785, four fifths zeros)
         as CSV.

The other libraries are installed into a separate environment, benchmarks/.venv, at the first run.
Each library runs in a separate process, one after the other. The time is measured from the import
of the library to the last byte written. The memory is the peak of the process. `cp` copies the same
bytes for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OTHERS = HERE / ".venv" / "bin" / "python"
MNIST_SHAPE = (50_000, 785)
SHARE = 0.1  # share of the validation rows, and of the test rows


def split_refit(source: Path, out: Path) -> None:
    from refit.domain.data_settings import DataSettings
    from refit.tabular.dataset import tables_of
    from refit.tabular.preparation import prepare
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.readers.table import DroppedFile

    file = DroppedFile(source.name, source.stat().st_size, lambda: source.open("rb"))
    with (out / "refused").open("wb") as refused:
        quarantine = Quarantine(refused)
        prepared = prepare(tables_of([file], out).tables, DataSettings(), None, out, 7, quarantine)
    names = ("train", "validation", "test", "features", "labels")
    train, validation, *test = [(out / name).open("wb") for name in names]
    prepared.write_train(train)
    prepared.write_validation(validation)
    prepared.write_test(*test)
    for sink in (train, validation, *test):
        sink.close()


def split_cp(source: Path, out: Path) -> None:
    shutil.copyfile(source, out / "copy")


def split_pandas(source: Path, out: Path) -> None:
    import numpy as np
    import pandas as pd

    random = np.random.default_rng(7)
    frame = pd.read_csv(source, header=None, dtype="int64")  # other cells raise an error
    draw = pd.util.hash_pandas_object(frame.iloc[:, 1:], index=False).to_numpy() / 2.0**64
    train = frame[draw >= 2 * SHARE]
    train = train.iloc[random.permutation(len(train))]
    train.to_csv(out / "train", header=False, index=False)
    for name, low in (("test", 0.0), ("validation", SHARE)):
        side = frame[(draw >= low) & (draw < low + SHARE)]
        side.to_csv(out / name, header=False, index=False)


def split_polars(source: Path, out: Path, shuffle: bool = False) -> None:
    import polars as pl

    head = pl.read_csv(source, has_header=False, n_rows=1)
    frame = pl.scan_csv(source, has_header=False, schema=dict.fromkeys(head.columns, pl.Int64))
    draw = pl.struct(pl.all().exclude("column_1")).hash(7)
    frame = frame.with_columns(draw.alias("draw"))
    bound = int(SHARE * 2**64)
    train = frame.filter(pl.col("draw") >= 2 * bound)
    sides = {
        "train": train.sort("draw") if shuffle else train,
        "validation": frame.filter(pl.col("draw").is_between(bound, 2 * bound, closed="left")),
        "test": frame.filter(pl.col("draw") < bound),
    }
    sinks = [
        side.drop("draw").sink_csv(out / name, include_header=False, lazy=True)
        for name, side in sides.items()
    ]
    pl.collect_all(sinks, engine="streaming")


def split_polars_sorted(source: Path, out: Path) -> None:
    split_polars(source, out, shuffle=True)


def split_duckdb(source: Path, out: Path) -> None:
    import duckdb

    connection = duckdb.connect(str(out / "work.db"))
    connection.execute("SET memory_limit = '1GB'")
    connection.execute(f"CREATE VIEW raw AS FROM read_csv('{source}', header = false)")
    names = [row[0] for row in connection.execute("DESCRIBE raw").fetchall()]
    kinds = "{" + ", ".join(f"'{name}': 'BIGINT'" for name in names) + "}"
    connection.execute(
        f"CREATE TABLE t AS SELECT *, hash({', '.join(names[1:])}) / {2.0**64} AS draw "
        f"FROM read_csv('{source}', header = false, columns = {kinds})"
    )
    for name, where, order in (
        ("train", f"draw >= {2 * SHARE}", "ORDER BY random()"),
        ("validation", f"draw >= {SHARE} AND draw < {2 * SHARE}", ""),
        ("test", f"draw < {SHARE}", ""),
    ):
        connection.execute(
            f"COPY (SELECT * EXCLUDE draw FROM t WHERE {where} {order}) "
            f"TO '{out / name}' (FORMAT csv, HEADER false)"
        )


def array_of(source: Path):
    import numpy as np

    return np.load(source, mmap_mode="r")


def write_refit(source: Path, out: Path) -> None:
    from refit.tabular.readers.arrays import csv_blocks

    values = array_of(source)
    with (out / "csv").open("wb") as file:
        for block in csv_blocks(values[:, 1:], values[:, 0]):
            file.write(block)


def write_numpy(source: Path, out: Path) -> None:
    import numpy as np

    np.savetxt(out / "csv", array_of(source), fmt="%d", delimiter=",")


def write_pandas(source: Path, out: Path) -> None:
    import pandas as pd

    pd.DataFrame(array_of(source)).to_csv(out / "csv", header=False, index=False)


def write_polars(source: Path, out: Path) -> None:
    import polars as pl

    pl.from_numpy(array_of(source)).write_csv(out / "csv", include_header=False)


def write_pyarrow(source: Path, out: Path) -> None:
    import pyarrow as pa
    from pyarrow import csv

    values = array_of(source)
    columns = [pa.array(values[:, index]) for index in range(values.shape[1])]
    table = pa.table(columns, names=[str(index) for index in range(len(columns))])
    csv.write_csv(table, out / "csv", csv.WriteOptions(include_header=False))


def write_cp(source: Path, out: Path) -> None:
    shutil.copyfile(source.with_suffix(".csv"), out / "csv")


TASKS = {
    "split": {
        "refit": split_refit,
        "polars": split_polars,
        "polars (sorted)": split_polars_sorted,
        "duckdb": split_duckdb,
        "pandas": split_pandas,
        "cp": split_cp,
    },
    "write": {
        "refit": write_refit,
        "polars": write_polars,
        "pyarrow": write_pyarrow,
        "pandas": write_pandas,
        "numpy": write_numpy,
        "cp": write_cp,
    },
}
OURS = {"refit", "cp"}


def install() -> None:
    """Create the environment of the other libraries, once."""
    if not OTHERS.exists():
        subprocess.run([sys.executable, "-m", "venv", OTHERS.parents[1]], check=True)
    requirements = ["-r", HERE / "requirements.txt"]
    subprocess.run([OTHERS, "-m", "pip", "install", "-q", *requirements], check=True)


def make_table(target: Path, megabytes: int, columns: int) -> None:
    import numpy as np
    from refit.tabular.readers.arrays import csv_blocks

    random, size_bytes = np.random.default_rng(1), 0
    with target.open("wb") as out:
        while size_bytes < megabytes * 10**6:
            values = random.integers(0, 256, (10_000, columns - 1), dtype=np.uint8)
            for block in csv_blocks(values, random.integers(0, 10, len(values))):
                size_bytes += out.write(block)


def make_array(target: Path) -> None:
    import numpy as np
    from refit.tabular.readers.arrays import csv_blocks

    random = np.random.default_rng(1)
    values = random.integers(0, 256, MNIST_SHAPE, dtype=np.uint8)
    values[random.random(MNIST_SHAPE, dtype=np.float32) < 0.8] = 0
    values[:, 0] %= 10
    np.save(target, values)
    with target.with_suffix(".csv").open("wb") as out:
        out.writelines(csv_blocks(values[:, 1:], values[:, 0]))


def peak_mb() -> float:
    """Return the peak memory of this process. getrusage would include that of the parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the peak memory is read from /proc, which only exists on Linux")


def child(task: str, name: str, source: Path, out: Path) -> None:
    began, worked = time.perf_counter(), time.process_time()
    TASKS[task][name](source, out)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - worked,
                "peak_mb": peak_mb(),
            }
        )
    )


def measure(task: str, name: str, source: Path, folder: Path) -> dict[str, float] | str:
    python = Path(sys.executable) if name in OURS else OTHERS
    out = folder / "out"
    out.mkdir()
    command = [python, __file__, task, "--child", name, "--source", source, "--out", out]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    shutil.rmtree(out)
    if result.returncode:
        return f"failed: {result.stderr.strip().splitlines()[-1]}"
    return json.loads(result.stdout.splitlines()[-1])


def report(task: str, names: list[str], source: Path, size_bytes: int, folder: Path) -> None:
    print(f"\n{task}: {size_bytes / 1e6:,.0f} MB of CSV")
    print(f"{'':16} {'seconds':>8} {'CPU s':>8} {'MB/s':>8} {'peak MB':>8}")
    for name in names:
        figures = measure(task, name, source, folder)
        if isinstance(figures, str):
            print(f"{name:16} {figures}")
            continue
        rate = size_bytes / 1e6 / figures["seconds"]
        print(
            f"{name:16} {figures['seconds']:8.2f} {figures['cpu_seconds']:8.2f} {rate:8.0f} "
            f"{figures['peak_mb']:8.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", nargs="?", choices=sorted(TASKS), help="default: both")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the table to split")
    parser.add_argument("--columns", type=int, default=100, help="number of columns with the label")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only these libraries")
    parser.add_argument("--folder", type=Path, help="folder for temporary files (default: new)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.task, options.child, options.source, options.out)
        return
    if not options.only or set(options.only) - OURS:
        install()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        for task in [options.task] if options.task else ["split", "write"]:
            names = [name for name in TASKS[task] if not options.only or name in options.only]
            if task == "split":
                source = written = folder / "table.csv"
                make_table(source, options.megabytes, options.columns)
            else:
                source = folder / "array.npy"
                written = source.with_suffix(".csv")
                make_array(source)
            report(task, names, source, written.stat().st_size, folder)


if __name__ == "__main__":
    main()
