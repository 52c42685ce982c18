"""Who is turned away because of load, as early and as cheaply as that can be.

Beyond what the database or the processor takes, a refusal must cost next to nothing: whatever it
costs is taken from deliveries that could be stored. `refusal` is asked before a body is read and
before anything is verified. `refuse_unread` answers a request of the usual form that has come whole
without its being parsed at all, for a tenth of the price.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from itertools import count

from schemas.ids import new_id
from service.door_answers import PROBLEM_TYPE, REQUEST_ID, Refusal
from service.door_gate import Gate, retry_when_away
from service.door_sources import LiveSource, SourceBook
from service.group_commit import GroupCommit

FULL = "More is sent than can be stored."
AWAY = "The delivery cannot be stored now."
TOO_OFTEN = "More deliveries than this address takes."

# Whatever is not exactly of this form is parsed: nothing here may be read in two ways.
_LINE = re.compile(rb"POST (/hooks/([A-Za-z0-9._-]{1,100})(?:/([A-Za-z0-9._~-]*))?) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})\r\n")
_KEPT_ALIVE = re.compile(rb"\r\nconnection: ?keep-alive\r\n")
_NAMED = re.compile(rb"\r\nx-request-id: ?(" + REQUEST_ID.pattern + rb")\r\n", re.IGNORECASE)
_REST = b"%b: %b\r\n%b: %b\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"


class Turnstile:
    """Decides for the door. `note` is told the source and the reason of what it turns away."""

    def __init__(
        self,
        sources: SourceBook,
        writer: GroupCommit,
        gate: Gate,
        *,
        monotonic: Callable[[], float],
        note: Callable[[str, str], None],
    ) -> None:
        self._sources = sources
        self._writer = writer
        self._gate = gate
        self._monotonic = monotonic
        self._note = note
        # A request that nobody reads needs no id that can be sorted, and making one is dear.
        own = new_id().hex.encode()
        self._ids = (b"%b-%d" % (own, number) for number in count())
        self._problems: dict[tuple[str, int], bytes] = {}

    def refusal(self, source: LiveSource, *, uncounted: int = 0) -> Refusal | None:
        """Give why a delivery of this source is not taken now; None when it is.

        `uncounted`: 1 when it is not among those that are under way yet.
        """
        writer = self._writer
        if writer.hindrance is not None:
            return self.away()
        if self._gate.is_full(source.name, more=uncounted):
            return self.full()
        now = self._monotonic()
        if source.is_over_rate(now):
            return self.too_often(source, now)
        return None

    def away(self) -> Refusal:
        """Give the refusal of what cannot be stored at all now."""
        self._gate.alarm()
        wait = retry_when_away(self._writer.hindered_s)
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", AWAY, retry_after=wait)

    def full(self) -> Refusal:
        """Give the refusal of what is more than can be stored."""
        wait = self._gate.place_in_line()
        return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full", FULL, retry_after=wait)

    def too_often(self, source: LiveSource, now: float) -> Refusal:
        """Give the refusal of what is above its source's rate."""
        self._gate.alarm()
        wait = source.place_in_line(now)
        return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate", TOO_OFTEN, retry_after=wait)

    def refuse_unread(self, data: bytes) -> tuple[int, bytes] | None:
        """Give the status and the rest of an answer to what came, or None when it is to be parsed.

        Only for the bytes of one whole request at the beginning of a message, with nothing after
        it: the connection stands then where it would if they had been parsed.
        """
        line = _LINE.match(data)
        if line is None:
            return None
        end = data.find(b"\r\n\r\n", line.end() - 2)
        if end < 0:
            return None
        path, name, token = line.groups()
        source = self._sources.get(name.decode())
        if source is None or source.closed is not None:
            return None
        head = data[line.end() - 2 : end + 2].lower()
        length = _LENGTH.search(head)
        if (
            length is None
            or head.count(b"content-length") != 1
            or len(data) != end + 4 + int(length[1])
            or b"transfer-encoding" in head
            or b"upgrade" in head
            or b"expect" in head
            or b"\n " in head
            or b"\n\t" in head
            or b"\0" in head
            or (b"\r\nconnection:" in head and _KEPT_ALIVE.search(head) is None)
            or not source.token_fits((token or b"").decode())
        ):
            return None
        # Counted, as it would be before it is asked about once more: whoever is refused there after
        # all has cost as much as one that is stored.
        refusal = self.refusal(source, uncounted=1)
        if refusal is None:
            return None
        self._note(source.name, refusal.reason)
        named = _NAMED.search(data, line.end() - 2, end + 2) if b"x-request-id" in head else None
        request_id = named[1] if named else next(self._ids)
        body = self._problem(refusal) % (path, request_id)
        (retry,) = refusal.headers
        return refusal.status, _REST % (*PROBLEM_TYPE, *retry, request_id, len(body), body)

    def _problem(self, refusal: Refusal) -> bytes:
        """Give the body of a refusal, with places for the path and the request's id."""
        form = self._problems.get((refusal.reason, refusal.status))
        if form is None:
            form = self._problems[refusal.reason, refusal.status] = refusal.problem("%b", b"%b")
        return form
