"""Decompress gzip as a stream, with limits against decompression bombs."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetUnreadable
from refit.domain.pipeline.drop_limits import MAX_DROP_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

GZIP_MAGIC = b"\x1f\x8b"
MAX_UNPACKED_BYTES = MAX_DROP_BYTES
"""Largest uncompressed size: the data must fit twice on a Lambda function's disk of 10 GB."""

MAX_RATIO = 250
"""Largest compression ratio. Real tables have ratios of 3 to 50, sparse tables of up to 150, and
decompression bombs of up to 1,030."""

_RATIO_COUNTS_FROM = 32 * 1024**2
_GZIP_WINDOW = 31
_PIECE_BYTES = 1024 * 1024


def gunzipped(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the decompressed bytes of a gzip stream of one or several members.

    Args:
        blocks: the compressed bytes.
        name: name of the file, for messages.

    Yields:
        At most 1 MiB at a time.

    Raises:
        DatasetUnreadable: if the stream is damaged, ends too early, or its decompressed size is
            larger than `MAX_UNPACKED_BYTES` or, beyond 32 MiB, than `MAX_RATIO` times its size.
    """
    packed = unpacked = 0
    member = zlib.decompressobj(_GZIP_WINDOW)
    for block in blocks:
        packed += len(block)
        rest = block
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")  # members may be padded
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = member.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise DatasetUnreadable(f"{name} is damaged: not valid gzip ({error})") from error
            rest = member.unused_data if member.eof else member.unconsumed_tail
            unpacked += len(piece)
            _refuse_bomb(name, packed - len(rest), unpacked)
            if piece:
                yield piece
    while not member.eof:
        piece = member.decompress(b"", _PIECE_BYTES)
        if not piece:
            raise DatasetUnreadable(f"{name} is damaged: the gzip stream ends too early")
        unpacked += len(piece)
        _refuse_bomb(name, packed, unpacked)
        yield piece


def _refuse_bomb(name: str, packed: int, unpacked: int) -> None:
    if unpacked > MAX_UNPACKED_BYTES:
        raise DatasetUnreadable(
            f"{name} unpacks to more than {MAX_UNPACKED_BYTES // 1024**3} GiB: drop it in parts"
        )
    if unpacked > _RATIO_COUNTS_FROM and unpacked > MAX_RATIO * packed:
        raise DatasetUnreadable(
            f"{name} unpacks to more than {MAX_RATIO} times its size, as a zip bomb does: "
            "if this is intended, drop it unpacked"
        )
