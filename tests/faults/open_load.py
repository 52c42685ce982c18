"""Load that does not wait to be answered: so many requests a second, whatever comes back.

`python -m tests.faults.open_load PORT RATE SECONDS CONNECTIONS FILE` writes what came back as JSON.
RATE 0 sends the next request on each connection when the last was answered, as fast as that goes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import cast
from uuid import uuid4

import uvloop

from bench.payload import BODY, HEADERS, ID_HEADER

TICK_S = 0.004
TIMEOUT_S = 10.0
OPENING_AT_ONCE = 100


class Client(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._number: int | None = None
        self._sent_at = 0.0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for something to send."""
        self.transport = cast("asyncio.Transport", transport)
        self._load.connections.add(self)
        self._load.set_free(self)

    def send(self, number: int) -> None:
        """Send one delivery."""
        self._number = number
        self._sent_at = time.perf_counter()
        self.transport.write(b"%b%d\r\n\r\n%b" % (self._load.head, number, BODY))

    def is_late(self, now: float) -> bool:
        """Say whether an answer is overdue."""
        return self._number is not None and now - self._sent_at > TIMEOUT_S

    def data_received(self, data: bytes) -> None:
        """Count an answer."""
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0 or len(received) - end - 4 < _length(received[:end]):
            self._received = received
            return
        self._received = b""
        number, self._number = self._number, None
        if number is not None:
            took = time.perf_counter() - self._sent_at
            self._load.note(number, received[9:12].decode(), took)
        if b"connection: close" in received[:end].lower():
            self.transport.close()
        else:
            self._load.set_free(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count a request that is left without an answer."""
        self._load.connections.discard(self)
        if self._number is not None:
            self._load.statuses["cut"] += 1


class Load:
    """What the connections share."""

    def __init__(self, port: int, rate: float, seconds: float, connections: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.statuses: Counter[str] = Counter()
        self.times: list[float] = []
        self.stored: list[int] = []
        self.connections: set[Client] = set()
        self.name = str(uuid4())
        self._port = port
        self._rate = rate
        self._seconds = seconds
        self._most = connections
        self._opening = 0
        self._free: list[Client] = []
        self._next = 0
        self.head = "".join(
            [
                f"POST /hooks/github HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n",
                *(f"{name}: {value}\r\n" for name, value in HEADERS),
                f"Content-Length: {len(BODY)}\r\n{ID_HEADER}: {self.name}-",
            ]
        ).encode()

    def set_free(self, client: Client) -> None:
        """Take a connection that may send."""
        if self._rate == 0 and time.perf_counter() < self._end:
            self._send_on(client)
        else:
            self._free.append(client)

    def note(self, number: int, status: str, seconds: float) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        if status in {"200", "202"}:
            self.stored.append(number)
            self.times.append(seconds)

    async def run(self) -> None:
        """Send for so many seconds, and wait for what is under way."""
        self._end = time.perf_counter() + self._seconds
        if self._rate == 0:
            await asyncio.gather(*(self._open() for _ in range(self._most)))
            await asyncio.sleep(self._seconds)
        else:
            await self._send_at_rate()
        while any(client in self.connections for client in self._busy()):
            now = time.perf_counter()
            for client in list(self.connections):
                if client.is_late(now):
                    self.statuses["timeout"] += 1
                    self.connections.discard(client)
                    client.transport.abort()
            await asyncio.sleep(0.05)

    def _busy(self) -> list[Client]:
        return [client for client in self.connections if client._number is not None]

    async def _send_at_rate(self) -> None:
        began = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        while (now := time.perf_counter()) < self._end:
            due = int((now - began) * self._rate)
            while self._next < due and self._free:
                client = self._free.pop()
                if client in self.connections and not client.transport.is_closing():
                    self._send_on(client)
            for _ in range(min(OPENING_AT_ONCE, due - self._next)):
                if len(self.connections) + self._opening >= self._most:
                    break
                self._opening += 1
                task = self.loop.create_task(self._open())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(TICK_S)
        self.statuses["unsent"] = int(self._seconds * self._rate) - self._next

    def _send_on(self, client: Client) -> None:
        self._next += 1
        client.send(self._next)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self.loop.create_connection(lambda: Client(self), "127.0.0.1", self._port)
        except (OSError, TimeoutError):
            self.statuses["unconnected"] += 1
        finally:
            self._opening -= 1


def _length(head: bytes) -> int:
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0] or 0)


async def _run(port: int, rate: float, seconds: float, connections: int) -> Load:
    load = Load(port, rate, seconds, connections)
    await load.run()
    return load


def main() -> None:
    """Send, and write down what came back."""
    port, rate, seconds, connections, file = sys.argv[1:]
    load = uvloop.run(_run(int(port), float(rate), float(seconds), int(connections)))
    times = sorted(load.times) or [0.0]
    Path(file).write_text(
        json.dumps(
            {
                "name": load.name,
                "statuses": load.statuses,
                "stored": load.stored,
                "p50_ms": times[len(times) // 2] * 1000,
                "p99_ms": times[len(times) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    main()
