"""A TCP proxy between two processes whose connections can be cut, refused, frozen and delayed.

It knows nothing of what flows. A predicate of the caller's can tell when a connection is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 65536
# Backpressure: a side that does not read holds up the other soon, as without a proxy.
BUFFER_BYTES = 4 * CHUNK_BYTES
CALL_S = 10.0
# With this a closed socket sends a reset, and nothing that was not sent yet.
RESET = struct.pack("ii", 1, 0)
# What ends a COMMIT of PostgreSQL's protocol, whether as a simple query or a parsed statement.
COMMIT = b"COMMIT\0"
# PostgreSQL's Sync, which ends every statement of the extended protocol outside a pipeline.
SYNC = b"S\0\0\0\4"

T = TypeVar("T")

Predicate = Callable[[bytes], bool]


def commits(data: bytes) -> bool:
    """Say whether a client of PostgreSQL sends a COMMIT in this."""
    return COMMIT in data


def executes(data: bytes) -> bool:
    """Say whether a client of PostgreSQL sends statements and waits for their outcome."""
    return data.endswith(SYNC)


@dataclass
class _Cut:
    """An order to cut the connection that a predicate finds, `left` times."""

    to_server: Predicate | None
    from_server: Predicate | None
    answered: bool
    left: int

    def takes(self, data: bytes, *, upward: bool) -> bool:
        predicate = self.to_server if upward else self.from_server
        if self.left == 0 or predicate is None or not predicate(data):
            return False
        self.left -= 1
        return True


@dataclass(eq=False)
class _Connection:
    """One connection: the two halves, and whether the server's next answer is its end."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    doomed: bool = False
    pumps: list[asyncio.Task[None]] = field(default_factory=list)

    def reset(self) -> None:
        for half in (self.client, self.server):
            if half is not None:
                _reset(half)
        for pump in self.pumps:
            pump.cancel()


class Proxy:
    """Forwards every connection made to `port` to another port of this machine.

    Use as a context manager, or call `close`. All methods are called from any thread but its own.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.target_port = target_port
        self.cuts = 0
        # Bound and never listening: the port stays ours while connections to it are refused.
        self._holder = _bound(port)
        self.port: int = self._holder.getsockname()[1]
        self._connections: set[_Connection] = set()
        self._orders: list[_Cut] = []
        self._delay_s = 0.0
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"proxy-{target_port}", daemon=True
        )
        self._thread.start()
        self._call(self._listen())

    def cut(self) -> int:
        """Reset every connection, in both directions; new ones are taken. Gives how many."""
        return self._call(self._cut())

    def refuse(self) -> None:
        """Refuse new connections, as where nobody listens; those that are open stay."""
        self._call(self._refuse())

    def restore(self) -> None:
        """Take connections again, let all flow and at once; forget the orders to cut."""
        self._call(self._restore())

    def freeze(self) -> None:
        """Let nothing flow, in either direction: connections are made and stay silent."""
        self._call(self._set_flowing(flows=False))

    def thaw(self) -> None:
        """Let flow again; what was sent meanwhile arrives."""
        self._call(self._set_flowing(flows=True))

    def delay(self, seconds: float) -> None:
        """Hold all that is sent from now on for so long, in each direction; 0 for none."""
        self._delay_s = seconds

    def cut_after(
        self,
        to_server: Predicate | None = None,
        *,
        from_server: Predicate | None = None,
        answered: bool = True,
        times: int = 1,
    ) -> None:
        """Cut the next connections on which something is sent, once or `times` often.

        What `to_server` says yes to is forwarded. The server answers then, and instead of its
        answer the client gets a reset: it does not know what became of its request. With
        `answered=False` the connection is cut at once, whether or not the server did it.
        What `from_server` says yes to is not forwarded. A predicate is given what one read gave,
        at most 64 KiB. `cuts` counts those made.
        """
        self._orders.append(_Cut(to_server, from_server, answered, times))

    @property
    def connected(self) -> int:
        """The number of connections that are open."""
        return len(self._connections)

    def close(self) -> None:
        """End every connection and give the port back."""
        if self._loop.is_closed():
            return
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()
        self._holder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- in the proxy's own thread ----------------------------------------------------------

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._forward, sock=_bound(self.port), limit=BUFFER_BYTES, backlog=512
            )

    async def _refuse(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _restore(self) -> None:
        self._orders.clear()
        self._delay_s = 0.0
        self._flows.set()
        await self._listen()

    async def _set_flowing(self, *, flows: bool) -> None:
        if flows:
            self._flows.set()
        else:
            self._flows.clear()

    async def _cut(self) -> int:
        open_ = list(self._connections)
        for connection in open_:
            connection.reset()
        self.cuts += len(open_)
        return len(open_)

    async def _close(self) -> None:
        await self._refuse()
        self._flows.set()
        for connection in list(self._connections):
            connection.reset()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(writer)
        self._connections.add(connection)
        try:
            await self._flows.wait()
            if not writer.is_closing():
                await self._join(connection, reader)
        except OSError:  # the server is not there
            connection.reset()
        finally:
            self._connections.discard(connection)
            for half in (writer, connection.server):
                if half is not None:
                    half.close()

    async def _join(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        answers, server = await asyncio.open_connection(
            LOOPBACK, self.target_port, limit=BUFFER_BYTES
        )
        connection.server = server
        connection.pumps = [
            asyncio.create_task(self._pump(connection, reader, server, upward=True)),
            asyncio.create_task(self._pump(connection, answers, connection.client, upward=False)),
        ]
        await asyncio.wait(connection.pumps)

    async def _pump(
        self,
        connection: _Connection,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        *,
        upward: bool,
    ) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                await self._flows.wait()
                order = next((one for one in self._orders if one.takes(data, upward=upward)), None)
                if not upward and (connection.doomed or order is not None):
                    self._end(connection)
                    return
                target.write(data)
                await target.drain()
                if order is not None:
                    connection.doomed = True
                    if not order.answered:
                        self._end(connection)
                        return
            target.write_eof()
        except OSError:  # one end has gone: the other is told so
            connection.reset()

    def _end(self, connection: _Connection) -> None:
        self.cuts += 1
        connection.reset()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((LOOPBACK, port))
    bound.setblocking(False)
    return bound


def _reset(half: asyncio.StreamWriter) -> None:
    made = half.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it is closed already
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    half.transport.abort()
