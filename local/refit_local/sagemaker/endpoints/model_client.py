"""Send invocations to model servers over kept-alive connections.

The client is aiohttp: InvokeEndpoint costs 680 to 970 µs of CPU time with it, 1,816 to 4,810 µs
with httpx (benchmarks/README.md, "Serving").
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp

# aiohttp would add these; the container gets only the headers of the invocation.
_NO_AUTOMATIC_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class ModelServerResponse:
    """The answer of a model server; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class ModelServerUnavailable(ConnectionError):
    """When a model server cannot be reached or closes the connection before it has answered."""


class ModelServerClient:
    """Posts to model servers on 127.0.0.1. Used on one event loop, closed from any thread."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(
        self, port: int, path: str, headers: dict[str, str], body: bytes
    ) -> ModelServerResponse:
        """Post a body and return the answer. The caller limits the time.

        Raises:
            ModelServerUnavailable: when there is no answer.
        """
        try:
            async with self._open_session().post(
                f"http://127.0.0.1:{port}{path}", data=body, headers=headers, allow_redirects=False
            ) as response:
                return ModelServerResponse(
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                    await response.read(),
                )
        except aiohttp.ClientError as error:
            raise ModelServerUnavailable(str(error)) from error

    def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None and self._loop is not None and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(session.close(), self._loop)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._loop = asyncio.get_running_loop()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_NO_AUTOMATIC_HEADERS,
            )
        return self._session
