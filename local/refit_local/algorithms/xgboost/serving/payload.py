"""Turn the body of a request into the matrix to predict on, exactly as the image does.

Every rule here decides over an answer: what a blank cell is, which delimiter a line has, and the
words in which a bad body is refused.
"""

import csv
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from refit_local.algorithms.xgboost import recordio
from refit_local.algorithms.xgboost.content_types import (
    CSV,
    LIBSVM,
    PARQUET,
    RECORDIO_PROTOBUF,
    data_format,
)
from refit_local.algorithms.xgboost.library import xgb

_SNIFFED_CHARACTERS = 512
_READ_ERRORS = (
    xgb.core.XGBoostError,
    csv.Error,
    ArithmeticError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class UnreadablePayload(Exception):
    """The body is not of its content type, or its content type is not served."""


def read(body: bytes, content_type: str | None) -> Any:
    """Return the rows of a body as an xgboost.DMatrix.

    Args:
        body: not empty.
        content_type: the header as it came, None if there was none (which means libsvm).

    Raises:
        UnreadablePayload: the message is the answer to the client.
        UserError: no such content type.
    """
    kind = data_format(content_type)
    if kind == PARQUET:
        raise UnreadablePayload(f"Content-type {content_type} is not supported.")
    try:
        # The matrix of one request is small: more threads only wait for each other.
        return xgb.DMatrix(_READERS[kind](body), nthread=1)
    except _READ_ERRORS as error:
        # One space in the image's text for this format, a new line and a space for the others.
        gap = " " if kind == RECORDIO_PROTOBUF else "\n "
        raise UnreadablePayload(
            f"Loading {kind} data failed with Exception, please ensure data is in {kind} format:"
            f"{gap}{type(error)}{gap}{error}"
        ) from error


def _read_csv(body: bytes) -> np.ndarray:
    lines = body.strip().decode("utf-8").split("\n")
    delimiter = csv.Sniffer().sniff(lines[0][:_SNIFFED_CHARACTERS]).delimiter
    # A line of one column has no delimiter, and the guess falls on a digit.
    if delimiter.isalnum():
        delimiter = ","
    cells = [[cell or "nan" for cell in line.split(delimiter)] for line in lines]
    return np.array(cells).astype(np.float64)


def _read_libsvm(body: bytes) -> sparse.csr_matrix:
    rows, columns, values = [], [], []
    for row, line in enumerate(body.strip().decode("utf-8").split("\n")):
        for item in line.split(" "):
            if ":" in item:
                column, value = item.split(":")[:2]
                rows.append(row)
                columns.append(column)
                values.append(value)
    positions = (np.array(rows), np.array(columns).astype(np.int64))
    return sparse.csr_matrix((np.array(values).astype(np.float64), positions))


def _read_recordio(body: bytes) -> np.ndarray | sparse.csr_matrix:
    return recordio.read(body)[0]


_READERS: dict[str, Callable[[bytes], Any]] = {
    CSV: _read_csv,
    LIBSVM: _read_libsvm,
    RECORDIO_PROTOBUF: _read_recordio,
}
