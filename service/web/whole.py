"""Deliveries that came whole in one reading, handed to the door without scope, cycle and task.

Those three cost more than receiving a delivery does. Everything else goes uvicorn's way: what came
in parts or beside others, and whatever is unusual.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from http import HTTPStatus
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState

from service.door_answers import Header, Reply
from service.door_gate import Held
from service.door_request import Pairs, Request
from service.web.connections import SHARED, Shared
from service.web.exchange import ADDRESS, Exchange, sender_of, whole_answer
from service.web.patience import PatientHttp

_FOR_LOAD = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class WholeHttp(PatientHttp):
    """A connection that can hand a delivery over.

    Slots, here and in the classes beside: beyond 30 attributes in its `__dict__` every look-up of
    any of them takes a slower way.

    Its head was read when `_may_come_whole` agreed and `_expect_whole` found a receiving address.
    Then comes `_hand_over`, once it has been read to its end, or `_leave_to_task` at any time.
    """

    __slots__ = (
        "_address",
        "_at_rest",
        "_body",
        "_head",
        "_head_bytes",
        "_is_counted",
        "_keeps_alive",
        "_shared",
        "_unanswered",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin a connection; called by uvicorn."""
        super().__init__(config, server_state, app_state, _loop)
        self._shared: Shared = app_state[SHARED]
        self._unanswered: deque[Held] = deque()
        """Requests of this connection, in their order."""
        self._at_rest = True
        """Nothing of a next request has come."""
        self._address: re.Match[bytes] | None = None
        """Of a delivery that may be handed over; None when there is none."""
        self._head: list[Header] = []
        """Of that delivery: what comes behind its body, trailers, is not part of it."""
        self._body = b""
        """Of that delivery."""
        self._head_bytes: int | None = None
        """So long it is at most; None when it began in an earlier reading."""
        self._keeps_alive = True
        self._is_counted = False
        """It is among the unanswered."""

    def _expect_whole(self) -> bool:
        """Say whether the request whose head is complete may be handed over.

        It is counted when it is whole, or left to a task.
        """
        self._address = ADDRESS.fullmatch(self.url) if self._may_come_whole() else None
        if self._address is None:
            return False
        self._head, self.headers = self.headers, []
        self._keeps_alive = self.parser.should_keep_alive()
        self._is_counted = False
        return True

    def _count_whole(self, address: re.Match[bytes]) -> bool:
        """Count the delivery that is expected to come whole, and did; False: there is no room."""
        held = self._shared.gate.begin_whole(address[1].decode(), len(self._body))
        if held is None:
            return False
        self._unanswered.append(held)
        self._is_counted = True
        return True

    def _may_come_whole(self) -> bool:
        return (
            self._shared.door is not None
            and not self._unanswered
            and not self.expect_100_continue
            and not self.flow.write_paused
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.transport.is_closing()
        )

    def _hand_over(self) -> None:
        """Give the door a delivery that came whole, or leave it to a task."""
        address, door = self._address, self._shared.door
        if address is None or door is None or not self._at_rest:
            self._leave_to_task()
            return
        body = self._body
        name, token = address.groups(b"")
        request = Request(
            "POST", name.decode(), token.decode(), self._head, self._sender, self._head_bytes
        )
        exchange = Exchange(self._answer_whole, keep_alive=self._keeps_alive)
        self.cycle = exchange  # type: ignore[assignment]  # has what is asked of one
        self._address, self._body = None, b""
        if not door.take(request, body, exchange.tell):
            self._address, self._body = address, body
            self._leave_to_task()

    def _leave_to_task(self) -> None:
        """Answer by a task, as uvicorn does, what was expected to come whole."""
        address = self._address
        if address is None:
            return
        self._address = None
        body, self._body = self._body, b""
        if not self._is_counted:
            self._unanswered.append(self._shared.gate.begin_for(address[1].decode()))
        self.cycle = None  # type: ignore[assignment]  # as before the first; all are answered
        self.headers, self.expect_100_continue = self._head, False
        self._begin_task()
        self.cycle.keep_alive = self._keeps_alive
        if body and self._is_counted:
            super().on_body(body)
        elif body:
            self._take_body(body)
        if self._at_rest:
            super().on_message_complete()

    def _take_body(self, body: bytes) -> None:
        """Give a part of a body to its task."""
        super().on_body(body)

    def _begin_task(self) -> None:
        """Go uvicorn's way, whose own beginning of a head was left out until now."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        self.headers = []  # for trailers, which nobody asks for: the scope keeps its own list

    def _sender(self, headers: Pairs) -> str:
        return sender_of(self.config.loaded_app, self.client, headers)

    def _answer_whole(self, exchange: Exchange, reply: Reply, request_id: bytes) -> None:
        if self.transport.is_closing():  # it was hung up for what came behind this request
            return
        always = self._shared.lines_of(self.server_state.default_headers)
        answer, stays = whole_answer(reply, request_id, always, keep_alive=exchange.keep_alive)
        self.transport.write(answer)
        if not stays:
            self.transport.close()
        self.on_response_complete()
        if reply.status in _FOR_LOAD:
            self._rest_unread()

    def _rest_unread(self) -> None:
        """Read nothing more for a moment: it was refused for load."""
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self._shared.resting.add(self)

    def read_on(self) -> None:
        """Take what is sent from now on."""
        if not self.transport.is_closing():
            self.flow.resume_reading()
