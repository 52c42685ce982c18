"""HTTP/1.1 as uvicorn speaks it, with bounds on all that a stranger can make a server hold.

Uvicorn's protocol takes a head (request line and headers) of any length and for as long as it
lasts, and the same around the chunks of a body; it takes any number of connections, of requests
sent ahead, and of bodies, and waits for ever for a client to read. Nobody is proven to be a sender
by then. What a body may weigh is said where it is read; here it is counted.

A wish to change the protocol (`Upgrade`) is passed over, as RFC 9110 section 7.8 allows: the parser
alone would end such a request before its body.
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
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from schemas.ids import new_id
from service.door_answers import CLOSE, Refusal
from service.door_turnstile import FULL
from service.web.connections import most_connections
from service.web.exchange import lines_of
from service.web.whole import WholeHttp

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024
HEAD_TIMEOUT_S = 15.0
"""How long a head may take from its first byte on."""
SILENCE_TIMEOUT_S = 30.0
"""How long a new connection may wait with its first head."""
MAX_AHEAD = 32
"""So many requests may be sent on a connection before the first of them is answered."""
UNREAD_BYTES = 32 * 1024
CONNECTION_RETRY_S = 5.0


class _HeadTooLargeError(Exception):
    """A head that came whole is above its bound."""


class _TooFarAheadError(Exception):
    """More requests were sent than a connection may hold."""


class _NothingMoreError(Exception):
    """The answer to the request before this one ended the connection."""


class BoundedHttp(WholeHttp):
    """One connection. 431 for a head above 64 KiB, 408 for one that is not there in time."""

    __slots__ = (
        "_body_bytes",
        "_ended_one",
        "_fed",
        "_gate",
        "_got_on",
        "_head_timer",
        "_in_head",
        "_others",
        "_refused_at",
        "_turnstile",
        "_uncounted",
    )

    head_timeout_s = HEAD_TIMEOUT_S
    silence_timeout_s = SILENCE_TIMEOUT_S
    max_connections: int | None = None
    """None: as many as the files that the process may open allow, at most 20,000."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin a connection; called by uvicorn."""
        super().__init__(config, server_state, app_state, _loop)
        self._gate = self._shared.gate
        self._turnstile = self._shared.turnstile
        self._others = self._shared.connections
        self._refused_at = 0.0
        self._body_bytes = 0
        self._in_head = True
        self._ended_one = False
        """A request ended in the bytes that are being read."""
        self._got_on = False
        """These bytes completed a head."""
        self._fed = 0
        self._uncounted = 0
        """Bytes of this head; past it, bytes that came and were no body."""
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a head, if there is room for one more connection."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(UNREAD_BYTES)
        most = self.max_connections or most_connections()
        if len(self.connections) > most and not self._others.make_room():
            self._write(_too_many())
            self._hang_up()
            return
        self._others.await_sender(self)
        self._expect_head(self.silence_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._unset_head_timer()
        self._others.await_us(self)
        for held in self._unanswered:
            self._gate.let_go(held)
        self._unanswered.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, or refuse it unread."""
        if (
            self._gate.is_pressed
            and self._turnstile is not None
            and self._at_rest
            and not self._unanswered
        ):
            refused = self._turnstile.refuse_unread(data)
            if refused is not None:
                self._answer_unread(*refused)
                return
        self._fed = len(data)
        self._ended_one = self._got_on = False
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as asked:
                self._pass_over_upgrade(memoryview(data)[asked.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse_form(error.__context__)
            return
        if self._address is not None:
            self._hand_over()
        if self._in_head and not self._at_rest:
            self._measure_head()
        elif not self._in_head and not self._got_on:
            # Chunk extensions, trailers, and what it costs to send a byte a chunk.
            self._uncounted += self._fed
            if self._uncounted > max(MAX_HEAD_BYTES, self._body_bytes):
                self._refuse_size()

    def _refuse_form(self, reason: BaseException | None) -> None:
        if isinstance(reason, _NothingMoreError):
            return
        self._leave_to_task()
        if isinstance(reason, _HeadTooLargeError):
            self._refuse_size()
        elif self._is_answering():
            self._hang_up()
        else:
            self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self._address is not None:  # the request before this one came whole
            self._hand_over()
            if self.transport.is_closing():
                raise _NothingMoreError
        self._at_rest = False
        self._uncounted = 0
        self._rested_at = 0.0
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """End a head and begin to answer."""
        # The sum is only asked for when so many bytes came that it could be too much.
        self._head_bytes = None if self._uncounted else self._fed
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
        self._body_bytes = 0
        if len(self._unanswered) >= MAX_AHEAD:
            raise _TooFarAheadError
        if not self._expect_whole():
            self._begin_task()
            self._unanswered.append(self._gate.begin(self.scope["path"]))

    def on_body(self, body: bytes) -> None:
        """Take a part of a body; what comes whole is counted when it is."""
        size = len(body)
        self._fed -= size
        self._body_bytes += size
        if self._address is not None:
            if not self._body:
                self._body = body
                return
            self._leave_to_task()  # it came in parts
        if not self.cycle.response_complete:
            self._take_body(body)

    def _take_body(self, body: bytes) -> None:
        """Give a part of a body to its task, if there is room for it."""
        if self._gate.grow(self._unanswered[-1], len(body), self):
            super()._take_body(body)
        else:
            self.give_up_body()

    def on_message_complete(self) -> None:
        """End a request."""
        if self._in_head:  # the parser ended before a body, see on_headers_complete
            return
        if self._address is not None and not self._count_whole(self._address):
            self._leave_to_task()
        self._in_head = self._at_rest = self._ended_one = True
        if self._address is not None:
            self._others.await_us(self)
            return
        if not self.cycle.response_complete:
            self._gate.complete(self._unanswered[-1])
            self._others.await_us(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer, and begin the next or rest."""
        if self._unanswered:
            self._gate.let_go(self._unanswered.popleft())
        if self.transport.is_closing():
            self.server_state.total_requests += 1
            self._expect_reading()
            return
        if self._unanswered:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._others.await_sender(self)
        self._rest()

    # --- a client that does not read ------------------------------------------------------------

    def pause_writing(self) -> None:
        """Write no more until the client has read."""
        super().pause_writing()
        self._others.await_sender(self)
        self._expect_reading()

    def resume_writing(self) -> None:
        """Write on."""
        self._unset_read_timer()
        if self._unanswered:
            self._others.await_us(self)
        super().resume_writing()

    # --- ending ---------------------------------------------------------------------------------

    def give_up_body(self) -> None:
        """Refuse the request whose body is coming: there is no room for more of it."""
        if self.transport.is_closing():
            return
        wait = self._gate.place_in_line()
        refusal = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full", FULL, CLOSE, retry_after=wait)
        cycle = self.cycle
        if len(self._unanswered) == 1 and not cycle.response_started:
            # The application learns that its sender is gone, and what it answers goes nowhere.
            cycle.disconnected = True
            cycle.message_event.set()
            self._write(refusal)
        self._hang_up()

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
            self._head_bytes = None  # what was just fed did not come in this reading
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
            # A timer for each request that is refused unread would cost as much as the refusal.
            left = self._refused_at + self.silence_timeout_s - self.loop.time()
            if self._refused_at and left > 0:
                self._expect_head(left)
            else:
                self._hang_up()
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
            self._write(refusal)
        self._hang_up()

    def _write(self, refusal: Refusal) -> None:
        request_id = str(new_id()).encode()
        reply = refusal.reply("/", request_id)
        headers = [
            *reply.headers,
            (b"x-request-id", request_id),
            (b"content-length", b"%d" % len(reply.body)),
        ]
        self._write_answer(reply.status, b"".join((lines_of(headers), b"\r\n", reply.body)))

    def _answer_unread(self, status: int, rest: bytes) -> None:
        """Answer a request that was not parsed, and wait for the next."""
        self._write_answer(status, rest)
        self._others.await_sender(self)
        self._refused_at = self.loop.time()
        self._unset_keepalive_if_required()
        if self._head_timer is None:
            self._expect_head(self.silence_timeout_s)
        self._rest_unread()

    def _write_answer(self, status: int, rest: bytes) -> None:
        always = self._shared.lines_of(self.server_state.default_headers)
        self.transport.write(b"%b%b%b" % (STATUS_LINE[status], always, rest))


def _too_many() -> Refusal:
    detail = "There are too many connections."
    wait = CONNECTION_RETRY_S
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Refusal(status, "connections", detail, CLOSE, retry_after=wait)
