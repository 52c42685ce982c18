"""Taking connections, all that wait at a time.

The loop's own server takes one connection in each of its rounds. Under load a round lasts as long
as everything that is under way on the open connections, so that whoever opens a new one for each
request, as most vendors do, would wait for seconds or for ever behind those who keep theirs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

BACKLOG = 2048
AT_ONCE = 500
OUT_OF_FILES_PAUSE_S = 0.2


class Listener:
    """Takes the connections of one socket; with the methods of a server that uvicorn calls."""

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        make_room: Callable[[], bool],
    ) -> None:
        """`make_room` ends a connection that can be spared, when no more files can be opened."""
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._make_protocol = make_protocol
        self._make_room = make_room
        self._tasks: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        listening.listen(BACKLOG)
        self._loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._listening)
        if self._pause is not None:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        """Wait for connections that are just being taken."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                taken, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait_for_files(error)
                return
            taken.setblocking(False)
            task: asyncio.Task[object] = self._loop.create_task(
                self._loop.connect_accepted_socket(self._make_protocol, taken)
            )
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(task.exception(), OSError):
            log.info("connection_not_taken", error=str(task.exception()))

    def _wait_for_files(self, error: OSError) -> None:
        """Asking again at once would be all that this process does."""
        log.warning("connections_cannot_be_taken", error=error.strerror)
        self._make_room()
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(OUT_OF_FILES_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._listening, self._accept)
