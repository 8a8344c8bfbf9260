"""RecordIO files of protobuf records, a binary format of SageMaker for rows.

A file is a sequence of frames: magic number, length, payload, padding to four bytes. Each payload
is one protobuf message `Record` with the maps `features` and `label` from a name to a tensor. This
module reads the parts that XGBoost uses directly from the wire format, without a protobuf library.

Source  https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

_MAGIC = 0xCED7230A
_FRAME = struct.Struct("<II")
_ROW = "values"

# Field numbers of the messages Record and Value, and the tensors' element types.
_FEATURES, _LABEL = 1, 2
_TENSOR_TYPES: dict[int, np.dtype[Any]] = {
    2: np.dtype("<f4"),
    3: np.dtype("<f8"),
    7: np.dtype("<i4"),
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class RecordTensor:
    """One row. With `keys` it is sparse: column `keys[i]` has the value `values[i]`."""

    values: NDArray[Any]
    keys: NDArray[np.uint64]
    shape: NDArray[np.uint64]

    @property
    def is_sparse(self) -> bool:
        return self.keys.size > 0 or (self.values.size == 0 and self.shape.size > 0)

    def as_sparse(self) -> sparse.csr_matrix:
        """Return the row as a matrix of shape (1, n_columns)."""
        if self.shape.size:
            columns = int(self.shape[0])
        else:
            columns = int(self.keys.max()) + 1 if self.keys.size else 1
        return sparse.csr_matrix(
            (self.values, self.keys.astype(np.int64), [0, self.keys.size]), shape=(1, columns)
        )


def read(data: bytes) -> tuple[NDArray[Any] | sparse.csr_matrix, NDArray[Any]]:
    """Read all rows of one file, or of several concatenated files.

    Returns:
        The features (n_rows, n_columns), dense unless a row is sparse, and the labels (n_labels,),
        which are empty if the records have none.

    Raises:
        ValueError: the data is not RecordIO, is truncated, or contains no rows.
    """
    rows: list[RecordTensor] = []
    labels: list[NDArray[Any]] = []
    for payload in _frames(data):
        record = _tensors(payload)
        if _ROW not in record[_FEATURES]:
            continue
        rows.append(record[_FEATURES][_ROW])
        if _ROW in record[_LABEL]:
            labels.append(record[_LABEL][_ROW].values)
    if not rows:
        raise ValueError("No records found in RecordIO-Protobuf data")
    every_label = np.concatenate(labels) if labels else np.empty(0, np.float32)
    if any(row.is_sparse for row in rows):
        return sparse.vstack([row.as_sparse() for row in rows]).tocsr(), every_label
    return np.vstack([row.values for row in rows]), every_label


def write(rows: Sequence[Mapping[str, Sequence[float]]]) -> bytes:
    """Write one record for each row, with the row's numbers as labels of type float32."""
    return b"".join(_frame(b"".join(_label(key, row[key]) for key in row)) for row in rows)


def _frames(data: bytes) -> Iterator[memoryview]:
    view, offset = memoryview(data), 0
    while offset + _FRAME.size <= len(view):
        magic, length = _FRAME.unpack_from(view, offset)
        if magic != _MAGIC:
            raise ValueError(f"Invalid RecordIO magic at offset {offset}")
        offset += _FRAME.size
        padded = -(-length // 4) * 4
        if offset + padded > len(view):
            raise ValueError(f"Truncated record at offset {offset}")
        yield view[offset : offset + length]
        offset += padded


def _tensors(record: memoryview) -> dict[int, dict[str, RecordTensor]]:
    tensors: dict[int, dict[str, RecordTensor]] = {_FEATURES: {}, _LABEL: {}}
    for number, _, entry in _fields(record):
        if number in tensors:
            parts = {field: content for field, _, content in _fields(_message(entry))}
            name = bytes(_message(parts.get(1, memoryview(b"")))).decode()
            tensor = _tensor(_message(parts.get(2, memoryview(b""))))
            if tensor is not None:
                tensors[number][name] = tensor
    return tensors


def _tensor(value: memoryview) -> RecordTensor | None:
    tensor = None
    for number, _, content in _fields(value):
        if number not in _TENSOR_TYPES:
            continue
        element = _TENSOR_TYPES[number]
        values: list[NDArray[Any]] = []
        keys: list[NDArray[np.uint64]] = []
        shape: list[NDArray[np.uint64]] = []
        for field, wire, part in _fields(_message(content)):
            if field == 1:
                values.append(_numbers(part, wire, element))
            elif field in (2, 3):
                (keys if field == 2 else shape).append(_integers(part, wire))
        tensor = RecordTensor(
            np.concatenate(values) if values else np.empty(0, element),
            np.concatenate(keys) if keys else np.empty(0, np.uint64),
            np.concatenate(shape) if shape else np.empty(0, np.uint64),
        )
    return tensor


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yield the fields of a protobuf message: number, wire type and raw content."""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            content, offset = _varint(message, offset)
            yield number, wire, content
            continue
        if wire == _BYTES:
            length, offset = _varint(message, offset)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"Unknown wire type {wire} in protobuf record")
        if offset + length > len(message):
            raise ValueError("Truncated message in protobuf record")
        yield number, wire, message[offset : offset + length]
        offset += length


def _message(content: memoryview | int) -> memoryview:
    if isinstance(content, int):
        raise ValueError("Number instead of a message in protobuf record")
    return content


def _numbers(content: memoryview | int, wire: int, element: np.dtype[Any]) -> NDArray[Any]:
    if element.kind == "i":
        # A negative int32 is encoded as a varint of 64 bits; the cast drops the upper half.
        return _integers(content, wire).astype(np.uint32).astype(element)
    view = _message(content)
    if len(view) % element.itemsize:
        raise ValueError("Truncated number in a tensor of a protobuf record")
    return np.frombuffer(view, element)


def _integers(content: memoryview | int, wire: int) -> NDArray[np.uint64]:
    if wire == _VARINT:
        return np.array([content], np.uint64)
    view, offset, numbers = _message(content), 0, []
    while offset < len(view):
        number, offset = _varint(view, offset)
        numbers.append(number)
    return np.array(numbers, np.uint64)


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if offset >= len(message) or shift > 63:
            raise ValueError("Malformed number in protobuf record")
        byte = message[offset]
        number |= (byte & 0x7F) << shift
        offset += 1
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, offset
        shift += 7


def _label(key: str, values: Sequence[float]) -> bytes:
    tensor = _delimited(1, np.asarray(values, "<f4").tobytes())
    entry = _delimited(1, key.encode()) + _delimited(2, _delimited(2, tensor))
    return _delimited(_LABEL, entry)


def _delimited(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _length(len(content)) + content


def _length(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _frame(payload: bytes) -> bytes:
    return _FRAME.pack(_MAGIC, len(payload)) + payload + b"\0" * (-len(payload) % 4)
