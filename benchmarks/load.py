"""Generate load for one server over N connections, each of which sends one request at a time.

The generator is an asyncio protocol with prepared requests, so that it uses little CPU time of the
cores that it shares with the server. It prints one JSON object.
"""

import argparse
import asyncio
import json
import re
import time
from itertools import cycle
from pathlib import Path

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class LoadConnection(asyncio.Protocol):
    def __init__(self, requests, latencies):
        self._requests = requests
        self._latencies = latencies
        self._buffer = b""
        self._total_bytes = 0

    def connection_made(self, transport):
        self._transport = transport
        self._send()

    def data_received(self, data):
        self._buffer += data
        if not self._total_bytes:
            head, separator, _ = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 200 " not in head[:16]:
                raise SystemExit(f"the server responded {head[:200]!r}")
            self._total_bytes = len(head) + 4 + int(_LENGTH.search(head)[1])
        if len(self._buffer) >= self._total_bytes:
            self._latencies.append(time.perf_counter() - self._sent_s)
            self._buffer = b""
            self._total_bytes = 0
            self._send()

    def _send(self):
        self._sent_s = time.perf_counter()
        self._transport.write(next(self._requests))


async def load(port, connections, seconds, bodies):
    requests = cycle(
        b"POST /invocations HTTP/1.1\r\nHost: benchmark\r\nContent-Type: text/csv\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        for body in bodies
    )
    latencies = []
    loop = asyncio.get_running_loop()
    clients = [
        await loop.create_connection(lambda: LoadConnection(requests, latencies), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(min(1.0, seconds / 2))
    warming_up = len(latencies)
    latencies.clear()
    start_s = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed_s = time.perf_counter() - start_s
    measured = sorted(latencies)
    for transport, _ in clients:
        transport.abort()
    return {
        "responses": warming_up + len(measured),
        "requests_per_s": len(measured) / elapsed_s,
        "p50_ms": measured[len(measured) // 2] * 1e3,
        "p99_ms": measured[len(measured) * 99 // 100] * 1e3,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("rows", type=Path, help="a CSV file; each line is the body of a request")
    options = parser.parse_args()
    lines = options.rows.read_bytes().splitlines()
    print(json.dumps(asyncio.run(load(options.port, options.connections, options.seconds, lines))))
