"""The composition root of the HTTP face: a socket, the door, the API, and uvicorn around them."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

from schemas.clock import utc_now
from service.afterwards import Afterwards
from service.db import Database
from service.door import Door
from service.errors import ConfigurationError
from service.queue import Queue
from service.secretbox import SecretBox
from service.settings import Settings
from service.vendors import BY_NAME
from service.web import health
from service.web.connections import SHARED, Shared, allow_many_files
from service.web.front import App, Application
from service.web.health import HealthFace
from service.web.http_protocol import BoundedHttp
from service.web.listening import Listener

GRACE_SHARE = 0.8
"""How much of the time to stop in requests under way may take; the rest is for closing the door."""

OBJECTS_A_COLLECTION = 20_000
"""Python looks for garbage in circles after every 700 new objects: a dozen deliveries, which leave
none. Looking was a twentieth of what receiving costs."""


TICK_S = 1.0
"""How often answers have a new date."""
TICKS = round(TICK_S * 10)
"""The same, in those of uvicorn."""


class Server(uvicorn.Server):
    """Uvicorn that says when it has begun to take requests, and when it takes no more.

    It is woken by the signal to stop, and does not ask for it ten times a second.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self._wake: Callable[[], object] = lambda: None

    async def main_loop(self) -> None:
        """Keep the date of answers until a signal comes."""
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(woken.set)
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += TICKS
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), TICK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal, and wake the loop."""
        super().handle_exit(sig, frame)
        self._wake()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets=[])
        if not self.started:
            return
        shared: Shared = self.lifespan.state[SHARED]
        make_room = shared.connections.make_room
        for one in sockets or ():
            try:
                listener: Any = Listener(one, self._make_protocol, make_room)
            except OSError as error:  # another process has begun at the same moment
                host, port = one.getsockname()[:2]
                raise _cannot_listen(host, port, error) from error
            self.servers.append(listener)
        self._on_ready()

    def _make_protocol(self) -> BoundedHttp:
        return BoundedHttp(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell, then stop."""
        self._on_stopping()
        await super().shutdown(sockets=sockets)


def make_application(
    settings: Settings, database: Database, queue: Queue, afterwards: Afterwards
) -> Application:
    """Make the door; API and pages are made afterwards, and requests to them wait until then.

    Raises ConfigurationError when there is no secret key.
    """
    box = SecretBox(settings.required_secret_keys())

    def make_behind() -> App:
        from service.web.app import create_behind  # noqa: PLC0415  # half of what a start costs
        from service.web.deps import Parts  # noqa: PLC0415

        return create_behind(Parts(settings, database, queue))

    return Application(
        Door(database, queue, BY_NAME, box),
        HealthFace(health.Parts(database, queue, utc_now)),
        afterwards.add(make_behind),
    )


def listen(settings: Settings) -> socket.socket:
    """Open the listening socket. Raises ConfigurationError when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        raise _cannot_listen(settings.host, settings.port, error) from error
    return opened


def _cannot_listen(host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"cannot listen on {host}:{port}: {error.strerror or error}",
        hint="set HOOKWRIGHT_PORT (or HOOKWRIGHT_HOST) to another address",
    )


def serve(
    application: Application,
    settings: Settings,
    listening: socket.socket,
    *,
    on_ready: Callable[[], None],
    on_stopping: Callable[[], None] = lambda: None,
) -> bool:
    """Serve until SIGTERM or SIGINT, finish what is under way, and return.

    Gives False when the start failed. Takes at most `settings.shutdown_seconds` to finish;
    `on_stopping` is called when that time begins, for what has to stop in the same time.
    """
    allow_many_files()
    gc.set_threshold(OBJECTS_A_COLLECTION)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds * GRACE_SHARE)),
    )
    server = Server(config, on_ready, on_stopping)

    def stop(_number: int, _frame: FrameType | None) -> None:
        # Heard before uvicorn listens to signals, and once more after it has finished: it raises
        # them again for whoever handled them before. We have yet to stop the workers and close the
        # database, so they must not end the process.
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(OSError):
            listening.close()
    return server.started
