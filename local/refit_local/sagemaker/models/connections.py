"""A pool of kept-open connections to one model server, for the event loop that serves requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httptools

_MAX_IDLE = 64


@dataclass(frozen=True)
class ModelServerResponse:
    """What a model server answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class ServerGone(ConnectionError):
    """When the server cannot be reached or hangs up before it has answered."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.usable = True
        self.begun = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ModelServerResponse] | None = None
        self._reset()

    def send(self, request: bytes) -> asyncio.Future[ModelServerResponse]:
        """Send a request; the future is its answer."""
        self._reset()
        self._waiter = asyncio.get_running_loop().create_future()
        if self._transport is None or self._transport.is_closing():
            self._fail("the connection is closed")
        else:
            self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        """Hang up."""
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio: hung up."""
        self.usable = False
        self._fail(str(exc or "the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came in."""
        self.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.close()
            self._fail(f"the server's answer is not HTTP: {error}")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Httptools: a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Httptools: a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Httptools: the answer is whole."""
        self.usable = self.usable and self._parser.should_keep_alive()
        if self._waiter is not None and not self._waiter.done():
            status = self._parser.get_status_code()
            self._waiter.set_result(
                ModelServerResponse(status, self._headers, b"".join(self._body))
            )

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.begun = False

    def _fail(self, reason: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ServerGone(reason))


@dataclass
class ConnectionPool:
    """Connections to 127.0.0.1:port. Used on one event loop, closed from any thread."""

    port: int
    _idle: list[_Connection] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None
    _closed: bool = False

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> ModelServerResponse:
        """Post a body and wait for the answer.

        A kept connection that the server has meanwhile closed is replaced once: nothing of the
        request was answered then.

        Raises:
            ServerGone: when there is no answer.
        """
        self._loop = asyncio.get_running_loop()
        lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(body)}", "", ""]
        request = "\r\n".join(lines).encode("latin-1") + body
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                try:
                    return await self._exchange(connection, request)
                except ServerGone:
                    if connection.begun:
                        raise
        return await self._exchange(await self._connected(), request)

    def close(self) -> None:
        """Hang up all idle connections, and the busy ones when they are done."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close_idle)

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", self.port)
        except OSError as error:
            raise ServerGone(str(error)) from error
        return connection

    async def _exchange(self, connection: _Connection, request: bytes) -> ModelServerResponse:
        answered = False
        try:
            answer = await connection.send(request)
            answered = True
            return answer
        finally:
            # A cancelled exchange (a timeout) leaves an answer under way: never reuse it.
            keep = answered and connection.usable and not self._closed
            if keep and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    def _close_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()
