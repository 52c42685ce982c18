"""A load generator for machines without wrk: keep-alive connections, one request after another.

Run as a process of its own: `python -m bench.load FILE`, with what to send in the JSON that
bench/loading.py writes. It prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import uvloop

from bench.payload import ID_HEADER

GRACE_S = 10.0
STATUS_AT = slice(9, 12)


class Sender(asyncio.Protocol):
    """One connection. The next request leaves when the whole answer is there."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._received = b""
        self._sent_at = 0.0
        self.closed: asyncio.Future[None] = sending.loop.create_future()

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
        self._sending.statuses[int(self._received[STATUS_AT])] += 1
        self._sending.times.append(time.perf_counter() - self._sent_at)
        self._received = b""
        if b"connection: close" not in head.lower() and self._sending.wants_more():
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell that this connection has ended."""
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._sending.next_request())


class Sending:
    """What the connections share."""

    def __init__(self, what: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.statuses: Counter[int] = Counter()
        self.times: list[float] = []
        self.end: float = time.perf_counter() + what["seconds"]
        self._most = what["requests"]
        self._sent = 0
        self._numbers = count()
        self._body = what["body"].encode()
        self._head = "".join(
            [
                f"POST {what['path']} HTTP/1.1\r\nHost: 127.0.0.1:{what['port']}\r\n",
                *(f"{name}: {value}\r\n" for name, value in what["headers"]),
                f"Content-Length: {len(self._body)}\r\n{ID_HEADER}: {uuid4()}-",
            ]
        ).encode()

    def wants_more(self) -> bool:
        """Say whether another request is to be sent; asked before each but the first."""
        if self._most is not None and self._sent >= self._most:
            return False
        return time.perf_counter() < self.end

    def next_request(self) -> bytes:
        """Give the next request, with an id of its own."""
        self._sent += 1
        return b"%b%d\r\n\r\n%b" % (self._head, next(self._numbers), self._body)


def _length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0] or 0)


async def _run(what: dict[str, Any]) -> Sending:
    sending = Sending(what)
    senders = [
        (await sending.loop.create_connection(lambda: Sender(sending), "127.0.0.1", what["port"]))[
            1
        ]
        for _ in range(what["connections"])
    ]
    await asyncio.wait([sender.closed for sender in senders], timeout=what["seconds"] + GRACE_S)
    return sending


def main() -> None:
    """Send, and print what came back."""
    what = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    began = time.perf_counter()
    sending = uvloop.run(_run(what))
    took = time.perf_counter() - began
    times = sorted(sending.times)
    good = sum(number for status, number in sending.statuses.items() if 200 <= status < 300)
    unproven = sending.statuses[401]
    print(
        json.dumps(
            {
                "seconds": took,
                "good": good,
                "unproven": unproven,
                "others": sending.statuses.total() - good - unproven,
                "p50_ms": times[len(times) // 2] * 1000,
                "p99_ms": times[len(times) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
