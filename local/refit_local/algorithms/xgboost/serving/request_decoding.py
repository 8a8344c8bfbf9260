"""Decode the body of a request into the matrix to predict on, exactly as the image does.

The rules for blank cells, the detection of the delimiter and the error messages are the image's.
"""

import csv
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from refit_local.algorithms.xgboost import recordio
from refit_local.algorithms.xgboost.content_types import (
    CSV,
    LIBSVM,
    PARQUET,
    RECORDIO_PROTOBUF,
    data_format,
)
from refit_local.algorithms.xgboost.xgboost_library import xgb

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
    """The body does not match its content type, or the content type is not supported."""


def read(body: bytes, content_type: str | None) -> xgb.DMatrix:
    """Return the rows of a body.

    Args:
        body: not empty.
        content_type: the value of the header, None without one (which means libsvm).

    Raises:
        UnreadablePayload: the body cannot be decoded; the message is the body of the response.
        UserError: the content type is not accepted.
    """
    body_format = data_format(content_type)
    if body_format == PARQUET:
        raise UnreadablePayload(f"Content-type {content_type} is not supported.")
    try:
        # The matrix of one request is small: more threads would take longer.
        return xgb.DMatrix(_READERS[body_format](body), nthread=1)
    except _READ_ERRORS as error:
        # The image's messages differ: one space for this format, newline and space for others.
        gap = " " if body_format == RECORDIO_PROTOBUF else "\n "
        raise UnreadablePayload(
            f"Loading {body_format} data failed with Exception, please ensure data is in "
            f"{body_format} format:{gap}{type(error)}{gap}{error}"
        ) from error


def _read_csv(body: bytes) -> NDArray[np.float64]:
    lines = body.strip().decode("utf-8").split("\n")
    delimiter = csv.Sniffer().sniff(lines[0][:_SNIFFED_CHARACTERS]).delimiter
    # A line of one column has no delimiter; the sniffer then returns a digit.
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


def _read_recordio(body: bytes) -> NDArray[Any] | sparse.csr_matrix:
    return recordio.read(body)[0]


_READERS: dict[str, Callable[[bytes], Any]] = {
    CSV: _read_csv,
    LIBSVM: _read_libsvm,
    RECORDIO_PROTOBUF: _read_recordio,
}
