"""Read pickled NumPy arrays such as `mnist.pkl.gz` without running code from the file.

Unpickling calls the functions that a file names. This reader accepts only the few names that NumPy
arrays require, and rejects all others without looking them up. The accepted names are replaced by
functions of this module that only record shape, type and bytes, so no NumPy function is called with
arguments from the file.
"""

from __future__ import annotations

import math
import pickle
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from refit.domain.errors import DatasetInvalid, DatasetUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.tabular.readers.arrays import Numbers
    from refit.tabular.split import Split

_NUMBER_KINDS = "biuf"
_LARGEST_ITEM_BYTES = 8


class _Malformed(Exception):
    """Raised when the file contains anything but arrays; the text states what was found."""


class _Admitted:
    """A callable for the unpickler; a pickle cannot change its attributes."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class _Dtype:
    """The type of an array, as stated in a pickle."""

    __slots__ = ("dtype",)

    def __init__(self, code: object) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(text, str) or len(text) > 3 or text.lstrip("<>=|")[:1] not in "biuf":
            raise _Malformed(f"an array of type {code!r}, not of numbers")
        try:
            self.dtype = np.dtype(text)
        except TypeError as error:
            raise _Malformed(f"an array of type {text!r}") from error
        if self.dtype.kind not in _NUMBER_KINDS or self.dtype.itemsize > _LARGEST_ITEM_BYTES:
            raise _Malformed(f"an array of type {text!r}, not of numbers")

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        order = order.decode("ascii") if isinstance(order, bytes) else order
        if order not in {"<", ">", "=", "|"}:
            raise _Malformed("an array without a byte order")
        if order in {"<", ">"}:
            self.dtype = self.dtype.newbyteorder("<" if order == "<" else ">")


class _Array:
    """An array, as stated in a pickle."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: Numbers | None = None

    def __setstate__(self, state: Any) -> None:
        match state:
            case (int(), tuple() as shape, _Dtype() as type_, fortran, bytes() | str() as data):
                raw = data if isinstance(data, bytes) else data.encode("latin1")
                self.values = _array(raw, type_.dtype, shape, bool(fortran))
            case _:
                raise _Malformed("an array in an unknown form")


def _array(data: bytes, dtype: np.dtype[Any], shape: tuple[Any, ...], fortran: bool) -> Numbers:
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise _Malformed(f"an array of shape {shape!r}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise _Malformed(f"an array of shape {shape!r} in {len(data)} bytes")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def _reconstructed(*_: object) -> _Array:
    return _Array()


def _from_buffer(data: Any, type_: Any, shape: Any, order: Any) -> _Array:
    if not (isinstance(data, bytes | bytearray) and isinstance(type_, _Dtype)):
        raise _Malformed("an array in an unknown form")
    array = _Array()
    array.values = _array(bytes(data), type_.dtype, tuple(shape), order == "F")
    return array


def _scalar(type_: Any, data: Any) -> float:
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not (isinstance(type_, _Dtype) and isinstance(raw, bytes)):
        raise _Malformed("a number in an unknown form")
    return float(_array(raw, type_.dtype, (1,), False)[0])


def _encoded(text: Any, encoding: Any) -> bytes:
    """Return bytes that Python 2 wrote as Latin-1 text."""
    if not isinstance(text, str) or encoding not in {"latin1", b"latin1"}:
        raise _Malformed("bytes in an unknown form")
    return text.encode("latin1")


def _dtype(code: object, *_: object) -> _Dtype:
    return _Dtype(code)


class _ArrayUnpickler(pickle.Unpickler):
    """Accepts the names that arrays of NumPy 1 and 2, written by Python 2 or 3, require."""

    _ADMITTED: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        ("numpy", "ndarray"): _reconstructed,
        ("numpy", "dtype"): _dtype,
        ("numpy.core.multiarray", "_reconstruct"): _reconstructed,
        ("numpy._core.multiarray", "_reconstruct"): _reconstructed,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy._core.multiarray", "scalar"): _scalar,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("numpy._core.numeric", "_frombuffer"): _from_buffer,
        ("_codecs", "encode"): _encoded,
    }

    def find_class(self, module: str, name: str, /) -> Any:
        admitted = self._ADMITTED.get((module, name))
        if admitted is None:
            raise DatasetUnreadable(
                f"the pickle refers to {module}.{name}, which NumPy arrays do not require. It was "
                "rejected, and none of its code was run"
            )
        return _Admitted(admitted)

    def persistent_load(self, pid: Any) -> Any:
        raise DatasetUnreadable("the pickle refers to objects outside of the file")


def read_pickle(file: IO[bytes], name: str) -> list[tuple[Split | None, Numbers, Numbers]]:
    """Return (split, features, labels) for each pair of a pickled `((x, y), (x, y), (x, y))`.

    Three pairs are for training, validation and testing, and two for training and testing. A single
    pair has no given split. The shape of the features is (n_rows, n_features); images with more
    dimensions are flattened. The shape of the labels is (n_rows,).

    Raises:
        DatasetUnreadable: if the file is damaged, not a pickle, or refers to anything but arrays.
        DatasetInvalid: if the arrays are not pairs of features and labels.
    """
    # Strings of Python 2 are read as bytes, because in the pickle of an array they contain only the
    # array's bytes. Reading them as text would decode and encode 150 MB.
    try:
        value = _ArrayUnpickler(file, encoding="bytes").load()
    except DatasetUnreadable as error:
        raise DatasetUnreadable(f"{name}: {error}") from error
    except _Malformed as error:
        raise DatasetUnreadable(f"{name} holds {error}") from error
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        KeyError,
        ImportError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:  # the unpickler raises any of these for a damaged pickle
        raise DatasetUnreadable(f"{name} is damaged, or not a pickle: {error}") from error
    return _pairs(value, name)


def _pairs(value: Any, name: str) -> list[tuple[Split | None, Numbers, Numbers]]:
    form = f"{name} is not ((x, y), (x, y), (x, y)) of NumPy arrays"
    if not isinstance(value, tuple | list):
        raise DatasetInvalid(form)
    if len(value) == 2 and all(isinstance(part, _Array) for part in value):
        value = [value]
    splits: dict[int, list[Split | None]] = {
        1: [None],
        2: ["train", "test"],
        3: ["train", "validation", "test"],
    }
    if len(value) not in splits:
        raise DatasetInvalid(f"{form}: it holds {len(value)} parts")
    return [
        (split, *_checked(pair, form))
        for split, pair in zip(splits[len(value)], value, strict=True)
    ]


def _checked(pair: Any, form: str) -> tuple[Numbers, Numbers]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DatasetInvalid(form)
    features, labels = (part.values if isinstance(part, _Array) else part for part in pair)
    if isinstance(labels, list) and all(isinstance(label, int | float) for label in labels):
        labels = np.array(labels)
    if not (isinstance(features, np.ndarray) and isinstance(labels, np.ndarray)):
        raise DatasetInvalid(form)
    if labels.ndim != 1 or features.ndim < 2 or len(features) != len(labels):
        raise DatasetInvalid(
            f"{form}: x has shape {features.shape} and y has shape {labels.shape}; each row "
            "requires one label"
        )
    return features.reshape(len(features), -1), labels
