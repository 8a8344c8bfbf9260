"""The local gateway decompresses the body of a request as API Gateway does."""

from __future__ import annotations

import gzip
import zlib

import pytest
from refit_local.ministack.compressed_requests import (
    PAYLOAD_BYTES,
    NotDecompressed,
    decompressed,
)

BODY = b"5.1,3.5,red\n" * 100
PACKED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", PACKED),
        (" GZIP ", PACKED),
        ("deflate", zlib.compress(BODY)),
    ],
)
def test_a_body_is_passed_on_without_its_content_coding(coding: str, body: bytes) -> None:
    assert decompressed(body, coding) == BODY


@pytest.mark.parametrize(
    ("coding", "body", "response"),
    [
        ("br", BODY, "UNSUPPORTED_MEDIA_TYPE"),
        ("gzip", BODY, "UNSUPPORTED_MEDIA_TYPE"),
        ("gzip", PACKED[:-5], "UNSUPPORTED_MEDIA_TYPE"),
        ("gzip", gzip.compress(b"0" * (PAYLOAD_BYTES + 1), mtime=0), "REQUEST_TOO_LARGE"),
    ],
    ids=["another coding", "no gzip", "cut gzip", "too large"],
)
def test_a_body_that_cannot_be_decompressed_gets_the_response_of_the_gateway(
    coding: str, body: bytes, response: str
) -> None:
    with pytest.raises(NotDecompressed, match=response):
        decompressed(body, coding)
