"""One HTTP connection: parse requests, answer them in their order.

HTTP/1.0 and 1.1 with keep-alive, pipelining, chunked bodies and `Expect: 100-continue`. A request
that breaks the rules gets its error, and the connection ends there.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote, urlsplit

import httptools

from refit_local.algorithms.xgboost.serving.routes import page
from refit_local.algorithms.xgboost.serving.scoring import Answer

_MAX_URL_BYTES = 8 * 1024
_MAX_HEADER_BYTES = 64 * 1024
# So many answers may be owed to one client before no more of its requests are read.
_MAX_PIPELINED = 128
# How long a client may go on sending what nobody reads, so that it gets to see why.
_LINGER_S = 2.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_KEPT_HEADERS = frozenset({b"content-type", b"accept", b"expect", b"content-length"})


class Application(Protocol):
    """What stands behind the connections."""

    max_body_bytes: int
    is_closing: bool
    connections: set["Connection"]

    def handle(self, head: "Head", body: bytes, deliver: Callable[[Answer], None]) -> None:
        """Answer one request through `deliver`, at once or later."""

    def takes_body(self, head: "Head") -> bool:
        """Whether the body of this request is wanted; if not it is dropped as it comes."""


class Head:
    """Method, path and the headers that matter of one request."""

    __slots__ = ("header_bytes", "headers", "is_old", "method", "path", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, str] = {}
        self.header_bytes = 0
        self.method = ""
        self.path = ""
        self.is_old = False


class _Slot:
    """The place of one answer in the order of a connection's answers."""

    __slots__ = ("data", "is_last", "linger_s")

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data
        self.is_last = False
        self.linger_s = 0.0


class Connection(asyncio.Protocol):
    """The protocol of one client; its `on_…` methods are called by httptools."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._slots: deque[_Slot] = deque()
        self._head = Head()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._wants_body = False
        self._in_request = False
        self._is_done_reading = False
        self._can_write = True
        self.last_active_s = self._loop.time()

    @property
    def owes_answers(self) -> bool:
        return bool(self._slots)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._application.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_done_reading = True
        self._slots.clear()
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
        self._is_done_reading = True
        if self._slots:
            self._slots[-1].is_last = True
        return bool(self._slots)

    def pause_writing(self) -> None:
        self._can_write = False
        self._adjust_reading()

    def resume_writing(self) -> None:
        self._can_write = True
        self._adjust_reading()

    def on_message_begin(self) -> None:
        if self._is_done_reading:
            return
        self._head = Head()
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
        if key in _KEPT_HEADERS:
            text = value.decode("latin-1")
            if key == b"accept" and key in head.headers:
                text = f"{head.headers[key]},{text}"
            head.headers[key] = text

    def on_headers_complete(self) -> None:
        if self._is_done_reading:
            return
        head = self._head
        head.method = self._parser.get_method().decode("latin-1")
        head.is_old = self._parser.get_http_version() == "1.0"
        head.path = _path(head.url)
        if self._parser.should_upgrade():
            self._fail(HTTPStatus.BAD_REQUEST)
            return
        self._wants_body = self._application.takes_body(head)
        length = head.headers.get(b"content-length", "0")
        if self._wants_body and int(length) > self._application.max_body_bytes:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif head.headers.get(b"expect", "").lower() == "100-continue" and not head.is_old:
            self._slots.append(_Slot(_CONTINUE))
            self._send_ready()

    def on_body(self, body: bytes) -> None:
        if self._is_done_reading or not self._wants_body:
            return
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > self._application.max_body_bytes:
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        if self._is_done_reading:
            return
        self._in_request = False
        slot = _Slot()
        slot.is_last = not self._parser.should_keep_alive()
        self._slots.append(slot)
        if slot.is_last:
            self._is_done_reading = True
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        self._application.handle(self._head, body, partial(self._deliver, slot, self._head))
        self._adjust_reading()

    def close_when_answered(self) -> None:
        """Read no further request; close once all that have begun have their answer."""
        if self._in_request:
            return
        self._is_done_reading = True
        if self._slots:
            self._slots[-1].is_last = True
        else:
            self._transport.close()

    def time_out(self) -> None:
        """End a connection on which nothing has come for long."""
        if self._in_request:
            self._fail(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Drop the client without an answer."""
        self._transport.abort()

    def _deliver(self, slot: _Slot, head: Head, answer: Answer) -> None:
        if self._application.is_closing and not self._in_request and self._slots:
            slot.is_last = slot.is_last or slot is self._slots[-1]
        slot.data = _encode(answer, head, is_last=slot.is_last)
        self._send_ready()

    def _send_ready(self) -> None:
        """Send the answers whose turn it is."""
        slots = self._slots
        if self._transport.is_closing():
            slots.clear()
            return
        ready = []
        last = None
        while slots and slots[0].data is not None and last is None:
            slot = slots.popleft()
            ready.append(slot.data)
            last = slot if slot.is_last else None
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
        """Answer what cannot be read to its end, and stop reading."""
        if self._is_done_reading:
            return
        self._is_done_reading = True
        self._in_request = False
        slot = _Slot(_encode(Answer(status), self._head, is_last=True))
        slot.is_last = True
        # To close at once would reset a client that is still sending, before it has read why.
        slot.linger_s = _LINGER_S
        self._slots.append(slot)
        self._send_ready()

    def _adjust_reading(self) -> None:
        if self._transport.is_closing():
            return
        if self._can_write and len(self._slots) < _MAX_PIPELINED:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()


def _encode(answer: Answer, head: Head, *, is_last: bool) -> bytes:
    body = page(answer.status) if answer.body is None else answer.body
    start = _first_lines(answer.status, answer.content_type, answer.allow, is_last, head.is_old)
    if answer.status is HTTPStatus.NO_CONTENT:
        return start + b"\r\n"
    content = b"" if head.method == "HEAD" else body
    return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(body), content)


@lru_cache(maxsize=256)
def _first_lines(
    status: HTTPStatus, content_type: str, allow: str | None, is_last: bool, is_old: bool
) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {content_type}"]
    if allow is not None:
        lines.append(f"Allow: {allow}")
    if is_last:
        lines.append("Connection: close")
    elif is_old:
        lines.append("Connection: keep-alive")
    return "\r\n".join([*lines, ""]).encode("latin-1")


def _path(url: bytes) -> str:
    text = url.decode("latin-1")
    if not text.startswith("/"):
        text = urlsplit(text).path
    return unquote(text.partition("?")[0])
