"""A load generator for machines without wrk: keep-alive connections, one request after another.

Run as a process of its own on a processor of its own:
`python -m bench.load PORT PATH CONNECTIONS SECONDS` prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count
from typing import cast
from uuid import uuid4

import uvloop

from bench.payload import BODY, HEADERS, ID_HEADER

GRACE_S = 10.0
STATUS_AT = slice(9, 12)


class Sender(asyncio.Protocol):
    """One connection. The next request leaves when the whole answer is there."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self.closed: asyncio.Future[None] = load.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer and send the next request."""
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or len(rest) < _length(head):
            return
        self._load.statuses[self._received[STATUS_AT].decode()] += 1
        self._load.times.append(time.perf_counter() - self._sent_at)
        self._received = b""
        if time.perf_counter() < self._load.end and b"connection: close" not in head.lower():
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell that this connection has ended."""
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._load.next_request())


class Load:
    """What the connections share."""

    def __init__(self, port: int, path: str, seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.statuses: Counter[str] = Counter()
        self.times: list[float] = []
        self.end = time.perf_counter() + seconds
        self._numbers = count()
        self._head = "".join(
            [
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n",
                *(f"{name}: {value}\r\n" for name, value in HEADERS),
                f"Content-Length: {len(BODY)}\r\n{ID_HEADER}: {uuid4()}-",
            ]
        ).encode()

    def next_request(self) -> bytes:
        """Give the next request, with an id of its own."""
        return b"%b%d\r\n\r\n%b" % (self._head, next(self._numbers), BODY)


def _length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0] or 0)


async def _run(port: int, path: str, connections: int, seconds: float) -> Load:
    load = Load(port, path, seconds)
    senders = [
        (await load.loop.create_connection(lambda: Sender(load), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.wait([sender.closed for sender in senders], timeout=seconds + GRACE_S)
    return load


def main() -> None:
    """Send, and print what came back."""
    port, path, connections, seconds = sys.argv[1:]
    began = time.perf_counter()
    load = uvloop.run(_run(int(port), path, int(connections), float(seconds)))
    took = time.perf_counter() - began
    times = sorted(load.times)
    print(
        json.dumps(
            {
                "seconds": took,
                "statuses": load.statuses,
                "p50_ms": times[len(times) // 2] * 1000,
                "p99_ms": times[len(times) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
