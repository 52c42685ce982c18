"""Serves twins over HTTP until told to end: sockets, signals, cut connections."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from examples.twins.assembly import assemble
from examples.twins.twin import Twin

PARENT_CHECK_S = 0.5
GRACE_S = 1
# Longer than any client keeps a connection, so that none is closed under a call.
KEEP_ALIVE_S = 300


@dataclass(slots=True)
class Connections:
    """Open connections by the client's address, so that one can be cut."""

    _open: dict[tuple[str, int], asyncio.Transport] = field(default_factory=dict)

    def enter(self, transport: asyncio.Transport) -> None:
        """Remember a connection that was accepted."""
        self._open[transport.get_extra_info("peername")[:2]] = transport

    def leave(self, transport: asyncio.Transport) -> None:
        """Forget a connection that ended."""
        self._open = {peer: kept for peer, kept in self._open.items() if kept is not transport}

    def cut(self, scope: Scope) -> None:
        """End the connection of this call; what was sent already still arrives."""
        host, port = scope["client"]
        self._open[host, port].close()


class _Server(uvicorn.Server):
    """Announces its address on stdout; leaves signals to `serve_twins`."""

    def __init__(self, config: uvicorn.Config, *, name: str, url: str) -> None:
        super().__init__(config)
        self._announcement = {"twin": name, "url": url}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps(self._announcement), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _protocol_for(connections: Connections) -> type[HttpToolsProtocol]:
    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
            connections.enter(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.leave(self.transport)
            super().connection_lost(exc)

    return Protocol


def bind(host: str, port: int) -> socket.socket:
    """A listening address; port 0 takes any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only with the protocol named are small answers sent at once, not 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _server_for(twin: Twin, listener: socket.socket) -> _Server:
    connections = Connections()
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        assemble(twin, connections.cut),
        http=_protocol_for(connections),
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    shown = f"[{host}]" if ":" in host else host
    return _Server(config, name=twin.name, url=f"http://{shown}:{port}")


async def serve_twins(twins: Sequence[tuple[Twin, socket.socket]], *, parent: int | None) -> None:
    """Serve until SIGTERM or SIGINT, or until `parent` is not the parent process any more."""
    servers = [_server_for(twin, listener) for twin, listener in twins]

    def end() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, end)
    watch = asyncio.create_task(_watch_parent(parent, end)) if parent else None
    await asyncio.gather(
        *(server.serve([listener]) for server, (_, listener) in zip(servers, twins, strict=True))
    )
    if watch is not None:
        watch.cancel()


async def _watch_parent(parent: int, end: Callable[[], None]) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing announces a parent's end
        await asyncio.sleep(PARENT_CHECK_S)
    end()
