"""How long a connection waits for the other side: to read what we sent, and to ask for more."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

READ_TIMEOUT_S = 10.0
"""How long a client may leave what we send unread."""


class PatientHttp(HttpToolsProtocol):
    """Uvicorn's connection, ended when its other side has done nothing for too long."""

    __slots__ = ("_read_timer", "_rested_at", "_unread")

    read_timeout_s = READ_TIMEOUT_S

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin a connection; called by uvicorn."""
        super().__init__(config, server_state, app_state, _loop)
        self._unread = 0
        self._read_timer: asyncio.TimerHandle | None = None
        self._rested_at = 0.0
        """Since when nothing is asked here; 0.0 while something is."""

    def end_now(self) -> None:
        """Cut the connection off, whatever is under way on it."""
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._unset_read_timer()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def _hang_up(self) -> None:
        self.transport.close()
        self._expect_reading()

    # --- until what we sent is read -------------------------------------------------------------

    def _expect_reading(self) -> None:
        self._unset_read_timer()
        self._unread = self.transport.get_write_buffer_size()
        self._read_timer = self.loop.call_later(self.read_timeout_s, self._look_at_reading)

    def _look_at_reading(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._expect_reading()
        else:
            self.end_now()

    def _unset_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    # --- until the next request -----------------------------------------------------------------

    def _rest(self) -> None:
        """Wait for the next request from now on."""
        self._rested_at = self.loop.time()
        # One timer that looks when it is due costs less than one for each request.
        if self.timeout_keep_alive_task is None:
            self._expect_request(self.timeout_keep_alive)

    def _expect_request(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _unset_keepalive_if_required(self) -> None:
        self._rested_at = 0.0

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing more is asked."""
        self.timeout_keep_alive_task = None
        if not self._rested_at or self.transport.is_closing():
            return
        left = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._expect_request(left)
        else:
            self._hang_up()
