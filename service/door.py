"""The door: what vendors send comes in here, is proven, stored, and only then answered with 2xx.

A plain ASGI callable for everything under `/hooks/` and the only code that is made to be fast. The
pieces beside it: `door_sources` (who may send), `door_request` and `door_answers` (HTTP),
`group_commit` (storing), `quarantine` (what was refused). The answers are those of the table in
docs/receiving.md; every reason for which a delivery is not believed gives one and the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from time import monotonic as monotonic_seconds
from typing import Any

import structlog

from schemas.clock import Clock, utc_now
from schemas.ids import new_id
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
    choose_request_id,
    send_reply,
    stored_body,
)
from service.door_handshake import answer_options
from service.door_request import (
    BodyReader,
    Receive,
    SenderGone,
    headers_as_json,
    kept_headers,
    split_path,
    too_large,
)
from service.door_sources import LiveSource, SourceBook
from service.errors import HandshakeError, SignatureError, Unavailable
from service.group_commit import GroupCommit
from service.quarantine import NO_SOURCE, Quarantine, Refused
from service.queue import Queue
from service.secretbox import SecretBox
from service.store.inbox import Arrival, open_inbox
from service.store.rejections import MAX_BODY_BYTES
from service.vendors.base import Delivery, Headers, Vendor

log = structlog.get_logger(__name__)

BODY_TIMEOUT_S = 30.0
MAX_KEY_CHARS = 300
UNREADY_RETRY_S = 5.0
REPAIRABLE = frozenset({"no_secret", "misconfigured"})

Scope = MutableMapping[str, Any]


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
        self._writer = writer or GroupCommit(open_inbox(database, clock), self._bell)
        self._quarantine = quarantine or Quarantine(database, queue, clock=clock)
        self.counts: Counter[tuple[str, str]] = Counter()

    async def start(self) -> None:
        """Read the sources and connect. A database that is away does not hinder the start."""
        self._bodies.start()
        self._bell.start()
        self._quarantine.start()
        await self._sources.start()
        await self._writer.start()

    async def stop(self) -> None:
        """Commit and answer what waits, and refuse everything else with 503."""
        await self._writer.stop()
        await self._sources.stop()
        self._bodies.stop()
        self._bell.stop()
        self._quarantine.stop()

    def is_healthy(self) -> bool:
        """Say whether a delivery that came now would be stored."""
        return self._sources.is_known and self._writer.is_healthy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers = dict(scope["headers"])
        request_id = choose_request_id(headers.get(b"x-request-id"))
        name, token = split_path(scope["path"])
        try:
            reply = await self._answer(scope, headers, request_id, receive, name, token)
        except Refusal as refusal:
            self.counts[name if self._sources.get(name) else NO_SOURCE, refusal.reason] += 1
            reply = refusal.reply(f"/hooks/{name}", request_id)
        except SenderGone:
            return
        except Exception:
            log.exception("door_failed", source=name, request_id=request_id.decode())
            failure = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "Something went wrong.")
            reply = failure.reply(f"/hooks/{name}", request_id)
        await send_reply(send, reply, request_id)

    async def _answer(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        request_id: bytes,
        receive: Receive,
        name: str,
        token: str,
    ) -> Reply:
        method = scope["method"]
        if method not in {"POST", "OPTIONS"}:
            detail = "Deliveries are sent with POST."
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, ALLOW)
        source = self._sources.get(name) or await self._look_again(name)
        items = _decode(scope)
        if source is None or source.closed is not None or not source.token_fits(token):
            raise await self._refuse_unknown(scope, items, request_id, receive, source, name)
        if method == "OPTIONS":
            return answer_options(headers, source.limits)
        _check_head(headers, items, source.limits.max_body)
        self._check_open()
        body = await self._bodies.read(receive, source.limits.max_body)
        now = self._clock()
        delivery = Delivery(source.name, Headers(items), body, now)
        try:
            return await self._take(source, delivery)
        except SignatureError as error:
            self._keep(scope, delivery, source, request_id, error.reason, error.message)
            raise Refusal(HTTPStatus.UNAUTHORIZED, error.reason, UNPROVEN) from None
        except HandshakeError as error:
            self._keep(scope, delivery, source, request_id, error.code, error.message)
            detail = "The handshake is malformed."
            raise Refusal(HTTPStatus.BAD_REQUEST, error.code, detail) from None
        except Unavailable as error:
            raise _unavailable(error) from error

    async def _take(self, source: LiveSource, delivery: Delivery) -> Reply:
        """Prove, store and answer one delivery of an open source."""
        incoming = source.incoming
        assert incoming is not None  # noqa: S101  # for the type checker
        assert source.verify is not None  # noqa: S101  # likewise
        source.verify(delivery, delivery.received_at)
        wait = source.take_turn(self._monotonic())
        if wait:
            detail = "More deliveries than this address takes."
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "rate", detail, retry_after=wait)
        handshake = incoming.handshake(delivery, source.options)
        if handshake is not None:
            self.counts[source.name, "handshake"] += 1
            content_type = (b"content-type", handshake.content_type.encode())
            return Reply(handshake.status, handshake.body, (content_type,))
        arrival = Arrival(
            new_id(),
            source.id,
            source.name,
            source.vendor,
            storable_key(incoming.delivery_key(delivery, source.options)),
            delivery.received_at,
            headers_as_json(delivery.headers.items, source.secret_values),
            delivery.body,
        )
        earlier = await self._writer.add(arrival)
        if earlier is None:
            self.counts[source.name, "accepted"] += 1
            status = incoming.status_code
            body = stored_body(arrival.id, "accepted") if incoming.answer_body else b""
        else:
            self.counts[source.name, "duplicate"] += 1
            status = HTTPStatus.OK
            body = stored_body(earlier.id, "duplicate") if incoming.answer_body else b""
        return Reply(status, body) if body else Reply(status, b"", ())

    async def _look_again(self, name: str) -> LiveSource | None:
        source = await self._sources.look_again(name)
        if source is None and not self._sources.is_known:
            raise _unavailable(Unavailable("the sources could not be read yet"))
        return source

    async def _refuse_unknown(
        self,
        scope: Scope,
        items: list[tuple[str, str]],
        request_id: bytes,
        receive: Receive,
        source: LiveSource | None,
        name: str,
    ) -> Refusal:
        """Give the one answer for every address that takes nothing; the reason stays inside."""
        unknown = Refusal(HTTPStatus.NOT_FOUND, "unknown_source", UNKNOWN)
        body = b""
        if source is not None:
            unknown.reason = source.closed or "wrong_path_token"
        if source is not None and source.closed in REPAIRABLE:
            # Kept whole: once there is a secret it can be verified after all.
            with suppress(Refusal):
                body = await self._bodies.read(receive, MAX_BODY_BYTES)
        delivery = Delivery(source.name if source else name, Headers(items), body, self._clock())
        detail = f"nothing is received at {name!r}"
        self._keep(scope, delivery, source, request_id, unknown.reason, detail)
        return unknown

    def _keep(
        self,
        scope: Scope,
        delivery: Delivery,
        source: LiveSource | None,
        request_id: bytes,
        reason: str,
        detail: str,
    ) -> None:
        secrets = source.secret_values if source else frozenset[str]()
        client = scope.get("client")
        self._quarantine.keep(
            Refused(
                source=source.name if source else NO_SOURCE,
                reason=reason,
                detail=detail,
                remote=client[0] if client else "",
                request_id=request_id.decode(),
                received_at=delivery.received_at,
                body=delivery.body,
                strike=partial(kept_headers, delivery.headers.items, secrets),
            )
        )

    def _check_open(self) -> None:
        try:
            self._writer.check_open()
        except Unavailable as error:
            raise _unavailable(error) from error


def _unavailable(error: Unavailable) -> Refusal:
    wait = error.retry_after.total_seconds() if error.retry_after else UNREADY_RETRY_S
    detail = "The delivery cannot be stored now."
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail, retry_after=wait)


def _decode(scope: Scope) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]


def _check_head(
    headers: Mapping[bytes, bytes], items: list[tuple[str, str]], max_body: int
) -> None:
    """Refuse what can be refused before the body is read (413, 415)."""
    if b"content-encoding" in headers and any(
        name == "content-encoding" and value.strip().lower() not in {"", "identity"}
        for name, value in items
    ):
        detail = "The body may not be compressed or otherwise encoded."
        accepted = (b"accept-encoding", b"identity")
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", detail, CLOSE, accepted)
    length = headers.get(b"content-length")
    if length is not None and int(length) > max_body:
        raise too_large(max_body)


def storable_key(key: str) -> str:
    """Give a delivery key that both databases can hold, or its digest when it cannot be held."""
    if len(key) <= MAX_KEY_CHARS and key.isprintable():
        return key
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
