"""HTTP/1.1 as uvicorn speaks it, with bounds on what comes before and after a body.

Uvicorn's protocol takes a head (request line and headers) of any length and for as long as it
lasts, and the same after a chunked body; nobody is proven to be a sender by then. Bodies are
bounded where they are read. A wish to change the protocol (`Upgrade`) is passed over, as RFC 9110
section 7.8 allows: the parser alone would end such a request before its body.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
import structlog
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from schemas.ids import new_id
from service.door_answers import CLOSE, Refusal

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 15.0
"""How long a head may take from its first byte on."""
SILENCE_TIMEOUT_S = 30.0
"""How long a new connection may wait with its first head."""


class _HeadTooLargeError(Exception):
    """A head that came whole is above its bound."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. 431 for a head above 64 KiB, 408 for one that is not there in time."""

    head_timeout_s = HEAD_TIMEOUT_S
    silence_timeout_s = SILENCE_TIMEOUT_S

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin a connection; called by uvicorn."""
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        self._at_rest = True
        """Nothing of a next request has come."""
        self._ended_one = False
        """A request ended in the bytes that are being read."""
        self._got_on = False
        """These bytes completed a head or held a part of a body."""
        self._fed = 0
        self._uncounted = 0
        """Bytes of this head; past it, bytes since the last of its body."""
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a head."""
        super().connection_made(transport)
        self._expect_head(self.silence_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._unset_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._fed = len(data)
        self._ended_one = self._got_on = False
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as asked:
                self._pass_over_upgrade(memoryview(data)[asked.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLargeError):
                self._refuse_size()
            elif self._is_answering():
                self.transport.close()
            else:
                self.send_400_response("Invalid HTTP request received.")
            return
        if self._in_head and not self._at_rest:
            self._measure_head()
        elif not self._in_head and not self._got_on:  # chunk extensions and trailers
            self._uncounted += self._fed
            if self._uncounted > MAX_HEAD_BYTES:
                self._refuse_size()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._at_rest = False
        self._uncounted = 0
        self._unset_keepalive_if_required()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a head and begin to answer."""
        # The sum is only asked for when so many bytes came that it could be too much.
        if self._uncounted + self._fed > MAX_HEAD_BYTES:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                raise _HeadTooLargeError
        if self.parser.should_upgrade():
            return  # the parser ends here, and what came is read once more without the wish
        self._unset_head_timer()
        self._in_head = False
        self._got_on = True
        self._uncounted = 0
        super().on_headers_complete()
        self.headers = []  # for trailers, which nobody asks for: the scope keeps its own list

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._got_on = True
        self._uncounted = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._in_head:  # the parser ended before a body, see on_headers_complete
            return
        self._in_head = self._at_rest = self._ended_one = True
        super().on_message_complete()

    def _pass_over_upgrade(self, rest: memoryview) -> None:
        while True:
            method = self.parser.get_method()
            if method == b"CONNECT":  # asks for a tunnel without any header that could be left out
                raise httptools.HttpParserInvalidMethodError
            head = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
            head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"\r\n".join([*head, b"", b""]))
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as asked:
                rest = rest[asked.args[0] :]
            else:
                return

    def _measure_head(self) -> None:
        self._unset_keepalive_if_required()
        if self._uncounted == 0:
            self._expect_head(self.head_timeout_s)
        # Bytes that also hold the end of another request tell nothing about this one.
        self._uncounted += 1 if self._ended_one else self._fed
        if self._uncounted > MAX_HEAD_BYTES:
            self._refuse_size()

    def _expect_head(self, seconds: float) -> None:
        self._unset_head_timer()
        self._head_timer = self.loop.call_later(seconds, self._give_up_head)

    def _unset_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up_head(self) -> None:
        if self._is_answering():  # reading may be paused, which is not the sender's fault
            self._expect_head(self.head_timeout_s)
        elif self._at_rest:
            self.transport.close()
        else:
            detail = f"The headers did not arrive within {self.head_timeout_s:g} seconds."
            self._refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, "slow_head", detail, CLOSE))

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse_size(self) -> None:
        detail = f"The headers are larger than {MAX_HEAD_BYTES} bytes."
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(Refusal(status, "headers_too_large", detail, CLOSE))

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, unless an earlier request is still being answered, and hang up."""
        self._unset_head_timer()
        log.info(
            "request_head_refused",
            reason=refusal.reason,
            remote=self.client[0] if self.client else None,
        )
        if not self._is_answering():
            request_id = str(new_id()).encode()
            reply = refusal.reply("/", request_id)
            headers = [
                *self.server_state.default_headers,
                *reply.headers,
                (b"x-request-id", request_id),
                (b"content-length", b"%d" % len(reply.body)),
            ]
            lines = [b"%b: %b\r\n" % header for header in headers]
            self.transport.write(b"".join([STATUS_LINE[reply.status], *lines, b"\r\n", reply.body]))
        self.transport.close()
