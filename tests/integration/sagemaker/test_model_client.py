"""Invocations reach a model server over kept-alive connections."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from refit_local.sagemaker.endpoints.model_client import ModelServerClient, ModelServerUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nX-Mark: A\r\nContent-Length: 4\r\n\r\n0.5\n"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[tuple[ModelServerClient, int]]:
    connections: list[asyncio.Task[None] | None] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        await serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    client = ModelServerClient()
    try:
        yield client, server.sockets[0].getsockname()[1]
    finally:
        client.close()
        await asyncio.gather(*(task for task in connections if task is not None))
        server.close()
        await server.wait_closed()


async def read_request(reader: asyncio.StreamReader, body_bytes: int) -> tuple[list[str], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head.decode().strip().split("\r\n"), await reader.readexactly(body_bytes)


def test_a_server_gets_only_the_headers_of_the_invocation() -> None:
    async def run() -> None:
        requests = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append(await read_request(reader, 3))
            writer.write(ANSWER)
            await writer.drain()
            await reader.read()

        async with serving(serve) as (client, port):
            response = await client.post(port, "/invocations", {"accept": "text/csv"}, b"1,2")
        assert (response.status, response.body) == (200, b"0.5\n")
        assert response.headers["x-mark"] == "A"
        ((head, body),) = requests
        assert head[0] == "POST /invocations HTTP/1.1"
        names = {line.partition(":")[0].lower() for line in head[1:]}
        assert names == {"host", "accept", "content-length"}
        assert body == b"1,2"

    asyncio.run(run())


def test_later_invocations_use_the_same_connection() -> None:
    async def run() -> None:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            for _ in range(3):
                await read_request(reader, 1)
                writer.write(ANSWER)
                await writer.drain()
            await reader.read()

        async with serving(serve) as (client, port):
            for _ in range(3):
                await client.post(port, "/invocations", {}, b"1")
        assert connections == 1

    asyncio.run(run())


def test_a_connection_that_closes_without_an_answer_is_an_error() -> None:
    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader, 1)

        async with serving(serve) as (client, port):
            with pytest.raises(ModelServerUnavailable):
                await client.post(port, "/invocations", {}, b"1")

    asyncio.run(run())


def test_a_port_without_a_server_is_an_error() -> None:
    async def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        client = ModelServerClient()
        with pytest.raises(ModelServerUnavailable):
            await client.post(port, "/invocations", {}, b"1")
        client.close()
        await asyncio.sleep(0.05)

    asyncio.run(run())


def test_a_late_answer_is_not_the_answer_of_the_next_invocation() -> None:
    async def run() -> None:
        first = True

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal first
            await read_request(reader, 1)
            late, first = first, False
            if late:
                await asyncio.sleep(0.2)
                writer.write(ANSWER.replace(b"0.5", b"0.1"))
            else:
                writer.write(ANSWER)
            await reader.read()

        async with serving(serve) as (client, port):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.post(port, "/invocations", {}, b"1")
            response = await client.post(port, "/invocations", {}, b"2")
            assert response.body == b"0.5\n"

    asyncio.run(run())
