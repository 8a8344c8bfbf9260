"""A connection that its client has closed takes no socket of the server any longer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil
from stack_under_test import until

if TYPE_CHECKING:
    from stack_under_test import LocalAws

CONNECTIONS = 10


def closed_by_a_client(port: int) -> int:
    """Send requests on connections of their own, and close these; return the last client port."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /_ministack/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        return int(client.getsockname()[1])


def test_a_connection_that_its_client_closes_is_closed_before_the_keep_alive_timeout(
    aws: LocalAws,
) -> None:
    ports = {closed_by_a_client(aws.port) for _ in range(CONNECTIONS)}

    def are_closed() -> bool:
        return not any(
            connection.status == psutil.CONN_CLOSE_WAIT
            and connection.laddr.port == aws.port
            and connection.raddr.port in ports
            for connection in psutil.net_connections("tcp")
        )

    until(are_closed)
