"""Write arrays of numbers as CSV lines, formatting each distinct value only once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from refit.domain.cells import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Numbers: TypeAlias = npt.NDArray[Any]

_CELLS_PER_BLOCK = 100_000
_TABLE_LIMIT = 65_536
# Pixels are whole numbers, or whole numbers divided by one of these numbers.
_PIXEL_SCALES = (256, 255)
_PIXELS = 256


# Texts are padded with zero bytes to one of these widths, which NumPy copies in one step.
_ITEMS: dict[int, np.dtype[Any]] = {4: np.dtype("u4"), 8: np.dtype("u8"), 16: np.dtype("c16")}
_WIDEST_TEXT = 15  # without the comma


def csv_blocks(features: Numbers, labels: Numbers) -> Iterator[bytes]:
    """Yield the CSV lines of an array, label first, in the array's own units.

    Args:
        features: (n_rows, n_features) array of a boolean, integer or floating dtype.
        labels: (n_rows,) array of a boolean, integer or floating dtype.

    Yields:
        Whole lines, several hundred kB at a time. Each number is written as the shortest text that
        parses to the same number of its dtype.
    """
    rows = max(1, _CELLS_PER_BLOCK // (features.shape[1] + 1))
    for start in range(0, len(labels), rows):
        chunk = slice(start, start + rows)
        yield _block(features[chunk], labels[chunk])


def _block(features: Numbers, labels: Numbers) -> bytes:
    heads = _texts(labels)
    coded = _coded(features)
    if coded is None or max(map(len, heads)) > _WIDEST_TEXT:
        return _line_by_line(heads, features)
    codes, texts = coded
    item = _ITEMS[_width([f",{text}" for text in texts] + heads)]
    table = _items([f",{text}" for text in texts], item)
    lines: Numbers = np.empty((len(heads), features.shape[1] + 2), dtype=item)
    lines[:, 0] = _items(heads, item)
    lines[:, 1:-1] = table[codes]
    lines[:, -1] = _items(["\n"], item)[0]
    packed: bytes = lines.tobytes()
    return packed.translate(None, b"\0")


def _coded(values: Numbers) -> tuple[Numbers, list[str]] | None:
    """Return the index of each value in a list of texts, and the list; None if it is too long."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if high - low >= _TABLE_LIMIT:
            return None
        codes = values if low == 0 else values.astype(np.int64) - low
        return codes, [str(value) for value in range(low, high + 1)]
    for scale in (1, *_PIXEL_SCALES):
        pixel_codes = _scaled(values, scale)
        if pixel_codes is not None:
            pixels = np.arange(_PIXELS, dtype=values.dtype) / values.dtype.type(scale)
            texts = _texts(pixels)
            return (pixel_codes, texts) if max(map(len, texts)) <= _WIDEST_TEXT else None
    return None


def _scaled(values: Numbers, scale: int) -> npt.NDArray[np.uint8] | None:
    """Return k for values that are all k / scale with k from 0 to 255; None if any is not."""
    with np.errstate(invalid="ignore", over="ignore"):
        codes: npt.NDArray[np.uint8] = np.rint(values * values.dtype.type(scale)).astype(np.uint8)
    if np.array_equal(codes.astype(values.dtype) / values.dtype.type(scale), values):
        return codes
    return None


def _width(texts: list[str]) -> int:
    longest = max(map(len, texts))
    return next(width for width in _ITEMS if width >= longest)


def _items(texts: list[str], item: np.dtype[Any]) -> Numbers:
    padded = b"".join(text.encode().ljust(item.itemsize, b"\0") for text in texts)
    return np.frombuffer(padded, dtype=item)


def _texts(values: Numbers) -> list[str]:
    """Return the shortest text of each number that parses to the same number of its dtype."""
    if values.dtype.kind == "f" and values.dtype.itemsize < 8:
        # str() of a float32 is its shortest text. As a float64 it could be 0.10000000149011612.
        return [text[:-2] if text.endswith(".0") else text for text in map(str, values)]
    return [
        number_text(value) if isinstance(value, float) else str(int(value))
        for value in values.tolist()
    ]


def _line_by_line(heads: list[str], features: Numbers) -> bytes:
    return "".join(
        f"{head},{','.join(_texts(row))}\n" for head, row in zip(heads, features, strict=True)
    ).encode()
