"""Read plain numeric CSV fast, to exactly the floats that `request_decoding` returns.

`request_decoding` makes an array of strings of all cells, which takes longer than the prediction.
This module parses integers by one call for all cells, and other numbers by Python's `float`, which
`request_decoding` uses too. Any other body is left to `request_decoding`.
"""

from collections.abc import Sequence

import numpy as np

from refit_local.algorithms.xgboost.serving.models import Floats

_INTEGERS = b"0123456789,-"
_FLOATS = _INTEGERS + b".+eEnNaA"
# Integers below this magnitude are exact as doubles.
_EXACT_INTEGERS = 2**53


def read(bodies: Sequence[bytes]) -> Floats | None:
    """Return the rows of CSV bodies that all have the same number of columns.

    Args:
        bodies: stripped texts of comma-separated numbers; blank cells are missing values.

    Returns:
        (n_rows, n_columns) with NaN for missing values. None if a body is not plain numeric CSV:
        other characters, rows of different lengths, a single column, infinite numbers.
    """
    text = b"\n".join(bodies)
    commas = {line.count(b",") for line in text.split(b"\n")}
    # Without a comma, request_decoding detects another delimiter.
    if len(commas) != 1 or 0 in commas:
        return None
    columns = commas.pop() + 1
    text = text.replace(b"\n", b",")
    values = None
    # Minus zero has no integer form.
    if not text.translate(None, _INTEGERS) and b"-0" not in text:
        values = _integers(text)
    if values is None and not text.translate(None, _FLOATS):
        values = _floats(text)
    return None if values is None else values.reshape(-1, columns)


def _integers(text: bytes) -> Floats | None:
    # np.fromstring stops at a blank cell and reads a single minus sign as zero. It detects trailing
    # characters only before a separator, hence the additional cell.
    text += b",0"
    if b",," in text or text.startswith(b",") or b"-," in text:
        return None
    try:
        numbers = np.fromstring(text, np.int64, sep=",")
    except (ValueError, DeprecationWarning):
        return None
    # A number too large for 64 bits is returned as the largest integer.
    is_exact = numbers.max() < _EXACT_INTEGERS and numbers.min() > -_EXACT_INTEGERS
    if not is_exact or numbers.size != text.count(b",") + 1:
        return None
    return numbers[:-1].astype(np.float32)


def _floats(text: bytes) -> Floats | None:
    cells = text.split(b",")
    try:
        numbers = np.fromiter((float(cell or b"nan") for cell in cells), np.float64, len(cells))
    except ValueError:
        return None
    with np.errstate(over="ignore"):
        rounded = numbers.astype(np.float32)
    return None if np.isinf(rounded).any() else rounded
