"""One HTTP connection of the model server: parse requests, respond in their order.

HTTP/1.0 and 1.1 with keep-alive, pipelining, chunked bodies and `Expect: 100-continue`. A malformed
request gets an error response, and the connection is closed.

The HTTP server is our own because it answers more than a quarter more requests than the fastest
ASGI server (uvicorn) with the same scorer and batches: 9,113 against 6,698 a second at 8
connections, 12,093 against 9,112 at 64, with 0.7 times the CPU time (benchmarks/README.md,
"Serving").
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Protocol

import httptools

from refit_local.algorithms.xgboost.serving.http_messages import (
    RequestHead,
    ServerResponse,
    encode_response,
    path_of,
)

_MAX_URL_BYTES = 8 * 1024
_MAX_HEADER_BYTES = 64 * 1024
# With this many responses pending, no more requests of the client are read.
_MAX_PIPELINED = 128
# After an error response the connection stays open this long. Closing it at once would reset a
# client that is still sending, before the client has read the response.
_LINGER_S = 2.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_USED_HEADERS = frozenset({b"content-type", b"accept", b"expect", b"content-length"})


class HttpApplication(Protocol):
    """What the connections call."""

    max_body_bytes: int
    is_closing: bool
    connections: set["HttpConnection"]

    def handle(
        self, head: RequestHead, body: bytes, deliver: Callable[[ServerResponse], None]
    ) -> None:
        """Respond to one request by calling `deliver`, at once or later."""

    def takes_body(self, head: RequestHead) -> bool:
        """Whether the body of this request is read; if not, it is discarded while it arrives."""


class _PendingResponse:
    """One response in the order of a connection's responses; `data` is None until it is ready."""

    __slots__ = ("data", "is_last", "linger_s")

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data
        self.is_last = False
        self.linger_s = 0.0


class HttpConnection(asyncio.Protocol):
    """The protocol of one client. httptools calls its `on_…` methods."""

    def __init__(self, application: HttpApplication) -> None:
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._pending: deque[_PendingResponse] = deque()
        self._head = RequestHead()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._takes_body = False
        self._in_request = False
        self._is_done_reading = False
        self._can_write = True
        self.last_active_s = self._loop.time()

    @property
    def has_pending_responses(self) -> bool:
        return bool(self._pending)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._application.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_done_reading = True
        self._pending.clear()
        self._application.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._is_done_reading:
            return
        self.last_active_s = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError):
            self._fail(HTTPStatus.BAD_REQUEST)

    def eof_received(self) -> bool:
        """Keep the connection open while a client that has ended its side awaits responses."""
        self._is_done_reading = True
        if self._pending:
            self._pending[-1].is_last = True
        return bool(self._pending)

    def pause_writing(self) -> None:
        self._can_write = False
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._can_write = True
        self._adjust_reading()

    def on_message_begin(self) -> None:
        if self._is_done_reading:
            return
        self._head = RequestHead()
        self._body = []
        self._body_bytes = 0
        self._in_request = True

    def on_url(self, url: bytes) -> None:
        self._head.url += url
        if len(self._head.url) > _MAX_URL_BYTES:
            self._fail(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        head = self._head
        head.header_bytes += len(name) + len(value)
        if head.header_bytes > _MAX_HEADER_BYTES:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        key = name.lower()
        if key in _USED_HEADERS:
            text = value.decode("latin-1")
            if key == b"accept" and key in head.headers:
                text = f"{head.headers[key]},{text}"
            head.headers[key] = text

    def on_headers_complete(self) -> None:
        if self._is_done_reading:
            return
        head = self._head
        head.method = self._parser.get_method().decode("latin-1")
        head.is_http_1_0 = self._parser.get_http_version() == "1.0"
        head.path = path_of(head.url)
        if self._parser.should_upgrade():
            self._fail(HTTPStatus.BAD_REQUEST)
            return
        self._takes_body = self._application.takes_body(head)
        length = head.headers.get(b"content-length", "0")
        if self._takes_body and int(length) > self._application.max_body_bytes:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif head.headers.get(b"expect", "").lower() == "100-continue" and not head.is_http_1_0:
            self._pending.append(_PendingResponse(_CONTINUE))
            self._send_ready()

    def on_body(self, body: bytes) -> None:
        if self._is_done_reading or not self._takes_body:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._application.max_body_bytes:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        if self._is_done_reading:
            return
        self._in_request = False
        pending = _PendingResponse()
        pending.is_last = not self._parser.should_keep_alive()
        self._pending.append(pending)
        if pending.is_last:
            self._is_done_reading = True
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._application.handle(self._head, body, partial(self._deliver, pending, self._head))
        self._adjust_reading()

    def close_after_responses(self) -> None:
        """Read no further request; close when every request received has its response.

        A request that is still arriving is received to its end first.
        """
        if self._in_request:
            return
        self._is_done_reading = True
        if self._pending:
            self._pending[-1].is_last = True
        else:
            self._transport.close()

    def time_out(self) -> None:
        """End an idle connection."""
        if self._in_request:
            self._fail(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection without a response."""
        self._transport.abort()

    def _deliver(
        self, pending: _PendingResponse, head: RequestHead, response: ServerResponse
    ) -> None:
        if self._application.is_closing and not self._in_request and self._pending:
            pending.is_last = pending.is_last or pending is self._pending[-1]
        pending.data = encode_response(response, head, is_last=pending.is_last)
        self._send_ready()

    def _send_ready(self) -> None:
        """Send the responses that are ready, up to the first that is not."""
        pending = self._pending
        if self._transport.is_closing():
            pending.clear()
            return
        ready = []
        last = None
        while pending and (data := pending[0].data) is not None and last is None:
            response = pending.popleft()
            ready.append(data)
            last = response if response.is_last else None
        if ready:
            self.last_active_s = self._loop.time()
            self._transport.write(b"".join(ready))
        if last is None:
            self._adjust_reading()
        elif last.linger_s:
            self._loop.call_later(last.linger_s, self._transport.close)
        else:
            self._transport.close()

    def _fail(self, status: HTTPStatus) -> None:
        """Respond to a request that cannot be read to its end, and stop reading."""
        if self._is_done_reading:
            return
        self._is_done_reading = True
        self._in_request = False
        pending = _PendingResponse(
            encode_response(ServerResponse(status), self._head, is_last=True)
        )
        pending.is_last = True
        pending.linger_s = _LINGER_S
        self._pending.append(pending)
        self._send_ready()

    def _adjust_reading(self) -> None:
        if self._transport.is_closing():
            return
        if self._can_write and len(self._pending) < _MAX_PIPELINED:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
