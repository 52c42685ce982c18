"""The door: what vendors send comes in here, is proven, stored, and only then answered with 2xx.

A plain ASGI callable for everything under `/hooks/` and the only code that is made to be fast. The
pieces beside it: `door_sources` (who may send), `door_request` and `door_answers` (HTTP),
`group_commit` (storing), `quarantine` (what was refused). The answers are those of the table in
docs/receiving.md; every reason for which a delivery is not believed gives one and the same.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from time import monotonic as monotonic_seconds

from schemas.clock import Clock, utc_now
from service.bell import Bell
from service.db import Database
from service.door_answers import (
    ALLOW,
    CLOSE,
    UNKNOWN,
    UNPROVEN,
    Refusal,
    Reply,
    Send,
    send_reply,
    stored_body,
)
from service.door_gate import Gate
from service.door_handshake import answer_options
from service.door_request import (
    BodyReader,
    Receive,
    Request,
    Scope,
    SenderGone,
    headers_as_json,
)
from service.door_sources import LiveSource, SourceBook
from service.door_turnstile import AWAY, Turnstile
from service.errors import HandshakeError, SignatureError, Unavailable
from service.faults import note_fault
from service.group_commit import GroupCommit
from service.quarantine import MAX_BODY_BYTES, Quarantine
from service.queue import Queue
from service.refused import NO_SOURCE, Refused
from service.secretbox import SecretBox
from service.store.arrivals import Arrival
from service.store.inbox import open_inboxes
from service.vendors.base import Delivery, Headers, Vendor

BODY_TIMEOUT_S = 30.0
MAX_KEY_CHARS = 300
UNREADY_RETRY_S = 5.0
QUARANTINED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND})


class Door:
    """Receives deliveries. `counts` tells how often (source, outcome) happened."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        vendors: Mapping[str, Vendor],
        box: SecretBox,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = monotonic_seconds,
        body_timeout_s: float = BODY_TIMEOUT_S,
        writer: GroupCommit | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        """Put the door's pieces together; nothing is opened before `start`.

        `vendors` by name; `box` opens the sources' secrets. `writer` and `quarantine` replace the
        usual ones, whose bounds are named in their modules.
        """
        self._clock = clock
        self._monotonic = monotonic
        self._sources = SourceBook(database, vendors, box, monotonic=monotonic)
        self._bodies = BodyReader(body_timeout_s)
        self._bell = Bell(queue)
        self._writer = writer or GroupCommit(open_inboxes(database, clock), self._bell)
        self._quarantine = quarantine or Quarantine(database, queue, box, clock=clock)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.gate = Gate(share_of=self._share_of, allowed=self._writer.allowed_rows)
        self.turnstile = Turnstile(
            self._sources, self._writer, self.gate, monotonic=monotonic, note=self._count
        )

    async def start(self) -> None:
        """Read the sources and connect. A database that is away does not hinder the start."""
        self._bodies.start()
        self.gate.start()
        self._bell.start()
        self._quarantine.start()
        await self._sources.start()
        await self._writer.start()

    async def stop(self) -> None:
        """Commit and answer what waits, and refuse everything else with 503."""
        await self._writer.stop()
        await self._sources.stop()
        self._bodies.stop()
        self.gate.stop()
        self._bell.stop()
        self._quarantine.stop()

    def is_healthy(self) -> bool:
        """Say whether a delivery that came now would be stored."""
        return self._sources.is_known and self._writer.hindrance is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        try:
            reply = await self._answer(request)
        except Refusal as refusal:
            self._note(request, refusal)
            reply = refusal.reply(f"/hooks/{request.name}", request.request_id)
        except SenderGone:
            return
        except asyncio.CancelledError:
            # Uvicorn takes back what is still under way when the time to stop is over. Nobody
            # waits for this task, and whether the delivery is stored is not known: it comes again.
            detail = "Receiving is being stopped."
            status = HTTPStatus.SERVICE_UNAVAILABLE
            end = Refusal(status, "stopping", detail, CLOSE, retry_after=UNREADY_RETRY_S)
            self._note(request, end)
            reply = end.reply(f"/hooks/{request.name}", request.request_id)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            # The sender finds the request's id in the answer; the log has it beside the fault.
            id_ = request.id_text.decode()
            note_fault(error, "door_failed", source=request.name, request_id=id_)
            failure = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "Something went wrong.")
            reply = failure.reply(f"/hooks/{request.name}", request.request_id)
        await send_reply(send, reply, request.request_id)

    async def _answer(self, request: Request) -> Reply:
        request.check_headers()
        if request.method not in {"POST", "OPTIONS"}:
            detail = "Deliveries are sent with POST."
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, ALLOW)
        source = self._sources.get(request.name) or await self._look_again(request.name)
        if source is None or source.closed is not None or not source.token_fits(request.token):
            raise await self._refuse_unknown(request, source)
        if request.method == "OPTIONS":
            return answer_options(request.headers, source.limits)
        request.check_head(source.limits.max_body)
        refusal = self.turnstile.refusal(source)
        if refusal is not None:
            raise refusal
        body = b""
        try:
            body = await self._bodies.read(request.receive, source.limits.max_body)
            return await self._take(request, source, body)
        except SignatureError as error:
            self._keep(request, source, error.reason, error.message, body)
            raise Refusal(HTTPStatus.UNAUTHORIZED, error.reason, UNPROVEN) from None
        except HandshakeError as error:
            self._keep(request, source, error.code, error.message, body)
            detail = "The handshake is malformed."
            raise Refusal(HTTPStatus.BAD_REQUEST, error.code, detail) from None
        except Unavailable as error:
            is_away = self._writer.hindrance is not None
            raise (self.turnstile.away() if is_away else self.turnstile.full()) from error

    async def _take(self, request: Request, source: LiveSource, body: bytes) -> Reply:
        """Prove, store and answer one delivery of an open source."""
        incoming = source.incoming
        assert incoming is not None  # noqa: S101  # for the type checker
        assert source.verify is not None  # noqa: S101  # likewise
        now = self._clock()
        delivery = Delivery(source.name, Headers(request.items), body, now)
        source.verify(delivery, now)
        turn = self._monotonic()
        if source.take_turn(turn):
            raise self.turnstile.too_often(source, turn)
        handshake = incoming.handshake(delivery, source.options)
        if handshake is not None:
            self.counts[source.name, "handshake"] += 1
            content_type = (b"content-type", handshake.content_type.encode())
            return Reply(handshake.status, handshake.body, (content_type,))
        arrival = Arrival(
            request.id,
            source.id,
            source.name,
            source.vendor,
            storable_key(incoming.delivery_key(delivery, source.options)),
            now,
            headers_as_json(request.items, source.secret_values),
            body,
        )
        earlier = await self._writer.add(arrival)
        self.gate.count_stored()
        if earlier is None:
            self.counts[source.name, "accepted"] += 1
            status, stored = incoming.status_code, stored_body(request.id_text, b"accepted")
        else:
            self.counts[source.name, "duplicate"] += 1
            status, stored = HTTPStatus.OK, stored_body(str(earlier.id).encode(), b"duplicate")
        return Reply(status, stored) if incoming.answer_body else Reply(status, b"", ())

    async def _look_again(self, name: str) -> LiveSource | None:
        source = await self._sources.look_again(name)
        if source is None and not self._sources.is_known:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Refusal(status, "unavailable", AWAY, retry_after=UNREADY_RETRY_S)
        return source

    async def _refuse_unknown(self, request: Request, source: LiveSource | None) -> Refusal:
        """Give the one answer for every address that takes nothing; the reason stays inside."""
        reason = "unknown_source" if source is None else source.closed or "wrong_path_token"
        body = None
        if request.method == "POST" and self._quarantine.has_room(
            source.name if source else NO_SOURCE
        ):
            # Kept with its body: once the source is as it should be, it can be verified after all.
            with suppress(Refusal):
                request.check_head(MAX_BODY_BYTES)
                body = await self._bodies.read(request.receive, MAX_BODY_BYTES)
        detail = f"nothing is received at {request.name!r}"
        self._keep(request, source, reason, detail, body)
        return Refusal(HTTPStatus.NOT_FOUND, reason, UNKNOWN)

    def _keep(
        self,
        request: Request,
        source: LiveSource | None,
        reason: str,
        detail: str,
        body: bytes | None,
    ) -> None:
        """Keep a refused request; `body` None: it was not read."""
        self._quarantine.keep(
            Refused(
                source=source,
                reason=reason,
                detail=detail,
                remote=request.remote[0] if request.remote else "",
                request_id=request.request_id.decode(),
                received_at=self._clock(),
                body=body or b"",
                size=None if body is None else len(body),
                headers=request.items,
                address=request.name,
                token=request.token,
            )
        )

    def _note(self, request: Request, refusal: Refusal) -> None:
        # Names that are no source's are counted under one: anybody can invent more of them.
        source = self._share_of(request.name)
        if refusal.status in QUARANTINED:
            self.counts[source, refusal.reason] += 1
        else:
            self._count(source, refusal.reason)

    def _count(self, source: str, reason: str) -> None:
        self.counts[source, reason] += 1
        self._quarantine.note(source, reason)

    def _share_of(self, name: str) -> str:
        return name if self._sources.get(name) else NO_SOURCE


def storable_key(key: str) -> str:
    """Give a delivery key that both databases can hold, or its digest when it cannot be held."""
    if len(key) <= MAX_KEY_CHARS and key.isprintable():
        return key
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
