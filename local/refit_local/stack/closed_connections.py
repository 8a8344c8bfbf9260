"""HTTP: close a connection as soon as its client has closed it.

Hypercorn keeps such a connection, and its socket in CLOSE-WAIT, until its keep-alive timeout: the
task that waits for the timeout is in the group whose end closes the connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypercorn.asyncio.run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Updated

if TYPE_CHECKING:
    from hypercorn.events import Event


class ClosingServer(TCPServer):
    """One connection, which does not wait for another request of a client that has closed it."""

    async def protocol_send(self, event: Event) -> None:
        """Pass an event on, unless it starts to wait for a request that cannot come."""
        if isinstance(event, Updated) and event.idle and self.reader.at_eof():
            return
        await super().protocol_send(event)

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


def install() -> None:
    """Let Hypercorn use such connections."""
    hypercorn.asyncio.run.TCPServer = ClosingServer  # type: ignore[attr-defined]
