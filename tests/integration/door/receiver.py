"""The door over real sockets, with sources as the configuration would have stored them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn
from sqlmodel import Session, col, select

from schemas.clock import utc_now
from schemas.configured_tables import SourceRow
from schemas.jobs import IngestDeliveries, Job
from schemas.tables import DeliveryRow, RejectionRow
from service.db import Database
from service.door import Door
from service.queue import Queue
from service.secretbox import SecretBox
from service.source_secrets import seal_secrets
from service.store.sources import bump_sources_mark
from service.vendors import BY_NAME
from service.vendors.base import Secret, Signed
from service.web.connections import SHARED, Shared
from service.web.http_protocol import BoundedHttp
from tests.servers import NO_AUTHORITIES, free_port, wait_until

TEST_KEY = "a-key-for-tests-0123456789abcdef-0123456789"
BOX = SecretBox([TEST_KEY])
SECRET = "gh-secret-0123456789abcdef"
BODY = b'{"action": "opened", "number": 7, "repository": {"full_name": "acme/webapp"}}'


@dataclass
class BellBook(Queue):
    """A queue that notes what was rung, in place of workers."""

    jobs: list[Job] = field(default_factory=list)

    def ring(self, jobs: Sequence[Job]) -> None:
        self.jobs.extend(jobs)

    def room(self, _job: type[Job]) -> int:
        return 0

    def ping(self) -> None:
        return

    def rung(self) -> list[UUID]:
        jobs = (job for job in self.jobs if isinstance(job, IngestDeliveries))
        return [delivery for job in jobs for delivery in job.delivery_ids]


class Receiver:
    """A running door. `door` is None before start and after stop."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        *,
        protocol: type[BoundedHttp] = BoundedHttp,
        grace_s: int = 10,
        **options: Any,
    ) -> None:
        self.database = database
        self.door = Door(database, queue, BY_NAME, BOX, **options)
        self.port = free_port()
        config = uvicorn.Config(
            self._serve,
            host="127.0.0.1",
            port=self.port,
            loop="uvloop",
            http=protocol,
            ws="none",
            lifespan="on",
            interface="asgi3",
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=grace_s,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            timeout=20,
            trust_env=False,
            verify=NO_AUTHORITIES,
            limits=httpx.Limits(max_connections=None),
        )

    async def _serve(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.door(scope, receive, send)
            return
        await receive()
        scope["state"][SHARED] = Shared(self.door.gate, self.door.turnstile, self.door)
        await self.door.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.door.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self._server.started, 20, what="start of the receiver")

    def ask_to_stop(self) -> None:
        self._server.should_exit = True

    def stop(self) -> None:
        self.ask_to_stop()
        self._thread.join(20)
        assert not self._thread.is_alive()
        self.client.close()

    # --- sending ------------------------------------------------------------------------------

    def post(
        self, path: str = "/hooks/github", *, body: bytes = BODY, headers: Any = None
    ) -> httpx.Response:
        return self.client.post(path, content=body, headers=headers)

    def send(
        self, delivery_id: str | None = None, *, path: str = "/hooks/github", **more: Any
    ) -> httpx.Response:
        """Send a delivery as GitHub would, under a new id unless one is given."""
        signed = sign_github(delivery_id, **more)
        return self.post(path, body=signed.body, headers=signed.headers)

    # --- looking ------------------------------------------------------------------------------

    def rows(self) -> Sequence[DeliveryRow]:
        with self.database.session(read_only=True) as session:
            return session.exec(select(DeliveryRow).order_by(col(DeliveryRow.id))).all()

    def rejections(self) -> Sequence[RejectionRow]:
        with self.database.session(read_only=True) as session:
            return session.exec(select(RejectionRow).order_by(col(RejectionRow.id))).all()


@contextlib.contextmanager
def receiving(database: Database, queue: Queue, **options: Any) -> Iterator[Receiver]:
    receiver = Receiver(database, queue, **options)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def sign_github(
    delivery_id: str | None = None, *, body: bytes = BODY, secret: str = SECRET
) -> Signed:
    incoming = BY_NAME["github"].incoming
    assert incoming is not None
    return incoming.sign(
        body,
        secret,
        utc_now(),
        incoming.options(),
        event="pull_request",
        delivery_id=delivery_id or str(uuid4()),
    )


def sign_standard(body: bytes, secret: str, when: datetime, delivery_id: str = "msg_1") -> Signed:
    """Sign as Standard Webhooks says, which has a time."""
    incoming = BY_NAME["generic"].incoming
    assert incoming is not None
    options = incoming.options()
    return incoming.sign(body, secret, when, options, event="a.b", delivery_id=delivery_id)


def add_source(
    session: Session,
    name: str = "github",
    vendor: str = "github",
    *,
    secrets: Sequence[Secret] = (Secret(SECRET),),
    path_token: str | None = None,
    options: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    enabled: bool = True,
) -> SourceRow:
    row = SourceRow(
        name=name,
        vendor=vendor,
        secrets=seal_secrets(BOX, secrets),
        path_token_sha256=sha256(path_token.encode()).hexdigest() if path_token else None,
        options=dict(options or {}),
        limits=dict(limits or {}),
        enabled=enabled,
        updated_at=utc_now(),
    )
    session.add(row)
    bump_sources_mark(session)
    session.commit()
    return row
