"""The door: what vendors send comes in here, is proven, stored, and only then answered with 2xx.

Everything under `/hooks/`, and the only code that is made to be fast. There are two ways in: `take`
answers a request that came whole, as most do, without a task of its own; a plain ASGI callable
takes any. Both judge and store by the same functions. The pieces beside it: `door_sources` (who may
send), `door_request` and `door_answers` (HTTP), `group_commit` (storing), `quarantine` (what was
refused). The answers are those of the table in docs/receiving.md; every reason for which a delivery
is not believed gives one and the same.
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
    Tell,
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
    too_large,
)
from service.door_sources import LiveSource, SourceBook
from service.door_turnstile import AWAY, Turnstile
from service.errors import HandshakeError, SignatureError, Unavailable
from service.faults import note_fault
from service.group_commit import GroupCommit, Stored, Waiter
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

    def take(self, request: Request, body: bytes, tell: Tell) -> bool:
        """Take a POST that came whole; `tell` has the answer now, or once it is stored.

        False: it is not for an open source, and nothing was done. Call the door with it.
        """
        source = self._sources.get(request.name)
        if source is None or source.closed is not None or not source.token_fits(request.token):
            return False
        try:
            request.check_headers()
            self._admit(request, source)
            if len(body) > source.limits.max_body:
                raise too_large(source.limits.max_body)  # noqa: TRY301  # as where bodies are read
            reply = self._take(request, source, body, _Teller(self._end, request, source, tell))
        except (SignatureError, HandshakeError, Unavailable) as error:
            reply = self._refuse(request, self._judge(error, request, source, body))
        except Refusal as refusal:
            reply = self._refuse(request, refusal)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            reply = self._fail(request, error)
        if reply is not None:
            tell(reply, request.request_id)
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request.of(scope)
        try:
            reply = await self._answer(request, receive)
        except Refusal as refusal:
            reply = self._refuse(request, refusal)
        except SenderGone:
            return
        except asyncio.CancelledError:
            # Uvicorn takes back what is still under way when the time to stop is over. Nobody
            # waits for this task, and whether the delivery is stored is not known: it comes again.
            detail = "Receiving is being stopped."
            status = HTTPStatus.SERVICE_UNAVAILABLE
            end = Refusal(status, "stopping", detail, CLOSE, retry_after=UNREADY_RETRY_S)
            reply = self._refuse(request, end)
        except Exception as error:  # noqa: BLE001  # note_fault logs it
            reply = self._fail(request, error)
        await send_reply(send, reply, request.request_id)

    async def _answer(self, request: Request, receive: Receive) -> Reply:
        request.check_headers()
        if request.method not in {"POST", "OPTIONS"}:
            detail = "Deliveries are sent with POST."
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, ALLOW)
        source = self._sources.get(request.name) or await self._look_again(request.name)
        if source is None or source.closed is not None or not source.token_fits(request.token):
            raise await self._refuse_unknown(request, source, receive)
        if request.method == "OPTIONS":
            return answer_options(request.headers, source.limits)
        self._admit(request, source)
        body = b""
        try:
            body = await self._bodies.read(receive, source.limits.max_body)
            self._hold_back(source)  # while it came, others may have been taken
            answer: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
            reply = self._take(request, source, body, answer)
            return reply or self._end(request, source, await answer)
        except (SignatureError, HandshakeError, Unavailable) as error:
            raise self._judge(error, request, source, body) from error

    def _admit(self, request: Request, source: LiveSource) -> None:
        """Refuse what can be refused before the body is looked at."""
        request.check_head(source.limits.max_body)
        self._hold_back(source)

    def _hold_back(self, source: LiveSource) -> None:
        """Refuse what is more than can be taken now."""
        refusal = self.turnstile.refusal(source)
        if refusal is not None:
            raise refusal

    def _take(
        self, request: Request, source: LiveSource, body: bytes, answer: Waiter
    ) -> Reply | None:
        """Prove one delivery of an open source; None: it is being stored, and `answer` is told."""
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
        self._writer.add_for(arrival, answer)
        return None

    def _end(self, request: Request, source: LiveSource, earlier: Stored | Unavailable) -> Reply:
        """Answer what was to be stored: it is now, it was before, or it is not."""
        if isinstance(earlier, Unavailable):
            return self._refuse(request, self._judge(earlier, request, source, b""))
        incoming = source.incoming
        assert incoming is not None  # noqa: S101  # for the type checker
        self.gate.count_stored()
        if earlier is None:
            self.counts[source.name, "accepted"] += 1
            status, stored = incoming.status_code, stored_body(request.id_text, b"accepted")
        else:
            self.counts[source.name, "duplicate"] += 1
            status, stored = HTTPStatus.OK, stored_body(str(earlier.id).encode(), b"duplicate")
        return Reply(status, stored) if incoming.answer_body else Reply(status, b"", ())

    def _judge(
        self,
        error: SignatureError | HandshakeError | Unavailable,
        request: Request,
        source: LiveSource,
        body: bytes,
    ) -> Refusal:
        """Give what the sender is told, and keep what may be looked into."""
        if isinstance(error, SignatureError):
            self._keep(request, source, error.reason, error.message, body)
            return Refusal(HTTPStatus.UNAUTHORIZED, error.reason, UNPROVEN)
        if isinstance(error, HandshakeError):
            self._keep(request, source, error.code, error.message, body)
            detail = "The handshake is malformed."
            return Refusal(HTTPStatus.BAD_REQUEST, error.code, detail)
        is_away = self._writer.hindrance is not None
        return self.turnstile.away() if is_away else self.turnstile.full()

    def _refuse(self, request: Request, refusal: Refusal) -> Reply:
        self._note(request, refusal)
        return refusal.reply(request.path, request.request_id)

    def _fail(self, request: Request, error: Exception) -> Reply:
        # The sender finds the request's id in the answer; the log has it beside the fault.
        id_ = request.id_text.decode()
        note_fault(error, "door_failed", source=request.name, request_id=id_)
        failure = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "Something went wrong.")
        return failure.reply(request.path, request.request_id)

    async def _look_again(self, name: str) -> LiveSource | None:
        source = await self._sources.look_again(name)
        if source is None and not self._sources.is_known:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            raise Refusal(status, "unavailable", AWAY, retry_after=UNREADY_RETRY_S)
        return source

    async def _refuse_unknown(
        self, request: Request, source: LiveSource | None, receive: Receive
    ) -> Refusal:
        """Give the one answer for every address that takes nothing; the reason stays inside."""
        reason = "unknown_source" if source is None else source.closed or "wrong_path_token"
        body = None
        if request.method == "POST" and self._quarantine.has_room(
            source.name if source else NO_SOURCE
        ):
            # Kept with its body: once the source is as it should be, it can be verified after all.
            with suppress(Refusal):
                request.check_head(MAX_BODY_BYTES)
                body = await self._bodies.read(receive, MAX_BODY_BYTES)
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
        """Keep a refused request if there is room for it; `body` None: it was not read."""
        if not self._quarantine.has_room(source.name if source else NO_SOURCE):
            self._quarantine.note(source.name if source else NO_SOURCE, reason)
            return
        self._quarantine.keep(
            Refused(
                source=source,
                reason=reason,
                detail=detail,
                remote=request.remote,
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


class _Teller:
    """Whoever waits for one delivery without a task of its own."""

    __slots__ = ("_end", "_request", "_source", "_tell")

    def __init__(
        self,
        end: Callable[[Request, LiveSource, Stored | Unavailable], Reply],
        request: Request,
        source: LiveSource,
        tell: Tell,
    ) -> None:
        self._end = end
        self._request = request
        self._source = source
        self._tell: Tell | None = tell

    def done(self) -> bool:
        """Say whether the answer was given."""
        return self._tell is None

    def set_result(self, stored: Stored | Unavailable) -> None:
        """Answer what became of it."""
        tell, self._tell = self._tell, None
        if tell is not None:
            request = self._request
            tell(self._end(request, self._source, stored), request.request_id)

    set_exception = set_result


def storable_key(key: str) -> str:
    """Give a delivery key that both databases can hold, or its digest when it cannot be held."""
    if len(key) <= MAX_KEY_CHARS and key.isprintable():
        return key
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
