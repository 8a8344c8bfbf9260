"""Find lines in the middle of a table that may repeat its header, as joined files have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from refit.tabular.csv_bytes import Flags
    from refit.tabular.table_source import TableSource

_BLANKS = b" \t\r"


def repeated_headers(block: bytes, source: TableSource, count: int) -> Flags:
    """Return (count,) whether each line of a block has the cells of the header, in any case.

    Blanks are ignored, so some of these lines are rows: the row reader decides about them.
    """
    longest = max(source.header_cells, key=len, default="").encode().lower()
    block = block.lower()
    if not longest or longest not in block:
        return np.zeros(count, dtype=np.bool_)
    header = source.csv_format.delimiter.join(source.header_cells).encode()
    header = header.lower().translate(None, _BLANKS)
    lines = block.split(b"\n")[:count]
    return np.array([line.translate(None, _BLANKS) == header for line in lines], dtype=np.bool_)
