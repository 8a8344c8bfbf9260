"""Pickles and IDX files of arrays are read as their rows, and nothing in a pickle runs."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from refit.domain.errors import DatasetInvalid, DatasetUnreadable
from refit.tabular.readers.arrays import csv_blocks
from refit.tabular.readers.pickled import read_pickle as read_pickle_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.preparing import Preparing

Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]


def read_pickle(data: bytes, name: str = "x.pkl") -> Any:
    return read_pickle_file(io.BytesIO(data), name)


def digits(rows: int, seed: int, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Small images as `mnist.pkl.gz` has them: pixels divided by 256, labels as 64-bit numbers."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (rows, 6)).astype(np.float64) / 256
    return pixels.astype(dtype), random.integers(0, 3, rows)


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def as_rows(features: np.ndarray, labels: np.ndarray) -> list[bytes]:
    return sorted(b"".join(csv_blocks(features, labels)).splitlines())


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_a_pickle_of_three_pairs_gives_the_three_splits_in_its_own_units(
    prepared: Preparing, protocol: int, dtype: Any
) -> None:
    parts = tuple(digits(rows, seed, dtype) for seed, rows in enumerate((90, 20, 30)))
    data = gzip.compress(pickle.dumps(parts, protocol))
    result = prepared({"mnist.pkl.gz": data})
    assert result.rows == {"train": 90, "validation": 20, "test": 30}
    assert sorted(result.train.splitlines()) == as_rows(*parts[0])
    assert sorted(result.test.splitlines()) == as_rows(*parts[2])
    values = [list(map(float, row.split(b",")[1:])) for row in result.test.splitlines()]
    assert sorted(values) == sorted(parts[2][0].astype(float).tolist())


def python2_pickle(pairs: Pairs) -> bytes:
    """Write as cPickle of Python 2 did (protocol 2): bytes as short or long strings."""

    def text(value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    def array(value: np.ndarray) -> bytes:
        shape = b"(" + b"".join(map(number, value.shape)) + b"t"
        code = f"{value.dtype.kind}{value.dtype.itemsize}".encode()
        dtype = (
            b"cnumpy\ndtype\n(" + text(code) + b"K\x00K\x01tR("
            b"K\x03" + text(b"<") + b"NNN" + number(-1) + number(-1) + b"K\x00tb"
        )
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b")
        return empty + b"tR(K\x01" + shape + dtype + b"\x89" + text(value.tobytes()) + b"tb"

    body = b"".join(b"(" + array(x) + array(y) + b"t" for x, y in pairs)
    return b"\x80\x02(" + body + b"t."


def test_a_pickle_of_python_2_is_read(prepared: Preparing) -> None:
    parts = tuple(digits(rows, rows) for rows in (90, 20, 30))
    result = prepared({"mnist.pkl.gz": gzip.compress(python2_pickle(parts))})
    assert result.rows == {"train": 90, "validation": 20, "test": 30}
    assert sorted(result.train.splitlines()) == as_rows(*parts[0])


class Runs:
    """Its pickle calls a function with arguments when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (digits(9, 1), digits(9, 2), x)])
def test_a_pickle_that_would_run_code_is_refused_before_it_runs(
    prepared: Preparing, tmp_path: Path, protocol: int, wrap: Any
) -> None:
    trace = tmp_path / "it-ran"
    data = pickle.dumps(wrap(Runs(os.system, f"touch {trace}")), protocol)
    with pytest.raises(DatasetUnreadable, match=r"mnist\.pkl.* refers to (posix|nt)\.system"):
        prepared({"mnist.pkl": data})
    assert not trace.exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1",)),
        (getattr, (1, "real")),
        (np.load, ("/etc/passwd",)),
        (np.fromfile, ("/etc/passwd",)),
        (type, ("X", (), {})),
        (open, ("/etc/passwd",)),
        (pickle.loads, (b"N.",)),
    ],
)
def test_any_callable_that_no_array_needs_is_refused_by_name(function: Any, arguments: Any) -> None:
    data = pickle.dumps(Runs(function, *arguments))
    with pytest.raises(DatasetUnreadable, match=function.__name__):
        read_pickle(data)


def test_the_extension_registry_and_persistent_ids_are_refused() -> None:
    with pytest.raises(DatasetUnreadable):
        read_pickle(b"\x80\x02\x82\x01.")
    with pytest.raises(DatasetUnreadable, match="outside of the file"):
        read_pickle(b"\x80\x02K\x01Q.")


def test_an_array_with_a_false_shape_allocates_no_memory() -> None:
    huge = python2_pickle((digits(9, 1),) * 2).replace(
        b"J" + struct.pack("<i", 9), b"J" + struct.pack("<i", 2**31 - 1)
    )
    with pytest.raises(DatasetUnreadable, match="an array of shape"):
        read_pickle(huge)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        ({"x": 1}, DatasetInvalid, "is not"),
        ((1, 2, 3), DatasetInvalid, "is not"),
        ((digits(9, 1),) * 4, DatasetInvalid, "it holds 4 parts"),
        (((np.zeros((3, 2)), np.zeros(4)),) * 3, DatasetInvalid, "each row requires one label"),
        (np.array(["a"]), DatasetUnreadable, "not of numbers"),
        (np.array([object()]), DatasetUnreadable, "not of numbers|refers to"),
        (np.zeros(3, dtype=complex), DatasetUnreadable, "not of numbers"),
    ],
)
def test_a_pickle_of_something_else_is_refused(
    value: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        read_pickle(pickle.dumps(value))


@pytest.mark.parametrize("cut", [1, 10, 100, 400])
def test_a_damaged_pickle_is_refused(cut: int) -> None:
    with pytest.raises(DatasetUnreadable, match="damaged, or not a pickle"):
        read_pickle(pickle.dumps((digits(50, 1),) * 3)[:-cut])


def test_a_pickle_cannot_change_how_the_next_one_is_read() -> None:
    # The opcode BUILD sets attributes of the object on the stack: here of an accepted function.
    data = b"\x80\x02cnumpy\ndtype\n(N}X\x05\x00\x00\x00_callNs\x86b."
    with pytest.raises((DatasetUnreadable, DatasetInvalid)):
        read_pickle(data)
    assert len(read_pickle(pickle.dumps((digits(9, 1),) * 3))) == 3


def test_idx_pairs_give_the_test_split_by_their_names(prepared: Preparing) -> None:
    random = np.random.default_rng(3)
    images = {rows: random.integers(0, 256, (rows, 2, 3)) for rows in (200, 40)}
    labels = {rows: random.integers(0, 10, rows) for rows in (200, 40)}
    files = {
        "train-images-idx3-ubyte.gz": gzip.compress(idx(images[200])),
        "train-labels-idx1-ubyte.gz": gzip.compress(idx(labels[200])),
        "t10k-images-idx3-ubyte": idx(images[40]),
        "t10k-labels-idx1-ubyte": idx(labels[40]),
    }
    result = prepared(files)
    assert result.rows["test"] == 40
    assert result.rows["train"] + result.rows["validation"] == 200
    assert result.rows["validation"] > 0
    assert sorted(result.test.splitlines()) == as_rows(images[40].reshape(40, -1), labels[40])
    assert result.features.splitlines()[0] == result.test.splitlines()[0].partition(b",")[2]
    assert result.labels.splitlines() == [row.partition(b",")[0] for row in result.test.split()]


def test_an_idx_file_without_its_partner_or_damaged_is_refused(prepared: Preparing) -> None:
    images, labels = idx(np.zeros((5, 2, 2))), idx(np.arange(5))
    with pytest.raises(DatasetInvalid, match="without the labels that belong to it"):
        prepared({"train-images-idx3-ubyte": images})
    with pytest.raises(DatasetUnreadable, match="it has 35 bytes, but its header states 36"):
        prepared({"a-images-idx3-ubyte": images[:-1], "a-labels-idx1-ubyte": labels})
    with pytest.raises(DatasetInvalid, match="each image requires one label"):
        prepared({"a-images-idx3-ubyte": images, "a-labels-idx1-ubyte": idx(np.arange(4))})


@pytest.mark.parametrize(
    "features",
    [
        np.arange(256, dtype=np.uint8).reshape(-1, 4),
        np.arange(-300, 300, dtype=np.int16).reshape(-1, 4),
        np.arange(64).reshape(-1, 4) * 10**12,
        (np.arange(256) / 255).astype(np.float32).reshape(-1, 4),
        np.arange(256).reshape(-1, 4) / 255,
        np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32),
        np.random.default_rng(1).normal(size=(64, 4)) * 1e30,
        np.random.default_rng(1).normal(size=(64, 4)).astype(np.float16),
        np.arange(8).reshape(-1, 4) % 2 == 0,
    ],
)
def test_an_array_written_as_csv_is_read_back_exactly(features: np.ndarray) -> None:
    labels = np.arange(len(features)) % 3
    lines = b"".join(csv_blocks(features, labels)).decode().splitlines()
    back = np.array([line.split(",")[1:] for line in lines]).astype(
        features.dtype.newbyteorder("=")
    )
    if features.dtype != bool:
        assert np.array_equal(back, features)
    assert [int(line.split(",")[0]) for line in lines] == labels.tolist()
    assert not any(cell.endswith(".0") for line in lines for cell in line.split(","))
